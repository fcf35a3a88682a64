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

from pixelcal.energy.lines import LineTable, lines_of_groups
from pixelcal.energy.response.line_shape import (
    escape_peaks,
    line_cdf,
    line_pdf,
    tail_terms,
    tail_weights,
)
from pixelcal.energy.response.misfit import Misfit, misfit_without, no_misfit
from pixelcal.energy.response.model import (
    Response,
    continuum_functions,
    continuum_integrals,
    placed,
)
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

LEAST_REACH = 0.005
"""Lines of a block reach into the one below where the counts that they leave there are more than
this part of its continuum: fewer no pixel tells."""


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
        Cumulative counts and density (counts/keV) of the continuum, escape peaks and those lines of
        other blocks included that do not reach in.
    group_block : (n_groups,) int
        The block of each line group, not decreasing.
    groups : (n_blocks, 3) int
        First line group of a block, one past its last, and one past the last that has counts in it:
        those of the next block may reach in.
    group : (n_groups, n_resolution, 4 or 6, n_grid) float
        Cumulative counts and density (counts/keV) of each of the terms of `line_shape.tail_terms`:
        two where factors on tails are on their strength alone, three otherwise. Against the factor
        on the resolution, as coefficients of a cubic B-spline on its nodes: smooth to the second
        derivative.
    reach : (n_groups, 4 or 6, n_grid) float
        The same on the grid of the block below, at the resolution of the camera; 0 of groups that
        do not reach in.
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
    groups: np.ndarray
    group: np.ndarray
    reach: np.ndarray
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
    groups = lines_of_groups(table)
    n_rows = 6 if response.losses_differ else 4
    group_tables = np.empty((len(groups), len(LOG_RESOLUTION_NODES), n_rows, n_grid))
    reach = np.zeros((len(groups), n_rows, n_grid))
    reaching = reaching_lines(response, table)
    for k, (block, lines) in enumerate(groups):
        for j, factor in enumerate(np.exp(LOG_RESOLUTION_NODES)):
            group_tables[k, j] = _lines_on_grid(response, table, lines, grids[block], factor)
        if reaching[lines].any():
            reach[k] = _lines_on_grid(response, table, lines, grids[block - 1])
    group_block = np.array([block for block, _ in groups])
    continuum = [_block_continuum(response, table, b, g, reaching) for b, g in enumerate(grids)]
    return Templates(
        limits=limits,
        grid_start=start,
        continuum=np.array(continuum),
        group_block=group_block,
        groups=_groups_of_blocks(group_block, reach, len(limits)),
        reach=reach,
        group=spline_filter1d(group_tables, order=3, axis=1, mode="mirror"),
        most_tail=_most_tail(response, table),
        fwhm_60=response.shape.fwhm_60,
        population_scale=response.population_scale,
        ends=np.array([table.energy_keV.min(), table.energy_keV.max()]),
        misfit=response.misfit or no_misfit(table.n_blocks),
        second_state=second_state_weights(response, table, reaching),
    )


def reaching_lines(response: Response, table: LineTable) -> np.ndarray:
    """Which lines are of a group that reaches into the block below, (n_lines,) bool.

    Lines stand where the `table` has them.
    """
    shape, strength = response.shape, response.line_strength
    reaching = np.zeros(table.n_lines, bool)
    for block, lines in lines_of_groups(table):
        if block == 0:
            continue
        limits = table.block_limits_keV[block - 1]
        profile = shape, table.energy_keV[lines], limits
        low, high = strength[lines] @ line_cdf(*profile, width=table.width_keV[lines])
        edges = np.linspace(*limits, 200)
        smooth = continuum_integrals(limits, edges, shape).sum(axis=1)
        reaching[lines] = high - low > LEAST_REACH * (response.continuum[block - 1] @ smooth)
    return reaching


def _lines_on_grid(response: Response, table: LineTable, lines, grid, resolution=1.0):
    """Rows (n_rows, n_grid) of `Templates.group` of `lines` (n_lines,) bool, not yet splines."""
    strength, width = response.line_strength[lines], table.width_keV[lines]
    known = response.shape, table.energy_keV[lines], grid, response.losses_differ
    terms = [
        strength @ tail_terms(profile, *known, resolution=resolution, width=width)
        for profile in (line_cdf, line_pdf)
    ]
    return np.stack(terms, axis=1).reshape(-1, len(grid))


def at_factor(rows: np.ndarray, factor: float) -> np.ndarray:
    """Cumulative counts and density (2, n_grid) of `rows` (4 or 6, n_grid) as `Templates.reach` has
    them, at a factor on the tail."""
    terms = rows.reshape(len(rows) // 2, 2, -1)
    return np.tensordot(tail_weights(factor, losses=len(terms) > 2), terms, 1)


def _groups_of_blocks(group_block: np.ndarray, reach: np.ndarray, n_blocks: int) -> np.ndarray:
    """`Templates.groups` of line groups in the blocks `group_block` (n_groups,)."""
    first, last = (np.searchsorted(group_block, np.arange(n_blocks), s) for s in ("left", "right"))
    reaching = last.copy()
    for k in np.flatnonzero(reach.any(axis=(1, 2))):
        reaching[group_block[k] - 1] = k + 1
    return np.column_stack([first, last, reaching])


def _most_tail(response: Response, table: LineTable) -> float:
    """The largest factor on the tail that is tried."""
    largest = float(response.shape.tail_fraction(table.energy_keV).max())
    return min(MOST_TAIL, ALL_TAIL / max(largest, 1e-6))


def second_state_weights(response: Response, table: LineTable, reaching) -> np.ndarray:
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
    density = _density(response, table, reach, reaching)
    usual = np.interp(energy, reach, density)[:, None]
    factor = 1.0 + STRETCHES
    changed = factor * np.interp(energy[:, None] * factor, reach, density) - usual
    return np.ascontiguousarray(changed / (usual + TYPICAL_FRACTION * changed))


def _density(response: Response, table: LineTable, energy_keV: np.ndarray, reaching) -> np.ndarray:
    """Counts/keV of the mean pixel at energies (n,), also between the blocks and beyond.

    There the continuum is interpolated linearly from block to block.
    """
    at, smooth, lines = [], [], np.zeros(len(energy_keV))
    for block, (low, high) in enumerate(table.block_limits_keV):
        inside = np.linspace(low, high, int((high - low) / GRID_STEP_KEV))
        at.append(inside)
        smooth.append(_block_continuum(response, table, block, inside, reaching)[1])
        of_block = table.block == block
        lines += response.line_strength[of_block] @ line_pdf(
            response.shape, table.energy_keV[of_block], energy_keV
        )
    return np.interp(energy_keV, np.concatenate(at), np.concatenate(smooth)) + lines


def _block_continuum(response: Response, table: LineTable, block: int, grid, reaching):
    """Cumulative counts and density of what no line group has in the block, (2, n_grid).

    `reaching` (n_lines,) are the lines that reach into the block below their own.
    """
    shape = response.shape
    low, high = table.block_limits_keV[block]
    # Beyond the block nothing was learnt: the continuum goes on as it is at the limit.
    inside = np.clip(grid, low, high)
    density = response.continuum[block] @ continuum_functions((low, high), inside, shape)
    other = (table.block != block) & ~(reaching & (table.block == block + 1))
    energy, width = table.energy_keV, table.width_keV
    density += response.line_strength[other] @ line_pdf(
        shape, energy[other], inside, width=width[other]
    )
    density += response.line_strength @ escape_peaks(shape, energy, inside, line_pdf, width)
    density = np.maximum(density, CONTINUUM_FLOOR * max(density.mean(), 1e-12))
    return np.array([CubicSpline(grid, density).antiderivative()(grid), density])


def without_block(templates: Templates, block: int) -> Templates:
    """The templates of all other blocks; what its lines leave in the one below is continuum."""
    kept = np.arange(len(templates.limits)) != block
    groups, continuum, reach = templates.group_block != block, templates.continuum, templates.reach
    others = templates.group_block[groups]
    others = others - (others > block)
    if block > 0:
        continuum = continuum.copy()
        continuum[block - 1] += at_factor(reach[~groups].sum(axis=0), 1.0)
    # Those that reached into this block are two blocks above the next one.
    reach = np.where((templates.group_block == block + 1)[:, None, None], 0.0, reach)[groups]
    return templates._replace(
        limits=templates.limits[kept],
        grid_start=templates.grid_start[kept],
        continuum=continuum[kept],
        group_block=others,
        groups=_groups_of_blocks(others, reach, kept.sum()),
        group=templates.group[groups],
        reach=reach,
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
    group_block = np.insert(templates.group_block, place, block)
    reach = np.insert(templates.reach, place, 0.0, axis=0)
    return templates._replace(
        group_block=group_block,
        groups=_groups_of_blocks(group_block, reach, len(templates.limits)),
        group=np.insert(templates.group, [place], noise, axis=0),
        reach=reach,
        population_scale=np.insert(templates.population_scale, of_group, ANY_NOISE),
    )
