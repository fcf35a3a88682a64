"""The part of the good time of an exposure between two dates (UTC)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.energy.events.clock import (
    MISSION_TIMESYS,
    TIME_SYSTEMS,
    seconds_of_utc,
    utc_of_seconds,
)
from pixelcal.energy.events.intervals import intersect
from pixelcal.energy.events.reader import EventFile
from pixelcal.errors import InputError


def cut_to_dates(
    good_time: np.ndarray,
    files: Sequence[EventFile],
    start: str | None,
    stop: str | None,
    exposure: str,
) -> np.ndarray:
    """Good time between two dates.

    Parameters
    ----------
    good_time : (n, 2) float, s
        Merged, in the seconds of the files.
    files : event files
        All of one epoch and time system.
    start, stop : str or None
        UTC, as "2025-03-17T00:00:00"; None where there is no limit.
    exposure : str
        Its name.

    Returns
    -------
    (m, 2) float, s

    Raises
    ------
    InputError
        Where the files do not say which date their times are, or there is no good time between the
        dates.
    """
    if start is None and stop is None:
        return good_time
    what = f"exposures.{exposure}: has a start or a stop"
    epoch, system = _epoch_of(files, what)
    limits = [
        default if date is None else seconds_of_utc(date, epoch, system)
        for date, default in ((start, -np.inf), (stop, np.inf))
    ]
    cut = intersect(good_time, np.array([limits]))
    if len(cut):
        return cut
    first, last = (utc_of_seconds(t, epoch, system) for t in (good_time[0, 0], good_time[-1, 1]))
    raise InputError(
        f"exposures.{exposure}: there is no good time from {start or 'the beginning'}"
        f" to {stop or 'the end'}; the event files cover {first[:19]} to {last[:19]} (UTC); correct"
        " start and stop, or add the files of that time"
    )


def _epoch_of(files: Sequence[EventFile], what: str) -> tuple[tuple[float, float], str]:
    """What the times of event files count from, and their time system."""
    if not files[0].has_times:
        raise InputError(
            f"{what}, but event file {files[0].path} has no times; name events.columns.time, or"
            " use seconds"
        )
    epoch = next((file.clock.epoch for file in files if file.clock.epoch is not None), None)
    if epoch is None:
        raise InputError(
            f"{what}, but event file {files[0].path} has no MJDREF (or MJDREFI), so its times have"
            " no date; add it to the header, or use seconds"
        )
    system = next((file.clock.system for file in files if file.clock.system), MISSION_TIMESYS)
    if system not in TIME_SYSTEMS:
        raise InputError(
            f"{what}, but event file {files[0].path} has TIMESYS {system}, which cannot be"
            f" converted; correct it to one of {', '.join(TIME_SYSTEMS)}, or use seconds"
        )
    return epoch, system
