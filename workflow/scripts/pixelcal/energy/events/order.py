"""The order of events in time: within a file, times rise but for the jitter of the electronics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.errors import InputError
from pixelcal.numerics.jit import njit

JITTER_S = 0.1
"""How far a time may lie before the last one: events that are near in time are not sorted, by some
tens of microseconds. A counter that restarts steps back by far more."""


def check_order(time: np.ndarray, last: float, first_row: int, path: Path) -> float:
    """The last finite time of a block of events, whose times must not step back.

    Parameters
    ----------
    time : (n,) float64, s
        NaN, and what else is not finite, is no step.
    last : float, s
        The last finite time before the block; -inf at the beginning of a file.
    first_row : int
        Row of the first event of the block, from 0.
    path : path
        Of the event file, for errors.

    Raises
    ------
    InputError
        With row and times, where a time lies more than `JITTER_S` before the finite one before it.
    """
    row, before, last = _step_back(time, last)
    if row >= 0:
        raise InputError(
            f"event file {path}: times step back in row {first_row + row + 1}, from {before:.6f} to"
            f" {time[row]:.6f} s, like those of a counter that restarts; correct its times, or give"
            " the events before and after it as files that do not overlap"
        )
    return last


@njit
def _step_back(time, last):
    """Place of the first step back (-1: none), the time before it, and the last finite time."""
    for i in range(len(time)):
        t = time[i]
        if np.isfinite(t):
            if t < last - JITTER_S:
                return i, last, t
            last = t
    return -1, last, last
