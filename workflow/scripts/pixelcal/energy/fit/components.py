"""Expected counts of the components of a block, straight from the response: no tables, no numba.

The same model as that of the joint fit, whose tables of the line groups it does without.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from pixelcal.energy.lines import LineTable, line_groups
from pixelcal.energy.relation import position
from pixelcal.energy.response.learn import Response, line_cdf
from pixelcal.energy.response.tables import GRID_STEP_KEV, Templates


def block_channels(gain, offset, table: LineTable, n_channels: int) -> np.ndarray:
    """First and one past the last of the channels that lie wholly in each block, (n_blocks, 2)."""
    low, high = position(table.block_limits_keV, gain, offset).T
    first = np.clip(np.ceil(low), 0, n_channels)
    last = np.clip(np.floor(high), first, n_channels)
    return np.array([first, last], int).T


def components(
    block: int,
    edges_keV: np.ndarray,
    resolution: float,
    table: LineTable,
    response: Response,
    templates: Templates,
) -> np.ndarray:
    """Expected counts of the camera's mean pixel between `edges_keV` (n + 1,) in one block.

    Returns (1 + groups of the block, n): the continuum, then the line groups in the order of
    `lines.line_groups`. `resolution` is the factor on that of the camera.
    """
    cumulative, density = templates.continuum[block]
    grid = templates.grid_start[block] + GRID_STEP_KEV * np.arange(len(cumulative))
    rows = [CubicHermiteSpline(grid, cumulative, density)(edges_keV)]
    element = np.array(table.element)
    for index, name in line_groups(table):
        if index == block:
            own = (table.block == block) & (element == name)
            profiles = line_cdf(response.shape, table.energy_keV[own], edges_keV, resolution)
            rows.append(response.line_strength[own] @ profiles)
    return np.diff(rows, axis=1)
