"""What dark counts add to the exponent of a flash, compiled.

Those in the window are avalanches at a random time. Of those before it, at -u, the window sees the
end of their pulses, exp(-u / decay), and of what follows them. What begins in the window after an
early one is known for each kind (`later_exponents`), for afterpulses at a few points of the
recovery of their cell, and so is its integral over u (`area`). What
begins before the window is added up in two parts. By themselves these are as many more early dark
counts as `Followers.earlier` says: an afterpulse has the fraction c of a pulse, and where c has the
density of its delay the charges below place = exp(-u / decay) are those of cells that recovered to
c > place. Together with the avalanche that they follow they are in the exponent of that, where
their linear part is taken off, since it has been counted.
"""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DECAY,
    DELAY,
    DELAYED,
    N_AFTERPULSE,
    N_EARLY,
    SPENT,
)
from pixelcal.charge.spe.noise.late_sums import (
    GROWN,
    N_SUMS,
    add_avalanches,
    add_combined,
    add_derivatives,
    add_followers,
    add_product,
    add_scaled_product,
    add_through,
    add_through_inner,
    add_to,
    fill_afterpulses,
    part_of,
    subtract,
)
from pixelcal.charge.spe.noise.progeny import BY_LOG, FALL, fill_trees, mean_progeny
from pixelcal.charge.spe.parameters import N_SHARED, OPCT
from pixelcal.numerics.jit import njit


@njit
def number_of(kind):
    """Which parameter of the noise is the number of a kind of early followers."""
    if kind <= N_AFTERPULSE:
        return AFTERPULSE + kind
    return AFTERPULSE + (kind - N_AFTERPULSE - 1) % N_AFTERPULSE


@njit
def add_dark_counts(late, at_node, s, theta, tree, by_time, total, by):
    """What the dark counts in the window add per unit of their rate, as `add_followers`."""
    sums = np.zeros((N_SUMS, s.shape[0]), np.complex128)
    add_avalanches(late.dwell, late.inside, late.inside_by_decay, tree, sums)
    add_to(total, 1.0, sums[0])
    add_derivatives(sums, s, theta, by)
    pull = np.zeros((at_node.shape[1], s.shape[0]), np.complex128)
    for i in range(at_node.shape[1]):
        add_combined(at_node[:, i] * late.dwell, tree, BY_LOG, pull[i])
    add_through_inner(pull, by_time, by)


@njit
def earlier_exponents(s, theta, noise, more, terms, nothing, tree, after, of_place, by_place):
    """What follows early dark counts before the window, at the places of `more.former`.

    Parameters
    ----------
    s, theta, noise, more, terms, nothing
        As for `later_exponents`.
    tree, after : (n, N_ROWS, m) and (n, N_AFTER, m) complex
        Room to work in.
    of_place, by_place : (N_PLACES, m) and (N_PLACES, 4 + N_NOISE, m) complex, written
        What follows, with nothing that follows later, and its derivatives.
    """
    former, n_places = more.former, of_place.shape[0]
    n = former.inside.shape[0]
    each, numbers = n // n_places, noise[AFTERPULSE : DELAYED + 1]
    tree, after = tree[:n], after[:n]
    fill_trees(former.inside, nothing, s, theta, noise[SPENT], terms, tree)
    fill_afterpulses(former, nothing, s, theta, tree, after)
    of_place.fill(0.0)
    by_place.fill(0.0)
    for i in range(n_places):
        first, last = i * each, (i + 1) * each
        part = part_of(former, first, last)
        add_followers(
            part, s, theta, numbers, tree[first:last], after[first:last], of_place[i], by_place[i]
        )
        by_decay = by_place[i, N_SHARED + DECAY]
        weight = np.zeros(each)
        for kind in range(N_AFTERPULSE):
            weight += numbers[kind] * more.former_by_decay[first:last, kind]
        add_combined(weight, after[first:last], GROWN, by_decay)
        subtract(by_decay, weight.sum())
        weight = numbers[N_AFTERPULSE] * more.former_by_decay[first:last, N_AFTERPULSE]
        add_combined(weight, tree[first:last], FALL, by_decay)


@njit
def fill_inner(more, noise, of_time, of_kind, of_place, inner, inner_early):
    """What follows those that begin at the nodes, by what `later_exponents` gives."""
    for j in range(inner.shape[0]):
        inner[j].fill(0.0)
        inner_early[j].fill(0.0)
        for i in range(of_time.shape[0]):
            add_to(inner[j], more.at_node[j, i], of_time[i])
        for i in range(N_EARLY):
            add_to(inner_early[j], more.fall[j, i] * noise[number_of(i)], of_kind[i])
        for i in range(of_place.shape[0]):
            add_to(inner_early[j], more.at_place[j, i], of_place[i])


@njit
def add_early_dark_counts(
    late, more, s, theta, noise, inner, early, of_kind, by_kind, by_place, total, by
):
    """What the dark counts before the window add per unit of their rate, as `add_followers`.

    `early` is the tree of these with `inner`, what follows each, and changed. `of_kind`, `by_kind`
    and `by_place` are of `later_exponents` and `earlier_exponents`. What follows them when nothing
    of them is left is their mean number of avalanches times `inner`: that is taken off at the
    nodes, and the mean over all times added (`Followers.area`).

    Long because all that reaches them does so by the kinds, and so do its derivatives.
    """
    n, m = late.before.shape[0], s.shape[0]
    number, by_opct, by_spent = mean_progeny(theta[OPCT], noise[SPENT])
    decay = noise[DECAY]
    once = decay * late.dwell_before
    weight = once * (1.0 + number * more.earlier)
    linear = np.zeros(m, np.complex128)
    for j in range(n):
        add_to(linear, weight[j], inner[j])
        add_to(early[j, FALL], -number, inner[j])
    sums = np.zeros((N_SUMS, m), np.complex128)
    add_avalanches(weight, late.before, np.zeros(n), early, sums)
    add_to(total, 1.0, sums[0])
    add_to(sums[5], -by_opct, linear)
    add_to(sums[6], -by_spent, linear)
    add_derivatives(sums, s, theta, by)
    more_by_decay = weight / decay + number * once * more.earlier_by_decay
    add_combined(more_by_decay, early, FALL, by[N_SHARED + DECAY])
    add_combined(number * once * more.earlier_by_delay, early, FALL, by[N_SHARED + DELAY])
    add_combined(by_opct * once * more.earlier, early, FALL, by[OPCT])
    add_combined(by_spent * once * more.earlier, early, FALL, by[N_SHARED + SPENT])
    for i in range(more.earlier_of.shape[1]):
        at = number * once * more.earlier_of[:, i]
        add_combined(at, early, FALL, by[N_SHARED + AFTERPULSE + i])
    for i in range(N_EARLY):
        place = number_of(i)
        size, area = noise[place], more.area[i]
        add_to(total, number * area * size, of_kind[i])
        add_to(by[OPCT], by_opct * area * size, of_kind[i])
        add_to(by[N_SHARED + SPENT], by_spent * area * size, of_kind[i])
        slope = early_slope(weight * more.fall[:, i], number, area, early)
        add_product(by[N_SHARED + place], slope, of_kind[i])
        if size != 0.0:
            scaled_slope = np.zeros(m, np.complex128)
            add_to(scaled_slope, size, slope)
            add_through(scaled_slope, by_kind[i], by)
        slope = early_slope(weight * more.fall_by_decay[:, i], number, more.area_by_decay[i], early)
        add_scaled_product(by[N_SHARED + DECAY], size, slope, of_kind[i])
    slope = early_slope(weight * more.fall_by_delay, number, 1.0, early)
    add_scaled_product(by[N_SHARED + DELAY], noise[DELAYED], slope, of_kind[N_AFTERPULSE])
    for i in range(by_place.shape[0]):
        slope = early_slope(weight * more.at_place[:, i], number, 0.0, early)
        add_through(slope, by_place[i], by)


@njit
def early_slope(weight, number, area, early):
    """The slope (m,) of early dark counts by what follows them, by its fall at the nodes."""
    slope = np.zeros(early.shape[2], np.complex128)
    add_combined(weight, early, BY_LOG, slope)
    lacking = number * (area - weight.sum())
    for k in range(slope.shape[0]):
        slope[k] += lacking
    return slope
