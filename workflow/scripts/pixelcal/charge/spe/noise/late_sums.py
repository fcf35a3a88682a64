"""Sums over the times at which late avalanches begin, and their derivatives, compiled.

`exponents` has the formulas. A late avalanche of the relative charge a at a node of these integrals
is B of z = exp(i s a pe - s^2 a^2 sigma_pe^2 / 2 + what follows it), and an afterpulse A. All
derivatives by the parameters are sums over the nodes of a few slopes, each with real weights: they
are added up for many frequencies at once.
"""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DARK,
    DECAY,
    DELAY,
    DELAYED,
    LOSS,
    N_AFTERPULSE,
    SPENT,
    LateCharges,
)
from pixelcal.charge.spe.noise.progeny import (
    BY_LOG,
    BY_OPCT,
    BY_SPENT,
    FALL,
    LATER,
    fill_product,
    scaled,
)
from pixelcal.charge.spe.parameters import N_SHARED, OPCT, PE, V_PE, V_PED
from pixelcal.numerics.complex_exp import exponentials
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import any_of

N_SUMS = 9
"""What `add_avalanches` and `add_afterpulses` add up over nodes: the value; the slope by ln z times
the charge, its square, its derivative by the decay, and the product of charge and derivative; the
derivatives by opct and spent; and what the derivatives of afterpulses by decay and loss have more.
"""

GROWN, BY_FALL, BY_AFTER, AFTER_OPCT, AFTER_SPENT, BY_INNER = np.arange(6)
"""Rows of what `fill_afterpulses` gives: A, and its products with C - 1, the slopes of C by ln z,
opct and spent, and what follows."""
N_AFTER = 6


@njit
def add_to(out, factor, values):
    """Add a real `factor` times the complex values (n,) to `out` (n,)."""
    into, real = out.view(np.float64), values.view(np.float64)
    for i in range(into.shape[0]):
        into[i] += factor * real[i]


@njit
def add_product(out, values, others):
    """Add the products of the values (n,) and the others (n,) to `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] += values[i] * others[i]


@njit
def add_scaled_product(out, factor, values, others):
    """Add a real `factor` times the products of values (n,) and others (n,) to `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] += scaled(factor, values[i]) * others[i]


@njit
def add_through_inner(pull, by_time, by):
    """The derivatives by what follows late avalanches: `pull` (N_TIMES, m) of each `by_time`."""
    for i in range(pull.shape[0]):
        add_through(pull[i], by_time[i], by)


@njit
def add_through(pull, by_inner, by):
    """The same of one time: `pull` (m,). What follows knows no pedestal and no rate."""
    for p in range(by.shape[0]):
        if p != V_PED and p != N_SHARED + DARK:
            add_product(by[p], pull, by_inner[p])


@njit
def subtract(out, number):
    """Take a number off the complex `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] -= number


@njit
def add_combined(weights, values, row, out):
    """Add the sum of real weights (n,) times one row of each of the values (n, r, m) to `out`."""
    into, n = out.view(np.float64), weights.shape[0]
    for j in range(0, n - 3, 4):
        a, b, c, d = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        first, second = values[j, row].view(np.float64), values[j + 1, row].view(np.float64)
        third, fourth = values[j + 2, row].view(np.float64), values[j + 3, row].view(np.float64)
        for k in range(into.shape[0]):
            into[k] += a * first[k] + b * second[k] + c * third[k] + d * fourth[k]
    for j in range(n - n % 4, n):
        add_to(out, weights[j], values[j, row])


@njit
def add_moments(weight, charge, by_decay, values, row, sums):
    """Add the four sums over nodes (n,) in which slopes by ln z are needed, as `add_avalanches`."""
    add_combined(weight * charge, values, row, sums[1])
    add_combined(weight * charge * charge, values, row, sums[2])
    add_combined(weight * by_decay, values, row, sums[3])
    add_combined(weight * charge * by_decay, values, row, sums[4])


@njit
def add_avalanches(weight, charge, by_decay, tree, sums):
    """Add avalanches with all that follows them to the `sums` (N_SUMS, m).

    Parameters
    ----------
    weight, charge, by_decay : (n,) float
        How many begin at the nodes, their relative charges, and the derivatives of these.
    tree : (n, N_ROWS, m) complex
        As `fill_trees` gives it.
    """
    add_combined(weight, tree, FALL, sums[0])
    add_moments(weight, charge, by_decay, tree, BY_LOG, sums)
    add_combined(weight, tree, BY_OPCT, sums[5])
    add_combined(weight, tree, BY_SPENT, sums[6])


@njit
def fill_afterpulses(late, inner, s, theta, tree, after):
    """Afterpulses at the nodes: the rows `after` (n, N_AFTER, m), which are written.

    Other parameters are those of `fill_trees`.
    """
    pe, v_pe, opct = theta[PE], theta[V_PE], theta[OPCT]
    power = np.empty(s.shape[0], np.complex128)
    for j in range(late.inside.shape[0]):
        a, r = late.recovered[j], late.crosstalk[j]
        mean, blur = pe * a, -0.5 * v_pe * a * a
        fall, more, grown = tree[j, LATER + FALL], inner[j], after[j, GROWN]
        for k in range(s.shape[0]):
            follows = scaled(opct, fall[k]) + more[k]
            power[k] = scaled(r, follows) + complex(blur * s[k] * s[k], mean * s[k])
        exponentials(power, grown)
        fill_product(grown, fall, after[j, BY_FALL])
        fill_product(grown, tree[j, LATER + BY_LOG], after[j, BY_AFTER])
        fill_product(grown, tree[j, LATER + BY_OPCT], after[j, AFTER_OPCT])
        fill_product(grown, tree[j, LATER + BY_SPENT], after[j, AFTER_SPENT])
        fill_product(grown, more, after[j, BY_INNER])


@njit
def add_afterpulses(late, weight, opct, after, sums):
    """Add afterpulses, as `add_avalanches`; `after` is what `fill_afterpulses` gives."""
    r = weight * late.crosstalk
    by_decay, by_loss = weight * late.crosstalk_by_decay, weight * late.crosstalk_by_loss
    add_combined(weight, after, GROWN, sums[0])
    subtract(sums[0], weight.sum())
    add_moments(weight, late.recovered, late.recovered_by_decay, after, GROWN, sums)
    add_moments(opct * r, late.inside, late.inside_by_decay, after, BY_AFTER, sums)
    add_combined(r, after, BY_FALL, sums[5])
    add_combined(opct * r, after, AFTER_OPCT, sums[5])
    add_combined(opct * r, after, AFTER_SPENT, sums[6])
    add_combined(opct * by_decay, after, BY_FALL, sums[7])
    add_combined(by_decay, after, BY_INNER, sums[7])
    add_combined(opct * by_loss, after, BY_FALL, sums[8])
    add_combined(by_loss, after, BY_INNER, sums[8])


@njit
def add_derivatives(sums, s, theta, by):
    """Add the derivatives of the sums (N_SUMS, m) to `by` (4 + N_NOISE, m)."""
    mean, blur = theta[PE], 2.0 * theta[V_PE]
    charge, square, by_decay, product = sums[1], sums[2], sums[3], sums[4]
    by_pe, by_v_pe, of_decay = by[PE], by[V_PE], by[N_SHARED + DECAY]
    for k in range(s.shape[0]):
        by_pe[k] += complex(-s[k] * charge[k].imag, s[k] * charge[k].real)
    for k in range(s.shape[0]):
        by_v_pe[k] += scaled(-0.5 * s[k] * s[k], square[k])
    for k in range(s.shape[0]):
        turned = complex(-s[k] * by_decay[k].imag, s[k] * by_decay[k].real)
        of_decay[k] += scaled(mean, turned) + scaled(-0.5 * s[k] * s[k] * blur, product[k])
    add_to(by[OPCT], 1.0, sums[5])
    add_to(by[N_SHARED + SPENT], 1.0, sums[6])
    add_to(by[N_SHARED + DECAY], 1.0, sums[7])
    add_to(by[N_SHARED + LOSS], 1.0, sums[8])


@njit
def part_of(late, first, last):
    """The nodes `first` to `last` of LateCharges."""
    return LateCharges(
        late.inside[first:last], late.recovered[first:last], late.before[first:last],
        late.crosstalk[first:last], late.inside_by_decay[first:last],
        late.recovered_by_decay[first:last], late.crosstalk_by_decay[first:last],
        late.crosstalk_by_loss[first:last], late.dwell[first:last],
        late.dwell_before[first:last], late.afterpulses[first:last], late.delayed[first:last],
        late.delayed_by_delay[first:last],
    )  # fmt: skip


@njit
def add_followers(late, s, theta, numbers, tree, after, total, by):
    """What follows an avalanche, in the exponent.

    Parameters
    ----------
    late : LateCharges
        n nodes.
    s, theta
        As for `fill_trees`.
    numbers : (N_AFTERPULSE + 1,) float
        How many follow: afterpulses of each time constant, delayed avalanches.
    tree, after
        As `fill_trees` and `fill_afterpulses` give them.
    total : (m,) complex, added to
    by : (4 + N_NOISE, m) complex, added to
        The derivatives at fixed `inner`.
    """
    sums = np.zeros((N_SUMS, s.shape[0]), np.complex128)
    many = numbers[N_AFTERPULSE]
    if many != 0.0:
        add_avalanches(many * late.delayed, late.inside, late.inside_by_decay, tree, sums)
        add_combined(many * late.delayed_by_delay, tree, FALL, by[N_SHARED + DELAY])
    if any_of(numbers[:N_AFTERPULSE] != 0.0):
        add_afterpulses(late, afterpulses_at(late, numbers), theta[OPCT], after, sums)
    add_to(total, 1.0, sums[0])
    add_derivatives(sums, s, theta, by)
    add_combined(late.delayed, tree, FALL, by[N_SHARED + DELAYED])
    for i in range(N_AFTERPULSE):
        weight = late.afterpulses[:, i].copy()
        add_combined(weight, after, GROWN, by[N_SHARED + AFTERPULSE + i])
        subtract(by[N_SHARED + AFTERPULSE + i], weight.sum())


@njit
def afterpulses_at(late, numbers):
    """How many afterpulses (n,) begin at the nodes."""
    found = np.zeros(late.inside.shape[0])
    for i in range(N_AFTERPULSE):
        for j in range(found.shape[0]):
            found[j] += numbers[i] * late.afterpulses[j, i]
    return found
