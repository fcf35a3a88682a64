"""The halves of an exposure fitted apart, where the score test doubts that they agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pixelcal.energy.fit.columns import has_second_state, is_mended
from pixelcal.energy.fit.joint import chance_of, fit_joint, is_change, larger_of
from pixelcal.energy.fit.model import PIVOT_HIGH, PIVOT_LOW
from pixelcal.energy.fit.second_look.doubtful import Doubtful
from pixelcal.energy.relation import relation_covariance
from pixelcal.status import EnergyStatus, has_valid_fit

DOUBT_HALVES = 0.01
"""The halves of an exposure are fitted apart where they agree by chance so rarely."""


def compare_halves(fits: np.ndarray, data: Doubtful) -> None:
    """Fit the halves of the exposure apart where the score test doubts that they agree, or where
    one of them clearly has a second gain.

    Bit 128 (CHANGED) where they do not.

    The score sees small changes best. By a large one lines jump out of their own flanks: of a
    change of the whole camera, whose response is learnt from both halves, it may see nothing. Where
    a block was left out the score alone must do: the block spoils both halves.
    """
    with np.errstate(invalid="ignore"):
        doubtful = fits["DRIFT_PVALUE"] < DOUBT_HALVES
    doubtful |= has_second_state(fits) & (fits["SECOND_PART"] > 0)
    rows = np.flatnonzero(doubtful & ~is_mended(fits))
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


def _fit_alone(counts, rows, fits, data: Doubtful) -> np.ndarray:
    """Fits (m,) of a half of the exposure of the pixels `rows`, `counts` (m, n_channels)."""
    starts = data.seeds(rows, counts, fits["GAIN"][rows], fits["OFFSET"][rows])
    half = replace(data.options, min_counts=data.options.min_counts // 2)
    known = fits["DETNUM"][rows], *starts.T, data.templates, half
    return fit_joint(counts, *known, added_up=False)[0]
