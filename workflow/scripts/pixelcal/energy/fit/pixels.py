"""The joint fit of a camera's pixels from the prior relation on: the way of a chunk of pixels.

Seeds (`fit.start`), the fit from them (`fit.joint`), that with noise of the pixels in which it may
hide (`fit.second_look.noise`), a second look at those whose fit is in doubt (`fit.doubts`), and
fits of halves of the exposure and of widths where these are in doubt.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import norm

from pixelcal.energy.fit.camera_prior import nearer_prior
from pixelcal.energy.fit.checks.threshold import BELOW_KEV, LOWEST, below_block
from pixelcal.energy.fit.columns import residual_edges
from pixelcal.energy.fit.doubts import Doubtful, look_again
from pixelcal.energy.fit.joint import (
    Deviations,
    JointOptions,
    chance_of,
    fit_joint,
    is_change,
    larger_of,
)
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.second_look.noise import fit_noise
from pixelcal.energy.fit.start import find_starts, outside_search_window
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import relation_covariance
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates
from pixelcal.numerics.statistics import evenly
from pixelcal.status import EnergyStatus, has_valid_fit

ASKED = 16
"""Pixels that are fitted to decide whether the prior of all of them is far off."""

DOUBT_HALVES = 0.01
"""The halves of an exposure are fitted apart where they agree by chance so rarely."""

DOUBT_WIDTH_SIGMA, DOUBT_WIDTH_RATIO = 1.3, 1.1
FREE_WIDTH_SCALE = 0.5
"""The width of a pixel is fitted almost without the population prior, which has this scale then,
where its counts want it larger by so many sigma, and by this factor: less is no other width."""

WIDE_FRACTION, WIDE_RANGE = 0.01, 10.0
"""A pixel in a hundred is taken to have wider lines than the camera's, by any number of standard
errors up to this."""

NO_FIT = 20.0
"""Deviance beyond its expectation that a block without a valid fit counts for."""


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
    """The fits alone of `fit_with_residuals`, (n,) of `fit.columns.FIT_DTYPE`."""
    data = counts, detnum, gain, offset, table, response, options, first_half
    return fit_with_residuals(*data)[0]


def fit_with_residuals(
    counts: np.ndarray,
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions,
    first_half: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit gain and offset of many pixels from matched-filter seeds, those in doubt again.

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
    fits : (n,) of `fit.columns.FIT_DTYPE`
        STATUS bit 8 where the relation is outside the search window, bit 128 (CHANGED) where the
        halves of the exposure do not agree.
    residuals : (n, n_bins, 3) float
        Counts, expected counts and variance of the residuals in the bins of
        `fit.columns.residual_edges`; NaN without a valid fit, and of a pixel that the second look
        gave another one.
    expected : (n, n_channels) float
        Expected counts of the channels, 0 outside of the blocks; NaN as the residuals.
    """
    templates = make_templates(response, table)
    some = evenly(len(counts), ASKED)

    def misfit(gain, offset):
        near = gain[some], offset[some]
        data = Doubtful(counts[some], None, *near, table, response.shape, templates, options)
        return _misfit(data, detnum[some])

    near = nearer_prior(counts, gain, offset, table, response.shape, options.search, misfit)
    starts = find_starts(counts, *near, table, response.shape, options.search)
    fits, found = fit_joint(counts, detnum, *starts, templates, options, first_half)
    once = fits["GAIN"].copy()
    data = Doubtful(counts, first_half, *near, table, response.shape, templates, options)
    fit_noise(fits, found, data)
    if first_half is not None:
        _look_again(fits, found, data)
    outside = outside_search_window(fits["GAIN"], fits["OFFSET"], gain, offset, options.search)
    fits["STATUS"][outside] |= int(EnergyStatus.AT_LIMIT)
    for values in (found.residuals, found.expected):
        values[fits["GAIN"] != once] = np.nan
    _leave_out_thresholds(fits, found, data)
    return fits, found.residuals, found.expected


def _misfit(data: Doubtful, detnum: np.ndarray) -> np.ndarray:
    """Deviance (n,) beyond its expectation of pixels whose prior relations are those of `data`."""
    known = data.gain, data.offset, data.table, data.shape, data.options.search
    starts = find_starts(data.counts, *known)
    fits, found = fit_joint(
        data.counts, detnum, *starts, data.templates, data.options, added_up=False
    )
    fit_noise(fits, found, data)
    return np.nan_to_num(found.block_misfit, nan=NO_FIT).sum(axis=1)


def _leave_out_thresholds(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Take residuals out next to thresholds: they take counts, and say nothing of the model."""
    level, valid = found.normalisation[:, LOWEST], has_valid_fit(fits["STATUS"])
    gain, offset = (np.where(valid, fits[name], 1.0) for name in ("GAIN", "OFFSET"))
    lacking, noisy = below_block(data.counts, gain, offset, level, data.templates)
    spoilt = valid & (lacking | noisy | (fits["LOWEST_CHANNEL"] > 0))
    reach = data.templates.limits[LOWEST, 0] + BELOW_KEV
    edges = residual_edges(data.templates.limits)[LOWEST]
    n_bins = int((edges[:-1] < reach - 1e-9).sum())
    found.residuals[spoilt, :n_bins] *= 0.0  # what is not known remains so
    channel = np.arange(found.expected.shape[1])
    near = gain[:, None] * (channel + 0.5) + offset[:, None] < edges[n_bins]
    found.expected[spoilt[:, None] & near] *= 0.0


def _look_again(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """All that is fitted again; replaces rows of `fits` (n,) and sets bits of STATUS."""
    look_again(fits, found, data)
    _compare_halves(fits, data)
    _free_widths(fits, data)


def _compare_halves(fits: np.ndarray, data: Doubtful) -> None:
    """Fit the halves of the exposure apart where the score test doubts that they agree.

    Bit 128 (CHANGED) where they do not.

    The score sees small changes best. By a large one lines jump out of their own flanks. Where a
    block was left out the score alone must do: the block spoils both halves.
    """
    with np.errstate(invalid="ignore"):
        doubtful = fits["DRIFT_PVALUE"] < DOUBT_HALVES
    rows = np.flatnonzero(doubtful & ~is_mended(fits))
    if not len(rows):
        return
    early = data.first_half[rows]
    halves = [_fit_alone(counts, rows, fits, data) for counts in (early, data.counts[rows] - early)]
    both = np.all([has_valid_fit(half["STATUS"]) for half in halves], axis=0)
    rows, halves = rows[both], [half[both] for half in halves]
    pivots = np.array([PIVOT_LOW, PIVOT_HIGH])
    to_energy = np.column_stack([pivots, np.ones(2)])
    first, second = (half["GAIN"][:, None] * pivots + half["OFFSET"][:, None] for half in halves)
    drift = first - second
    covariance = sum(to_energy @ relation_covariance(half) @ to_energy.T for half in halves)
    pvalue = chance_of(drift, covariance)
    clearer = pvalue < fits["DRIFT_PVALUE"][rows]
    fits["DRIFT"][rows[clearer]] = larger_of(drift[clearer])
    fits["DRIFT_PVALUE"][rows[clearer]] = pvalue[clearer]
    changed = rows[is_change(fits["DRIFT"][rows], fits["DRIFT_PVALUE"][rows])]
    fits["STATUS"][changed] |= int(EnergyStatus.CHANGED)


def _free_widths(fits: np.ndarray, data: Doubtful) -> None:
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
    _mix_errors(rows, fits, free, _chance_of_width(free, camera))


def _chance_of_width(free: np.ndarray, scale: float) -> np.ndarray:
    """Probability (n,) that pixels have wider lines than a camera whose widths have this scale.

    By Bayes' theorem from `WIDE_FRACTION`, with significances spread evenly where there are.
    """
    ratio = free["WIDTH_RATIO"]
    z = np.log(ratio) / np.hypot(free["WIDTH_RATIO_ERR"] / ratio, scale)
    real = np.where(z > 0.0, WIDE_FRACTION / WIDE_RANGE, 0.0)
    return real / (real + (1.0 - WIDE_FRACTION) * norm.pdf(z))


def _mix_errors(rows, fits: np.ndarray, free: np.ndarray, chance: np.ndarray) -> None:
    """Give pixels `rows` (m,) the covariance of two relations, the other one with a `chance` (m,).

    That of a mixture about the relation that is kept; nothing becomes more certain by it.
    """
    apart = np.column_stack([free[name] - fits[name][rows] for name in ("GAIN", "OFFSET")])
    known = relation_covariance(fits[rows])
    more = relation_covariance(free) - known + apart[:, :, None] * apart[:, None]
    # In keV: what a gain does at the upper pivot, and an offset.
    units = np.outer([PIVOT_HIGH, 1.0], [PIVOT_HIGH, 1.0])
    size, axes = np.linalg.eigh(np.where(np.isfinite(more), more, 0.0) * units)
    more = (axes * np.maximum(size, 0.0)[:, None]) @ axes.swapaxes(1, 2)
    mixed = known + chance[:, None, None] * more / units
    fits["GAIN_ERR"][rows], fits["OFFSET_ERR"][rows] = np.sqrt(np.diagonal(mixed, 0, 1, 2)).T
    fits["GAIN_OFFSET_COV"][rows] = mixed[:, 0, 1]


def _fit_alone(counts, rows, fits, data: Doubtful) -> np.ndarray:
    """Fits (m,) of a half of the exposure of the pixels `rows`, `counts` (m, n_channels)."""
    known = fits["GAIN"][rows], fits["OFFSET"][rows]
    starts = find_starts(counts, *known, data.table, data.shape, data.options.search)
    half = replace(data.options, min_counts=data.options.min_counts // 2)
    known = fits["DETNUM"][rows], *starts, data.templates, half
    return fit_joint(counts, *known, added_up=False)[0]
