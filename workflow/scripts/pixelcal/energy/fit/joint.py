"""Gain and offset of a pixel in one Poisson likelihood over all blocks of the line table.

Free parameters of a pixel: its energies at two pivot positions on the channel axis (that is gain
and offset, in coordinates that hardly correlate), the logarithm of the factor on its resolution,
and the normalisation of every continuum and line group relative to what the camera's mean pixel
has. The shapes are the camera's (`templates.py`). One pixel is fitted in `joint_kernel.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.fit.likelihood import PixelFit, fit_pixel
from pixelcal.energy.fit.model import LOG_RESOLUTION_LIMITS, N_SHARED, PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.start import find_starts, outside_search_window
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import Templates, make_templates
from pixelcal.numerics.goodness_of_fit import moment_table, p_value
from pixelcal.status import EnergyStatus, has_valid_fit

MISSING_SHARE = 0.3
MISSING_SIGNIFICANCE = 4.0
"""A line group is missing where it has less than this share of the camera's, by so many sigma."""


class Deviations(NamedTuple):
    """How pixels differ from the camera, see `spread.py`.

    Attributes
    ----------
    value, variance : (n, 1 + n_blocks + n_groups) float
        Logarithm of the factor on the resolution; normalisations of continua and line groups less
        their centre.
    normalisation : (n, n_blocks + n_groups) float
        Continua, then line groups, relative to the camera's mean pixel.
    """

    value: np.ndarray
    variance: np.ndarray
    normalisation: np.ndarray


@dataclass(frozen=True)
class JointOptions:
    """Options of the joint fit.

    Attributes
    ----------
    min_counts : int
        Fewer counts than this in the blocks: no answer.
    pvalue_limit : float
        A smaller p-value sets STATUS bit 32.
    """

    min_counts: int = 200
    pvalue_limit: float = 1e-4


def fit_pixels(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions | None = None,
) -> np.ndarray:
    """Find where the lines of each pixel stand, and fit gain and offset from there.

    Parameters
    ----------
    counts : (n, n_channels) int
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        The relation known before: the middle of the range that is searched.
    table : LineTable
    response : Response
        Learnt with the same table.
    options : JointOptions, optional

    Returns
    -------
    (n,) of `relation.FIT_DTYPE`
        STATUS bit 8 where the relation left the range that is searched.
    """
    starts = find_starts(counts, gain, offset, table, response.shape)
    fits, _ = fit_joint(counts, detnum, *starts, make_templates(response, table), options)
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
    options: JointOptions | None = None,
) -> tuple[np.ndarray, Deviations]:
    """Fit gain and offset of many pixels, each from a start that is near.

    Parameters
    ----------
    counts : (n, n_channels) int
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        Where each fit starts.
    templates : Templates
    options : JointOptions, optional

    Returns
    -------
    fits : (n,) of `relation.FIT_DTYPE`
        NaN and a STATUS where there is no answer.
    deviations : Deviations
    """
    options = options or JointOptions()
    fits = empty_fits(detnum)
    unknown = np.full((len(counts), len(templates.spread)), np.nan)
    found = Deviations(unknown, unknown.copy(), unknown[:, 1:].copy())
    moments = moment_table()
    for i in range(len(counts)):
        result = PixelFit(
            *fit_pixel(
                np.ascontiguousarray(counts[i], dtype=np.int32),
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
    own = to_relation @ covariance[:2, :2] @ to_relation.T
    row["GAIN"], row["OFFSET"] = gain, offset
    row["GAIN_ERR"], row["OFFSET_ERR"] = np.sqrt(np.diag(own))
    row["GAIN_OFFSET_COV"] = own[0, 1]
    row["FWHM_60"] = templates.fwhm_60 * np.exp(theta[2])
    stat, mean, variance = result.goodness
    *_, n_effective_prior = result.deviations
    # A fit takes the deviance down by one a parameter that the data, not the camera, determine.
    n_fitted = len(theta) - n_effective_prior
    row["STAT"], row["DOF"] = stat, n_channels - len(theta)
    left = max(1.0 - n_fitted / n_channels, 0.05)
    row["PVALUE"] = p_value(stat, max(mean - n_fitted, 0.05 * mean), variance * left)
    n_blocks = len(templates.limits)
    line = theta[N_SHARED + n_blocks :]
    line_err = np.sqrt(np.diag(covariance)[N_SHARED + n_blocks :])
    if np.any((line < MISSING_SHARE) & (1.0 - line > MISSING_SIGNIFICANCE * line_err)):
        row["STATUS"] |= int(EnergyStatus.LINE_MISSING)
    if not LOG_RESOLUTION_LIMITS[0] + 1e-6 < theta[2] < LOG_RESOLUTION_LIMITS[1] - 1e-6:
        row["STATUS"] |= int(EnergyStatus.AT_LIMIT)
    if row["PVALUE"] < options.pvalue_limit:
        row["STATUS"] |= int(EnergyStatus.POOR_FIT)
