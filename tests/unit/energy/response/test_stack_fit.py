"""Derivatives of the stack's residuals, strengths solved for, against differences."""

from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED
from helpers.nominal_stacks import nominal_stacks

from pixelcal.energy.lines import elements_of
from pixelcal.energy.response.line_shape import TRAPPING
from pixelcal.energy.response.stack import stack_edges
from pixelcal.energy.response.stack_fit import StackFit, Terms

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET


@lru_cache
def at_optimum(trapping):
    """A stack that its model describes exactly, where the parameters are, and weights.

    The approximation of Kaufman leaves out what is proportional to the residuals: nothing here.
    """
    table = cameras.line_table()
    counts = np.rint(cameras.expected_spectrum(*RELATION, 1e7))[None]
    free = np.arange(len(EXPECTED.vector))
    free = free if trapping else np.delete(free, TRAPPING)
    data = table, stack_edges(table), np.concatenate(nominal_stacks(counts)), RELATION[0] ** 2 / 6.0
    fit = StackFit(*data, EXPECTED, free, Terms())
    shape = EXPECTED.vector.copy()
    shape[TRAPPING] = 0.02
    others = [1e-4, 0.01, 0.03, *0.01 * np.arange(len(elements_of(table)[0]))]
    theta = np.array([*shape[free], *others])
    weights = 1.0 / np.sqrt(np.maximum(fit.data, 1.0))
    _, expected = fit.solve(theta, weights)
    return StackFit(data[0], data[1], expected, data[3], EXPECTED, free, Terms()), theta, weights


@pytest.mark.parametrize("trapping", [False, True])
def test_jacobian_is_the_difference_of_projected_residuals(trapping):
    fit, theta, weights = at_optimum(trapping)
    data = slice(0, len(fit.data))
    assert np.abs(fit.residuals(theta, weights)[data]).max() < 1e-5
    jacobian = fit.jacobian(theta, weights)
    for p, step in enumerate(1e-3 * fit.prior[1]):
        up, down = theta.copy(), theta.copy()
        up[p] += step
        down[p] -= step
        expected = (fit.residuals(up, weights) - fit.residuals(down, weights)) / (2 * step)
        off = np.linalg.norm(jacobian[data, p] - expected[data])
        assert off < 2e-3 * np.linalg.norm(expected[data]), p
        np.testing.assert_allclose(jacobian[len(fit.data) :, p], expected[len(fit.data) :])
