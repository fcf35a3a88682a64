"""Does one relation describe a pixel? Its halves in time, and its blocks, against each other.

All are tests at the maximum of the joint fit, in one look at the model: nothing is refitted.

- **Halves.** Given how many counts a channel holds in all, the number of them in the first half is
  binomial, whatever the model. The sum over channels of (first - f * all) times the derivative of
  ln(mu) against a parameter therefore tells how far that parameter moved between the halves; with
  all parameters of the fit together, a background that changes its strength or its lines is not
  taken for a relation that moved.
- **Blocks.** How far the lines of one block stand from where the relation of the fit puts them,
  with everything else free: the efficient score of a shift of that block alone (Rao 1948; van der
  Vaart, Asymptotic Statistics, 1998, chapter 25). By how much that moves the relation is the one
  step to the fit without what the block says about positions.
- **Bend.** The same score for a parabola between the lowest and the highest line.
- **Second state.** Counts at another gain (`fit.checks.second_state`).
- **Excess.** Counts that gather where the model has no line (a noise peak, a threshold, a foreign
  line), or are missing: the window within each block whose counts are the least likely.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.checks.second_state import NOT_LOOKED_FOR, find_second_state
from pixelcal.energy.fit.checks.threshold import LOWEST, excess_at_edge
from pixelcal.energy.fit.model import (
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    block_model,
    choose_channels,
    parameter_index,
    relation_of,
    rows_of_block,
)
from pixelcal.energy.fit.population_prior import expected_covariance
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, dot, is_positive, quadratic_form, solve

NOT_CHECKED, CHECKED_BLOCKS, CHECKED_ALL = 0, 1, 2
"""How much of the consistency is checked: nothing, halves and blocks, a second gain too."""

WINDOWS = (6, 14, 24)
"""Widths of the windows in channels: a narrow line, one as at 60 keV, a small block."""

LEAST_EXCESS = 4.0
"""Smaller deviations of a window are chance: there are some hundred places in a pixel."""

RIDGE = 1e-9
"""Added to the information, relative to its diagonal, so that a component without counts in the
model does not make it singular."""


LEAST_LEFT = 0.01
"""A bend that the other parameters take up but for less of its information cannot be told."""


class Consistency(NamedTuple):
    """What `check_pixel` returns.

    Attributes
    ----------
    drift : (2,) float, keV
        Energy in the first half minus that in the second, at PIVOT_LOW and PIVOT_HIGH; NaN where
        it cannot be told.
    drift_covariance : (2, 2) float, keV^2
    first_fraction : float
        Fraction of the counts in the blocks that fell into the first half.
    block_shift, block_shift_err : (n_blocks,) float, keV
        Energy of the block's lines by the relation of the fit minus that of the line table, were
        the block free to move; NaN where the block cannot tell.
    block_pull : (n_blocks, 2) float, keV
        Energies at PIVOT_LOW and PIVOT_HIGH without what the block says about positions, minus
        those of the fit; NaN where the block cannot tell.
    block_excess : (n_blocks,) float
        Signed root of the deviance of the window that fits worst, about normal at any one place; 0
        where none is beyond `LEAST_EXCESS`.
    bend, bend_err : float, keV
        How far the pixel's energies lie above a straight relation in the middle of the lines, were
        it a parabola; NaN where it cannot be told.
    second : tuple
        The fields of `second_state.SecondState`.
    """

    drift: np.ndarray
    drift_covariance: np.ndarray
    first_fraction: float
    block_shift: np.ndarray
    block_shift_err: np.ndarray
    block_pull: np.ndarray
    block_excess: np.ndarray
    bend: float
    bend_err: float
    second: tuple


@njit
def not_checked(n_blocks):
    """The fields of `Consistency` where nothing is known."""
    nothing, unknown = np.full((2, 2), np.nan), np.full(n_blocks, np.nan)
    pull = np.full((n_blocks, 2), np.nan)
    of_blocks = unknown, unknown, pull, unknown
    return nothing[0], nothing, np.nan, *of_blocks, np.nan, np.nan, NOT_LOOKED_FOR


@njit
def check_pixel(
    counts, first_half, first, last, theta, covariance, scale, templates, work, seconds=True
):
    """The fields of `Consistency` for one fitted pixel, as a plain tuple.

    Long because all sums come from one pass over the blocks.

    Parameters
    ----------
    counts, first_half : (n_channels,) int32
        All counts, and those of the first half of the exposure; `first_half` may be (0,).
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    theta, covariance : (n_free,) and (n_free, n_free) float
        Maximum of the joint fit and its covariance.
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    work : Workspace
        Holds the model of all blocks at the maximum, each in the rows of its channels.
    seconds : bool
        Whether counts at another gain are looked for.
    """
    n_free, n_blocks = theta.shape[0], templates.limits.shape[0]
    has_halves = first_half.shape[0] > 0
    fraction = _first_fraction(counts, first_half, first, last) if has_halves else np.nan
    information, score = np.zeros((n_free, n_free)), np.zeros(n_free)
    block_excess = np.zeros(n_blocks)
    # Of a bend: its score and information, and the mixed ones with the parameters.
    bend_score, bend_information, bend_by = 0.0, 0.0, np.zeros(n_free)
    n_most = work.jacobian.shape[1] + 1
    of_blocks, shift_scores = np.empty((n_blocks, n_most, n_most)), np.empty(n_blocks)
    places, room = np.empty((n_blocks, n_most), np.int64), np.empty(n_most)
    n_locals = np.empty(n_blocks, np.int64)
    for b in range(n_blocks):
        start, n = first[b], last[b] - first[b]
        first_group, _, last_group = templates.groups[b]
        n_local, rows = N_SHARED + 1 + last_group - first_group, rows_of_block(work, start)
        n_locals[b], local, local_score = n_local, of_blocks[b], room[: n_local + 1]
        bend_at = _bend_heights(start, n, theta, templates.ends)
        shift_scores[b], of_bend = _score_of_block(
            counts, first_half, fraction, start, n, bend_at, rows, local_score, local
        )
        for p in range(n_local):
            places[b, p] = parameter_index(p, b, first_group, n_blocks)
            score[places[b, p]] += local_score[p]
            bend_by[places[b, p]] += local[n_local, p]
            for q in range(n_local):
                at_q = parameter_index(q, b, first_group, n_blocks)
                information[places[b, p], at_q] += local[p, q]
        bend_score += of_bend
        bend_information += local[n_local, n_local]
        block_excess[b] = _worst_window(counts, start, n, rows.mu, templates.misfit.excess[b])
        if b == LOWEST:
            block_excess[b] = max(block_excess[b], excess_at_edge(counts, start, n, rows))
    expected = expected_covariance(information, covariance, theta, templates.population_scale)
    shifts = _shifts(of_blocks, shift_scores, places, n_locals, expected)
    drift, drift_covariance = np.full(2, np.nan), np.full((2, 2), np.nan)
    second = NOT_LOOKED_FOR
    if has_halves and 0.0 < fraction < 1.0:
        _drift(information, score, fraction, drift, drift_covariance)
        if seconds:
            halves = counts, first_half, fraction, score, information
            second = find_second_state(halves, first, last, theta, expected, scale, templates, work)
    bend, bend_err = np.nan, np.nan
    left = bend_information - quadratic_form(expected, bend_by)
    if left > LEAST_LEFT * bend_information:
        bend, bend_err = bend_score / left, 1.0 / np.sqrt(left)
    return drift, drift_covariance, fraction, *shifts, block_excess, bend, bend_err, second


@njit
def _shifts(of_blocks, scores, places, n_locals, covariance):
    """Shift (n_blocks,), its error, and pull (n_blocks, 2) of each block; NaN where it cannot tell.

    From the scores (n_blocks,) of a shift and the information of each block.
    """
    n_blocks = scores.shape[0]
    shift, shift_err = np.full(n_blocks, np.nan), np.full(n_blocks, np.nan)
    pull = np.full((n_blocks, 2), np.nan)
    for b in range(n_blocks):
        left = _information_of_shift(of_blocks[b], places[b, : n_locals[b]], covariance, pull[b])
        if left > 0.0:
            # A relation that gives higher energies is what the score asks for: the lines are low.
            shift[b], shift_err[b] = -scores[b] / left, 1.0 / np.sqrt(left)
            pull[b] *= shift[b]
        else:
            pull[b] = np.nan
    return shift, shift_err, pull


@njit
def _score_of_block(counts, first_half, fraction, start, n, bend_at, rows, score, information):
    """Fill the score of the halves (n_local + 1,) and the information of a block.

    The last parameter is a bend, whose height at the middles of the channels (n,) is `bend_at`; a
    channel moves by it as by a shift. Returns the scores of all counts against a shift of all
    energies of the block, and against the bend.
    """
    score[:] = 0.0
    information[:] = 0.0
    has_halves, of_shift, of_bend = first_half.shape[0] > 0, 0.0, 0.0
    mus, jacobian = rows.mu, rows.jacobian
    n_local = score.shape[0] - 1
    for i in range(n):
        mu, count = mus[i], counts[start + i]
        if not mu > 0.0:
            continue
        inverse_mu = 1.0 / mu
        by_shift = jacobian[i, 0] + jacobian[i, 1]
        by_bend = by_shift * bend_at[i]
        relative = (count - mu) * inverse_mu
        of_shift += relative * by_shift
        of_bend += relative * by_bend
        excess = (first_half[start + i] - fraction * count) * inverse_mu if has_halves else 0.0
        for p in range(n_local):
            score[p] += excess * jacobian[i, p]
            weighted = jacobian[i, p] * inverse_mu
            for q in range(p + 1):
                information[p, q] += weighted * jacobian[i, q]
            information[n_local, p] += weighted * by_bend
        information[n_local, n_local] += by_bend * by_bend * inverse_mu
    for p in range(n_local):
        for q in range(p):
            information[q, p] = information[p, q]
    return of_shift, of_bend


@njit
def _bend_heights(start, n, theta, ends):
    """Heights (n,) of a bend of 1 keV midway between the `ends`, at the middles of channels."""
    gain, offset = relation_of(theta)
    heights, height = np.empty(n), -4.0 / (ends[1] - ends[0]) ** 2
    for i in range(n):
        energy = gain * (start + i + 0.5) + offset
        heights[i] = height * (energy - ends[0]) * (energy - ends[1])
    return heights


@njit
def _information_of_shift(local_information, places, covariance, pull):
    """Information on a shift of one block that the other parameters leave; 0 where they leave none.

    A shift of all energies alike moves both pivots: its derivative is the sum of theirs. Fills
    `pull` (2,): how the pivots move with it, per keV that the lines stand too high.
    """
    information = 0.0
    for p in range(2):
        for q in range(2):
            information += local_information[p, q]
    left = information
    pull[:] = 0.0
    for p in range(places.shape[0]):
        with_p = local_information[0, p] + local_information[1, p]
        for k in range(2):
            pull[k] += covariance[k, places[p]] * with_p
        for q in range(places.shape[0]):
            with_q = local_information[0, q] + local_information[1, q]
            left -= with_p * covariance[places[p], places[q]] * with_q
    return left if left > RIDGE * information else 0.0


@njit
def _worst_window(counts, start, n, mus, misfit):
    """Signed root of the deviance of the worst window of a block.

    Of windows of all `WINDOWS` at all places; 0 where none is beyond `LEAST_EXCESS`. `misfit` is
    the square of the relative error of the model, which makes a deviance as large by itself.
    """
    worst, sign = LEAST_EXCESS, 0.0
    for width in WINDOWS:
        seen, expected = 0.0, 0.0
        for i in range(n):
            seen += counts[start + i]
            expected += mus[i]
            if i >= width:
                seen -= counts[start + i - width]
                expected -= mus[i - width]
            allowed = 1.0 + misfit * expected
            if i < width - 1 or (seen - expected) ** 2 < worst * worst * expected * allowed:
                continue
            deviance = 2.0 * (expected - seen)
            if seen > 0:
                deviance += 2.0 * seen * np.log(seen / expected)
            deviance /= allowed
            if deviance > worst * worst:
                worst = np.sqrt(deviance)
                sign = 1.0 if seen > expected else -1.0
    return sign * worst


@njit
def balance_of_block(counts, theta, b, scale, templates, work):
    """What a block lacks of what the model puts there, and what it has in excess, in sigma.

    Parameters
    ----------
    counts : (n_channels,) int32
    theta : (n_free,) float
        Parameters of all blocks, also of this one.
    b : int
        The block.
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    work : Workspace

    Returns
    -------
    deficit : float
        Signed root of the deviance of the window that lacks the most; 0 where none is beyond
        `LEAST_EXCESS`.
    surplus : float
        All counts of the block minus what is expected, over their error with the scatter of the
        population in its lines; in the lowest block, those at its low edge where that is more.
    """
    first, last = choose_channels(theta, templates, counts.shape[0])
    n = last[b] - first[b]
    block_model(theta, b, first[b], n, scale, templates, work)
    seen, expected = 0.0, 0.0
    for i in range(n):
        count, mu = float(counts[first[b] + i]), work.mu[i]
        seen += count
        expected += mu
        # What is more than expected fills no gap elsewhere.
        work.below[0, i] = min(count, mu + 3.0 * np.sqrt(mu))
    scatter = 0.0
    first_group, next_group, _ = templates.groups[b]
    for k in range(first_group, next_group):
        scatter = max(scatter, templates.population_scale[N_OF_SHAPE + first.shape[0] + k])
    error = np.sqrt(expected + (scatter * expected) ** 2)
    surplus = (seen - expected) / error if error > 0.0 else 0.0
    deficit = _worst_window(work.below[0], 0, n, work.mu, templates.misfit.excess[b])
    edge = excess_at_edge(counts, first[b], n, work) if b == LOWEST else 0.0
    return min(deficit, 0.0), max(surplus, edge)


@njit
def _first_fraction(counts, first_half, first, last):
    """Fraction of the counts of the blocks that fell into the first half; NaN of none."""
    total, early = 0, 0
    for b in range(first.shape[0]):
        for c in range(first[b], last[b]):
            total += counts[c]
            early += first_half[c]
    return early / total if total > 0 else np.nan


@njit
def _drift(information, score, fraction, drift, covariance):
    """Difference of the parameters between the halves by one Newton step; the pivots' are kept.

    The variance of the score is f (1 - f) times the information, and so is its slope against the
    difference.
    """
    n_free = information.shape[0]
    weight = fraction * (1.0 - fraction)
    matrix = information * weight
    largest = 0.0
    for p in range(n_free):
        largest = max(largest, matrix[p, p])
    for p in range(n_free):
        matrix[p, p] += RIDGE * max(matrix[p, p], largest * RIDGE) + 1e-300
    factor = cholesky(matrix)
    if not is_positive(factor):
        return
    for k in range(2):
        unit = np.zeros(n_free)
        unit[k] = 1.0
        row = solve(factor, unit)
        drift[k] = dot(row, score)
        covariance[k, 0], covariance[k, 1] = row[0], row[1]


def energies_at(positions, pivots) -> np.ndarray:
    """Values (..., n) at `positions` (n,) on the channel axis, from those at the pivots (..., 2).

    A straight line through both, as a relation is one.
    """
    part = (np.asarray(positions, float) - PIVOT_LOW) / (PIVOT_HIGH - PIVOT_LOW)
    pivots = np.asarray(pivots, float)
    return pivots[..., :1] * (1.0 - part) + pivots[..., 1:] * part
