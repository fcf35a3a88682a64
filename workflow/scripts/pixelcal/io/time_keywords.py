"""Keywords of FITS headers that say what the times of a table mean.

Uses the standard library alone: the Snakefile needs it where there is no astropy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TIME_KEYWORDS = (
    ("TSTART",),
    ("TSTOP",),
    ("MJDREF", "MJDREFI", "MJDREFF"),
    ("TIMEZERO", "TIMEZERI", "TIMEZERF", "TIMEOFFS"),
    ("TIMESYS",),
    ("TIMEUNIT",),
)
"""In groups that hold together: MJDREF of one header and MJDREFI of another do not."""

SYNONYMS = {"TDT": "TT", "ET": "TT", "IAT": "TAI", "UT": "UTC", "GMT": "UTC"}
"""Other names of time systems, as the FITS standard and astropy have them."""


def keywords_of(headers: Iterable[Mapping]) -> dict:
    """The keywords about time of a table; of several headers the last that has a group counts."""
    found: dict = {}
    for header in headers:
        for group in TIME_KEYWORDS:
            given = {word: header[word] for word in group if _is_said(header.get(word))}
            if given:
                found = {word: value for word, value in found.items() if word not in group} | given
    return found


def _is_said(value) -> bool:
    """Whether a keyword is there with a value."""
    return isinstance(value, int | float) or (isinstance(value, str) and value.strip() != "")


def time_system(name: str) -> str:
    """A time system by its usual name; a realisation in parentheses, as UTC(NIST), is dropped."""
    name = str(name).partition("(")[0].strip().upper()
    return SYNONYMS.get(name, name)


def epoch(keywords: Mapping) -> tuple[float, float] | None:
    """Days and fraction of a day (MJD) that times count from; None where a header says nothing."""
    if "MJDREFI" in keywords:
        return float(keywords["MJDREFI"]), float(keywords.get("MJDREFF", 0.0))
    if "MJDREF" in keywords:
        return float(keywords["MJDREF"]), 0.0
    return None


def zero_of(keywords: Mapping):
    """What is added to all times of a table, in the unit TIMEUNIT.

    TIMEZERO (TIMEZERI and TIMEZERF; TIMEOFFS in the words of the FITS standard).
    """
    zero = keywords.get("TIMEZERO")
    if zero is None:
        zero = keywords.get("TIMEZERI", 0) + keywords.get("TIMEZERF", 0)
        zero = zero or keywords.get("TIMEOFFS", 0)
    return zero
