"""Do the blocks of lines agree, taken over all pixels? What they do not agree on is systematic.

The errors of a pixel are those of counting. A bent relation, a wrong line energy or a line that the
table lacks shifts the lines of a block in all pixels alike: no error of a pixel holds it, and it
does not average out. Over many pixels it shows, long before one of them can tell, in where the
lines of a block stand by the relation of the other blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std

from pixelcal.energy.fit.joint import JointOptions, fit_joint
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates
from pixelcal.status import has_valid_fit

MOST_PIXELS = 2000
"""Pixels that are looked at, evenly over the camera: their means are far better known than any of
them."""

MOST_SIGMA = 6.0
"""A pixel that deviates by more, in robust standard deviations of the pixels, does not count."""

MIN_PIXELS = 8
"""Fewer do not tell how much pixels scatter."""


PIVOTS = (PIVOT_LOW, PIVOT_HIGH)


class BlockAgreement(NamedTuple):
    """How the blocks agree, as means over pixels; NaN where it cannot be told.

    Attributes
    ----------
    shift, shift_err : (n_blocks,) float, keV
        Energy of the block's lines by the relation of the others, minus that of the line table.
    covariance : (2, 2) float
        Of the stretch and the shift (keV) of all energies: the sum over the blocks of what leaving
        the block's positions out does to both, beyond chance.
    """

    shift: np.ndarray
    shift_err: np.ndarray
    covariance: np.ndarray


def compare_blocks(
    counts: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions,
) -> BlockAgreement:
    """Compare the blocks over the pixels with a valid fit, POOR_FIT or not.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        Where the fits start: near their ends.
    table : LineTable
    response : Response
        Learnt with the same table.
    options : JointOptions
    """
    chosen = np.unique(np.linspace(0, len(counts) - 1, min(len(counts), MOST_PIXELS)).astype(int))
    templates = make_templates(response, table)
    fits, found = fit_joint(
        counts[chosen], chosen, gain[chosen], offset[chosen], templates, options, checked=True
    )
    valid = has_valid_fit(fits["STATUS"])
    shift, shift_err = np.full((2, table.n_blocks), np.nan)
    covariance = np.zeros((2, 2))
    low, high = (fits["GAIN"][valid] * pivot + fits["OFFSET"][valid] for pivot in PIVOTS)
    for block in range(table.n_blocks):
        shifts, pull = found.block_shift[valid, block], found.block_pull[valid, block]
        stretch = (pull[:, 1] - pull[:, 0]) / (high - low)
        lines = np.column_stack([shifts, stretch, pull[:, 0] - stretch * low])
        lines = lines[_typical(shifts)]
        if len(lines) < MIN_PIXELS:
            continue
        mean, error = lines.mean(axis=0), np.cov(lines.T) / len(lines)
        shift[block], shift_err[block] = mean[0], np.sqrt(error[0, 0])
        covariance += _beyond_chance(mean[1:], error[1:, 1:])
    return BlockAgreement(shift, shift_err, covariance)


def _typical(values: np.ndarray) -> np.ndarray:
    """Which of the values (n,) belong to their population, (n,) bool; not what is not finite."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values), bool)
    middle, spread = np.median(known), mad_std(known)
    with np.errstate(invalid="ignore"):
        return np.abs(values - middle) <= MOST_SIGMA * spread


def _beyond_chance(mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Outer product (2, 2) of a mean (2,), shrunk by what chance of covariance `error` gives it.

    The square of the mean over its error is 2 by chance (James & Stein 1961).
    """
    square = mean @ np.linalg.pinv(error) @ mean
    return max(1.0 - 2.0 / square, 0.0) * np.outer(mean, mean) if square > 0 else 0.0 * error
