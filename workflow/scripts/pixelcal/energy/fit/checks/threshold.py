"""Thresholds that reach into the lowest block of lines: which channels of a pixel are believed.

The threshold of a pixel may lie anywhere, and it is soft. Below it counts are missing that the
model has, and a fit would move the line beside it. The channels that it takes counts from are left
out of the fit; the line is fitted with what is left of its block.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.model import N_SHARED, block_model, rows_of_block
from pixelcal.energy.response.population import WIDE_NORMALISATION
from pixelcal.energy.response.tables import Templates, continuum_at_edge
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, dot, solve

LOWEST = 0
"""Blocks stand by rising energy."""

THRESHOLD_SIGMA, THRESHOLD_PART = 4.0, 0.86
"""A threshold takes away so many sigma, and at the edge of the block leaves no more than this: a
continuum that is not quite the camera's lacks some per cent of itself."""

FEWEST_LEFT = 4
"""One in so many channels of the block, at its upper end, is above any threshold within it."""

PRIOR_SIGMA = WIDE_NORMALISATION
"""Continuum and lines of a pixel differ from the camera's by so much before its counts are seen."""

RISE = 1.3
"""Noise makes the low edge of a block so many times brighter."""

BELOW_KEV = 1.0
LACKING_SIGMA, EXCESS_SIGMA, EXCESS, CONTINUUM_SCATTER = 2.5, 4.0, 1.5, 0.1
"""A threshold is near where so far below the lowest block the continuum lacks so many sigma; noise
where it exceeds the camera's by so many, and by this factor. By 0.1 of itself the continuum of a
pixel may be another one there."""

REACH_FWHM, DARK_FRACTION = 4.0, 0.01
"""Neither is looked for where the threshold is further below the block, in FWHM at 60 keV: noise
from there does not reach it. A hundredth of the counts may be below the threshold."""

MARGIN = 2
"""Channels above the last one that clearly lacks counts which are left out as well."""


def has_spoilt_edge(counts, gain, offset, lowest, level, templates: Templates) -> np.ndarray:
    """Whether a threshold or noise is at the low edge of the lowest block of pixels, (n,) bool.

    By the threshold that a fit has found, or by the counts just below the block.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        NaN: nothing is told below the block.
    lowest : (n,) int
        Lowest channels that are believed, as `lowest_believed` gives them.
    level : (n,) float
        Continuum of the block relative to that of the camera's mean pixel; NaN: not known.
    templates : Templates
    """
    edge = templates.limits[LOWEST, 0]
    first = np.ceil((edge - BELOW_KEV - offset) / gain)
    last = np.floor((edge - offset) / gain)
    seen, n_below = _between(np.asarray(counts), first, last)
    per_keV = continuum_at_edge(templates, LOWEST) * np.nan_to_num(level)
    expected = per_keV * n_below * gain
    more = seen - expected
    sigma = more / np.hypot(np.sqrt(np.maximum(expected, 1.0)), CONTINUUM_SCATTER * expected)
    noisy = (sigma > EXCESS_SIGMA) & (more > (EXCESS - 1.0) * expected)
    near = has_near_threshold(counts, gain, offset, templates)
    return (near & ((sigma < -LACKING_SIGMA) | noisy)) | (lowest > 0)


def has_near_threshold(counts, gain, offset, templates: Templates) -> np.ndarray:
    """Whether the threshold of pixels is so near to the lowest block that noise reaches it; (n,).

    Parameters as of `has_spoilt_edge`.
    """
    reach = REACH_FWHM * templates.fwhm_60
    return gain * _dark(np.asarray(counts)) + offset > templates.limits[LOWEST, 0] - reach


@njit
def _dark(counts):
    """The lowest channels (n,) that hold `DARK_FRACTION` of all counts together, at most.

    Compiled as the next one: numpy makes arrays of all channels of all pixels on the way.
    """
    n, n_channels = counts.shape
    dark = np.zeros(n, np.int64)
    for i in range(n):
        total, seen = 0, 0
        for c in range(n_channels):
            total += counts[i, c]
        for c in range(n_channels):
            seen += counts[i, c]
            if seen > DARK_FRACTION * total:
                break
            dark[i] += 1
    return dark


@njit
def _between(counts, first, last):
    """Counts from channel `first` on to below `last` (n,), and the channels there; none with NaN.

    Two (n,) int.
    """
    n, n_channels = counts.shape
    seen, there = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(n):
        if not last[i] > max(first[i], 0.0):
            continue
        for c in range(int(min(max(first[i], 0.0), n_channels)), n_channels):
            if not c < last[i]:
                break
            seen[i] += counts[i, c]
            there[i] += 1
    return seen, there


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
    n_local, _ = block_model(theta, LOWEST, start, n, scale, templates, work)
    return _lowest_by_model(counts, start, n, n_local, work)


@njit
def lowest_after_fit(spectrum, templates, work):
    """As `lowest_believed`, by the model that a fit has left in the `work`; 0: none, or no news."""
    start, n = spectrum.first[LOWEST], spectrum.last[LOWEST] - spectrum.first[LOWEST]
    first_group, _, last_group = templates.groups[LOWEST]
    n_local = N_SHARED + 1 + last_group - first_group
    return _lowest_by_model(spectrum.counts, start, n, n_local, rows_of_block(work, start))


@njit
def _lowest_by_model(counts, start, n, n_local, rows):
    """The lowest believed of `n` channels from `start` on, whose model is in the `rows`."""
    if n < 2:
        return 0
    cut = cut_by_threshold(counts[start : start + n], rows.mu, rows.jacobian, n_local)
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
def cut_by_threshold(seen, mus, jacobian, n_local):
    """How many of the channels, from the lowest on, a threshold takes counts from; 0, none.

    A pixel may have more or less of the continuum and of each line than the camera. So for each
    place of a threshold these are fitted to the channels above it, by least squares with a wide
    prior around the camera's, and continued below. The place is where the channels below lack the
    most, in sigma of counts and continuation together. At the very edge they must lack it already,
    by the model too: a line that is missing leaves the continuum, one not exact promises too much.

    Parameters
    ----------
    seen : (n,) int32
    mus : (n,) float
        The model, whose counts are the variances.
    jacobian : (n, at least n_local) float
        Counts of each component for a normalisation of 1, in the columns from N_SHARED on.
    n_local : int
    """
    n, n_parts = seen.shape[0], n_local - N_SHARED
    matrix, vector = np.zeros((n_parts, n_parts)), np.zeros(n_parts)
    below, at_edge = np.zeros(n_parts), np.zeros(n_parts)
    lost, edge = 0.0, 0.0
    for p in range(n_parts):
        matrix[p, p] = vector[p] = 1.0 / PRIOR_SIGMA**2
    for i in range(n):
        lost += seen[i]
        for p in range(n_parts):
            below[p] += jacobian[i, N_SHARED + p]
    highest = n - max(n // FEWEST_LEFT, 1)
    largest, cut = THRESHOLD_SIGMA, 0
    for k in range(n - 1, 0, -1):
        # Channel k joins those above the threshold, which is below it.
        lost -= seen[k]
        for p in range(n_parts):
            by_p = jacobian[k, N_SHARED + p]
            below[p] -= by_p
            vector[p] += by_p * seen[k] / mus[k]
            for q in range(n_parts):
                matrix[p, q] += by_p * jacobian[k, N_SHARED + q] / mus[k]
        if k > highest:
            continue
        factor = cholesky(matrix)
        found = solve(factor, vector)
        expected = dot(found, below)
        if not expected > lost:
            continue
        variance = expected + dot(below, solve(factor, below))
        sigma = (expected - lost) / np.sqrt(variance)
        if sigma > largest:
            edge, by_model = 0.0, 0.0
            for p in range(n_parts):
                at_edge[p] = 0.0
            for i in range(max((k + 2) // 3, 1)):
                edge += seen[i]
                by_model += mus[i]
                for p in range(n_parts):
                    at_edge[p] += jacobian[i, N_SHARED + p]
            if edge < THRESHOLD_PART * min(dot(found, at_edge), by_model):
                largest, cut = sigma, k
    return cut
