"""Relations as STIX publishes them: its energy look-up table, and its daily calibrations.

The look-up table (ELUT) is a CSV file: two lines of words, then Offset (ADC value of 0 keV), Gain
(keV/ADC), Pixel and Detector of each pixel, and the ADC values of its science channels, which are
not used. ADC values count from the lower edge of a bin, and there are 4096 of them.

The daily calibrations are a FITS table, a row for each run: MEAS_START_UTC, and GAIN (channels per
keV) and OFFSET (channel of 0 keV) of 32 detectors x 12 pixels.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.errors import InputError

HEADER = ("Offset", "Gain keV/ADC", "Pixel", "Detector")
WORDS_BEFORE = 5
"""Lines that may precede the header."""

DAILY_COLUMNS = {"MEAS_START_UTC", "GAIN", "OFFSET"}

ADC_VALUES = 4096
PIXELS_OF_A_DETECTOR = 12

THE_SAME_RUN_S = 600.0
"""A calibration that began less than this before the data is that of the data."""


def is_elut(path: str | Path) -> bool:
    """Whether a text file is an energy look-up table of STIX."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = [row for row, _ in zip(csv.reader(file), range(WORDS_BEFORE), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return any(_is_header(row) for row in first)


def read_elut(path: str | Path, n_channels: int) -> Table:
    """DETNUM, GAIN (keV/channel) and OFFSET (keV) of an energy look-up table.

    `n_channels` are those of the spectra, of which the ADC has a multiple.

    Raises
    ------
    InputError
        Where a row does not hold numbers, or the channels do not divide those of the ADC.
    """
    if ADC_VALUES % n_channels:
        raise InputError(
            f"{path}: is an energy look-up table of {ADC_VALUES} ADC values, which"
            f" {n_channels} channels do not divide evenly; give another relation file"
        )
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    start = next(number for number, row in enumerate(rows) if _is_header(row)) + 1
    filled = [row[:4] for row in rows[start:] if any(text.strip() for text in row)]
    try:
        values = np.array([[float(text) for text in row] for row in filled])
    except ValueError as error:
        raise InputError(f"{path}: a row does not hold numbers ({error})") from None
    if values.shape[1:] != (len(HEADER),):
        raise InputError(f"{path}: has no row of {', '.join(HEADER)} below its header")
    offset_adc, gain_adc, pixel, detector = values.T
    table = Table()
    table["DETNUM"] = (PIXELS_OF_A_DETECTOR * detector + pixel).astype(np.int64)
    table["GAIN"] = gain_adc * (ADC_VALUES // n_channels)
    table["OFFSET"] = -gain_adc * offset_adc
    return table


def _is_header(row: list[str]) -> bool:
    return tuple(text.strip() for text in row[:4]) == HEADER


def is_daily(path: str | Path) -> bool:
    """Whether a file holds the daily calibrations of STIX."""
    try:
        with fits.open(path, memmap=False) as hdus:
            return any(
                isinstance(hdu, fits.BinTableHDU) and set(hdu.columns.names) >= DAILY_COLUMNS
                for hdu in hdus
            )
    except OSError:
        return False


def _utc(text: str) -> datetime | None:
    """A time (ISO, UTC, with or without Z); None of a text that is none."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def read_daily(path: str | Path, start: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The relations that were known when a run began, the latest first.

    Parameters
    ----------
    path : path
    start : str
        Time (ISO, UTC) at which the run began. A calibration of the run itself is not taken; where
        there is none before, those after are, the earliest first.

    Returns
    -------
    began : list of m str
        When each run began.
    gain, offset : (m, 384) float, keV/channel and keV
        NaN of a pixel that was not measured.

    Raises
    ------
    InputError
        Where the time of the run is none.
    """
    _, began, gain, offset = daily_runs(path)
    limit, times = _utc(start), [_utc(text) for text in began]
    if limit is None:
        raise InputError(
            f"relation file {path}: holds calibrations of many dates, and DATE-OBS of the data is"
            f" {start!r}, which is not a date; correct it, or give one calibration"
        )
    # A row without a date is of no time: NaN is neither before nor after.
    age = np.array([np.nan if time is None else (limit - time).total_seconds() for time in times])
    order = np.argsort(np.abs(age), kind="stable")
    before = [row for row in order if age[row] > THE_SAME_RUN_S]
    used = before or [row for row in order if age[row] < -THE_SAME_RUN_S]
    return [began[row] for row in used], gain[used], offset[used]


def daily_runs(path: str | Path) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """The runs of a file of daily calibrations, as the file has them.

    Returns
    -------
    rows : (m,) structured array
        All columns.
    began : list of m str
        When each run began.
    gain, offset : (m, 384) float, keV/channel and keV
        NaN of a pixel that was not measured.

    Raises
    ------
    InputError
        Where the file has no such table.
    """
    with fits.open(path, memmap=False) as hdus:
        found = [hdu for hdu in hdus[1:] if set(hdu.columns.names) >= DAILY_COLUMNS]
        if not found:
            raise InputError(f"{path}: has no table with {', '.join(sorted(DAILY_COLUMNS))}")
        rows = np.array(found[0].data)
        began = [str(text).strip() for text in found[0].data["MEAS_START_UTC"]]
    per_keV, zero = (
        np.asarray(rows[name], float).reshape(len(rows), -1) for name in ("GAIN", "OFFSET")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(per_keV > 0, 1.0 / per_keV, np.nan)
    return rows, began, gain, -zero * gain
