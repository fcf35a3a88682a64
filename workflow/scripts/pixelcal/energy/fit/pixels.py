"""The joint fit of a camera's pixels from the prior relation on: the way of a chunk of pixels.

Seeds (`fit.start`), the fit from them (`fit.joint`), that with noise of the pixels in which it may
hide (`fit.second_look.noise`), a second look at those whose fit is in doubt (`.doubts`), and fits
of halves of the exposure, of widths and without a block where these are (`.halves`, `.widths`,
`.spoilt`).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.camera_prior import CameraPixels, move_by_fits, pixels_of_camera
from pixelcal.energy.fit.checks.threshold import BELOW_KEV, LOWEST, has_spoilt_edge
from pixelcal.energy.fit.columns import residual_edges
from pixelcal.energy.fit.joint import Deviations, JointOptions, fit_joint
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.fit.second_look.doubts import look_again
from pixelcal.energy.fit.second_look.halves import compare_halves
from pixelcal.energy.fit.second_look.noise import fit_noise
from pixelcal.energy.fit.second_look.spoilt import doubt_blocks
from pixelcal.energy.fit.second_look.widths import free_widths
from pixelcal.energy.fit.start import FilterBank, find_starts, outside_search_window
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates
from pixelcal.status import EnergyStatus

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
    camera: CameraPixels | None = None,
) -> np.ndarray:
    """The fits alone of `fit_with_residuals`, (n,) of `fit.columns.FIT_DTYPE`."""
    data = counts, detnum, gain, offset, table, response, options, first_half, camera
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
    camera: CameraPixels | None = None,
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
    camera : CameraPixels, optional
        Those that say whether the prior of all pixels is far off: the result of a pixel depends on
        no other one that is given. By default they are of the pixels given.

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
    templates, bank = make_templates(response, table), FilterBank(table, response.shape)
    known = table, response.shape, templates, options, bank
    camera = camera or pixels_of_camera(counts, gain, offset)
    factor, shift = move_by_fits(camera, bank, options.search, _misfits(camera, known))
    near = np.asarray(gain, float) * factor, np.asarray(offset, float) + shift
    data = Doubtful(counts, first_half, *near, *known)
    starts = find_starts(counts, *near, table, response.shape, options.search, bank)
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


def _misfits(camera: CameraPixels, known: tuple):
    """The function that `move_by_fits` asks, by all else that is `known` of a `Doubtful`."""

    def misfit(gain, offset, some):
        data = Doubtful(camera.counts[some], None, gain[some], offset[some], *known)
        return _misfit(data, some)

    return misfit


def _misfit(data: Doubtful, detnum: np.ndarray) -> np.ndarray:
    """Deviance (n,) beyond its expectation of pixels whose prior relations are those of `data`."""
    known = data.gain, data.offset, data.table, data.shape, data.options.search
    starts = find_starts(data.counts, *known, data.bank)
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
    for row in np.flatnonzero(spoilt):  # an array of all channels of all pixels is dear
        near = gain[row] * (channel + 0.5) + offset[row] < edges[n_bins]
        found.expected[row, near] *= 0.0
