"""Delayed crosstalk between cells that fired before, which have not recovered, compiled.

An avalanche and its prompt crosstalk are a tree of k cells, and each has n = 1 / spent neighbours
(`progeny`). Photons choose a neighbour at random. Delayed crosstalk therefore finds a cell that
fired with the flash as often as along the k - 1 edges of the tree, in both directions. Such a cell
gives what an afterpulse does. Likewise the prompt crosstalk of a delayed avalanche at t finds the
cell that fired it. With A, B and C of `exponents`, the one at t, and w the number of delayed
avalanches,

    B -> B (1 + spent opct (A - C)),    an edge: exp(G),    G = 2 spent integral of w (A - B)

so that a flash has exp(-G) B(phi exp(G)) in place of B(phi). Both are 0 for an unlimited number of
neighbours. The same among what follows late avalanches is left out, three small numbers.
"""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.noise.late_charges import DELAY, DELAYED, SPENT
from pixelcal.charge.spe.noise.late_sums import (
    GROWN,
    N_SUMS,
    add_combined,
    add_derivatives,
    add_moments,
    add_through_inner,
)
from pixelcal.charge.spe.noise.progeny import BY_LOG, BY_OPCT, BY_SPENT, FALL, LATER, scaled
from pixelcal.charge.spe.parameters import N_SHARED, OPCT
from pixelcal.numerics.jit import njit

VALUE, BY_INSIDE, BY_RECOVERED, OF_OPCT, OF_SPENT, OF_CROSSTALK, OF_INNER = np.arange(7)
"""Rows of what `fill_hit_again` gives: the value, and its slopes by the logarithms of a pulse of
the node and of an afterpulse, by opct, spent, the crosstalk of an afterpulse, and what follows."""
N_AGAIN = 7


@njit
def add_hit_again(weight, tree, after, back, edge):
    """Add sums over nodes, with the `weight` (n,), to what the delayed avalanches change.

    Parameters
    ----------
    tree, after
        As `fill_trees` and `fill_afterpulses` give them.
    back : (m,) complex, added to
        B (A - C), of the prompt crosstalk of a delayed avalanche.
    edge : (m,) complex, added to
        A - B, of a cell that has fired.
    """
    for j in range(weight.shape[0]):
        grown, first, later = after[j, GROWN], tree[j, FALL], tree[j, LATER + FALL]
        for k in range(back.shape[0]):
            back[k] += scaled(weight[j], (1.0 + first[k]) * (grown[k] - 1.0 - later[k]))
            edge[k] += scaled(weight[j], grown[k] - 1.0 - first[k])


@njit
def fill_hit_again(late, inner, opct, by_back, by_edge, tree, after, rows):
    """What `add_hit_again` adds, by its effect on a flash, and the slopes of that.

    Parameters
    ----------
    late, inner, tree, after
        As for `exponents`.
    by_back, by_edge : (m,) complex
        Slopes of a flash by `back` and `edge`.
    rows : (n, N_AGAIN, m) complex, written
    """
    for j in range(late.inside.shape[0]):
        crosstalk = late.crosstalk[j]
        for k in range(by_back.shape[0]):
            fall, grown = tree[j, LATER + FALL, k], after[j, GROWN, k]
            first, apart = 1.0 + tree[j, FALL, k], grown - 1.0 - fall
            back = by_back[k] * first
            of_after = (back + by_edge[k]) * grown
            of_first = by_back[k] * apart - by_edge[k]
            of_later = scaled(crosstalk * opct, of_after) - back
            by_inside = of_first * tree[j, BY_LOG, k] + of_later * tree[j, LATER + BY_LOG, k]
            rows[j, VALUE, k] = back * apart + by_edge[k] * (grown - first)
            rows[j, BY_INSIDE, k] = by_inside
            rows[j, BY_RECOVERED, k] = of_after
            rows[j, OF_OPCT, k] = (
                of_first * tree[j, BY_OPCT, k]
                + of_later * tree[j, LATER + BY_OPCT, k]
                + scaled(crosstalk, of_after * fall)
            )
            rows[j, OF_SPENT, k] = (
                of_first * tree[j, BY_SPENT, k] + of_later * tree[j, LATER + BY_SPENT, k]
            )
            rows[j, OF_CROSSTALK, k] = of_after * (scaled(opct, fall) + inner[j, k])
            rows[j, OF_INNER, k] = by_inside + scaled(crosstalk, of_after)


@njit
def add_slopes_of_hit_again(late, at_node, s, theta, many, rows, by_time, by):
    """Add the derivatives to `by` (4 + N_NOISE, m), with `many` delayed avalanches.

    `rows` is what `fill_hit_again` gives, `by_time` what `later_exponents` does.
    """
    sums = np.zeros((N_SUMS, s.shape[0]), np.complex128)
    weight = many * late.delayed
    add_moments(weight, late.inside, late.inside_by_decay, rows, BY_INSIDE, sums)
    add_moments(weight, late.recovered, late.recovered_by_decay, rows, BY_RECOVERED, sums)
    add_combined(weight, rows, OF_OPCT, sums[5])
    add_combined(weight, rows, OF_SPENT, sums[6])
    add_combined(weight * late.crosstalk_by_decay, rows, OF_CROSSTALK, sums[7])
    add_combined(weight * late.crosstalk_by_loss, rows, OF_CROSSTALK, sums[8])
    add_derivatives(sums, s, theta, by)
    add_combined(late.delayed, rows, VALUE, by[N_SHARED + DELAYED])
    add_combined(many * late.delayed_by_delay, rows, VALUE, by[N_SHARED + DELAY])
    pull = np.zeros((by_time.shape[0], s.shape[0]), np.complex128)
    for i in range(pull.shape[0]):
        add_combined(at_node[:, i] * weight, rows, OF_INNER, pull[i])
    add_through_inner(pull, by_time, by)


@njit
def add_change_of_flash(
    late, at_node, s, theta, noise, inner, room, back, edge, by_time, first, by
):
    """What cells that are hit again make of a flash.

    Parameters
    ----------
    late, at_node, inner, room, by_time
        As in `exponents`.
    back, edge : (m,) complex
        As `add_hit_again` gives them.
    first : (N_ROWS, m) complex, changed
        The tree of a flash, where each avalanche has exp(G) more: it becomes that of a flash.
    by : (4 + N_NOISE, m) complex, added to
        The derivatives by way of `back` and `edge`.
    """
    opct, spent, fall, slope = theta[OPCT], noise[SPENT], first[FALL], first[BY_LOG]
    by_back, by_edge = np.empty_like(back), np.empty_like(edge)
    of_opct, of_spent = by[OPCT], by[N_SHARED + SPENT]
    for k in range(back.shape[0]):
        less = np.exp(scaled(-2.0 * spent, edge[k]))
        fall[k] = less * (1.0 + fall[k]) - 1.0
        for row in (BY_LOG, BY_OPCT, BY_SPENT):
            first[row, k] *= less
        apart = slope[k] - 1.0 - fall[k]
        of_opct[k] += scaled(spent, slope[k] * back[k])
        of_spent[k] += scaled(opct, slope[k] * back[k]) + scaled(2.0, apart * edge[k])
        by_back[k], by_edge[k] = scaled(spent * opct, slope[k]), scaled(2.0 * spent, apart)
    if spent > 0.0:
        fill_hit_again(late, inner, opct, by_back, by_edge, room.tree, room.after, room.again)
        many = noise[DELAYED]
        add_slopes_of_hit_again(late, at_node, s, theta, many, room.again, by_time, by)
