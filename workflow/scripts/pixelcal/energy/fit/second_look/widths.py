"""Widths by the counts alone, where they ask for wider lines; and errors that hold the doubt."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from pixelcal.energy.fit.columns import is_mended
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.model import PIVOT_HIGH
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.relation import put_covariance, relation_covariance
from pixelcal.numerics.model_averaging import chance_of_being_there

DOUBT_WIDTH_SIGMA, DOUBT_WIDTH_RATIO = 1.3, 1.1
FREE_WIDTH_SCALE = 0.5
"""The width of a pixel is fitted almost without the population prior, which has this scale then,
where its counts want it larger by so many sigma, and by this factor: less is no other width."""

WIDE_FRACTION, WIDE_RANGE = 0.01, 10.0
"""A pixel in a hundred is taken to have wider lines than the camera's, by any number of standard
errors up to this."""


def free_widths(fits: np.ndarray, data: Doubtful) -> None:
    """Widths by the counts alone, from a fit of their own where they want to be larger.

    Two gains in a pixel make two lines of one; the prior then holds the fit at one of them, and
    its error is too small. The error of the relation becomes that of the mixture of both fits.
    """
    with np.errstate(invalid="ignore"):
        ratio = fits["WIDTH_RATIO"]
        off = np.log(ratio) * ratio / fits["WIDTH_RATIO_ERR"] > DOUBT_WIDTH_SIGMA
        doubtful = off & (ratio > DOUBT_WIDTH_RATIO)
    rows = np.flatnonzero(doubtful & ~is_mended(fits))
    if not len(rows):
        return
    scale = data.templates.population_scale.copy()
    camera, scale[0] = scale[0], FREE_WIDTH_SCALE
    templates = data.templates._replace(population_scale=scale)
    pixels = data.counts[rows], *(fits[name][rows] for name in ("DETNUM", "GAIN", "OFFSET"))
    free, _ = fit_joint(*pixels, templates, data.options, added_up=False)
    valid = np.isfinite(free["WIDTH_RATIO"])
    rows, free = rows[valid], free[valid]
    for name in ("WIDTH_RATIO", "WIDTH_RATIO_ERR"):
        fits[name][rows] = free[name]
    mix_errors(rows, fits, free, _chance_of_width(free, camera))


def _chance_of_width(free: np.ndarray, scale: float) -> np.ndarray:
    """Probability (n,) that pixels have wider lines than a camera whose widths have this scale.

    A `WIDE_FRACTION` of them has, with a significance up to `WIDE_RANGE`.
    """
    ratio = free["WIDTH_RATIO"]
    z = np.log(ratio) / np.hypot(free["WIDTH_RATIO_ERR"] / ratio, scale)
    return chance_of_being_there(z, norm.pdf(z), WIDE_FRACTION, WIDE_RANGE)


def mix_errors(rows, fits: np.ndarray, free: np.ndarray, chance: np.ndarray) -> None:
    """Give pixels `rows` (m,) the covariance of two relations, the other one with a `chance` (m,).

    That of a mixture about the relation that is kept; nothing becomes more certain by it.

    Parameters
    ----------
    rows : (m,) int
    fits : (n,) of `fit.columns.FIT_DTYPE`
        The errors of its `rows` are replaced.
    free : (m,) of the same
        The other fits of these pixels.
    chance : (m,) float
    """
    apart = np.column_stack([free[name] - fits[name][rows] for name in ("GAIN", "OFFSET")])
    known = relation_covariance(fits[rows])
    more = relation_covariance(free) - known + apart[:, :, None] * apart[:, None]
    # In keV: what a gain does at the upper pivot, and an offset.
    units = np.outer([PIVOT_HIGH, 1.0], [PIVOT_HIGH, 1.0])
    size, axes = np.linalg.eigh(np.where(np.isfinite(more), more, 0.0) * units)
    more = (axes * np.maximum(size, 0.0)[:, None]) @ axes.swapaxes(1, 2)
    mixed = known + chance[:, None, None] * more / units
    put_covariance(fits, rows, mixed)
