"""The gain of each run of a set by itself: do runs that are fitted together belong together?

The fit gives all runs of a pixel one gain. Here each run has its own gain, crosstalk, pedestal and
light, and only the widths are shared: from the maximum of the joint fit one step of Fisher scoring
leads to the maximum of that larger model (Rao's score test), without fitting again. Crosstalk is
free too, so that a lamp that fluctuates in one run does not pass for a gain.

Where bias voltage or temperature changed between the runs, the gains of all pixels change together;
where one pixel alone changes, the trouble is its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.dark_run.spectrum import model_runs
from pixelcal.charge.spe.likelihood import MARGIN_ABOVE, MARGIN_BELOW, group_bins
from pixelcal.charge.spe.model_spectra import noise_of, run_parameters
from pixelcal.charge.spe.parameters import EPED, N_PARAMETERS, PE, V_PE, V_PED
from pixelcal.numerics.statistics import robust_std

BINS_PER_WIDTH = 4.0
"""Bins in a width of the pedestal, as in the fit."""
SHARED_WIDTHS = (V_PED, V_PE)
CHANGING = (PE, EPED)
LARGEST_ERROR = 0.1
"""A run whose gain is known worse, as one without light, says nothing."""
FEWEST_PIXELS = 4

CLEAR_SIGMA = 5.0
"""Gains differ where they do by so many standard errors, ..."""
LEAST_CHANGE = 0.01
"""... and by this fraction, in the median over the camera, ..."""
LEAST_CHANGE_OF_A_PIXEL = 0.03
"""... or in one pixel. Less does no harm: charges of the set are then at the mean of its gains."""


class RunGains(NamedTuple):
    """Gains of the runs relative to those of the joint fits.

    gain, gain_err : (n_pixels, n_runs), 0 where a run agrees with the joint fit; NaN unknown
    camera, camera_err : (n_runs,), median over the pixels
    pixel_changes : (n_pixels,) bool, the pixel's gain changes and the camera's does not explain it
    camera_changes : bool
    """

    gain: np.ndarray
    gain_err: np.ndarray
    camera: np.ndarray
    camera_err: np.ndarray
    pixel_changes: np.ndarray
    camera_changes: bool


def run_gains(counts, start, width, rows, use: np.ndarray) -> RunGains:
    """Gain of every pixel in each run by itself.

    Parameters
    ----------
    counts : (n_pixels, n_runs, n_bins) int
    start : (n_pixels, n_runs) float
    width : (n_pixels,) float
        The spectra that were fitted.
    rows : (n_pixels,) structured array of the fits
    use : (n_pixels,) bool
        Those with a valid fit that is worth it; the others have NaN.
    """
    n_pixels, n_runs, _ = counts.shape
    gain, error = np.full((2, n_pixels, n_runs), np.nan)
    parameters = run_parameters(rows)
    for i in np.flatnonzero(use):
        change, change_err = one_step(
            counts[i], start[i], width[i], parameters[i], noise_of(rows[i])
        )
        gain[i], error[i] = change[0], change_err[0]
    unclear = ~(error < LARGEST_ERROR)
    gain[unclear], error[unclear] = np.nan, np.nan
    pairs = zip(gain.T, error.T, strict=True)
    camera, camera_err = np.array([_median(*run) for run in pairs]).reshape(-1, 2).T
    difference, difference_err = _largest_difference(camera, camera_err)
    beside = gain - np.nan_to_num(camera)
    pixel_changes = np.zeros(n_pixels, bool)
    for i in np.flatnonzero(np.isfinite(beside).sum(axis=1) > 1):
        change, change_err = _largest_difference(beside[i], error[i])
        clear = change > CLEAR_SIGMA * change_err
        pixel_changes[i] = clear and change > LEAST_CHANGE_OF_A_PIXEL
    changes = difference > LEAST_CHANGE and difference > CLEAR_SIGMA * difference_err
    return RunGains(gain, error, camera, camera_err, pixel_changes, bool(changes))


def _median(values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Median of values (n,) with their standard errors (n,), and its standard error; NaN with fewer
    known than `FEWEST_PIXELS`.

    Values scatter by their errors at least: with a few pixels they scatter by less by chance.
    """
    known = np.isfinite(values)
    if known.sum() < FEWEST_PIXELS:
        return np.nan, np.nan
    scatter = max(robust_std(values[known]), float(np.median(errors[known])))
    error = np.sqrt(np.pi / 2) * scatter / np.sqrt(known.sum())
    return float(np.median(values[known])), float(error)


def _largest_difference(values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Highest less lowest of the known values (n,), and its standard error; 0 and inf for one."""
    known = np.flatnonzero(np.isfinite(values) & np.isfinite(errors))
    if len(known) < 2:
        return 0.0, np.inf
    high, low = known[np.argmax(values[known])], known[np.argmin(values[known])]
    return float(values[high] - values[low]), float(np.hypot(errors[high], errors[low]))


def one_step(counts, start, width, parameters, noise) -> tuple[np.ndarray, np.ndarray]:
    """Change of gain and pedestal of each run by itself, one step of Fisher scoring from a fit.

    Parameters
    ----------
    counts : (R, n) int
    start : (R,) float
    width : float
        Spectra of one pixel.
    parameters : (R, 6) float
        Of the fit, as `model_spectra.run_parameters` gives them.
    noise : (N_NOISE,) float, DarkNoise, or None
        Stays as it is.

    Returns
    -------
    change, error : (2, R) float
        Of the gain and of the pedestal, in units of the gain; NaN where nothing is known.
    """
    pedestal, pe = np.sqrt(parameters[0, V_PED]), parameters[0, PE]
    group = max(int(pedestal / (BINS_PER_WIDTH * width)), 1)
    below = int(MARGIN_BELOW * pedestal / (width * group)) + 1
    above = int(MARGIN_ABOVE * pe / (width * group)) + 1
    spectra = group_bins(counts.astype(float), start, float(width), group, below, above)
    n_runs, n = spectra.counts.shape
    n_shared, n_per_run = len(SHARED_WIDTHS), N_PARAMETERS - len(SHARED_WIDTHS)
    per_run = [i for i in range(N_PARAMETERS) if i not in SHARED_WIDTHS]
    size = n_shared + n_per_run * n_runs
    score, information = np.zeros(size), np.zeros((size, size))
    probability, gradient = model_runs(parameters, noise, spectra)
    for run in range(n_runs):
        slope = gradient[run] / probability[run]
        place = np.zeros(N_PARAMETERS, int)
        place[list(SHARED_WIDTHS)] = range(n_shared)
        place[per_run] = n_shared + n_per_run * run + np.arange(n_per_run)
        score[place] += slope @ spectra.counts[run]
        information[np.ix_(place, place)] += spectra.counts[run].sum() * slope @ gradient[run].T
    scale = np.sqrt(np.diag(information))
    scale = np.where(scale > 0, scale, 1.0)
    if not np.isfinite(information).all():
        return np.full((2, len(CHANGING), n_runs), np.nan)
    covariance = np.linalg.pinv(information / np.outer(scale, scale), hermitian=True)
    step = covariance @ (score / scale) / scale
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale
    first = n_shared + n_per_run * np.arange(n_runs)
    at = np.array([first + per_run.index(name) for name in CHANGING])
    known = np.diag(information)[at] > 0
    return (
        np.where(known, step[at] / pe, np.nan),
        np.where(known & (error[at] > 0), error[at] / pe, np.nan),
    )
