"""Expected counts of a pixel from the tabulated response, compiled, with their derivatives.

The parameters of a pixel, `theta`: its energies (keV) at two pivot positions on the channel axis,
the logarithm of the factor on its resolution, the normalisations of the blocks' continua and those
of the line groups, both relative to the mean pixel of the camera times the pixel's `scale`.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Spectrum(NamedTuple):
    """The data of one pixel.

    Attributes
    ----------
    counts : (n_channels,) int32
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    scale : float
        Counts in the blocks relative to the camera's mean pixel.
    """

    counts: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scale: float


class Workspace(NamedTuple):
    """Arrays that the model of a block is written to; made once a pixel.

    Attributes
    ----------
    table : (6, n_grid) float
        A line group at the pixel's resolution, see `at_resolution`.
    mu : (n,) float
        Expected counts of the block's channels.
    jacobian : (n, n_own) float
        Their derivatives against the block's own parameters.
    unit : (n, n_own, 3) float
        Derivatives of a normalisation's column against the three shared parameters.
    bend : (n, 6) float
        Second derivatives against the shared parameters: low-low, low-high, high-high,
        low-resolution, high-resolution, resolution-resolution.
    edge : (n + 1, 10) float
        A component below each edge of the channels: its counts and their nine derivatives.
    """

    table: np.ndarray
    mu: np.ndarray
    jacobian: np.ndarray
    unit: np.ndarray
    bend: np.ndarray
    edge: np.ndarray


@njit
def make_workspace(spectrum, templates):
    """Arrays for the longest block."""
    n = 1
    for b in range(spectrum.first.shape[0]):
        n = max(n, spectrum.last[b] - spectrum.first[b])
    n_own = N_SHARED + 1 + templates.group_block.shape[0]
    return Workspace(
        np.zeros((6, templates.continuum.shape[2])),
        np.empty(n),
        np.empty((n, n_own)),
        np.empty((n, n_own, 3)),
        np.empty((n, 6)),
        np.zeros((n + 1, 10)),
    )


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
    """Cubic interpolation `u` steps along a grid: value, first and second derivative (per keV)."""
    i = min(max(int(u), 0), values.shape[0] - 2)
    t = min(max(u - i, 0.0), 1.0)
    h = GRID_STEP_KEV
    a, b = values[i], values[i + 1]
    p, q = slopes[i] * h, slopes[i + 1] * h
    c2 = 3.0 * (b - a) - 2.0 * p - q
    c3 = 2.0 * (a - b) + p + q
    value = a + t * (p + t * (c2 + t * c3))
    slope = (p + t * (2.0 * c2 + 3.0 * t * c3)) / h
    return value, slope, (2.0 * c2 + 6.0 * t * c3) / h**2


@njit
def _spline_weights(t):
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
def at_resolution(table, log_resolution, low, high, out):
    """Interpolate the nodes `low` to `high` of a group's tables to a resolution.

    Rows of `out`: cumulative and density; their first derivatives against the logarithm of the
    resolution; their second derivatives.
    """
    u = (log_resolution - _LOG_RESOLUTION_START) / _LOG_RESOLUTION_STEP
    i = min(max(int(u) - 1, 0), _N_RESOLUTION - 4)
    weights = _spline_weights(u - i - 1.0)
    for row in range(2):
        a, b, c, d = table[i, row], table[i + 1, row], table[i + 2, row], table[i + 3, row]
        for order in range(3):
            per_step = _LOG_RESOLUTION_STEP**-order
            w0, w1 = weights[order, 0] * per_step, weights[order, 1] * per_step
            w2, w3 = weights[order, 2] * per_step, weights[order, 3] * per_step
            target = out[2 * order + row]
            for k in range(low, high):
                target[k] = w0 * a[k] + w1 * b[k] + w2 * c[k] + w3 * d[k]


@njit
def total_counts(spectrum, theta, templates, work):
    """Counts in the chosen channels, and those that the model expects there."""
    used, expected = 0, 0.0
    for b in range(spectrum.first.shape[0]):
        block_model(theta, b, spectrum, templates, work)
        for i in range(spectrum.last[b] - spectrum.first[b]):
            used += spectrum.counts[spectrum.first[b] + i]
            expected += work.mu[i]
    return used, expected


@njit
def block_model(theta, b, spectrum, templates, work):
    """Expected counts of a block's channels with their first and second derivatives.

    The block's own parameters: the three shared ones, its continuum, its line groups in order.
    Fills `work`; returns the number of own parameters and the index of the first line group.
    """
    gain, offset = relation_of(theta)
    n_blocks = templates.limits.shape[0]
    n = spectrum.last[b] - spectrum.first[b]
    k0, k1 = _groups_of_block(templates.group_block, b)
    n_own = N_SHARED + 1 + k1 - k0
    for i in range(n):
        work.mu[i] = 0.0
        for p in range(3):
            work.jacobian[i, p] = 0.0
        for p in range(6):
            work.bend[i, p] = 0.0
    start = (gain * spectrum.first[b] + offset - templates.grid_start[b]) / GRID_STEP_KEV
    step = gain / GRID_STEP_KEV
    n_grid = templates.continuum.shape[2]
    low = min(max(int(start) - 1, 0), n_grid - 2)
    high = min(max(int(start + n * step) + 3, low + 2), n_grid)
    first = spectrum.first[b]
    own = templates.continuum[b]
    _below_edges(own[0], own[1], n, start, step, first, work)
    _add_component(theta[N_SHARED + b], N_SHARED, n, spectrum.scale, work)
    for k in range(k0, k1):
        at_resolution(templates.group[k], theta[2], low, high, work.table)
        _below_edges(work.table[0], work.table[1], n, start, step, first, work)
        _width_below_edges(n, start, step, first, work)
        amplitude = theta[N_SHARED + n_blocks + k]
        _add_component(amplitude, N_SHARED + 1 + k - k0, n, spectrum.scale, work)
    return n_own, k0


@njit
def _groups_of_block(group_block, b):
    """First and one past the last line group of a block."""
    first = 0
    while first < group_block.shape[0] and group_block[first] < b:
        first += 1
    last = first
    while last < group_block.shape[0] and group_block[last] == b:
        last += 1
    return first, last


@njit
def _below_edges(cumulative, density, n, start, step, first, work):
    """A component below the edges of the channels, and its derivatives against the pivots.

    Those against the resolution are set to zero: the continuum does not know it.
    """
    span = PIVOT_HIGH - PIVOT_LOW
    for i in range(n + 1):
        value, slope, bend = hermite(cumulative, density, start + i * step)
        low = (PIVOT_HIGH - first - i) / span
        high = 1.0 - low
        edge = work.edge[i]
        edge[0], edge[1], edge[2], edge[3] = value, slope * low, slope * high, 0.0
        edge[4], edge[5], edge[6] = bend * low * low, bend * low * high, bend * high * high
        edge[7], edge[8], edge[9] = 0.0, 0.0, 0.0


@njit
def _width_below_edges(n, start, step, first, work):
    """Derivatives of a line group below the edges that involve the resolution."""
    span = PIVOT_HIGH - PIVOT_LOW
    for i in range(n + 1):
        width, slope, _ = hermite(work.table[2], work.table[3], start + i * step)
        low = (PIVOT_HIGH - first - i) / span
        edge = work.edge[i]
        edge[3], edge[7], edge[8] = width, slope * low, slope * (1.0 - low)
        edge[9] = hermite(work.table[4], work.table[5], start + i * step)[0]


@njit
def _add_component(amplitude, own, n, scale, work):
    """Add a component of normalisation `amplitude`: `own` is its place among the parameters."""
    strength = amplitude * scale
    for i in range(n):
        below, above = work.edge[i], work.edge[i + 1]
        inside = above[0] - below[0]
        work.mu[i] += strength * inside
        work.jacobian[i, own] = scale * inside
        for p in range(3):
            change = above[1 + p] - below[1 + p]
            work.jacobian[i, p] += strength * change
            work.unit[i, own, p] = scale * change
        for p in range(6):
            work.bend[i, p] += strength * (above[4 + p] - below[4 + p])
