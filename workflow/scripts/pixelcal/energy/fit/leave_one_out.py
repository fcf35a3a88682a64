"""The joint fit with each block of lines left out in turn: does one of them pull the relation?

A wrong line energy, a line of another element, or a continuum that bends under one line shows in
what changes when its block is left out. The change of an energy has the variance

    sigma^2 without the block  -  sigma^2 with all blocks

because the fit with all of them is efficient (Hausman, Econometrica 46 (1978) 1251).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.columns import is_mended
from pixelcal.energy.fit.joint import JointOptions, fit_joint
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import RELATION_COLUMNS
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates, without_block
from pixelcal.status import EnergyStatus, has_valid_fit

MIN_BLOCKS = 2
"""Blocks that must be left: one alone does not give gain and offset together."""


def leave_blocks_out(
    counts: np.ndarray,
    fits: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions,
) -> np.ndarray:
    """Fit each pixel again without each of the blocks, from its relation.

    Parameters
    ----------
    counts : (n, n_channels) int
    fits : (n,) of `fit.columns.FIT_DTYPE`
        The fits with all blocks.
    table : LineTable
    response : Response
        That of the fits.
    options : JointOptions

    Returns
    -------
    (n,) structured
        DETNUM; GAIN, OFFSET, their errors and covariance, and STATUS, each (n_blocks,): entry b
        without block b. NaN where the pixel has no valid fit with all blocks or without this
        one; a pixel that had none keeps its STATUS. Bit 4 where a block is left out already, or
        noise was fitted in one: it would spoil these fits.
    """
    n_blocks = table.n_blocks
    types = [("DETNUM", "i4"), *((name, "f8", (n_blocks,)) for name in RELATION_COLUMNS)]
    rows = np.zeros(len(fits), [*types, ("STATUS", "i4", (n_blocks,))])
    rows["DETNUM"] = fits["DETNUM"]
    for name in RELATION_COLUMNS:
        rows[name] = np.nan
    valid = has_valid_fit(fits["STATUS"])
    rows["STATUS"] = np.where(valid, 0, fits["STATUS"])[:, None]
    spoilt = valid & is_mended(fits)
    rows["STATUS"][spoilt] = int(EnergyStatus.NOT_CONVERGED)
    valid &= ~spoilt
    if n_blocks <= MIN_BLOCKS:
        rows["STATUS"] |= int(EnergyStatus.NOT_CONVERGED)
        return rows
    templates = make_templates(response, table)
    known = fits[valid]
    for block in range(n_blocks):
        without, _ = fit_joint(
            np.asarray(counts)[valid],
            known["DETNUM"],
            known["GAIN"],
            known["OFFSET"],
            without_block(templates, block),
            options,
            added_up=False,
        )
        for name in (*RELATION_COLUMNS, "STATUS"):
            column = rows[name]
            column[valid, block] = without[name]
    return rows
