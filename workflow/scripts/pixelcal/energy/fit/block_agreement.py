"""Do the blocks of lines agree, taken over all pixels? What they do not agree on is systematic.

The errors of a pixel are those of counting. A bent relation, a wrong line energy or a line that the
table lacks shifts the lines of a block in all pixels alike: no error of a pixel holds it, and it
does not average out. Over many pixels it shows, long before one of them can tell, in where the
lines of a block stand by the relation of the other blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std

from pixelcal.energy.curve import falling
from pixelcal.energy.fit.joint import Deviations, JointOptions, fit_joint
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.lines import LineTable, elements_of
from pixelcal.energy.own_deviation import OwnDeviation, measure_own_deviation
from pixelcal.energy.response.energy_scale import (
    bend_coefficients,
    bend_function,
    element_energy_sigma,
    line_ends,
)
from pixelcal.energy.response.misfit import Misfit, measure_misfit
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.tables import make_templates
from pixelcal.numerics.statistics import evenly
from pixelcal.status import has_valid_fit

MOST_PIXELS = 2000
"""Pixels that are looked at, evenly over the camera: their means are far better known than any of
them."""

MOST_SIGMA = 6.0
"""A pixel that deviates by more, in robust standard deviations of the pixels, does not count."""

MIN_PIXELS = 8
"""Fewer do not tell how much pixels scatter."""

PIVOTS = (PIVOT_LOW, PIVOT_HIGH)


Unlisted = Callable[[np.ndarray, np.ndarray, Deviations], np.ndarray]
"""Covariance (3, 3) of stretch, shift (keV) and bend (keV) of all energies, by lines that the line
table lacks and the residuals show: of the counts (n, n_channels) of pixels, their fits (n,) and
`Deviations`."""


class BlockAgreement(NamedTuple):
    """How the blocks agree, as means over pixels; NaN where it cannot be told.

    Attributes
    ----------
    shift, shift_err : (n_blocks,) float, keV
        Energy of the block's lines by the relation of the others, minus that of the line table.
    lever : (n_blocks, 2) float
        Stretch (per keV) and shift (keV per keV) of the relation where the lines of the block stand
        1 keV higher.
    misfit : Misfit
        How far the pixels are from the model.
    pixel_shift, pixel_shift_err : (n, n_blocks) float, keV
        The same of single pixels with a valid fit; NaN where it cannot be told.
    by_unlisted : (3, 3) float, or 0
        As `Unlisted` gives it.
    """

    shift: np.ndarray
    shift_err: np.ndarray
    lever: np.ndarray
    misfit: Misfit
    pixel_shift: np.ndarray
    pixel_shift_err: np.ndarray
    by_unlisted: np.ndarray | float = 0.0


def compare_blocks(
    counts: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    response: Response,
    options: JointOptions,
    nearby: np.ndarray | None = None,
    unlisted: Unlisted | None = None,
) -> BlockAgreement:
    """Compare the blocks over the pixels with a valid fit, POOR_FIT or not.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        Where the fits start: near their ends.
    table : LineTable
    response : Response
        Learnt with the same table.
    options : JointOptions
    nearby : (n, 2 + n_blocks + n_groups) float, optional
        Where they start beside that, as `fit_joint` takes it.
    unlisted : Unlisted, optional
    """
    chosen = evenly(len(counts), MOST_PIXELS)
    templates = make_templates(response, table)
    data = counts[chosen], chosen, gain[chosen], offset[chosen], templates, options
    start = None if nearby is None else nearby[chosen]
    added_up = unlisted is not None
    fits, found = fit_joint(*data, checked=True, nearby=start, added_up=added_up, seconds=False)
    valid = has_valid_fit(fits["STATUS"])
    shift, shift_err = np.full((2, table.n_blocks), np.nan)
    lever = np.zeros((table.n_blocks, 2))
    low, high = (fits["GAIN"][valid] * pivot + fits["OFFSET"][valid] for pivot in PIVOTS)
    for block in range(table.n_blocks):
        shifts, pull = found.block_shift[valid, block], found.block_pull[valid, block]
        typical = _typical(shifts)
        if typical.sum() < MIN_PIXELS:
            continue
        per_keV = (pull / shifts[:, None])[typical]
        stretch = (per_keV[:, 1] - per_keV[:, 0]) / (high - low)[typical]
        lever[block] = np.median(stretch), np.median(per_keV[:, 0] - stretch * low[typical])
        shift[block] = shifts[typical].mean()
        shift_err[block] = shifts[typical].std(ddof=1) / np.sqrt(typical.sum())
    data = found.block_misfit, found.block_variance, found.block_counts
    data = (*data, found.block_shift, found.block_shift_err, fits["BEND"], fits["BEND_ERR"])
    data = tuple(values[valid] for values in data)
    of_pixels = found.block_shift[valid], found.block_shift_err[valid]
    by_unlisted = 0.0 if unlisted is None else unlisted(counts[chosen], fits, found)
    return BlockAgreement(shift, shift_err, lever, measure_misfit(*data), *of_pixels, by_unlisted)


def systematic_covariance(
    agreement: BlockAgreement, response: Response, table: LineTable
) -> np.ndarray:
    """Covariance (3, 3) of a stretch, shift (keV) and bend (keV) of the energies of all pixels.

    The counts of the stack, and trapping that they do not exclude; the energies of each element's
    lines, known to `element_energy_sigma`, and how far they are found off; the bend of straight
    relations, as large as it is found, and its error; what the blocks disagree on beyond chance, by
    what leaving each of them out does; and lines that the table lacks. Where the bend or the
    energies of elements are fitted, what the stack leaves open of all of these together is in the
    place of their priors.
    """
    covariance = np.zeros((3, 3)) + agreement.by_unlisted
    covariance[:2, :2] += response.scale_covariance
    if response.trapping_off is not None:
        covariance[:2, :2] += np.outer(response.trapping_off, response.trapping_off)
    lever, of_elements = agreement.lever, _of_elements(agreement.lever, response, table)
    shifts = response.element_shift
    shifts = np.zeros(len(of_elements)) if shifts is None else shifts
    off = _of_bend(lever, table)
    if response.curve is not None or response.free_shift is not None:
        moves = np.vstack([off, of_elements])
        if len(response.nuisance_covariance) > len(moves):  # of a bend at low energy
            low = falling(_centres(table), line_ends(table)) @ lever
            moves = np.vstack([moves, np.append(low, 0.0)])
        covariance += moves.T @ response.nuisance_covariance @ moves
        if response.curve is None:
            covariance += np.outer(off, off) * response.bend**2
        uncertain = shifts * ~_is_free(response, table)
    else:
        uncertain = np.hypot(element_energy_sigma(table), shifts)
        if np.isfinite(response.bend):
            covariance += np.outer(off, off) * (response.bend**2 + response.bend_err**2)
    for moved in of_elements * uncertain[:, None]:
        covariance += np.outer(moved, moved)
    for block, shift in enumerate(agreement.shift):
        error = agreement.shift_err[block]
        if abs(shift) > error:
            moved = np.append(lever[block], 0.0) * np.sqrt(shift**2 - error**2)
            covariance += np.outer(moved, moved)
    return covariance


def own_deviation(agreement: BlockAgreement, table: LineTable) -> OwnDeviation:
    """What each pixel deviates by itself, from how its blocks disagree beyond counting."""
    of_pixels = agreement.pixel_shift, agreement.pixel_shift_err
    return measure_own_deviation(*of_pixels, agreement.lever, _centres(table), line_ends(table))


def _of_elements(lever: np.ndarray, response: Response, table: LineTable) -> np.ndarray:
    """How stretch, shift and bend of energies (n_elements, 3) are off per keV of each element."""
    elements, of_line = elements_of(table)
    fraction = np.zeros((len(elements), table.n_blocks))
    np.add.at(fraction, (of_line, table.block), response.line_strength)
    fraction /= np.maximum(fraction.sum(axis=0), 1e-300)
    return np.column_stack([fraction @ lever, np.zeros(len(elements))])


def _is_free(response: Response, table: LineTable) -> np.ndarray:
    """Whether the energies of each element are fitted, (n_elements,) bool."""
    elements, of_line = elements_of(table)
    if response.free_shift is None:
        return np.zeros(len(elements), bool)
    return np.bincount(of_line, response.free_shift != 0.0, len(elements)) > 0


def _centres(table: LineTable) -> np.ndarray:
    """Energies (n_blocks,), keV, of the middles of the lines of each block."""
    return np.array([table.energy_keV[table.block == b].mean() for b in range(table.n_blocks)])


def _of_bend(lever: np.ndarray, table: LineTable) -> np.ndarray:
    """How stretch, shift and bend of energies (3,) are off per keV of `bend_function`."""
    straight = np.append(bend_function(_centres(table), table) @ lever, 0.0)
    return straight - bend_coefficients(table)


def _typical(values: np.ndarray) -> np.ndarray:
    """Which of the values (n,) belong to their population, (n,) bool; not what is not finite."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values), bool)
    middle, spread = np.median(known), mad_std(known)
    with np.errstate(invalid="ignore"):
        return np.abs(values - middle) <= MOST_SIGMA * spread
