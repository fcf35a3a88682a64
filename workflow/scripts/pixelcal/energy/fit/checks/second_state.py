"""Does a pixel have two gains, one after the other or at once? A search for the smaller part.

The fit follows the state that most of the counts are in. In the other one the gain is larger by a
factor 1 + s, so that its lines stand elsewhere: a fraction a of the counts has their density. For
each s of a table the score of a is the sum of weights over the counts minus what the fit expects
(`response.tables.second_state_weights`): of the counts of either half of the exposure, for a step
before or after its middle, or of all of them, for two gains at once.

Of the score, what the parameters of the fit take up is taken out (Rao 1948), and of its difference
between the halves what a background takes up that changes. That the sum of a few large weights is
skewed is corrected to first order (Cornish and Fisher 1938).

Where the score is clear enough, both states are fitted (`fit.checks.two_states`): the root of what
that gains, less what it gains by chance, is the significance then, where it is larger.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.checks.two_state_likelihood import make_room
from pixelcal.energy.fit.checks.two_states import (
    HOPELESS,
    fit_two_states,
    mean_relation,
    one_state_value,
)
from pixelcal.energy.fit.model import (
    N_SHARED,
    parameter_index,
    relation_of,
)
from pixelcal.energy.response.tables import SECOND_STEP_KEV, STRETCHES
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, inverse_forms, is_positive, solve

LEAST_LEFT = 0.02
"""A stretch is not judged where the parameters leave less of its variance."""

BOTH, FIRST_HALF, SECOND_HALF = 0, 1, 2
RIDGE = 1e-6

DOUBT_SIGMA, DOUBT_PART_SIGMA = 2.3, 2.0
"""Both states are fitted where the largest score is larger, in each part where its own is."""

LEAST_FRACTION, MOST_FRACTION = 0.05, 0.6
"""Where such a fit starts: a score far from its maximum says little about the fraction."""

DECISIVE = 50.0
"""Where one part gains more (7 sigma), the others need only be followed while they may gain more
than that."""

FREEDOM = 1.2
"""What the fit of both gains by chance over the score that led to it, as it chooses the stretch: in
healthy cameras of 3 to 30 ks its root alone exceeds 3 to 4 by chance 1.6 to 2.2 times as often."""


class SecondState(NamedTuple):
    """The most significant second state of a pixel.

    Attributes
    ----------
    sigma : float
        Significance at the best stretch; the best of some twenty exceeds that of one.
    stretch : float
        Its gain over that of the fit, minus 1.
    part : int
        Whether its counts are in `BOTH` halves, in the `FIRST_HALF` or in the `SECOND_HALF`.
    fraction : float
        Of the counts of that part, to first order.
    gain, offset : float, keV/channel and keV
        The relation averaged over both states: of their fit where that is the most significant, to
        first order from the score elsewhere; NaN where the score is below `DOUBT_SIGMA`.
    """

    sigma: float
    stretch: float
    part: int
    fraction: float
    gain: float
    offset: float


NOT_LOOKED_FOR = np.nan, np.nan, 0, np.nan, np.nan, np.nan
"""The fields of a pixel that cannot be checked."""


@njit
def find_second_state(halves, first, last, theta, covariance, scale, templates, work):
    """The fields of `SecondState` of a pixel, as a plain tuple.

    Parameters
    ----------
    halves : tuple
        Counts (n_channels,), those of the first half, the fraction of these, and between the halves
        the score (n_free,) and the information (n_free, n_free) of all parameters.
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    theta, covariance : (n_free,) and (n_free, n_free) float
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    work : Workspace
        Holds the model of all blocks.
    """
    counts, first_half, fraction, score, information = halves
    groups, weights = templates.groups, templates.second_state
    sums, mixed = _sums(counts, first_half, fraction, first, last, theta, groups, weights, work)
    norms = information[N_SHARED:, N_SHARED:].copy()
    for p in range(norms.shape[0]):
        norms[p, p] += RIDGE * norms[p, p] + 1e-9
    factor = cholesky(norms)
    in_both, in_first = (0.0, 0.0, BOTH, 0.0), (0.0, 0.0, FIRST_HALF, 0.0)
    in_second = 0.0, 0.0, SECOND_HALF, 0.0
    if not is_positive(factor):
        return 0.0, 0.0, BOTH, 0.0, np.nan, np.nan
    by_norms = solve(factor, score[N_SHARED:].copy())
    taken = _quadratic_forms(covariance, mixed)
    taken_by_norms = inverse_forms(factor, mixed[N_SHARED:])
    early, late = 1.0 / fraction, 1.0 / (1.0 - fraction)
    for s in range(weights.shape[1]):
        total, between, whole, third = sums[0, s], sums[1, s], sums[2, s], sums[3, s]
        left, steady = whole - taken[s], whole - taken_by_norms[s]
        if not (left > LEAST_LEFT * whole and steady > LEAST_LEFT * whole):
            continue
        for p in range(norms.shape[0]):
            between -= mixed[N_SHARED + p, s] * by_norms[p]
        # The sum over the first half minus what the fit of both expects in it, over the fraction.
        in_both = _better(in_both, total, left, third, STRETCHES[s], BOTH)
        value, variance = total + early * between, left + (early - 1.0) * steady
        in_first = _better(in_first, value, variance, third * early**2, STRETCHES[s], FIRST_HALF)
        value, variance = total - late * between, left + (late - 1.0) * steady
        in_second = _better(in_second, value, variance, third * late**2, STRETCHES[s], SECOND_HALF)
    data = counts, first_half, fraction
    return _fitted((in_both, in_first, in_second), data, first, last, theta, scale, templates, work)


@njit
def _fitted(scores, data, first, last, theta, scale, templates, work):
    """The best of the `scores` of the three parts, or what a fit of both states finds instead."""
    best, fraction = scores[0], data[2]
    for one in scores:
        if one[0] > best[0]:
            best = one
    if not best[0] > DOUBT_SIGMA:
        return best[0], best[1], best[2], best[3], np.nan, np.nan
    # Counts that a fit of both cannot tell from one gain may be there nonetheless.
    end = np.append(theta, np.array([best[1], min(max(best[3], 0.0), MOST_FRACTION)]))
    gain, offset = mean_relation(end, best[2], fraction)
    found = best[0], best[1], best[2], best[3], gain, offset
    whole, apart = one_state_value(data, first, last, theta, templates, work.mu)
    room, most = make_room(first, last, templates), HOPELESS
    one, other = ((1, 2), (0, 2), (0, 1))[best[2]]
    for part in (best[2], one, other):  # the best first: it may be decisive
        sigma, stretch, _, of_part = scores[part]
        if not sigma > DOUBT_PART_SIGMA:
            continue
        start = min(max(of_part, LEAST_FRACTION), MOST_FRACTION)
        needed = most if most > DECISIVE else HOPELESS
        point = whole if part == BOTH else apart, stretch, start, part, needed
        gained, end = fit_two_states(data, first, last, theta, point, scale, templates, room)
        if gained > most:
            most = gained
            gain, offset = mean_relation(end, part, fraction)
            n = end.shape[0]
            larger = max(np.sqrt(gained - FREEDOM), best[0])
            found = larger, end[n - 2], part, end[n - 1], gain, offset
    return found


@njit
def _better(best, value, variance, third, stretch, part):
    """The more significant one of `best` and of a score with its variance and third cumulant."""
    sigma = _sigma(value, variance, third)
    return (sigma, stretch, part, value / variance) if sigma > best[0] else best


@njit
def _sigma(value, variance, third):
    """A sum in its standard deviations, as a normal one would be; `third` is its third cumulant."""
    z = value / np.sqrt(variance)
    return z - third / variance**1.5 * (z * z - 1.0) / 6.0


@njit
def _quadratic_forms(matrix, columns):
    """v^T matrix v (n,) of each of the columns v (k, n)."""
    k, n = columns.shape
    result, product = np.zeros(n), np.empty(n)
    for p in range(k):
        product[:] = 0.0
        for q in range(k):
            factor = matrix[p, q]
            for s in range(n):
                product[s] += factor * columns[q, s]
        for s in range(n):
            result[s] += product[s] * columns[p, s]
    return result


@njit
def _sums(counts, first_half, fraction, first, last, theta, groups, weights, work):
    """Sums over all channels: (4, n_stretches) and mixed with the parameters (n_free, n_stretches).

    Weights times counts minus expected; times first half minus its fraction of all; squares and
    cubes of the weights times expected. Mixed: weights times derivatives.
    """
    gain, offset = relation_of(theta)
    n_energies, n_stretches = weights.shape
    sums, mixed = np.zeros((4, n_stretches)), np.zeros((theta.shape[0], n_stretches))
    mus, jacobian = work.mu, work.jacobian
    n_blocks, places = first.shape[0], np.empty(theta.shape[0], np.int64)
    for b in range(n_blocks):
        k0, _, k1 = groups[b]
        n_local = N_SHARED + 1 + k1 - k0
        for p in range(n_local):
            places[p] = parameter_index(p, b, k0, n_blocks)
        for c in range(first[b], last[b]):
            mu = mus[c]
            at = int((gain * (c + 0.5) + offset) / SECOND_STEP_KEV)
            at = min(max(at, 0), n_energies - 1)
            excess, half = counts[c] - mu, first_half[c] - fraction * counts[c]
            for s in range(n_stretches):
                w = weights[at, s]
                square = w * w * mu
                sums[0, s] += w * excess
                sums[1, s] += w * half
                sums[2, s] += square
                sums[3, s] += w * square
            for p in range(n_local):
                by, at_p = jacobian[c, p], places[p]
                for s in range(n_stretches):
                    mixed[at_p, s] += by * weights[at, s]
    return sums, mixed
