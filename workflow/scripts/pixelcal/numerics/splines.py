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


@njit
def mix_nodes(table, row, i, low, high, weights, target):
    """Fill `target` (high - low,) with a row of four tables from `i` on, by `weights` (4,).

    From 0 on, it is compiled to vectors.
    """
    w0, w1, w2, w3 = weights
    a, b = table[i, row, low:high], table[i + 1, row, low:high]
    c, d = table[i + 2, row, low:high], table[i + 3, row, low:high]
    for k in range(high - low):
        target[k] = w0 * a[k] + w1 * b[k] + w2 * c[k] + w3 * d[k]


@njit
def locate(u, n_grid):
    """Node below the position `u` on a grid, and how far on to the next; at the ends the ends."""
    node = min(max(int(u), 0), n_grid - 2)
    return node, min(max(u - node, 0.0), 1.0)
