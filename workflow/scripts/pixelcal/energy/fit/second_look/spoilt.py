"""Errors that hold the doubt whether a block of lines is spoilt.

Counts that gather beside the lines of a block, and lines of this block that stand off from the
others, may both be too little to say that something in it is not of its lines. Together they make
it likely: noise beside a faint line pulls the line towards it. Such a pixel is fitted again without
the block. Its relation is kept; its covariance becomes that of the mixture of both fits.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.columns import is_mended
from pixelcal.energy.fit.joint import Deviations, fit_joint
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.fit.second_look.widths import mix_errors
from pixelcal.energy.response.misfit import shift_beside_others, worst_dispersion
from pixelcal.energy.response.tables import Templates, without_block
from pixelcal.numerics.model_averaging import chance_of_being_there

FEWEST_BLOCKS = 3
"""With fewer blocks none is left out."""

LEAST_SQUARES = 16.0
"""The squares of both, in standard deviations, from where on a pixel is fitted without the block:
it is so in 0.7 % of the pixels that nothing is wrong with."""

SPOILT_FRACTION, SPOILT_RANGE = 0.01, 10.0
"""A pixel in a hundred is taken to have a spoilt block, by any number of standard deviations up to
this."""

CHANCE, CHANCE_FROM = 6.0, 12.0
"""By chance a part `CHANCE` (x - `CHANCE_FROM`) exp(-x / 2) of the healthy pixels exceeds x, as was
counted from 16 to 24 in 18 000 pixels of 3 to 100 ks."""


def doubt_blocks(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Give pixels of which a block may be spoilt the errors that say so; replaces rows of `fits`.

    Of those with STATUS 0 and all blocks, and without noise in the lowest, which has its own.

    Parameters
    ----------
    fits : (n,) of `fit.columns.FIT_DTYPE`
    found : Deviations
        Of the same fits.
    data : Doubtful
    """
    if len(data.templates.limits) < FEWEST_BLOCKS:
        return
    squares = spoilt_squares(found, data.templates)
    clean = (fits["STATUS"] == 0) & ~is_mended(fits)
    worst, largest = squares.argmax(axis=1), squares.max(axis=1)
    doubtful = clean & (largest > LEAST_SQUARES)
    for block in np.unique(worst[doubtful]):
        rows = np.flatnonzero(doubtful & (worst == block))
        templates = without_block(data.templates, int(block))
        starts = data.starts_without(int(block), rows)
        pixels = data.counts[rows], fits["DETNUM"][rows], *starts.T, templates, data.options
        without, _ = fit_joint(*pixels, added_up=False)
        valid = without["STATUS"] == 0
        rows, without = rows[valid], without[valid]
        mix_errors(rows, fits, without, chance_of_spoilt(largest[rows]))


def spoilt_squares(found: Deviations, templates: Templates) -> np.ndarray:
    """How clearly each block is spoilt, (n, n_blocks): squares of an excess and of a shift.

    In standard deviations, with what is typical of the camera in them; 0 where nothing gathers.
    """
    misfit = templates.misfit
    dispersion = worst_dispersion(misfit, found.block_counts, found.block_variance)
    excess = np.nan_to_num(found.block_excess)
    with np.errstate(invalid="ignore"):
        shift, error = shift_beside_others(misfit, found.block_shift, found.block_shift_err)
        squares = excess**2 / dispersion[:, None] + np.nan_to_num(shift / error) ** 2
    return np.where(excess > 0.0, squares, 0.0)


def chance_of_spoilt(squares: np.ndarray) -> np.ndarray:
    """Probability (n,) that a block is spoilt, from its `spoilt_squares` above `LEAST_SQUARES`.

    A `SPOILT_FRACTION` of them is, with a root up to `SPOILT_RANGE`.
    """
    root = np.sqrt(squares)
    # Minus the slope of what healthy pixels exceed, per unit of the root.
    by_chance = CHANCE * (0.5 * (squares - CHANCE_FROM) - 1.0) * np.exp(-0.5 * squares) * 2.0 * root
    return chance_of_being_there(root, by_chance, SPOILT_FRACTION, SPOILT_RANGE)
