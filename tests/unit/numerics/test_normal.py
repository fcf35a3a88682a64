"""The normal integral and its density from a table, against those of scipy."""

import numpy as np
from scipy.special import ndtr

from pixelcal.numerics.normal import FURTHEST, normal_above


def test_integral_and_density_are_those_of_scipy():
    z = np.concatenate([[0.0], np.random.default_rng(1).uniform(0.0, FURTHEST, 20_000)])
    above, density = np.array([normal_above(each) for each in z]).T
    known = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    # The first term of the series that is left out, at half a step of 1/64.
    assert np.abs(above - ndtr(-z)).max() < 1e-15
    assert np.abs(density - known).max() < 2e-12
    assert np.abs(above / ndtr(-z) - 1.0).max() < 1e-8


def test_beyond_the_table_nothing_is_left_and_nan_stays():
    assert ndtr(-FURTHEST) < 1e-15
    for z in (FURTHEST, 1e3, np.inf):
        assert normal_above(z) == (0.0, 0.0)
    assert np.isnan(normal_above(np.nan)).all()
