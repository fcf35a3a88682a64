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

F is followed to the second generation: what follows the followers of a late avalanche is left out,
the product of three small numbers.
"""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.model import OPCT, PE, V_PE
from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DARK,
    DECAY,
    DELAY,
    DELAYED,
    LOSS,
    N_AFTERPULSE,
    N_EARLY,
    SPENT,
)
from pixelcal.charge.spe.noise.progeny import (
    BY_LOG,
    BY_OPCT,
    BY_SPENT,
    LATER,
    N_ROWS,
    VALUE,
    by_crosstalk,
    fill_trees,
    mean_progeny,
    progeny,
    progeny_terms,
)
from pixelcal.numerics.jit import njit

N_SHARED = 4


@njit
def add_to(out, factor, values):
    """Add `factor` times the values (n,) to `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] += factor * values[i]


@njit
def add_followers(late, first, last, s, theta, noise, weights, tree, inner, by, pull):
    """What follows an avalanche, in the exponent, by the nodes `first` to `last`.

    Long because each node gives the value and all derivatives of two kinds of late charges at once:
    the exponentials, which take the time, are shared.

    Parameters
    ----------
    late : LateCharges
    s : float
        Frequency, in radians per unit of charge.
    theta, noise
        As for `exponents`.
    weights : (N_AFTERPULSE + 1,) float
        How many follow: afterpulses of each time constant, delayed avalanches.
    tree : (N_ROWS, n) complex
        As `fill_trees` gives it for `late.inside`.
    inner : (n,) complex
        What follows those that begin at the nodes.
    by : (4 + N_NOISE,) complex, added to
        The derivatives at fixed `inner`.
    pull : (n,) complex, written
        Those by `inner`.
    """
    pe, v_pe, opct = theta[PE], theta[V_PE], theta[OPCT]
    mean, blur, turn = 1j * s * pe, -0.5 * s * s, 1j * s
    exponent = 0j
    for j in range(first, last):
        a, fall = late.inside[j], tree[VALUE, j] - 1.0
        by_decay = (mean + 2.0 * blur * v_pe * a) * late.inside_by_decay[j]
        weight = weights[N_AFTERPULSE] * late.delayed[j]
        exponent += weight * fall
        slope = weight * tree[BY_LOG, j]
        pull[j] = slope
        by[PE] += slope * turn * a
        by[V_PE] += slope * blur * a * a
        by[OPCT] += weight * tree[BY_OPCT, j]
        by[N_SHARED + SPENT] += weight * tree[BY_SPENT, j]
        by[N_SHARED + DECAY] += slope * by_decay
        by[N_SHARED + DELAYED] += late.delayed[j] * fall
        by[N_SHARED + DELAY] += weights[N_AFTERPULSE] * late.delayed_by_delay[j] * fall
        # An afterpulse.
        recovered, r = late.recovered[j], late.crosstalk[j]
        fall = tree[LATER + VALUE, j] - 1.0
        follows = opct * fall + inner[j]
        part = mean * recovered + blur * v_pe * recovered * recovered
        value = np.exp(part + r * follows)
        weight = 0.0
        for i in range(N_AFTERPULSE):
            weight += weights[i] * late.afterpulses[j, i]
            by[N_SHARED + AFTERPULSE + i] += late.afterpulses[j, i] * (value - 1.0)
        exponent += weight * (value - 1.0)
        slope = weight * value
        crosstalk = r * opct * tree[LATER + BY_LOG, j]
        pull[j] += slope * (r + crosstalk)
        by[PE] += slope * turn * (recovered + crosstalk * a)
        by[V_PE] += slope * blur * (recovered * recovered + crosstalk * a * a)
        by[OPCT] += slope * r * (fall + opct * tree[LATER + BY_OPCT, j])
        by[N_SHARED + SPENT] += slope * r * opct * tree[LATER + BY_SPENT, j]
        by[N_SHARED + DECAY] += slope * (
            (mean + 2.0 * blur * v_pe * recovered) * late.recovered_by_decay[j]
            + crosstalk * by_decay
            + late.crosstalk_by_decay[j] * follows
        )
        by[N_SHARED + LOSS] += slope * late.crosstalk_by_loss[j] * follows
    return exponent


@njit
def add_dark_counts(
    late, more, rate, s, theta, noise, tree, early, inner_early, by, pull, early_pull
):
    """What dark counts add per unit of their `rate`, as `add_followers`.

    `tree` is that of those that begin in the window, `early` with `inner_early` that of those
    before it. What follows the latter when nothing of them is left, their mean number of
    avalanches times `inner_early`, is left out (`add_long_ago`). What follows them before the
    window is as many more of them (`Followers.earlier`).
    """
    pe, v_pe, decay = theta[PE], theta[V_PE], noise[DECAY]
    number, by_opct, by_spent = mean_progeny(theta[OPCT], noise[SPENT])
    mean, blur, turn = 1j * s * pe, -0.5 * s * s, 1j * s
    total, before = 0j, 0j
    many = 1.0 + number * more.earlier[0]
    for j in range(late.dwell.shape[0]):
        a, dwell = late.inside[j], late.dwell[j]
        total += dwell * (tree[VALUE, j] - 1.0)
        weight = rate * dwell
        slope = weight * tree[BY_LOG, j]
        pull[j] = slope
        by[PE] += slope * turn * a
        by[V_PE] += slope * blur * a * a
        by[OPCT] += weight * tree[BY_OPCT, j]
        by[N_SHARED + SPENT] += weight * tree[BY_SPENT, j]
        by[N_SHARED + DECAY] += slope * (mean + 2.0 * blur * v_pe * a) * late.inside_by_decay[j]
        a, after = late.before[j], inner_early[j]
        fall = early[VALUE, j] - 1.0 - number * after
        dwell = decay * late.dwell_before[j]
        before += dwell * fall
        weight = rate * dwell * many
        slope = weight * early[BY_LOG, j]
        early_pull[j] = slope - weight * number
        by[PE] += slope * turn * a
        by[V_PE] += slope * blur * a * a
        by[OPCT] += weight * (early[BY_OPCT, j] - by_opct * after)
        by[N_SHARED + SPENT] += weight * (early[BY_SPENT, j] - by_spent * after)
    by[N_SHARED + DECAY] += rate * many * before / decay
    add_to(by[N_SHARED:], rate * number * before, more.earlier_by)
    by[OPCT] += rate * by_opct * more.earlier[0] * before
    by[N_SHARED + SPENT] += rate * by_spent * more.earlier[0] * before
    return total + many * before


@njit
def number_of(kind):
    """Which parameter of the noise is the number of a kind of early followers."""
    return AFTERPULSE + kind if kind <= N_AFTERPULSE else AFTERPULSE + kind - N_AFTERPULSE - 1


@njit
def add_long_ago(rate, theta, noise, more, of_kind, by_kind, by):
    """What follows the dark counts before the window, in the mean, per unit of their `rate`."""
    number, by_opct, by_spent = mean_progeny(theta[OPCT], noise[SPENT])
    total = 0j
    for i in range(N_EARLY):
        place = number_of(i)
        weight = noise[place]
        add_to(by, rate * number * more.area[i] * weight, by_kind[i])
        by[N_SHARED + place] += rate * number * more.area[i] * of_kind[i]
        by[N_SHARED + DECAY] += rate * number * more.area_by_decay[i] * weight * of_kind[i]
        if place == DELAYED:
            by[N_SHARED + DELAY] += rate * number * weight * of_kind[i]
        total += more.area[i] * weight * of_kind[i]
    by[OPCT] += rate * by_opct * total
    by[N_SHARED + SPENT] += rate * by_spent * total
    return number * total


@njit
def add_recovered(late, last, kind, s, theta, tree, by):
    """Afterpulses of a cell that has recovered, as `add_followers`: they are as any avalanche."""
    mean, blur = 1j * s * theta[PE], -0.5 * s * s
    total = 0j
    for j in range(last):
        a, weight = late.inside[j], late.afterpulses[j, kind]
        total += weight * (tree[VALUE, j] - 1.0)
        slope = weight * tree[BY_LOG, j]
        by[PE] += slope * 1j * s * a
        by[V_PE] += slope * blur * a * a
        by[OPCT] += weight * tree[BY_OPCT, j]
        by[N_SHARED + SPENT] += weight * tree[BY_SPENT, j]
        by[N_SHARED + DECAY] += (
            slope * (mean + 2.0 * blur * theta[V_PE] * a) * late.inside_by_decay[j]
        )
    return total


@njit
def later_exponents(s, theta, noise, more, terms, tree, room, of_kind, by_kind, of_time, by_time):
    """What follows avalanches at the times of `more`, with nothing that follows later.

    Parameters
    ----------
    s : float
    theta, noise, terms
        As for `exponents`.
    more : Followers
    tree : (N_ROWS, n) complex
    room : (2, n) complex, the first row 0
        Room to work in, as `tree`.
    of_kind : (N_EARLY,) complex, written
        What follows at time 0, of one of each kind.
    by_kind : (N_EARLY, 4 + N_NOISE) complex, written
        Its derivatives, without those by the numbers.
    of_time, by_time : (N_TIMES,) and (N_TIMES, 4 + N_NOISE) complex, written
        What follows at each time, and its derivatives.
    """
    mean, variance = 1j * s * theta[PE], -0.5 * s * s * theta[V_PE]
    number, n_times = N_SHARED + AFTERPULSE, of_time.shape[0]
    per_time = more.late.dwell.shape[0] // n_times
    nothing, unused = room[0], room[1]
    weights, one = noise[AFTERPULSE : DELAYED + 1], np.zeros(N_AFTERPULSE + 1)
    fill_trees(more.late.inside, nothing, mean, variance, theta[OPCT], noise[SPENT], terms, tree)
    by_kind[:] = 0.0
    by_time[:] = 0.0
    of_time[0] = 0.0
    for i in range(weights.shape[0]):
        one[i] = 1.0
        of_kind[i] = add_followers(
            more.late, 0, per_time, s, theta, noise, one, tree, nothing, by_kind[i], unused
        )
        one[i] = 0.0
        by_kind[i, number : number + weights.shape[0]] = 0.0
        of_time[0] += weights[i] * of_kind[i]
        add_to(by_time[0], weights[i], by_kind[i])
        by_time[0, number + i] = of_kind[i]
    for i in range(N_AFTERPULSE):
        kind = N_AFTERPULSE + 1 + i
        of_kind[kind] = add_recovered(more.late, per_time, i, s, theta, tree, by_kind[kind])
    for i in range(1, n_times):
        of_time[i] = add_followers(
            more.late, i * per_time, (i + 1) * per_time, s, theta, noise, weights, tree, nothing,
            by_time[i], unused,
        )  # fmt: skip


@njit
def combine(matrix, values, out):
    """Product of a matrix (n, m) and complex values (m,), into `out` (n,)."""
    for j in range(matrix.shape[0]):
        total = 0j
        for i in range(matrix.shape[1]):
            total += matrix[j, i] * values[i]
        out[j] = total


@njit
def drawn(pull, factor):
    """Sum of the products of complex and real values (n,)."""
    total = 0j
    for j in range(pull.shape[0]):
        total += pull[j] * factor[j]
    return total


@njit
def exponents(theta, noise, late, more, frequency, flash, flash_by, dark, dark_by):
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
    flash : (m,) complex, written
        B(phi) - 1 of an avalanche of the flash.
    flash_by : (4 + N_NOISE, m) complex, written
        Its derivatives with respect to theta and noise.
    dark : (m,) complex, written
    dark_by : (4 + N_NOISE, m) complex, written
    """
    pe, v_pe, opct, spent, rate = theta[PE], theta[V_PE], theta[OPCT], noise[SPENT], noise[DARK]
    weights, terms = noise[AFTERPULSE : DELAYED + 1], progeny_terms(opct, spent)
    n, n_by = late.dwell.shape[0], flash_by.shape[0]
    n_times, n_later = more.at_node.shape[1], more.late.dwell.shape[0]
    # Where no late avalanches follow others, what follows them changes nothing.
    second = rate > 0.0 or weights.sum() > 0.0
    tree, early = np.empty((2, N_ROWS, n), np.complex128)
    inner, inner_early, pull, dark_pull, early_pull = np.zeros((5, n), np.complex128)
    later_tree, room = (
        np.empty((N_ROWS, n_later), np.complex128),
        np.zeros((2, n_later), np.complex128),
    )
    of_time, by_time = np.zeros(n_times, np.complex128), np.zeros((n_times, n_by), np.complex128)
    of_kind, by_kind = np.zeros(N_EARLY, np.complex128), np.zeros((N_EARLY, n_by), np.complex128)
    by, by_rate = np.zeros((2, n_by), np.complex128)
    sizes = np.zeros(N_EARLY, np.complex128)
    for k in range(frequency.shape[0]):
        s = frequency[k]
        mean, variance = 1j * s * pe, -0.5 * s * s * v_pe
        if second:
            later_exponents(
                s, theta, noise, more, terms, later_tree, room, of_kind, by_kind, of_time, by_time
            )
            combine(more.at_node, of_time, inner)
            for i in range(N_EARLY):
                sizes[i] = noise[number_of(i)] * of_kind[i]
            combine(more.fall, sizes, inner_early)
        fill_trees(late.inside, inner, mean, variance, opct, spent, terms, tree)
        fill_trees(late.before, inner_early, mean, variance, opct, spent, terms, early)
        by[:] = 0.0
        by_rate[:] = 0.0
        exponent = add_followers(late, 0, n, s, theta, noise, weights, tree, inner, by, pull)
        per_rate = add_dark_counts(
            late,
            more,
            rate,
            s,
            theta,
            noise,
            tree,
            early,
            inner_early,
            by_rate,
            dark_pull,
            early_pull,
        )
        if second:
            per_rate += add_long_ago(rate, theta, noise, more, of_kind, by_kind, by_rate)
            for i in range(n_times):
                at = more.at_node[:, i]
                add_to(by, drawn(pull, at), by_time[i])
                add_to(by_rate, drawn(dark_pull, at), by_time[i])
            for i in range(N_EARLY):
                slope, place = drawn(early_pull, more.fall[:, i]), number_of(i)
                add_to(by_rate, slope * noise[place], by_kind[i])
                by_rate[N_SHARED + place] += slope * of_kind[i]
                slope = drawn(early_pull, more.fall_by_decay[:, i])
                by_rate[N_SHARED + DECAY] += slope * sizes[i]
            slope = drawn(early_pull, more.fall_by_delay)
            by_rate[N_SHARED + DELAY] += slope * sizes[N_AFTERPULSE]
        dark[k] = rate * per_rate
        by_rate[N_SHARED + DARK] = per_rate
        for i in range(n_by):
            dark_by[i, k] = by_rate[i]
        z = np.exp(mean + variance + exponent)
        value, slope, by_opct, by_spent, _, _, _, _ = progeny(
            by_crosstalk(z, opct, spent, terms), opct, spent
        )
        by[PE] += 1j * s
        by[V_PE] += -0.5 * s * s
        for i in range(n_by):
            flash_by[i, k] = slope * by[i]
        flash_by[OPCT, k] += by_opct
        flash_by[N_SHARED + SPENT, k] += by_spent
        flash[k] = value - 1.0
