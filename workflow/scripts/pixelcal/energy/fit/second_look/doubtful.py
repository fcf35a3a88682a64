"""What the second look at some pixels of a chunk needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.fit.joint import JointOptions, fit_joint
from pixelcal.energy.fit.start import FilterBank, filters_without, find_start
from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.response.tables import Templates


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
    bank : FilterBank
        The filters of `table` and `shape`.
    """

    counts: np.ndarray
    first_half: np.ndarray | None
    gain: np.ndarray
    offset: np.ndarray
    table: LineTable
    shape: LineShape
    templates: Templates
    options: JointOptions
    bank: FilterBank

    def starts_without(self, block: int, rows) -> np.ndarray:
        """Gain and offset (m, 2) near which fits start, from seeds that ignore a block."""
        known = self.counts[rows], self.gain[rows], self.offset[rows]
        return self.seeds(rows, *known, without=block)

    def seeds(self, rows, counts, gain, offset, without: int | None = None) -> np.ndarray:
        """Gain and offset (m, 2) near which fits of the pixels `rows` start: seeds around relations
        (m,) in `counts` (m, n_channels), that ignore a block where one is given."""
        starts = np.empty((len(rows), 2))
        for k, row in enumerate(rows):
            filters = self.bank.near(self.gain[row])
            filters = filters if without is None else filters_without(filters, without)
            starts[k] = find_start(counts[k], gain[k], offset[k], filters, self.options.search)
        return starts

    def fit(self, rows, detnum, gain, offset, templates, *, nearby=None, seconds=True):
        """Fits and `Deviations` of the pixels `rows` (m,) from the relations (m,)."""
        halves = None if self.first_half is None else self.first_half[rows]
        known = self.counts[rows], detnum, gain, offset, templates, self.options, halves
        return fit_joint(*known, nearby=nearby, added_up=False, seconds=seconds)
