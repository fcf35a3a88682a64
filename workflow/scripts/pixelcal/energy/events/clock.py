"""What times of a file mean: their epoch, time system and unit; and the conversion to mission time.

Mission time is seconds of TT since 2017-01-01T00:00:00 UTC. astropy converts epochs and time
systems, with the table of leap seconds that it brings; nothing is downloaded.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from astropy.time import Time, TimeDelta
from astropy.utils import iers

from pixelcal.energy.units import unit_factor
from pixelcal.errors import InputError
from pixelcal.io.time_keywords import epoch, keywords_of, time_system, zero_of

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
    ("MJDREFF", MISSION_EPOCH[1], "[d] epoch of mission time, TT minus UTC in 2017"),
    ("TIMESYS", MISSION_TIMESYS, "time system"),
)

TIME_SYSTEMS = ("TT", "TAI", "UTC", "TDB", "TCB", "TCG")
"""Those that are converted. UT1 would need tables of measurements; GPS and LOCAL have no scale."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """What the times of a table mean.

    Attributes
    ----------
    epoch : days and fraction of a day (MJD), or None
        What times count from; None where the header says nothing.
    system : str or None
        Time system, as "TT".
    unit_s, zero_s : float, s
        Seconds since the epoch are unit_s times a time as it is written, plus zero_s.
    """

    epoch: tuple[float, float] | None = None
    system: str | None = None
    unit_s: float = 1.0
    zero_s: float = 0.0


def time_keywords(headers: Iterable[Mapping], where: str) -> dict:
    """The keywords about time of a table; of several headers the last that has them counts.

    Raises
    ------
    InputError
        Where one that should be a number is none, or MJDREFF is no fraction of a day.
    """
    found = keywords_of(headers)
    for word, value in found.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number == (word in ("TIMESYS", "TIMEUNIT")):
            expected = "a text" if is_number else "a number"
            raise InputError(f"{where}: {word} is {value!r}, not {expected}; correct the header")
    fraction = found.get("MJDREFF", 0.0)
    if not -EPOCH_TOLERANCE_S / SECONDS_PER_DAY <= fraction < 1:
        raise InputError(
            f"{where}: MJDREFF is {fraction!r}, not a fraction of a day (0 to 1); write it in days,"
            " or correct the header"
        )
    return found


def clock_of(keywords: Mapping, where: str) -> Clock:
    """What the times of a table mean, from `time_keywords`.

    What is added to all times (`zero_of`) is in the unit TIMEUNIT, as TSTART and TSTOP are.
    """
    unit_s = unit_factor(keywords.get("TIMEUNIT"), "s", f"{where}: TIMEUNIT")
    system = keywords.get("TIMESYS")
    return Clock(
        epoch=epoch(keywords),
        system=None if system is None else time_system(system),
        unit_s=unit_s,
        zero_s=float(zero_of(keywords) * unit_s),
    )


def check_clocks(a: Clock, b: Clock, name_a: str, name_b: str) -> None:
    """Raise InputError where two tables count time from epochs that differ by more than a
    microsecond, or in different time systems.

    What is not known (None) is taken to be the same.
    """
    seconds = epoch_difference_s(a.epoch, b.epoch) if a.epoch and b.epoch else 0.0
    if seconds:
        raise InputError(
            f"{name_a} and {name_b} count time from different epochs (MJDREFI/MJDREFF differ by"
            f" {seconds:g} s); give files of the same epoch"
        )
    if a.system and b.system and a.system != b.system:
        raise InputError(
            f"{name_a} and {name_b} count time in different systems (TIMESYS {a.system} and"
            f" {b.system}); give files of the same time system"
        )


def epoch_difference_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Seconds from epoch `b` to epoch `a`; 0 where they differ by less than the tolerance."""
    seconds = ((a[0] - b[0]) + (a[1] - b[1])) * SECONDS_PER_DAY
    return seconds if abs(seconds) > EPOCH_TOLERANCE_S else 0.0


def epoch_cards(headers: Iterable[Mapping]) -> list[tuple]:
    """MJDREFI, MJDREFF and TIMESYS, each of the first header that has it; none where none has."""
    headers = list(headers)
    cards: list[tuple] = []
    known = next((found for found in map(epoch, headers) if found is not None), None)
    if known is not None:
        whole = math.floor(known[0])
        cards += [
            ("MJDREFI", whole, "[d] epoch of times, whole days"),
            ("MJDREFF", known[0] - whole + known[1], "[d] epoch of times, fraction of a day"),
        ]
    system = next((header["TIMESYS"] for header in headers if "TIMESYS" in header), None)
    if system is not None:
        cards.append(("TIMESYS", system, "time system"))
    return cards


def mission_start(header: Mapping) -> tuple[float, str | None]:
    """TSTART of a header in seconds of mission time, and a remark where it is not just TSTART.

    An epoch or a time system that the header does not name is that of the mission. TSTART is a
    number of SI seconds since the epoch, in UTC too. Without TSTART the start is 0. It is 0 too in
    a time system that is none of `TIME_SYSTEMS`; the remark and a warning say so.
    """
    if "TSTART" not in header:
        return 0.0, None
    start, zero = float(header["TSTART"]), epoch(header)
    system = time_system(header.get("TIMESYS", MISSION_TIMESYS))
    if system not in TIME_SYSTEMS:
        remark = f"TSTART is the mission's epoch: event times are {system}, not convertible"
        logger.warning("%s; correct TIMESYS to one of %s", remark, ", ".join(TIME_SYSTEMS))
        return 0.0, remark
    if zero is None:
        return start, None
    remark = f"TSTART converted: event times count from MJD {zero[0] + zero[1]:.9f}"
    if system != MISSION_TIMESYS:
        return _mission_time(start, zero, system), f"{remark} {system}"
    later = epoch_difference_s(zero, MISSION_EPOCH)
    return start + later, remark if later else None


def _mission_time(seconds: float, zero: tuple[float, float], system: str) -> float:
    """Mission time (s) of a moment, as `_moment` takes it."""
    mission = Time(*MISSION_EPOCH, format="mjd", scale=MISSION_TIMESYS.lower())
    with iers.conf.set_temp("auto_download", False):
        return float((_moment(seconds, zero, system).tt - mission).sec)


def _moment(seconds: float, zero: tuple[float, float], system: str) -> Time:
    """The moment `seconds` after the epoch `zero` (MJD) of a time system."""
    with iers.conf.set_temp("auto_download", False):
        return Time(*zero, format="mjd", scale=system.lower()) + TimeDelta(seconds, format="sec")


def data_time_cards(header: Mapping) -> list[tuple]:
    """When the data of a header began and ended: TSTART, TSTOP, their epoch, DATE-OBS, DATE-END.

    The dates (UTC) are those of the header, or follow from the times where the header says from
    which epoch, and in which of `TIME_SYSTEMS`, these count. What cannot be told is left out.
    """
    cards = [
        (word, header[word], f"[s] {what} of the data")
        for word, what in (("TSTART", "start"), ("TSTOP", "end"))
        if word in header
    ]
    cards += epoch_cards([header]) if cards else []
    zero, system = epoch(header), time_system(header.get("TIMESYS", MISSION_TIMESYS))
    for word, of, what in (("DATE-OBS", "TSTART", "start"), ("DATE-END", "TSTOP", "end")):
        date = header.get(word)
        if date is None and of in header and zero is not None and system in TIME_SYSTEMS:
            date = utc_of_seconds(float(header[of]), zero, system)
        if date is not None:
            cards.append((word, date, f"{what} of the data, UTC"))
    return cards


def seconds_of_utc(date: str, zero: tuple[float, float], system: str) -> float:
    """Seconds (s) from the epoch `zero` (MJD) of a time system, one of `TIME_SYSTEMS`, to a date.

    The date is UTC, such as "2025-03-17T00:00:00". Leap seconds count, as in `utc_of_seconds`.
    """
    with iers.conf.set_temp("auto_download", False):
        moment = getattr(Time(date, format="isot", scale="utc"), system.lower())
        return float((moment - Time(*zero, format="mjd", scale=system.lower())).sec)


def utc_of_seconds(
    seconds: float, zero: tuple[float, float], system: str, precision: int = 3
) -> str:
    """UTC (ISO) of a moment, as `_moment` takes it, with so many digits after the seconds."""
    with iers.conf.set_temp("auto_download", False):
        return str(Time(_moment(seconds, zero, system).utc, precision=precision).isot)
