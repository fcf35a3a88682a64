"""What is typical of the camera's pixels: from numbers whose scatter is known."""

import numpy as np
import pytest

from pixelcal.energy.response.misfit import beyond_counting, measure_misfit, misfit_without

N, COUNTS = 4000, 10_000.0
MEDIAN_ERROR, VARIANCE_ERROR = 1.25, 2.34
"""Standard errors of a median over sigma / sqrt(n), and of the square of the scaled median
deviation over sigma^2 / sqrt(n): the efficiency of the median deviation is 0.37."""


def camera(excess, excess_scatter, shift, shift_scatter, seed=1, n=N):
    """Arguments of `measure_misfit` of pixels with such misfits in each block (n_blocks,)."""
    rng = np.random.default_rng(seed)
    size = n, len(excess)
    variance, error = np.full(size, 600.0), np.full(size, 0.05)
    of_model = np.asarray(excess) + excess_scatter * rng.standard_normal(size)
    deviance = COUNTS * of_model + np.sqrt(variance) * rng.standard_normal(size)
    shifts = shift + np.hypot(shift_scatter, error) * rng.standard_normal(size)
    bend_err = np.full(n, 0.1)
    bend = 0.2 + np.hypot(0.15, bend_err) * rng.standard_normal(n)
    return deviance, variance, np.full(size, COUNTS), shifts, error, bend, bend_err


def test_scatter_put_in_is_found():
    """Within four standard errors of a median and of a robust variance."""
    excess, scatter = np.array([0.003, 0.01]), np.array([0.002, 0.004])
    shift, shift_scatter = np.array([0.04, -0.1]), np.array([0.06, 0.03])
    found = measure_misfit(*camera(excess, scatter, shift, shift_scatter))
    for middle, width, counting, values, scatters in (
        (excess, scatter, np.sqrt(600.0) / COUNTS, found.excess, found.excess_scatter),
        (shift, shift_scatter, 0.05, found.shift, found.shift_scatter),
        (0.2, 0.15, 0.1, found.bend, found.bend_scatter),
    ):
        total = np.hypot(width, counting)
        assert np.all(np.abs(values - middle) < 4 * MEDIAN_ERROR * total / np.sqrt(N))
        of_variance = 4 * VARIANCE_ERROR * total**2 / np.sqrt(N)
        assert np.all(np.abs(scatters**2 - np.square(width)) < of_variance)


def test_what_counting_explains_is_no_misfit():
    """Beyond two sigma by chance: 2.3 % of the blocks to one side, 4.6 % to either; n of 2000."""
    none = np.zeros(2000)
    found = measure_misfit(*camera(none, 0.0, none, 0.0, n=200))
    error = np.sqrt(0.023 / len(none))
    for one_sided in (found.excess, found.excess_scatter, found.shift_scatter):
        # A robust variance of 200 is a little skew.
        assert np.mean(one_sided != 0.0) < 0.023 + 0.015 + 4 * error
    assert np.mean(found.shift != 0.0) < 0.046 + 0.015 + 4 * np.sqrt(2) * error
    assert (found.excess >= 0.0).all()


def test_pixels_that_are_the_same_have_none():
    assert beyond_counting(np.zeros(100), np.ones(100)) == (0.0, 0.0)


def test_few_pixels_tell_nothing():
    found = measure_misfit(*camera(np.ones(3), 1.0, np.ones(3), 1.0, n=7))
    assert not any(values.any() for values in found)


def test_what_is_not_known_does_not_count():
    """Blocks without counts, and shifts and bends that are NaN, in half of the pixels."""
    data = camera(np.array([0.003]), 0.0, np.array([0.2]), 0.0)
    whole = measure_misfit(*(values[N // 2 :] for values in data))
    for k in (2, 3, 5):
        data[k][: N // 2] = 0.0 if k == 2 else np.nan
    for half, known in zip(measure_misfit(*data), whole, strict=True):
        np.testing.assert_array_equal(half, known)


def test_without_a_block_the_others_stay():
    found = measure_misfit(*camera(np.array([0.003, 0.01, 0.02]), 0.0, np.zeros(3), 0.1))
    others = misfit_without(found, 1)
    np.testing.assert_array_equal(others.excess, found.excess[[0, 2]])
    assert others.bend[0] == pytest.approx(found.bend[0])
