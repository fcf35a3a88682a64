"""Thresholds that reach into the lowest block of lines: which channels of a pixel are believed.

The threshold of a pixel may lie anywhere, and it is soft. Below it counts are missing that the
model has, and a fit would move the line beside it. The channels that it takes counts from are left
out of the fit; the line is fitted with what is left of its block.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.model import block_model
from pixelcal.numerics.jit import njit

THRESHOLD_SIGMA, THRESHOLD_PART = 4.0, 0.75
"""A threshold takes away so many sigma, and at the edge of the block leaves no more than this."""

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
    block = np.argmin(templates.limits[:, 0])
    start, n = first[block], last[block] - first[block]
    if n < 2:
        return 0
    block_model(theta, block, start, n, scale, templates, work)
    # By what the upper half of the block holds: its continuum may be fainter than in other pixels.
    upper, expected = 0.0, 0.0
    for i in range(n // 2, n):
        upper += counts[start + i]
        expected += work.mu[i]
    for i in range(n):
        work.below[0, i] = counts[start + i]
        work.below[1, i] = work.mu[i] * upper / max(expected, 1e-300)
    cut = cut_by_threshold(work.below[0], n, work.below[1])
    return start + min(cut + MARGIN, n) if cut > 0 else 0


@njit
def cut_by_threshold(seen, n, mus):
    """How many of the `n` channels, from the lowest on, a threshold takes counts from; 0, none.

    Those that together lack the most, where they lack it at the very edge already: a line that is
    missing leaves the continuum there.
    """
    most, lacking, total, cut = 0.0, 0.0, 0.0, 0
    for i in range(n):
        lacking += mus[i] - seen[i]
        if lacking > most:
            most, cut = lacking, i + 1
    at_edge, expected_at_edge = 0.0, 0.0
    for i in range(cut):
        total += mus[i]
        if 3 * i < cut:
            at_edge += seen[i]
            expected_at_edge += mus[i]
    is_clear = most > THRESHOLD_SIGMA * np.sqrt(total)
    return cut if is_clear and at_edge < THRESHOLD_PART * expected_at_edge else 0
