"""What times count from: the epoch of a file, and the mission's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

EPOCH_TOLERANCE_S = 1e-6
"""Epochs that differ by less are the same, written with a different number of decimals."""

SECONDS_PER_DAY = 86400.0

MISSION_EPOCH = (57754.0, 69.184 / SECONDS_PER_DAY)
"""Zero of mission time: days and fraction of a day (MJD, TT)."""

MISSION_TIMESYS = "TT"

MISSION_EPOCH_UTC = datetime(2017, 1, 1)
"""The same moment. UTC has had no leap second since, so seconds of mission time are seconds of
UTC."""

MISSION_TIME_CARDS = (
    ("MJDREFI", int(MISSION_EPOCH[0]), "[d] epoch of mission time, whole days"),
    ("MJDREFF", MISSION_EPOCH[1], "[d] epoch of mission time, TT less UTC in 2017"),
    ("TIMESYS", MISSION_TIMESYS, "time system"),
)


def epoch(keywords) -> tuple[float, float] | None:
    """Days and fraction of a day (MJD) that times count from; None where a header says nothing."""
    if "MJDREFI" in keywords:
        return float(keywords["MJDREFI"]), float(keywords.get("MJDREFF", 0.0))
    if "MJDREF" in keywords:
        return float(keywords["MJDREF"]), 0.0
    return None


def epoch_difference_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Seconds from epoch `b` to epoch `a`; 0 where they differ by less than the tolerance."""
    seconds = ((a[0] - b[0]) + (a[1] - b[1])) * SECONDS_PER_DAY
    return seconds if abs(seconds) > EPOCH_TOLERANCE_S else 0.0


def epoch_cards(headers: Iterable[Mapping]) -> list[tuple]:
    """MJDREFI, MJDREFF and TIMESYS, each of the first header that has it; none where none has."""
    headers = list(headers)
    cards: list[tuple] = []
    known = next((own for own in map(epoch, headers) if own is not None), None)
    if known is not None:
        whole = math.floor(known[0])
        cards += [
            ("MJDREFI", whole, "[d] epoch of times, whole days"),
            ("MJDREFF", known[0] - whole + known[1], "[d] epoch of times, fraction of a day"),
        ]
    system = next((own["TIMESYS"] for own in headers if "TIMESYS" in own), None)
    if system is not None:
        cards.append(("TIMESYS", system, "time system"))
    return cards


def mission_start(header: Mapping) -> tuple[float, str | None]:
    """TSTART of a header in seconds of mission time, and a remark where it is not just TSTART.

    An epoch or a time system that the header does not name is that of the mission. Times from
    another epoch are converted. Those of another time system are not, as that takes a table of leap
    seconds: the start is then 0, the epoch of the mission, and so it is without TSTART.
    """
    if "TSTART" not in header:
        return 0.0, None
    system = str(header.get("TIMESYS", MISSION_TIMESYS)).strip().upper()
    if system != MISSION_TIMESYS:
        return 0.0, (
            f"TSTART is the epoch of the mission: event times are {system}, not {MISSION_TIMESYS}"
        )
    own = epoch(header)
    later = 0.0 if own is None else epoch_difference_s(own, MISSION_EPOCH)
    if not later:
        return float(header["TSTART"]), None
    remark = f"TSTART converted: event times count from MJD {own[0] + own[1]:.9f}"
    return float(header["TSTART"]) + later, remark
