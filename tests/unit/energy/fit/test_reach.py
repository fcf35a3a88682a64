"""Lines that reach into the block below: what they leave there goes with strength and tail."""

from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.exact_model import ExactPixel
from helpers.nominal_stacks import learnt_from

from pixelcal.energy.fit import model
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.lines import line_groups
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.tables import make_templates, with_noise, without_block

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
LONG_S = 1e8
LEAD = 5
"""K alpha of lead among the line groups: its tail reaches below 70.6 keV, the end of a block."""


@lru_cache
def response():
    """Learnt from the expectation itself."""
    return learnt_from(np.rint(cameras.expected_spectrum(*RELATION, LONG_S))[None])


@lru_cache
def templates():
    return make_templates(response(), cameras.line_table())


@lru_cache
def exact():
    return ExactPixel(response(), cameras.line_table(), *RELATION)


def parameters(tail=1.0, known=None, **norms):
    """Parameters of a pixel with the nominal relation; `norms` as "g5", a line group's."""
    known = known or templates()
    theta = np.ones(model.N_SHARED + len(known.limits) + len(known.group_block))
    theta[:2] = np.array([model.PIVOT_LOW, model.PIVOT_HIGH]) * RELATION[0] + RELATION[1]
    theta[2:4] = 0.0, tail
    for name, value in norms.items():
        theta[model.N_SHARED + len(known.limits) + int(name[1:])] = value
    return theta


def counts_of_block(theta, block, known=None):
    known = known or templates()
    first, last = model.choose_channels(theta, known, 1024)
    work = model.make_workspace(1024, known)
    n = last[block] - first[block]
    model.block_model(theta, block, first[block], n, 1.0, known, work)
    return work.mu[:n]


def rows_of_block(block):
    """The channels of a block among those of `ExactPixel.components`."""
    ends = np.cumsum([0, *(last - first for first, last in exact().channels)])
    return slice(ends[block], ends[block + 1])


@pytest.mark.parametrize("tail", [0.4, 1.0, 2.3])
def test_what_a_line_leaves_below_its_block_goes_with_its_strength_and_its_tail(tail):
    parts = exact().components(*RELATION, 0.0, tail)
    parts[5 + LEAD] *= 1.6
    for block in range(5):
        expected = parts[:, rows_of_block(block)].sum(axis=0)
        found = counts_of_block(parameters(tail, g5=1.6), block)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    left = parts[5 + LEAD, rows_of_block(2)]
    assert left[-5:].sum() > 0.05 * parts[:, rows_of_block(2)][:, -5:].sum()  # or nothing is tested


def test_a_pixel_with_other_lines_and_tails_than_the_camera_fits_exactly():
    """Counts without noise: its relation is the true one and nothing is left of the deviance.

    Were what lead leaves below its block that of the camera, much would be left.
    """
    parts = exact().components(*RELATION, 0.0, 1.5)
    parts[5 + LEAD : 5 + LEAD + 2] *= 1.6
    counts = np.zeros(1024)
    for block, (first, last) in enumerate(exact().channels):
        counts[first:last] = parts[:, rows_of_block(block)].sum(axis=0)
    counts = np.rint(0.1 * counts).astype(np.int32)[None]
    wide = templates()._replace(population_scale=np.full(14, 30.0))
    rows, found = fit_joint(counts, np.arange(1), *cameras.prior(1), wide, cameras.OPTIONS)
    assert rows["STAT"][0] < 20.0
    continuum, groups = wide.continuum.copy(), wide.groups.copy()
    for group in (LEAD, LEAD + 1):
        continuum[wide.group_block[group] - 1] += wide.reach[group, :2] + wide.reach[group, 2:]
    groups[:, 2] = groups[:, 1]
    alike = wide._replace(continuum=continuum, groups=groups)
    others, _ = fit_joint(counts, np.arange(1), *cameras.prior(1), alike, cameras.OPTIONS)
    assert others["STAT"][0] > 500.0
    assert rows["TAIL"][0] == pytest.approx(1.5, abs=0.01)
    normalisation = found.normalisation[0]
    ratio = normalisation[5 + LEAD] / np.median(normalisation)
    assert ratio == pytest.approx(1.6, rel=0.005)
    sigma = energy_sigma(80.0, *relation_columns(rows))
    assert abs(energy_error(80.0, rows["GAIN"], rows["OFFSET"], *RELATION))[0] < 0.1 * sigma[0]


def test_the_lines_of_a_block_that_is_left_out_stay_in_the_one_below():
    fewer = without_block(templates(), 3)
    whole, left = (
        counts_of_block(parameters(), 2),
        counts_of_block(parameters(known=fewer), 2, fewer),
    )
    np.testing.assert_allclose(left, whole, rtol=1e-9)
    assert fewer.groups.tolist() == [[0, 1, 1], [1, 3, 3], [3, 5, 5], [5, 6, 6]]
    assert without_block(templates(), 2).groups[2].tolist() == [3, 4, 5]  # lead in lead


def test_noise_in_a_block_leaves_what_reaches_into_others():
    noisy = with_noise(templates(), 0, 0.7)
    for block in range(1, 5):
        theta = parameters(1.7, noisy, g6=1.6)
        expected = counts_of_block(parameters(1.7, g5=1.6), block)
        np.testing.assert_allclose(counts_of_block(theta, block, noisy), expected, rtol=1e-12)


def test_only_what_a_pixel_can_tell_reaches():
    names = [f"{element} {block}" for block, element in line_groups(cameras.line_table())]
    reach = [name for name, one in zip(names, templates().reach, strict=True) if one.any()]
    assert reach == ["Pb 3", "Pb 4"]
