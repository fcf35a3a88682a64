"""A second look at pixels whose fit is in doubt: far off, or with a block that is spoilt.

A fit ends at the nearest minimum, and noise that looks like a line can lead it there. A pixel that
does not fit well is therefore fitted again: from a seed outside the search window, where one is
clearly better, and without each of the blocks, from a seed that does not know the block. A block is
left out where the others fit much better without it, or where counts gather in it that its lines
do not explain; the product says which. Where two ways to mend a pixel lead to different relations,
none of them is taken.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.checks.consistency import balance_of_block
from pixelcal.energy.fit.columns import POPULATION_SIGMA, is_bent
from pixelcal.energy.fit.joint import (
    TRIED_STEPS,
    Deviations,
    try_fit,
    unlikeness,
)
from pixelcal.energy.fit.likelihood import MAX_ITERATIONS
from pixelcal.energy.fit.model import (
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    RESOLUTION,
    TAIL,
    make_workspace,
)
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.fit.start import find_far
from pixelcal.energy.relation import agree_within_errors
from pixelcal.energy.response.misfit import shift_beside_others, worst_dispersion
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import Templates, without_block
from pixelcal.status import EnergyStatus, has_valid_fit

DOUBT_PVALUE, DOUBT_SIGMA, DOUBT_EXCESS = 0.001, 3.8, 4.5
"""A pixel is looked at again where its fit is worse than this, a block stands off by more, or
counts gather somewhere by more: half a per cent of the pixels that nothing is wrong with."""

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

FAR_GAIN, FAR_GAIN_OVER_MENDED = 30.0, 40.0
"""A relation far off makes one near uncertain where its deviance is lower by so much: `LEAST_GAIN`,
and 2 ln(1e3), as it is the best of a thousand. It is taken instead of one without a block by 2
ln(1e5) more than `LEAST_GAIN`, as noise in a block is a hundred times as frequent. By 34 noise
made one better in 12 800 fits of a camera with noise."""

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
"""By how much leaving out one block must be better than leaving out another, or than a relation far
off that explains all of them."""

FEWEST_BLOCKS = 3
"""Blocks that must be left to say that it was the other one that was wrong."""


def look_again(fits: np.ndarray, found: Deviations, data: Doubtful) -> None:
    """Look again at the pixels in doubt; replaces rows of `fits` (n,), and sets bits of STATUS.

    Bit 8 (AT_LIMIT) where the lines stand outside the search window; bit 16 (LINE_MISSING) where
    blocks contradict each other and it cannot be told which of them is wrong; bit 32 (POOR_FIT)
    where counts gather that no line explains.
    """
    rows = np.flatnonzero(_in_doubt(fits, found, data.templates))
    if len(rows):
        far, seeds = _look_far(rows, fits, found, data)
        near = np.flatnonzero(~far)
        elsewhere = [seeds[k] for k in near]
        if len(near) and len(data.templates.limits) > FEWEST_BLOCKS:
            _leave_blocks_out(rows[near], elsewhere, fits, found, data)
        _look_far_at_last(rows[near], elsewhere, fits, found, data)


def _in_doubt(fits: np.ndarray, found: Deviations, templates: Templates) -> np.ndarray:
    """Which pixels are to be looked at again, (n,) bool."""
    status = fits["STATUS"]
    valid = has_valid_fit(status)
    with np.errstate(invalid="ignore"):
        shift, error = shift_beside_others(
            templates.misfit, found.block_shift, found.block_shift_err
        )
        off = np.abs(shift / error) > DOUBT_SIGMA
        excess = np.abs(found.block_excess) > DOUBT_EXCESS
        poor = fits["PVALUE_CAMERA"] < DOUBT_PVALUE
    doubtful = int(EnergyStatus.AT_LIMIT | EnergyStatus.LINE_MISSING | EnergyStatus.POOR_FIT)
    foreign = _foreign(found, templates).any(axis=1)
    suspect = off.any(axis=1) | excess.any(axis=1) | poor | foreign | ((status & doubtful) != 0)
    return (valid & suspect) | (status == int(EnergyStatus.NOT_CONVERGED))


def _bends(fits: np.ndarray, templates: Templates) -> np.ndarray:
    """Pixels whose relation bends unlike those of the camera, (n,) bool."""
    typical, scatter = templates.misfit.bend, templates.misfit.bend_scatter
    return is_bent(fits["BEND"] - typical, np.hypot(fits["BEND_ERR"], scatter))


def _contradicts(found: Deviations, templates: Templates) -> np.ndarray:
    """Pixels with a block that contradicts the others, (n,) bool."""
    misfit = templates.misfit
    with np.errstate(invalid="ignore"):
        shift = np.abs(found.block_shift - misfit.shift)
        by_chance = TENSION_SIGMA * found.block_shift_err
        limit = np.hypot(by_chance, POPULATION_SIGMA * misfit.shift_scatter)
        return ((shift > np.maximum(limit, TENSION_KEV)) & (shift < REACH_KEV)).any(axis=1)


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
    scatter, brightness = templates.population_scale[groups], np.log(times)
    limit = np.hypot(BRIGHTER_SIGMA * error, POPULATION_SIGMA * scatter)
    pull = brightness / np.hypot(error, scatter)
    bright = np.where((more > BRIGHTER) & (brightness > limit), pull, 0.0) ** 2
    for group, block in enumerate(templates.group_block):
        foreign[:, block] = np.maximum(foreign[:, block], bright[:, group])
    return foreign


def _look_far(rows, fits, found: Deviations, data: Doubtful):
    """Fit those of the pixels `rows` (m,) again that are far from the prior.

    Returns which, (m,) bool, and the far seeds of each pixel, as `find_far` gives them.
    """
    far, of_pixels, taken = np.zeros(len(rows), bool), [], []
    for k, row in enumerate(rows):
        filters = data.bank.near(data.gain[row]), data.bank.far(data.gain[row])
        known = data.counts[row], data.gain[row], data.offset[row]
        seeds, inside = find_far(*known, *filters, data.options.search)
        of_pixels.append(seeds)
        if not seeds or seeds[0][0] < inside + FAR_PREFERENCE:
            continue
        least = found.block_misfit[row].sum() - LEAST_GAIN
        seed, after, _ = _best_far(row, seeds[:1], data, least, MAX_ITERATIONS)
        if seed is not None and not after > least:
            far[k] = True
            taken.append(seed)
    _take_far(rows[far], taken, fits, data)
    return far, of_pixels


def _look_far_at_last(rows, far_seeds, fits, found: Deviations, data: Doubtful) -> None:
    """Try the `far_seeds` of those of the pixels `rows` (m,) that at most fit poorly by now.

    Where lines stand at the wrong places by chance, a seed far off may collect less than the best
    one within the search window: only the fits tell. What is brighter or fainter than in the camera
    counts too: a relation finds room for misplaced lines there, and noise for what is left of them.
    No relation is replaced by another here: far off it has other channels, and a healthy pixel in
    whose own channels chance is large fits better there. Which is right cannot be told.
    """
    at_most_poor = (fits["STATUS"][rows] & ~int(EnergyStatus.POOR_FIT)) == 0
    silent = at_most_poor & (fits["BLOCKS_OUT"][rows] == 0)
    cost = found.block_misfit[rows].sum(axis=1)
    cost += unlikeness(found.value[rows], data.templates.population_scale)
    dispersion = _worst_dispersion(rows, found, data.templates)
    noisy = fits["NOISE"][rows] > 0.0
    for k in np.flatnonzero(silent & (noisy | (cost > FAR_GAIN * dispersion))):
        enough = CLEARLY if noisy[k] else FAR_GAIN
        least = cost[k] - enough * dispersion[k]
        _, misfit, unlike = _best_far(rows[k], far_seeds[k], data, least)
        if (cost[k] - misfit - unlike) / dispersion[k] > enough:
            fits["STATUS"][rows[k]] |= int(EnergyStatus.LINE_MISSING)


def _worst_dispersion(rows, found: Deviations, templates: Templates) -> np.ndarray:
    """Typical deviance per channel of the pixels `rows` (m,), in the block where it is largest."""
    measured = found.block_counts[rows], found.block_variance[rows]
    return worst_dispersion(templates.misfit, *measured)


def _best_far(row: int, seeds, data: Doubtful, most: float, most_steps: int = TRIED_STEPS):
    """The seed far off that leads to the best fit of a pixel; its deviance, and its unlikeness.

    As `try_fit` gives them; None and infinite without a valid fit whose deviance is below `most`.
    """
    best, least, its = None, np.inf, np.inf
    most = most if np.isfinite(most) else np.inf
    for _, seed in seeds:
        known = data.counts[row], *seed, data.templates, data.options
        misfit, unlike = try_fit(*known, min(most, least), most_steps)
        if misfit < least:
            best, least, its = seed, misfit, unlike
    return best, least, its


def _take_far(rows: np.ndarray, seeds: list, fits, data: Doubtful) -> None:
    """Give pixels (m,) the relations far off that their seeds lead to, at a limit."""
    if len(rows):
        again, _ = data.fit(rows, fits["DETNUM"][rows], *np.transpose(seeds), data.templates)
        again["STATUS"] |= int(EnergyStatus.AT_LIMIT)
        fits[rows] = again


def _leave_blocks_out(rows, far_seeds, fits, found: Deviations, data: Doubtful) -> None:
    """Fit the pixels `rows` (m,) again without each block, and keep what is clearly better.

    Where a relation far off, from the `far_seeds` of each pixel, explains all blocks far better
    than this one the others, no block is wrong; where it does so about as well, it cannot be told.
    """
    n_blocks = len(data.templates.limits)
    starts = [data.starts_without(block, rows) for block in range(n_blocks)]
    alternatives = [_without(b, rows, starts[b], fits, data) for b in range(n_blocks)]
    lowered = np.column_stack(
        [
            _lowered(b, rows, fits, found, found_again)
            for b, (_, found_again) in enumerate(alternatives)
        ]
    )
    contradicts, foreign = _contradicts(found, data.templates), _foreign(found, data.templates)
    balances = [
        _balance_without(b, data.counts[rows], *one, data.templates)
        for b, one in enumerate(alternatives)
    ]
    lacking, surplus = (np.column_stack(parts) for parts in zip(*balances, strict=True))
    dispersion = _worst_dispersion(rows, found, data.templates)
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
            without = alternatives[best][1].block_misfit[k].sum()
            seed, misfit, _ = _best_far(row, far_seeds[k], data, without + CLEARLY)
            better = without - misfit
            if better > FAR_GAIN_OVER_MENDED:
                _take_far(rows[k : k + 1], [seed], fits, data)
            elif better > -CLEARLY:
                fits["STATUS"][row] |= int(EnergyStatus.LINE_MISSING)
            else:
                at = slice(row, row + 1)
                known = starts[best][k : k + 1], fits, data
                fits[at] = _without(best, at, *known, seconds=True)[0]
                fits["BLOCKS_OUT"][row] = 1 << best
        elif (enough and (told[row] or dispersion[k] < EXACT)) or (
            contradicts[row] and (np.nanmax(lowered[k]) > LEAST_TENSION or bent[row])
        ):
            fits["STATUS"][row] |= int(EnergyStatus.LINE_MISSING)
        elif foreign[row].any():
            fits["STATUS"][row] |= int(EnergyStatus.POOR_FIT)


def _without(block: int, rows, starts, fits, data: Doubtful, seconds: bool = False):
    """Fits (m,) of the pixels `rows` without a block from `starts` (m, 2), and `Deviations`."""
    templates = without_block(data.templates, block)
    return data.fit(rows, fits["DETNUM"][rows], *starts.T, templates, seconds=seconds)


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
    shifts = found_again.block_shift, found_again.block_shift_err
    shift, error = shift_beside_others(others.misfit, *shifts)
    with np.errstate(invalid="ignore"):
        steady = ~_bends(again, others) & ~(np.abs(shift / error) > MENDED_TENSION).any(axis=1)
    return (again["STATUS"] == 0) & ~_contradicts(found_again, others) & ~foreign & steady


def _balance_without(
    block: int, counts: np.ndarray, fits: np.ndarray, found: Deviations, templates: Templates
) -> tuple[np.ndarray, np.ndarray]:
    """What a block that was left out lacks, and what it has in excess, in sigma: two (n,).

    What spoils a block adds counts; where it was another block that was wrong, lines are missing;
    and where the lines of the block only stand elsewhere, it has as many as it should.

    Parameters
    ----------
    block : int
    counts : (n, n_channels) int
    fits, found
        Of these pixels without the block, as `fit_joint` returns them.
    templates : Templates
        Of all blocks.
    """
    n_free = N_SHARED + templates.population_scale.size - N_OF_SHAPE
    work = make_workspace(counts.shape[1], templates)
    lacking, surplus = np.zeros((2, len(counts)))
    for k in np.flatnonzero(has_valid_fit(fits["STATUS"])):
        gain, offset = fits["GAIN"][k], fits["OFFSET"][k]
        theta = np.ones(n_free)
        theta[:2] = gain * PIVOT_LOW + offset, gain * PIVOT_HIGH + offset
        theta[RESOLUTION] = np.log(fits["FWHM_60"][k] / templates.fwhm_60)
        theta[TAIL] = fits["TAIL"][k]
        scale = float(np.median(found.normalisation[k]))
        pixel = np.ascontiguousarray(counts[k], np.int32)
        lacking[k], surplus[k] = balance_of_block(pixel, theta, block, scale, templates, work)
    return lacking, surplus
