"""Lines that the table lacks, where the residuals of all pixels ask for them.

They are included only where the configuration says so (`fit.include_lines`): a catalogue knows many
lines, and which of them shine is better known to who built the camera. What those that are not do
to the energies is a systematic uncertainty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pixelcal.energy.catalogue import Series
from pixelcal.energy.fit.block_agreement import Unlisted
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.pixels import fit_with_residuals
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.response.model import Response
from pixelcal.energy.results.adequacy import (
    Residuals,
    bins_of,
    find_regions,
    summed,
    typical_pixels,
)
from pixelcal.energy.results.channels.widths import compare_channels
from pixelcal.energy.results.foreign_lines import (
    Candidate,
    candidates,
    lines_in_blocks,
    not_in_table,
)
from pixelcal.numerics.statistics import evenly

MOST_PIXELS = 2000
"""Pixels that lines are looked for in, evenly over the camera."""

MOST_SERIES = 8
"""Series that are included, one after the other: each changes what the others leave."""

INCLUDED_SIGMA = 6.0
"""A series is included where it is found with such a significance. Dozens are tried, and one that
does not shine makes relations worse than one that is left out."""

SOURCE = "found in the residuals; materials.csv"

logger = logging.getLogger("pixelcal")


def include_lines(
    learn: Callable[[LineTable, np.ndarray], Response],
    counts: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    catalogue: Sequence[Series],
    options: JointOptions,
    expected: LineShape,
) -> LineTable:
    """The line table with the series of a catalogue that the spectra of the pixels ask for.

    Parameters
    ----------
    learn : function of a line table and rows (m,) to the Response of these pixels
        Its agreement of blocks is not looked at.
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relations.
    table : LineTable
    catalogue : sequence of Series
    options : JointOptions
    expected : LineShape
        What is known of the line shape beforehand.

    A log line names each series that is included.
    """
    chosen = evenly(len(counts), MOST_PIXELS)
    for _ in range(MOST_SERIES):
        response = learn(table, chosen)
        if not response.line_strength.any():
            return table
        data = counts[chosen], chosen, gain[chosen], offset[chosen], table, response, options
        named = _named(data[0], *fit_with_residuals(*data), table, catalogue, expected)
        likely = [one for ones in named for one in ones if one.table_rows]
        best = max(likely, key=lambda one: one.sigma, default=None)
        if best is None or best.sigma < INCLUDED_SIGMA:
            return table
        logger.info("included in the line table: %s, %.0f sigma", best.words, best.sigma)
        new = {series.name: series for series in not_in_table(catalogue, table)}
        table = with_series(table, new[best.name])
    return table


def by_unlisted_lines(
    table: LineTable, catalogue: Sequence[Series], expected: LineShape
) -> Unlisted:
    """What lines of a catalogue that a line table lacks do to energies, where residuals show them.

    To first order, each with all that it does: it is there and not fitted. The best of each region
    counts, once.
    """

    def covariance(counts, fits, found):
        named = _named(counts, fits, found.residuals, found.expected, table, catalogue, expected)
        best = {ones[0].name: ones[0] for ones in named if ones}
        moved = [np.array([one.stretch, one.shift_keV, 0.0]) for one in best.values()]
        return sum((np.outer(one, one) for one in moved), np.zeros((3, 3)))

    return covariance


def _named(counts, fits, residuals, model, table, catalogue, expected) -> list[list[Candidate]]:
    """Lines that could explain what is left of all pixels (n,), of each region the best first.

    `residuals` (n, n_bins, 3) and `model` (n, n_channels) as `fit_with_residuals` gives them.
    """
    of_pixels, bins = Residuals(*np.moveaxis(residuals, 2, 0)), bins_of(table.block_limits_keV)
    typical = typical_pixels(of_pixels, fits["STATUS"])
    if not typical.any():
        return []
    camera = summed(of_pixels, typical)
    relation = fits["GAIN"][typical], fits["OFFSET"][typical]
    alike = np.zeros(typical.sum(), int)
    by_widths = compare_channels(counts[typical], model[typical], *relation, alike, bins).covariance
    known = bins, camera, table, catalogue, expected, by_widths
    return candidates(find_regions(bins, camera, by_widths), *known)


def with_series(table: LineTable, series: Series) -> LineTable:
    """The line table with those lines of a series that lie in its blocks."""
    found = lines_in_blocks(series, table)
    element = series.name.split()[0]
    added = {
        "element": (element,) * len(found),
        "transition": tuple(series.transition[k] for k, _ in found),
        "source": (SOURCE,) * len(found),
    }
    lines, blocks = (np.array(numbers, int) for numbers in zip(*found, strict=True))
    arrays = {
        "energy_keV": series.energy_keV[lines],
        "intensity": series.intensity[lines],
        "block": blocks,
        "energy_err_keV": np.full(len(found), np.nan),
        "width_keV": series.width_keV[lines],
    }
    block = np.concatenate([table.block, blocks])
    order = np.lexsort((np.concatenate([table.energy_keV, arrays["energy_keV"]]), block))
    texts = {
        name: tuple(np.array([*getattr(table, name), *values], object)[order])
        for name, values in added.items()
    }
    numbers = {
        name: np.concatenate([getattr(table, name), values])[order]
        for name, values in arrays.items()
    }
    return replace(table, **texts, **numbers)
