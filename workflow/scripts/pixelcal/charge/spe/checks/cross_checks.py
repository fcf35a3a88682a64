"""The gain of a pixel in two other ways, beside the fit: would a wrong gain be noticed?

- Peaks: the charges stand in a comb, and the characteristic function |<exp(2 pi i f q)>|^2 of the
  spectra has its strongest maximum at one over the spacing.
- Moments (photon transfer, F-factor): variance over mean of the charges above the pedestal is the
  gain times the excess noise of crosstalk and width.

Both are also taken from the spectra that the fit expects, in the same bins. The gain of the check
is that of the fit times the ratio, so that neither has a bias where the model is right.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.dark_run.spectrum import model_runs
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, PE, V_PED
from pixelcal.charge.spe.start import N_FREQUENCIES, strongest_spacing
from pixelcal.numerics.jit import njit

NEWTON_STEPS = 5
SEARCH_STEP = math.log(25.0) / (N_FREQUENCIES - 1)
"""Of the logarithm of the frequency, in the search for the strongest maximum."""
FEWEST_BINS = 2.0
"""Of a spacing: with fewer, the strongest comb is that of the bins themselves."""
CLEAR_SIGMA = 5.0
"""A check disagrees where it does by so many of its errors, ..."""
PEAKS_DIFFER, MOMENTS_DIFFER = 0.03, 0.10
"""... and by this fraction of the gain: what a model that is nearly right may do to it."""
LARGEST_ERROR = 0.3
"""A check that is known worse says nothing."""


class Check(NamedTuple):
    """Gain of a check over that of the fit, and its standard error; NaN where it says nothing."""

    ratio: float
    error: float

    def disagrees(self, least: float) -> bool:
        """Whether the gains differ clearly, and by at least a fraction."""
        off = abs(self.ratio - 1.0)
        return off > CLEAR_SIGMA * self.error and off > least


NOTHING = Check(math.nan, math.nan)


def gains_beside(spectra: Spectra, theta, noise) -> tuple[Check, Check]:
    """Both checks of a fit.

    Parameters
    ----------
    spectra : Spectra
        R runs of n bins.
    theta : (4 + 2 R,) float
        The fit, in the parameters of `likelihood`.
    noise : (N_NOISE,) float, dark_run.spectrum.DarkNoise, or None
        What is in the model beside the flash, as `dark_run.spectrum.model_runs` takes it.
    """
    per_run = theta[N_SHARED:].reshape(-1, N_PER_RUN)
    shared = np.broadcast_to(theta[:N_SHARED], (len(per_run), N_SHARED))
    probability, _ = model_runs(np.hstack([shared, per_run]), noise, spectra)
    expected = spectra.counts.sum(axis=1, keepdims=True) * probability
    eped = theta[N_SHARED::N_PER_RUN]
    return (
        gain_by_peaks(spectra, expected, float(theta[PE])),
        gain_by_moments(spectra, expected, eped, float(theta[V_PED])),
    )


def disagree(peaks: Check, moments: Check) -> bool:
    """Whether some check says that the gain of the fit is wrong."""
    return peaks.disagrees(PEAKS_DIFFER) or moments.disagrees(MOMENTS_DIFFER)


def gain_by_peaks(spectra: Spectra, expected: np.ndarray, pe: float) -> Check:
    """From the spacing of the peaks.

    Parameters
    ----------
    spectra : Spectra
        R runs of n bins.
    expected : (R, n) float
        Flashes that the fit expects in each bin.
    pe : float
        Spacing of the fit, at which the comb of what it expects is sought.
    """
    spacing = strongest_spacing(spectra)
    if not spacing > FEWEST_BINS * spectra.width:
        return NOTHING
    found, error = comb_maximum(spectra.counts, spectra.width, 1.0 / spacing)
    modelled, _ = comb_maximum(expected, spectra.width, 1.0 / pe)
    if not modelled > 0.0:
        spacing = strongest_spacing(spectra._replace(counts=expected))
        if spacing > 0.0:
            modelled, _ = comb_maximum(expected, spectra.width, 1.0 / spacing)
    ratio, relative = modelled / found, error / found
    return Check(ratio, ratio * relative) if relative < LARGEST_ERROR else NOTHING


@njit
def comb_maximum(counts, width, first):
    """Frequency of the maximum of the characteristic function near `first`, and its error.

    Newton's method for the sum of |<exp(2 pi i f q)>|^2 over the runs, counts (R, n) in bins of
    `width`. The gradient is a mean over the flashes of each run, so its variance follows from
    theirs. NaN where no maximum is near.
    """
    frequency = first
    for step in range(NEWTON_STEPS):
        gradient, curvature, variance = 0.0, 0.0, 0.0
        for run in range(counts.shape[0]):
            total, mean = 0.0, 0.0
            for j in range(counts.shape[1]):
                total += counts[run, j]
                mean += counts[run, j] * j
            mean /= total
            # From bin to bin the wave turns by the same angle: cheaper than an exponential each.
            start = np.exp(-2j * math.pi * width * mean * frequency)
            turn = np.exp(2j * math.pi * width * frequency)
            wave, value, slope, bend = start, 0j, 0j, 0j
            for j in range(counts.shape[1]):
                part, off = counts[run, j] * wave, j - mean
                value += part
                slope += off * part
                bend += off * off * part
                wave *= turn
            by = 2j * math.pi * width
            value, slope, bend = value / total, by * slope / total, by * by * bend / total
            of_run = 2.0 * (value.conjugate() * slope).real
            gradient += of_run
            curvature += 2.0 * ((value.conjugate() * bend).real + abs(slope) ** 2)
            if step < NEWTON_STEPS - 1:
                continue
            scatter, wave = 0.0, start
            for j in range(counts.shape[1]):
                one = (value.conjugate() * by * (j - mean) * wave + slope * wave.conjugate()).real
                scatter += counts[run, j] * (2.0 * one - 2.0 * of_run) ** 2
                wave *= turn
            variance += scatter / total**2
        if not curvature < 0.0:
            return math.nan, math.nan
        if step < NEWTON_STEPS - 1:
            frequency -= gradient / curvature
            if not abs(math.log(max(frequency / first, 1e-9))) < 2.0 * SEARCH_STEP:
                return math.nan, math.nan
    return frequency, math.sqrt(variance) / abs(curvature)


def gain_by_moments(spectra: Spectra, expected: np.ndarray, eped, v_ped: float) -> Check:
    """From mean and variance of the charges above the pedestal.

    Parameters
    ----------
    spectra, expected : as in `gain_by_peaks`
    eped : (R,) float
        Pedestal of each run, from the fit.
    v_ped : float
        Its variance, from the fit.
    """
    slope, error = _transfer(spectra, spectra.counts, eped, v_ped)
    known, expected_error = _transfer(spectra, expected, eped, v_ped)
    use = (slope > 0) & (known > 0) & (error > 0) & (expected_error > 0)
    if not use.any():
        return NOTHING
    ratio, relative = slope[use] / known[use], error[use] / known[use]
    # By expected errors: those of the data are larger where the slope is by chance.
    weight = (known[use] / expected_error[use]) ** 2
    weight /= weight.sum()
    mean_error = float(np.sqrt((weight**2 * relative**2).sum()))
    if not mean_error < LARGEST_ERROR:
        return NOTHING
    return Check(float((weight * ratio).sum()), mean_error)


@njit
def _transfer(spectra: Spectra, counts, eped, v_ped):
    """Variance over mean (R,) above the pedestal, and its standard error."""
    n_runs, n = counts.shape
    slope, error = np.empty(n_runs), np.empty(n_runs)
    for run in range(n_runs):
        flashes, mean, variance = 0.0, 0.0, 0.0
        for j in range(n):
            flashes += counts[run, j]
            mean += counts[run, j] * j
        mean /= flashes
        for j in range(n):
            variance += counts[run, j] * (spectra.width * (j - mean)) ** 2
        variance /= flashes
        light = spectra.start[run] + spectra.width * (mean + 0.5) - eped[run]
        slope[run] = (variance - v_ped - spectra.width**2 / 12.0) / light
        scatter = 0.0
        for j in range(n):
            off = spectra.width * (j - mean)
            scatter += counts[run, j] * ((off * off - variance - slope[run] * off) / light) ** 2
        error[run] = math.sqrt(scatter) / flashes
    return slope, error
