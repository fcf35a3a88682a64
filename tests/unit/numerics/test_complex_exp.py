"""The exponential of many complex numbers, against numpy's."""

import numpy as np

from pixelcal.numerics.complex_exp import FARTHEST, exponentials


def test_it_is_that_of_numpy():
    """Within four roundings of the value, and one of the phase."""
    rng = np.random.default_rng(1)
    power = rng.uniform(-80.0, 80.0, 20_000) + 1j * rng.uniform(-1e4, 1e4, 20_000)
    power[:4] = 0.0, 0.5 * np.pi * 1j, -np.pi * 1j, 1e-300
    found = np.empty_like(power)
    exponentials(power, found)
    rounding = np.finfo(float).eps * (4.0 + np.abs(power.imag))
    assert (np.abs(found / np.exp(power) - 1.0) < rounding).all()


def test_what_is_far_off_and_nan():
    power = np.array([-1e9, 1e9, np.nan, complex(0.0, np.nan), -np.inf])
    found = np.empty_like(power)
    exponentials(power, found)
    assert 0.0 <= found[0].real < 1e-300 and np.isfinite(found[1]) and found[4].real < 1e-300
    assert found[1].real > np.exp(FARTHEST - 1.0)
    assert np.isnan(found[2:4]).all()
