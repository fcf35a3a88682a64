"""Arithmetic of intervals of time: union, intersection, length, the first seconds.

Intervals are (n, 2) arrays of START and STOP (s); merged ones rise and are apart.
"""

from __future__ import annotations

import numpy as np

from pixelcal.errors import InputError

SHORTFALL_TOLERANCE = 1e-7
"""Good time may fall short of what is asked for by this fraction: sums of rounded limits."""


def merge(intervals) -> np.ndarray:
    """Union of intervals (n, 2) in any order: sorted, with overlapping and touching ones joined.

    Intervals of no length are dropped.
    """
    intervals = np.asarray(intervals, float).reshape(-1, 2)
    intervals = intervals[intervals[:, 1] > intervals[:, 0]]
    intervals = intervals[np.argsort(intervals[:, 0], kind="stable")]
    if len(intervals) == 0:
        return intervals
    reach = np.maximum.accumulate(intervals[:, 1])
    opens = np.concatenate([[True], intervals[1:, 0] > reach[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    return np.column_stack([intervals[opens, 0], reach[closes]])


def intersect(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Time that lies in both of two merged sets of intervals, (n, 2) and (m, 2)."""
    common = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, stop = max(a[i, 0], b[j, 0]), min(a[i, 1], b[j, 1])
        if start < stop:
            common.append((start, stop))
        if a[i, 1] <= b[j, 1]:
            i += 1
        else:
            j += 1
    return np.array(common, float).reshape(-1, 2)


def total_seconds(good_time: np.ndarray) -> float:
    """Length (s) of merged intervals (n, 2)."""
    return float(np.sum(good_time[:, 1] - good_time[:, 0]))


def first_seconds(good_time: np.ndarray, seconds: float | None) -> np.ndarray:
    """The first `seconds` of good time: as many intervals as it takes, the last one cut.

    All of it where `seconds` is None.

    Raises
    ------
    InputError
        Where `seconds` is not positive, or there is less good time than that.
    """
    if seconds is None:
        return good_time
    if not seconds > 0:
        raise InputError(f"an exposure of {seconds} s was asked for; it must be positive")
    available = total_seconds(good_time)
    if available < seconds * (1 - SHORTFALL_TOLERANCE):
        raise InputError(
            f"{seconds:g} s of good time were asked for, but there are only {available:.3f} s;"
            " lower the seconds of the exposure, or give more events"
        )
    used = np.cumsum(good_time[:, 1] - good_time[:, 0])
    last = min(int(np.searchsorted(used, seconds)), len(good_time) - 1)
    first = good_time[: last + 1].copy()
    first[last, 1] -= max(used[last] - seconds, 0.0)
    return first


def time_after(good_time: np.ndarray, seconds: float) -> float:
    """Time (s) at which so many seconds of merged intervals (n, 2) are over; inf where never."""
    used = np.cumsum(good_time[:, 1] - good_time[:, 0])
    last = int(np.searchsorted(used, seconds))
    if last >= len(good_time):
        return np.inf
    return float(good_time[last, 1] - (used[last] - seconds))
