"""What the second look at some pixels of a chunk needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.fit.joint import JointOptions, fit_joint
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
    first_half: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    table: LineTable
    shape: LineShape
    templates: Templates
    options: JointOptions

    def fit(self, rows, detnum, gain, offset, templates, seconds=True):
        """Fits and `Deviations` of the pixels `rows` (m,) from the relations (m,)."""
        known = self.counts[rows], detnum, gain, offset, templates, self.options
        return fit_joint(*known, self.first_half[rows], added_up=False, seconds=seconds)
