"""Numbers that stand for a missing charge, such as -999: one value, far from all others."""

from __future__ import annotations

import logging

import numpy as np

from pixelcal.charge.extraction.charges import many_not_finite

FAR = 1.5
"""A placeholder is so many times the range of the other charges away from them, ..."""
MOST = 0.5
"""... and no more than this fraction of the events have it: the pedestal of a pixel without noise
is one gain from the others, which range over several gains where more than half see light."""
FEWEST_EVENTS = 50

LOGGER = logging.getLogger("pixelcal")


def without_placeholders(charges: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Charges with NaN for what stands for a missing one, and which value that is.

    Parameters
    ----------
    charges : (n_pixels, n_events) int or float
    live : (n_pixels,) bool
        Pixels that are looked at.

    Returns
    -------
    charges : (n_pixels, n_events)
        As they were, or a copy in float.
    value : (n_pixels,) float
        The placeholder; NaN in a pixel without one.
    """
    value = np.full(len(charges), np.nan)
    if charges.shape[1] >= FEWEST_EVENTS:
        for i in np.flatnonzero(live):
            value[i] = _placeholder(charges[i])
    if np.isnan(value).all():
        return charges, value
    return np.where(charges == value[:, None], np.nan, charges), value


def _placeholder(row: np.ndarray) -> float:
    """The lowest or highest charge, where many events have it and all others are far; or NaN."""
    known = row[np.isfinite(row)]
    for end in (known.min, known.max) if known.size else ():
        value = end()
        others = known[known != value].astype(float)
        n_there = len(known) - len(others)
        if not many_not_finite(len(row)) < n_there <= MOST * len(known):
            continue
        low, high = others.min(), others.max()
        if max(low - value, value - high) > FAR * (high - low) > 0:
            return float(value)
    return np.nan


def tell_placeholders(value: np.ndarray, where: str) -> None:
    """Warn of the placeholders (n_pixels,) of a run, `where`."""
    there = np.unique(value[np.isfinite(value)])
    if len(there):
        LOGGER.warning(
            "%s: the charge is %s in many events of %d pixels, far from all others: it counts as"
            " missing; write NaN for a missing charge",
            where, " or ".join(f"{one:g}" for one in there), np.isfinite(value).sum(),
        )  # fmt: skip
