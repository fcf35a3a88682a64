"""The law of crosstalk with a limited number of neighbours, against counts and draws of cells."""

import numpy as np
import pytest

from pixelcal.charge.spe.model import avalanche_terms
from pixelcal.charge.spe.noise.progeny import (
    FALL,
    LATER,
    N_ROWS,
    by_crosstalk,
    mean_progeny,
    opct_of_same_mean,
    progeny,
    progeny_terms,
)


def first_terms(opct, spent):
    """Probabilities of 1, 2, ... avalanches of a first one: B = C (1 - p + p C)."""
    terms = progeny_terms(opct, spent)
    p = -np.expm1(-opct * spent)
    found = (1.0 - p) * terms
    found[1:] += p * np.convolve(terms, terms)[: len(terms) - 1]
    return found


@pytest.mark.parametrize("opct", [0.05, 0.15, 0.4])
def test_four_neighbours_are_those_of_gallego(opct):
    """Closed forms of JINST 8, P05010, table 1; loops of four cells change the fourth a little."""
    p = -np.expm1(-opct / 4.0)
    q = 1.0 - p
    known = [
        q**4,
        4 * p * q**6,
        18 * p**2 * q**8,
        4 * p**3 * q**8 * (1 + 3 * q + 18 * q**2),
    ]
    found = first_terms(opct, 0.25)
    assert found[:3] == pytest.approx(known[:3], rel=1e-12)
    assert found[3] == pytest.approx(known[3], rel=0.05)


def test_an_unlimited_number_is_the_generalised_poisson_law():
    """Of a flash: the compound Poisson sum of the progeny (Panjer), and its closed form."""
    light, opct, n = 1.3, 0.3, 12
    known, unused = np.empty(n), np.empty((2, n))
    avalanche_terms(light, opct, n, known, *unused)
    terms = first_terms(opct, 0.0)
    found = [np.exp(-light)]
    for k in range(1, n):
        found.append(light / k * sum(j * terms[j - 1] * found[k - j] for j in range(1, k + 1)))
    assert np.array(found) == pytest.approx(known, rel=1e-9)


def clusters(rng, opct, n, count):
    """Cells that fire in `count` events: each fired cell tries each of n = 4 or 8 neighbours."""
    p = -np.expm1(-opct / n)
    near = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    near = [step for step in near if n == 8 or 0 in step]
    sizes = np.empty(count, int)
    for event in range(count):
        fired, at = {(0, 0)}, [(0, 0)]
        while at:
            x, y = at.pop()
            for k in np.flatnonzero(rng.random(n) < p):
                cell = x + near[k][0], y + near[k][1]
                if cell not in fired:
                    fired.add(cell)
                    at.append(cell)
        sizes[event] = len(fired)
    return sizes


@pytest.mark.parametrize("n", [4, 8])
def test_cells_of_a_square_lattice_fire_as_often(n):
    """Draws of cells: the closed loops that the law leaves out are less than a percent here."""
    opct, count = 0.2, 60_000
    sizes = clusters(np.random.default_rng(n), opct, n, count)
    terms = first_terms(opct, 1.0 / n)
    for k in range(1, 6):
        found, expected = (sizes == k).mean(), terms[k - 1]
        error = np.sqrt(expected / count)
        assert abs(found - expected) < 4 * error + 0.02 * (k > 2) * expected, k
    mean, _, _ = mean_progeny(opct, 1.0 / n)
    assert abs(sizes.mean() - mean) < 4 * sizes.std() / np.sqrt(count) + 0.002
    assert mean_progeny(opct, 0.0)[0] - sizes.mean() > 4 * sizes.std() / np.sqrt(count)


@pytest.mark.parametrize("opct, spent", [(0.15, 0.125), (0.4, 0.25), (0.15, 0.0), (0.8, 0.125)])
def test_slopes_are_those_of_differences(opct, spent):
    """Also where the power series is too long, and Newton's steps find the root."""
    z, step = 0.8 * np.exp(1.3j), 1e-5

    def at(z, opct, spent):
        rows = np.empty((N_ROWS, 1), complex)
        terms = progeny_terms(opct, spent)
        progeny(np.array([by_crosstalk(z, opct, spent, terms)]), opct, spent, rows)
        return rows[:, 0]

    found, below = at(z, opct, spent), step * (spent > 0.0)
    slopes = (
        (at(z * np.exp(step), opct, spent) - at(z * np.exp(-step), opct, spent)) / (2 * step),
        (at(z, opct + step, spent) - at(z, opct - step, spent)) / (2 * step),
        (at(z, opct, spent + step) - at(z, opct, spent - below)) / (step + below),
    )
    for i, slope in enumerate(slopes, start=1):
        assert abs(found[i] - slope[0]) < 1e-4 and abs(found[4 + i] - slope[4]) < 1e-4
    fall = found[LATER + FALL]
    assert fall + 1.0 == pytest.approx(
        z * np.exp(opct * fall)
        if spent == 0.0
        else z * (1.0 - np.expm1(-opct * spent) * fall) ** (1.0 / spent - 1.0),
        abs=1e-9,
    )


def test_charges_are_converted_with_the_mean_number_of_avalanches():
    """The generalised Poisson law with this crosstalk has as many; without a limit it is opct."""
    opct, spent = np.array([0.15, 0.3, 0.15, np.nan]), np.array([0.125, 0.25, 0.0, 0.125])
    found = opct_of_same_mean(opct, spent)
    for value, *of in zip(found[:3], opct, spent, strict=False):
        terms = first_terms(*of)
        mean = np.sum(np.arange(1, len(terms) + 1) * terms)
        assert 1.0 / (1.0 - value) == pytest.approx(mean, rel=1e-7)
    assert found[2] == opct[2] and np.isnan(found[3])
