"""Characteristic functions of an avalanche with all that follows it, compiled.

For a frequency s, psi(a) = exp(i s a pe - s^2 a^2 sigma_pe^2 / 2) is that of an avalanche of the
relative charge a. With its prompt crosstalk, and the crosstalk of that, it becomes B(psi), where B
generates the progeny of an avalanche, and C that of one by crosstalk (`progeny`). An avalanche has
afterpulses and delayed avalanches, and each of these again, at its time t:

    phi(t) = psi(a(t)) exp(F(t)),    F(t) = integral of afterpulses (A - 1) + delayed (B(phi) - 1)

so that a flash is exp(lambda (B(phi(0)) - 1) + D), where dark counts add D, the integral of their
rate times B(phi) - 1 over all times (a Poisson process). An afterpulse has a fraction r of the
crosstalk and of the followers of an avalanche, since its cell has not recovered:

    A = psi(a) exp(r (F + opct (C(phi) - 1)))

F is followed to the third generation, of dark counts to the second: what follows then is left out.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.noise.dark_counts import (
    add_dark_counts,
    add_early_dark_counts,
    earlier_exponents,
    fill_inner,
    number_of,
)
from pixelcal.charge.spe.noise.hit_again import (
    N_AGAIN,
    add_change_of_flash,
    add_hit_again,
)
from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DARK,
    DELAYED,
    MISSING,
    N_AFTERPULSE,
    N_EARLY,
    SPENT,
)
from pixelcal.charge.spe.noise.late_sums import (
    BY_AFTER,
    GROWN,
    N_AFTER,
    N_SUMS,
    add_avalanches,
    add_combined,
    add_derivatives,
    add_followers,
    add_through_inner,
    add_to,
    afterpulses_at,
    fill_afterpulses,
    part_of,
)
from pixelcal.charge.spe.noise.progeny import (
    BY_LOG,
    BY_OPCT,
    BY_SPENT,
    FALL,
    N_ROWS,
    fill_trees,
    progeny_terms,
)
from pixelcal.charge.spe.parameters import N_SHARED, OPCT, PE, V_PE
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import any_of

BLOCK = 128
"""Frequencies at a time, at most: all of them are then in the memory near the processor."""


class Room(NamedTuple):
    """Where trees and afterpulses are kept, for `size` frequencies at a time.

    tree, early : (n, N_ROWS, size) complex, of the nodes in the window and before it
    after : (n, N_AFTER, size) complex
    again : (n, N_AGAIN, size) complex, of `hit_again`
    later_tree : (k, N_ROWS, size), later_after : (k, N_AFTER, size) complex, of `Followers`
    """

    tree: np.ndarray
    early: np.ndarray
    after: np.ndarray
    again: np.ndarray
    later_tree: np.ndarray
    later_after: np.ndarray


_kept = threading.local()


def room_for(n: int, n_later: int, m: int) -> Room:
    """Room for n nodes, `n_later` of followers, and m frequencies in blocks of about one size.

    The memory is used again by the next call in this thread: to get megabytes from the system each
    time costs as much as a third of the work that is done in them.
    """
    size = -(-m // -(-m // BLOCK))
    shapes = [(n, N_ROWS), (n, N_ROWS), (n, N_AFTER), (n, N_AGAIN)]
    shapes += [(n_later, N_ROWS), (n_later, N_AFTER)]
    needed = size * sum(math.prod(shape) for shape in shapes)
    if getattr(_kept, "memory", np.empty(0)).size < needed:
        _kept.memory = np.empty(needed, complex)
    parts, left = [], _kept.memory
    for shape in shapes:
        taken = size * math.prod(shape)
        parts.append(left[:taken].reshape(*shape, size))
        left = left[taken:]
    return Room(*parts)


@njit
def pull_of_followers(late, at_node, numbers, opct, tree, after):
    """The derivatives (N_TIMES, m) of `add_followers` by what follows at each time."""
    n, n_times = at_node.shape
    pull = np.zeros((n_times, tree.shape[2]), np.complex128)
    delayed = numbers[N_AFTERPULSE] * late.delayed
    later = afterpulses_at(late, numbers) * late.crosstalk
    for i in range(n_times):
        at = at_node[:, i].copy()
        if numbers[N_AFTERPULSE] != 0.0:
            add_combined(at * delayed, tree, BY_LOG, pull[i])
        if any_of(numbers[:N_AFTERPULSE] != 0.0):
            add_combined(at * later, after, GROWN, pull[i])
            add_combined(opct * at * later, after, BY_AFTER, pull[i])
    return pull


@njit
def first_exponents(s, theta, noise, more, terms, nothing, tree, after, of_first, by_first):
    """What follows avalanches at the times of `more.first`, with nothing that follows later.

    Parameters as those of `later_exponents`; `of_first` (FIRST_TIMES, m) and `by_first`
    (FIRST_TIMES, 4 + N_NOISE, m) are written.
    """
    late, n_times = more.first, of_first.shape[0]
    n = late.inside.shape[0]
    each, numbers = n // n_times, noise[AFTERPULSE : DELAYED + 1]
    fill_trees(late.inside, nothing, s, theta, noise[SPENT], terms, tree[:n])
    fill_afterpulses(late, nothing, s, theta, tree[:n], after[:n])
    of_first.fill(0.0)
    by_first.fill(0.0)
    for i in range(n_times):
        first, last = i * each, (i + 1) * each
        add_followers(
            part_of(late, first, last), s, theta, numbers, tree[first:last], after[first:last],
            of_first[i], by_first[i],
        )  # fmt: skip


@njit
def later_exponents(
    s, theta, noise, more, terms, of_first, by_first, inner, tree, after,
    of_kind, by_kind, of_time, by_time,
):  # fmt: skip
    """What follows avalanches at the times of `more`, each followed by what `first_exponents` says.

    Parameters
    ----------
    s, theta, noise, more, terms
        As for `exponents` and `fill_trees`.
    of_first, by_first
        As `first_exponents` gives them.
    inner : (n, m) complex, tree, after : (n, N_ROWS, m) and (n, N_AFTER, m) complex
        Room to work in.
    of_kind : (N_EARLY, m) complex, written
        What follows at time 0, of one of each kind.
    by_kind : (N_EARLY, 4 + N_NOISE, m) complex, written
        Its derivatives.
    of_time, by_time : (N_TIMES, m) and (N_TIMES, 4 + N_NOISE, m) complex, written
        What follows at each time, and its derivatives.
    """
    late, n_times = more.late, of_time.shape[0]
    per_time, number = late.inside.shape[0] // n_times, N_SHARED + AFTERPULSE
    numbers = noise[AFTERPULSE : DELAYED + 1]
    for j in range(late.inside.shape[0]):
        inner[j].fill(0.0)
        for i in range(of_first.shape[0]):
            add_to(inner[j], more.at_later[j, i], of_first[i])
    fill_trees(late.inside, inner, s, theta, noise[SPENT], terms, tree)
    fill_afterpulses(late, inner, s, theta, tree, after)
    of_time.fill(0.0)
    by_time.fill(0.0)
    for i in range(1, n_times):
        first, last = i * per_time, (i + 1) * per_time
        part, at = part_of(late, first, last), more.at_later[first:last]
        add_followers(
            part, s, theta, numbers, tree[first:last], after[first:last], of_time[i], by_time[i]
        )
        pull = pull_of_followers(
            part, at, numbers, theta[OPCT], tree[first:last], after[first:last]
        )
        add_through_inner(pull, by_first, by_time[i])
    early_kinds(s, theta, more, by_first, inner, tree, after, of_kind, by_kind)
    for i in range(numbers.shape[0]):
        add_to(of_time[0], numbers[i], of_kind[i])
        for p in range(by_time.shape[1]):
            add_to(by_time[0, p], numbers[i], by_kind[i, p])
        add_to(by_time[0, number + i], 1.0, of_kind[i])


@njit
def early_kinds(s, theta, more, by_first, inner, tree, after, of_kind, by_kind):
    """What follows at time 0, of one of each kind of `Followers.fall`, and its derivatives.

    Parameters as those of `later_exponents`; trees and afterpulses are those of its times, and the
    latter are changed.
    """
    per_time, number = more.partly.dwell.shape[0] // (len(MISSING) - 2), N_SHARED + AFTERPULSE
    now, at = part_of(more.late, np.int64(0), per_time), more.at_later[:per_time]
    one, tree, after = np.zeros(N_AFTERPULSE + 1), tree[:per_time], after[:per_time]
    of_kind.fill(0.0)
    by_kind.fill(0.0)
    for kind in range(N_EARLY):
        which = number_of(kind) - AFTERPULSE
        place = (kind - N_AFTERPULSE - 1) // N_AFTERPULSE  # of MISSING
        if kind > N_AFTERPULSE and place == 0:  # of cells that have recovered: as any avalanche
            sums = np.zeros((N_SUMS, s.shape[0]), np.complex128)
            weight = now.afterpulses[:, which].copy()
            add_avalanches(weight, now.inside, now.inside_by_decay, tree, sums)
            add_to(of_kind[kind], 1.0, sums[0])
            add_derivatives(sums, s, theta, by_kind[kind])
            pull = np.zeros((at.shape[1], s.shape[0]), np.complex128)
            for i in range(at.shape[1]):
                add_combined(at[:, i] * weight, tree, BY_LOG, pull[i])
        else:
            part = now
            if kind > N_AFTERPULSE:
                part = part_of(more.partly, (place - 1) * per_time, place * per_time)
                if which == 0:
                    fill_afterpulses(part, inner, s, theta, tree, after)
            one[which] = 1.0
            add_followers(part, s, theta, one, tree, after, of_kind[kind], by_kind[kind])
            pull = pull_of_followers(part, at, one, theta[OPCT], tree, after)
            one[which] = 0.0
            by_kind[kind, number : number + one.shape[0]].fill(0.0)  # those by the numbers
        add_through_inner(pull, by_first, by_kind[kind])


@njit
def exponents(
    theta, noise, late, more, frequency, room, followed, with_dark, flash, flash_by, dark, dark_by
):
    """What a flash and the dark counts add to the logarithm of the characteristic function.

    Long because what follows late avalanches reaches flash and dark counts through the values at
    the nodes, and so do its derivatives.

    Parameters
    ----------
    theta : (4,) float
        The shared parameters of `model`.
    noise : (N_NOISE,) float
    late : LateCharges
    more : Followers
    frequency : (m,) float
        In radians per unit of charge.
    room : Room
        As `room_for` gives it.
    followed, with_dark : bool
        Whether what follows an avalanche, and dark counts, are in the model, or their derivatives
        are needed. They are 0 otherwise.
    flash : (m,) complex, written
        B(phi) - 1 of an avalanche of the flash.
    flash_by : (4 + N_NOISE, m) complex, written
        Its derivatives with respect to theta and noise.
    dark : (m,) complex, written
    dark_by : (4 + N_NOISE, m) complex, written
    """
    spent, rate = noise[SPENT], noise[DARK]
    numbers, terms = noise[AFTERPULSE : DELAYED + 1], progeny_terms(theta[OPCT], spent)
    m, n, n_by = frequency.shape[0], late.dwell.shape[0], flash_by.shape[0]
    n_times, n_later = more.at_node.shape[1], more.late.dwell.shape[0]
    # Where no late avalanches follow others, what follows them changes nothing.
    second = followed and (rate > 0.0 or numbers.sum() > 0.0)
    tree, early, after = room.tree, room.early, room.after
    size = tree.shape[2]
    s, whole = np.empty(size), np.ones(1)
    first_tree = np.empty((1, N_ROWS, size), np.complex128)
    inner = np.zeros((n, size), np.complex128)
    inner_early = np.zeros((n, size), np.complex128)
    nothing = np.zeros((n_later, size), np.complex128)
    of_time = np.zeros((n_times, size), np.complex128)
    by_time = np.zeros((n_times, n_by, size), np.complex128)
    of_place = np.zeros((more.at_place.shape[1], size), np.complex128)
    by_place = np.zeros((more.at_place.shape[1], n_by, size), np.complex128)
    inner_later, n_first = nothing.copy(), more.at_later.shape[1]
    of_first = np.zeros((n_first, size), np.complex128)
    by_first = np.zeros((n_first, n_by, size), np.complex128)
    of_kind = np.zeros((N_EARLY, size), np.complex128)
    by_kind = np.zeros((N_EARLY, n_by, size), np.complex128)
    by = np.empty((n_by, size), np.complex128)
    by_rate = np.empty((n_by, size), np.complex128)
    exponent = np.empty((1, size), np.complex128)
    per_rate = np.empty(size, np.complex128)
    again_by, back, edge = np.zeros((n_by, size), np.complex128), per_rate.copy(), per_rate.copy()
    again = followed and (spent > 0.0 or numbers[N_AFTERPULSE] > 0.0)
    for first in range(0, m, size):
        for k in range(size):
            s[k] = frequency[min(first + k, m - 1)]
        by.fill(0.0)
        by_rate.fill(0.0)
        exponent.fill(0.0)
        per_rate.fill(0.0)
        if second:
            first_exponents(
                s, theta, noise, more, terms, nothing, room.later_tree, room.later_after,
                of_first, by_first,
            )  # fmt: skip
            later_exponents(
                s, theta, noise, more, terms, of_first, by_first, inner_later,
                room.later_tree, room.later_after, of_kind, by_kind, of_time, by_time,
            )  # fmt: skip
            if with_dark:
                earlier_exponents(
                    s, theta, noise, more, terms, nothing, room.later_tree, room.later_after,
                    of_place, by_place,
                )  # fmt: skip
            fill_inner(more, noise, of_time, of_kind, of_place, inner, inner_early)
        if followed or with_dark:
            fill_trees(late.inside, inner, s, theta, spent, terms, tree)
        if followed:
            fill_afterpulses(late, inner, s, theta, tree, after)
            add_followers(late, s, theta, numbers, tree, after, exponent[0], by)
            pull = pull_of_followers(late, more.at_node, numbers, theta[OPCT], tree, after)
            add_through_inner(pull, by_time, by)
        if with_dark:
            add_dark_counts(late, more.at_node, s, theta, tree, by_time, per_rate, by_rate)
            fill_trees(late.before, inner_early, s, theta, spent, terms, early)
            add_early_dark_counts(
                late, more, s, theta, noise, inner_early, early, of_kind, by_kind, by_place,
                per_rate, by_rate,
            )  # fmt: skip
        if again:
            back.fill(0.0)
            edge.fill(0.0)
            add_hit_again(numbers[N_AFTERPULSE] * late.delayed, tree, after, back, edge)
            add_to(exponent[0], spent * theta[OPCT], back)
            add_to(exponent[0], 2.0 * spent, edge)
        fill_trees(whole, exponent, s, theta, spent, terms, first_tree)
        again_by.fill(0.0)
        if again:
            add_change_of_flash(
                late, more.at_node, s, theta, noise, inner, room, back, edge, by_time,
                first_tree[0], again_by,
            )  # fmt: skip
        for k in range(min(size, m - first)):
            dark[first + k] = rate * per_rate[k]
            slope = first_tree[0, BY_LOG, k]
            by[PE, k] += 1j * s[k]
            by[V_PE, k] += -0.5 * s[k] * s[k]
            for i in range(n_by):
                dark_by[i, first + k] = rate * by_rate[i, k]
                flash_by[i, first + k] = slope * by[i, k] + again_by[i, k]
            dark_by[N_SHARED + DARK, first + k] = per_rate[k]
            flash_by[OPCT, first + k] += first_tree[0, BY_OPCT, k]
            flash_by[N_SHARED + SPENT, first + k] += first_tree[0, BY_SPENT, k]
            flash[first + k] = first_tree[0, FALL, k]
