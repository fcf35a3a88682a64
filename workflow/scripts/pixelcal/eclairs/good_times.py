"""Good time: when the camera saw what the calibration wants to see.

Good time is an (n, 2) array of START and STOP (s), rising and apart. An interval holds the times
START <= t < STOP, so that an event at a common limit belongs to one interval only.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.eclairs.epochs import epoch, epoch_difference_s
from pixelcal.eclairs.events import EventFile, stream
from pixelcal.errors import InputError

SHORTFALL_TOLERANCE = 1e-7
"""Good time may fall short of what is asked for by this share: sums of rounded limits."""


# --- intervals ------------------------------------------------------------------------------------


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


def first_seconds(good_time: np.ndarray, seconds: float) -> np.ndarray:
    """The first `seconds` of good time: as many intervals as it takes, the last one cut.

    Raises
    ------
    InputError
        Where `seconds` is not positive, or there is less good time than that.
    """
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


# --- files ----------------------------------------------------------------------------------------


def check_epochs(a, b, name_a: str, name_b: str) -> None:
    """Raise InputError where two epochs differ by more than a microsecond.

    An epoch that is not known (None) is taken to be the same.
    """
    if a is None or b is None:
        return
    seconds = epoch_difference_s(a, b)
    if seconds:
        raise InputError(
            f"{name_a} and {name_b} count time from different epochs (MJDREFI/MJDREFF differ by"
            f" {seconds:g} s); give files of the same epoch"
        )


def read_good_time(path: str | Path, criteria: list[str], event_epoch=None) -> np.ndarray:
    """Time in a GTI file that is good by every one of `criteria`.

    Parameters
    ----------
    path : path
        A FITS file with an extension for each criterion, with columns START and STOP (s).
    criteria : list of str
        Names of extensions. May be empty where the file has only one.
    event_epoch : as from `epoch`
        What the times of the events count from.

    Returns
    -------
    (n, 2) float, merged

    Raises
    ------
    InputError
        Where the file or an extension is missing or broken, or the epochs differ.
    """
    tables = _read_gti_tables(path)
    if not criteria:
        if len(tables) != 1:
            raise InputError(
                f"GTI file {path}: name the criteria to apply in events.gti.criteria; it has"
                f" {', '.join(tables) or 'no extension with START and STOP'}"
            )
        criteria = list(tables)
    good_time = None
    for criterion in criteria:
        if criterion.upper() not in tables:
            raise InputError(
                f"GTI file {path}: has no extension {criterion} with START and STOP; it has"
                f" {', '.join(tables) or 'none'}; check events.gti.criteria"
            )
        own, own_epoch = tables[criterion.upper()]
        check_epochs(event_epoch, own_epoch, "the event files", f"GTI file {path} ({criterion})")
        good_time = own if good_time is None else intersect(good_time, own)
    return good_time


def good_time_of(
    files: list[EventFile], gti_path: str | Path | None, criteria: list[str]
) -> np.ndarray:
    """Good time (n, 2) of event files.

    With a GTI file: what its criteria leave of the time from TSTART to TSTOP of the event files
    (of all time, where an event file does not say). Without: the union of what each file says,
    which is its GTI extension, or else TSTART to TSTOP, or else the time from its first to its
    last event (or EXPOSURE from the first, where that is longer). Where the files have no times,
    one interval from 0 to the sum of their EXPOSURE.

    Raises
    ------
    InputError
        Where files contradict each other, or good times are asked of events without times.
    """
    timed = [file.has_times for file in files]
    if not any(timed):
        if gti_path is not None:
            raise InputError(
                f"event file {files[0].path}: has no times, so the good times of {gti_path} cannot"
                " be applied; set events.gti.file: null, or name events.columns.time"
            )
        return np.array([[0.0, total_exposure(files)]])
    if not all(timed):
        raise InputError(
            f"event file {files[timed.index(False)].path}: has no times, but"
            f" {files[timed.index(True)].path} has; give files of one kind"
        )
    first = epoch(files[0].keywords)
    for file in files[1:]:
        check_epochs(first, epoch(file.keywords), str(files[0].path), str(file.path))
    if gti_path is None:
        return merge(np.concatenate([_own_good_time(file) for file in files]))
    good_time = read_good_time(gti_path, criteria, first)
    spans = [_header_span(file) for file in files]
    if any(len(span) == 0 for span in spans):
        return good_time
    return intersect(good_time, merge(np.concatenate(spans)))


def total_exposure(files: list[EventFile]) -> float:
    """Sum of the EXPOSURE keywords (s): all that is known of the time of events without times.

    Raises
    ------
    InputError
        Where a file has no positive EXPOSURE.
    """
    total = 0.0
    for file in files:
        seconds = file.keywords.get("EXPOSURE")
        if not isinstance(seconds, int | float) or not 0 < seconds < np.inf:
            raise InputError(
                f"event file {file.path}: has no times and no positive EXPOSURE (s) in its header;"
                " name the column of the times in events.columns.time, or add the keyword"
            )
        total += seconds
    return total


def _header_span(file: EventFile) -> np.ndarray:
    """TSTART to TSTOP of an event file (1, 2), or (0, 2) where they make no interval."""
    start, stop = (file.keywords.get(word) for word in ("TSTART", "TSTOP"))
    if isinstance(start, int | float) and isinstance(stop, int | float) and start < stop:
        return np.array([[start, stop]], float)
    return np.empty((0, 2))


def _own_good_time(file: EventFile) -> np.ndarray:
    """Good time (n, 2) of an event file by what it says itself."""
    tables = {name: table for name, table in _read_gti_tables(file.path).items() if "GTI" in name}
    if len(tables) > 1:
        raise InputError(
            f"event file {file.path}: has several GTI extensions ({', '.join(tables)}); choose with"
            " events.gti.file (the same file) and events.gti.criteria"
        )
    for own, own_epoch in tables.values():
        check_epochs(epoch(file.keywords), own_epoch, str(file.path), "its GTI extension")
        return own
    span = _header_span(file)
    return span if len(span) else _measured_span(file)


def _measured_span(file: EventFile) -> np.ndarray:
    """From the first to the last event (1, 2); EXPOSURE from the first where that is longer."""
    first, last = np.inf, -np.inf
    for block in stream(file, keys=("time",)):
        first = min(first, np.fmin.reduce(block["time"]))
        last = max(last, np.fmax.reduce(block["time"]))
    if not first <= last:
        return np.empty((0, 2))
    # Intervals are open at their end: the last event must still be inside.
    stop = np.nextafter(last, np.inf)
    exposure = file.keywords.get("EXPOSURE")
    if isinstance(exposure, int | float) and np.isfinite(exposure):
        stop = max(stop, first + exposure)
    return np.array([[first, stop]])


def _read_gti_tables(path: str | Path) -> dict[str, tuple]:
    """Name -> (merged intervals, epoch) of every table of a file that has START and STOP."""
    tables = {}
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                if not isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                    continue
                names = {name.upper(): name for name in hdu.columns.names}
                if {"START", "STOP"} <= names.keys():
                    limits = [np.asarray(hdu.data[names[n]], float) for n in ("START", "STOP")]
                    own_epoch = epoch(hdu.header) or epoch(hdus[0].header)
                    intervals = np.column_stack(limits)
                    _check_intervals(path, hdu.name, intervals)
                    tables[hdu.name.upper()] = (merge(intervals), own_epoch)
    except (OSError, EOFError, zlib.error, fits.VerifyError, TypeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"GTI file {path}: cannot be read as FITS ({reason})") from None
    return tables


def _check_intervals(path, name: str, intervals: np.ndarray) -> None:
    broken = ~(intervals[:, 0] <= intervals[:, 1])
    if broken.any():
        row = int(np.argmax(broken))
        raise InputError(
            f"GTI file {path} ({name}), row {row + 1}: START {intervals[row, 0]} is not before STOP"
            f" {intervals[row, 1]}"
        )
