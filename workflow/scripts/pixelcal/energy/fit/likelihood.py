"""The joint fit of one pixel, compiled: -ln L of Poisson counts minimised by damped Newton steps.

It holds the population prior too (`fit.population_prior`). First and second derivatives are
analytic. Pixels know nothing of each other: the result of one depends neither on its neighbours in
the batch nor on the order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.checks.consistency import CHECKED_BLOCKS, check_pixel, not_checked
from pixelcal.energy.fit.checks.goodness import fill_goodness, is_hopeless
from pixelcal.energy.fit.checks.residuals import binned_residuals, empty_residuals
from pixelcal.energy.fit.checks.threshold import lowest_after_fit, lowest_believed
from pixelcal.energy.fit.model import (
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    RESOLUTION,
    TAIL,
    Spectrum,
    block_model,
    choose_channels,
    expected_total,
    make_workspace,
    parameter_index,
    rows_of_block,
)
from pixelcal.energy.fit.population_prior import (
    add_population_prior,
    deviations,
    parameter_limits,
)
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import (
    at_active_bound,
    cholesky,
    copy_into,
    cut_off,
    dot,
    inside,
    inverse,
    is_positive,
    quadratic_form,
    solve,
)
from pixelcal.status import EnergyStatus

MAX_ITERATIONS = 100

NEAR_DISTANCE = 0.01
"""Estimated distance of -ln L from its minimum (0.14 sigma) at which the channels of the blocks are
chosen for the last time, if the fit stays near. To choose them until nothing moves at all can go in
circles."""

LAST_STEP_DISTANCE = 1e-4
"""The same (0.014 sigma) for the last step: what it leaves is of second order."""

ROUNDING = 1e-9
"""Increase of -ln L that rounding can cause and that does not count as one."""

MAX_STEP_KEV = 0.6
MAX_STEP_LOG_RESOLUTION = 0.25
MAX_STEP_TAIL = 1.0

LARGEST_SHIFT_KEV, SETTLED_SHIFT_KEV = 2.0, 0.3
"""How far the pivots may move before the channels of the blocks are chosen again: on the way, and
near the end. A fit that went further from there would leave out what contradicts it."""

MOST_CHOICES = 8
"""So often channels are chosen: a fit that asks for more goes in circles."""


class PixelFit(NamedTuple):
    """What `fit_pixel` returns.

    Attributes
    ----------
    status : int
        STATUS bits.
    used, iterations : int
        Counts in the blocks, and steps.
    theta, covariance : (n_free,) and (n_free, n_free) float
    scale : float
        Counts relative to the camera's mean pixel, which the normalisations refer to.
    goodness : (n_blocks, 4) float
        Deviance of each block, with its expected mean and variance, and its counts.
    n_channels : int
    deviations : tuple
        What `population_prior.deviations` returns.
    lowest : int
        Lowest channel that no threshold takes counts from.
    consistency : tuple
        The fields of `consistency.Consistency`; NaN where the pixel was not checked.
    residuals : (n_bins, 3) float
    expected : (n_channels,) float
        What `residuals.binned_residuals` returns; without a valid fit or unasked zeros, and (0,).
    """

    status: int
    used: int
    iterations: int
    theta: np.ndarray
    covariance: np.ndarray
    scale: float
    goodness: np.ndarray
    n_channels: int
    deviations: tuple[np.ndarray, np.ndarray, float]
    lowest: int
    consistency: tuple
    residuals: np.ndarray
    expected: np.ndarray


class Likelihood(NamedTuple):
    """-ln L at a point.

    Attributes
    ----------
    gradient : (n_free,) float
    curvature : (n_free, n_free) float
        Second derivatives.
    mu : (n_channels,) float
        Expected counts, in the channels of the blocks.
    """

    gradient: np.ndarray
    curvature: np.ndarray
    mu: np.ndarray


_TOO_FEW_COUNTS = int(EnergyStatus.TOO_FEW_COUNTS)
_NOT_CONVERGED = int(EnergyStatus.NOT_CONVERGED)


@njit
def fit_pixel(counts, first_half, gain, offset, nearby, templates, moments, min_counts, wanted):
    """Fit one pixel: the fields of `PixelFit`, as a plain tuple.

    `first_half`: counts of the first half, or (0,); `nearby`: the other parameters (n_free - 2,) of
    an earlier fit, with normalisations for a `scale` of 1, or NaN; `wanted`: how much is checked,
    as `CHECKED_BLOCKS`, whether there are residuals, the most steps, and the most deviance.
    """
    checked, added_up, most_steps, limit = wanted
    n_fitted = N_SHARED + templates.limits.shape[0] + templates.group_block.shape[0]
    theta, covariance = np.ones(n_fitted), np.full((n_fitted, n_fitted), np.nan)
    theta[0], theta[1] = gain * PIVOT_LOW + offset, gain * PIVOT_HIGH + offset
    theta[RESOLUTION] = 0.0
    goodness = np.zeros((templates.limits.shape[0], 4))
    first, last = choose_channels(theta, templates, counts.shape[0])
    work = make_workspace(counts.shape[0], templates)
    used, n_channels = _counts_in(counts, first, last)
    expected = expected_total(first, last, theta, templates, work)
    if used < min_counts or not expected > 0.0:
        unknown = deviations(theta, covariance, templates.population_scale)
        unchecked = not_checked(templates.limits.shape[0])
        known, nothing = (theta, covariance, 0.0, goodness, n_channels), np.zeros(0)
        binned = empty_residuals(templates.limits)
        return (_TOO_FEW_COUNTS, used, 0, *known, unknown, 0, unchecked, binned, nothing)
    lowest = lowest_believed(counts, first, last, theta, used / expected, templates, work)
    if lowest > 0:
        first, last = choose_channels(theta, templates, counts.shape[0], lowest)
        used, n_channels = _counts_in(counts, first, last)
        expected = expected_total(first, last, theta, templates, work)
    spectrum = Spectrum(counts, first, last, used / expected, lowest)
    _start_nearby(theta, nearby, spectrum.scale, templates)
    known = theta, templates, work, covariance, most_steps, limit
    converged, iterations, mu = _minimise(spectrum, *known)
    if converged:
        # Where the lines are now, the lowest block may begin below the threshold.
        lowest = lowest_after_fit(spectrum, templates, work)
        if lowest > 0:
            spectrum = Spectrum(counts, first, last, spectrum.scale, lowest)
            _choose_again(spectrum, theta, templates)
            converged, more, mu = _minimise(spectrum, *known)
            iterations += more
    used, n_channels = _counts_in(counts, first, last)
    status = 0 if converged and covariance[0, 0] > 0.0 else _NOT_CONVERGED
    residuals, expected_counts = empty_residuals(templates.limits), np.zeros(0)
    if status == 0:
        fill_goodness(spectrum, mu, moments, goodness)
        if added_up:
            model = spectrum, mu, theta, covariance, templates, work
            residuals, expected_counts = binned_residuals(*model)
    found = deviations(theta, covariance, templates.population_scale)
    consistency = not_checked(templates.limits.shape[0])
    point = theta, covariance, spectrum.scale
    if status == 0 and checked:
        # The work holds the model one step before the end: what that leaves is of second order.
        how = *point, templates, work, checked > CHECKED_BLOCKS
        consistency = check_pixel(counts, first_half, first, last, *how)
    fit = status, used, iterations, *point, goodness, n_channels, found, spectrum.lowest
    return *fit, consistency, residuals, expected_counts


@njit
def _start_nearby(theta, nearby, scale, templates):
    """Start from the parameters of an earlier fit, where they are known; in place."""
    if np.isnan(nearby[0]):
        return
    for p in range(2, theta.shape[0]):
        theta[p] = nearby[p - 2] if p < N_SHARED else nearby[p - 2] / scale
    copy_into(theta, inside(theta, *parameter_limits(theta.shape[0], templates)))


@njit
def _counts_in(counts, first, last):
    """Counts in the blocks, and the number of their channels."""
    used, n_channels = 0, 0
    for b in range(first.shape[0]):
        n_channels += last[b] - first[b]
        for c in range(first[b], last[b]):
            used += counts[c]
    return used, n_channels


@njit
def likelihood(spectrum, theta, templates, observed, work, out):
    """-ln L minus a constant, the population prior included; fills `out`.

    The curvature is the observed one with `observed` 1.0, and its expectation, which is never
    negative, with 0.0. `work` is left with the expected counts and their derivatives of all blocks.
    """
    n_blocks = templates.limits.shape[0]
    out.gradient[:] = 0.0
    out.curvature[:] = 0.0
    total = 0.0
    # A field looked up within a loop costs as much as the arithmetic.
    counts, mixed, bend = spectrum.counts, work.mixed, work.bend
    most_local = work.jacobian.shape[1]
    gradient, curvature = np.empty(most_local), np.empty((most_local, most_local))
    for b in range(n_blocks):
        first, n = spectrum.first[b], spectrum.last[b] - spectrum.first[b]
        rows = rows_of_block(work, first)
        n_local, first_group = block_model(theta, b, first, n, spectrum.scale, templates, rows)
        mus, jacobian = rows.mu, rows.jacobian
        gradient[:] = 0.0
        curvature[:] = 0.0
        for i in range(n):
            mu, count = mus[i], counts[first + i]
            if not mu > 0.0:
                return np.inf
            out.mu[first + i] = mu
            total += mu
            if count > 0:
                total -= count * np.log(mu / count) + count
            excess = 1.0 - count / mu
            for p in range(n_local):
                gradient[p] += excess * jacobian[i, p]
            _add_products((1.0 - observed * excess) / mu, jacobian, i, n_local, curvature)
            _add_second(observed * excess, mixed, bend, i, n_local, curvature)
        for p in range(n_local):
            at_p = parameter_index(p, b, first_group, n_blocks)
            out.gradient[at_p] += gradient[p]
            for q in range(p + 1):
                at_q = parameter_index(q, b, first_group, n_blocks)
                out.curvature[at_p, at_q] += curvature[p, q]
    return total + add_population_prior(theta, templates.population_scale, out)


@njit
def _add_products(weight, jacobian, i, n_local, curvature):
    """Add the products of the first derivatives of channel `i` (lower triangle)."""
    for p in range(n_local):
        weighted = weight * jacobian[i, p]
        for q in range(p + 1):
            curvature[p, q] += weighted * jacobian[i, q]


@njit
def _add_second(excess, mixed, bend, i, n_local, curvature):
    """Add the second derivatives of channel `i` (lower triangle)."""
    curvature[0, 0] += excess * bend[i, 0]
    curvature[1, 0] += excess * bend[i, 1]
    curvature[1, 1] += excess * bend[i, 2]
    curvature[2, 0] += excess * bend[i, 3]
    curvature[2, 1] += excess * bend[i, 4]
    curvature[2, 2] += excess * bend[i, 5]
    curvature[3, 0] += excess * bend[i, 6]
    curvature[3, 1] += excess * bend[i, 7]
    curvature[3, 2] += excess * bend[i, 8]
    curvature[3, 3] += excess * bend[i, 9]
    for p in range(N_SHARED, n_local):
        for q in range(N_SHARED):
            curvature[p, q] += excess * mixed[i, p, q]


@njit
def empty_likelihood(n_fitted, n_channels):
    """Room for a likelihood."""
    return Likelihood(np.empty(n_fitted), np.empty((n_fitted, n_fitted)), np.zeros(n_channels))


@njit
def _newton_system(spectrum, theta, templates, work, here, lowest, highest):
    """The system of a Newton step at `theta`: the direction downhill and the factor of the matrix.

    A parameter at an active bound (one that the gradient points out of) is fixed. Where the
    observed curvature of `here` is not positive definite, its expectation replaces it.
    """
    n_fitted = theta.shape[0]
    held, downhill = np.empty(n_fitted, np.bool_), np.empty(n_fitted)
    for p in range(n_fitted):
        held[p] = at_active_bound(theta[p], here.gradient[p], lowest[p], highest[p])
        downhill[p] = 0.0 if held[p] else -here.gradient[p]
    cut_off(here.curvature, held)
    factor = cholesky(here.curvature)
    if not is_positive(factor):
        likelihood(spectrum, theta, templates, 0.0, work, here)
        cut_off(here.curvature, held)
        factor = cholesky(here.curvature)
    return downhill, factor


@njit
def _minimise(spectrum, theta, templates, work, covariance, most_steps, limit):
    """Newton's method from `theta`, in place; the covariance where it ends.

    Chooses the channels of `spectrum` again as the relation moves. Returns (converged, iterations,
    expected counts of the channels). `work` is left with the model before the last step.
    """
    n_fitted = theta.shape[0]
    lowest, highest = parameter_limits(n_fitted, templates)
    n_channels = spectrum.counts.shape[0]
    here, there = empty_likelihood(n_fitted, n_channels), empty_likelihood(n_fitted, n_channels)
    chosen_low, chosen_high, settled = theta[0], theta[1], False
    value = likelihood(spectrum, theta, templates, 1.0, work, here)
    damping, in_work, choices = 0.0, True, 0
    for iteration in range(1, most_steps + 1):
        downhill, factor = _newton_system(spectrum, theta, templates, work, here, lowest, highest)
        step = solve(factor, downhill)
        distance = 0.5 * dot(step, downhill)
        if not np.isfinite(distance) or is_hopeless(iteration, value, spectrum, limit):
            return False, iteration, here.mu
        near = distance < NEAR_DISTANCE
        shift = max(abs(theta[0] - chosen_low), abs(theta[1] - chosen_high))
        most = SETTLED_SHIFT_KEV if settled else LARGEST_SHIFT_KEV
        if (near and not settled) or shift > most:
            choices += 1
            if choices > MOST_CHOICES:
                return False, iteration, here.mu
            chosen_low, chosen_high, settled = theta[0], theta[1], near
            if _choose_again(spectrum, theta, templates):
                value = likelihood(spectrum, theta, templates, 1.0, work, here)
                in_work = True
                continue
        if distance < LAST_STEP_DISTANCE:
            if not in_work:
                likelihood(spectrum, theta, templates, 1.0, work, there)
            copy_into(covariance, inverse(factor))
            copy_into(theta, _bounded(theta, step, lowest, highest))
            return True, iteration, here.mu
        if damping > 0.0:
            damped = here.curvature.copy()
            for p in range(n_fitted):
                damped[p, p] *= 1.0 + damping
            step = solve(cholesky(damped), downhill)
        trial = _bounded(theta, step, lowest, highest)
        new_value = likelihood(spectrum, trial, templates, 1.0, work, there)
        # How much of the decrease that the quadratic model predicts came true.
        move = trial - theta
        predicted = dot(move, downhill) - 0.5 * quadratic_form(here.curvature, move)
        came_true = (value - new_value) / predicted if predicted > 0.0 else 0.0
        if came_true < 0.3:
            damping = max(3.0 * damping, 0.3)
        elif came_true > 0.7:
            damping = damping / 3.0 if damping > 0.01 else 0.0
        in_work = new_value < value + ROUNDING
        if in_work:
            copy_into(theta, trial)
            value = new_value
            here, there = there, here
        elif damping > 1e9:
            return False, iteration, here.mu
    return False, most_steps, here.mu


@njit
def _choose_again(spectrum, theta, templates):
    """Choose the channels of the blocks by the relation of `theta`; whether that changes them."""
    first, last = choose_channels(theta, templates, len(spectrum.counts), spectrum.lowest)
    changed = False
    for b in range(first.shape[0]):
        changed = changed or first[b] != spectrum.first[b] or last[b] != spectrum.last[b]
        spectrum.first[b], spectrum.last[b] = first[b], last[b]
    return changed


@njit
def _bounded(theta, step, lowest, highest):
    """The trial point: steps cut to a stretch on which the model is near linear, limits kept."""
    cut = 1.0
    for p in range(2):
        cut = min(cut, MAX_STEP_KEV / max(abs(step[p]), 1e-300))
    cut = min(cut, MAX_STEP_LOG_RESOLUTION / max(abs(step[RESOLUTION]), 1e-300))
    cut = min(cut, MAX_STEP_TAIL / max(abs(step[TAIL]), 1e-300))
    return inside(theta + cut * step, lowest, highest)
