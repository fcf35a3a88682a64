"""A second look at pixels whose fit is in doubt: far off, or with a block that is spoilt.

A fit ends at the nearest minimum, and noise that looks like a line can lead it there. A pixel that
does not fit well is therefore fitted again: from a seed outside the search window, where one is
clearly better, and without each of the blocks, from a seed that does not know the block. A block is
left out where the others fit much better without it, or where counts gather in it that its lines
do not explain; the product says which. Where two ways to mend a pixel lead to different relations,
none of them is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pixelcal.energy.fit.columns import is_bent
from pixelcal.energy.fit.joint import (
    Deviations,
    JointOptions,
    balance_without,
    chance_of,
    fit_joint,
    is_change,
    larger_of,
)
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.start import (
    Filters,
    filters_without,
    find_far,
    find_start,
    find_starts,
    make_far_filters,
    make_filters,
)
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import agree_within_errors, relation_covariance
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.response.misfit import worst_dispersion
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import Templates, without_block
from pixelcal.status import EnergyStatus, has_valid_fit

DOUBT_PVALUE, DOUBT_SIGMA, DOUBT_EXCESS = 0.001, 3.8, 4.5
"""A pixel is looked at again where its fit is worse than this, a block stands off by more, or
counts gather somewhere by more: half a per cent of the pixels that nothing is wrong with."""

DOUBT_HALVES = 0.01
"""The halves of an exposure are fitted apart where they agree by chance so rarely."""

DOUBT_WIDTH_SIGMA, DOUBT_WIDTH_RATIO = 1.3, 1.1
FREE_WIDTH_SCALE = 0.5
"""The width of a pixel is fitted almost without the population prior, which has this scale then,
where its counts want it larger by so many sigma, and by this factor: less is no other width."""

TENSION_SIGMA, LEAST_TENSION = 4.0, 10.0
TENSION_KEV, REACH_KEV = 0.2, 4.0
"""Blocks contradict each other where one stands off by so many sigma, and so far, and the deviance
of the others falls by so much without one of them: with few counts the score alone is not normal.
One step from the fit that leads further than the lines are wide says nothing."""

EXCESS_SIGMA = 5.0
BRIGHTER, BRIGHTER_SIGMA = 0.8, 4.5
"""A block holds counts that are not of its lines where a window in it is off by so many sigma, or
where a line group is brighter than in other pixels by so much, and so many sigma."""

FAR_PREFERENCE = 9.0
"""A seed outside the search window is tried where its sum of squares is better by so much."""

LEAST_GAIN = 16.0
"""A block is left out where that lowers the deviance of the others by more, or takes away as much
that its lines do not explain: 4 sigma."""

FAR_GAIN = 40.0
"""A relation far off is taken instead of one without a block where its deviance is lower by so
much: `LEAST_GAIN`, and 2 ln(1e5), as it is the best of a thousand, and noise in a block is a
hundred times as frequent. By 34 noise made one better in 12 800 fits of a camera with noise."""

MENDED_TENSION = 3.5
"""Blocks that are left must agree better than those of a pixel that nothing was done to."""

LEAST_SURPLUS = 3.0
"""A block is left out where it holds more counts than belong there, by so many sigma, as noise adds
counts, or where noise rises at the low edge of the lowest one. Lines that only stand elsewhere are
those of a bent relation, or of one that changes."""

MOST_GAIN = 1e6
"""In place of infinity, where there was no fit at all."""

EXACT = 1.1
"""Where the pixels of a camera scatter more about the model than by counting, times this, a gain
alone does not say that a block is wrong: it must stand off, or hold what does not belong there."""

CLEARLY = 10.0
"""By how much leaving out one block must be better than leaving out another."""

FEWEST_BLOCKS = 3
"""Blocks that must be left to say that it was the other one that was wrong."""


@dataclass(frozen=True)
class Doubtful:
    """What a second look needs.

    Attributes
    ----------
    counts, first_half : (n, n_channels) int
        The second may be None where nothing is looked at again.
    gain, offset : (n,) float, keV/channel and keV
        The prior relation.
    table : LineTable
    shape : LineShape
        Learnt.
    templates : Templates
    options : JointOptions
    """

    counts: np.ndarray
    first_half: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    table: LineTable
    shape: LineShape
    templates: Templates
    options: JointOptions

    def fit(self, rows, detnum, gain, offset, templates) -> tuple[np.ndarray, Deviations]:
        """Fit the pixels `rows` (m,) from the relations (m,)."""
        halves = self.first_half[rows]
        pixels = self.counts[rows], detnum, gain, offset
        return fit_joint(*pixels, templates, self.options, halves, added_up=False)


def look_again(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Look again at the pixels in doubt; replaces rows of `fits` (n,), and sets bits of STATUS.

    Widths by the counts alone get a better value. Bit 128 (CHANGED) where the halves of the
    exposure, each fitted by itself, do not agree.

    Bit 8 (AT_LIMIT) where the lines stand outside the search window; bit 16 (LINE_MISSING) where
    blocks contradict each other and it cannot be told which of them is wrong; bit 32 (POOR_FIT)
    where counts gather that no line explains.
    """
    rows = np.flatnonzero(_in_doubt(fits, found, data.templates))
    if len(rows):
        filters = make_filters(data.table, data.shape, float(np.median(data.gain)))
        far, seeds = _look_far(rows, fits, found, data, filters)
        near = np.flatnonzero(~far)
        if len(near) and len(data.templates.limits) > FEWEST_BLOCKS:
            elsewhere = [seeds[k] for k in near]
            _leave_blocks_out(rows[near], elsewhere, fits, found, data, filters)
    _compare_halves(fits, data)
    _free_widths(fits, data)


def _compare_halves(fits: np.ndarray, data: Doubtful) -> None:
    """Fit the halves of the exposure apart where the score test doubts that they agree.

    The score sees small changes best. By a large one lines jump out of their own flanks. Where a
    block was left out the score alone must do: the block spoils both halves.
    """
    with np.errstate(invalid="ignore"):
        doubtful = fits["DRIFT_PVALUE"] < DOUBT_HALVES
    rows = np.flatnonzero(doubtful & ~_is_mended_already(fits))
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


def _is_mended_already(fits: np.ndarray) -> np.ndarray:
    """Pixels (n,) without a block, or with noise in one: not to be fitted as the others are."""
    return (fits["BLOCKS_OUT"] != 0) | (fits["NOISE"] > 0.0)


def _free_widths(fits: np.ndarray, data: Doubtful) -> None:
    """Widths by the counts alone, from a fit of their own where they want to be larger.

    Two gains in a pixel make two lines of one; the prior then holds the fit at one of them.
    """
    with np.errstate(invalid="ignore"):
        ratio = fits["WIDTH_RATIO"]
        off = np.log(ratio) * ratio / fits["WIDTH_RATIO_ERR"] > DOUBT_WIDTH_SIGMA
        doubtful = off & (ratio > DOUBT_WIDTH_RATIO)
    rows = np.flatnonzero(doubtful & ~_is_mended_already(fits))
    if not len(rows):
        return
    scale = data.templates.population_scale.copy()
    scale[0] = FREE_WIDTH_SCALE
    templates = data.templates._replace(population_scale=scale)
    pixels = data.counts[rows], *(fits[name][rows] for name in ("DETNUM", "GAIN", "OFFSET"))
    free, _ = fit_joint(*pixels, templates, data.options, added_up=False)
    valid = np.isfinite(free["WIDTH_RATIO"])
    for name in ("WIDTH_RATIO", "WIDTH_RATIO_ERR"):
        fits[name][rows[valid]] = free[name][valid]


def _fit_alone(counts, rows, fits, data: Doubtful) -> np.ndarray:
    """Fits (m,) of a half of the exposure of the pixels `rows`, `counts` (m, n_channels)."""
    known = fits["GAIN"][rows], fits["OFFSET"][rows]
    starts = find_starts(counts, *known, data.table, data.shape, data.options.search)
    half = replace(data.options, min_counts=data.options.min_counts // 2)
    known = fits["DETNUM"][rows], *starts, data.templates, half
    return fit_joint(counts, *known, added_up=False)[0]


def _in_doubt(fits: np.ndarray, found: Deviations, templates: Templates) -> np.ndarray:
    """Which pixels are to be looked at again, (n,) bool."""
    status = fits["STATUS"]
    valid = has_valid_fit(status)
    with np.errstate(invalid="ignore"):
        shift, error = _own_shift(found, templates)
        off = np.abs(shift / error) > DOUBT_SIGMA
        excess = np.abs(found.block_excess) > DOUBT_EXCESS
        poor = fits["PVALUE_CAMERA"] < DOUBT_PVALUE
    doubtful = int(EnergyStatus.AT_LIMIT | EnergyStatus.LINE_MISSING | EnergyStatus.POOR_FIT)
    foreign = _foreign(found, templates).any(axis=1)
    suspect = off.any(axis=1) | excess.any(axis=1) | poor | foreign | ((status & doubtful) != 0)
    return (valid & suspect) | (status == int(EnergyStatus.NOT_CONVERGED))


def _own_shift(found: Deviations, templates: Templates) -> tuple[np.ndarray, np.ndarray]:
    """Shifts of the blocks of pixels beside those of all, and their errors, (n, n_blocks), keV."""
    misfit = templates.misfit
    return found.block_shift - misfit.shift, np.hypot(found.block_shift_err, misfit.shift_scatter)


def _bends(fits: np.ndarray, templates: Templates) -> np.ndarray:
    """Pixels whose relation bends unlike those of the camera, (n,) bool."""
    typical, scatter = templates.misfit.bend, templates.misfit.bend_scatter
    return is_bent(fits["BEND"] - typical, np.hypot(fits["BEND_ERR"], scatter))


def _contradicts(found: Deviations, templates: Templates) -> np.ndarray:
    """Pixels with a block that contradicts the others, (n,) bool."""
    with np.errstate(invalid="ignore"):
        shift, error = _own_shift(found, templates)
        shift = np.abs(shift)
        pull = shift / error
        in_reach = (shift > TENSION_KEV) & (shift < REACH_KEV)
        return ((pull > TENSION_SIGMA) & in_reach).any(axis=1)


def _foreign(found: Deviations, templates: Templates) -> np.ndarray:
    """What is in a block that its lines do not explain, as a deviance (n, n_blocks); 0 by chance.

    Counts that gather beside the lines, or lines far brighter than in the other pixels: noise on a
    line, or beside one that is too faint to tell.
    """
    dispersion = worst_dispersion(templates.misfit, found.block_counts, found.block_variance)
    limit = EXCESS_SIGMA * np.sqrt(dispersion[:, None])
    excess = np.abs(np.nan_to_num(found.block_excess)) > limit
    beyond = found.block_misfit - templates.misfit.excess * found.block_counts
    foreign = np.where(excess, np.maximum(found.block_excess**2, beyond), 0.0)
    n_blocks = len(templates.limits)
    groups = slice(N_OF_SHAPE + n_blocks, None)
    more = np.nan_to_num(found.value[:, groups])
    # Brightness scatters by factors: by as much of its logarithm up and down.
    times = np.maximum(1.0 + more, 0.1)
    error = np.sqrt(np.nan_to_num(found.variance[:, groups])) / times
    pull = np.log(times) / np.hypot(error, templates.population_scale[groups])
    bright = np.where((more > BRIGHTER) & (pull > BRIGHTER_SIGMA), pull, 0.0) ** 2
    for group, block in enumerate(templates.group_block):
        foreign[:, block] = np.maximum(foreign[:, block], bright[:, group])
    return foreign


def _look_far(rows, fits, found: Deviations, data: Doubtful, filters: Filters):
    """Fit those of the pixels `rows` (m,) again that are far from the prior.

    Returns which, (m,) bool, and the far seeds of each pixel, as `find_far` gives them.
    """
    far, of_pixels = np.zeros(len(rows), bool), []
    far_filters = make_far_filters(data.table, data.shape, float(np.median(data.gain)))
    for k, row in enumerate(rows):
        known = data.counts[row], data.gain[row], data.offset[row]
        seeds, inside = find_far(*known, filters, far_filters, data.options.search)
        of_pixels.append(seeds)
        if not seeds or seeds[0][0] < inside + FAR_PREFERENCE:
            continue
        again, after = _fit_far(row, seeds[:1], fits, data)
        if again is not None and not after > found.block_misfit[row].sum() - LEAST_GAIN:
            far[k] = True
            fits[row] = again
    return far, of_pixels


def _fit_far(row: int, seeds, fits, data: Doubtful) -> tuple[np.ndarray | None, float]:
    """The best fit of a pixel from `seeds` far off, at a limit, and its deviance beyond chance.

    Infinite without a valid fit.
    """
    best, least, at = None, np.inf, slice(row, row + 1)
    for _, seed in seeds:
        again, found = data.fit(at, fits["DETNUM"][at], *np.array(seed)[:, None], data.templates)
        misfit = found.block_misfit.sum()
        if has_valid_fit(again["STATUS"])[0] and misfit < least:
            best, least = again[0], misfit
            best["STATUS"] |= int(EnergyStatus.AT_LIMIT)
    return best, least


def _leave_blocks_out(
    rows, far_seeds, fits, found: Deviations, data: Doubtful, filters: Filters
) -> None:
    """Fit the pixels `rows` (m,) again without each block, and keep what is clearly better.

    Where a relation far off, from the `far_seeds` of each pixel, explains all blocks far better
    than this one the others, no block is wrong.
    """
    n_blocks = len(data.templates.limits)
    alternatives = [_without(block, rows, fits, data, filters) for block in range(n_blocks)]
    lowered = np.column_stack(
        [
            _lowered(b, rows, fits, found, found_again)
            for b, (_, found_again) in enumerate(alternatives)
        ]
    )
    contradicts, foreign = _contradicts(found, data.templates), _foreign(found, data.templates)
    balances = [
        balance_without(b, data.counts[rows], *one, data.templates)
        for b, one in enumerate(alternatives)
    ]
    lacking, surplus = (np.column_stack(parts) for parts in zip(*balances, strict=True))
    measured = found.block_counts[rows], found.block_variance[rows]
    dispersion = worst_dispersion(data.templates.misfit, *measured)
    lowered = np.minimum(lowered, MOST_GAIN) / dispersion[:, None]
    told, bent = contradicts | foreign.any(axis=1), _bends(fits, data.templates)
    gains = lowered + foreign[rows] - lacking**2
    mended = [_is_mended(b, *one, data.templates) for b, one in enumerate(alternatives)]
    gains[~np.column_stack(mended)] = -np.inf
    for k, row in enumerate(rows):
        order = np.argsort(-gains[k], kind="stable")
        best, second = (int(block) for block in order[:2])
        taken = alternatives[best][0][k : k + 1]
        other = alternatives[second][0][k : k + 1]
        enough = gains[k, best] > LEAST_GAIN
        clear = gains[k, best] > max(gains[k, second], 0.0) + CLEARLY or agree_within_errors(
            taken, other, data.options.energies_keV
        )
        if enough and clear and surplus[k, best] > LEAST_SURPLUS:
            elsewhere, misfit = _fit_far(row, far_seeds[k], fits, data)
            if misfit < alternatives[best][1].block_misfit[k].sum() - FAR_GAIN:
                fits[row] = elsewhere
                continue
            fits[row] = taken[0]
            fits["BLOCKS_OUT"][row] = 1 << best
        elif (enough and (told[row] or dispersion[k] < EXACT)) or (
            contradicts[row] and (np.nanmax(lowered[k]) > LEAST_TENSION or bent[row])
        ):
            fits["STATUS"][row] |= int(EnergyStatus.LINE_MISSING)
        elif foreign[row].any():
            fits["STATUS"][row] |= int(EnergyStatus.POOR_FIT)


def _without(block: int, rows, fits, data: Doubtful, filters: Filters):
    """Fits (m,) of the pixels without a block, from seeds that do not know it."""
    others = filters_without(filters, block)
    known = zip(data.counts[rows], data.gain[rows], data.offset[rows], strict=True)
    starts = [find_start(*pixel, others, data.options.search) for pixel in known]
    templates = without_block(data.templates, block)
    return data.fit(rows, fits["DETNUM"][rows], *np.array(starts).T, templates)


def _lowered(block: int, rows, fits, found: Deviations, found_again: Deviations) -> np.ndarray:
    """What the deviance of the other blocks falls by without a block, (m,); NaN without a fit."""
    others = np.arange(found.block_misfit.shape[1]) != block
    before = found.block_misfit[rows][:, others].sum(axis=1)
    valid = has_valid_fit(fits["STATUS"][rows])
    return np.where(valid, before, np.inf) - found_again.block_misfit.sum(axis=1)


def _is_mended(block: int, again, found_again: Deviations, templates: Templates) -> np.ndarray:
    """Whether nothing is wrong any more with the fits of pixels without a block, (m,) bool."""
    others = without_block(templates, block)
    foreign = _foreign(found_again, others).any(axis=1)
    shift, error = _own_shift(found_again, others)
    with np.errstate(invalid="ignore"):
        steady = ~_bends(again, others) & ~(np.abs(shift / error) > MENDED_TENSION).any(axis=1)
    return (again["STATUS"] == 0) & ~_contradicts(found_again, others) & ~foreign & steady
