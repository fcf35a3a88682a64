"""Exposures by date: epochs of a fixed grid, and the files that each dated exposure needs.

Uses the standard library alone: the Snakefile needs it where there is no astropy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pixelcal.errors import InputError
from pixelcal.workflow.dates import date_text, parse_date
from pixelcal.workflow.file_lists import gti_files
from pixelcal.workflow.file_times import FileTimes, TimesOfFiles, common, united
from pixelcal.workflow.schema_errors import shown

LEAST_OVERLAP_S = 0.01
"""A file with less time in an epoch is not of it: dates are known to a few milliseconds."""
MOST_EPOCHS = 5000
OF_AN_EXPOSURE = ("seconds", "start", "stop", "multiplicity", "injection", "lines", "fit")
"""What an exposure may have."""

_UNITS_S = {"s": 1, "h": 3600, "d": 86400, "w": 7 * 86400}
_EVERY = re.compile(r"([0-9]*\.?[0-9]+)\s*([a-z]+)")


@dataclass
class Files:
    """The files of one exposure, in the order of the configuration."""

    events: list[str] = field(default_factory=list)
    gti: list[str] = field(default_factory=list)


def with_dates(config: Mapping) -> dict:
    """The configuration with every date written in the same way.

    Raises
    ------
    InputError
        Where a date is none, an exposure stops before it starts, or `epochs` cannot be read.
    """
    exposures = {}
    for name, exposure in config["exposures"].items():
        dates = {
            key: parse_date(exposure[key], f"exposures.{name}.{key}")
            for key in ("start", "stop")
            if exposure[key] is not None
        }
        if len(dates) == 2 and dates["start"] >= dates["stop"]:
            raise InputError(
                f"exposures.{name}: starts at {exposure['start']} and stops at {exposure['stop']};"
                " write the earlier date first"
            )
        exposures[name] = exposure | {key: date_text(date) for key, date in dates.items()}
    config = dict(config) | {"exposures": exposures}
    if config["epochs"] is not None:
        _grid(config["epochs"])
        if not config["events"]["files"]:
            raise InputError(
                "epochs: are made from the times of event files, but events.files is empty; name"
                " the files, or give exposures instead"
            )
    return config


def files_of_exposures(
    config: Mapping, layout: Mapping, times: TimesOfFiles | None = None, strict: bool = True
) -> tuple[dict, dict[str, Files]]:
    """The exposures with those that `epochs` makes, and the files that each of them needs.

    Parameters
    ----------
    config : dict
        Resolved.
    layout : dict
        That of the event files, from the instrument file: `form`, and the `extension` of events.
    times : TimesOfFiles, optional
        What reads the times.
    strict : bool
        False in the process of a job: a file without dates, which may have come while others were
        read, is then of no epoch.

    Returns
    -------
    exposures : dict
        As in the configuration, those of the epochs behind those that it names.
    files : dict
        `Files` of each.

    Raises
    ------
    InputError
        Where epochs are asked for and the times of a file have no date, or a dated exposure lies
        outside of the times of all files.
    """
    everything = Files(config["events"]["files"], gti_files(config))
    exposures = dict(config["exposures"])
    dated = [name for name, given in exposures.items() if given["start"] or given["stop"]]
    files = dict.fromkeys(exposures, everything)
    if not everything.events or not (dated or config["epochs"]):
        return exposures, files
    times = times or TimesOfFiles()
    ready = layout["form"] != "events"
    how = layout["extension"], not everything.gti  # a GTI file goes before what is in the files
    of_events = {
        path: times.of_spectra(path) if ready else times.of_events(path, *how)
        for path in everything.events
    }
    criteria = config["events"]["gti"]["criteria"]
    of_gti = {path: times.of_good_times(path, criteria) for path in everything.gti}
    times.keep()
    for name in dated:
        files[name] = _files_between(name, exposures[name], of_events, of_gti)
    if config["epochs"] is not None:
        if not strict:
            of_events, of_gti = _with_dates_alone(of_events), _with_dates_alone(of_gti)
        for name, (dates, needed) in _epochs(config["epochs"], of_events, of_gti, ready).items():
            if name in exposures:
                raise InputError(
                    f"exposures.{name}: is the name of an epoch as well; choose another name"
                )
            exposures[name] = dict.fromkeys(OF_AN_EXPOSURE) | ({} if ready else dates)
            files[name] = needed
    return exposures, files


def _with_dates_alone(times: Mapping[str, FileTimes]) -> dict[str, FileTimes]:
    return {path: found for path, found in times.items() if found.good is not None}


def _files_between(name: str, exposure: Mapping, of_events: Mapping, of_gti: Mapping) -> Files:
    """Those of the files that may have time between the dates of an exposure."""
    start, stop = (
        default if exposure[key] is None else parse_date(exposure[key], key)
        for key, default in (("start", -math.inf), ("stop", math.inf))
    )

    def needed(times: Mapping[str, FileTimes]) -> list[str]:
        window = [(start, stop)]
        return [
            path
            for path, found in times.items()
            if found.good is None or _seconds(common(found.good, window)) > LEAST_OVERLAP_S
        ]

    events = needed(of_events)
    if not events:
        covered = united([found.good for found in of_events.values()])
        if not covered:
            raise InputError(f"exposures.{name}: none of the event files has good time")
        raise InputError(
            f"exposures.{name}: there is no good time from {exposure['start'] or 'the beginning'}"
            f" to {exposure['stop'] or 'the end'}; the event files cover"
            f" {date_text(covered[0][0])[:19]} to {date_text(covered[-1][1])[:19]} (UTC); correct"
            " start and stop, or add the files of that time"
        )
    return Files(events, needed(of_gti) or list(of_gti))


# --- epochs ---------------------------------------------------------------------------------------


def _grid(epochs: Mapping) -> tuple[int, float]:
    """Length (s) of an epoch, and the date at which one begins."""
    given = epochs["every"]
    found = _EVERY.fullmatch(str(given).strip())
    units = ", ".join(_UNITS_S)
    if not found or found[2] not in _UNITS_S:
        raise InputError(
            f"epochs.every: {shown(given)} is not a length of time; write a number and a unit of"
            f" {units}, such as 7 d or 12 h"
        )
    every = float(found[1]) * _UNITS_S[found[2]]
    if every < 1 or every != int(every):
        raise InputError(
            f"epochs.every: {shown(given)} is {every:g} s; allowed: whole seconds, at least 1 s"
        )
    origin = parse_date(epochs["start"], "epochs.start")
    if origin != int(origin):
        raise InputError(f"epochs.start: {epochs['start']!r} is not a whole second; write one")
    return int(every), origin


def epoch_name(date: float, every: int, origin: float) -> str:
    """Name of the epoch that begins at a date: the date, with as much time as the grid needs.

    2025-03-17, 2025-03-17T12, 2025-03-17T12-30 or 2025-03-17T12-30-15; all of a grid are alike.
    """
    text = date_text(date).replace(":", "-")
    for unit, length in ((86400, 10), (3600, 13), (60, 16)):
        if every % unit == 0 and origin % unit == 0:
            return text[:length]
    return text[:19]


def _epochs(epochs: Mapping, of_events: Mapping, of_gti: Mapping, ready: bool) -> dict:
    """Name -> (start and stop, files) of each epoch with good time, in the order of time."""
    every, origin = _grid(epochs)
    for what, times in (("event file", of_events), ("GTI file", of_gti)):
        for path, found in times.items():
            if found.good is None:
                raise InputError(
                    f"epochs: {what} {path} {found.reason}; give exposures with seconds instead"
                )
    allowed = united([found.good for found in of_gti.values()])
    parts: dict[int, dict[str, float]] = {}
    for path, found in of_events.items():
        if ready:  # cannot be cut: all of it is of the epoch in which it begins
            number = math.floor((found.good[0][0] - origin) / every)
            parts.setdefault(number, {})[path] = math.inf
            continue
        good = common(found.good, allowed) if of_gti else found.good
        for number, seconds in _parts_of(good, every, origin).items():
            parts.setdefault(number, {})[path] = seconds
    kept = {
        number: list(seconds)
        for number, seconds in sorted(parts.items())
        if sum(seconds.values()) >= epochs["least_seconds"]
    }
    if not kept:
        raise InputError(
            "epochs: no epoch has as much good time as epochs.least_seconds"
            f" ({epochs['least_seconds']:g} s); lower it, or give more files"
        )
    if len(kept) > MOST_EPOCHS:
        raise InputError(
            f"epochs.every: {shown(epochs['every'])} makes {len(kept)} epochs; allowed: at most"
            f" {MOST_EPOCHS}; choose longer ones"
        )
    made = {}
    for number, paths in kept.items():
        start, stop = (origin + every * k for k in (number, number + 1))
        gti = [
            path
            for path, found in of_gti.items()
            if _seconds(common(found.good, [(start, stop)])) > LEAST_OVERLAP_S
        ]
        dates = {"start": date_text(start), "stop": date_text(stop)}
        made[epoch_name(start, every, origin)] = dates, Files(paths, gti)
    return made


def _parts_of(good: Sequence[tuple], every: int, origin: float) -> dict[int, float]:
    """Number of each epoch -> seconds of good time in it, where these are enough."""
    parts: dict[int, float] = {}
    for start, stop in good:
        first = math.floor((start - origin) / every)
        last = math.ceil((stop - origin) / every)
        if last - first > MOST_EPOCHS:
            raise InputError(
                f"epochs.every: makes more than {MOST_EPOCHS} epochs of the time from"
                f" {date_text(start)} to {date_text(stop)}; choose longer ones"
            )
        for number in range(first, last):
            begin = origin + every * number
            inside = min(stop, begin + every) - max(start, begin)
            parts[number] = parts.get(number, 0.0) + inside
    return {number: seconds for number, seconds in parts.items() if seconds > LEAST_OVERLAP_S}


def _seconds(intervals: Sequence[tuple]) -> float:
    return sum(stop - start for start, stop in intervals)
