"""Good time of event files: from a file of good times, or from what the event files say themselves.

Good time is an (n, 2) array of START and STOP (s), rising and apart. An interval holds the times
START <= t < STOP, so that an event at a common limit belongs to one interval only. The arithmetic
of intervals is in `events.intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.energy.events.clock import Clock, check_clocks, clock_of, time_keywords
from pixelcal.energy.events.intervals import intersect, merge
from pixelcal.energy.events.reader import EventFile, stream
from pixelcal.energy.units import unit_factor
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.io.checksums import check_sums
from pixelcal.io.columns import column_names, find_column
from pixelcal.io.fits_files import open_fits
from pixelcal.io.tiled_tables import plain_table

SLACK_S = 1.0
"""How far events may lie beyond TSTART and TSTOP: headers may give whole seconds."""


def read_good_time(
    path: str | Path,
    criteria: list[str],
    event_clock: Clock | None = None,
    instrument: Instrument | None = None,
) -> np.ndarray:
    """Time in a GTI file that is good by every one of `criteria`.

    Parameters
    ----------
    path : path
        A FITS file with an extension for each criterion, with columns START and STOP (s, or in the
        unit that they name).
    criteria : list of str
        Names of extensions. May be empty where the file has only one.
    event_clock : Clock, optional
        What the times of the events mean.
    instrument : Instrument, optional
        The camera that the file must not contradict.

    Returns
    -------
    (n, 2) float, s, merged

    Raises
    ------
    InputError
        Where the file or an extension is missing, broken, there twice or of another camera, or the
        clocks differ.
    """
    what = f"GTI file {path}"
    with open_fits(path, "GTI file") as hdus:
        tables = _gti_tables(hdus)
        if not criteria:
            _refuse_other_limits(hdus, what)
            if len(tables) != 1:
                raise InputError(
                    f"{what}: name the criteria to apply in events.gti.criteria; it has"
                    f" {', '.join(tables) or 'no extension with START and STOP'}"
                )
            criteria = list(tables)
        good_time = None
        for criterion in criteria:
            hdu = _only_table(tables, criterion, what)
            for header in (hdus[0].header, hdu.header) if instrument else ():
                instrument.check_header(header, what)
            check_sums(path, hdu, "GTI file")
            where = f"{what} ({hdu.name})"
            hdu = plain_table(path, hdu, where)
            intervals, clock = _read_intervals(hdus[0].header, hdu, where)
            check_clocks(event_clock or Clock(), clock, "the event files", f"{what} ({criterion})")
            good_time = intervals if good_time is None else intersect(good_time, intervals)
    return good_time


def good_time_of(
    files: list[EventFile],
    gti_path: str | Path | Sequence[str | Path] | None,
    criteria: list[str],
    instrument: Instrument | None = None,
) -> np.ndarray:
    """Good time (n, 2) of event files.

    With a GTI file, or several whose good times add up: what their criteria leave of the time from
    TSTART to TSTOP of the event files (of all time, where one does not say). Without: the union of
    what each file says, which is its GTI extension, or else TSTART to TSTOP, or else the time from
    its first to its last event (or EXPOSURE from the first, where that is longer). Where the files
    have no times, one interval from 0 to the sum of their EXPOSURE.

    Raises
    ------
    InputError
        Where files contradict each other, good times are asked of events without times, or there
        is no good time at all.
    """
    gti_paths = [gti_path] if isinstance(gti_path, str | Path) else list(gti_path or [])
    gti_path = ", ".join(map(str, gti_paths[:2])) + " and others" * (len(gti_paths) > 2)
    timed = [file.has_times for file in files]
    if not any(timed):
        if gti_paths:
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
    for file in files[1:]:
        check_clocks(files[0].clock, file.clock, str(files[0].path), str(file.path))
    if gti_paths:
        clock = files[0].clock
        of_each = [read_good_time(path, criteria, clock, instrument) for path in gti_paths]
        return _within_the_events(merge(np.concatenate(of_each)), files, gti_path)
    good_time = merge(np.concatenate([_embedded_good_time(file) for file in files]))
    if not len(good_time):
        raise InputError(
            f"event file {files[0].path}: has no good time: its GTI extension holds no interval"
            " or no event has a time; name a file of good times in events.gti.file"
        )
    return good_time


def _within_the_events(good_time: np.ndarray, files: list[EventFile], gti_path) -> np.ndarray:
    """What of the good time (n, 2) of a GTI file lies between TSTART and TSTOP of event files."""
    if not len(good_time):
        raise InputError(
            f"GTI file {gti_path}: there is no time that is good by all criteria; check"
            " events.gti.criteria"
        )
    spans = [_header_span(file) for file in files]
    if any(len(span) == 0 for span in spans):
        return good_time
    span = merge(np.concatenate(spans))
    common = intersect(good_time, span)
    if not len(common):
        raise InputError(
            f"GTI file {gti_path}: its good time, from {good_time[0, 0]:g} to {good_time[-1, 1]:g}"
            f" s, contains no time of the event files, TSTART {span[0, 0]:g} to TSTOP"
            f" {span[-1, 1]:g} s; give the good times of the same observation"
        )
    return common


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
    """TSTART to TSTOP of an event file (1, 2), or (0, 2) where they are equal or not there."""
    start, stop = (file.keywords.get(word) for word in ("TSTART", "TSTOP"))
    if start is None or stop is None or start == stop:
        return np.empty((0, 2))
    if start > stop:
        raise InputError(
            f"event file {file.path}: TSTART {start} is after TSTOP {stop}; correct its header"
        )
    return np.array([[start, stop]], float) * file.clock.unit_s + file.clock.zero_s


def header_limits(file: EventFile) -> tuple[float, float]:
    """Times (s) between which the events of a file are by its header; infinite without a word.

    `SLACK_S` is added at both ends.
    """
    span = _header_span(file)
    if not len(span):
        return -np.inf, np.inf
    return float(span[0, 0]) - SLACK_S, float(span[0, 1]) + SLACK_S


def _embedded_good_time(file: EventFile) -> np.ndarray:
    """Good time (n, 2) of an event file from its GTI extension, header or events."""
    what = f"event file {file.path}"
    with open_fits(file.path, "event file") as hdus:
        _refuse_other_limits(hdus, what)
        tables = {name: hdu for name, hdu in _gti_tables(hdus).items() if "GTI" in name}
        if len(tables) > 1:
            raise InputError(
                f"{what}: has several GTI extensions ({', '.join(tables)}); choose with"
                " events.gti.file (the same file) and events.gti.criteria"
            )
        for name in tables:
            hdu = _only_table(tables, name, what)
            check_sums(file.path, hdu, "event file")
            where = f"{what} ({hdu.name})"
            hdu = plain_table(file.path, hdu, where)
            intervals, clock = _read_intervals(hdus[0].header, hdu, where)
            check_clocks(file.clock, clock, what, f"its extension {hdu.name}")
            return intervals
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


def _gti_tables(hdus) -> dict[str, list]:
    """The tables of a file that have START and STOP, by their names in capital letters."""
    tables: dict[str, list] = {}
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
            names = {name.upper() for name in column_names(hdu.header)}
            if {"START", "STOP"} <= names:
                tables.setdefault(hdu.name.upper(), []).append(hdu)
    return tables


def _refuse_other_limits(hdus, what: str) -> None:
    """Raise InputError where an extension is one of good times by its name, not by its columns."""
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and "GTI" in hdu.name.upper():
            names = column_names(hdu.header)
            if not {"START", "STOP"} <= {name.upper() for name in names}:
                raise InputError(
                    f"{what}: its extension {hdu.name} has no columns START and STOP (there is:"
                    f" {', '.join(names) or 'none'}); name its columns so, or the extension"
                    " without GTI where it holds no good times"
                )


def _only_table(tables: dict[str, list], name: str, what: str):
    """The one table of a name. Of two, nothing says whether both must hold or one is enough."""
    found = tables.get(name.upper(), [])
    if not found:
        raise InputError(
            f"{what}: has no extension {name} with START and STOP; it has"
            f" {', '.join(tables) or 'none'}; check events.gti.criteria"
        )
    if len(found) > 1:
        raise InputError(
            f"{what}: has {len(found)} extensions {name}; merge them, or give each its own name and"
            " choose with events.gti.criteria"
        )
    return found[0]


def _read_intervals(primary, hdu, where: str) -> tuple[np.ndarray, Clock]:
    """Merged intervals (n, 2), s, of a table of good times, and what its times mean."""
    clock = clock_of(time_keywords((primary, hdu.header), where), where)
    limits = []
    for wanted in ("START", "STOP"):
        index = find_column(column_names(hdu.header), wanted, where)
        values = np.asarray(hdu.data.field(index))
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise InputError(
                f"{where}: column {wanted} does not hold one number per row; correct it"
            )
        unit = hdu.columns[index].unit
        factor = clock.unit_s
        if unit is not None:
            factor = unit_factor(unit, "s", f"{where}: column {wanted}")
        limits.append(values.astype(float) * factor + clock.zero_s)
    intervals = np.column_stack(limits)
    _check_intervals(intervals, where)
    return merge(intervals), clock


def _check_intervals(intervals: np.ndarray, where: str) -> None:
    """Every interval (n, 2) has finite limits, and its stop is not before its start."""
    for broken, problem in (
        (~np.isfinite(intervals).all(axis=1), "are not both finite"),
        (intervals[:, 0] > intervals[:, 1], "are in the wrong order"),
    ):
        if broken.any():
            row = int(np.argmax(broken))
            start, stop = intervals[row]
            raise InputError(
                f"{where}, row {row + 1}: START {start} and STOP {stop} {problem}; correct the row"
            )
