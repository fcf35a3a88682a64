"""The joint fit of one pixel, compiled: -ln L of Poisson counts minimised by damped Fisher scoring.

Derivatives are analytic. Pixels know nothing of each other: the result of one depends neither on
its neighbours in the batch nor on the order.
"""

from __future__ import annotations

import numpy as np

from pixelcal.compiled import njit
from pixelcal.eclairs.goodness import LOG_MU_START, LOG_MU_STEP
from pixelcal.eclairs.joint_model import (
    LOG_RESOLUTION_LIMITS,
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    block_model,
    choose_channels,
    parameter_index,
    total_counts,
)
from pixelcal.eclairs.relation import Status
from pixelcal.eclairs.small_matrices import inverse, solve

MAX_ITERATIONS = 300
"""A few pixels in a thousand have a likelihood much flatter than expected, and creep to its top."""

MAX_SELECTIONS = 4
"""How often the channels of the blocks are chosen anew, as the relation moves them."""

CONVERGED_DISTANCE = 1e-6
"""Estimated distance of -ln L from its minimum at which the fit stands: 0.0014 sigma."""

ROUNDING = 1e-9
"""Increase of -ln L that rounding can cause and that does not count as one."""

MAX_STEP_KEV = 0.6
MAX_STEP_LOG_RESOLUTION = 0.25
LARGEST_SHIFT_KEV = 2.0
"""How far the pivots may move before the channels of the blocks are chosen anew."""

_TOO_FEW_COUNTS = int(Status.TOO_FEW_COUNTS)
_NOT_CONVERGED = int(Status.NOT_CONVERGED)


@njit
def fit_pixel(
    counts, gain, offset, templates, moments, min_counts, normalisation_spread, resolution_spread
):
    """Fit one pixel.

    Returns (STATUS bits, counts used, iterations, theta, covariance, scale, goodness, channels);
    `goodness` is the deviance with its expected mean and variance.
    """
    n_blocks = templates.limits.shape[0]
    n_free = N_SHARED + n_blocks + templates.group_block.shape[0]
    theta = np.ones(n_free)
    theta[0], theta[1] = gain * PIVOT_LOW + offset, gain * PIVOT_HIGH + offset
    theta[2] = 0.0
    information = np.zeros((n_free, n_free))
    goodness = np.zeros(3)
    first, last = choose_channels(theta, templates, counts.shape[0])
    used, expected = total_counts(counts, theta, first, last, templates)
    n_channels = int(np.sum(last - first))
    if used < min_counts or expected <= 0:
        return _TOO_FEW_COUNTS, used, 0, theta, information, 0.0, goodness, n_channels
    scale = used / expected
    iterations, converged = 0, False
    for _ in range(MAX_SELECTIONS):
        converged, extra, held = _minimise(
            counts,
            theta,
            first,
            last,
            scale,
            templates,
            normalisation_spread,
            resolution_spread,
            information,
        )
        iterations += extra
        new_first, new_last = choose_channels(theta, templates, counts.shape[0])
        same = np.all(new_first == first) and np.all(new_last == last)
        if not converged or (same and not held):
            break
        first, last = new_first, new_last
    n_channels = int(np.sum(last - first))
    if not converged:
        return _NOT_CONVERGED, used, iterations, theta, information, scale, goodness, n_channels
    covariance = inverse(information)
    if not covariance[0, 0] > 0.0:
        return _NOT_CONVERGED, used, iterations, theta, information, scale, goodness, n_channels
    used, _ = total_counts(counts, theta, first, last, templates)
    _goodness(counts, theta, first, last, scale, templates, moments, goodness)
    return 0, used, iterations, theta, covariance, scale, goodness, n_channels


@njit
def _likelihood(
    counts,
    theta,
    first,
    last,
    scale,
    templates,
    normalisation_spread,
    resolution_spread,
    work,
    mu,
    jacobian,
    gradient,
    information,
):
    """-ln L less a constant, with its gradient and the expected information, priors included."""
    n_free = theta.shape[0]
    n_blocks = templates.limits.shape[0]
    gradient[:] = 0.0
    information[:] = 0.0
    total = 0.0
    n_local = N_SHARED + 1 + templates.group_block.shape[0]
    local = np.empty((n_local, n_local))
    own_gradient = np.empty(n_local)
    for b in range(n_blocks):
        n_own, first_group = block_model(
            theta, b, first, last, scale, templates, work, mu, jacobian
        )
        local[:] = 0.0
        own_gradient[:] = 0.0
        for i in range(last[b] - first[b]):
            expected, count = mu[i], counts[first[b] + i]
            if expected <= 0.0:
                return np.inf
            total += expected
            if count > 0:
                total -= count * np.log(expected / count) + count
            excess = 1.0 - count / expected
            for p in range(n_own):
                own_gradient[p] += excess * jacobian[i, p]
                weighted = jacobian[i, p] / expected
                for q in range(p + 1):
                    local[p, q] += weighted * jacobian[i, q]
        for p in range(n_own):
            at_p = parameter_index(p, b, first_group, n_blocks)
            gradient[at_p] += own_gradient[p]
            for q in range(p + 1):
                at_q = parameter_index(q, b, first_group, n_blocks)
                information[at_p, at_q] += local[p, q]
                if at_p != at_q:
                    information[at_q, at_p] += local[p, q]
    for p in range(2, n_free):
        centre, spread = (0.0, resolution_spread) if p == 2 else (1.0, normalisation_spread)
        pull = (theta[p] - centre) / spread
        total += 0.5 * pull**2
        gradient[p] += pull / spread
        information[p, p] += 1.0 / spread**2
    return total


@njit
def _minimise(
    counts,
    theta,
    first,
    last,
    scale,
    templates,
    normalisation_spread,
    resolution_spread,
    information,
):
    """Fisher scoring from `theta`, in place.

    Returns (converged, iterations, stopped by the shift limit).
    """
    n_free = theta.shape[0]
    n_longest = int(np.max(last - first)) + 1
    work = np.zeros((4, templates.continuum.shape[2]))
    mu = np.empty(n_longest)
    jacobian = np.empty((n_longest, n_free))
    gradient, new_gradient = np.empty(n_free), np.empty(n_free)
    new_information = np.empty((n_free, n_free))
    start = theta.copy()
    value = _likelihood(
        counts,
        theta,
        first,
        last,
        scale,
        templates,
        normalisation_spread,
        resolution_spread,
        work,
        mu,
        jacobian,
        gradient,
        information,
    )
    damping = 0.0
    for iteration in range(1, MAX_ITERATIONS + 1):
        downhill = -gradient
        curvature = information.copy()
        if _held_at_limit(theta[2], gradient[2]):
            curvature[2, :] = 0.0
            curvature[:, 2] = 0.0
            curvature[2, 2] = 1.0
            downhill[2] = 0.0
        distance = 0.5 * np.dot(solve(curvature, downhill), downhill)
        if not np.isfinite(distance):
            return False, iteration, False
        if distance < CONVERGED_DISTANCE:
            return True, iteration, False
        for p in range(n_free):
            curvature[p, p] *= 1.0 + damping
        trial = _bounded(theta, solve(curvature, downhill))
        new_value = _likelihood(
            counts,
            trial,
            first,
            last,
            scale,
            templates,
            normalisation_spread,
            resolution_spread,
            work,
            mu,
            jacobian,
            new_gradient,
            new_information,
        )
        # How much of the decrease that the quadratic model predicts came true: the expected
        # information can be far from the curvature that few counts happen to have.
        move = trial - theta
        predicted = np.dot(move, downhill) - 0.5 * np.dot(move, np.dot(information, move))
        came_true = (value - new_value) / predicted if predicted > 0.0 else 0.0
        if came_true < 0.3:
            damping = max(3.0 * damping, 0.3)
        elif came_true > 0.7:
            damping = damping / 3.0 if damping > 0.01 else 0.0
        if new_value < value + ROUNDING:
            theta[:] = trial
            value = new_value
            gradient[:] = new_gradient
            information[:] = new_information
            if max(abs(theta[0] - start[0]), abs(theta[1] - start[1])) > LARGEST_SHIFT_KEV:
                return True, iteration, True
        elif damping > 1e9:
            return False, iteration, False
    return False, MAX_ITERATIONS, False


@njit
def _held_at_limit(log_resolution, gradient):
    """Whether the resolution stands at a limit that the likelihood pushes it against."""
    low, high = LOG_RESOLUTION_LIMITS
    return (log_resolution <= low and gradient > 0.0) or (log_resolution >= high and gradient < 0.0)


@njit
def _bounded(theta, step):
    """The trial point: steps cut to a stretch on which the model is near linear, limits kept."""
    cut = 1.0
    for p in range(2):
        cut = min(cut, MAX_STEP_KEV / max(abs(step[p]), 1e-300))
    cut = min(cut, MAX_STEP_LOG_RESOLUTION / max(abs(step[2]), 1e-300))
    trial = theta + cut * step
    trial[2] = min(max(trial[2], LOG_RESOLUTION_LIMITS[0]), LOG_RESOLUTION_LIMITS[1])
    return trial


@njit
def _goodness(counts, theta, first, last, scale, templates, moments, out):
    """Deviance of the fit, and the mean and variance it would have at the truth."""
    work = np.zeros((4, templates.continuum.shape[2]))
    n_longest = int(np.max(last - first)) + 1
    mu = np.empty(n_longest)
    jacobian = np.empty((n_longest, theta.shape[0]))
    for b in range(first.shape[0]):
        block_model(theta, b, first, last, scale, templates, work, mu, jacobian)
        for i in range(last[b] - first[b]):
            count = counts[first[b] + i]
            out[0] += 2.0 * (mu[i] - count)
            if count > 0:
                out[0] += 2.0 * count * np.log(count / mu[i])
            u = (np.log(mu[i]) - LOG_MU_START) / LOG_MU_STEP
            k = min(max(int(u), 0), moments.shape[0] - 2)
            t = min(max(u - k, 0.0), 1.0)
            out[1] += (1.0 - t) * moments[k, 0] + t * moments[k + 1, 0]
            out[2] += (1.0 - t) * moments[k, 1] + t * moments[k + 1, 1]
