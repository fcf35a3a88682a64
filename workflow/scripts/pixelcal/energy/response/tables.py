"""The learnt response as tables on an energy grid, ready for the fit of a pixel.

A component is what one normalisation of a pixel scales: the continuum of a block, or a line group
(the lines of one element in one block). Its cumulative distribution is tabulated against energy,
the line groups also against a factor on the resolution. The expected counts of a channel are then a
difference of two interpolated values, whatever the profile: a tail costs no more than a Gaussian.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import spline_filter1d

from pixelcal.energy.lines import LineTable, line_groups
from pixelcal.energy.response.line_shape import escape_peaks, line_cdf, line_pdf
from pixelcal.energy.response.misfit import Misfit, misfit_without, no_misfit
from pixelcal.energy.response.model import Response, continuum_functions, placed
from pixelcal.energy.response.population import N_OF_SHAPE

GRID_STEP_KEV = 0.05
"""Cubic Hermite interpolation on it is exact to 5e-6 of a line for FWHM above 0.5 keV, and to 1e-6
above 0.75 keV."""

GRID_MARGIN_KEV = 3.0
"""How far the tables go beyond a block: how far a pixel may move between choices of channels."""

LOG_RESOLUTION_NODES = np.log(0.4) + 0.08 * np.arange(30)
"""Logarithms of the tabulated factors on the resolution, from 0.4 to 4.1."""

CONTINUUM_FLOOR = 0.02
"""Floor of a continuum's density as a fraction of its mean: it can be small, never negative."""


MOST_TAIL, ALL_TAIL = 5.0, 0.9
"""Largest factor on the tail, and largest fraction of events in it."""

ANY_NOISE = 1e3
"""Scale of the population prior of noise, in counts of the continuum."""

_SIZES = np.array([0.01, 0.02, 0.03, 0.04, 0.055, 0.07, 0.085, 0.10])
STRETCHES = np.concatenate([-_SIZES, _SIZES])
"""Second states of a pixel that are looked for: their gain over that of the fit, minus 1."""

TYPICAL_FRACTION = 0.15
SECOND_STEP_KEV = 0.1


class Templates(NamedTuple):
    """Tables of the components; a NamedTuple of arrays, which compiled code accepts.

    All counts are those of the camera's mean pixel. All blocks have the `n_grid` nodes that the
    longest one needs.

    Attributes
    ----------
    limits : (n_blocks, 2) float, keV
    grid_start : (n_blocks,) float, keV
        First node of each block's grid; nodes are GRID_STEP_KEV apart.
    continuum : (n_blocks, 2, n_grid) float
        Cumulative counts and density (counts/keV) of the continuum, lines of other blocks and
        escape peaks included.
    group_block : (n_groups,) int
        The block of each line group, not decreasing.
    group : (n_groups, n_resolution, 4, n_grid) float
        Cumulative counts and density (counts/keV) without the low-energy tail, then what the tail
        adds to both: exactly linear in the factor on its strength. Against the factor on the
        resolution, as coefficients of a cubic B-spline on its nodes: smooth to the second
        derivative.
    most_tail : float
        Largest factor on the tail: with it a line is nearly all tail at some energy.
    fwhm_60 : float, keV
    population_scale : (2 + n_blocks + n_groups,) float
        Scales of the population prior, see `Response.population_scale`.
    ends : (2,) float, keV
        Lowest and highest line of the table.
    misfit : Misfit
        How far pixels are from the model.
    second_state : (n_energies, n_stretches) float
        Weights of a search for counts at another gain, see `second_state_weights`.
    """

    limits: np.ndarray
    grid_start: np.ndarray
    continuum: np.ndarray
    group_block: np.ndarray
    group: np.ndarray
    most_tail: float
    fwhm_60: float
    population_scale: np.ndarray
    ends: np.ndarray
    misfit: Misfit
    second_state: np.ndarray


def make_templates(response: Response, table: LineTable) -> Templates:
    """Tabulate `response` for the blocks and lines of `table`, where they stand in `response`."""
    table = placed(table, response)
    limits = table.block_limits_keV
    start = limits[:, 0] - GRID_MARGIN_KEV
    n_grid = int(np.ceil((np.diff(limits).max() + 2 * GRID_MARGIN_KEV) / GRID_STEP_KEV)) + 2
    grids = start[:, None] + GRID_STEP_KEV * np.arange(n_grid)
    groups = line_groups(table)
    element = np.array(table.element)
    group_tables = np.empty((len(groups), len(LOG_RESOLUTION_NODES), 4, n_grid))
    for k, (block, name) in enumerate(groups):
        lines = (table.block == block) & (element == name)
        energy, strength = table.energy_keV[lines], response.line_strength[lines]
        width = table.width_keV[lines]
        for j, factor in enumerate(np.exp(LOG_RESOLUTION_NODES)):
            profile = response.shape, energy, grids[block]
            for row, function in enumerate((line_cdf, line_pdf)):
                core, whole = (
                    strength @ function(*profile, resolution=factor, width=width, tail=tail)
                    for tail in (0.0, 1.0)
                )
                group_tables[k, j, row], group_tables[k, j, 2 + row] = core, whole - core
    continuum = np.array([_block_continuum(response, table, b, g) for b, g in enumerate(grids)])
    return Templates(
        limits=limits,
        grid_start=start,
        continuum=continuum,
        group_block=np.array([block for block, _ in groups]),
        group=spline_filter1d(group_tables, order=3, axis=1, mode="mirror"),
        most_tail=_most_tail(response, table),
        fwhm_60=response.shape.fwhm_60,
        population_scale=response.population_scale,
        ends=np.array([table.energy_keV.min(), table.energy_keV.max()]),
        misfit=response.misfit or no_misfit(table.n_blocks),
        second_state=second_state_weights(response, table),
    )


def _most_tail(response: Response, table: LineTable) -> float:
    """The largest factor on the tail that is tried."""
    largest = float(response.shape.tail_fraction(table.energy_keV).max())
    return min(MOST_TAIL, ALL_TAIL / max(largest, 1e-6))


def second_state_weights(response: Response, table: LineTable) -> np.ndarray:
    """What counts at each energy say for a second state of a pixel, (n_energies, n_stretches).

    In the second state the gain is larger by a factor 1 + s, with s of `STRETCHES`: an event that
    is taken for one of E is one of E (1 + s), but for the offset, which hardly matters. With d_s(E)
    the density of the camera in that state minus the usual one, mu(E), and a fraction
    `TYPICAL_FRACTION` = a of the counts in it, the derivative of ln L against a is the sum over the
    counts of d_s / (mu + a d_s). It is tabulated at the middle of steps of `SECOND_STEP_KEV`. At a
    itself, not at 0, a few counts where the camera has hardly any do not outweigh all others.
    """
    energy = SECOND_STEP_KEV * (
        np.arange(int(table.block_limits_keV.max() / SECOND_STEP_KEV)) + 0.5
    )
    reach = np.arange(0.0, (1 + STRETCHES.max()) * table.block_limits_keV.max() + 1, 0.05)
    density = _density(response, table, reach)
    usual = np.interp(energy, reach, density)[:, None]
    factor = 1.0 + STRETCHES
    changed = factor * np.interp(energy[:, None] * factor, reach, density) - usual
    return np.ascontiguousarray(changed / (usual + TYPICAL_FRACTION * changed))


def _density(response: Response, table: LineTable, energy_keV: np.ndarray) -> np.ndarray:
    """Counts/keV of the mean pixel at energies (n,), also between the blocks and beyond.

    There the continuum is interpolated linearly from block to block.
    """
    at, smooth, lines = [], [], np.zeros(len(energy_keV))
    for block, (low, high) in enumerate(table.block_limits_keV):
        inside = np.linspace(low, high, int((high - low) / GRID_STEP_KEV))
        at.append(inside)
        smooth.append(_block_continuum(response, table, block, inside)[1])
        of_block = table.block == block
        lines += response.line_strength[of_block] @ line_pdf(
            response.shape, table.energy_keV[of_block], energy_keV
        )
    return np.interp(energy_keV, np.concatenate(at), np.concatenate(smooth)) + lines


def _block_continuum(response: Response, table: LineTable, block: int, grid) -> np.ndarray:
    """Cumulative counts and density of all that is not a line of the block, (2, n_grid)."""
    shape = response.shape
    low, high = table.block_limits_keV[block]
    # Beyond the block nothing was learnt: the continuum goes on as it is at the limit.
    inside = np.clip(grid, low, high)
    density = response.continuum[block] @ continuum_functions((low, high), inside, shape)
    other = table.block != block
    energy, width = table.energy_keV, table.width_keV
    density += response.line_strength[other] @ line_pdf(
        shape, energy[other], inside, width=width[other]
    )
    density += response.line_strength @ escape_peaks(shape, energy, inside, line_pdf, width)
    density = np.maximum(density, CONTINUUM_FLOOR * max(density.mean(), 1e-12))
    return np.array([CubicSpline(grid, density).antiderivative()(grid), density])


def without_block(templates: Templates, block: int) -> Templates:
    """The templates of all other blocks."""
    kept = np.arange(len(templates.limits)) != block
    groups = templates.group_block != block
    others = templates.group_block[groups]
    return templates._replace(
        limits=templates.limits[kept],
        grid_start=templates.grid_start[kept],
        continuum=templates.continuum[kept],
        group_block=others - (others > block),
        group=templates.group[groups],
        misfit=misfit_without(templates.misfit, block),
        population_scale=templates.population_scale[np.concatenate([[True, True], kept, groups])],
    )


def _grid(templates: Templates, block: int) -> np.ndarray:
    """Nodes (n_grid,), keV, of a block."""
    return templates.grid_start[block] + GRID_STEP_KEV * np.arange(templates.continuum.shape[2])


def continuum_at_edge(templates: Templates, block: int) -> float:
    """Density (counts/keV) of the continuum at the low limit of a block."""
    limit, density = templates.limits[block, 0], templates.continuum[block, 1]
    return float(np.interp(limit, _grid(templates, block), density))


def continuum_counts(templates: Templates, block: int) -> float:
    """Counts of the continuum of a block."""
    limits, cumulative = templates.limits[block], templates.continuum[block, 0]
    low, high = np.interp(limits, _grid(templates, block), cumulative)
    return float(high - low)


def place_of_noise(templates: Templates, block: int) -> int:
    """Index among the line groups of the noise that `with_noise` gives to a block."""
    return int((templates.group_block <= block).sum()) - 1


def with_noise(templates: Templates, block: int, scale_keV: float) -> Templates:
    """The templates with noise, an exponential in energy, as the last line group of a block.

    With a normalisation of 1 it has as many counts above the low limit as the continuum of the
    block. Nothing is known of it: the population prior has a scale of `ANY_NOISE`.
    """
    above_limit = _grid(templates, block) - templates.limits[block, 0]
    below = np.exp(-above_limit / scale_keV) * continuum_counts(templates, block)
    noise = np.zeros((1, *templates.group.shape[1:]))
    noise[0, :, 0], noise[0, :, 1] = below[0] - below, below / scale_keV
    place = int((templates.group_block <= block).sum())
    of_group = N_OF_SHAPE + len(templates.limits) + place
    return templates._replace(
        group_block=np.insert(templates.group_block, place, block),
        group=np.insert(templates.group, [place], noise, axis=0),
        population_scale=np.insert(templates.population_scale, of_group, ANY_NOISE),
    )
