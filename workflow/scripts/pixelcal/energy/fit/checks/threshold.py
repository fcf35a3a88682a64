"""Thresholds that reach into the lowest block of lines: which channels of a pixel are believed.

The threshold of a pixel may lie anywhere, and it is soft. Below it counts are missing that the
model has, and a fit would move the line beside it. The channels that it takes counts from are left
out of the fit; the line is fitted with what is left of its block.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.model import block_model
from pixelcal.numerics.jit import njit

LOWEST = 0
"""Blocks stand by rising energy."""

THRESHOLD_SIGMA, THRESHOLD_PART = 4.0, 0.75
"""A threshold takes away so many sigma, and at the edge of the block leaves no more than this."""

RISE = 1.3
"""Noise makes the low edge of a block so many times brighter."""

UNCLEAR_SIGMA = 2.0
"""Channels at the upper end of what lacks that together lack less than this are not cut off: where
the level of the block is known by few counts, half of all channels seem to lack some."""

MARGIN = 2
"""Channels above the last one that clearly lacks counts which are left out as well."""


@njit
def lowest_believed(counts, first, last, theta, scale, templates, work):
    """The lowest channel that no threshold takes counts from; 0 where none reaches into a block.

    Parameters
    ----------
    counts : (n_channels,) int32
    first, last : (n_blocks,) int
        First and one past the last channel of each block.
    theta : (n_free,) float
        Near those of the pixel.
    scale : float
        Counts relative to the camera's mean pixel.
    templates : Templates
    work : Workspace
    """
    start, n = first[LOWEST], last[LOWEST] - first[LOWEST]
    if n < 2:
        return 0
    block_model(theta, LOWEST, start, n, scale, templates, work)
    _level(counts, start, n, work)
    cut = cut_by_threshold(work.below[0], n, work.below[1], work.below[2, 0])
    return start + min(cut + MARGIN, n) if cut > 0 else 0


@njit
def excess_at_edge(counts, start, n, work):
    """By how many sigma the lowest block is brighter than its model at its low edge, as with noise.

    0 where it is not by `RISE`. `work` holds the model of the `n` channels from `start` on.
    """
    if n < 2:
        return 0.0
    _level(counts, start, n, work)
    seen, expected = 0.0, 0.0
    for i in range(max(n // 3, 1)):
        seen += work.below[0, i]
        expected += work.below[1, i]
    error = np.sqrt(expected + expected**2 / work.below[2, 0])
    return (seen - expected) / error if seen > RISE * expected else 0.0


@njit
def _level(counts, start, n, work):
    """Put the counts of `n` channels and their model, at the level of the upper end, in `below`.

    Continuum and lines of a pixel may be brighter or fainter than in others; beyond the lines the
    continuum alone says by how much. Rows 0 and 1 of `work.below`.
    """
    upper, expected = 1.0, 1e-300
    for i in range(n - max(n // 4, 1), n):
        upper += counts[start + i]
        expected += work.mu[i]
    for i in range(n):
        work.below[0, i] = counts[start + i]
        work.below[1, i] = work.mu[i] * upper / expected
    work.below[2, 0] = upper


@njit
def cut_by_threshold(seen, n, mus, level):
    """How many of the `n` channels, from the lowest on, a threshold takes counts from; 0, none.

    `level` are the counts that the level of the model `mus` is known by.

    Those that together lack the most, where they lack it at the very edge already: a line that is
    missing leaves the continuum there.
    """
    most, lacking, total, cut = 0.0, 0.0, 0.0, 0
    for i in range(n):
        lacking += mus[i] - seen[i]
        if lacking > most:
            most, cut = lacking, i + 1
    lacking = 0.0
    for i in range(cut - 1, -1, -1):
        lacking += mus[i] - seen[i]
        total += mus[i]
        if lacking > UNCLEAR_SIGMA * np.sqrt(total + total**2 / level):
            break
        cut = i
        most -= mus[i] - seen[i]
    at_edge, expected_at_edge, total = 0.0, 0.0, 0.0
    for i in range(cut):
        total += mus[i]
        if 3 * i < cut:
            at_edge += seen[i]
            expected_at_edge += mus[i]
    is_clear = most > THRESHOLD_SIGMA * np.sqrt(total + total**2 / level)
    return cut if is_clear and at_edge < THRESHOLD_PART * expected_at_edge else 0
