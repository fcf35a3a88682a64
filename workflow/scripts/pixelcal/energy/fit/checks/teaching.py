"""Which pixels the response of the camera is learnt from."""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.checks.threshold import LOWEST, has_spoilt_edge
from pixelcal.energy.fit.joint import Deviations
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import Templates
from pixelcal.numerics.statistics import robust_outliers
from pixelcal.status import EnergyStatus

WORSE_SIGMA, MIN_PIXELS = 3.7, 8
"""A pixel fits worse than the camera by so many robust standard deviations of all misfits; of fewer
pixels none does."""


def fits_as_the_camera(fits: np.ndarray, found: Deviations) -> np.ndarray:
    """Which pixels are learnt from, (n,) bool: those that fit no worse than the camera does.

    With counts enough no pixel of a real camera fits perfectly, least of all before the shape is
    learnt; what tells a sick one is that it is unlike the others, at any exposure.
    """
    status = fits["STATUS"]
    usable = (status & ~int(EnergyStatus.POOR_FIT)) == 0
    counts = found.block_counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        misfit = found.block_misfit.sum(axis=1) / counts
        variance = found.block_variance.sum(axis=1) / counts**2
        worse = misfit > np.nanmedian(misfit) if usable.any() else False
    unlike = worse & robust_outliers(misfit, variance, WORSE_SIGMA, MIN_PIXELS)
    # Width and tail: two gains, or a gain that moves, teach a shape that no other pixel has.
    for value, its_variance in zip(found.value.T[:N_OF_SHAPE], found.variance.T, strict=False):
        unlike |= robust_outliers(value, its_variance, WORSE_SIGMA, MIN_PIXELS)
    return usable & ~unlike


def spoilt_below(counts, fits, found: Deviations, templates: Templates, good) -> np.ndarray:
    """Which pixels (n,) do not teach because of a threshold, or noise, at the lowest block, bool.

    A threshold takes counts that no test of a single pixel misses. None where they are half of the
    `good` ones (n,), or more: it is the camera then.
    """
    known = (fits[name] for name in ("GAIN", "OFFSET", "LOWEST_CHANNEL"))
    spoilt = has_spoilt_edge(counts, *known, found.normalisation[:, LOWEST], templates)
    return spoilt if 2 * (spoilt & good).sum() < good.sum() else np.zeros(len(counts), bool)
