"""The order of events in a file: times rise but for the jitter of the electronics, and no event
follows itself, as it does where files with common events were merged and sorted by time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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


REPEATED_FRACTION = 0.01
"""Fraction of the events of a file that may repeat the one before, beyond chance."""
REPEATED_SIGMA = 5.0
FEWEST_REPEATED = 10
FAR = 5
"""Of events that are there up to four times, one and the one so many before are different."""


class Repeats(NamedTuple):
    """How many events of a file are like the one before, and that one.

    Attributes
    ----------
    n_events : int
    n_all, n_time : int
        Those of the same time, pixel and value as the one before; of the same time.
    n_rest : int
        Those of the same pixel and value as the one `FAR` before, which is another one.
    time, value : float
    pixel : int
    """

    n_events: int = 0
    n_all: int = 0
    n_time: int = 0
    n_rest: int = 0
    time: float = np.nan
    value: float = np.nan
    pixel: int = -1


def add_repeats(before: Repeats, block: dict) -> Repeats:
    """Go on to count with a block of events, as `reader.stream` yields it, that has times."""
    value, time = block["value"], block["time"]
    pixel = block["pixel"] if block["pixel"] is not None else np.zeros(len(time), np.int32)
    if not len(time):
        return before
    found = _repeats(time, value, pixel, before.time, before.value, before.pixel)
    counts = (old + new for old, new in zip(before[:4], (len(time), *found), strict=True))
    return Repeats(*counts, float(time[-1]), float(value[-1]), int(pixel[-1]))


def check_repeats(repeats: Repeats, path: Path) -> None:
    """Raise InputError where a file holds events twice, next to each other.

    By chance an event repeats the one before as often as times do, and pixel and value of events
    that are not side by side.
    """
    n, n_all, n_time, n_rest = repeats[:4]
    chance = n_time * n_rest / max(n, 1)
    least = max(FEWEST_REPEATED, REPEATED_FRACTION * n, chance + REPEATED_SIGMA * chance**0.5)
    if n_all > least:
        raise InputError(
            f"event file {path}: {n_all} of its {n} events repeat the one before (time, pixel and"
            " energy), as in files that were merged with common events; give every event once"
        )


@njit
def _repeats(time, value, pixel, last_time, last_value, last_pixel):
    """How many events are like the one before in all, and in time; like the one `FAR` before in
    pixel and value."""
    n_all, n_time, n_rest = 0, 0, 0
    for i in range(len(time)):
        if time[i] == last_time:
            n_time += 1
            n_all += value[i] == last_value and pixel[i] == last_pixel
        if i >= FAR:
            n_rest += value[i] == value[i - FAR] and pixel[i] == pixel[i - FAR]
        last_time, last_value, last_pixel = time[i], value[i], pixel[i]
    return n_all, n_time, n_rest
