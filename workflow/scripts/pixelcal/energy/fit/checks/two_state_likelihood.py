"""-ln L of a pixel with two gains, compiled: first derivatives only, of both states in one pass.

The states share the resolution and the tail, so that the tables of a line group are interpolated to
them once for both. Fisher scoring needs no second derivatives of the model: half of the work of
`fit.model.block_model`. The sums of a block stay in a small matrix of its local parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.line_tables import N_ROWS, at_resolution, with_tail
from pixelcal.energy.fit.model import (
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    RESOLUTION,
    TAIL,
    hermite,
    parameter_index,
    relation_of,
)
from pixelcal.energy.fit.population_prior import add_population_prior
from pixelcal.energy.response.tables import GRID_STEP_KEV
from pixelcal.numerics.jit import njit
from pixelcal.numerics.splines import locate

PER_SPAN = 1.0 / (PIVOT_HIGH - PIVOT_LOW)


class Point(NamedTuple):
    """-ln L at a point: its gradient (n,) and expected second derivatives (n, n)."""

    gradient: np.ndarray
    curvature: np.ndarray


class Room(NamedTuple):
    """Arrays that the two states of a block are written to; made once per pixel.

    Attributes
    ----------
    table : (N_ROWS, n_grid) float
        A line group at the resolution and the tail, see `line_tables.at_resolution`.
    node : (2, n + 1) int
    fraction : (2, n + 1) float
        Where the edges of the channels stand on the grid, in each state.
    mu : (2, n) float
        Expected counts of the channels, were all counts in this state.
    jacobian : (2, n, n_local) float
        Their derivatives against the local parameters of the state itself.
    """

    table: np.ndarray
    node: np.ndarray
    fraction: np.ndarray
    mu: np.ndarray
    jacobian: np.ndarray


@njit
def empty_point(n):
    """Room for a point of `n` parameters."""
    return Point(np.zeros(n), np.zeros((n, n)))


@njit
def make_room(first, last, templates):
    """Arrays for the blocks with channels `first` to `last` (n_blocks,)."""
    n, most_groups = 0, 0
    for b in range(first.shape[0]):
        n = max(n, last[b] - first[b])
        most_groups = max(most_groups, templates.groups[b, 2] - templates.groups[b, 0])
    return Room(
        np.empty((N_ROWS, templates.continuum.shape[2])),
        np.empty((2, n + 1), np.int64),
        np.empty((2, n + 1)),
        np.empty((2, n)),
        np.empty((2, n, N_SHARED + 1 + most_groups)),
    )


@njit
def minus_log_poisson(count, mu):
    """-ln of the probability of a count, but for what does not depend on `mu`."""
    if not mu > 0.0:
        return np.inf
    return mu - count * np.log(mu / count) - count if count > 0 else mu


@njit
def minus_log_likelihood(data, end, part, scale, templates, room, out):
    """-ln L at `end` (n_free + 2,), the population prior included; fills `out`.

    Parameters
    ----------
    data : tuple
        Counts (n_channels,), those of the first half, and the fraction of these in the blocks;
        first and one past the last channel of each block (n_blocks,).
    end : (n_free + 2,) float
        Parameters of the joint fit; gain of the second state over that of the first, minus 1; the
        fraction of the counts of the part that are there.
    part : int
        Both halves, 0, the first, 1, or the second, 2.
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    room : Room
    out : Point
    """
    halves, first, last = data
    n_free, n_blocks = end.shape[0] - 2, first.shape[0]
    gain, _ = relation_of(end)
    out.gradient[:] = 0.0
    out.curvature[:] = 0.0
    n_most = room.jacobian.shape[2] + 2
    gradient, curvature, slope = np.empty(n_most), np.empty((n_most, n_most)), np.empty(n_most)
    sums = gradient, curvature, slope
    total = 0.0
    for b in range(n_blocks):
        n_local, first_group = _states_of_block(end, b, first[b], last[b], scale, templates, room)
        total += _add_block(halves, first[b], last[b], end, gain, part, n_local, room, sums)
        for p in range(n_local + 2):
            at_p = n_free + p - n_local
            if p < n_local:
                at_p = parameter_index(p, b, first_group, n_blocks)
            out.gradient[at_p] += gradient[p]
            for q in range(p + 1):
                at_q = n_free + q - n_local
                if q < n_local:
                    at_q = parameter_index(q, b, first_group, n_blocks)
                out.curvature[at_p, at_q] += curvature[p, q]
    for p in range(n_free + 2):
        for q in range(p):
            out.curvature[q, p] = out.curvature[p, q]  # The places of a block rise.
    prior = empty_point(n_free)
    total += add_population_prior(end[:n_free], templates.population_scale, prior)
    for p in range(n_free):
        out.gradient[p] += prior.gradient[p]
        for q in range(n_free):
            out.curvature[p, q] += prior.curvature[p, q]
    return total


@njit
def _add_block(halves, start, stop, end, gain, part, n_local, room, sums):
    """-ln L of a block; fills the first of the `sums`, gradient and curvature, the last is room.

    With the second state in both halves they say the same: one sum for both.
    """
    counts, early, first_fraction = halves
    gradient, curvature, slope = sums
    gradient[:] = 0.0
    curvature[:] = 0.0
    n_free = end.shape[0] - 2
    stretch, fraction = end[n_free], end[n_free + 1]
    span = PIVOT_HIGH - PIVOT_LOW
    low, high = stretch * PIVOT_LOW / span, stretch * PIVOT_HIGH / span
    mus, other_mus, jacobian, other = room.mu[0], room.mu[1], room.jacobian[0], room.jacobian[1]
    first_half, last_half = (0, 1) if part == 0 else (1, 3)
    total = 0.0
    for i in range(stop - start):
        by_low, by_high = other[i, 0], other[i, 1]
        turned = low * by_low + high * by_high
        for half in range(first_half, last_half):
            count, weight = counts[start + i], 1.0
            if half == 1:
                count, weight = early[start + i], first_fraction
            elif half == 2:
                count, weight = count - early[start + i], 1.0 - first_fraction
            there = weight * fraction if half == part else 0.0
            here = weight - there
            mu = here * mus[i] + there * other_mus[i]
            if not mu > 0.0:
                return np.inf
            total += minus_log_poisson(count, mu)
            n_used = n_local
            if half == part:
                slope[0] = here * jacobian[i, 0] + there * (by_low - turned)
                slope[1] = here * jacobian[i, 1] + there * (by_high + turned)
                for p in range(2, n_local):
                    slope[p] = here * jacobian[i, p] + there * other[i, p]
                slope[n_local] = there * gain * (PIVOT_LOW * by_low + PIVOT_HIGH * by_high)
                slope[n_local + 1] = weight * (other_mus[i] - mus[i])
                n_used += 2
            else:
                for p in range(n_local):
                    slope[p] = here * jacobian[i, p]
            excess, inverse_mu = 1.0 - count / mu, 1.0 / mu
            for p in range(n_used):
                gradient[p] += excess * slope[p]
                weighted = slope[p] * inverse_mu
                for q in range(p + 1):
                    curvature[p, q] += weighted * slope[q]
    return total


@njit
def _states_of_block(end, b, first, last, scale, templates, room):
    """Fill the `room` with both states of a block; number of local parameters, first line group."""
    n_free, n_blocks, n = end.shape[0] - 2, templates.limits.shape[0], last - first
    gain, offset = relation_of(end)
    k0, next_group, k1 = templates.groups[b]
    n_local, n_grid = N_SHARED + 1 + k1 - k0, templates.continuum.shape[2]
    mus, slopes = room.mu, room.jacobian
    for state in range(2):
        its_gain = gain * (1.0 + end[n_free]) if state == 1 else gain
        start = (its_gain * first + offset - templates.grid_start[b]) / GRID_STEP_KEV
        node, fraction = room.node[state], room.fraction[state]
        _place(start, its_gain / GRID_STEP_KEV, n, n_grid, node, fraction)
        table, what = templates.continuum[b], (end[N_SHARED + b], N_SHARED, first, n, scale)
        _add_continuum(table, *what, node, fraction, mus[state], slopes[state])
    low = min(room.node[0, 0], room.node[1, 0])
    high = max(room.node[0, n], room.node[1, n]) + 2
    for k in range(k0, k1):
        if k < next_group:
            at_resolution(templates.group[k], end[RESOLUTION], end[TAIL], low, high, room.table, 2)
        else:
            with_tail(templates.reach[k], end[TAIL], low, high, room.table)
            room.table[2:4, low:high] = 0.0
        what = end[N_SHARED + n_blocks + k], N_SHARED + 1 + k - k0, first, n, scale
        for state in range(2):
            node, fraction = room.node[state], room.fraction[state]
            _add_lines(room.table, *what, node, fraction, mus[state], slopes[state])
    return n_local, k0


@njit
def _place(start, step, n, n_grid, node, fraction):
    """Where the `n` + 1 edges stand on the grid: the node below, and how far on to the next."""
    for i in range(n + 1):
        node[i], fraction[i] = locate(start + i * step, n_grid)


@njit
def _add_continuum(table, amplitude, local, first, n, scale, node, fraction, mu, jacobian):
    """Add the continuum of normalisation `amplitude`, the local parameter `local`, to a state."""
    cumulative, density, strength = table[0], table[1], amplitude * scale
    value, slope, _ = hermite(cumulative, density, node[0], fraction[0])
    above = (first - PIVOT_LOW) * PER_SPAN
    by_high = slope * above
    for i in range(n):
        above += PER_SPAN
        next_value, next_slope, _ = hermite(cumulative, density, node[i + 1], fraction[i + 1])
        next_by_high = next_slope * above
        inside, more = scale * (next_value - value), next_by_high - by_high
        mu[i] = amplitude * inside
        jacobian[i, local] = inside
        jacobian[i, 0] = strength * (next_slope - slope - more)
        jacobian[i, 1] = strength * more
        jacobian[i, RESOLUTION] = 0.0
        jacobian[i, TAIL] = 0.0
        value, slope, by_high = next_value, next_slope, next_by_high


@njit
def _add_lines(table, amplitude, local, first, n, scale, node, fraction, mu, jacobian):
    """Add a line group of normalisation `amplitude`, the local parameter `local`, to a state."""
    cumulative, density, of_width, width_slope = table[0], table[1], table[2], table[3]
    of_tail, tail_slope, strength = table[6], table[7], amplitude * scale
    value, slope, _ = hermite(cumulative, density, node[0], fraction[0])
    width = hermite(of_width, width_slope, node[0], fraction[0])[0]
    tail = hermite(of_tail, tail_slope, node[0], fraction[0])[0]
    above = (first - PIVOT_LOW) * PER_SPAN
    by_high = slope * above
    for i in range(n):
        above += PER_SPAN
        at, t = node[i + 1], fraction[i + 1]
        next_value, next_slope, _ = hermite(cumulative, density, at, t)
        next_width = hermite(of_width, width_slope, at, t)[0]
        next_tail = hermite(of_tail, tail_slope, at, t)[0]
        next_by_high = next_slope * above
        inside, more = scale * (next_value - value), next_by_high - by_high
        mu[i] += amplitude * inside
        jacobian[i, local] = inside
        jacobian[i, 0] += strength * (next_slope - slope - more)
        jacobian[i, 1] += strength * more
        jacobian[i, RESOLUTION] += strength * (next_width - width)
        jacobian[i, TAIL] += strength * (next_tail - tail)
        value, slope, by_high = next_value, next_slope, next_by_high
        width, tail = next_width, next_tail
