"""Expected counts of a pixel from the tabulated response, compiled, with their derivatives.

The parameters of a pixel, `theta`: its energies (keV) at two pivot positions on the channel axis,
the logarithm of the factor on its resolution, the normalisations of the blocks' continua and those
of the line groups, both relative to the mean pixel of the camera times the pixel's `scale`.
"""

from __future__ import annotations

import numpy as np

from pixelcal.compiled import njit
from pixelcal.eclairs.templates import GRID_STEP_KEV, LOG_RESOLUTION_NODES

PIVOT_LOW = 100.0
PIVOT_HIGH = 480.0
"""Positions on the channel axis (17.5 and 72.6 keV nominally) whose energies are parameters: with
them gain and offset hardly correlate."""

N_SHARED = 3
"""Parameters that every block depends on: two pivot energies and the resolution."""

_LOG_RESOLUTION_START = float(LOG_RESOLUTION_NODES[0])
_LOG_RESOLUTION_STEP = float(LOG_RESOLUTION_NODES[1] - LOG_RESOLUTION_NODES[0])
_N_RESOLUTION = len(LOG_RESOLUTION_NODES)
LOG_RESOLUTION_LIMITS = (float(LOG_RESOLUTION_NODES[2]), float(LOG_RESOLUTION_NODES[-3]))


@njit
def relation_of(theta):
    """Gain (keV/channel) and offset (keV) from the two pivot energies."""
    gain = (theta[1] - theta[0]) / (PIVOT_HIGH - PIVOT_LOW)
    return gain, theta[0] - gain * PIVOT_LOW


@njit
def parameter_index(own, block, first_group, n_blocks):
    """Where the parameter `own` of a block stands in `theta`.

    A block's own parameters are the shared ones, its continuum, and its line groups in order.
    """
    if own < N_SHARED:
        return own
    if own == N_SHARED:
        return N_SHARED + block
    return N_SHARED + n_blocks + first_group + own - N_SHARED - 1


@njit
def choose_channels(theta, templates, n_channels):
    """First and one past the last of the channels that lie wholly in each block."""
    gain, offset = relation_of(theta)
    n_blocks = templates.limits.shape[0]
    first = np.zeros(n_blocks, np.int64)
    last = np.zeros(n_blocks, np.int64)
    for b in range(n_blocks):
        low = np.ceil((templates.limits[b, 0] - offset) / gain)
        high = np.floor((templates.limits[b, 1] - offset) / gain)
        first[b] = min(max(low, 0), n_channels)
        last[b] = max(min(max(high, 0), n_channels), first[b])
    return first, last


@njit
def hermite(values, slopes, u):
    """Value and derivative (per keV) at `u` steps along a grid, from node values and slopes."""
    i = int(u)
    i = min(max(i, 0), values.shape[0] - 2)
    t = min(max(u - i, 0.0), 1.0)
    h = GRID_STEP_KEV
    a, b = values[i], values[i + 1]
    p, q = slopes[i] * h, slopes[i + 1] * h
    c2 = 3.0 * (b - a) - 2.0 * p - q
    c3 = 2.0 * (a - b) + p + q
    return a + t * (p + t * (c2 + t * c3)), (p + t * (2.0 * c2 + 3.0 * t * c3)) / h


@njit
def at_resolution(table, log_resolution, out):
    """Interpolate a group's tables to a resolution; out (4, n_grid) is also its derivatives.

    Cubic Lagrange on four nodes. Rows of `out`: cumulative, density, and their derivatives against
    the logarithm of the resolution.
    """
    u = (log_resolution - _LOG_RESOLUTION_START) / _LOG_RESOLUTION_STEP
    i = min(max(int(u) - 1, 0), _N_RESOLUTION - 4)
    t = u - i
    w0 = -(t - 1) * (t - 2) * (t - 3) / 6
    w1 = t * (t - 2) * (t - 3) / 2
    w2 = -t * (t - 1) * (t - 3) / 2
    w3 = t * (t - 1) * (t - 2) / 6
    d0 = -((t - 2) * (t - 3) + (t - 1) * (t - 3) + (t - 1) * (t - 2)) / 6 / _LOG_RESOLUTION_STEP
    d1 = ((t - 2) * (t - 3) + t * (t - 3) + t * (t - 2)) / 2 / _LOG_RESOLUTION_STEP
    d2 = -((t - 1) * (t - 3) + t * (t - 3) + t * (t - 1)) / 2 / _LOG_RESOLUTION_STEP
    d3 = ((t - 1) * (t - 2) + t * (t - 2) + t * (t - 1)) / 6 / _LOG_RESOLUTION_STEP
    for row in range(2):
        a, b, c, d = table[i, row], table[i + 1, row], table[i + 2, row], table[i + 3, row]
        value, slope = out[row], out[row + 2]
        for k in range(value.shape[0]):
            value[k] = w0 * a[k] + w1 * b[k] + w2 * c[k] + w3 * d[k]
            slope[k] = d0 * a[k] + d1 * b[k] + d2 * c[k] + d3 * d[k]


@njit
def total_counts(counts, theta, first, last, templates):
    """Counts in the chosen channels, and what the camera's mean pixel has between their limits."""
    gain, offset = relation_of(theta)
    nominal = int(np.round(-_LOG_RESOLUTION_START / _LOG_RESOLUTION_STEP))
    used, expected = 0, 0.0
    for b in range(first.shape[0]):
        for c in range(first[b], last[b]):
            used += counts[c]
        u0 = (gain * first[b] + offset - templates.grid_start[b]) / GRID_STEP_KEV
        u1 = (gain * last[b] + offset - templates.grid_start[b]) / GRID_STEP_KEV
        own = templates.continuum[b]
        expected += hermite(own[0], own[1], u1)[0] - hermite(own[0], own[1], u0)[0]
        for k in range(templates.group_block.shape[0]):
            if templates.group_block[k] == b:
                line = templates.group[k, nominal]
                expected += hermite(line[0], line[1], u1)[0] - hermite(line[0], line[1], u0)[0]
    return used, expected


@njit
def block_model(theta, b, first, last, scale, templates, work, mu, jacobian):
    """Expected counts of a block's channels and their derivatives against its own parameters.

    The block's parameters: the three shared ones, its continuum, its line groups in order.
    `jacobian` is (n_channels, n_own); returns n_own and the index of its first line group.
    """
    span = PIVOT_HIGH - PIVOT_LOW
    gain, offset = relation_of(theta)
    n_blocks = templates.limits.shape[0]
    n = last[b] - first[b]
    k0, k1 = np.searchsorted(templates.group_block, np.array([b, b + 1]))
    n_own = N_SHARED + 1 + k1 - k0
    mu[:n] = 0.0
    jacobian[:n, :n_own] = 0.0
    for own in range(N_SHARED, n_own):
        is_line = own > N_SHARED
        if is_line:
            k = k0 + own - N_SHARED - 1
            at_resolution(templates.group[k], theta[2], work)
            amplitude = theta[N_SHARED + n_blocks + k] * scale
            value, slope = work[0], work[1]
        else:
            amplitude = theta[N_SHARED + b] * scale
            value, slope = templates.continuum[b, 0], templates.continuum[b, 1]
        below, below_low, below_high, below_width = 0.0, 0.0, 0.0, 0.0
        for i in range(n + 1):
            x = float(first[b] + i)
            u = (gain * x + offset - templates.grid_start[b]) / GRID_STEP_KEV
            cumulative, density = hermite(value, slope, u)
            low = density * (PIVOT_HIGH - x) / span
            high = density * (x - PIVOT_LOW) / span
            width = hermite(work[2], work[3], u)[0] if is_line else 0.0
            if i > 0:
                inside = cumulative - below
                mu[i - 1] += amplitude * inside
                jacobian[i - 1, 0] += amplitude * (low - below_low)
                jacobian[i - 1, 1] += amplitude * (high - below_high)
                jacobian[i - 1, 2] += amplitude * (width - below_width)
                jacobian[i - 1, own] = scale * inside
            below, below_low, below_high, below_width = cumulative, low, high, width
    return n_own, k0
