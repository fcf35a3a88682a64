"""Noise of all pixels of a camera: one for all by maximum likelihood, and how much pixels differ.

First the noise m that all pixels share is fitted, each with a gain and light of its own: a climb
as of one pixel, in which the other parameters of each pixel are eliminated (Schur complement).

Then, of a pixel i whose noise is normal around m with variances D, times by their logarithms,
the likelihood near m is a parabola with score g_i and information S_i, and

    u_i = (1 + S_i D)^-1 g_i,    W_i = S_i (1 + D S_i)^-1

are score and information of m, and (u_i^2 - W_i) / 2 the scores of D: the marginal likelihood of
the linear mixed model (Laird and Ware, Biometrics 38, 963, 1982), which needs no inverse of S_i.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.likelihood import (
    DAMPING_DOWN,
    DAMPING_END,
    DAMPING_START,
    DAMPING_UP,
    damped_step,
    release,
)
from pixelcal.charge.spe.likelihood import limits as clean_limits
from pixelcal.charge.spe.noise.climb import (
    Patience,
    hopeless_deviance,
    noise_limits,
    step_within,
)
from pixelcal.charge.spe.noise.late_charges import DELAY, LOSS, N_NOISE, SPENT
from pixelcal.charge.spe.noise.priors import (
    KINDS,
    LOGARITHMIC,
    CameraNoise,
    NoisePrior,
    fitted_noise,
    general_prior,
    linear,
    logarithmic,
    slope_of_logarithm,
)
from pixelcal.charge.spe.noise.spectrum import N_COMMON, likelihood
from pixelcal.charge.spe.parameters import N_SHARED

MAX_ITERATIONS = 60
TOLERANCE = 1e-2
"""Converged when the step would lower the deviance of all pixels by less: a tenth of an error."""
MAX_VARIANCE_STEPS = 50
UNUSUAL_SIGMA = 5.0
"""Pixels that are further from the camera do not count."""
LEAST_SPREAD, START = 0.02, 0.02
"""Least standard deviation of the pixels, relative to the noise and this."""


class Shared(NamedTuple):
    """Fits of n pixels with the same noise.

    noise : (N_NOISE,) float
    clean : (n, 4 + 2 R) float, the other parameters of each pixel
    deviance : float, of all pixels, with that of the prior
    score : (n, N_NOISE) float, of the noise in each pixel, the others at their best
    information : (n, N_NOISE, N_NOISE) float
    converged : bool
    """

    noise: np.ndarray
    clean: np.ndarray
    deviance: float
    score: np.ndarray
    information: np.ndarray
    converged: bool


class _Slopes(NamedTuple):
    """Deviance of all pixels, and of each pixel score (n, c + N_NOISE) and information.

    The c parameters without noise come first.
    """

    deviance: float
    score: np.ndarray
    information: np.ndarray


class _Eliminated(NamedTuple):
    """The parameters without noise at their best: their steps, and what they leave of the noise.

    step : (n, c) float, at fixed noise; `by_noise` (n, c, N_NOISE), less of it per unit of noise
    gain : float, what these steps lower the deviance by, about
    score : (n, N_NOISE) float; information : (n, N_NOISE, N_NOISE) float
    """

    step: np.ndarray
    by_noise: np.ndarray
    gain: float
    score: np.ndarray
    information: np.ndarray


def climb_together(
    spectra,
    clean,
    noise,
    kinds,
    max_iterations: int = MAX_ITERATIONS,
    frozen: bool = False,
    general: NoisePrior | None = None,
) -> Shared:
    """The noise that n pixels share, by maximum likelihood.

    Parameters
    ----------
    spectra : list of n Spectra
    clean : (n, 4 + 2 R) float
        Where the search begins.
    noise : (N_NOISE,) float
        The same; what is not in `kinds` is left out.
    kinds : tuple of str
    max_iterations : int
    frozen : bool
        Whether the noise stays as it is, and only the other parameters move.
    general : NoisePrior, optional
        Of any SiPM; without it `general_prior()`.
    """
    fitted, (lowest, highest) = fitted_noise(kinds), noise_limits()
    prior = (general or general_prior()).of(fitted)
    bounds = np.array([clean_limits(each) for each in spectra])
    noise = np.clip(np.where(fitted, noise, linear(prior.centre)), lowest, highest)
    at = _slopes(spectra, clean, noise, prior, fitted)
    damping, converged, free = DAMPING_START, False, np.ones(N_NOISE, bool)
    patience = Patience(*np.sum([hopeless_deviance(each) for each in spectra], axis=0))
    for _ in range(max_iterations):
        _, pull, precision = prior.penalty(noise)
        exact = _eliminate(at, clean, bounds, 0.0)
        score = exact.score.sum(axis=0) + pull
        release(noise, score, lowest, highest, free)
        free &= fitted & (not frozen)
        newton = damped_step(exact.information.sum(axis=0) + precision, score, 0.0, free)
        if not np.isnan(newton[0]) and abs(newton @ score) + exact.gain < TOLERANCE:
            converged = True
            break
        if damping > DAMPING_END or patience.is_over(at.deviance, newton @ score + exact.gain):
            break
        damped = _eliminate(at, clean, bounds, damping)
        step = step_within(
            noise, damped.score.sum(axis=0) + pull, damped.information.sum(axis=0) + precision,
            damping, free, lowest, highest,
        )  # fmt: skip
        moved = np.clip(clean + damped.step - damped.by_noise @ step, bounds[:, 0], bounds[:, 1])
        trial = (
            None if np.isnan(step).any() else _slopes(spectra, moved, noise + step, prior, fitted)
        )
        if trial is not None and trial.deviance <= at.deviance:
            noise, clean, at = noise + step, moved, trial
            damping *= DAMPING_DOWN
        else:
            damping *= DAMPING_UP
    left = _eliminate(at, clean, bounds, 0.0)
    return Shared(noise, clean, at.deviance, left.score, left.information, converged)


def _slopes(spectra, clean, noise, prior: NoisePrior, fitted) -> _Slopes:
    n_clean = clean.shape[1]
    order = np.r_[0:N_SHARED, N_COMMON : n_clean + N_NOISE, N_SHARED:N_COMMON]
    total, _, _ = prior.penalty(noise)
    score = np.empty((len(spectra), n_clean + N_NOISE))
    information = np.empty((*score.shape, score.shape[1]))
    for i, each in enumerate(spectra):
        theta = np.concatenate([clean[i, :N_SHARED], noise, clean[i, N_SHARED:]])
        deviance, by, twice = likelihood(theta, each, fitted)
        total += deviance
        score[i], information[i] = by[order], twice[np.ix_(order, order)]
    return _Slopes(total, score, information)


def _eliminate(at: _Slopes, clean, bounds, damping: float) -> _Eliminated:
    n, n_clean = clean.shape
    score, cross = at.score[:, :n_clean].copy(), at.information[:, :n_clean, n_clean:].copy()
    matrix = at.information[:, :n_clean, :n_clean].copy()
    free = np.ones(n_clean, bool)
    for i in range(n):
        release(clean[i], score[i], bounds[i, 0], bounds[i, 1], free)
        matrix[i][~free] = matrix[i][:, ~free] = 0.0
        score[i, ~free], cross[i, ~free] = 0.0, 0.0
        matrix[i][~free, ~free] = 1.0
    diagonal = np.arange(n_clean)
    matrix[:, diagonal, diagonal] *= 1.0 + damping
    solved = np.linalg.solve(matrix, np.concatenate([score[:, :, None], cross], axis=2))
    step, by_noise = solved[:, :, 0], solved[:, :, 1:]
    left = at.information[:, n_clean:, n_clean:] - np.swapaxes(cross, 1, 2) @ by_noise
    pull = at.score[:, n_clean:] - np.einsum("ijk,ij->ik", cross, step)
    return _Eliminated(
        step, by_noise, float(np.sum(step * score)), pull, 0.5 * (left + np.swapaxes(left, 1, 2))
    )


def unusual(shared: Shared, kinds) -> np.ndarray:
    """Pixels (n,) whose noise is unlike that of the others.

    By the squared distance of each in its standard deviations, against the median of all.
    """
    fitted = _scatters(kinds)
    inverse = np.linalg.pinv(shared.information[:, fitted][:, :, fitted], hermitian=True)
    score = shared.score[:, fitted]
    distance = np.einsum("ij,ijk,ik->i", score, inverse, score)
    n = fitted.sum()
    scale = max(np.median(distance) / n, 1.0)
    return distance > scale * (n + UNUSUAL_SIGMA * np.sqrt(2.0 * n))


def gain_of(shared: Shared, kinds, left_out, general: NoisePrior) -> float:
    """By how much the deviance is lower with some kinds than without, by the parabola.

    Parameters
    ----------
    shared : Shared
    kinds : tuple of str
        Those in the model.
    left_out : list of str
        Some of them.
    general : NoisePrior
        Of any SiPM.
    """
    fitted = np.flatnonzero(fitted_noise(kinds))
    places = np.concatenate([KINDS[kind] for kind in left_out]).astype(int)
    information = shared.information.sum(axis=0) + general.penalty(shared.noise)[2]
    covariance = np.linalg.inv(information[np.ix_(fitted, fitted)])
    at = np.searchsorted(fitted, places)
    value = shared.noise[places]
    return float(value @ np.linalg.solve(covariance[np.ix_(at, at)], value))


def camera_noise(shared: Shared, kinds, general: NoisePrior) -> CameraNoise:
    """The mean of the camera, how much pixels differ from it, and how well it is known.

    Parameters
    ----------
    shared : Shared
    kinds : tuple of str
        Those in the model.
    general : NoisePrior
        Of any SiPM: what is known of the others.
    """
    fitted = fitted_noise(kinds)
    slope = slope_of_logarithm(shared.noise)
    score = shared.score / slope
    information = shared.information / np.outer(slope, slope)
    variance = _variances(score, information, _scatters(kinds))
    _, left = _marginal(score, information, variance)
    inner = np.ix_(fitted, fitted)
    systematic = np.zeros((N_NOISE, N_NOISE))
    systematic[inner] = np.linalg.inv((left.sum(axis=0) + general.precision)[inner])
    centre = logarithmic(shared.noise)
    least = (
        LEAST_SPREAD * np.where(np.isin(np.arange(N_NOISE), LOGARITHMIC), 1.0, centre + START)
    ) ** 2
    precision = np.where(fitted, 1.0 / np.maximum(variance, least), np.diag(general.precision))
    prior = NoisePrior(np.where(fitted, centre, general.centre), np.diag(precision))
    return CameraNoise(tuple(kinds), prior, systematic)


def _scatters(kinds) -> np.ndarray:
    """Noise (N_NOISE,) in which pixels differ: the physics of crosstalk is that of the sensor."""
    return fitted_noise(kinds) & ~np.isin(np.arange(N_NOISE), [DELAY, LOSS, SPENT])


def _variances(score, information, scatters) -> np.ndarray:
    """Variances (N_NOISE,) of the pixels, by Fisher scoring of their marginal likelihood."""
    variance = np.zeros(N_NOISE)
    for _ in range(MAX_VARIANCE_STEPS):
        pull, left = _marginal(score, information, variance)
        at = np.diagonal(left, axis1=1, axis2=2)
        excess, curvature = np.sum(pull**2 - at, axis=0), np.sum(at**2, axis=0)
        change = np.divide(excess, curvature, out=np.zeros(N_NOISE), where=curvature > 0)
        variance = np.where(scatters, np.maximum(variance + 0.5 * change, 0.0), 0.0)
    return variance


def _marginal(score, information, variance) -> tuple[np.ndarray, np.ndarray]:
    """Score (n, N_NOISE) and information (n, N_NOISE, N_NOISE) of the mean from each pixel."""
    shrink = np.linalg.inv(np.eye(N_NOISE) + information * variance)
    return np.einsum("ijk,ik->ij", shrink, score), shrink @ information
