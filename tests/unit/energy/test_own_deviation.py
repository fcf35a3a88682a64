"""How far pixels deviate by themselves, against a direct simulation of pixels.

Energies of blocks that walk at random or bend at random, with errors of counting; straight lines
fitted to them by weighted least squares, of all blocks and without each; and how the energies of
these lines scatter.
"""

import numpy as np
import pytest
from helpers import cameras

from pixelcal.energy.own_deviation import (
    deviations_of_pixels,
    measure_own_deviation,
    no_deviation,
)

N = 2000
ENERGIES_KEV = np.array([4.0, 15.0, 31.0, 50.0, 80.0, 150.0])
COUNTING_KEV = np.array([0.08, 0.05, 0.04, 0.05, 0.07])
"""Error of where the lines of each block stand."""


class StraightLines:
    """Weighted fits of straight lines to some blocks of the line table."""

    def __init__(self, blocks=range(5)):
        table, self.blocks = cameras.line_table(), list(blocks)
        energy = table.energy_keV
        self.ends = float(energy.min()), float(energy.max())
        self.centre = np.array([energy[table.block == b].mean() for b in self.blocks])
        self.counting = COUNTING_KEV[self.blocks]
        weight = 1.0 / self.counting**2
        line = np.column_stack([self.centre, np.ones(len(self.centre))])
        self.to_line = np.linalg.solve(line.T * weight @ line, line.T * weight)

    def without(self, block):
        """Where the line through the other blocks is at a block, by their energies (n_blocks,)."""
        kept = np.delete(np.arange(len(self.centre)), block)
        weight = 1.0 / self.counting[kept] ** 2
        line = np.column_stack([self.centre[kept], np.ones(len(kept))])
        to_line = np.linalg.solve(line.T * weight @ line, line.T * weight)
        row = np.zeros(len(self.centre))
        row[kept] = np.array([self.centre[block], 1.0]) @ to_line
        return row

    def draw(self, deviations, scale, seed=1):
        """Shifts of the blocks of pixels, with counting, and their errors (n, n_blocks)."""
        rng = np.random.default_rng(seed)
        n, blocks = len(scale), len(self.centre)
        noise = scale[:, None] * self.counting * rng.standard_normal((n, blocks))
        seen = np.eye(blocks) - np.array([self.without(b) for b in range(blocks)])
        left = 1.0 - np.diag(np.column_stack([self.centre, np.ones(blocks)]) @ self.to_line)
        errors = scale[:, None] * self.counting / np.sqrt(left)
        return (deviations + noise) @ seen.T, errors

    def measure(self, shift, error):
        return measure_own_deviation(shift, error, self.to_line.T, self.centre, self.ends)

    def parabola(self, energy):
        """1 in the middle between the outermost lines, 0 at these."""
        low, high = self.ends
        return 1.0 - ((energy - (low + high) / 2) / ((high - low) / 2)) ** 2


def make_deviations(lines, n, walk, bend, seed=2):
    """Deviations (n,) at the blocks and at ENERGIES_KEV: random walks along the energy, and bends.

    Independent steps between neighbours in energy, wherever they begin. `walk` is of all gaps, or
    (n_blocks,) of the gaps between blocks and, last, beyond them.
    """
    rng = np.random.default_rng(seed)
    energies = np.concatenate([lines.centre, ENERGIES_KEV])
    order = np.argsort(energies)
    middle = 0.5 * (energies[order] + np.roll(energies[order], 1))
    gap = np.searchsorted(lines.centre, middle) - 1
    gap[(gap < 0) | (gap >= len(lines.centre) - 1)] = -1
    of_gaps = np.broadcast_to(walk, lines.centre.shape)
    steps = of_gaps[gap] * np.sqrt(np.diff(energies[order], prepend=energies.min() - 30.0))
    walked = np.empty((n, len(energies)))
    walked[:, order] = np.cumsum(steps * rng.standard_normal((n, len(energies))), axis=1)
    walked += bend * rng.standard_normal((n, 1)) * lines.parabola(energies)
    return np.split(walked, [len(lines.centre)], axis=1)


def said_and_true(lines, walk, bend, n=N):
    """Standard deviations (keV) at ENERGIES_KEV: as measured of n pixels, and of 200 000 draws."""
    deviations, _ = make_deviations(lines, n, walk, bend)
    found = lines.measure(*lines.draw(deviations, np.ones(n)))
    deviations, at = make_deviations(lines, 200_000, walk, bend, seed=3)
    stretch, shift = lines.to_line @ deviations.T
    true = np.std([e * stretch + shift - at[:, k] for k, e in enumerate(ENERGIES_KEV)], axis=1)
    return np.array([found.sigma(energy) for energy in ENERGIES_KEV]), true


@pytest.mark.parametrize(("walk", "bend"), [(0.05, 0.0), (0.0, 0.3), (0.05, 0.3), (0.02, 0.6)])
def test_energies_scatter_as_said(walk, bend):
    """Three contrasts of 2000 pixels know a variance well above counting to 2.6 %, and its root to
    1.3 %; where two are told apart, to three times that. Four of these."""
    said, true = said_and_true(StraightLines(), walk, bend)
    np.testing.assert_allclose(said, true, rtol=4 * 3 * 0.013)


GAPS = [
    np.array([0.0, 0.0, 0.0, 0.045, 0.0]),  # steps of 0.15 keV between the two blocks of lead
    np.array([0.04, 0.0, 0.0, 0.0, 0.0]),
    np.array([0.0, 0.03, 0.0, 0.0, 0.0]),
    np.array([0.01, 0.02, 0.05, 0.04, 0.0]),
]


@pytest.mark.parametrize("walk", GAPS)
def test_a_walk_that_is_uneven_is_found_where_it_is(walk):
    """Between the lines: beyond them the mean is said. Five variances of three contrasts are told
    apart worse than two; the largest ones matter, to 6 standard errors of a root."""
    lines = StraightLines()
    said, true = said_and_true(lines, walk, 0.0)
    inside = slice(1, -1)
    large = true[inside] > 0.3 * true[inside].max()
    np.testing.assert_allclose(said[inside][large], true[inside][large], rtol=6 * 3 * 0.013)
    assert (said[inside] < 0.4 * true[inside].max())[~large].all()


def test_a_walk_that_is_even_is_said_to_be_even():
    lines = StraightLines()
    deviations, _ = make_deviations(lines, N, 0.05, 0.0)
    found = lines.measure(*lines.draw(deviations, np.ones(N)))
    np.testing.assert_array_equal(found.walk, found.walk[0])


def test_what_is_as_small_as_counting_is_found_in_many_pixels():
    """A walk of a third of the counting errors: known to 12 % by the information of 2000 pixels."""
    said, true = said_and_true(StraightLines(), 0.006, 0.0)
    # At 150 keV what of a parabola is not excluded adds.
    np.testing.assert_allclose(said[:-1], true[:-1], rtol=0.5)
    assert 0.5 * true[-1] < said[-1] < 3.0 * true[-1]


def test_without_deviations_little_is_said():
    """The variance is 0 in half of all draws, or what counting leaves open."""
    lines = StraightLines()
    for seed in range(10):
        shift, error = lines.draw(np.zeros((N, 5)), np.ones(N), seed)
        found = lines.measure(shift, error)
        # Counting knows the energies to 0.04 keV in between; a tenth of its variance is 3 sigma.
        assert found.sigma(50.0) < 0.32 * 0.04 and found.sigma(15.0) < 0.32 * 0.05


def test_blocks_that_are_displaced_alone_are_not_made_small():
    """Neither a walk nor a parabola: energies are not said to be much better than they are.

    Nor of one gap alone: what is said is 0.87 of the true one at the worst.
    """
    lines, rng = StraightLines(), np.random.default_rng(5)
    for sigma in ([0.1] * 5, [0.1, 0.05, 0.03, 0.08, 0.12], [0.15, 0.0, 0.0, 0.0, 0.0]):
        deviations = sigma * rng.standard_normal((N, 5))
        found = lines.measure(*lines.draw(deviations, np.ones(N)))
        true = np.std(np.column_stack([ENERGIES_KEV, np.ones(6)]) @ lines.to_line @ deviations.T, 1)
        said = np.array([found.sigma(energy) for energy in ENERGIES_KEV])
        assert (said > 0.8 * true).all() and (said < 3.0 * true).all(), said / true


def test_sick_pixels_do_not_tell():
    """A tenth of the pixels, displaced by ten times as much, change little."""
    lines = StraightLines()
    deviations, _ = make_deviations(lines, N, 0.03, 0.0)
    clean = lines.measure(*lines.draw(deviations, np.ones(N)))
    deviations[::10] *= 10.0
    sick = lines.measure(*lines.draw(deviations, np.ones(N)))
    for energy in ENERGIES_KEV[:-1]:
        assert abs(sick.sigma(energy) / clean.sigma(energy) - 1.0) < 0.25


def test_pixels_with_larger_errors_count_by_them():
    """Half of the pixels with three times the counting error: it is not taken for a deviation."""
    lines, scale = StraightLines(), np.repeat([1.0, 3.0], N // 2)
    deviations, _ = make_deviations(lines, N, 0.03, 0.0)
    found = lines.measure(*lines.draw(deviations, scale))
    np.testing.assert_allclose(found.walk, 0.03, rtol=0.12)
    shift, error = lines.draw(np.zeros((N, 5)), scale)
    assert lines.measure(shift, error).sigma(50.0) < 0.32 * 0.04


def test_a_shift_of_all_pixels_and_unknown_values_change_nothing():
    lines = StraightLines()
    deviations, _ = make_deviations(lines, N, 0.03, 0.1)
    shift, error = lines.draw(deviations, np.ones(N))
    found = lines.measure(shift, error)
    moved = lines.measure(shift + [0.1, -0.2, 0.0, 0.3, 0.1], error)
    np.testing.assert_allclose(moved.sigma(50.0), found.sigma(50.0), rtol=1e-4)
    kept, shift[::4, 2] = np.arange(N) % 4 > 0, np.nan
    some, same = lines.measure(shift, error), lines.measure(shift[kept], error[kept])
    np.testing.assert_array_equal(some.walk, same.walk)
    assert some.bend == same.bend


def test_of_three_blocks_only_a_walk_is_told():
    lines = StraightLines((0, 1, 4))
    deviations, _ = make_deviations(lines, N, 0.05, 0.0)
    found = lines.measure(*lines.draw(deviations, np.ones(N)))
    # One contrast: the variance to 3.2 % where it is well above counting; a third is counting here.
    np.testing.assert_allclose(found.walk, 0.05, rtol=0.1)
    assert found.bend == 0.0


@pytest.mark.parametrize("case", ["two blocks", "one decides", "few pixels", "nothing known"])
def test_blocks_that_cannot_be_compared_say_nothing(case):
    lines = StraightLines((0, 4) if case == "two blocks" else range(5))
    n = 10 if case == "few pixels" else N
    shift, error = np.full((2, n, len(lines.centre)), 1.0)
    lever = lines.to_line.T.copy()
    if case == "one decides":
        lever[3] = 1.0 / lines.centre[3], 0.0
    if case == "nothing known":
        shift[:] = np.nan
    found = measure_own_deviation(shift, error, lever, lines.centre, lines.ends)
    assert found.sigma(50.0) == 0.0 and found.sigma(150.0) == 0.0


def test_a_block_that_nothing_is_known_of_is_left_out():
    """Its lever is 0 and its shifts are NaN: the others tell as if it were not there."""
    four, five = StraightLines((0, 1, 2, 4)), StraightLines()
    deviations, _ = make_deviations(four, N, 0.05, 0.1)
    shift, error = four.draw(deviations, np.ones(N))
    found = four.measure(shift, error)
    places = [0, 1, 2, 4]
    lever, shifts, errors = np.zeros((5, 2)), np.full((N, 5), np.nan), np.full((N, 5), np.nan)
    lever[places], shifts[:, places], errors[:, places] = four.to_line.T, shift, error
    again = measure_own_deviation(shifts, errors, lever, five.centre, five.ends)
    np.testing.assert_allclose(again.sigma(50.0), found.sigma(50.0))


def test_pixels_of_two_kinds_have_their_own():
    lines = StraightLines()
    none = no_deviation(lines.to_line.T, lines.centre, lines.ends)
    walk, bend = none._replace(walk=np.full(5, 0.1)), none._replace(bend=np.array(0.2))
    both = deviations_of_pixels([walk, bend, none])
    for energy in (15.0, 150.0):
        expected = [walk.sigma(energy), bend.sigma(energy), 0.0]
        np.testing.assert_allclose(both.sigma(energy), expected)
