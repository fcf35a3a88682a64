"""The joint fit of a camera's pixels from the prior relation on: the way of a chunk of pixels.

Seeds (`fit.start`), the fit from them (`fit.joint`), that with noise of the pixels in which it may
hide (`fit.second_look.noise`), a second look at those whose fit is in doubt (`.doubts`), and fits
of halves of the exposure, of widths and without a block where these are (`.halves`, `.widths`,
`.spoilt`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pixelcal.energy.fit.camera_prior import nearer_prior
from pixelcal.energy.fit.checks.threshold import BELOW_KEV, LOWEST, has_spoilt_edge
from pixelcal.energy.fit.columns import residual_edges
from pixelcal.energy.fit.joint import Deviations, JointOptions, fit_joint
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.fit.second_look.doubts import look_again
from pixelcal.energy.fit.second_look.halves import compare_halves
from pixelcal.energy.fit.second_look.noise import fit_noise
from pixelcal.energy.fit.second_look.spoilt import doubt_blocks
from pixelcal.energy.fit.second_look.widths import free_widths
from pixelcal.energy.fit.start import find_starts, outside_search_window
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates
from pixelcal.numerics.statistics import evenly
from pixelcal.status import EnergyStatus

ASKED = 16
"""Pixels that are fitted to decide whether the prior of all of them is far off."""

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
    data = Doubtful(counts, first_half, gain, offset, table, response.shape, templates, options)
    data = _from_nearer_prior(data, detnum)
    near = data.gain, data.offset
    starts = find_starts(counts, *near, table, response.shape, options.search)
    fits, found = fit_joint(counts, detnum, *starts, templates, options, first_half)
    once = fits["GAIN"].copy()
    fit_noise(fits, found, data)
    if first_half is not None:
        _check(fits, found, data)
    outside = outside_search_window(fits["GAIN"], fits["OFFSET"], gain, offset, options.search)
    fits["STATUS"][outside] |= int(EnergyStatus.AT_LIMIT)
    for values in (found.residuals, found.expected):
        values[fits["GAIN"] != once] = np.nan
    _leave_out_thresholds(fits, found, data)
    return fits, found.residuals, found.expected


def _from_nearer_prior(data: Doubtful, detnum: np.ndarray) -> Doubtful:
    """The same pixels, with a prior relation that is nearer where that of all is far off."""
    if not len(data.counts):
        return data
    some = evenly(len(data.counts), ASKED)

    def misfit(gain, offset):
        near = {"gain": gain[some], "offset": offset[some]}
        few = replace(data, counts=data.counts[some], first_half=None, **near)
        return _misfit(few, detnum[some])

    known = data.counts, data.gain, data.offset, data.table, data.shape, data.options.search
    near = nearer_prior(*known, misfit, (data.filters, data.far_filters))
    same = np.array_equal(near[0], data.gain) and np.array_equal(near[1], data.offset)
    return data if same else replace(data, gain=near[0], offset=near[1])


def _misfit(data: Doubtful, detnum: np.ndarray) -> np.ndarray:
    """Deviance (n,) beyond its expectation of pixels whose prior relations are those of `data`."""
    known = data.gain, data.offset, data.table, data.shape, data.options.search
    starts = find_starts(data.counts, *known)
    fits, found = fit_joint(
        data.counts, detnum, *starts, data.templates, data.options, added_up=False
    )
    fit_noise(fits, found, data)
    return np.nan_to_num(found.block_misfit, nan=NO_FIT).sum(axis=1)


def _check(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """What is fitted again where there is doubt; replaces rows of `fits`, sets bits of STATUS."""
    look_again(fits, found, data)
    compare_halves(fits, data)
    free_widths(fits, data)
    doubt_blocks(fits, found, data)


def _leave_out_thresholds(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Take residuals out next to thresholds: they take counts, and say nothing of the model."""
    gain, offset, lowest = (fits[name] for name in ("GAIN", "OFFSET", "LOWEST_CHANNEL"))
    level = found.normalisation[:, LOWEST]
    spoilt = has_spoilt_edge(data.counts, gain, offset, lowest, level, data.templates)
    reach = data.templates.limits[LOWEST, 0] + BELOW_KEV
    edges = residual_edges(data.templates.limits)[LOWEST]
    n_bins = int((edges[:-1] < reach - 1e-9).sum())
    found.residuals[spoilt, :n_bins] *= 0.0  # what is not known remains so
    channel = np.arange(found.expected.shape[1])
    near = gain[:, None] * (channel + 0.5) + offset[:, None] < edges[n_bins]
    found.expected[spoilt[:, None] & near] *= 0.0
