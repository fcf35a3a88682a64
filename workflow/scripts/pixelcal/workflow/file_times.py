"""Which times the files of a run are of, from their headers and good times, before any job.

Of a plain file only headers and good times are read; what was found is kept in a file, because the
process of each job reads the configuration again. What cannot be told here is left to the job that
reads the file. Uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pixelcal.errors import InputError
from pixelcal.io.atomic import atomic
from pixelcal.io.fits_headers import open_bytes, walk
from pixelcal.io.time_keywords import epoch, keywords_of, zero_of
from pixelcal.workflow.dates import date_of, parse_date

CACHE = Path(".snakemake", "pixelcal-times.json")

_UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNITS |= {"min": 60.0, "h": 3600.0, "hr": 3600.0, "d": 86400.0, "day": 86400.0}
_NUMBERS = {"D": "d", "E": "f", "K": "q", "J": "i", "I": "h"}
_SIZES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16}
_SIZES |= {"P": 8, "Q": 16}
_BROKEN = (OSError, EOFError, zlib.error, ValueError, KeyError, struct.error)
_BEGIN = ("DATE-OBS", "DATE_BEG", "DATE_OBS", "DATE-BEG")
_END = ("DATE-END", "DATE_END")


@dataclass(frozen=True)
class FileTimes:
    """Good time of a file.

    Attributes
    ----------
    good : list of (start, stop) or None
        Dates, rising; None where they cannot be told.
    reason : str
        Why not.
    """

    good: list[tuple[float, float]] | None
    reason: str = ""


class TimesOfFiles:
    """Reads times of files, each file once, with what was read before in `CACHE`."""

    def __init__(self, cache: Path = CACHE) -> None:
        self._cache = cache
        try:
            self._known = json.loads(cache.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._known = {}
        self._changed = False

    def of_events(self, path: str, extension: str, embedded: bool = True) -> FileTimes:
        """Of an event file: its GTI extension, where that counts (`embedded`), or TSTART to TSTOP.

        `extension` is that of the events.
        """
        kind = f"events {extension} {'GTI' if embedded else 'TSTART'}"
        return self._of(kind, path, lambda: _events_times(path, extension, embedded))

    def of_good_times(self, path: str, criteria: Sequence[str]) -> FileTimes:
        """Of a GTI file: what is good by all criteria."""
        names = [name.upper() for name in criteria]
        return self._of(f"gti {' '.join(names)}", path, lambda: _gti_times(path, names))

    def of_spectra(self, path: str) -> FileTimes:
        """Of ready spectra: from the date of their beginning to that of their end."""
        return self._of("spectra", path, lambda: _spectra_times(path))

    def keep(self) -> None:
        """Write what was read for the next process; where that is not possible, it reads again."""
        if self._changed:
            try:
                with atomic(self._cache) as temporary:
                    temporary.write_text(json.dumps(self._known))
            except (OSError, InputError):
                pass

    def _of(self, kind: str, path: str, read: Callable[[], FileTimes]) -> FileTimes:
        entry = os.stat(path)
        key, state = f"{kind} {os.path.abspath(path)}", [entry.st_size, entry.st_mtime_ns]
        found = self._known.get(key)
        if found is None or found[0] != state:
            try:
                times = read()
            except _BROKEN as error:
                times = FileTimes(None, f"cannot be read ({error})")
            found = self._known[key] = [state, times.good, times.reason]
            self._changed = True
        good = found[1]
        return FileTimes(None if good is None else [tuple(part) for part in good], found[2])


def _events_times(path: str, extension: str, embedded: bool) -> FileTimes:
    primary, events, good = {}, None, None
    with open_bytes(path) as file:
        for number, header in enumerate(walk(file)):
            name = str(header.get("EXTNAME", "")).upper()
            if number == 0:
                primary = header
            elif "GTI" in name and {"START", "STOP"} <= set(_columns(header)):
                good = _intervals(file, primary, header) if embedded else None
                if isinstance(good, str):
                    return FileTimes(None, good)
            elif events is None or name == extension.upper():
                events = header
    if good is not None:
        return FileTimes(good)
    words = keywords_of((primary, events or {}))
    if "TSTART" not in words or "TSTOP" not in words or words["TSTART"] >= words["TSTOP"]:
        return FileTimes(None, "has neither an extension GTI nor TSTART and TSTOP in its header")
    reason = _why_no_date(words)
    if reason:
        return FileTimes(None, reason)
    return FileTimes([tuple(_date(words[word], words) for word in ("TSTART", "TSTOP"))])


def _gti_times(path: str, criteria: Sequence[str]) -> FileTimes:
    found: dict[str, list] = {}
    with open_bytes(path) as file:
        primary: dict = {}
        for number, header in enumerate(walk(file)):
            primary = header if number == 0 else primary
            if not {"START", "STOP"} <= set(_columns(header)):
                continue
            name = str(header.get("EXTNAME", "")).upper()
            if criteria and name not in criteria:
                continue
            intervals = _intervals(file, primary, header)
            if isinstance(intervals, str):
                return FileTimes(None, intervals)
            found[name] = intervals
    if not found or len(found) != len(criteria or found):
        return FileTimes(None, "lacks one of the criteria")
    parts = list(found.values())
    good = parts[0]
    for others in parts[1:]:
        good = common(good, others)
    return FileTimes(good)


def _spectra_times(path: str) -> FileTimes:
    words: dict = {}
    with open_bytes(path) as file:
        for header in walk(file):
            for word in (*_BEGIN, *_END):
                if isinstance(header.get(word), str):
                    words.setdefault(word, header[word].strip())
    begin = next((words[word] for word in _BEGIN if word in words), None)
    if begin is None:
        return FileTimes(None, "has no DATE-OBS")
    end = next((words[word] for word in _END if word in words), begin)
    try:
        return FileTimes([(parse_date(begin, "DATE-OBS"), parse_date(end, "DATE-END"))])
    except InputError as error:
        return FileTimes(None, f"has an invalid date ({error})")


def common(a: Sequence[tuple], b: Sequence[tuple]) -> list[tuple[float, float]]:
    """Time that lies in both of two rising lists of intervals."""
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        start, stop = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < stop:
            found.append((start, stop))
        if a[i][1] <= b[j][1]:
            i += 1
        else:
            j += 1
    return found


def united(parts: Sequence[Sequence[tuple]]) -> list[tuple[float, float]]:
    """Union of lists of intervals: rising and apart."""
    joined: list[list[float]] = []
    for start, stop in sorted(interval for part in parts for interval in part):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        elif start < stop:
            joined.append([start, stop])
    return [tuple(interval) for interval in joined]


# --- headers --------------------------------------------------------------------------------------


def _why_no_date(words: Mapping) -> str:
    """Why times have no date; empty where they have."""
    if epoch(words) is None:
        return "has no MJDREF (or MJDREFI), so its times have no date"
    if str(words.get("TIMEUNIT", "s")).strip().lower() not in _UNITS:
        return f"has times in {words['TIMEUNIT']} (TIMEUNIT)"
    try:
        _date(0.0, words)
    except ValueError as error:
        return f"has times without a date ({error})"
    return ""


def _date(value: float, words: Mapping, unit_s: float | None = None) -> float:
    """The date of a time of a table."""
    timeunit_s = _UNITS[str(words.get("TIMEUNIT", "s")).strip().lower()]
    seconds = value * (unit_s or timeunit_s) + zero_of(words) * timeunit_s
    return date_of(seconds, epoch(words), str(words.get("TIMESYS", "TT")))


def _columns(header: Mapping) -> dict[str, int]:
    """Number of each column of a binary table by its name in capitals."""
    if header.get("XTENSION") != "BINTABLE" or header.get("ZTABLE") or header.get("ZIMAGE"):
        return {}
    numbers = range(1, header.get("TFIELDS", 0) + 1)
    return {str(header.get(f"TTYPE{k}", "")).upper(): k for k in numbers}


def _intervals(file: BinaryIO, primary: Mapping, header: Mapping) -> list[tuple] | str:
    """Good times of the table whose data begin where the file is, or why there are none."""
    words, columns = keywords_of((primary, header)), _columns(header)
    reason = _why_no_date(words)
    if reason:
        return reason
    places, offset = {}, 0
    for number in range(1, header["TFIELDS"] + 1):
        form = header[f"TFORM{number}"]
        letter = form.lstrip("0123456789")[0]
        count = int(form[: form.index(letter)] or 1)
        places[number] = offset, letter, count
        offset += -(-count // 8) if letter == "X" else count * _SIZES[letter]
    n_rows, width = header["NAXIS2"], header["NAXIS1"]
    data = file.read(n_rows * width)
    limits = []
    for name in ("START", "STOP"):
        number = columns[name]
        start, letter, count = places[number]
        unit = str(header.get(f"TUNIT{number}", words.get("TIMEUNIT", "s"))).strip().lower()
        scaled = f"TSCAL{number}" in header or f"TZERO{number}" in header
        if letter not in _NUMBERS or count != 1 or scaled or unit not in _UNITS:
            return f"has good times of an unusual form (column {name})"
        row = struct.Struct(f">{_NUMBERS[letter]}")
        values = (row.unpack_from(data, k * width + start)[0] for k in range(n_rows))
        limits.append([_date(value, words, _UNITS[unit]) for value in values])
    return united([list(zip(*limits, strict=True))])
