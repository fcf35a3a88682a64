"""Peaks of the stack in one compiled pass, against the profiles that the tables of fits have."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.instruments import EXPECTED
from scipy.special import erfcx

from pixelcal.energy.response.line_shape import escape_peaks, line_cdf
from pixelcal.energy.response.peaks import _erfcx, below_edges, lines_near, peaks_of

ENERGY = np.array([8.05, 27.47, 31.0, 59.3, 74.97])
WIDTH = np.array([0.0, 0.0, 0.005, 0.05, 0.06])
EXTRA = 0.003
EDGES = np.linspace(3.0, 95.0, 921)


@pytest.mark.parametrize("trapping", [0.0, 0.03])
def test_peaks_of_a_line_are_its_profile_and_its_escape_peaks(trapping):
    shape = replace(EXPECTED, trapping=trapping)
    options = {"width": WIDTH, "extra_variance": EXTRA}
    expected = line_cdf(shape, ENERGY, EDGES, **options)
    expected += escape_peaks(shape, ENERGY, EDGES, **options)
    peaks = peaks_of(shape, ENERGY, WIDTH, EXTRA)
    found = np.zeros_like(expected)
    np.add.at(found, peaks.line, peaks.numbers[0, :, None] * below_edges(peaks.numbers, EDGES)[0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("number", "name"), [(1, "energy"), (2, "sigma"), (3, "tail"), (4, "loss")]
)
def test_derivatives_are_differences(number, name):
    numbers = peaks_of(replace(EXPECTED, trapping=0.03), ENERGY, WIDTH, EXTRA).numbers
    step, both = 1e-5, []
    for sign in (1.0, -1.0):
        moved = numbers.copy()
        moved[number] += sign * step
        both.append(below_edges(moved, EDGES)[0])
    expected = (both[0] - both[1]) / (2.0 * step)
    found = below_edges(numbers, EDGES)[number]
    # Third derivatives times step^2 / 6, and rounding over the step.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8, err_msg=name)


def test_scaled_error_function_is_that_of_scipy():
    for x in np.geomspace(1e-4, 1e4, 200):
        assert _erfcx(x) == pytest.approx(erfcx(x), rel=1e-11)


def test_lines_that_are_not_near_bring_nothing():
    block = np.linspace(20.6, 33.4, 129)
    near = lines_near(EXPECTED, ENERGY, WIDTH, block)
    assert near.any() and not near.all()
    peaks = peaks_of(EXPECTED, ENERGY, WIDTH, EXTRA)
    left_out = ~near[peaks.line]
    counts = np.diff(peaks.numbers[0, :, None] * below_edges(peaks.numbers, block)[0])
    # A Lorentzian has counts everywhere: below 1e-3 of its area beyond 12 widths.
    sharp = WIDTH[peaks.line] == 0.0
    assert counts[left_out & sharp].sum() < 1e-5
    assert counts[left_out].sum() < 1e-3
