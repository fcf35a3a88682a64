"""What the second look at some pixels of a chunk needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pixelcal.energy.fit.joint import JointOptions, fit_joint
from pixelcal.energy.fit.start import (
    Filters,
    filters_without,
    find_start,
    make_far_filters,
    make_filters,
)
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
    """

    counts: np.ndarray
    first_half: np.ndarray | None
    gain: np.ndarray
    offset: np.ndarray
    table: LineTable
    shape: LineShape
    templates: Templates
    options: JointOptions

    @cached_property
    def filters(self) -> Filters:
        """Those that seeds within the search window are found with."""
        return make_filters(self.table, self.shape, float(np.median(self.gain)))

    @cached_property
    def far_filters(self) -> list[Filters]:
        """Those that seeds outside of it are found with."""
        return make_far_filters(self.table, self.shape, float(np.median(self.gain)))

    def starts_without(self, block: int, rows) -> np.ndarray:
        """Gain and offset (m, 2) near which fits start, from seeds that ignore a block."""
        others = filters_without(self.filters, block)
        known = zip(self.counts[rows], self.gain[rows], self.offset[rows], strict=True)
        return np.array([find_start(*pixel, others, self.options.search) for pixel in known])

    def fit(self, rows, detnum, gain, offset, templates, *, nearby=None, seconds=True):
        """Fits and `Deviations` of the pixels `rows` (m,) from the relations (m,)."""
        halves = None if self.first_half is None else self.first_half[rows]
        known = self.counts[rows], detnum, gain, offset, templates, self.options, halves
        return fit_joint(*known, nearby=nearby, added_up=False, seconds=seconds)
