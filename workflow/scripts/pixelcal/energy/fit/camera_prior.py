"""Where the lines of the whole camera stand, when its prior may be far off for all pixels.

A prior of another bias voltage, another unit or another time is off for all of them. All pixels
together tell it, far more clearly than one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.start import (
    FilterBank,
    Filters,
    collected,
    find_far,
    make_far_filters,
    make_filters,
)
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.instrument import Window
from pixelcal.numerics.statistics import evenly

logger = logging.getLogger("pixelcal")

FAR_RATIO, NEARLY_RATIO = 1.08, 0.9
"""How much larger the sum of squares of a part of the camera must be outside the search window than
inside to believe it, and to ask the fits: wrong relations collect nearly as much as the right one.
"""

FAR_PREFERENCE = 36.0
"""The least that it must be, and by how much fewer the deviance: six sigma."""

MOST, CLEAR_SIGMA = 0.5, 4.0
"""Fraction of the pixels that must fit better there, and by how many of the errors of their mean:
with few counts a wrong relation fits a pixel as well as the right one."""

LOUD, LOUD_COUNTS = 3.0, 5.0
"""A channel of a pixel counts at most so many times what it has in half of all pixels, and some."""

SUMMED, ASKED, AT_ONCE = 512, 16, 4
"""Pixels of a camera whose sum is looked at before its fits are asked; pixels that are fitted for
an answer, and how many of them at once, for most wrong relations are so for the first ones."""

ALONE, SHARP = 32, 0.72
"""Pixels that are asked one by one, and the least that the sum of squares of all must be, of theirs
times the number of pixels: gains that scatter by 0.3 % leave 0.8 to 1.0, by 5 % 0.2."""

PARTS = 4
"""Parts of the camera that must all say so, where there are no fits to ask."""

FAR_OFF = (
    "the lines of all pixels are where gain %.4f keV/channel and offset %.2f keV put them,"
    " outside the search window around the prior (%.4f and %.2f); the pixels are marked, correct"
    " the prior"
)

ASKED_OF_A_CAMERA, AS_GOOD = 64, 0.99
"""Pixels that choose between relations of the camera, and how near to the best one is as good."""


class CameraPixels(NamedTuple):
    """Pixels evenly over a camera, which say where the lines of all of them stand.

    Attributes
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relations.
    """

    counts: np.ndarray
    gain: np.ndarray
    offset: np.ndarray

    @property
    def at(self) -> tuple[float, float]:
        """The typical prior relation."""
        return float(np.median(self.gain)), float(np.median(self.offset))


def pixels_of_camera(counts, gain, offset, rows=None) -> CameraPixels:
    """`SUMMED` of the pixels of a camera at most, or of its `rows` (m,) of one kind.

    Parameters as of `nearer_prior`.
    """
    some = evenly(len(counts) if rows is None else len(rows), SUMMED)
    chosen = some if rows is None else np.asarray(rows)[some]
    return CameraPixels(*(np.asarray(values)[chosen] for values in (counts, gain, offset)))


def move_by_fits(camera: CameraPixels, bank: FilterBank, search: Window, misfit: Callable):
    """By how much the priors of all pixels are to be moved to where their lines stand.

    Parameters
    ----------
    camera : CameraPixels
    bank : FilterBank
    search : Window
    misfit : function of gain, offset (n,) and numbers of pixels (m,)
        Deviances (m,) of these pixels. They decide where the lines are nearly as well found outside
        of the window as inside: they must fall for most pixels, not in the sum alone.

    Returns
    -------
    factor, shift_keV : float
        Of all gains, and of all offsets; 1 and 0 where the priors are near.
    """
    if not len(camera.counts):
        return 1.0, 0.0
    at = camera.at
    seeds, known = find_far(_typical_sum(camera.counts), *at, *_filters(bank, at), search)
    best, most = None, FAR_PREFERENCE
    of_prior = np.full(len(camera.counts), np.nan)
    for of_seed, far in seeds:
        if of_seed > NEARLY_RATIO * known:
            gained = _gained(camera, (far[0] / at[0], far[1] - at[1]), misfit, of_prior)
            # The first of equally good ones.
            if gained > most or (best is None and gained >= most):
                best, most = far, gained
    if best is None:
        return 1.0, 0.0
    logger.warning(FAR_OFF, *best, *at)
    return best[0] / at[0], best[1] - at[1]


def _gained(camera: CameraPixels, move, misfit: Callable, of_prior: np.ndarray) -> float:
    """By how much deviances fall with all priors moved, in sum; 0 where that is not clear.

    `of_prior` (n,) are the deviances without it, filled as they are needed. Some pixels at once:
    where half of all that are asked fit no better, the others need not be.
    """
    (factor, shift), gained = move, []
    asked = evenly(len(camera.counts), ASKED)
    moved = camera.gain * factor, camera.offset + shift
    for some in np.array_split(asked, -(-len(asked) // AT_ONCE)):
        unknown = some[np.isnan(of_prior[some])]
        if len(unknown):
            of_prior[unknown] = misfit(camera.gain, camera.offset, unknown)
        gained.extend(of_prior[some] - misfit(*moved, some))
        if np.sum(np.array(gained) <= 0.0) >= (1.0 - MOST) * len(asked):
            return 0.0
    return float(np.sum(gained)) * _is_clear(np.array(gained))


def _filters(bank: FilterBank, at) -> tuple[Filters, list[Filters]]:
    """The filters of a relation, within the search window and outside."""
    return bank.near(at[0]), bank.far(at[0])


def nearer_prior(counts, gain, offset, table: LineTable, shape: LineShape, search: Window):
    """The prior, or a relation nearer to where the lines of all pixels together stand.

    A prior of another voltage or unit is off for the whole camera: all pixels together tell it.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relation.
    table : LineTable
    shape : LineShape
        As for `find_starts`.
    search : Window

    Returns
    -------
    gain, offset : (n,) float, keV/channel and keV
        Those given, where the lines of the sum are found within the search window around their
        medians.
    """
    prior = np.array(gain, float), np.array(offset, float)
    if not len(counts):
        return prior
    at = tuple(float(np.median(values)) for values in prior)
    filters = make_filters(table, shape, at[0]), make_far_filters(table, shape, at[0]), search
    far = _far_by_all_parts(counts, prior, at, filters, table, shape)
    if far is None:
        return prior
    logger.warning(FAR_OFF, *far, *at)
    return prior[0] * far[0] / at[0], prior[1] + far[1] - at[1]


def _far_by_all_parts(counts, prior, at, filters, table: LineTable, shape: LineShape):
    """The relation outside the window that all parts of the camera find, or None."""
    seeds = []
    for pixels in np.array_split(np.asarray(counts), min(len(counts), PARTS)):
        part = _typical_sum(pixels)
        seeds, known = find_far(part, *at, *filters)
        if not seeds or seeds[0][0] < max(FAR_PREFERENCE, FAR_RATIO * known):
            return None
        if not _finds_more(part, seeds[0][1], at, table, shape):
            return None
    return seeds[0][1] if _is_sharp(counts, *prior, *filters) else None


def _typical_sum(counts) -> np.ndarray:
    """Sum (n_channels,) of the spectra (n, n_channels) of pixels, without what single ones add.

    Noise at low energy in a tenth of the pixels outshines the lines of all.
    """
    counts = np.asarray(counts)
    most = LOUD * np.median(counts, axis=0) + LOUD_COUNTS
    return np.minimum(counts, most).sum(axis=0)


def _is_clear(gained: np.ndarray) -> bool:
    """Whether the deviances (m,) of pixels fall by more than they scatter, and for most of them."""
    error = np.std(gained) / np.sqrt(len(gained))
    return bool(np.mean(gained > 0.0) > MOST and np.mean(gained) > CLEAR_SIGMA * error)


def _finds_more(counts, far, at, table: LineTable, shape: LineShape) -> bool:
    """Whether a relation finds more of the line groups than another one.

    Each group counts by the logarithm of its square: one that stands on another line, or on the
    slope of a continuum, can collect more than all groups at their places.
    """
    pixel, found = np.ascontiguousarray(counts, np.float64), []
    for gain, offset in (far, at):
        filters = make_filters(table, shape, gain)
        alone = [_of_group(filters, k) for k in range(len(filters.energy))]
        found.append(sum(np.log1p(collected(pixel, gain, offset, one)) for one in alone))
    return found[0] > found[1]


def _is_sharp(
    counts, gain, offset, filters: Filters, far_filters: list[Filters], search: Window
) -> bool:
    """Whether the sum of all pixels has lines nearly as sharp as pixels one by one have them.

    Where their relations scatter by more than a line is wide, the sum tells nothing.
    """
    alone = []
    for i in evenly(len(counts), ALONE):
        seeds, known = find_far(counts[i], gain[i], offset[i], filters, far_filters, search)
        alone.append(max(known, seeds[0][0] if seeds else 0.0))
    at = float(np.median(gain)), float(np.median(offset))
    seeds, _ = find_far(_typical_sum(counts), *at, filters, far_filters, search)
    return bool(seeds) and seeds[0][0] > SHARP * len(counts) * np.mean(alone)


def latest_that_fits(counts, gains, offsets, table: LineTable, shape: LineShape) -> int:
    """Which of several relations of the camera to start from: the first that puts lines on counts.

    A camera that was set up differently for a while has relations that are keV off.

    Parameters
    ----------
    counts : (n, n_channels) int
    gains, offsets : (m, n) float, keV/channel and keV
        The preferred relations first.
    table : LineTable
    shape : LineShape

    Returns
    -------
    int
        The first row whose sum of squares is within `AS_GOOD` of the largest.
    """
    some = evenly(len(counts), ASKED_OF_A_CAMERA)
    counts, gains, offsets = np.asarray(counts)[some], gains[:, some], offsets[:, some]
    filters = make_filters(table, shape, float(np.median(gains)))
    pixels = [np.ascontiguousarray(pixel, np.float64) for pixel in counts]
    totals = [
        sum(collected(*pixel, filters) for pixel in zip(pixels, *relation, strict=True))
        for relation in zip(gains, offsets, strict=True)
    ]
    return int(np.flatnonzero(np.array(totals) >= AS_GOOD * max(totals))[0])


def _of_group(filters: Filters, group: int) -> Filters:
    """The filter of one line group."""
    return Filters(*(values[group : group + 1] for values in filters))
