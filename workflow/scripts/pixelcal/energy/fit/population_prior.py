"""The population prior in the likelihood of one pixel, compiled.

The prior itself and how its scales are learnt stand in `response.population`. Here are its -ln L
with the derivatives, what a fit says of the deviations that the scales are learnt from, and the
limits of the parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.model import LOG_RESOLUTION_LIMITS, N_SHARED, RESOLUTION, TAIL
from pixelcal.energy.response.population import (
    LOWEST_CONTINUUM,
    N_OF_SHAPE,
    STUDENT_T_DOF,
    population_weight,
    robust_location,
)
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, inverse, is_positive


class _Curved(NamedTuple):
    """A gradient (n_free,) and second derivatives (n_free, n_free), to add a prior to."""

    gradient: np.ndarray
    curvature: np.ndarray


_weight = njit(population_weight)
_location = njit(robust_location)


@njit
def add_population_prior(theta, scale, out):
    """Add the prior to gradient and curvature of `out`, fill its upper triangle; return its -ln L.

    The prior is flat in gain and offset. Its curvature is that of the normal distribution of the
    same gradient: never negative.
    """
    n_fitted = theta.shape[0]
    location = _location(theta[N_SHARED:], scale[N_OF_SHAPE:])
    weights = np.zeros(n_fitted)
    total, sum_of_weights = 0.0, 0.0
    for p in range(2, n_fitted):
        deviation = _deviation(theta, p, location)
        width = scale[p - 2]
        weights[p] = _weight(deviation, width) / width**2
        if p >= N_SHARED:
            sum_of_weights += weights[p]
        square = (deviation / width) ** 2
        total += 0.5 * (STUDENT_T_DOF + 1.0) * np.log1p(square / STUDENT_T_DOF)
        out.gradient[p] += weights[p] * deviation
        out.curvature[p, p] += weights[p]
    for p in range(n_fitted):
        for q in range(p + 1):
            if q >= N_SHARED:
                out.curvature[p, q] -= weights[p] * weights[q] / sum_of_weights
            out.curvature[q, p] = out.curvature[p, q]
    return total


@njit
def _deviation(theta, p, location):
    """How far a parameter is from where most pixels have it."""
    if p >= N_SHARED:
        return theta[p] - location
    return theta[p] - 1.0 if p == TAIL else theta[p]


@njit
def deviations(theta, covariance, scale):
    """How a pixel differs from the camera, as its fit found it.

    Parameters
    ----------
    theta, covariance : (2 + k,) and (2 + k, 2 + k) float
    scale : (k,) float
        Of the prior that the fit was made with.

    Returns
    -------
    value, variance : (k,) float
        The logarithm of the resolution factor, the factor on the tail minus 1, and the
        normalisations minus their location.
    n_effective_prior : float
        How many parameters the prior determines: the trace of the covariance times the information
        in the prior (`response.population.prior_information`).
    """
    n = scale.shape[0]
    location = _location(theta[N_SHARED:], scale[N_OF_SHAPE:])
    value, variance, weight = np.empty(n), np.empty(n), np.empty(n)
    total = 0.0
    for k in range(n):
        value[k] = _deviation(theta, 2 + k, location)
        weight[k] = _weight(value[k], scale[k]) / scale[k] ** 2
        if k >= N_OF_SHAPE:
            total += weight[k]
    mean_variance = 0.0
    for k in range(N_OF_SHAPE, n):
        for m in range(N_OF_SHAPE, n):
            mean_variance += weight[k] * weight[m] * covariance[2 + k, 2 + m] / total**2
    n_effective_prior = -total * mean_variance
    for k in range(n):
        variance[k] = covariance[2 + k, 2 + k]
        n_effective_prior += weight[k] * variance[k]
        if k >= N_OF_SHAPE:
            variance[k] += mean_variance
            for m in range(N_OF_SHAPE, n):
                variance[k] -= 2.0 * weight[m] / total * covariance[2 + k, 2 + m]
    return value, variance, n_effective_prior


@njit
def expected_covariance(information, covariance, theta, population_scale):
    """Covariance (n_free, n_free) by the expected information, with the population prior.

    That of the fit, by the curvature of the counts at hand, scatters with few of them, and what it
    leaves of the variance of a score with it. Where it cannot be had, that of the fit.
    """
    n_free = theta.shape[0]
    total = _Curved(np.zeros(n_free), information.copy())
    add_population_prior(theta, population_scale, total)
    factor = cholesky(total.curvature)
    return inverse(factor) if is_positive(factor) else covariance


@njit
def parameter_limits(n_fitted, templates):
    """Lowest and highest values of the parameters: a count is never negative."""
    lowest, highest = np.zeros(n_fitted), np.full(n_fitted, np.inf)
    lowest[0] = lowest[1] = -np.inf
    lowest[RESOLUTION], highest[RESOLUTION] = LOG_RESOLUTION_LIMITS
    highest[TAIL] = templates.most_tail
    for b in range(templates.limits.shape[0]):
        lowest[N_SHARED + b] = LOWEST_CONTINUUM
    return lowest, highest
