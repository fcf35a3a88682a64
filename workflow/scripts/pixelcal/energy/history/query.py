"""The relation of a pixel on a date: what a history says, and which file is in force."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
from astropy.time import Time

from pixelcal.energy.events.clock import MISSION_EPOCH_UTC
from pixelcal.energy.history.tables import HistoryTables
from pixelcal.energy.relation import energy_sigma
from pixelcal.errors import InputError
from pixelcal.status import ENERGY_WORDS

BEST = ("BEST_GAIN", "BEST_OFFSET", "BEST_GAIN_ERR", "BEST_OFFSET_ERR", "BEST_COV")


class RelationAt(NamedTuple):
    """The best relation of a pixel on a date.

    Attributes
    ----------
    pixel, module : int
    date, epoch, start, stop : str
        UTC asked for; the epoch that it is of, with its first and last moment.
    gain, offset, gain_err, offset_err, covariance : float
        In keV/channel and keV; NaN of a pixel that never had a valid fit.
    energies_keV, sigma_keV, systematic_keV : (m,) float
        Reference energies with the statistical and the systematic error of the energy.
    status : int
        Bits of the single fit of the epoch.
    jump : int
        Bits of what changed with the epoch.
    published, in_force_since : str
        Calibration file in force, without its ending, and from when on (UTC).
    days_after : float
        Of the date after the end of the epoch; 0 within it.
    """

    pixel: int
    module: int
    date: str
    epoch: str
    start: str
    stop: str
    gain: float
    offset: float
    gain_err: float
    offset_err: float
    covariance: float
    energies_keV: tuple[float, ...]
    sigma_keV: tuple[float, ...]
    systematic_keV: tuple[float, ...]
    status: int
    jump: int
    published: str
    in_force_since: str
    days_after: float


def mission_seconds(when: str | date | datetime | Time | np.datetime64) -> float:
    """Seconds of mission time of a date or a moment (UTC; a date is its first moment).

    An astropy Time may be in any scale.

    Raises
    ------
    InputError
        Where it is neither.
    """
    given = when
    try:
        if isinstance(when, str):
            when = datetime.fromisoformat(when.strip())
        elif isinstance(when, Time):
            when = when.utc.to_datetime()
        elif isinstance(when, np.datetime64):
            when = when.astype("datetime64[us]").item()
        if not isinstance(when, date) or when != when:  # pandas has a moment that is none
            raise ValueError
    except ValueError:
        raise InputError(
            f"date {given!r} is not a date; write it as 2025-03-20 or 2025-03-20T12:00:00 (UTC)"
        ) from None
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return (when - MISSION_EPOCH_UTC).total_seconds()


def row_of_pixel(tables: HistoryTables, pixel: int) -> int:
    """The row of a pixel (DETNUM); InputError where the history does not have it."""
    known = np.asarray(tables.pixels["DETNUM"])
    rows = [] if np.ndim(pixel) else np.flatnonzero(known == pixel)
    if not len(rows):
        raise InputError(
            f"pixel {pixel} is not in the history, which has {len(known)} pixels from"
            f" {known[0]} to {known[-1]}"
        )
    return int(rows[0])


def find_relation(tables: HistoryTables, pixel: int, when) -> RelationAt:
    """The best relation of a pixel in the epoch of a date; between epochs, in that before.

    Parameters
    ----------
    tables : HistoryTables
    pixel : int
        DETNUM.
    when : date or time, UTC
        As `mission_seconds` takes it. A date without a time means its last second.

    Raises
    ------
    InputError
        Where the history does not have the pixel, or begins after the date.
    """
    row = row_of_pixel(tables, pixel)
    seconds = mission_seconds(when)
    if isinstance(when, str) and "T" not in when and " " not in when.strip():
        seconds += 86399.0
    epochs = tables.epochs
    epoch = int(np.searchsorted(np.asarray(epochs["TSTART"]), seconds, side="right")) - 1
    if epoch < 0:
        raise InputError(
            f"date {when} is before the history, which begins on {epochs['DATE_OBS'][0]}"
        )
    values = [float(tables.column(name)[row, epoch]) for name in BEST]
    energies = tuple(map(float, tables.energies_keV))
    in_force = int(epochs["IN_FORCE"][epoch])
    after = max(mission_seconds(when) - float(epochs["TSTOP"][epoch]), 0.0) / 86400.0
    return RelationAt(
        int(pixel),
        int(tables.pixels["MODULE"][row]),
        str(when),
        str(epochs["NAME"][epoch]),
        str(epochs["DATE_OBS"][epoch]),
        str(epochs["DATE_END"][epoch]),
        *values,
        energies,
        tuple(float(energy_sigma(energy, *values)) for energy in energies),
        tuple(float(tables.column(f"SYS_{text}")[row, epoch]) for text in tables.energies_keV),
        int(tables.column("STATUS")[row, epoch]),
        int(tables.column("JUMP")[row, epoch]),
        str(epochs["PUBLISHED"][epoch]),
        str(epochs["DATE_OBS"][in_force]),
        after,
    )


def in_words(found: RelationAt) -> str:
    """Lines of text for a reader."""
    lines = [
        f"pixel {found.pixel}, module {found.module}, on {found.date} (UTC)",
        f"epoch       {found.epoch}, {found.start} to {found.stop}",
        f"in force    {found.published}, since {found.in_force_since}",
    ]
    if found.days_after > 1:
        lines.append(
            f"note        the date is {found.days_after:.0f} days after the end of the epoch"
        )
    if not np.isfinite(found.gain):
        lines.append("no relation: the pixel never had a valid fit that can be trusted")
        return "\n".join(lines)
    lines += [
        f"gain        {found.gain:.6f} ± {found.gain_err:.6f} keV/channel",
        f"offset      {found.offset:.4f} ± {found.offset_err:.4f} keV",
        f"covariance  {found.covariance:.4g} keV2/channel",
        f"single fit  {ENERGY_WORDS.words(found.status)}",
        "energy (keV)  statistical (keV)  systematic (keV)",
    ]
    for energy, sigma, systematic in zip(
        found.energies_keV, found.sigma_keV, found.systematic_keV, strict=True
    ):
        known = f"{systematic:18.4f}" if np.isfinite(systematic) else f"{'–':>18}"
        lines.append(f"{energy:12g}  {sigma:17.4f}{known}")
    return "\n".join(lines)
