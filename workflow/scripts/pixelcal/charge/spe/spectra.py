"""Charges of the runs as spectra: counts of flashes per pixel, run and charge.

Bins are a whole number of charge steps wide and aligned with them, so that no bin holds more of the
possible charges than the next. Each pixel has a width of its bins, and each of its runs a first
bin: what becomes of a pixel does not depend on the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.errors import InputError

BINS_PER_QUARTILES = 100
"""Bins between the quartiles of the darkest run, about one photoelectron: still four bins in the
width of a pedestal of 0.04 photoelectrons, narrower than any."""

REACH = 12.0
"""Followed beyond the quartiles, in their distance; charges further out count into the end bins. A
dozen photoelectrons in a run of about one: stray events, which must not fill the memory."""


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
        Of the darkest run, in steps where there are any.
    step : float
        Charge of one step; 0 where charges are no multiples of anything.
    """
    low, high = np.percentile(charges, [25, 75], axis=1)
    width = (high - low) / BINS_PER_QUARTILES
    if step:
        return step * np.maximum(np.floor(width), 1.0)
    spread = width[width > 0]  # NaN without a number, 0 in a pixel that always reads the same
    width = np.where(width > 0, width, np.median(spread) if len(spread) else 1.0)
    # Two digits: an event more must not move every bin.
    digits = 10.0 ** (np.floor(np.log10(width)) - 1)
    return np.round(width / digits) * digits


def fill_run(charges: np.ndarray, step: float, width: np.ndarray) -> RunSpectrum:
    """Histogram the charges (n, n_events) of one run in bins of a width per pixel (n,).

    Charges that are not finite are in no bin.
    """
    n_pixels = len(charges)
    start, index = np.empty(n_pixels), []
    for i, flashes in enumerate(charges):
        values = flashes * step if step else flashes[np.isfinite(flashes)].astype(float)
        if not len(values):
            start[i] = 0.0
            index.append(np.zeros(1, np.int64))
            continue
        low, high = np.percentile(values, [25, 75])
        reach = REACH * max(high - low, width[i])
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
