"""The normal integral and its density, compiled: one polynomial gives both.

`math.erfc` and `math.exp` take most of the time of a spectrum that is integrated over bins. Between
the points of a table, POINTS_PER_UNIT apart, the Taylor series of the integral is exact to 1e-15;
its derivative is the density.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from pixelcal.numerics.jit import njit

FURTHEST = 8.0
"""Beyond it the integral is 0 (really 6e-16)."""
POINTS_PER_UNIT, DEGREE = 64, 5


def _taylor_series() -> np.ndarray:
    """Coefficients (points, DEGREE + 1) of the integral above z, highest power first.

    The n-th derivative of the density is (-1)^n He_n(z) times the density, with the polynomials of
    Hermite: He_n+1 = z He_n - n He_n-1.
    """
    z = np.arange(int(FURTHEST * POINTS_PER_UNIT) + 1) / POINTS_PER_UNIT
    series = np.empty((len(z), DEGREE + 1))
    series[:, DEGREE] = ndtr(-z)
    before, hermite = np.zeros_like(z), np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    for n in range(DEGREE):
        series[:, DEGREE - 1 - n] = -((-1.0) ** n) * hermite / math.factorial(n + 1)
        before, hermite = hermite, z * hermite - n * before
    return series


_SERIES = _taylor_series()


@njit
def normal_above(z):
    """Probability of a unit normal above `z` >= 0, and its density at `z`; 0 beyond FURTHEST."""
    if not z < FURTHEST:
        nothing = math.nan if math.isnan(z) else 0.0
        return nothing, nothing
    i = int(z * POINTS_PER_UNIT + 0.5)
    d = z - i / POINTS_PER_UNIT
    value, slope = _SERIES[i, 0], 0.0
    for n in range(1, DEGREE + 1):
        slope = slope * d + value
        value = value * d + _SERIES[i, n]
    return value, -slope
