"""Gain and offset of a pixel in one Poisson likelihood over all blocks of the line table.

Free parameters of a pixel: its energies at two pivot positions on the channel axis (that is gain
and offset, in coordinates that hardly correlate), the logarithm of the factor on its resolution,
and the normalisation of every continuum and line group relative to what the camera's mean pixel
has. The shapes are the camera's (`response.tables`). `fit.likelihood` fits one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from pixelcal.energy.fit.checks.consistency import (
    CHECKED_ALL,
    CHECKED_BLOCKS,
    NOT_CHECKED,
    Consistency,
)
from pixelcal.energy.fit.checks.missing_lines import is_missing
from pixelcal.energy.fit.checks.residuals import empty_residuals
from pixelcal.energy.fit.columns import CHANGE_KEV, SECOND_COLUMNS, empty_fits
from pixelcal.energy.fit.likelihood import MAX_ITERATIONS, PixelFit, fit_pixel
from pixelcal.energy.fit.model import (
    LOG_RESOLUTION_LIMITS,
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    RESOLUTION,
    TAIL,
)
from pixelcal.energy.response.misfit import Misfit, dispersion
from pixelcal.energy.response.population import N_OF_SHAPE, STUDENT_T_DOF
from pixelcal.energy.response.tables import Templates
from pixelcal.instrument import Window
from pixelcal.numerics.goodness_of_fit import moment_table, p_value
from pixelcal.status import EnergyStatus, has_valid_fit

CHANGE_PVALUE = 1e-5
"""A pixel changes within the exposure where its halves differ by `CHANGE_KEV`, and by chance so
rarely: one false flag in 100 000 pixels, and none for a drift that does not matter."""

TRIED_STEPS = 30
"""A fit from a seed far off that takes more steps goes nowhere; one near its minimum takes 10."""

LEAST_OF_COUNTS = 0.01
"""Where the counts bring less of what is known of a width, they cannot tell it."""


class Deviations(NamedTuple):
    """How pixels differ from the camera, see `response.population`.

    Attributes
    ----------
    value, variance : (n, 2 + n_blocks + n_groups) float
        Logarithm of the factor on the resolution; factor on the tail minus 1; normalisations of
        continua and line groups minus their location.
    normalisation : (n, n_blocks + n_groups) float
        Continua, then line groups, relative to the camera's mean pixel.
    block_shift, block_shift_err : (n, n_blocks) float, keV
    block_pull : (n, n_blocks, 2) float, keV
    block_excess : (n, n_blocks) float
        As in `consistency.Consistency`; NaN where the pixel was not checked.
    block_misfit, block_variance : (n, n_blocks) float
        Deviance of each block minus its expectation, and the variance of that by counting.
    block_counts : (n, n_blocks) float
    residuals : (n, n_bins, 3) float
        Counts, expected counts and variance of their difference in the bins of
        `columns.residual_edges`.
    expected : (n, n_channels) float
        Expected counts of the channels that residuals are taken from, 0 outside of the blocks.
    """

    value: np.ndarray
    variance: np.ndarray
    normalisation: np.ndarray
    block_shift: np.ndarray
    block_shift_err: np.ndarray
    block_pull: np.ndarray
    block_excess: np.ndarray
    block_misfit: np.ndarray
    block_variance: np.ndarray
    block_counts: np.ndarray
    residuals: np.ndarray
    expected: np.ndarray

    @property
    def nearby(self) -> np.ndarray:
        """Parameters (n, 2 + n_blocks + n_groups) from which a fit of the same pixel starts near:
        the logarithm of the factor on the resolution, the factor on the tail, normalisations."""
        return np.column_stack([self.value[:, 0], self.value[:, 1] + 1.0, self.normalisation])


CHECKED = ("block_shift", "block_shift_err", "block_pull", "block_excess")
"""Fields that `Deviations` and `Consistency` have in common."""


@dataclass(frozen=True)
class JointOptions:
    """Options of the joint fit; their defaults stand in the schema of the configuration.

    Attributes
    ----------
    min_counts : int
        A pixel with fewer counts in the blocks is not fitted.
    pvalue_limit : float
        A smaller p-value sets STATUS bit 32.
    search : Window
        How far around the prior relation lines are looked for.
    energies_keV : tuple of float
        Energies at which two relations of a pixel are compared.
    lines_scatter : bool
        Whether a line group is missing only where how much the pixels of the camera scatter does
        not explain it. While the response is learnt it must not: noisy pixels would teach.
    """

    min_counts: int
    pvalue_limit: float
    search: Window
    energies_keV: tuple[float, ...] = ()
    lines_scatter: bool = True


def fit_joint(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    templates: Templates,
    options: JointOptions,
    first_half: np.ndarray | None = None,
    checked: bool = False,
    *,
    nearby: np.ndarray | None = None,
    added_up: bool = True,
    seconds: bool = True,
) -> tuple[np.ndarray, Deviations]:
    """Fit gain and offset of many pixels, each from a start that is near.

    Parameters
    ----------
    counts : (n, n_channels) int
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        Where each fit starts.
    templates : Templates
    options : JointOptions
    first_half : (n, n_channels) int, optional
        Counts of the first half of the exposure. Without them the pixels are not checked for
        consistency, neither of their halves nor of their blocks.
    checked : bool
        Whether blocks are held against each other without `first_half` too.
    nearby : (n, 2 + n_blocks + n_groups) float, optional
        `Deviations.nearby` of fits that were near: they start there. NaN of those without one.
    added_up : bool
        Whether residuals are wanted.
    seconds : bool
        Whether a second gain is looked for in pixels that are checked, which is dear in bad fits.

    Returns
    -------
    fits : (n,) of `fit.columns.FIT_DTYPE`
        NaN and a STATUS where there is no valid fit.
    deviations : Deviations
    """
    fits = empty_fits(detnum)
    n_channels = np.shape(counts)[-1] if added_up else 0
    found = _nothing_found(len(counts), templates, n_channels)
    start = np.asarray(gain, float), np.asarray(offset, float), nearby
    level = CHECKED_ALL if seconds else CHECKED_BLOCKS
    level = level if checked or first_half is not None else NOT_CHECKED
    wanted = level, added_up, MAX_ITERATIONS, np.inf
    results = _results(counts, first_half, *start, templates, options, wanted)
    fits["STATUS"] = [result.status for result in results]
    fits["COUNTS"] = [result.used for result in results]
    fits["NITER"] = [result.iterations for result in results]
    rows = np.flatnonzero(has_valid_fit(fits["STATUS"]))
    if len(rows):
        valid = [results[row] for row in rows]
        fits[rows] = _filled(fits[rows], valid, templates, options)
        for row, result in zip(rows, valid, strict=True):
            _keep(found, row, result)
    return fits, found


def try_fit(
    counts: np.ndarray,
    gain: float,
    offset: float,
    templates: Templates,
    options: JointOptions,
    most: float = np.inf,
    most_steps: int = TRIED_STEPS,
) -> tuple[float, float]:
    """Deviance of a pixel beyond its expectation, fitted from a relation that may lead nowhere.

    Nothing is checked, and it is given up after `most_steps`, or before where it will not come
    below `most`: all are dear in fits that are wrong. Second is how unlike the camera the pixel is
    then, as `unlikeness`. NaN where there is no fit. Parameters as in `fit_joint`, of one pixel.
    """
    wanted = NOT_CHECKED, False, most_steps, most
    start = np.array([gain]), np.array([offset]), None
    (result,) = _results(counts[None], None, *start, templates, options, wanted)
    if not has_valid_fit(result.status):
        return np.nan, np.nan
    deviance, expected = result.goodness[:, :2].T
    unlike = unlikeness(result.deviations[0], templates.population_scale)
    return float((deviance - expected).sum()), float(unlike)


def unlikeness(value: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """-2 ln of the population prior of deviations (..., k) over that at 0, for its scales (k,)."""
    squares = (value / scale) ** 2
    return (STUDENT_T_DOF + 1.0) * np.log1p(squares / STUDENT_T_DOF).sum(axis=-1)


def _results(
    counts, first_half, gain, offset, nearby, templates: Templates, options: JointOptions, wanted
) -> list[PixelFit]:
    """The fit of each pixel, which is `wanted` as `fit_pixel` takes it."""
    moments, no_half = moment_table(), np.empty(0, np.int32)
    if nearby is None:
        nearby = np.full((len(counts), len(templates.population_scale)), np.nan)
    results = []
    for i in range(len(counts)):
        result = fit_pixel(
            np.ascontiguousarray(counts[i], dtype=np.int32),
            no_half if first_half is None else np.ascontiguousarray(first_half[i], np.int32),
            float(gain[i]),
            float(offset[i]),
            nearby[i],
            templates,
            moments,
            float(options.min_counts),
            wanted,
        )
        results.append(PixelFit(*result))
    return results


def _nothing_found(n: int, templates: Templates, n_channels: int) -> Deviations:
    """`Deviations` of `n` pixels, NaN everywhere."""
    scales, blocks = (n, len(templates.population_scale)), (n, len(templates.limits))
    per_scale = scales, scales, (n, scales[1] - N_OF_SHAPE)
    per_block = blocks, blocks, (*blocks, 2), *[blocks] * 4
    bins, channels = (n, *empty_residuals(templates.limits).shape), (n, n_channels)
    shapes = *per_scale, *per_block, bins, channels
    return Deviations(*(np.full(shape, np.nan) for shape in shapes))


def _keep(found: Deviations, row: int, result: PixelFit) -> None:
    """Put what one fit says of its pixel against the camera in a row of `found`."""
    found.value[row], found.variance[row], _ = result.deviations
    found.normalisation[row] = result.theta[N_SHARED:] * result.scale
    found.block_misfit[row] = result.goodness[:, 0] - result.goodness[:, 1]
    found.block_variance[row], found.block_counts[row] = result.goodness[:, 2:].T
    found.residuals[row] = result.residuals
    found.expected[row] = result.expected
    consistency = Consistency(*result.consistency)
    for name in CHECKED:
        getattr(found, name)[row] = getattr(consistency, name)


def _filled(rows, results: list[PixelFit], templates: Templates, options: JointOptions):
    """Rows (n,) of the product for as many valid fits, with STATUS; each from its fit alone."""
    theta = np.array([result.theta for result in results])
    covariance = np.array([result.covariance for result in results])
    span = PIVOT_HIGH - PIVOT_LOW
    low, high = theta[:, 0], theta[:, 1]
    var_low, mixed, var_high = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    rows["GAIN"] = (high - low) / span
    rows["OFFSET"] = (PIVOT_HIGH * low - PIVOT_LOW * high) / span
    rows["GAIN_ERR"] = np.sqrt(var_low - 2.0 * mixed + var_high) / span
    rows["OFFSET_ERR"] = (
        np.sqrt(
            PIVOT_HIGH**2 * var_low - 2.0 * PIVOT_HIGH * PIVOT_LOW * mixed + PIVOT_LOW**2 * var_high
        )
        / span
    )
    rows["GAIN_OFFSET_COV"] = (
        (PIVOT_HIGH + PIVOT_LOW) * mixed - PIVOT_HIGH * var_low - PIVOT_LOW * var_high
    ) / span**2
    log_resolution, its_variance = theta[:, RESOLUTION], covariance[:, RESOLUTION, RESOLUTION]
    rows["FWHM_60"] = templates.fwhm_60 * np.exp(log_resolution)
    rows["FWHM_60_ERR"] = rows["FWHM_60"] * np.sqrt(its_variance)
    rows["WIDTH_RATIO"], rows["WIDTH_RATIO_ERR"] = _width_ratio(
        log_resolution, its_variance, templates.population_scale[0]
    )
    rows["TAIL"], rows["TAIL_ERR"] = theta[:, TAIL], np.sqrt(covariance[:, TAIL, TAIL])
    _fill_consistency(rows, [Consistency(*result.consistency) for result in results])
    _fill_goodness(rows, results, templates.misfit)
    missing = _lines_missing(results, theta, covariance, templates, options)
    lowest, highest = LOG_RESOLUTION_LIMITS[0] + 1e-6, LOG_RESOLUTION_LIMITS[1] - 1e-6
    for bit, is_set in (
        (EnergyStatus.LINE_MISSING, missing),
        (EnergyStatus.AT_LIMIT, ~((lowest < log_resolution) & (log_resolution < highest))),
        (EnergyStatus.POOR_FIT, rows["PVALUE_CAMERA"] < options.pvalue_limit),
        (EnergyStatus.CHANGED, is_change(rows["DRIFT"], rows["DRIFT_PVALUE"])),
    ):
        rows["STATUS"] |= np.where(is_set, int(bit), 0).astype(np.int32)
    return rows


def _lines_missing(results, theta, covariance, templates: Templates, options: JointOptions):
    """Pixels (n,) that lack a line group, with the typical misfit of its block in the error."""
    group = slice(N_SHARED + len(templates.limits), None)
    line, variance = theta[:, group], np.diagonal(covariance, 0, 1, 2)[:, group]
    goodness = np.array([result.goodness for result in results])
    of_block = dispersion(templates.misfit, goodness[:, :, 3], goodness[:, :, 2])
    error = np.sqrt(variance * of_block[:, templates.group_block])
    scatter = templates.population_scale[N_OF_SHAPE + len(templates.limits) :]
    return is_missing(line, error, scatter if options.lines_scatter else 0.0).any(axis=1)


def _fill_goodness(rows, results: list[PixelFit], misfit: Misfit) -> None:
    """STAT, DOF, and the p-values, absolute and by what is typical of the camera."""
    goodness = np.array([result.goodness for result in results])
    stat, mean, variance, _ = goodness.sum(axis=1).T
    n_channels = np.array([result.n_channels for result in results])
    # A fit lowers the deviance by one per parameter that the data, not the prior, determine.
    n_free = len(results[0].theta)
    n_fitted = n_free - np.array([result.deviations[2] for result in results])
    rows["LOWEST_CHANNEL"] = [result.lowest for result in results]
    rows["STAT"], rows["DOF"] = stat, n_channels - n_free
    left = np.maximum(1.0 - n_fitted / n_channels, 0.05)
    mean, variance = np.maximum(mean - n_fitted, 0.05 * mean), variance * left
    rows["PVALUE"] = p_value(stat, mean, variance)
    # A model that is off by a part e of itself adds e^2 mu to the deviance of a channel.
    more = goodness[:, :, 3] * misfit.excess
    scatter = ((goodness[:, :, 3] * misfit.excess_scatter) ** 2).sum(axis=1)
    typical, spread = mean + more.sum(axis=1), variance + 4.0 * more.sum(axis=1) + scatter
    # How pixels scatter beyond counting has heavy tails, as the population prior has.
    with np.errstate(divide="ignore", invalid="ignore"):
        heavy = np.nan_to_num(t.sf((stat - typical) / np.sqrt(scatter), STUDENT_T_DOF))
    rows["PVALUE_CAMERA"] = np.maximum(p_value(stat, typical, spread), (scatter > 0.0) * heavy)


def is_change(drift_keV, pvalue) -> np.ndarray:
    """Whether pixels change within the exposure: by more than chance, and by what matters; (n,)."""
    with np.errstate(invalid="ignore"):
        return (pvalue < CHANGE_PVALUE) & (np.abs(drift_keV) > CHANGE_KEV)


def _width_ratio(log_ratio, variance, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Widths of the lines over the camera's by the counts of the pixels alone, with errors, (n,).

    One Newton step from the fit to what it would be without the population prior, Student's t of
    `scale` on the logarithm of the ratio, which draws a few counts to the camera's width.
    """
    x2 = (log_ratio / scale) ** 2
    slope = (STUDENT_T_DOF + 1.0) / (STUDENT_T_DOF + x2) * log_ratio / scale**2
    curvature = (STUDENT_T_DOF + 1.0) * (STUDENT_T_DOF - x2) / (STUDENT_T_DOF + x2) ** 2 / scale**2
    left = 1.0 - curvature * variance
    left = np.where(left > LEAST_OF_COUNTS, left, np.nan)
    ratio = np.exp(log_ratio + slope * variance / left)
    return ratio, ratio * np.sqrt(variance / left)


def _fill_consistency(rows, found: list[Consistency]) -> None:
    """Whether halves and blocks of the pixels agree, in numbers."""
    rows["FIRST_FRACTION"] = [one.first_fraction for one in found]
    drift = np.array([one.drift for one in found])
    covariance = np.array([one.drift_covariance for one in found])
    known = np.isfinite(drift).all(axis=1)
    rows["DRIFT"] = np.where(known, larger_of(np.nan_to_num(drift)), np.nan)
    rows["DRIFT_PVALUE"] = chance_of(drift, covariance)
    pull = np.array([one.block_shift for one in found]) / [one.block_shift_err for one in found]
    known = np.isfinite(pull)
    largest = np.where(known, np.abs(pull), 0.0).max(axis=1)
    rows["TENSION"] = np.where(known.any(axis=1), largest, np.nan)
    rows["BEND"] = [one.bend for one in found]
    rows["BEND_ERR"] = [one.bend_err for one in found]
    for name, values in zip(
        SECOND_COLUMNS, zip(*(one.second for one in found), strict=True), strict=True
    ):
        rows[name] = values


def larger_of(pairs: np.ndarray) -> np.ndarray:
    """That of each pair of numbers (n, 2) which is larger in size, with its sign (n,)."""
    return pairs[np.arange(len(pairs)), np.argmax(np.abs(pairs), axis=1)]


def chance_of(difference: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Probability (n,) of two differences (n, 2) or larger ones, of covariance (n, 2, 2).

    The chi-square of two degrees of freedom; NaN where they are not known.
    """
    a, b = difference.T
    (aa, ab), (_, bb) = np.moveaxis(covariance, 0, -1)
    return np.exp(-0.5 * (bb * a**2 - 2.0 * ab * a * b + aa * b**2) / (aa * bb - ab**2))
