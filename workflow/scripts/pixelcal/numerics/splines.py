"""Interpolation by cubic B-splines, compiled."""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.jit import njit


@njit
def spline_weights(t):
    """Weights of four coefficients of a cubic B-spline `t` after the second, and derivatives.

    Rows: value, first and second derivative per step.
    """
    u = 1.0 - t
    weights = np.empty((3, 4))
    weights[0, 0], weights[0, 3] = u**3 / 6.0, t**3 / 6.0
    weights[0, 1] = (3.0 * t**3 - 6.0 * t**2 + 4.0) / 6.0
    weights[0, 2] = (3.0 * u**3 - 6.0 * u**2 + 4.0) / 6.0
    weights[1, 0], weights[1, 3] = -(u**2) / 2.0, t**2 / 2.0
    weights[1, 1] = (3.0 * t**2 - 4.0 * t) / 2.0
    weights[1, 2] = -(3.0 * u**2 - 4.0 * u) / 2.0
    weights[2, 0], weights[2, 3] = u, t
    weights[2, 1], weights[2, 2] = 3.0 * t - 2.0, 3.0 * u - 2.0
    return weights
