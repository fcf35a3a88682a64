"""Errors of what the stack tells, where it scatters by more than counting."""

from functools import lru_cache

import numpy as np
from helpers import cameras
from helpers.nominal_stacks import learnt_from

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
SECONDS, N = 1e7, 30
CHANCE = 4.0 / np.sqrt(2 * N)
"""Four standard errors of a standard deviation, relative."""


@lru_cache
def learnt(times):
    """Responses of stacks that scatter by so many times as much as counting makes them."""
    expected = cameras.expected_spectrum(*RELATION, SECONDS)
    rng = np.random.default_rng(23)
    noise = times * np.sqrt(expected) * rng.standard_normal((N, len(expected)))
    return [learnt_from(np.rint(expected + one)[None].astype(np.int64)) for one in noise]


def pulls(times):
    """The bend of each stack over its error; the truth has none."""
    return np.array([one.bend / one.bend_err for one in learnt(times)])


def test_counting_alone_needs_no_more():
    assert all(one.chi_square < one.dof for one in learnt(1.0))
    assert pulls(1.0).std() < 1.0 + CHANCE


def test_errors_grow_with_what_is_left_of_the_stack():
    """By the root of chi-square per degree of freedom. Neighbouring bins share channels, so that
    it is 0.6 where counting alone makes it: of 4 times the variance some 2.3 are seen."""
    few, many = learnt(1.0), learnt(2.0)
    seen = np.mean([one.chi_square / one.dof for one in many])
    assert 1.8 < seen < 3.0
    assert pulls(2.0).std() < np.sqrt(4.0 / seen) * (1.0 + CHANCE)
    counting = [one.scale_covariance for one in few]
    ratio = np.mean([one.scale_covariance for one in many], axis=0) / np.mean(counting, axis=0)
    # The priors of the shape hold what counts alone would leave open: errors grow by less.
    assert np.all(ratio > 0.7 * seen) and np.all(ratio < 1.05 * seen)
