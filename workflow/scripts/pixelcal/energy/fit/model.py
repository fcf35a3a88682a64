"""Expected counts of a pixel from the tabulated response, compiled, with their derivatives.

The parameters of a pixel, `theta`: its energies (keV) at two pivot positions on the channel axis,
the logarithm of the factor on its resolution, the factor on its low-energy tail,
the normalisations of the blocks' continua and those of the line groups, both relative to the mean
pixel of the camera times the pixel's `scale`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.line_tables import N_ROWS, at_resolution, with_tail
from pixelcal.energy.response.tables import GRID_STEP_KEV, LOG_RESOLUTION_NODES
from pixelcal.numerics.jit import njit
from pixelcal.numerics.splines import locate

PIVOT_LOW = 100.0
PIVOT_HIGH = 480.0
"""Positions on the channel axis (17.5 and 72.6 keV nominally) whose energies are parameters: with
them gain and offset hardly correlate."""

RESOLUTION, TAIL = 2, 3
N_SHARED = 4
"""Parameters that every block depends on: two pivot energies, the resolution and the tail."""

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
    lowest : int
        Lowest channel that no threshold takes counts from.
    """

    counts: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scale: float
    lowest: int


class Workspace(NamedTuple):
    """Arrays that the model of a block is written to; made once per pixel.

    The local parameters of a block are the shared ones, its continuum, its line groups in order.

    Attributes
    ----------
    table : (N_ROWS, n_grid) float
        A line group at the pixel's resolution and tail, see `line_tables.at_resolution`.
    node : (n + 1,) int
        Grid node below each edge of the channels.
    fraction : (n + 1,) float
        Position of the edge between that node and the next one.
    low, high : (n + 1,) float
        Derivatives of the edge's energy against the two pivot energies; their sum is 1.
    below : (4, n + 1) float
        A component below each edge: its counts; their derivatives against the edge's energy,
        against the resolution and against the tail.
    second : (6, n + 1) float
        The whole model below each edge: derivatives against energy twice, energy and resolution,
        resolution twice, energy and tail, resolution and tail, tail twice.
    mu : (n,) float
        Expected counts of the block's channels.
    jacobian : (n, n_local) float
        Their derivatives against the local parameters.
    mixed : (n, n_local, 4) float
        Second derivatives against a normalisation and the four shared parameters.
    bend : (n, 10) float
        Second derivatives against the shared parameters: low-low, low-high, high-high,
        low-resolution, high-resolution, resolution-resolution, low-tail, high-tail,
        resolution-tail, tail-tail.
    """

    table: np.ndarray
    node: np.ndarray
    fraction: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    second: np.ndarray
    mu: np.ndarray
    jacobian: np.ndarray
    mixed: np.ndarray
    bend: np.ndarray


@njit
def make_workspace(n_channels, templates):
    """Arrays for blocks of up to `n_channels` channels."""
    n, n_local = n_channels, N_SHARED + 1 + templates.group_block.shape[0]
    return Workspace(
        np.zeros((N_ROWS, templates.continuum.shape[2])),
        np.empty(n + 1, np.int64),
        np.empty(n + 1),
        np.empty(n + 1),
        np.empty(n + 1),
        np.zeros((4, n + 1)),
        np.zeros((6, n + 1)),
        np.empty(n),
        np.empty((n, n_local)),
        np.empty((n, n_local, N_SHARED)),
        np.empty((n, 10)),
    )


@njit
def rows_of_block(work, first):
    """The workspace with the rows of `mu` and `jacobian` from channel `first` on.

    Blocks do not overlap, so that one workspace keeps those of all of them.
    """
    return Workspace(
        work.table,
        work.node,
        work.fraction,
        work.low,
        work.high,
        work.below,
        work.second,
        work.mu[first:],
        work.jacobian[first:],
        work.mixed,
        work.bend,
    )


@njit
def relation_of(theta):
    """Gain (keV/channel) and offset (keV) from the two pivot energies."""
    gain = (theta[1] - theta[0]) / (PIVOT_HIGH - PIVOT_LOW)
    return gain, theta[0] - gain * PIVOT_LOW


@njit
def parameter_index(local, block, first_group, n_blocks):
    """Index in `theta` of the local parameter `local` of a block."""
    if local < N_SHARED:
        return local
    if local == N_SHARED:
        return N_SHARED + block
    return N_SHARED + n_blocks + first_group + local - N_SHARED - 1


@njit
def choose_channels(theta, templates, n_channels, lowest=0):
    """First and one past the last of the channels wholly in each block, from `lowest` on."""
    gain, offset = relation_of(theta)
    n_blocks = templates.limits.shape[0]
    first = np.zeros(n_blocks, np.int64)
    last = np.zeros(n_blocks, np.int64)
    for b in range(n_blocks):
        low = np.ceil((templates.limits[b, 0] - offset) / gain)
        high = np.floor((templates.limits[b, 1] - offset) / gain)
        first[b] = min(max(low, lowest), n_channels)
        last[b] = max(min(max(high, 0), n_channels), first[b])
    return first, last


@njit
def hermite(values, slopes, i, t):
    """Cubic interpolation at `t` between the nodes i and i + 1: value and first two derivatives.

    Derivatives are per keV.
    """
    h = GRID_STEP_KEV
    a, b = values[i], values[i + 1]
    p, q = slopes[i] * h, slopes[i + 1] * h
    c2 = 3.0 * (b - a) - 2.0 * p - q
    c3 = 2.0 * (a - b) + p + q
    value = a + t * (p + t * (c2 + t * c3))
    slope = (p + t * (2.0 * c2 + 3.0 * t * c3)) / h
    return value, slope, (2.0 * c2 + 6.0 * t * c3) / h**2


@njit
def expected_total(first, last, theta, templates, work):
    """Counts of the camera's mean pixel in the chosen channels.

    With the relation and the resolution of `theta`; its normalisations do not enter.
    """
    gain, offset = relation_of(theta)
    n_blocks, n_grid = templates.limits.shape[0], templates.continuum.shape[2]
    total = 0.0
    for b in range(n_blocks):
        start = templates.grid_start[b]
        low, t_low = locate((gain * first[b] + offset - start) / GRID_STEP_KEV, n_grid)
        high, t_high = locate((gain * last[b] + offset - start) / GRID_STEP_KEV, n_grid)
        cumulative, density = templates.continuum[b, 0], templates.continuum[b, 1]
        below = hermite(cumulative, density, low, t_low)[0]
        total += hermite(cumulative, density, high, t_high)[0] - below
        first_group, next_group, last_group = templates.groups[b]
        cumulative, density = work.table[0], work.table[1]
        for k in range(first_group, last_group):
            if k < next_group:
                shape = theta[RESOLUTION], theta[TAIL]
                at_resolution(templates.group[k], *shape, low, high + 2, work.table, 1)
            else:
                with_tail(templates.reach[k], theta[TAIL], low, high + 2, work.table)
            total += hermite(cumulative, density, high, t_high)[0]
            total -= hermite(cumulative, density, low, t_low)[0]
    return total


@njit
def _place_edges(gain, offset, first, n, grid_start, n_grid, work):
    """Where the edges of `n` channels from `first` on stand on a block's grid."""
    span = PIVOT_HIGH - PIVOT_LOW
    start = (gain * first + offset - grid_start) / GRID_STEP_KEV
    step = gain / GRID_STEP_KEV
    for i in range(n + 1):
        work.node[i], work.fraction[i] = locate(start + i * step, n_grid)
        work.low[i] = (PIVOT_HIGH - first - i) / span
        work.high[i] = 1.0 - work.low[i]


@njit
def block_model(theta, b, first, n, scale, templates, work):
    """Expected counts of `n` channels of a block with their first and second derivatives.

    Fills `work`; returns the number of local parameters and the index of the first line group.
    """
    gain, offset = relation_of(theta)
    n_blocks = templates.limits.shape[0]
    first_group, next_group, last_group = templates.groups[b]
    n_grid = templates.continuum.shape[2]
    _place_edges(gain, offset, first, n, templates.grid_start[b], n_grid, work)
    for i in range(n + 1):
        for row in range(6):
            work.second[row, i] = 0.0
    for i in range(n):
        work.mu[i] = 0.0
        for p in range(N_SHARED):
            work.jacobian[i, p] = 0.0
    low, high = work.node[0], work.node[n] + 2
    n_local = N_SHARED + 1 + last_group - first_group
    curved = templates.group.shape[2] > 4
    for local in range(N_SHARED, n_local):
        if local == N_SHARED:
            amplitude = theta[N_SHARED + b]
            _below_edges(templates.continuum[b], amplitude * scale, n, work)
        else:
            k = first_group + local - N_SHARED - 1
            amplitude = theta[N_SHARED + n_blocks + k]
            if k < next_group:
                shape = theta[RESOLUTION], theta[TAIL]
                at_resolution(templates.group[k], *shape, low, high, work.table)
                _below_edges(work.table, amplitude * scale, n, work)
                _resolution_below_edges(amplitude * scale, n, work)
            else:
                with_tail(templates.reach[k], theta[TAIL], low, high, work.table)
                _below_edges(work.table, amplitude * scale, n, work)
            _tail_below_edges(amplitude * scale, n, curved, work)
        _add_component(amplitude, local, n, scale, work)
    _bend_of_channels(n, work)
    return n_local, first_group


@njit
def _below_edges(table, strength, n, work):
    """A component below the edges; derivatives against energy, 0 against resolution and tail."""
    cumulative, density = table[0], table[1]
    node, fraction = work.node, work.fraction
    value, slope, width, tail = work.below[0], work.below[1], work.below[2], work.below[3]
    bend = work.second[0]
    for i in range(n + 1):
        value[i], slope[i], second = hermite(cumulative, density, node[i], fraction[i])
        width[i] = 0.0
        tail[i] = 0.0
        bend[i] += strength * second


@njit
def _resolution_below_edges(strength, n, work):
    """Derivatives of a line group below the edges that involve the resolution."""
    table, node, fraction = work.table, work.node, work.fraction
    first, first_slope, second, second_slope = table[2], table[3], table[4], table[5]
    both, both_slope = table[8], table[9]
    width, tilt, bend, mixed = work.below[2], work.second[1], work.second[2], work.second[4]
    for i in range(n + 1):
        width[i], slope, _ = hermite(first, first_slope, node[i], fraction[i])
        tilt[i] += strength * slope
        bend[i] += strength * hermite(second, second_slope, node[i], fraction[i])[0]
        mixed[i] += strength * hermite(both, both_slope, node[i], fraction[i])[0]


@njit
def _tail_below_edges(strength, n, curved, work):
    """Derivatives of a line group below the edges against the tail, and the energy.

    Where it is `curved`, against the tail twice too.
    """
    table, node, fraction = work.table, work.node, work.fraction
    tail, tail_tilt, tail_bends = work.below[3], work.second[3], work.second[5]
    for i in range(n + 1):
        tail[i], slope, _ = hermite(table[6], table[7], node[i], fraction[i])
        tail_tilt[i] += strength * slope
    if curved:
        for i in range(n + 1):
            tail_bends[i] += strength * hermite(table[12], table[13], node[i], fraction[i])[0]


@njit
def _add_component(amplitude, local, n, scale, work):
    """Add a component of normalisation `amplitude`, the local parameter `local`."""
    value, slope, width, tail = work.below[0], work.below[1], work.below[2], work.below[3]
    low, high, mu, jacobian, mixed = work.low, work.high, work.mu, work.jacobian, work.mixed
    for i in range(n):
        inside = scale * (value[i + 1] - value[i])
        by_low = scale * (slope[i + 1] * low[i + 1] - slope[i] * low[i])
        by_high = scale * (slope[i + 1] * high[i + 1] - slope[i] * high[i])
        by_width = scale * (width[i + 1] - width[i])
        by_tail = scale * (tail[i + 1] - tail[i])
        mu[i] += amplitude * inside
        jacobian[i, local] = inside
        jacobian[i, 0] += amplitude * by_low
        jacobian[i, 1] += amplitude * by_high
        jacobian[i, RESOLUTION] += amplitude * by_width
        jacobian[i, TAIL] += amplitude * by_tail
        mixed[i, local, 0], mixed[i, local, 1] = by_low, by_high
        mixed[i, local, RESOLUTION], mixed[i, local, TAIL] = by_width, by_tail


@njit
def _bend_of_channels(n, work):
    """Second derivatives of the channels against the shared parameters, from those below edges."""
    energy, tilt, width = work.second[0], work.second[1], work.second[2]
    tail_tilt, mixed, tail_bends = work.second[3], work.second[4], work.second[5]
    low, high, bend = work.low, work.high, work.bend
    for i in range(n):
        l0, l1, h0, h1 = low[i], low[i + 1], high[i], high[i + 1]
        e0, e1 = energy[i], energy[i + 1]
        bend[i, 0] = e1 * l1 * l1 - e0 * l0 * l0
        bend[i, 1] = e1 * l1 * h1 - e0 * l0 * h0
        bend[i, 2] = e1 * h1 * h1 - e0 * h0 * h0
        bend[i, 3] = tilt[i + 1] * l1 - tilt[i] * l0
        bend[i, 4] = tilt[i + 1] * h1 - tilt[i] * h0
        bend[i, 5] = width[i + 1] - width[i]
        bend[i, 6] = tail_tilt[i + 1] * l1 - tail_tilt[i] * l0
        bend[i, 7] = tail_tilt[i + 1] * h1 - tail_tilt[i] * h0
        bend[i, 8] = mixed[i + 1] - mixed[i]
        bend[i, 9] = tail_bends[i + 1] - tail_bends[i]
