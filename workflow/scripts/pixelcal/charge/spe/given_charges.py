"""Charges that a caller of the library hands over: runs as plain arrays, in whole steps."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np

from pixelcal.charge.extraction.copies import (
    check_different_runs,
    check_events_once,
    events_of,
)
from pixelcal.charge.extraction.placeholders import tell_placeholders, without_placeholders
from pixelcal.charge.extraction.steps import FEWEST_EVENTS, has_few_values
from pixelcal.charge.runs.pixel_columns import check_numbers, unique_numbers
from pixelcal.errors import InputError

WHERE = "fit_spe_charges"

LOGGER = logging.getLogger("pixelcal")


def checked_runs(charges: Sequence, step: float | None) -> tuple[list[np.ndarray], float]:
    """Runs of charges, in whole steps where they have a step, and the step.

    A warning counts charges that are missing, and another one tells of charges that look like those
    of an ADC in another unit.

    Parameters
    ----------
    charges : sequence of R (n_pixels, n_flashes) arrays
        NaN, infinite and masked values are missing.
    step : float or None, in the unit of the charges
        As `pixelcal.api.fit_spe_charges` takes it.

    Returns
    -------
    runs : R arrays (n_pixels, n_flashes)
        Whole numbers of steps where there is a step, NaN where a charge is missing.
    step : float

    Raises
    ------
    InputError
        Where the runs do not fit each other, a run has no finite charge, the step is none, charges
        are not multiples of it, or events are there twice.
    """
    if not isinstance(charges, Iterable) or isinstance(charges, str | Mapping):
        raise InputError(f"{WHERE}: charges must be a list of runs, not {type(charges).__name__}")
    runs = [_plain(run) for run in charges]
    if not runs or any(run.ndim != 2 or len(run) != len(runs[0]) or not run.size for run in runs):
        raise InputError(
            f"{WHERE}: give a list of runs, each an array of the shape (n_pixels, n_flashes) with"
            " the same pixels"
        )
    runs = [_without_placeholders(run, number) for number, run in enumerate(runs)]
    _tell_missing(runs)
    if step is None:
        step = 1.0 if all(_is_whole(run) for run in runs) else 0.0
    elif not (isinstance(step, Real) and 0 <= step < math.inf):
        raise InputError(
            f"{WHERE}: the step {step} cannot be that of charges; give the distance between two"
            " charges, or 0 where there is none"
        )
    if not step:
        _tell_unknown_step(runs)
    runs = [_in_steps(run, step) for run in runs]
    _check_events_once(runs)
    return runs, step


def checked_dark(dark, n_runs: int) -> np.ndarray:
    """Which runs are dark (n_runs,) bool; none by default.

    Raises
    ------
    InputError
        Where it is not true or false for each run: numbers would be read as such, whatever they
        count.
    """
    if dark is None:
        return np.zeros(n_runs, bool)
    given = np.asarray(dark)
    if given.shape != (n_runs,) or given.dtype != bool:
        raise InputError(
            f"{WHERE}: give dark one value for each run, True for one without light; it is {dark!r}"
        )
    return given


def _check_events_once(runs: list[np.ndarray]) -> None:
    """Raise InputError where a run holds events twice, or two runs hold the same events."""
    named = [(str(number), events_of(run)) for number, run in enumerate(runs)]
    try:
        for name, events in named:
            check_events_once(events, name)
        check_different_runs(named)
    except InputError as error:
        raise InputError(f"{WHERE}: {error}") from None


def checked_pixels(pixel, n_pixels: int) -> np.ndarray | None:
    """Numbers (n_pixels,) of pixels, or None where none are given.

    Raises
    ------
    InputError
        Where there are more or fewer, one is there twice, or cannot be a number of a pixel.
    """
    if pixel is None:
        return None
    pixel = np.asarray(pixel)
    if pixel.shape != (n_pixels,) or pixel.dtype.kind not in "iuf":
        raise InputError(f"{WHERE}: pixel must have one number for each of the {n_pixels} pixels")
    check_numbers(pixel, WHERE, "pixel")
    return unique_numbers(pixel, WHERE, "pixel")


def _plain(run) -> np.ndarray:
    """A run in the byte order of the machine, with NaN for what is masked or infinite."""
    if np.ma.is_masked(run):
        run = np.ma.filled(np.ma.asarray(run).astype(float), np.nan)
    try:
        run = np.asarray(run)
    except ValueError:
        raise InputError(f"{WHERE}: a run has rows of different lengths; give arrays") from None
    if run.dtype.kind not in "iuf":
        raise InputError(f"{WHERE}: charges must be numbers, and are {run.dtype}")
    if not run.dtype.isnative:
        run = run.astype(run.dtype.newbyteorder("="))
    return np.where(np.isinf(run), np.nan, run) if run.dtype.kind == "f" else run


def _without_placeholders(run: np.ndarray, number: int) -> np.ndarray:
    """A run with NaN for numbers that stand for a missing charge, which are told."""
    run, value = without_placeholders(run, np.ones(len(run), bool))
    tell_placeholders(value, f"{WHERE}: run {number}")
    return run


def _is_whole(run: np.ndarray) -> bool:
    """Whether all charges that are there are whole numbers, of whatever type."""
    if run.dtype.kind in "iu":
        return True
    known = run[np.isfinite(run)]
    return bool(np.all(known == np.rint(known)))


def _in_steps(run: np.ndarray, step: float) -> np.ndarray:
    """The charges of a run as whole multiples of the step, where there is one."""
    if not step:
        return run
    multiples = np.rint(run / step)
    if np.nanmax(np.abs(multiples * step - run), initial=0.0) > 1e-6 * step:
        raise InputError(
            f"{WHERE}: charges are not multiples of the step {step:g}; give the step of the"
            " charges, or 0"
        )
    if np.nanmax(np.abs(multiples), initial=0.0) > np.iinfo(np.int32).max:
        raise InputError(
            f"{WHERE}: a charge has more steps than 32 bits hold; give charges in larger units"
        )
    return multiples.astype(np.int64) if np.isfinite(multiples).all() else multiples


def _tell_missing(runs: list[np.ndarray]) -> None:
    """Warn of charges that are missing; raise InputError where a run has no other."""
    for number, run in enumerate(runs):
        n_missing = run.size - np.count_nonzero(np.isfinite(run))
        if n_missing == run.size:
            raise InputError(
                f"{WHERE}: run {number} has no finite charge; leave it out, or correct its charges"
            )
        if n_missing:
            LOGGER.warning(
                "%s: %d of %d charges of run %d are missing (NaN, infinite or masked) and left out;"
                " if the large ones are missing, the light is underestimated",
                WHERE, n_missing, run.size, number,
            )  # fmt: skip


def _tell_unknown_step(runs: list[np.ndarray]) -> None:
    """Warn where charges are those of an ADC in another unit: bins then hold uneven numbers."""
    for number, run in enumerate(runs):
        if run.shape[1] >= FEWEST_EVENTS and any(map(has_few_values, run)):
            LOGGER.warning(
                "%s: run %d has few distinct charges, like those of an ADC in another unit; give"
                " the distance between them as step, or bins are uneven",
                WHERE, number,
            )  # fmt: skip
            return
