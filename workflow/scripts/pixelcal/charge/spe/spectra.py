"""Charges of the runs as spectra: counts of flashes per pixel, run and charge.

Bins are a whole number of charge steps wide and aligned with them, so that no bin holds more of the
possible charges than the next. Each pixel has a width of its bins, and each of its runs a first
bin: what becomes of a pixel does not depend on the others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pixelcal.errors import InputError

LOGGER = logging.getLogger("pixelcal")

BINS_PER_QUARTILES = 100
"""Bins between the quartiles of the darkest run, about one photoelectron: still four bins in the
width of a pedestal of 0.04 photoelectrons, narrower than any."""

REACH = 12.0
"""Followed beyond the quartiles, in their distance; charges further out count into the end bins. A
dozen photoelectrons in a run of about one: stray events, which must not fill the memory."""

SAME_WIDTH = 1e-6
"""Relative difference of widths of ready histograms that is rounding."""
COARSE = 8.0
"""Bins between the quartiles of the darkest run, below which its peaks can hardly be told apart."""


@dataclass(frozen=True)
class RunSpectrum:
    """Spectra of one run.

    counts (n, m) int32; start (n,) float, lower edge of the first bin; both by pixel.
    """

    counts: np.ndarray
    start: np.ndarray


def bin_widths(charges: np.ndarray, step: float) -> np.ndarray:
    """Width (n,) of the bins of each pixel, in units of charge.

    Parameters
    ----------
    charges : (n, n_events) int or float
        Of the darkest run, in steps where there are any; those that are not finite do not count.
    step : float
        Charge of one step; 0 where charges are no multiples of anything.
    """
    low, high = _quartiles_of(charges)
    width = (high - low) / BINS_PER_QUARTILES
    if step:
        return step * np.fmax(np.floor(width), 1.0)
    spread = width[width > 0]  # NaN without a number, 0 in a pixel that always reads the same
    width = np.where(width > 0, width, np.median(spread) if len(spread) else 1.0)
    # Two digits: an event more must not move every bin.
    digits = 10.0 ** (np.floor(np.log10(width)) - 1)
    return np.round(width / digits) * digits


def _quartiles_of(charges: np.ndarray) -> np.ndarray:
    """Quartiles (2, n) of charges (n, n_events); of those that are finite, NaN without one."""
    if np.isfinite(charges).all():
        return np.percentile(charges, [25, 75], axis=1)
    found = np.full((2, len(charges)), np.nan)
    for i, flashes in enumerate(charges):
        known = flashes[np.isfinite(flashes)]
        if len(known):
            found[:, i] = np.percentile(known, [25, 75])
    return found


def fill_run(
    charges: np.ndarray, step: float, width: np.ndarray, dark: bool = False
) -> RunSpectrum:
    """Histogram the charges (n, n_events) of one run in bins of a width per pixel (n,).

    Charges that are not finite are in no bin. Those of a `dark` run are followed as far as if its
    quartiles were as far apart as those of the run that the bins are made for.
    """
    n_pixels = len(charges)
    start, index = np.empty(n_pixels), []
    for i, flashes in enumerate(charges):
        known = flashes[np.isfinite(flashes)]
        values = known * step if step else known.astype(float)
        if not len(values):
            start[i] = 0.0
            index.append(np.zeros(1, np.int64))
            continue
        low, high = np.percentile(values, [25, 75])
        reach = REACH * max(high - low, width[i] * (BINS_PER_QUARTILES if dark else 1))
        first, last = max(values.min(), low - reach), min(values.max(), high + reach)
        start[i] = first - 0.5 * (step or width[i])
        n = int((last - start[i]) / width[i]) + 1
        bins = np.floor((values - start[i]) / width[i] + 1e-9).astype(np.int64)
        index.append(np.bincount(np.clip(bins, 0, n - 1), minlength=n))
    counts = np.zeros((n_pixels, max(map(len, index), default=1)), np.int32)
    for row, filled in zip(counts, index, strict=True):
        row[: len(filled)] = filled
    return RunSpectrum(counts, start)


def spectra_rows(pixel: np.ndarray, width: np.ndarray, runs: list[RunSpectrum]) -> np.ndarray:
    """Rows of the table SPECTRA: PIXEL, WIDTH, START (R,), COUNTS (R, m).

    Parameters
    ----------
    pixel : (n,) int
    width : (n,) float
        From `bin_widths`.
    runs : list of R RunSpectrum
        In order of light.

    Raises
    ------
    InputError
        Where there is no run.
    """
    if not runs:
        raise InputError("SPE spectra: there is no run; give at least one low-illumination run")
    n_bins = max(run.counts.shape[1] for run in runs)
    rows = np.zeros(len(pixel), spectra_dtype(len(runs), n_bins))
    rows["PIXEL"], rows["WIDTH"] = pixel, width
    for number, run in enumerate(runs):
        rows["START"][:, number] = run.start
        rows["COUNTS"][:, number, : run.counts.shape[1]] = run.counts
    return rows


def spectra_of_charges(runs: list[np.ndarray], step: float, pixel, dark: np.ndarray) -> np.ndarray:
    """Rows of the table SPECTRA of charges of `given_charges.checked_runs`.

    Parameters
    ----------
    pixel : (n,) int or None
        Numbers of the pixels; None: 0, 1, 2 and so on.
    dark : (R,) bool
        Runs without light. Bins are made for the darkest of the others.
    """
    lit = [run for run, without in zip(runs, dark, strict=True) if not without] or runs
    width = bin_widths(min(lit, key=np.nanmean), step)
    number = np.arange(len(width)) if pixel is None else pixel
    filled = [fill_run(run, step, width, of) for run, of in zip(runs, dark, strict=True)]
    return spectra_rows(number, width, filled)


def columns_of(spectra) -> tuple[np.ndarray, ...]:
    """COUNTS, START, WIDTH and PIXEL of the table SPECTRA, as a fit takes them."""
    return tuple(np.asarray(spectra[name]) for name in ("COUNTS", "START", "WIDTH", "PIXEL"))


def spectra_dtype(n_runs: int, n_bins: int) -> np.dtype:
    """Columns of the table SPECTRA."""
    return np.dtype(
        [
            ("PIXEL", "i2"),
            ("WIDTH", "f8"),
            ("START", "f8", (n_runs,)),
            ("COUNTS", "i4", (n_runs, n_bins)),
        ]
    )


# --- ready histograms -----------------------------------------------------------------------------


def spectra_of_histograms(
    pixel: np.ndarray, masked: np.ndarray, runs: Sequence, paths: Sequence
) -> tuple[np.ndarray, np.ndarray]:
    """Histograms as rows (n,) of the table SPECTRA, and which pixels (n,) bool have coarse bins.

    The bins are those that would be made of the charges, as far as those given allow it: narrow
    ones are added up, empty ones at the ends left out, and what is far outside is in the end bins.

    Parameters
    ----------
    pixel : (n,) int
    masked : (n,) bool
        Pixels that the user leaves out: their bins are not compared.
    runs : R objects with counts (n, m) int, start (n,) and width (n,) float, by rising light
        `runs.ready_histograms.ReadyHistograms` of these pixels.
    paths : R paths, for what is said

    Raises
    ------
    InputError
        Where the bins of a pixel have another width in another run.
    """
    width = runs[0].width
    for run, path in zip(runs, paths, strict=True):
        other = np.flatnonzero(~masked & (np.abs(run.width - width) > SAME_WIDTH * width))
        if len(other):
            raise InputError(
                f"run {path}: the bins of pixel {pixel[other[0]]} are {run.width[other[0]]:g} wide,"
                f" but {width[other[0]]:g} in {paths[0]}; give all runs of a pixel the same width"
            )
    quartiles = np.array([_quartiles(counts) for counts in runs[0].counts]).reshape(-1, 2)
    distance = quartiles[:, 1] - quartiles[:, 0]
    group = np.maximum(np.floor(distance / BINS_PER_QUARTILES), 1.0).astype(int)
    spectra = []
    for run in runs:
        parts = [_trimmed(counts, size) for counts, size in zip(run.counts, group, strict=True)]
        filled = np.zeros((len(pixel), max(len(part) for _, part in parts)), np.int32)
        for to, (_, part) in zip(filled, parts, strict=True):
            to[: len(part)] = part
        first = np.array([number for number, _ in parts])
        spectra.append(RunSpectrum(filled, run.start + first * width))
    coarse = (runs[0].counts.sum(axis=1) > 0) & (distance < COARSE)
    return spectra_rows(pixel, width * group, spectra), coarse


def _quartiles(counts: np.ndarray) -> tuple[float, float]:
    """Quartiles of a histogram (m,), in bins from the middle of the first; 0 where it is empty.

    Those that numpy gives for charges in the middles of their bins.
    """
    total = np.cumsum(counts)
    if not total[-1]:
        return 0.0, 0.0
    place = (total[-1] - 1) * np.array([0.25, 0.75])
    lower = np.searchsorted(total, np.floor(place), side="right")
    upper = np.searchsorted(total, np.ceil(place), side="right")
    low, high = lower + (place % 1) * (upper - lower)
    return float(low), float(high)


def _trimmed(counts: np.ndarray, group: int) -> tuple[int, np.ndarray]:
    """First bin kept, and the counts from there on in groups of bins."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return 0, np.zeros(1, np.int64)
    low, high = _quartiles(counts)
    reach = REACH * max(high - low, float(group))
    first = max(filled[0], int(np.floor(low - reach)))
    last = min(filled[-1], int(np.ceil(high + reach)))
    index = np.clip(np.arange(len(counts)), first, last) - first
    return int(first), np.bincount(index // group, counts).astype(np.int64)


def tell_coarse(pixel: np.ndarray) -> None:
    """Warn of pixels (n,) whose bins are too wide for the peaks of photoelectrons."""
    if len(pixel):
        LOGGER.warning(
            "pixel %d: has fewer than %g bins between the quartiles of its darkest run (%d such"
            " pixels); peaks can hardly be separated; give narrower bins",
            pixel[0], COARSE, len(pixel),
        )  # fmt: skip
