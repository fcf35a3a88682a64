"""Does a pixel have two gains, one after the other or at once? A search for the smaller part.

The fit follows the state that most of the counts are in. Those of the other one lie where stretched
lines would be: a fraction a of the counts has the density of the camera at energies stretched by
1 + s. For each s of a table the score of a is the sum of weights over the counts minus what the fit
expects (`response.tables.second_state_weights`): of the counts of either half of the exposure, for
a step before or after its middle, or of all of them, for two gains at once.

Of the score, what the parameters of the fit take up is taken out (Rao 1948), and of its difference
between the halves what a background takes up that changes. That the sum of a few large weights is
skewed is corrected to first order (Cornish and Fisher 1938).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.model import N_SHARED, groups_of_block, parameter_index, relation_of
from pixelcal.energy.response.tables import SECOND_STEP_KEV, STRETCHES
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, is_positive, quadratic_form, solve

LEAST_LEFT = 0.02
"""A stretch is not judged where the parameters leave less of its variance."""

BOTH, FIRST_HALF, SECOND_HALF = 0, 1, 2
RIDGE = 1e-6


@njit
def find_second_state(halves, first, last, theta, covariance, group_block, weights, work):
    """The most significant second state of a pixel.

    Parameters
    ----------
    halves : tuple
        Counts (n_channels,), those of the first half, the fraction of these, and between the halves
        the score (n_free,) and the information (n_free, n_free) of all parameters.
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    theta, covariance : (n_free,) and (n_free, n_free) float
    group_block : (n_groups,) int
    weights : (n_energies, n_stretches) float
    work : Workspace
        Holds the model of all blocks.

    Returns
    -------
    sigma : float
        Significance at the best stretch; the best of some twenty exceeds that of one.
    stretch : float
        By how much energies read larger in that state.
    part : int
        Whether its counts are in `BOTH` halves, in the `FIRST_HALF` or in the `SECOND_HALF`.
    """
    counts, first_half, fraction, score, information = halves
    sums, mixed = _sums(
        counts, first_half, fraction, first, last, theta, group_block, weights, work
    )
    n_free = theta.shape[0]
    norms = information[N_SHARED:, N_SHARED:].copy()
    for p in range(n_free - N_SHARED):
        norms[p, p] += RIDGE * norms[p, p] + 1e-9
    factor = cholesky(norms)
    sigma, stretch, part = 0.0, 0.0, 0
    if not is_positive(factor):
        return sigma, stretch, part
    by_norms = solve(factor, score[N_SHARED:].copy())
    early, late = 1.0 / fraction, 1.0 / (1.0 - fraction)
    by = np.empty(n_free)
    for s in range(weights.shape[1]):
        total, between, whole, third = sums[0, s], sums[1, s], sums[2, s], sums[3, s]
        for p in range(n_free):
            by[p] = mixed[p, s]
        left = whole - quadratic_form(covariance, by)
        of_norms = by[N_SHARED:].copy()
        solved = solve(factor, of_norms)
        steady = whole
        for p in range(n_free - N_SHARED):
            steady -= of_norms[p] * solved[p]
            between -= of_norms[p] * by_norms[p]
        if not (left > LEAST_LEFT * whole and steady > LEAST_LEFT * whole):
            continue
        for where in range(3):
            value, variance, skew = total, left, third
            if where == FIRST_HALF:
                value += early * between
                variance += (early - 1.0) * steady
                skew *= early**2
            elif where == SECOND_HALF:
                value -= late * between
                variance += (late - 1.0) * steady
                skew *= late**2
            z = value / np.sqrt(variance)
            z -= skew / variance**1.5 / 6.0 * (z * z - 1.0)
            if z > sigma:
                sigma, stretch, part = z, STRETCHES[s], where
    return sigma, stretch, part


@njit
def _sums(counts, first_half, fraction, first, last, theta, group_block, weights, work):
    """Sums over all channels: (4, n_stretches) and mixed with the parameters (n_free, n_stretches).

    Weights times counts minus expected; times first half minus its fraction of all; squares and
    cubes of the weights times expected. Mixed: weights times derivatives.
    """
    gain, offset = relation_of(theta)
    n_energies, n_stretches = weights.shape
    sums, mixed = np.zeros((4, n_stretches)), np.zeros((theta.shape[0], n_stretches))
    total, between, squares, cubes = sums[0], sums[1], sums[2], sums[3]
    mus, jacobian = work.mu, work.jacobian
    n_blocks = first.shape[0]
    for b in range(n_blocks):
        k0, k1 = groups_of_block(group_block, b)
        for c in range(first[b], last[b]):
            mu = mus[c]
            at = int((gain * (c + 0.5) + offset) / SECOND_STEP_KEV)
            row = weights[min(max(at, 0), n_energies - 1)]
            excess, half = counts[c] - mu, first_half[c] - fraction * counts[c]
            for s in range(n_stretches):
                w = row[s]
                square = w * w * mu
                total[s] += w * excess
                between[s] += w * half
                squares[s] += square
                cubes[s] += w * square
            for p in range(N_SHARED + 1 + k1 - k0):
                by, target = jacobian[c, p], mixed[parameter_index(p, b, k0, n_blocks)]
                for s in range(n_stretches):
                    target[s] += by * row[s]
    return sums, mixed
