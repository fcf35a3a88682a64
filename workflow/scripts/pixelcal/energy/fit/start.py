"""Matched-filter seeds: the relation near which the fit of a pixel starts.

A fit that starts two line widths off ends on the wrong line, or nowhere. Each line group is
therefore looked for first, by a matched filter that is blind to a bent continuum. It gives the
signal to noise of the group at every position on the channel axis. The seed is the relation whose
positions collect the largest sum of squares over the groups, within the search window below. It
needs neither the strengths of the lines nor a learnt response.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pixelcal.energy.lines import LineTable, lines_of_groups
from pixelcal.energy.response.line_shape import LineShape, line_pdf
from pixelcal.instrument import Window
from pixelcal.numerics.jit import njit

WINDOW_KEV = 2.2
"""The filter goes this far beyond the outermost lines of a group, to tell them from a continuum."""

PREFERENCE = 16.0
"""By how much the sum of squares must beat the best one near the prior to leave it: 4 sigma."""

DARK_FRACTION = 0.01
"""Fraction of the counts that may lie in channels on and below the edge of the threshold."""

LEAST_NOISE = 0.05
"""Counts per channel that are added, so that an empty stretch is not infinitely significant."""

NEAR_CHANNELS = 3
"""A relation whose positions are all this near to those of the prior counts as the prior."""


GAIN_STEP = 0.01
"""Priors whose gains differ by less, relatively, share filters: it moves the outermost line of a
group by a tenth of its width at most."""


class Filters(NamedTuple):
    """Matched filters of the line groups on a grid of channels.

    Attributes
    ----------
    energy : (n_groups,) float, keV
        Where the middle of each filter belongs.
    taps : (n_groups, n_taps) float
        The filter, centred; its sum and its first and second moments are zero.
    half_width : (n_groups,) int
        Taps in use on each side of the middle.
    block : (n_groups,) int
        The block of the line table that the group belongs to.
    """

    energy: np.ndarray
    taps: np.ndarray
    half_width: np.ndarray
    block: np.ndarray


FAR = Window(0.065, 5.0)
FAR_SCALES = 1.13 ** np.arange(-5.0, 4.0)
"""Where lines are looked for that are nowhere in the search window: gains of 0.51 to 1.54 times
that of the prior, each of these scales with a window and filters of its own."""


def make_filters(table: LineTable, shape: LineShape, gain: float) -> Filters:
    """Filters for the line groups of `table` with the profile `shape`, channels `gain` keV wide."""
    groups, energies, profiles = lines_of_groups(table), [], []
    for _, in_group in groups:
        lines, weights = table.energy_keV[in_group], table.intensity[in_group]
        middle = (lines.min() + lines.max()) / 2
        half = int(np.ceil(((lines.max() - lines.min()) / 2 + WINDOW_KEV) / gain))
        at = middle + gain * np.arange(-half, half + 1)
        profile = weights @ line_pdf(shape, lines, at, width=table.width_keV[in_group])
        profiles.append(_without_parabola(profile))
        energies.append(middle)
    half_width = np.array([len(profile) // 2 for profile in profiles])
    taps = np.zeros((len(groups), 2 * half_width.max() + 1))
    for row, profile, half in zip(taps, profiles, half_width, strict=True):
        row[: 2 * half + 1] = profile
    return Filters(np.array(energies), taps, half_width, np.array([block for block, _ in groups]))


class FilterBank:
    """The filters of each pixel, by the gain of its prior alone; each is made once, when asked for.

    Which pixels are fitted together must not matter: the gain is rounded to a step of `GAIN_STEP`.

    Parameters
    ----------
    table : LineTable
    shape : LineShape
        As for `find_starts`.
    """

    def __init__(self, table: LineTable, shape: LineShape):
        self._table, self._shape = table, shape
        self._near: dict[int, Filters] = {}
        self._far: dict[int, list[Filters]] = {}

    def near(self, gain: float) -> Filters:
        """Those that seeds within the search window of a prior with `gain` are found with."""
        return self._kept(self._near, make_filters, gain)

    def far(self, gain: float) -> list[Filters]:
        """Those that seeds outside of it are found with, for each of `FAR_SCALES`."""
        return self._kept(self._far, make_far_filters, gain)

    def _kept(self, made: dict, make: Callable, gain: float):
        """What `make` gives for the rounded gain, kept in `made`."""
        step = round(math.log(gain) / GAIN_STEP)
        if step not in made:
            made[step] = make(self._table, self._shape, math.exp(step * GAIN_STEP))
        return made[step]


def filters_without(filters: Filters, block: int) -> Filters:
    """The filters of all other blocks."""
    kept = filters.block != block
    return Filters(*(values[kept] for values in filters))


def _without_parabola(profile: np.ndarray) -> np.ndarray:
    """`profile` with its parabola taken out."""
    x = np.linspace(-1, 1, len(profile))
    basis = np.array([np.ones_like(x), x, x**2])
    return profile - np.linalg.lstsq(basis.T, profile, rcond=None)[0] @ basis


def find_starts(
    counts,
    gain,
    offset,
    table: LineTable,
    shape: LineShape,
    search: Window,
    bank: FilterBank | None = None,
):
    """Relations near which the fits of pixels should start: matched-filter seeds.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relation; it is the seed unless another is clearly better.
    table : LineTable
    shape : LineShape
        Width and tail of the lines; the expected shape is near enough.
    search : Window
        How far around the prior.
    bank : FilterBank, optional
        The filters of `table` and `shape`, where some are made already.

    Returns
    -------
    gain, offset : (n,) float, keV/channel and keV
        Of each pixel by its own counts and prior alone.
    """
    gain, offset = np.array(gain, float), np.array(offset, float)
    bank = bank or FilterBank(table, shape)
    for i in range(len(counts)):
        filters = bank.near(gain[i])
        gain[i], offset[i] = find_start(counts[i], gain[i], offset[i], filters, search)
    return gain, offset


def find_start(
    counts, gain: float, offset: float, filters: Filters, search: Window
) -> tuple[float, float]:
    """The seed of one pixel, as `find_starts`."""
    pixel = np.ascontiguousarray(counts, np.float64)
    return _best_relation(pixel, gain, offset, filters, search)


def make_far_filters(table: LineTable, shape: LineShape, gain: float) -> list[Filters]:
    """The filters for each of `FAR_SCALES`, of a prior with `gain` (keV/channel)."""
    return [make_filters(table, shape, gain * scale) for scale in FAR_SCALES]


def find_far(
    counts,
    gain: float,
    offset: float,
    filters: Filters,
    far_filters: list[Filters],
    search: Window,
):
    """Seeds outside the search window, one at most for each of `FAR_SCALES`.

    Parameters
    ----------
    counts : (n_channels,) int
        Of one pixel, or of pixels whose priors are nearly the same.
    gain, offset : float, keV/channel and keV
        The prior relation.
    filters : Filters
    far_filters : list of Filters
        As `make_far_filters` gives them.
    search : Window

    Returns
    -------
    seeds : list of (float, (gain, offset)), the best first; keV/channel and keV
        Each with the sum of squares that it collects.
    known : float
        Sum of squares of the best seed inside.
    """
    pixel = np.ascontiguousarray(counts, np.float64)
    inside = _best_relation(pixel, gain, offset, filters, search)
    seeds = []
    for scale, far in zip(FAR_SCALES, far_filters, strict=True):
        found = _best_relation(pixel, gain * scale, offset, far, FAR)
        if outside_search_window(*found, gain, offset, search):
            seeds.append((collected(pixel, *found, far), found))
    return sorted(seeds, reverse=True), collected(pixel, *inside, filters)


def outside_search_window(gain, offset, prior_gain, prior_offset, search: Window):
    """Whether a fitted relation is outside the search window around the prior; broadcasts."""
    return (np.abs(gain / prior_gain - 1) > search.gain) | (
        np.abs(offset - prior_offset) > search.offset_keV
    )


@njit
def _significance(counts, taps, half, centre):
    """Signal to noise of a line group whose middle stands at channel `centre`; 0 where negative.

    The noise is that of the counts under the filter, and of `LEAST_NOISE`.
    """
    signal, variance = 0.0, 0.0
    for j in range(2 * half + 1):
        c = centre - half + j
        if 0 <= c < counts.shape[0]:
            signal += taps[j] * counts[c]
            variance += taps[j] * taps[j] * (counts[c] + LEAST_NOISE)
    if signal <= 0.0:
        return 0.0
    return signal / np.sqrt(variance)


@njit
def _first_lit(counts):
    """The first channel wholly above the threshold, whose edge could be taken for a line."""
    total, seen = 0.0, 0.0
    for c in range(counts.shape[0]):
        total += counts[c]
    for c in range(counts.shape[0]):
        seen += counts[c]
        if seen > DARK_FRACTION * total:
            return c + 1
    return counts.shape[0]


@njit
def collected(counts, gain, offset, filters):
    """Sum over the groups of the squared significance where a relation puts them."""
    total, lit = 0.0, _first_lit(counts)
    for k in range(filters.energy.shape[0]):
        centre = int(np.floor((filters.energy[k] - offset) / gain))
        if centre >= lit + filters.half_width[k]:
            total += _significance(counts, filters.taps[k], filters.half_width[k], centre) ** 2
    return total


@njit
def _squares(counts, gain, offset, filters, window):
    """Squared significance of each group at each channel within the window.

    As `_significance`, but tap by tap for all channels: such loops are compiled to vectors.
    """
    n_groups, n_channels = filters.energy.shape[0], counts.shape[0]
    lit, most = _first_lit(counts), filters.taps.shape[1] // 2
    padded, noise = np.zeros(n_channels + 2 * most), np.zeros(n_channels + 2 * most)
    for c in range(n_channels):
        padded[most + c], noise[most + c] = counts[c], counts[c] + LEAST_NOISE
    squares = np.zeros((n_groups, n_channels))
    for k in range(n_groups):
        half = filters.half_width[k]
        reach = (window.gain * (filters.energy[k] - offset) + window.offset_keV) / gain
        middle = (filters.energy[k] - offset) / gain
        first = max(int(middle - 1.1 * reach) - 2, lit + half)
        n = max(min(int(middle + reach / (1.0 - window.gain)) + 3, n_channels) - first, 0)
        signal, variance = np.zeros(n), np.zeros(n)
        for j in range(2 * half + 1):
            tap, start = filters.taps[k, j], most + first - half + j
            seen, by_chance = padded[start : start + n], noise[start : start + n]
            for i in range(n):
                signal[i] += tap * seen[i]
                variance[i] += tap * tap * by_chance[i]
        for i in range(n):
            if signal[i] > 0.0:
                squares[k, first + i] = (signal[i] / np.sqrt(variance[i])) ** 2
    return squares


@njit
def _best_relation(counts, gain, offset, filters, window):
    """The relation on the grid with the largest sum of squares, or the prior."""
    squares = _squares(counts, gain, offset, filters, window)
    n_groups, n_channels = squares.shape
    energy = filters.energy
    n_offset = int(window.offset_keV / gain)
    n_gain = int(window.gain * n_channels / 2.0)
    best, near, best_gain, best_offset = -1.0, -1.0, gain, offset
    expected = (filters.energy - offset) / gain
    for a in range(-n_gain, n_gain + 1):
        trial_gain = gain * (1.0 + window.gain * a / n_gain)
        for b in range(-n_offset, n_offset + 1):
            trial_offset = offset + b * gain
            total, farthest = 0.0, 0.0
            for k in range(n_groups):
                x = (energy[k] - trial_offset) / trial_gain
                # The middle channel covers x - 0.5 to x + 0.5.
                centre = int(np.floor(x))
                if 0 <= centre < n_channels:
                    total += squares[k, centre]
                farthest = max(farthest, abs(x - expected[k]))
            if total > best:
                best, best_gain, best_offset = total, trial_gain, trial_offset
            if farthest <= NEAR_CHANNELS:
                near = max(near, total)
    if best - near < PREFERENCE:
        return gain, offset
    return best_gain, best_offset
