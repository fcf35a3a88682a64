"""Dates (UTC) and what times of files are as dates, without astropy.

A date is a number of seconds of the calendar since `ORIGIN`, in which every day has 86 400 s: a
leap second has the date of the second after it. So a grid of days or weeks is at midnights.

Uses the standard library alone: the Snakefile needs it where there is no astropy. Times of products
and the limits of an exposure are converted by astropy (`energy.events.clock`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

from pixelcal.errors import InputError
from pixelcal.io.time_keywords import time_system

ORIGIN = datetime(2001, 1, 1)
"""A Monday."""

_ORIGIN_MJD = 51910
_DAY_S = 86400
_TT_LESS_TAI_S = 32.184
SYSTEMS = ("TT", "TAI", "UTC", "TDB")
"""Time systems that are converted: TDB as TT, from which it differs by less than 2 ms."""

_LEAPS = (
    (1972, 1), (1972, 7), (1973, 1), (1974, 1), (1975, 1), (1976, 1), (1977, 1), (1978, 1),
    (1979, 1), (1980, 1), (1981, 7), (1982, 7), (1983, 7), (1985, 7), (1988, 1), (1990, 1),
    (1991, 1), (1992, 7), (1993, 7), (1994, 7), (1996, 1), (1997, 7), (1999, 1), (2006, 1),
    (2009, 1), (2012, 7), (2015, 7), (2017, 1),
)  # fmt: skip
"""Year and month from whose beginning on TAI - UTC is larger by a second than before (IERS Bulletin
C); it was 10 s in 1972. A test compares with the table of ERFA."""

_LEAP_DATES = [(datetime(*when, 1) - ORIGIN).total_seconds() for when in _LEAPS]
_FIRST_LESS_S = 10
_LEAPS_TAI = [date + _FIRST_LESS_S + n for n, date in enumerate(_LEAP_DATES)]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?(?:Z|\+00:00)?")


def parse_date(text: str, key: str) -> float:
    """A date that is written as 2025-03-17, 2025-03-17T12:00 or 2025-03-17T12:00:00.

    Raises
    ------
    InputError
        Where it is none; `key` names it.
    """
    try:
        if not _DATE.fullmatch(str(text)):
            raise ValueError
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise InputError(
            f"{key}: {text!r} is not a date; write it (UTC) as 2025-03-17 or 2025-03-17T12:00:00"
        ) from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - ORIGIN).total_seconds()


def date_text(date: float) -> str:
    """A date as 2025-03-17T12:00:00, with a fraction of a second where there is one."""
    return (ORIGIN + timedelta(seconds=date)).isoformat()


def date_of(seconds: float, epoch: tuple[float, float], system: str) -> float:
    """The date of a time that is so many SI seconds after an epoch (days and fraction, MJD).

    Raises
    ------
    ValueError
        Where the time system is none of `SYSTEMS`.
    """
    name = time_system(system)
    if name not in SYSTEMS:
        raise ValueError(f"TIMESYS {system} is none of {', '.join(SYSTEMS)}")
    start = (epoch[0] - _ORIGIN_MJD) * _DAY_S + epoch[1] * _DAY_S
    if name == "UTC":
        tai = start + _tai_less_utc(start) + seconds
    else:
        tai = start + seconds - (0.0 if name == "TAI" else _TT_LESS_TAI_S)
    return tai - _less(bisect_right(_LEAPS_TAI, tai))


def _tai_less_utc(date: float) -> int:
    """TAI - UTC (s) at a date."""
    return _less(bisect_right(_LEAP_DATES, date))


def _less(n_leaps: int) -> int:
    return _FIRST_LESS_S - 1 + max(n_leaps, 1)
