"""Neighbouring bins that are off by more than chance, all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtri


def limit_of(chance: float, n_looks: int) -> float:
    """Standard deviations that one of `n_looks` exceeds, to either side, with this `chance`."""
    return float(-ndtri(0.5 * chance / n_looks))


def find_off(
    excess: np.ndarray,
    sigma_of: Callable[[slice], float],
    block: np.ndarray,
    widths: Sequence[int],
    limit: float,
) -> list[tuple[int, int]]:
    """Regions of bins that are off.

    Windows of some widths are looked at, in all places. Where one is off, its bins with an excess
    of the same sign are; those that touch are one region.

    Parameters
    ----------
    excess : (n,) float
        Counts beyond those expected.
    sigma_of : callable
        Excess of a window of bins, in standard deviations.
    block : (n,) int
        A region ends where it changes.
    widths : sequence of int
    limit : float
        Standard deviations from which on a window is off.

    Returns
    -------
    list of (first, one past the last) bin
    """
    n, off = len(excess), np.zeros(len(excess), int)
    for number in np.unique(block):
        rows = np.flatnonzero(block == number)
        for width in widths:
            for first in rows[: len(rows) - width + 1]:
                window = slice(first, first + width)
                sigma = sigma_of(window)
                if abs(sigma) > limit:
                    same = np.sign(excess[window]) == np.sign(sigma)
                    off[window][same] = np.sign(sigma)
    regions, first = [], 0
    for k in range(1, n + 1):
        if k == n or off[k] != off[first] or block[k] != block[first]:
            if off[first]:
                regions.append((first, k))
            first = k
    return regions
