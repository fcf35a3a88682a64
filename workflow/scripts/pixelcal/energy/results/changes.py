"""Which pixels changed significantly against the relation known before.

A camera that warms up shifts all its pixels alike, and every new fit scatters by its error. A pixel
has changed significantly where its gain or its offset moved by something else than these: by more
than a threshold times the scatter of the changes in the camera, which is found by sigma clipping,
so that those pixels do not hide themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pixelcal.numerics.statistics import robust_std

MIN_PIXELS = 20
"""With fewer pixels there is no spread: a change is judged against the error of the fit alone."""

MAX_CLIPS = 50
"""Clipping settles in a few rounds; each takes pixels away or is the last."""

UNCHANGED, GAIN_CHANGED, OFFSET_CHANGED, BOTH_CHANGED = range(4)
CHANGE_LABELS = ("no significant change", "gain changed", "offset changed", "both changed")


@dataclass(frozen=True)
class Change:
    """The change of one quantity of all pixels, new minus previous.

    Attributes
    ----------
    values : (n,) float
        In the unit of the quantity; NaN without a valid fit.
    deviation : (n,) float
        How far it is from `centre`, in sigma, with its sign.
    significant : (n,) bool
    centre, spread : float
        Mean and standard deviation of the changes that were not clipped away.
    """

    values: np.ndarray
    deviation: np.ndarray
    significant: np.ndarray
    centre: float
    spread: float


def find_changes(
    rows: Mapping, prior: tuple[np.ndarray, np.ndarray], threshold_sigma: float
) -> tuple[Change, Change]:
    """Changes of gain (keV/channel) and offset (keV) against the prior relation.

    Parameters
    ----------
    rows : table or structured array, (n,) in each column
        GAIN, OFFSET, GAIN_ERR and OFFSET_ERR of a relation, NaN without a valid fit.
    prior : gain and offset known before, (n,) each
    threshold_sigma : float
    """
    gain, offset = (
        judge_change(
            np.asarray(rows[name], float) - known,
            np.asarray(rows[f"{name}_ERR"], float),
            threshold_sigma,
        )
        for name, known in zip(("GAIN", "OFFSET"), prior, strict=True)
    )
    return gain, offset


def judge_change(values: np.ndarray, error: np.ndarray, threshold_sigma: float) -> Change:
    """Assess the changes `values` (n,) with the errors (n,) of the fits.

    The sigma of a pixel is the camera's clipped spread, or a typical error where that is larger;
    what the error of a pixel has in excess of the typical one is added in quadrature, so that a
    pixel of few counts does not count as changed.
    """
    known = np.isfinite(values) & np.isfinite(error)
    typical = float(np.median(error[known])) if known.any() else 0.0
    if known.sum() >= MIN_PIXELS:
        centre, spread = sigma_clip(values[known], threshold_sigma)
        variance = max(spread, typical) ** 2 + np.maximum(error**2 - typical**2, 0.0)
    else:
        centre, spread, variance = 0.0, np.nan, error**2
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.where(known, (values - centre) / np.sqrt(variance), np.nan)
        significant = np.abs(deviation) > threshold_sigma
    return Change(values, deviation, significant, centre, spread)


def sigma_clip(values: np.ndarray, threshold_sigma: float) -> tuple[float, float]:
    """Mean and standard deviation of values (n,) without those beyond the threshold.

    It starts from the median and the median absolute deviation (as a standard deviation), which a
    minority of wild values cannot move, and clips until nothing more falls away.
    """
    centre = float(np.median(values))
    spread = robust_std(values)
    kept = np.zeros(len(values), bool)
    for _ in range(MAX_CLIPS):
        now = np.abs(values - centre) <= threshold_sigma * spread
        if np.array_equal(now, kept):
            break
        kept = now
        centre, spread = float(values[kept].mean()), float(values[kept].std())
    return centre, spread


def change_classes(gain: Change, offset: Change) -> np.ndarray:
    """Index (n,) into CHANGE_LABELS of each pixel."""
    return gain.significant * GAIN_CHANGED + offset.significant * OFFSET_CHANGED
