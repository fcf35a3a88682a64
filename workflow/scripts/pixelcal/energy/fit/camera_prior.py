"""Where the lines of the whole camera stand, when its prior may be far off for all pixels.

A prior of another bias voltage, another unit or another time is off for all of them. All pixels
together tell it, far more clearly than one of them.
"""

from __future__ import annotations

import logging

import numpy as np

from pixelcal.energy.fit.start import (
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


def nearer_prior(
    counts,
    gain,
    offset,
    table: LineTable,
    shape: LineShape,
    search: Window,
    misfit=None,
    filters=None,
):
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
    misfit : function of gain and offset (n,), optional
        Deviances (m,) of some pixels, which decide where the lines are nearly as well found outside
        as inside: they must fall for most pixels, not in the sum alone.
    filters : tuple, optional
        The filters of the median gain, and those far off, where they are known.

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
    if filters is None:
        filters = make_filters(table, shape, at[0]), make_far_filters(table, shape, at[0])
    filters = *filters, search

    def moved(far):
        return prior[0] * far[0] / at[0], prior[1] + far[1] - at[1]

    if misfit is None:
        far = _far_by_all_parts(counts, prior, at, filters, table, shape)
        best = prior if far is None else moved(far)
    else:
        seeds, known = find_far(_typical_sum(counts), *at, *filters)
        tried = [moved(far) for collected, far in seeds if collected > NEARLY_RATIO * known]
        known = misfit(*prior) if tried else None
        better = [known - misfit(*relation) for relation in tried]
        sure = [gained.sum() * _is_clear(gained) for gained in better]
        found = max(sure, default=0.0) >= FAR_PREFERENCE
        best = tried[int(np.argmax(sure))] if found else prior
    if best is not prior:
        logger.warning(FAR_OFF, np.median(best[0]), np.median(best[1]), *at)
    return best


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
