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

from pixelcal.charge.spe.likelihood import Spectra, copy_parameters
from pixelcal.charge.spe.model import (
    N_PARAMETERS,
    N_PER_RUN,
    N_SHARED,
    V_PED,
    bin_probabilities,
)
from pixelcal.charge.spe.noise.spectrum import bin_probabilities as noisy_probabilities
from pixelcal.charge.spe.start import N_FREQUENCIES, strongest_spacing

NEWTON_STEPS = 6
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


def gains_beside(spectra: Spectra, theta, noisy) -> tuple[Check, Check]:
    """Both checks of a fit.

    Parameters
    ----------
    spectra : Spectra
        R runs of n bins.
    theta : (4 + 2 R,) float
        The fit, in the parameters of `likelihood`.
    noisy : (N_COMMON + 2 R,) float or None
        With noise, in those of `noise.spectrum`; None without.
    """
    if noisy is not None:
        probability = noisy_probabilities(noisy, spectra)[0]
    else:
        probability = np.empty(spectra.counts.shape)
        parameters = np.empty(N_PARAMETERS)
        gradient = np.empty((N_PARAMETERS, probability.shape[1]))
        for run, row in enumerate(probability):
            copy_parameters(theta, run, parameters)
            bin_probabilities(parameters, spectra.start[run], spectra.width, row, gradient)
    expected = spectra.counts.sum(axis=1, keepdims=True) * probability
    eped = theta[N_SHARED::N_PER_RUN]
    return (
        gain_by_peaks(spectra, expected),
        gain_by_moments(spectra, expected, eped, float(theta[V_PED])),
    )


def disagree(peaks: Check, moments: Check) -> bool:
    """Whether some check says that the gain of the fit is wrong."""
    return peaks.disagrees(PEAKS_DIFFER) or moments.disagrees(MOMENTS_DIFFER)


def gain_by_peaks(spectra: Spectra, expected: np.ndarray) -> Check:
    """From the spacing of the peaks.

    Parameters
    ----------
    spectra : Spectra
        R runs of n bins.
    expected : (R, n) float
        Flashes that the fit expects in each bin.
    """
    found = _comb(spectra)
    modelled = _comb(spectra._replace(counts=expected))
    if found is None or modelled is None:
        return NOTHING
    ratio, error = modelled[0] / found[0], found[1] / found[0]
    return Check(ratio, ratio * error) if error < LARGEST_ERROR else NOTHING


def _comb(spectra: Spectra) -> tuple[float, float] | None:
    """Frequency of the strongest maximum of the characteristic function, and its error."""
    spacing = strongest_spacing(spectra)
    if not spacing > 0.0:
        return None
    counts = spectra.counts
    flashes = counts.sum(axis=1, keepdims=True)
    place = spectra.width * np.arange(counts.shape[1]) * np.ones_like(counts)
    # Its absolute value does not depend on the origin; around the mean the sums stay small.
    place = place - (counts * place).sum(axis=1, keepdims=True) / flashes
    first = frequency = 1.0 / spacing
    for step in range(NEWTON_STEPS):
        phase = np.exp(2j * np.pi * frequency * place)
        turn = 2j * np.pi * place
        value, slope, bend = (
            (counts * factor * phase).sum(axis=1) / flashes[:, 0]
            for factor in (np.ones_like(turn), turn, turn**2)
        )
        gradient = 2.0 * (value.conj() * slope).real
        curvature = 2.0 * ((value.conj() * bend).real + np.abs(slope) ** 2).sum()
        if not curvature < 0.0:
            return None
        if step < NEWTON_STEPS - 1:
            frequency -= gradient.sum() / curvature
    if not abs(math.log(frequency / first)) < 2.0 * SEARCH_STEP:
        return None
    # The gradient is a mean over the flashes of each run, so its variance follows from theirs.
    of_a_flash = (
        2.0 * (value.conj()[:, None] * turn * phase).real
        + 2.0 * (slope[:, None] * phase.conj()).real
    )
    scatter = (counts * (of_a_flash - 2.0 * gradient[:, None]) ** 2).sum(axis=1)
    variance = (scatter / flashes[:, 0] ** 2).sum()
    return float(frequency), float(math.sqrt(variance) / abs(curvature))


SEARCH_STEP = math.log(25.0) / (N_FREQUENCIES - 1)
"""Of the logarithm of the frequency, in the search for the strongest maximum."""


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
    known, _ = _transfer(spectra, expected, eped, v_ped)
    use = (slope > 0) & (known > 0) & (error > 0)
    if not use.any():
        return NOTHING
    ratio, relative = slope[use] / known[use], error[use] / known[use]
    weight = 1.0 / relative**2
    mean_error = float(weight.sum() ** -0.5)
    if not mean_error < LARGEST_ERROR:
        return NOTHING
    return Check(float((weight * ratio).sum() / weight.sum()), mean_error)


def _transfer(spectra: Spectra, counts, eped, v_ped) -> tuple[np.ndarray, np.ndarray]:
    """Variance over mean (R,) above the pedestal, and its standard error."""
    n = counts.shape[1]
    place = spectra.start[:, None] + spectra.width * (np.arange(n) + 0.5)
    flashes = counts.sum(axis=1)
    mean = (counts * place).sum(axis=1) / flashes
    off = place - mean[:, None]
    variance = (counts * off**2).sum(axis=1) / flashes
    light = mean - np.asarray(eped)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (variance - v_ped - spectra.width**2 / 12.0) / light
        moved = (off**2 - variance[:, None] - slope[:, None] * off) / light[:, None]
        error = np.sqrt((counts * moved**2).sum(axis=1)) / flashes
    return slope, error
