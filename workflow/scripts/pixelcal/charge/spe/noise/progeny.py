"""What an avalanche becomes by prompt crosstalk, where cells have a limited number of neighbours.

The cell of an avalanche has n neighbours, and each fires with the probability p. A cell that was
fired by another has one neighbour less to fire: the one that fired it. Without closed loops of
cells this is a branching process (the tree of n neighbours), whose generating functions are

    C = z (1 - p + p C)^(n - 1),    B = z (1 - p + p C)^n = C (1 - p + p C)

for an avalanche by crosstalk, and for a first one. By Lagrange's inversion the probability of k
avalanches is n / (k - 1) binom((n - 1) k, k - 2) p^(k - 1) (1 - p)^((n - 2) k + 2): what Gallego et
al. (JINST 8, P05010, 2013) count on square lattices, exactly up to k = 3 for four neighbours; loops
change the rest by per cents. Here p = 1 - exp(-opct / n), so that `opct` is the mean number of
avalanches that the photons of one would cause in cells that never fire twice, and exp(-opct) the
probability of none, for all n. With `spent` = 1 / n, and 0 for an unlimited number,

    C = z exp(g(C)),    g(c) = (1 - spent) / spent ln(1 - p + p c),    g(c) = opct (c - 1) at 0

where the limit is the Borel law (Vinogradov 2012). All slopes follow from these.
"""

from __future__ import annotations

import math

import numpy as np

from pixelcal.charge.spe.parameters import OPCT, PE, V_PE
from pixelcal.numerics.complex_exp import exponentials
from pixelcal.numerics.jit import njit

ROUNDS, SMALL_STEP = 12, 1e-13
"""Newton steps for C, until they are smaller."""
SMALL_PART = 1e-17
"""Of a logarithm, from where on its power series is cut."""
MOST_TERMS, SMALL_TERM = 90, 1e-11
"""The power series of C is faster where that many terms do: crosstalk up to 0.5."""
AT_ONCE = 4
"""Terms that are added in one go over all values: memory would be the limit otherwise."""
TOO_LARGE = 1.2
"""No characteristic function is larger than 1. One that is interpolated may be, where an avalanche
has more followers than one: its square is kept below this."""
NEARLY_NONE = 1e-4
"""Smaller `spent` has the slope of none: differences would be rounding."""

FALL, BY_LOG, BY_OPCT, BY_SPENT = np.arange(4)
"""Rows of what `fill_trees` gives: B - 1, its slopes by ln z, opct and spent; then those of C.
(Numbers of numpy: a function that takes one would be compiled for each of Python's.)"""
LATER = 4
N_ROWS = 8


@njit
def chances(opct, spent):
    """Probability that a neighbour fires, and that times what is left of 1 / spent."""
    if spent == 0.0:
        return 0.0, opct
    p = -math.expm1(-opct * spent)
    return p, p * (1.0 - spent) / spent


@njit
def mean_progeny(opct, spent):
    """Mean number of avalanches that one becomes by crosstalk, and its slopes by opct and spent."""
    p, several = chances(opct, spent)
    rest, left = 1.0 - p, 1.0 - several
    if spent < NEARLY_NONE:
        several_by_spent = -opct - 0.5 * opct * opct
    else:
        several_by_spent = ((1.0 - spent) * opct * rest - p / spent) / spent
    mean = (1.0 + p) / left
    by_opct = (spent * rest + mean * (1.0 - spent) * rest) / left
    return mean, by_opct, (opct * rest + mean * several_by_spent) / left


@njit
def progeny_terms(opct, spent):
    """Probabilities (k,) of 1, 2, ... avalanches of one by crosstalk; none where k is large.

    k is a multiple of `AT_ONCE`.
    """
    p, several = chances(opct, spent)
    terms = np.empty(MOST_TERMS + AT_ONCE)
    for i in range(MOST_TERMS):
        k = i + 1.0
        term = math.exp(-opct * (k * (1.0 - spent) - i * spent)) / k
        for j in range(i):
            term *= (several * k - p * j) / (j + 1.0)
        terms[i] = term
        if term < SMALL_TERM:
            last = i + 1
            while last % AT_ONCE:
                terms[last] = 0.0
                last += 1
            return terms[:last]
    return terms[:0]


@njit
def by_crosstalk(z, opct, spent, terms):
    """C(z) of |z| <= 1: generates the avalanches that one which was fired by another becomes."""
    if terms.shape[0] > 0:
        total = 0j
        for i in range(terms.shape[0] - 1, -1, -1):
            total = (total + terms[i]) * z
        return total
    p, several = chances(opct, spent)
    value = z * np.exp(opct * (z - 1.0))
    for _ in range(ROUNDS):
        left = 1.0 + p * (value - 1.0)
        if spent == 0.0:
            right = z * np.exp(opct * (value - 1.0))
        else:
            right = z * np.exp((1.0 - spent) / spent * np.log(left))
        step = (right - value) / (1.0 - right * several / left)
        value += step
        if abs(step.real) + abs(step.imag) < SMALL_STEP:
            break
    return value


@njit
def scaled(factor, z):
    """The product of a real factor and a complex number: half the work of one of complex ones."""
    return complex(factor * z.real, factor * z.imag)


@njit
def over(z):
    """1 / z of a complex number; the division of complex numbers is a call, for many at once."""
    size = 1.0 / (z.real**2 + z.imag**2)
    return complex(z.real * size, -z.imag * size)


@njit
def fill_logarithm(fall, p, u, square, out):
    """ln(1 + p f) of `fall` (n,), |f| <= 2, into `out` (n,): 2 atanh u, where |u| <= p / (1 - p).

    `u` and `square` (n,) are room to work in.
    """
    n_terms, largest = 1, (p / (1.0 - p)) ** 2
    while largest**n_terms > SMALL_PART and n_terms < MOST_TERMS:
        n_terms += 1
    for k in range(fall.shape[0]):
        part = scaled(p, fall[k])
        u[k] = part * over(2.0 + part)
    for k in range(fall.shape[0]):
        square[k] = u[k] * u[k]
        out[k] = 0.0
    n_pairs = n_terms // 2 + 1
    for i in range(n_pairs - 1, -1, -1):
        term, next_term = 1.0 / (4.0 * i + 3.0), 1.0 / (4.0 * i + 1.0)
        for k in range(fall.shape[0]):
            out[k] = (out[k] * square[k] + term) * square[k] + next_term
    for k in range(fall.shape[0]):
        out[k] *= 2.0 * u[k]


@njit
def fill_product(values, others, out):
    """The products of the values (n,) and the others (n,), into `out` (n,)."""
    for k in range(out.shape[0]):
        out[k] = values[k] * others[k]


@njit
def fill_later(value, fall, p, several, later):
    """The slope of C by ln z, into `later` (n,)."""
    for k in range(value.shape[0]):
        left = 1.0 + scaled(p, fall[k])
        later[k] = value[k] * left * over(left - scaled(several, value[k]))


@njit
def fill_first(value, fall, p, out):
    """B - 1 = C (1 + p (C - 1)) - 1, into `out` (n,)."""
    for k in range(value.shape[0]):
        out[k] = value[k] * (1.0 + scaled(p, fall[k])) - 1.0


@njit
def fill_by_opct(fall, p, factor, out):
    """The slope of C by opct over that by ln z, into `out` (n,)."""
    for k in range(fall.shape[0]):
        out[k] = scaled(factor, fall[k]) * over(1.0 + scaled(p, fall[k]))


@njit
def fill_by_spent(value, fall, opct, spent, by_opct, logarithm, out):
    """The slope of C by spent over that by ln z, into `out` (n,)."""
    if spent < NEARLY_NONE:
        for k in range(value.shape[0]):
            out[k] = -fall[k] * (opct + scaled(0.5 * opct * opct, value[k]))
    else:
        for k in range(value.shape[0]):
            part = scaled(opct, by_opct[k]) - scaled(1.0 / spent, logarithm[k])
            out[k] = scaled(1.0 / spent, part)


@njit
def add_first(value, fall, factor, out):
    """What a first avalanche has more of a slope, by the neighbour that the others lack."""
    for k in range(value.shape[0]):
        out[k] += scaled(factor, value[k] * fall[k])


@njit
def fill_slope(value, p, later, out):
    """The slope of B by ln z, into `out` (n,)."""
    for k in range(value.shape[0]):
        out[k] = (1.0 - p + scaled(2.0 * p, value[k])) * later[k]


@njit
def progeny(value, opct, spent, rows):
    """The `rows` (N_ROWS, n) of `fill_trees` where C has the `value` (n,); they are written.

    A loop for each row: a processor works at several values at once where it needs few arrays,
    and none of them is both read and written.
    """
    p, several = chances(opct, spent)
    rest = 1.0 - p
    first, slope, by_opct, by_spent = rows[FALL], rows[BY_LOG], rows[BY_OPCT], rows[BY_SPENT]
    fall, later = rows[LATER + FALL], rows[LATER + BY_LOG]
    later_by_opct, later_by_spent = rows[LATER + BY_OPCT], rows[LATER + BY_SPENT]
    for k in range(value.shape[0]):
        fall[k] = value[k] - 1.0
    logarithm, ratio = by_spent, later_by_spent  # until the rows are needed
    if spent >= NEARLY_NONE:
        fill_logarithm(fall, p, slope, by_opct, logarithm)
    fill_later(value, fall, p, several, later)
    fill_slope(value, p, later, slope)
    fill_by_opct(fall, p, (1.0 - spent) * rest, ratio)
    fill_product(slope, ratio, by_opct)
    add_first(value, fall, spent * rest, by_opct)
    fill_product(later, ratio, later_by_opct)
    fill_by_spent(value, fall, opct, spent, ratio, logarithm, first)
    ratio = first
    fill_product(slope, ratio, by_spent)
    add_first(value, fall, opct * rest, by_spent)
    fill_product(later, ratio, later_by_spent)
    fill_first(value, fall, p, first)


@njit
def fill_powers(mean, blur, s, more, out):
    """The exponents i mean s + blur s^2 + more (m,) at the frequencies s (m,), into `out` (m,)."""
    for k in range(s.shape[0]):
        out[k] = complex(blur * s[k] * s[k] + more[k].real, mean * s[k] + more[k].imag)


@njit
def keep_small(z):
    """Limit the size of what is `TOO_LARGE` for a characteristic function, z (m,)."""
    n_large = 0
    for k in range(z.shape[0]):
        n_large += z[k].real ** 2 + z[k].imag ** 2 > TOO_LARGE
    if n_large > 0:
        for k in range(z.shape[0]):
            size = z[k].real ** 2 + z[k].imag ** 2
            z[k] = scaled(1.0 / math.sqrt(size) if size > TOO_LARGE else 1.0, z[k])


@njit
def add_series(terms, z, value):
    """Add the power series of z (m,) with the `terms` (k,) to `value` (m,), which is 0."""
    for i in range(terms.shape[0] - 1, 0, -AT_ONCE):
        first, second, third, fourth = terms[i], terms[i - 1], terms[i - 2], terms[i - 3]
        for k in range(z.shape[0]):
            more = ((value[k] + first) * z[k] + second) * z[k] + third
            value[k] = (more * z[k] + fourth) * z[k]


@njit
def fill_trees(part, inner, s, theta, spent, terms, tree):
    """B - 1 and C - 1 of avalanches of the relative charges `part` (n,), and their slopes.

    Parameters
    ----------
    inner : (n, m) complex
        What follows them later, in the exponent.
    s : (m,) float
        Frequency.
    theta : (4,) float
        The shared parameters of `model`.
    terms : (k,) float
        `progeny_terms(opct, spent)`.
    tree : (n, N_ROWS, m) complex, written
    """
    pe, v_pe, opct = theta[PE], theta[V_PE], theta[OPCT]
    m = s.shape[0]
    z, value = np.empty(m, np.complex128), np.empty(m, np.complex128)
    for j in range(part.shape[0]):
        fill_powers(pe * part[j], -0.5 * v_pe * part[j] * part[j], s, inner[j], value)
        exponentials(value, z)
        keep_small(z)
        if terms.shape[0] == 0:
            for k in range(m):
                value[k] = by_crosstalk(z[k], opct, spent, terms)
        else:
            value.fill(0.0)
            add_series(terms, z, value)
        progeny(value, opct, spent, tree[j])


def opct_of_same_mean(opct, spent) -> np.ndarray:
    """Crosstalk (n,) with which the generalised Poisson law has as many avalanches in the mean.

    The mean of that law is lambda / (1 - opct), which charges are converted with.

    Parameters
    ----------
    opct, spent : (n,) float
        NaN remains NaN.
    """
    opct, spent = np.asarray(opct, float), np.asarray(spent, float)
    p = -np.expm1(-opct * spent)
    several = np.where(spent > 0.0, p * (1.0 - spent) / np.where(spent > 0.0, spent, 1.0), opct)
    return np.where(spent > 0.0, 1.0 - (1.0 - several) / (1.0 + p), opct)
