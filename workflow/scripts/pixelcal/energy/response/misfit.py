"""How far the pixels of a camera are from the model, beyond counting.

No model of a real detector is perfect, and with counts enough every pixel shows it. A pixel is sick
where it is unlike the others, not where the model is not exact: what the camera's pixels have in
common, and how they scatter, is learnt from them and told apart from what a single one does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.numerics.statistics import MEDIAN_ERROR, robust_std

LEAST_SIGMA = 3.0
"""A median misfit, and a scatter, count from so many of their standard errors on."""

LOWER_SIGMA = 15.87
"""Percentile of a normal distribution at one standard deviation below its middle."""

BELOW_EXPECTATION = 5.0 / 3.0
"""So much below its expectation is the median deviance of a block of an exact model: 2/3 by the
skewness of a chi-square, and 1 by what is fitted, a relation, resolution and tail to all blocks."""

LEAST_SCATTER = 1.0 / 3.0
"""Misfits of pixels scatter by at least this part of the typical one: so they do where counts tell
it, and what makes them is no more alike where they do not."""

MIN_PIXELS = 8
"""Fewer do not tell how much pixels scatter: the model is then taken for exact."""


class Misfit(NamedTuple):
    """What is typical of the pixels of a camera; all zero where the model is exact.

    Attributes
    ----------
    excess : (n_blocks,) float
        Deviance beyond its expectation, per count: the square of the relative error of the model.
    excess_scatter : (n_blocks,) float
        Standard deviation of that between pixels.
    shift, shift_scatter : (n_blocks,) float, keV
        Where the lines of the block stand by the relation of the others, and the standard deviation
        of that between pixels, both without what counting makes.
    bend, bend_scatter : (1,) float, keV
        The same of how far relations bend in the middle of the lines.
    """

    excess: np.ndarray
    excess_scatter: np.ndarray
    shift: np.ndarray
    shift_scatter: np.ndarray
    bend: np.ndarray
    bend_scatter: np.ndarray


def no_misfit(n_blocks: int) -> Misfit:
    """That of a model which is exact."""
    return Misfit(*np.zeros((4, n_blocks)), *np.zeros((2, 1)))


def misfit_without(misfit: Misfit, block: int) -> Misfit:
    """That of all other blocks. Where lines stand by the others changes with these: unknown."""
    kept = np.arange(len(misfit.excess)) != block
    of_blocks = (values[kept] for values in misfit[:4])
    return Misfit(*of_blocks, misfit.bend, misfit.bend_scatter)


def shift_beside_others(misfit: Misfit, shift, shift_err) -> tuple[np.ndarray, np.ndarray]:
    """Where the lines of blocks stand beside those of the camera's pixels, (n, n_blocks), keV.

    Second is its error, with the scatter between pixels. Parameters as of `measure_misfit`.
    """
    return shift - misfit.shift, np.hypot(shift_err, misfit.shift_scatter)


def measure_misfit(deviance, variance, counts, shift, shift_err, bend, bend_err) -> Misfit:
    """The typical misfit of pixels.

    Parameters
    ----------
    deviance, variance : (n, n_blocks) float
        Deviance of each block minus its expectation, and the variance of that by counting.
    counts : (n, n_blocks) float
    shift, shift_err : (n, n_blocks) float, keV
        Where the lines of each block stand by the relation of the others; NaN where not known.
    bend, bend_err : (n,) float, keV
        How far the relations bend; NaN where not known.
    """
    n_blocks = deviance.shape[1]
    found = no_misfit(n_blocks)
    for block in range(n_blocks):
        some = counts[:, block] > 0
        share = counts[some, block]
        of_counting = variance[some, block] / share**2
        beyond = (deviance[some, block] + BELOW_EXPECTATION) / share
        middle, scatter = beyond_counting(beyond, of_counting, True)
        found.excess[block] = max(middle, 0.0)
        found.excess_scatter[block] = max(scatter, LEAST_SCATTER * found.excess[block])
        known = np.isfinite(shift[:, block]) & np.isfinite(shift_err[:, block])
        middle, scatter = beyond_counting(shift[known, block], shift_err[known, block] ** 2)
        found.shift[block], found.shift_scatter[block] = middle, scatter
    known = np.isfinite(bend) & np.isfinite(bend_err)
    middle, scatter = beyond_counting(bend[known], bend_err[known] ** 2)
    found.bend[0], found.bend_scatter[0] = middle, scatter
    return found


def beyond_counting(
    values: np.ndarray, variance: np.ndarray, one_sided: bool = False
) -> tuple[float, float]:
    """Median of values (n,) that counting does not explain, and their scatter beyond it.

    With `one_sided` the scatter is that of the values below the median: sick pixels have a larger
    deviance, never a smaller one.
    """
    n = len(values)
    if n < MIN_PIXELS:
        return 0.0, 0.0
    middle, counting = np.median(values), np.median(variance)
    spread = middle - np.percentile(values, LOWER_SIGMA) if one_sided else robust_std(values)
    # Standard errors of a median and of a robust variance, of n normal values.
    error = MEDIAN_ERROR * spread / np.sqrt(n)
    chance = 2.3 * counting / np.sqrt(n)
    more = spread**2 - counting
    scatter = np.sqrt(more) if more > LEAST_SIGMA * chance else 0.0
    return (float(middle) if abs(middle) > LEAST_SIGMA * error else 0.0), float(scatter)


def dispersion(misfit: Misfit, counts, variance) -> np.ndarray:
    """Typical deviance of the camera's pixels per channel in each block, (n, n_blocks).

    It is 1 where the model is exact. Differences of deviances mean less by this factor, and
    variances are larger by it (quasi-likelihood: McCullagh & Nelder 1989, Generalized Linear
    Models, ch. 9).

    Parameters
    ----------
    misfit : Misfit
    counts, variance : (n, n_blocks) float
        Of each block, as `measure_misfit` takes them.
    """
    # The variance of a deviance is twice its expectation.
    with np.errstate(divide="ignore", invalid="ignore"):
        more = misfit.excess * counts / (variance / 2.0)
    return 1.0 + np.nan_to_num(more)


def worst_dispersion(misfit: Misfit, counts, variance) -> np.ndarray:
    """The `dispersion` of the block where it is largest, (n,)."""
    return dispersion(misfit, counts, variance).max(axis=1)
