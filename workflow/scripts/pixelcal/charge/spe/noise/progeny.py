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

from pixelcal.numerics.jit import njit

ROUNDS, SMALL_STEP = 12, 1e-13
"""Newton steps for C, until they are smaller."""
MOST_TERMS, SMALL_TERM = 90, 1e-11
"""The power series of C is faster where that many terms do: crosstalk up to 0.5."""
TOO_LARGE = 1.2
"""No characteristic function is larger than 1. One that is interpolated may be, where an avalanche
has more followers than one: its square is kept below this."""
NEARLY_NONE = 1e-4
"""Smaller `spent` has the slope of none: differences would be rounding."""

VALUE, BY_LOG, BY_OPCT, BY_SPENT = range(4)
"""Rows of what `fill_trees` gives of B: value, slopes by ln z, opct and spent; then those of C."""
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
    """Probabilities (k,) of 1, 2, ... avalanches of one by crosstalk; none where k is large."""
    p, several = chances(opct, spent)
    terms = np.empty(MOST_TERMS)
    for i in range(MOST_TERMS):
        k = i + 1.0
        term = math.exp(-opct * (k * (1.0 - spent) - i * spent)) / k
        for j in range(i):
            term *= (several * k - p * j) / (j + 1.0)
        terms[i] = term
        if term < SMALL_TERM:
            return terms[: i + 1]
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
def progeny(value, opct, spent):
    """The rows of `fill_trees` where C has the `value`."""
    fall = value - 1.0
    if spent == 0.0:  # the Borel law, in which both are the same
        slope = value / (1.0 - opct * value)
        by_opct, by_spent = slope * fall, -slope * fall * (opct + 0.5 * opct * opct * value)
        first_by_spent = by_spent + opct * value * fall
        return value, slope, by_opct, first_by_spent, value, slope, by_opct, by_spent
    p, several = chances(opct, spent)
    rest = 1.0 - p
    left = 1.0 + p * fall
    more = left - several * value
    both = 1.0 / (left * more)  # one division for two
    later = value * left * left * both
    by_opct = (1.0 - spent) * rest * fall * more * both
    if spent < NEARLY_NONE:
        by_spent = -fall * (opct + 0.5 * opct * opct * value)
    else:
        by_spent = (opct * by_opct - np.log(left) / spent) / spent
    later_by_opct, later_by_spent = later * by_opct, later * by_spent
    both = left + p * value
    return (
        value * left,
        both * later,
        both * later_by_opct + value * spent * rest * fall,
        both * later_by_spent + value * opct * rest * fall,
        value,
        later,
        later_by_opct,
        later_by_spent,
    )


@njit
def fill_trees(part, inner, mean, variance, opct, spent, terms, tree):
    """B and C of avalanches of the relative charges `part` (n,), and their slopes.

    Parameters
    ----------
    inner : (n,) complex
        What follows them later, in the exponent.
    mean : complex
        i s pe of a whole avalanche.
    variance : float
        -s^2 sigma_pe^2 / 2 of it.
    terms : (k,) float
        `progeny_terms(opct, spent)`.
    tree : (N_ROWS, n) complex, written
    """
    n, n_terms = len(part), len(terms)
    z, value = np.empty((2, n), np.complex128)
    for j in range(n):
        z[j] = np.exp(mean * part[j] + variance * part[j] * part[j] + inner[j])
        size = z[j].real ** 2 + z[j].imag ** 2
        if size > TOO_LARGE:
            z[j] /= math.sqrt(size)
    if n_terms == 0:
        for j in range(n):
            value[j] = by_crosstalk(z[j], opct, spent, terms)
    else:
        # Term by term for all: a processor works at several at once, as none waits for another.
        value[:] = terms[n_terms - 1] * z
        for i in range(n_terms - 2, -1, -1):
            for j in range(n):
                value[j] = (value[j] + terms[i]) * z[j]
    for j in range(n):
        (
            tree[0, j], tree[1, j], tree[2, j], tree[3, j],
            tree[4, j], tree[5, j], tree[6, j], tree[7, j],
        ) = progeny(value[j], opct, spent)  # fmt: skip


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
