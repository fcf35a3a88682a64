"""Whether the spectra of a camera are those of the model: residuals of all its pixels together.

A single pixel shows only what is wrong by per cents. Here the residuals of many are added up, at
the same distance from the pedestal in photoelectrons, and compared with their covariance under
multinomial counts. The parameters that are fitted to each pixel take away what they can follow:

    C = sum_i (V_i - K_i I_i^-1 K_i^T)

where V_i is the covariance of the counts of pixel i, K_i their derivatives by its parameters, and
I_i the information about these (the projection of Chernoff and Lehmann 1954; Rao 1973, ch. 6b).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.noise.spectrum import N_COMMON, NO_NOISE_FITTED, bin_probabilities
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, PE

CELL, LOWEST, HIGHEST = 0.1, -1.0, 10.0
"""Cells in which residuals are added up, and their range around the pedestal (photoelectrons)."""
LEAST_EXPECTED = 50.0
"""Counts that a cell must expect: the sum is then normal."""
LEAST_LEFT = 0.05
"""Directions in which the fits leave less of the variance of the counts are not looked at."""
CLEAR_SIGMA = 5.0


class Adequacy(NamedTuple):
    """Chi-square of the residuals of all pixels, its degrees of freedom, and their flashes."""

    chi_square: float
    dof: int
    flashes: float

    @property
    def is_clear(self) -> bool:
        """Whether the residuals are larger than by chance."""
        return self.chi_square > self.dof + CLEAR_SIGMA * math.sqrt(2.0 * self.dof)

    @property
    def scale(self) -> float:
        """What a variance is to be multiplied with: chi-square per degree of freedom, or 1."""
        return self.chi_square / self.dof if self.is_clear else 1.0

    @property
    def misfit(self) -> float:
        """Relative rms deviation of the spectra from the model beyond counting, as MISFIT."""
        return math.sqrt(max(self.chi_square - self.dof, 0.0) / max(self.flashes, 1.0))


def adequacy_of(spectra, clean, noise) -> Adequacy:
    """The residuals of pixels at their fits.

    Parameters
    ----------
    spectra : list of n Spectra
    clean : (n, 4 + 2 R) float
        The parameters of each pixel.
    noise : (N_NOISE,) float
        The same in all; its few fitted parameters are not taken off.
    """
    total = [np.zeros(()), np.zeros(()), np.zeros(())]
    flashes = 0.0
    for each, theta in zip(spectra, clean, strict=True):
        for i, part in enumerate(_residuals(each, theta, noise)):
            total[i] = total[i] + part
        flashes += float(each.counts.sum())
    residual, expected, covariance = total
    use = np.atleast_1d(expected) > LEAST_EXPECTED
    if not use.any():
        return Adequacy(0.0, 0, flashes)
    scale = np.sqrt(expected[use])
    value, vector = np.linalg.eigh(covariance[np.ix_(use, use)] / np.outer(scale, scale))
    kept = value > LEAST_LEFT
    along = vector[:, kept].T @ (residual[use] / scale)
    return Adequacy(float(np.sum(along**2 / value[kept])), int(kept.sum()), flashes)


def _residuals(spectra, clean, noise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (m,) of one pixel in the cells of its runs, expected counts, covariance (m, m)."""
    theta = np.concatenate([clean[:N_SHARED], noise, clean[N_SHARED:]])
    probability, gradient = bin_probabilities(theta, spectra, NO_NOISE_FITTED)
    n_runs, n = spectra.counts.shape
    n_cells = round((HIGHEST - LOWEST) / CELL)
    size = n_runs * n_cells
    residual, expected, covariance = np.zeros(size), np.zeros(size), np.zeros((size, size))
    slopes, information = np.zeros((len(clean), size)), np.zeros((len(clean), len(clean)))
    kept = np.r_[0:N_SHARED, N_COMMON : N_COMMON + N_PER_RUN]
    for run in range(n_runs):
        flashes, first = spectra.counts[run].sum(), N_SHARED + N_PER_RUN * run
        centre = spectra.start[run] + spectra.width * (np.arange(n) + 0.5)
        place = ((centre - clean[first]) / theta[PE] - LOWEST) / CELL
        cell = run * n_cells + np.clip(place, 0, n_cells - 1).astype(int)
        mu = np.bincount(cell, flashes * probability[run], size)
        residual += np.bincount(cell, spectra.counts[run], size) - mu
        expected += mu
        covariance -= np.outer(mu, mu) / flashes
        at, by = np.r_[0:N_SHARED, first : first + N_PER_RUN], gradient[run][kept]
        for i, row in zip(at, by, strict=True):
            slopes[i] += np.bincount(cell, flashes * row, size)
        information[np.ix_(at, at)] += flashes * (by / probability[run]) @ by.T
    covariance += np.diag(expected)
    covariance -= slopes.T @ np.linalg.pinv(information, hermitian=True) @ slopes
    return residual, expected, covariance
