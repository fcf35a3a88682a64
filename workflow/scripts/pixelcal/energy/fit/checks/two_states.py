"""Two gains of one pixel, fitted: by how much they describe its counts better than one does.

The score of `fit.checks.second_state` is quick and sees a small part of the counts at another gain.
Where that part is large, the fit of one gain has moved towards it, or stands at one of two; the
score is then that of the wrong relation and loses most of what the counts say. Where it is clear
enough, the pixel is therefore fitted with both: all parameters of the joint fit, the other gain
relative to the first, 1 + s, and the fraction a of the counts that are there, in the first half of
the exposure, in the second, or in both. The channels of the half h hold

    mu_h = w_h ((1 - a_h) m(theta) + a_h m(theta at the other gain)),

with w_h the fraction of all counts that are in it. Fisher scoring, damped (Levenberg 1944), climbs
from where the score is largest. Twice the logarithm of the likelihood ratio, the population prior
included, is what it gains (Wilks 1938); its root takes the place of the significance.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.checks.two_state_likelihood import (
    empty_point,
    minus_log_likelihood,
    minus_log_poisson,
)
from pixelcal.energy.fit.model import (
    LOG_RESOLUTION_LIMITS,
    N_SHARED,
    RESOLUTION,
    TAIL,
    relation_of,
)
from pixelcal.energy.fit.population_prior import add_population_prior
from pixelcal.energy.response.population import LOWEST_CONTINUUM
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, copy_into, dot, solve

MOST_STRETCH = 0.13
"""Largest difference of the two gains: no larger one is looked for, within this one they go on."""

MOST_STEP_KEV, MOST_STEP_LOG_RESOLUTION, MOST_STEP_TAIL, MOST_STEP_STRETCH = 0.6, 0.25, 1.0, 0.02

HOPELESS = 9.0
"""A gain of less (3 sigma) changes nothing: a fit that promises less is given up."""

PROMISED = 1.5
"""A step gains at most so many times what it promises: the fit is not linear."""

SETTLED = 0.02
"""Distance of -ln L from its minimum at which the fit ends."""

MOST_ITERATIONS = 25
LEAST_DAMPING, MOST_DAMPING, DAMPED = 0.01, 1e3, 5.0


@njit
def fit_two_states(halves, first, last, theta, start, scale, templates, room):
    """The gain of two states over one, from one start.

    Parameters
    ----------
    halves : tuple
        Counts (n_channels,), those of the first half, and the fraction of these in the blocks.
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    theta : (n_free,) float
        Maximum of the joint fit.
    start : tuple
        -ln L of one state, stretch, fraction of the counts of the part, part (0, 1 or 2) as in
        `second_state`, and the gain that is needed, `HOPELESS` at least.
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    room : Room

    Returns
    -------
    gained : float
        Twice the logarithm of the likelihood ratio.
    end : (n_free + 2,) float
        All parameters: those of the joint fit, stretch, fraction.
    """
    one_state, stretch, fraction, part, needed = start
    n_free = theta.shape[0]
    n = n_free + 2
    end = np.empty(n)
    end[:n_free] = theta
    end[n_free], end[n_free + 1] = stretch, fraction
    lowest, highest = _limits(n_free, templates)
    here, there = empty_point(n), empty_point(n)
    data = halves, first, last
    value = minus_log_likelihood(data, end, part, scale, templates, room, here)
    damping = LEAST_DAMPING
    for _ in range(MOST_ITERATIONS):
        step, distance = _damped_step(end, here, lowest, highest, damping)
        # Written so that a value that is not a number ends it too.
        if not distance > SETTLED or 2.0 * (one_state - value + PROMISED * distance) < needed:
            break
        trial = _trial(end, step, lowest, highest)
        new = minus_log_likelihood(data, trial, part, scale, templates, room, there)
        if new < value:
            copy_into(end, trial)
            value, damping = new, damping / DAMPED
            here, there = there, here
        else:
            damping = max(damping, LEAST_DAMPING) * DAMPED
            if damping > MOST_DAMPING:
                break
    return 2.0 * (one_state - value), end


@njit
def _damped_step(end, here, lowest, highest, damping):
    """The step downhill, and the distance of -ln L from its minimum; NaN where there is none.

    A parameter at a limit that it is drawn beyond stays there.
    """
    n = end.shape[0]
    downhill, matrix = -here.gradient, here.curvature.copy()
    for p in range(n):
        at_low = end[p] <= lowest[p] and here.gradient[p] > 0.0
        if at_low or (end[p] >= highest[p] and here.gradient[p] < 0.0):
            downhill[p] = 0.0
            matrix[p, :] = 0.0
            matrix[:, p] = 0.0
            matrix[p, p] = 1.0
        matrix[p, p] = matrix[p, p] * (1.0 + damping) + 1e-12
    step = solve(cholesky(matrix), downhill)
    return step, 0.5 * dot(step, downhill)


@njit
def one_state_value(halves, first, last, theta, templates, mus):
    """-ln L of one state, of all counts and of the halves; `mus` (n_channels,) are its counts."""
    counts, early, fraction = halves
    n_free = theta.shape[0]
    whole = add_population_prior(theta, templates.population_scale, empty_point(n_free))
    apart = whole
    for b in range(first.shape[0]):
        for c in range(first[b], last[b]):
            whole += minus_log_poisson(counts[c], mus[c])
            apart += minus_log_poisson(early[c], fraction * mus[c])
            apart += minus_log_poisson(counts[c] - early[c], (1.0 - fraction) * mus[c])
    return whole, apart


@njit
def mean_relation(end, part, fraction):
    """Gain (keV/channel) and offset (keV) over both states; `fraction` of all in the first half."""
    gain, offset = relation_of(end)
    share = 1.0
    if part > 0:
        share = fraction if part == 1 else 1.0 - fraction
    n = end.shape[0]
    return gain * (1.0 + end[n - 2] * end[n - 1] * share), offset


@njit
def _limits(n_free, templates):
    """Lowest and highest values of the parameters, as in the joint fit."""
    lowest, highest = np.zeros(n_free + 2), np.full(n_free + 2, np.inf)
    lowest[:2] = -np.inf
    lowest[RESOLUTION], highest[RESOLUTION] = LOG_RESOLUTION_LIMITS
    highest[TAIL] = templates.most_tail
    lowest[N_SHARED : N_SHARED + templates.limits.shape[0]] = LOWEST_CONTINUUM
    lowest[n_free], highest[n_free] = -MOST_STRETCH, MOST_STRETCH
    highest[n_free + 1] = 1.0
    return lowest, highest


@njit
def _trial(end, step, lowest, highest):
    """Where a step leads, cut to a stretch on which the model is near linear."""
    n = end.shape[0]
    cut = min(1.0, MOST_STEP_KEV / max(abs(step[0]), abs(step[1]), 1e-300))
    cut = min(cut, MOST_STEP_LOG_RESOLUTION / max(abs(step[RESOLUTION]), 1e-300))
    cut = min(cut, MOST_STEP_TAIL / max(abs(step[TAIL]), 1e-300))
    cut = min(cut, MOST_STEP_STRETCH / max(abs(step[n - 2]), 1e-300))
    return np.minimum(np.maximum(end + cut * step, lowest), highest)
