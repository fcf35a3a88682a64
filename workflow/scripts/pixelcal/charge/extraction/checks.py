"""Checks of a run before charges are taken from it: its pixels, its kind, its events."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pixelcal.charge.extraction.charges import Charges, Window, charge_step
from pixelcal.charge.runs.hdf5 import OpenRun
from pixelcal.charge.runs.pixel_columns import HIGHEST_PIXEL, MOST_NAMED
from pixelcal.charge.runs.waveforms import REASONS
from pixelcal.errors import InputError
from pixelcal.io.merge import read_bad_pixels

LOGGER = logging.getLogger("pixelcal")
NONE = np.array([], int)
FEWEST_WHOLE, LARGEST_WHOLE = 100, 2**24
"""So many events tell that charges are whole numbers; larger ones are not exact as float32."""
MANY_LOST = 0.05
"""Fraction of the events from which on it is said that they are left out."""


def rows_of(run: OpenRun, pixel: np.ndarray, bad: np.ndarray = NONE) -> np.ndarray:
    """Rows (n,) of the waveforms of a run for the pixels `pixel` (n,).

    A pixel among those that the user leaves out, `bad`, may be missing: its row is then 0, whatever
    is there.

    Raises
    ------
    InputError
        Where the run lacks some of them.
    """
    return rows_of_pixels(run.properties.pixel, pixel, bad, run.path)


def rows_of_pixels(there: np.ndarray, pixel: np.ndarray, bad: np.ndarray, path) -> np.ndarray:
    """The same as `rows_of` for a file `path` that has the pixels `there` (m,)."""
    order = np.argsort(there)
    wanted = np.asarray(pixel)
    place = np.minimum(np.searchsorted(there, wanted, sorter=order), len(there) - 1)
    rows = order[place]
    absent = wanted[(there[rows] != wanted) & ~np.isin(wanted, bad)]
    if len(absent):
        raise InputError(
            f"run {path}: lacks pixel {absent[0]} ({len(absent)} of the {len(wanted)} that"
            f" sstcam.pixels selects; it has {len(there)}, {there.min()} to {there.max()}); select"
            " only these, or list it in sstcam.bad_pixels"
        )
    return np.where(there[rows] == wanted, rows, 0)


def failing_rows(run: OpenRun, rows: np.ndarray) -> np.ndarray:
    """Which of these rows (n,) of a run are of pixels that do not work, (n,) bool."""
    failing = run.properties.failing
    return np.zeros(len(rows), bool) if failing is None else failing[rows]


def check_same_kind(run: OpenRun, header: Mapping) -> None:
    """A run has waveforms of the same kind as the run that the peaks were found in.

    `header` is that of the table of the peaks.

    Raises
    ------
    InputError
        Where the number of samples, their unit or the time between them differ.
    """
    properties = run.properties
    for name, value, keyword in (
        ("samples of a waveform", properties.n_samples, "NSAMPLES"),
        ("unit of samples", properties.unit, "UNITSAMP"),
        ("ns between samples", properties.sample_ns, "SAMPLENS"),
    ):
        if value != header[keyword]:
            raise InputError(
                f"run {run.path}: {name} is {value}, but {header[keyword]} in the run"
                f" {header['RUNNAME']}, from which the peaks were found; give runs of one kind"
            )


def check_any_used(n_used: int, bad: Mapping[str, int], path: object) -> None:
    """Raise InputError where no event of a run could be used."""
    if n_used == 0:
        reasons = ", ".join(f"{number} {REASONS[name]}" for name, number in bad.items() if number)
        raise InputError(
            f"run {path}: no event can be used ({reasons}); give a run with good events"
        )


def tell_lost_events(n_read: int, bad: Mapping[str, int], run: str) -> None:
    """Warn where many events of a run are left out for one reason; types are chosen on purpose."""
    for name, number in bad.items():
        if name != "type" and number > MANY_LOST * n_read:
            LOGGER.warning(
                "run %s: %d of %d events are left out: %s", run, number, n_read, REASONS[name]
            )


def check_finite(
    charges: Charges, pixel: np.ndarray, live: np.ndarray, run: str, path: object
) -> None:
    """Warn of the live pixels (n,) bool of a run whose charges are not finite in many events.

    Raises
    ------
    InputError
        Where all of them are such.
    """
    n_good = len(charges.event_id) + charges.bad["other"]
    lost = live & ~np.isfinite(charges.charges).all(axis=1)
    if lost.any() and lost.sum() == live.sum():
        raise InputError(
            f"run {path}: no pixel has finite charges: its samples are NaN or infinite; obtain a"
            " fresh copy"
        )
    for i in np.flatnonzero(lost)[:MOST_NAMED]:
        LOGGER.warning(
            "run %s: the charge of pixel %d is not finite in %d of %d events (NaN or infinite"
            " samples); the run is not used for this pixel (%d such pixels)",
            run, pixel[i], charges.not_finite[i], n_good, lost.sum(),
        )  # fmt: skip


def in_steps(charges: Charges, dtype: np.dtype, window: Window) -> tuple[Charges, float]:
    """The charges of samples of `dtype`, and the step of which they count whole numbers.

    0 for float samples, unless all charges are whole numbers without a baseline: then the samples
    are those of an ADC, and bins that ignore it would hold uneven numbers of them.
    """
    step, values = charge_step(dtype, window), charges.charges
    if step or window.baseline_samples or values.shape[1] < FEWEST_WHOLE:
        return charges, step
    finite = values[np.isfinite(values)]
    if not len(finite) or np.abs(finite).max() > LARGEST_WHOLE or (finite % 1).any():
        return charges, 0.0
    if len(finite) == values.size:
        charges = replace(charges, charges=values.astype(np.int32))
    return charges, 1.0


def masked_pixels(path: object | None, pixel: np.ndarray) -> np.ndarray:
    """Which pixels (n,) bool the table of bad pixels names; none without a table."""
    if not path:
        return np.zeros(len(pixel), bool)
    return np.isin(pixel, read_bad_pixels(path, "PIXEL", HIGHEST_PIXEL + 1))


def tell_pixels_without_waveform(mean_waveform: np.ndarray, pixel: np.ndarray, run: str) -> None:
    """Warn of the pixels (n,) without a mean waveform (n, n_samples); one of them at least has."""
    lost = pixel[~np.isfinite(mean_waveform).all(axis=1)]
    if 0 < len(lost) < len(pixel):
        named = ", ".join(map(str, lost[:MOST_NAMED])) + (", ..." if len(lost) > MOST_NAMED else "")
        LOGGER.warning(
            "run %s: pixel %s has no waveform without NaN or infinite samples (%d such pixels)",
            run, named, len(lost),
        )  # fmt: skip


def tell_outside_waveform(pixel: np.ndarray, run: str) -> None:
    """Warn of the pixels whose window is not inside their waveform."""
    for number in pixel[:MOST_NAMED]:
        LOGGER.warning(
            "run %s: the window of pixel %d, around its peak, is not inside its waveform; the pixel"
            " is left out (%d such pixels); list it in sstcam.bad_pixels, or change"
            " sstcam.charges.window_shift",
            run, number, len(pixel),
        )  # fmt: skip
