"""The joint fit of one pixel, compiled: -ln L of Poisson counts minimised by damped Newton steps.

First and second derivatives are analytic. Pixels know nothing of each other: the result of one
depends neither on its neighbours in the batch nor on the order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.compiled import njit
from pixelcal.eclairs.goodness import LOG_MU_START, LOG_MU_STEP
from pixelcal.eclairs.joint_model import (
    LOG_RESOLUTION_LIMITS,
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    Spectrum,
    block_model,
    choose_channels,
    make_workspace,
    parameter_index,
    total_counts,
)
from pixelcal.eclairs.relation import Status
from pixelcal.eclairs.small_matrices import cholesky, copy_into, dot, inverse, quadratic_form, solve

MAX_ITERATIONS = 100

MAX_SELECTIONS = 4
"""How often the channels of the blocks are chosen anew, as the relation moves them."""

CONVERGED_DISTANCE = 1e-6
"""Estimated distance of -ln L from its minimum at which the fit stands: 0.0014 sigma."""

ROUNDING = 1e-9
"""Increase of -ln L that rounding can cause and that does not count as one."""

MAX_STEP_KEV = 0.6
MAX_STEP_LOG_RESOLUTION = 0.25
LOWEST_CONTINUUM = 0.02
"""Smallest continuum relative to the camera's: where nothing is expected a count is impossible."""

LARGEST_SHIFT_KEV = 2.0
"""How far the pivots may move before the channels of the blocks are chosen anew."""


class Prior(NamedTuple):
    """Widths of the priors, see `joint_fit.JointOptions`."""

    normalisation_spread: float
    log_resolution_spread: float


class Likelihood(NamedTuple):
    """-ln L at a point: its gradient, and its curvature as observed and as expected."""

    gradient: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


_TOO_FEW_COUNTS = int(Status.TOO_FEW_COUNTS)
_NOT_CONVERGED = int(Status.NOT_CONVERGED)


@njit
def fit_pixel(counts, gain, offset, templates, moments, min_counts, prior):
    """Fit one pixel.

    Returns (STATUS bits, counts used, iterations, theta, covariance, scale, goodness, channels);
    `goodness` is the deviance with its expected mean and variance.
    """
    n_free = N_SHARED + templates.limits.shape[0] + templates.group_block.shape[0]
    theta = np.ones(n_free)
    theta[0], theta[1] = gain * PIVOT_LOW + offset, gain * PIVOT_HIGH + offset
    theta[2] = 0.0
    covariance = np.full((n_free, n_free), np.nan)
    goodness = np.zeros(3)
    first, last = choose_channels(theta, templates, counts.shape[0])
    spectrum = Spectrum(counts, first, last, 1.0)
    work = make_workspace(spectrum, templates)
    used, expected = total_counts(spectrum, theta, templates, work)
    n_channels = int(np.sum(last - first))
    if used < min_counts or expected <= 0:
        return _TOO_FEW_COUNTS, used, 0, theta, covariance, 0.0, goodness, n_channels
    scale = used / expected
    iterations, status = 0, 0
    for _ in range(MAX_SELECTIONS):
        spectrum = Spectrum(counts, first, last, scale)
        converged, extra, held = _minimise(spectrum, theta, templates, prior, covariance)
        iterations += extra
        if not converged:
            status = _NOT_CONVERGED
            break
        new_first, new_last = choose_channels(theta, templates, counts.shape[0])
        moved = held
        for b in range(first.shape[0]):
            moved = moved or new_first[b] != first[b] or new_last[b] != last[b]
        if not moved:
            break
        first, last = new_first, new_last
    work = make_workspace(spectrum, templates)
    used, _ = total_counts(spectrum, theta, templates, work)
    n_channels = int(np.sum(spectrum.last - spectrum.first))
    if not covariance[0, 0] > 0.0:
        status = _NOT_CONVERGED
    if status == 0:
        _goodness(spectrum, theta, templates, moments, work, goodness)
    return status, used, iterations, theta, covariance, scale, goodness, n_channels


@njit
def likelihood(spectrum, theta, templates, prior, work, out):
    """-ln L less a constant, priors included; fills `out` with gradient and curvatures."""
    n_free = theta.shape[0]
    n_blocks = templates.limits.shape[0]
    out.gradient[:] = 0.0
    out.observed[:] = 0.0
    out.expected[:] = 0.0
    total = 0.0
    n_local = work.jacobian.shape[1]
    gradient = np.empty(n_local)
    observed, expected = np.empty((n_local, n_local)), np.empty((n_local, n_local))
    for b in range(n_blocks):
        n_own, first_group = block_model(theta, b, spectrum, templates, work)
        gradient[:] = 0.0
        observed[:] = 0.0
        expected[:] = 0.0
        for i in range(spectrum.last[b] - spectrum.first[b]):
            mu, count = work.mu[i], spectrum.counts[spectrum.first[b] + i]
            if not mu > 0.0:
                return np.inf
            total += mu
            if count > 0:
                total -= count * np.log(mu / count) + count
            _add_channel(count, mu, i, n_own, work, gradient, observed, expected)
        for p in range(n_own):
            at_p = parameter_index(p, b, first_group, n_blocks)
            out.gradient[at_p] += gradient[p]
            for q in range(p + 1):
                at_q = parameter_index(q, b, first_group, n_blocks)
                out.observed[at_p, at_q] += observed[p, q]
                out.expected[at_p, at_q] += expected[p, q]
    for p in range(2, n_free):
        centre, spread = 1.0, prior.normalisation_spread
        if p == 2:
            centre, spread = 0.0, prior.log_resolution_spread
        pull = (theta[p] - centre) / spread
        total += 0.5 * pull**2
        out.gradient[p] += pull / spread
        out.observed[p, p] += 1.0 / spread**2
        out.expected[p, p] += 1.0 / spread**2
    for p in range(n_free):
        for q in range(p):
            out.observed[q, p] = out.observed[p, q]
            out.expected[q, p] = out.expected[p, q]
    return total


@njit
def _add_channel(count, mu, i, n_own, work, gradient, observed, expected):
    """Add a channel's part of gradient and curvatures (lower triangles, own parameters)."""
    excess = 1.0 - count / mu
    for p in range(n_own):
        slope = work.jacobian[i, p]
        gradient[p] += excess * slope
        for_expected = slope / mu
        for_observed = for_expected * count / mu
        for q in range(p + 1):
            expected[p, q] += for_expected * work.jacobian[i, q]
            observed[p, q] += for_observed * work.jacobian[i, q]
    bend = work.bend[i]
    observed[0, 0] += excess * bend[0]
    observed[1, 0] += excess * bend[1]
    observed[1, 1] += excess * bend[2]
    observed[2, 0] += excess * bend[3]
    observed[2, 1] += excess * bend[4]
    observed[2, 2] += excess * bend[5]
    for p in range(N_SHARED, n_own):
        for q in range(N_SHARED):
            observed[p, q] += excess * work.unit[i, p, q]


@njit
def empty_likelihood(n_free):
    return Likelihood(np.empty(n_free), np.empty((n_free, n_free)), np.empty((n_free, n_free)))


@njit
def _limits(n_free, n_blocks):
    """Lowest and highest values of the parameters: a count is never negative."""
    lowest, highest = np.zeros(n_free), np.full(n_free, np.inf)
    lowest[0] = lowest[1] = -np.inf
    lowest[2], highest[2] = LOG_RESOLUTION_LIMITS
    for b in range(n_blocks):
        lowest[N_SHARED + b] = LOWEST_CONTINUUM
    return lowest, highest


@njit
def _curvature(likelihood, held):
    """The observed curvature where it is positive definite, else the expected one.

    Parameters that are `held` at a limit are cut off from the others.
    """
    curvature = _without(likelihood.observed, held)
    if np.isnan(cholesky(curvature)[0, 0]):
        curvature = _without(likelihood.expected, held)
    return curvature


@njit
def _without(matrix, held):
    """A copy of a curvature with the parameters `held` cut off from the others."""
    cut = matrix.copy()
    for p in range(held.shape[0]):
        if held[p]:
            for q in range(held.shape[0]):
                cut[p, q] = 0.0
                cut[q, p] = 0.0
            cut[p, p] = matrix[p, p] if matrix[p, p] > 0.0 else 1.0
    return cut


@njit
def _minimise(spectrum, theta, templates, prior, covariance):
    """Newton's method from `theta`, in place; the covariance where it ends.

    Returns (converged, iterations, stopped because a pivot went too far for these channels).
    """
    n_free = theta.shape[0]
    work = make_workspace(spectrum, templates)
    here, there = empty_likelihood(n_free), empty_likelihood(n_free)
    start = theta.copy()
    held, downhill = np.zeros(n_free, np.bool_), np.empty(n_free)
    lowest, highest = _limits(n_free, templates.limits.shape[0])
    value = likelihood(spectrum, theta, templates, prior, work, here)
    damping = 0.0
    for iteration in range(1, MAX_ITERATIONS + 1):
        for p in range(n_free):
            held[p] = _pushed_against_limit(theta[p], here.gradient[p], lowest[p], highest[p])
            downhill[p] = 0.0 if held[p] else -here.gradient[p]
        curvature = _curvature(here, held)
        distance = 0.5 * dot(solve(curvature, downhill), downhill)
        if not np.isfinite(distance):
            return False, iteration, False
        if distance < CONVERGED_DISTANCE:
            copy_into(covariance, inverse(curvature))
            return True, iteration, False
        damped = curvature.copy()
        for p in range(n_free):
            damped[p, p] *= 1.0 + damping
        trial = _bounded(theta, solve(damped, downhill), lowest, highest)
        new_value = likelihood(spectrum, trial, templates, prior, work, there)
        # How much of the decrease that the quadratic model predicts came true.
        move = trial - theta
        predicted = dot(move, downhill) - 0.5 * quadratic_form(curvature, move)
        came_true = (value - new_value) / predicted if predicted > 0.0 else 0.0
        if came_true < 0.3:
            damping = max(3.0 * damping, 0.3)
        elif came_true > 0.7:
            damping = damping / 3.0 if damping > 0.01 else 0.0
        if new_value < value + ROUNDING:
            copy_into(theta, trial)
            value = new_value
            here, there = there, here
            if max(abs(theta[0] - start[0]), abs(theta[1] - start[1])) > LARGEST_SHIFT_KEV:
                copy_into(covariance, inverse(_curvature(here, held)))
                return True, iteration, True
        elif damping > 1e9:
            return False, iteration, False
    return False, MAX_ITERATIONS, False


@njit
def _bounded(theta, step, lowest, highest):
    """The trial point: steps cut to a stretch on which the model is near linear, limits kept."""
    cut = 1.0
    for p in range(2):
        cut = min(cut, MAX_STEP_KEV / max(abs(step[p]), 1e-300))
    cut = min(cut, MAX_STEP_LOG_RESOLUTION / max(abs(step[2]), 1e-300))
    trial = np.empty(theta.shape[0])
    for p in range(theta.shape[0]):
        trial[p] = min(max(theta[p] + cut * step[p], lowest[p]), highest[p])
    return trial


@njit
def _pushed_against_limit(value, gradient, lowest, highest):
    """Whether a parameter stands at a limit that the likelihood pushes it against."""
    return (value <= lowest and gradient > 0.0) or (value >= highest and gradient < 0.0)


@njit
def _goodness(spectrum, theta, templates, moments, work, out):
    """Deviance of the fit, and the mean and variance it would have at the truth."""
    for b in range(spectrum.first.shape[0]):
        block_model(theta, b, spectrum, templates, work)
        for i in range(spectrum.last[b] - spectrum.first[b]):
            mu, count = work.mu[i], spectrum.counts[spectrum.first[b] + i]
            out[0] += 2.0 * (mu - count)
            if count > 0:
                out[0] += 2.0 * count * np.log(count / mu)
            u = (np.log(mu) - LOG_MU_START) / LOG_MU_STEP
            k = min(max(int(u), 0), moments.shape[0] - 2)
            t = min(max(u - k, 0.0), 1.0)
            out[1] += (1.0 - t) * moments[k, 0] + t * moments[k + 1, 0]
            out[2] += (1.0 - t) * moments[k, 1] + t * moments[k + 1, 1]
