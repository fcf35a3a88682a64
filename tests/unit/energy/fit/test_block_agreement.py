"""Systematic uncertainty of each pixel, from how its blocks disagree, against a direct simulation.

Blocks displaced at random, and relations bent at random; straight lines fitted to them by weighted
least squares; and how the energies of these lines scatter.
"""

import numpy as np
import pytest
from helpers import cameras

from pixelcal.energy.fit.block_agreement import BlockAgreement, own_systematics
from pixelcal.energy.response.energy_scale import systematic_sigma
from pixelcal.energy.response.misfit import no_misfit
from pixelcal.energy.results.systematics import Systematics

N = 200_000
ENERGIES_KEV = 4.0, 50.0, 80.0, 150.0
COUNTING_KEV = np.array([0.08, 0.05, 0.04, 0.05, 0.07])
"""Error of where the lines of each block stand."""

ALONE = {
    "one block": ([0.0, 0.0, 0.0, 0.1, 0.0], 0.0),
    "bend": ([0.0] * 5, 0.1),
    "none": ([0.0] * 5, 0.0),
}
TOGETHER = {
    "blocks": ([0.1, 0.05, 0.03, 0.08, 0.12], 0.0),
    "both": ([0.1, 0.03, 0.05, 0.08, 0.02], 0.15),
    "equal": ([0.1] * 5, 0.0),
}


class StraightLines:
    """Weighted fits of straight lines to the blocks of the line table."""

    def __init__(self):
        self.table = cameras.line_table()
        energy = self.table.energy_keV
        of_block = self.table.block == np.arange(self.table.n_blocks)[:, None]
        self.centre = np.array([energy[block].mean() for block in of_block])
        self.middle, self.half = (energy.max() + energy.min()) / 2, np.ptp(energy) / 2
        weight = 1.0 / COUNTING_KEV**2
        line = np.column_stack([self.centre, np.ones(5)])
        self.to_line = np.linalg.solve(line.T * weight @ line, line.T * weight)
        self.hat = line @ self.to_line
        parabola = np.column_stack([line, self.parabola(self.centre)])
        normal = parabola.T * weight @ parabola
        self.to_bend = np.linalg.solve(normal, parabola.T * weight)[2]
        self.bend_err = np.sqrt(np.linalg.inv(normal)[2, 2])

    def parabola(self, energy):
        """1 in the middle between the outermost lines, 0 at these."""
        return 1.0 - ((energy - self.middle) / self.half) ** 2

    def agreement(self, sigma, bend):
        """What is measured of blocks displaced by `sigma` (5,) keV and of bends of `bend` keV."""
        left = 1.0 - np.diag(self.hat)
        moved = np.column_stack([np.diag(sigma), bend * self.parabola(self.centre)])
        seen = (moved - self.hat @ moved) / left[:, None]
        misfit = no_misfit(5)._replace(
            shift_scatter=np.linalg.norm(seen, axis=1),
            bend_scatter=np.array([np.linalg.norm(self.to_bend @ moved)]),
        )
        errors = COUNTING_KEV / np.sqrt(left), self.bend_err
        return BlockAgreement(np.zeros(5), np.ones(5), self.to_line.T, misfit, *errors)


def said_and_true(sigma, bend):
    """Standard deviations (keV) at ENERGIES_KEV: by `own_systematics`, and of N draws."""
    lines, rng = StraightLines(), np.random.default_rng(3)
    bends = bend * rng.standard_normal(N)
    displaced = sigma * rng.standard_normal((N, 5))
    displaced += bends[:, None] * lines.parabola(lines.centre)
    covariance = own_systematics(lines.agreement(sigma, bend), lines.table)[0]
    stretch, shift = lines.to_line @ displaced.T
    errors = [stretch * e + shift - bends * lines.parabola(e) for e in ENERGIES_KEV]
    said = [systematic_sigma(energy, covariance) for energy in ENERGIES_KEV]
    return np.array(said), np.std(errors, axis=1)


@pytest.mark.parametrize(("sigma", "bend"), ALONE.values(), ids=ALONE)
def test_energies_scatter_as_said(sigma, bend):
    """Of N draws a scatter is known to 1 / sqrt(2 N) = 0.16 %: six of these."""
    said, true = said_and_true(sigma, bend)
    np.testing.assert_allclose(said, true, rtol=6 / np.sqrt(2 * N), atol=1e-6)


@pytest.mark.parametrize(("sigma", "bend"), TOGETHER.values(), ids=TOGETHER)
def test_what_cannot_be_told_apart_is_not_made_small(sigma, bend):
    """Five blocks leave five facts about six variances: bends can pass for displaced blocks.

    Whichever is taken, the energies are not said to be better than they are by more than a tenth,
    nor worse by more than a half; beyond the lines, where a bend goes on, by more than four times.
    """
    said, true = said_and_true(sigma, bend)
    assert np.all(said > 0.9 * true) and np.all(said < [1.5, 1.5, 1.5, 4.0] * true), said / true


def test_it_is_a_covariance():
    """Also where no displacements explain what is measured: no variance is negative."""
    lines = StraightLines()
    for seed in range(50):
        scatter = np.random.default_rng(seed).uniform(0.0, 0.3, 6)
        measured = lines.agreement(np.zeros(5), 0.0)
        misfit = measured.misfit._replace(shift_scatter=scatter[:5], bend_scatter=scatter[5:])
        covariance = own_systematics(measured._replace(misfit=misfit), lines.table)[0]
        np.testing.assert_allclose(covariance, covariance.T, rtol=1e-12)
        values = np.linalg.eigvalsh(covariance)
        assert values[0] >= -1e-12 * values[-1]


def test_between_the_blocks_energies_are_displaced_as_the_lines_are():
    """The blocks' own displacement, within what a parabola may take of five of them."""
    lines = StraightLines()
    _, between = own_systematics(lines.agreement(np.full(5, 0.1), 0.0), lines.table)
    assert between == pytest.approx(0.1, rel=0.3)
    _, nothing = own_systematics(lines.agreement(np.zeros(5), 0.0), lines.table)
    assert nothing == pytest.approx(0.0, abs=1e-9)


def test_far_from_lines_an_energy_is_less_sure_than_near_them():
    known = Systematics(*np.zeros((2, 1, 3, 3)), between=0.05, blocks=np.array([[6, 10], [30, 33]]))
    for energy, expected in ((8.0, 0.0), (12.5, 0.25), (20.0, 1.0), (31.0, 0.0), (150.0, 1.0)):
        assert known.sigma(energy) == pytest.approx(0.05 * np.sqrt(expected))
        assert known.own_sigma(energy) == pytest.approx(0.05 * np.sqrt(expected))
        assert known.common_sigma(energy) == 0.0


def test_blocks_that_cannot_be_compared_say_nothing():
    lines = StraightLines()
    measured = lines.agreement(np.full(5, 0.1), 0.1)
    alone = np.zeros((5, 2))
    alone[3] = 1.0 / lines.centre[3], 0.0  # one block decides on the relation
    covariance, between = own_systematics(measured._replace(lever=alone), lines.table)
    np.testing.assert_array_equal(covariance, np.zeros((3, 3)))
    assert between == 0.0
