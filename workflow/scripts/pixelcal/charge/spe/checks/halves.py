"""Does a pixel change within a run? The first half of its flashes against the second.

Three things are compared:

- Gain and pedestal, by where the peaks of each half are: one step of Fisher scoring from the fit
  (`run_gains.one_step`), in which each half has its own gain, pedestal, crosstalk and light. Light
  is free, so that a lamp that drifts is not taken for a gain, and changes of all pixels are seen.
- The mean charge of a run with light: its change relative to the charge above the pedestal, beside
  the median change of the camera, which is that of the lamp.
- The mean charge of a dark run, where no lamp can change: as it is.

Charges keep the order of the flashes; histograms do not, and are not checked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.charge.extraction.io import ChargeFile
from pixelcal.charge.spe.checks.run_gains import FEWEST_PIXELS, LARGEST_ERROR, one_step
from pixelcal.charge.spe.model_spectra import noise_of, run_parameters
from pixelcal.charge.spe.spectra import fill_run
from pixelcal.numerics.statistics import robust_std

CLEAR_SIGMA = 5.0
"""Halves differ where they do by so many standard errors: by chance in 6e-7 of all comparisons, of
which a set of three runs has nine, ..."""
LEAST_CHANGE = 0.03
"""... and by this fraction of the gain, or of the mean charge (of a gain, if that is more), ..."""
LEAST_PEDESTAL = 0.05
"""... or the pedestal by this fraction of the gain: it adds 1 % to a width of 0.2 of it."""
FEWEST_FLASHES = 100
"""In a half, for its standard errors to be known."""


class HalfChanges(NamedTuple):
    """Changes within one run, second half less first; NaN where they are not known.

    gain, gain_err : (n_pixels,), relative
    pedestal, pedestal_err : (n_pixels,), in gains
    mean, mean_err : (n_pixels,), of the mean charge, beside the camera's, in gains
    changes : (n_pixels,) bool, at least one of them is beyond doubt
    """

    gain: np.ndarray
    gain_err: np.ndarray
    pedestal: np.ndarray
    pedestal_err: np.ndarray
    mean: np.ndarray
    mean_err: np.ndarray
    changes: np.ndarray


def changes_within(
    run: ChargeFile, rows: np.ndarray, width: np.ndarray, number: int, dark: bool, use: np.ndarray
) -> HalfChanges:
    """The halves of one run against each other.

    Parameters
    ----------
    run : ChargeFile
        With the flashes in the order in which they were taken.
    rows : (n_pixels,) structured array of the fits
    width : (n_pixels,) float
        Of the bins that were fitted.
    number : int
        Of the run in the columns of the fits.
    dark : bool
        Whether the run has no light.
    use : (n_pixels,) bool
        Those with a valid fit that is worth it; the others have NaN.
    """
    half, unknown = run.charges.shape[1] // 2, np.full(len(rows), np.nan)
    if half < FEWEST_FLASHES:
        return HalfChanges(*[unknown] * 6, np.zeros(len(rows), bool))
    halves, step = (run.charges[:, :half], run.charges[:, half:]), run.step or 1.0
    pe = np.where(use, rows["PE"], np.nan) / step
    mean, mean_err, light = _mean_change(halves, rows["EPED"][:, number] / step, pe)
    if dark:
        changes = _is_clear(mean, mean_err, LEAST_PEDESTAL)
        return HalfChanges(*[unknown] * 4, mean, mean_err, changes)
    mean, mean_err = _beside_camera(mean, mean_err, light)
    changes = _is_clear(mean, mean_err, LEAST_CHANGE * np.fmax(light, 1.0))
    peaks, peaks_err = _peak_change(halves, run.step, rows, width, number, use)
    for change, error, least in zip(peaks, peaks_err, (LEAST_CHANGE, LEAST_PEDESTAL), strict=True):
        changes |= _is_clear(change, error, least)
    return HalfChanges(peaks[0], peaks_err[0], peaks[1], peaks_err[1], mean, mean_err, changes)


def _is_clear(change, error, least) -> np.ndarray:
    """Whether changes (n,) are large, and beyond doubt."""
    with np.errstate(invalid="ignore"):
        return (np.abs(change) > CLEAR_SIGMA * error) & (np.abs(change) > least)


def _peak_change(halves, step, rows, width, number, use) -> tuple[np.ndarray, np.ndarray]:
    """Changes (2, n) of gain and pedestal by the peaks, in gains, and their standard errors."""
    change, error = np.full((2, 2, len(rows)), np.nan)
    parameters = run_parameters(rows)[:, [number, number]]
    for i in np.flatnonzero(use):
        filled = [fill_run(part[i : i + 1], step, width[i : i + 1]) for part in halves]
        counts = np.zeros((2, max(of.counts.shape[1] for of in filled)), np.int64)
        for to, of in zip(counts, filled, strict=True):
            to[: of.counts.shape[1]] = of.counts[0]
        if counts.sum(axis=1).min() < FEWEST_FLASHES:
            continue
        start = np.array([of.start[0] for of in filled])
        found, found_err = one_step(counts, start, width[i], parameters[i], noise_of(rows[i]))
        known = (found_err < LARGEST_ERROR).all(axis=1)
        change[:, i] = np.where(known, found[:, 1] - found[:, 0], np.nan)
        error[:, i] = np.where(known, np.hypot(*found_err.T), np.nan)
    return change, error


def _mean_change(halves, eped, pe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Change of the mean, its standard error, and the mean above the pedestal, (n,) in gains."""
    change, error, light = np.full((3, len(pe)), np.nan)
    for i in np.flatnonzero(np.isfinite(pe)):
        parts = [part[i][np.isfinite(part[i])].astype(float) for part in halves]
        if min(map(len, parts)) < FEWEST_FLASHES:
            continue
        first, second = (part.mean() for part in parts)
        change[i] = (second - first) / pe[i]
        error[i] = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / pe[i]
        light[i] = (0.5 * (first + second) - eped[i]) / pe[i]
    return change, error, light


def _beside_camera(change, error, light) -> tuple[np.ndarray, np.ndarray]:
    """Changes (n,) without what the light of all pixels does, and their errors.

    Errors have the scatter of the camera that counting does not explain, as of light that shifts
    from one side to the other. NaN with too few pixels.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        relative, relative_err = change / light, error / light
    known = np.isfinite(relative) & (light > 0)
    if known.sum() < FEWEST_PIXELS:
        return np.full((2, len(change)), np.nan)
    beside = relative - np.median(relative[known])
    pull = robust_std(beside[known] / relative_err[known])
    scatter = np.sqrt(max(pull**2 - 1.0, 0.0)) * np.median(relative_err[known])
    beside[~known] = np.nan
    return beside * light, np.hypot(relative_err, scatter) * light
