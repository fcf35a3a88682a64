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

from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.fit.consistency import Consistency
from pixelcal.energy.fit.likelihood import PixelFit, fit_pixel
from pixelcal.energy.fit.model import LOG_RESOLUTION_LIMITS, N_SHARED, PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.start import find_starts, outside_search_window
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import Templates, make_templates, without_block
from pixelcal.numerics.goodness_of_fit import moment_table, p_value
from pixelcal.status import EnergyStatus, has_valid_fit

CHANGE_PVALUE = 1e-5
CHANGE_KEV = 0.15
"""A pixel changes within the exposure where its halves differ by so much, and by chance so rarely:
one false flag in 100 000 pixels, and none for a drift that does not matter."""

TENSION_SIGMA = 4.5
TENSION_KEV = 0.2
"""A block contradicts the others where its lines stand off by so much, and so many sigma."""

FEWEST_BLOCKS = 3
"""Blocks that must be left to say that it was the other one that was wrong."""

MISSING_FRACTION = 0.3
MISSING_SIGNIFICANCE = 4.0
"""A line group is missing where it has less than this fraction of the camera's, by so many
sigma."""


class Deviations(NamedTuple):
    """How pixels differ from the camera, see `response.population`.

    Attributes
    ----------
    value, variance : (n, 1 + n_blocks + n_groups) float
        Logarithm of the factor on the resolution; normalisations of continua and line groups
        minus their location.
    normalisation : (n, n_blocks + n_groups) float
        Continua, then line groups, relative to the camera's mean pixel.
    spoilt : (n,) int
        The block that contradicts the others, where the pixel was checked and one does; else -1.
    """

    value: np.ndarray
    variance: np.ndarray
    normalisation: np.ndarray
    spoilt: np.ndarray


@dataclass(frozen=True)
class JointOptions:
    """Options of the joint fit; their defaults stand in the schema of the configuration.

    Attributes
    ----------
    min_counts : int
        A pixel with fewer counts in the blocks is not fitted.
    pvalue_limit : float
        A smaller p-value sets STATUS bit 32.
    """

    min_counts: int
    pvalue_limit: float


def fit_pixels(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions,
    first_half: np.ndarray | None = None,
) -> np.ndarray:
    """Fit gain and offset of many pixels from matched-filter seeds.

    A block that contradicts the others is left out of the fit of its pixel.

    Parameters
    ----------
    counts : (n, n_channels) int
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relation: the middle of the search window.
    table : LineTable
    response : Response
        Learnt with the same table.
    options : JointOptions
    first_half : (n, n_channels) int, optional
        Counts of the first half of the exposure. Without them the pixels are not checked for
        consistency, neither of their halves nor of their blocks.

    Returns
    -------
    (n,) of `fit.columns.FIT_DTYPE`
        STATUS bit 8 where the relation is outside the search window.
    """
    starts = find_starts(counts, gain, offset, table, response.shape)
    templates = make_templates(response, table)
    fits, found = fit_joint(counts, detnum, *starts, templates, options, first_half)
    if first_half is not None:
        _leave_spoilt_out(fits, found.spoilt, counts, templates, options, first_half)
    fits["STATUS"][outside_search_window(fits["GAIN"], fits["OFFSET"], gain, offset)] |= int(
        EnergyStatus.AT_LIMIT
    )
    return fits


def fit_joint(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    templates: Templates,
    options: JointOptions,
    first_half: np.ndarray | None = None,
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
        As for `fit_pixels`.

    Returns
    -------
    fits : (n,) of `fit.columns.FIT_DTYPE`
        NaN and a STATUS where there is no valid fit.
    deviations : Deviations
    """
    fits = empty_fits(detnum)
    unknown = np.full((len(counts), len(templates.population_scale)), np.nan)
    nowhere = np.full(len(counts), -1)
    found = Deviations(unknown, unknown.copy(), unknown[:, 1:].copy(), nowhere)
    moments, no_half = moment_table(), np.empty(0, np.int32)
    for i in range(len(counts)):
        result = PixelFit(
            *fit_pixel(
                np.ascontiguousarray(counts[i], dtype=np.int32),
                no_half if first_half is None else np.ascontiguousarray(first_half[i], np.int32),
                float(gain[i]),
                float(offset[i]),
                templates,
                moments,
                float(options.min_counts),
            )
        )
        _fill_row(fits[i : i + 1], result, templates, options)
        if has_valid_fit(result.status):
            found.value[i], found.variance[i], _ = result.deviations
            found.normalisation[i] = result.theta[N_SHARED:] * result.scale
            found.spoilt[i] = _spoilt_block(Consistency(*result.consistency))
    return fits, found


def _fill_row(row, result: PixelFit, templates: Templates, options: JointOptions) -> None:
    """Turn the result of one pixel into a row of the product, with its STATUS."""
    row["COUNTS"], row["NITER"], row["STATUS"] = result.used, result.iterations, result.status
    if not has_valid_fit(result.status):
        return
    theta, covariance, n_channels = result.theta, result.covariance, result.n_channels
    span = PIVOT_HIGH - PIVOT_LOW
    to_relation = np.array([[-1.0 / span, 1.0 / span], [PIVOT_HIGH / span, -PIVOT_LOW / span]])
    gain, offset = to_relation @ theta[:2]
    of_relation = to_relation @ covariance[:2, :2] @ to_relation.T
    row["GAIN"], row["OFFSET"] = gain, offset
    row["GAIN_ERR"], row["OFFSET_ERR"] = np.sqrt(np.diag(of_relation))
    row["GAIN_OFFSET_COV"] = of_relation[0, 1]
    row["FWHM_60"] = templates.fwhm_60 * np.exp(theta[2])
    row["FWHM_60_ERR"] = row["FWHM_60"] * np.sqrt(covariance[2, 2])
    _fill_consistency(row, Consistency(*result.consistency))
    stat, mean, variance = result.goodness
    *_, n_effective_prior = result.deviations
    # A fit lowers the deviance by one per parameter that the data, not the prior, determine.
    n_fitted = len(theta) - n_effective_prior
    row["STAT"], row["DOF"] = stat, n_channels - len(theta)
    left = max(1.0 - n_fitted / n_channels, 0.05)
    row["PVALUE"] = p_value(stat, max(mean - n_fitted, 0.05 * mean), variance * left)
    n_blocks = len(templates.limits)
    line = theta[N_SHARED + n_blocks :]
    line_err = np.sqrt(np.diag(covariance)[N_SHARED + n_blocks :])
    if np.any((line < MISSING_FRACTION) & (1.0 - line > MISSING_SIGNIFICANCE * line_err)):
        row["STATUS"] |= int(EnergyStatus.LINE_MISSING)
    if not LOG_RESOLUTION_LIMITS[0] + 1e-6 < theta[2] < LOG_RESOLUTION_LIMITS[1] - 1e-6:
        row["STATUS"] |= int(EnergyStatus.AT_LIMIT)
    if row["PVALUE"] < options.pvalue_limit:
        row["STATUS"] |= int(EnergyStatus.POOR_FIT)


def _fill_consistency(row, found: Consistency) -> None:
    """Whether halves and blocks of a pixel agree: columns, and bit 128."""
    row["FIRST_FRACTION"] = found.first_fraction
    if np.isfinite(found.drift).all():
        quadratic = found.drift @ np.linalg.solve(found.drift_covariance, found.drift)
        row["DRIFT"] = found.drift[np.argmax(np.abs(found.drift))]
        row["DRIFT_PVALUE"] = np.exp(-0.5 * quadratic)  # chi-square of two degrees of freedom
        if row["DRIFT_PVALUE"] < CHANGE_PVALUE and np.abs(row["DRIFT"]) > CHANGE_KEV:
            row["STATUS"] |= int(EnergyStatus.CHANGED)
    if np.isfinite(found.block_shift).any():
        row["TENSION"] = np.nanmax(np.abs(found.block_shift / found.block_shift_err))


def _spoilt_block(found: Consistency) -> int:
    """The block that contradicts the others by more than chance and by what matters; -1 if none."""
    pull = np.abs(found.block_shift / found.block_shift_err)
    if not np.isfinite(pull).any():
        return -1
    block = int(np.nanargmax(pull))
    matters = abs(found.block_shift[block]) > TENSION_KEV
    return block if pull[block] > TENSION_SIGMA and matters else -1


def _leave_spoilt_out(fits, spoilt, counts, templates, options, first_half) -> None:
    """Fit pixels again without the block that contradicts the others, and replace their rows.

    Where the blocks that are left still contradict each other, or are too few to tell, the row
    stays and is a poor fit.
    """
    fits["STATUS"][spoilt >= 0] |= int(EnergyStatus.POOR_FIT)
    if len(templates.limits) <= FEWEST_BLOCKS:
        return
    for block in np.unique(spoilt[spoilt >= 0]):
        rows = np.flatnonzero(spoilt == block)
        again, found = fit_joint(
            counts[rows],
            fits["DETNUM"][rows],
            fits["GAIN"][rows],
            fits["OFFSET"][rows],
            without_block(templates, block),
            options,
            first_half[rows],
        )
        agree = (found.spoilt < 0) & has_valid_fit(again["STATUS"])
        again["BLOCKS_OUT"] = 1 << int(block)
        fits[rows[agree]] = again[agree]
