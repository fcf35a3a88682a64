"""Ready spectra: counts of each pixel and channel that other software has added up.

Two forms. `spectra` is a table like our own `spectra.fits`: DETNUM and COUNTS, a vector of
channels, with EXPOSURE (s) in the header; as ECSV or CSV a column for each channel, or a row for
each pixel and channel. `stix-calibration` is the calibration spectrum of STIX as it is published:
DETNUM is 12 x detector + pixel, a row per run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.energy.events.clock import time_keywords
from pixelcal.energy.events.overlap import check_ready_apart
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument, Layout
from pixelcal.io.checksums import check_sums
from pixelcal.io.columns import find_column
from pixelcal.io.fits_files import is_fits, open_fits
from pixelcal.io.tables import read_table
from pixelcal.report.numbers import duration

logger = logging.getLogger("pixelcal")

EPOCH_WORDS = ("MJDREF", "MJDREFI", "MJDREFF", "TIMESYS")
WORDS = ("TELESCOP", "INSTRUME", "DATE-OBS", "DATE-END", "TSTART", "TSTOP", *EPOCH_WORDS)
"""Keywords that are kept of a file, where it has them."""

CHANNEL_NAME = re.compile(r"([A-Za-z_ ]*)(\d+)")
"""Name of a column of one channel: any word, the same for all, and the number of the channel."""

TENTHS = 10.0
"""STIX's files of 2020 give an integration time of a tenth of what it is: their live time, in
milliseconds, is longer than it."""

EXACT = 6
"""Digits of a duration that a message compares."""
TOO_SHORT = (
    "spectra %s: the integration time %s is shorter than the live time %s; it is taken ten"
    " times as long, as in files of STIX of 2020"
)
DELIVERED_TWICE = "spectra %s: %d of %d rows of counts repeat another row; each counts once"

FEWER_SECONDS = (
    "spectra %s: %d pixels have counts in some of the runs alone; their exposure is shorter than"
    " the %s written, so their rates are too low"
)


@dataclass(frozen=True)
class ReadySpectra:
    """Spectra of n pixels.

    Attributes
    ----------
    detnum : (n,) int
    counts : (n, n_channels) int32
    seconds : float
        Exposure.
    keywords : dict
        Those of `WORDS` that the first file has; times are those of all files together.
    """

    detnum: np.ndarray
    counts: np.ndarray
    seconds: float
    keywords: dict = field(default_factory=dict)


def read_ready_spectra(
    paths: Iterable[str | Path], layout: Layout, instrument: Instrument
) -> ReadySpectra:
    """The spectra of several files, added up pixel by pixel.

    Parameters
    ----------
    paths : paths
        Files of all pixels that were exposed one after the other, or of different pixels.
    layout : Layout
        Of the form `spectra` or `stix-calibration`.
    instrument : Instrument

    Raises
    ------
    InputError
        With file and reason, where a file cannot be read, is of another camera, does not hold
        counts, or holds what another one does, or what its header says of times is
        not possible.
    """
    read = _read_stix if layout.form == "stix-calibration" else _read_table
    parts: list[tuple[str, ReadySpectra]] = []
    for path in paths:
        where = f"spectra {path}"
        part = read(path, layout, where)
        instrument.check_header(part.keywords, where)
        time_keywords([part.keywords], where)
        part = _checked(part, layout.rebin, instrument, where)
        parts.append((str(path), part))
    for line in check_ready_apart(parts):
        logger.warning(line)
    return _together(parts, instrument)


def _together(parts: list[tuple[str, ReadySpectra]], instrument: Instrument) -> ReadySpectra:
    """The sum of the parts; all pixels must have been exposed as long."""
    counts = np.zeros((instrument.n_pixels, instrument.n_channels), np.int64)
    seconds = np.zeros(instrument.n_pixels)
    for _, part in parts:
        counts[part.detnum] += part.counts
        seconds[part.detnum] += part.seconds
    detnum = np.flatnonzero(seconds)
    longest, shortest = seconds[detnum].max(), seconds[detnum].min()
    if longest - shortest > 1e-6 * longest:
        raise InputError(
            f"spectra {parts[0][0]} and others: add up to {shortest:g} s for some pixels and"
            f" {longest:g} s for others; give files that cover all pixels alike"
        )
    if counts.max(initial=0) > np.iinfo(np.int32).max:
        raise InputError(f"spectra {parts[0][0]}: more counts in a channel than 2^31; give fewer")
    words = _words_of_all([part.keywords for _, part in parts])
    return ReadySpectra(detnum, counts[detnum].astype(np.int32), float(longest), words)


def _words_of_all(keywords: list[dict]) -> dict:
    """Keywords of the first file, with the beginning of the earliest and the end of the latest.

    What one of the files does not say, or counts from another epoch, is left out.
    """
    words = dict(keywords[0])
    same_epoch = all(
        [other.get(word) for word in EPOCH_WORDS] == [words.get(word) for word in EPOCH_WORDS]
        for other in keywords
    )
    for word, choose in (("DATE-OBS", min), ("DATE-END", max), ("TSTART", min), ("TSTOP", max)):
        values = [other[word] for other in keywords if word in other]
        known = len(values) == len(keywords) and (same_epoch or word.startswith("DATE"))
        words.pop(word, None)
        if known:
            words[word] = choose(values)
    return words


def _checked(part: ReadySpectra, rebin: int, instrument: Instrument, where: str) -> ReadySpectra:
    """A part with whole counts of the instrument's pixels and channels."""
    counts, detnum = np.asarray(part.counts, float), np.asarray(part.detnum)
    wanted = instrument.n_channels * rebin
    if counts.shape[1] != wanted:
        raise InputError(
            f"{where}: has {counts.shape[1]} channels, and {instrument.title} has {wanted};"
            " give spectra of all of them, or another instrument file"
        )
    if not len(counts):
        raise InputError(f"{where}: holds no spectrum; give a row for each pixel")
    if not np.isfinite(counts).all() or counts.min(initial=0) < 0 or (counts % 1 != 0).any():
        raise InputError(f"{where}: COUNTS has values that are negative, not whole or not finite")
    outside = (detnum < 0) | (detnum >= instrument.n_pixels)
    if outside.any():
        raise InputError(
            f"{where}: DETNUM {detnum[outside][0]} is not a pixel of {instrument.title} (0 to"
            f" {instrument.n_pixels - 1})"
        )
    numbers, times = np.unique(detnum, return_counts=True)
    if (times > 1).any():
        raise InputError(
            f"{where}: pixel {numbers[times > 1][0]} occurs twice; keep one row per pixel"
        )
    if not part.seconds > 0 or not np.isfinite(part.seconds):
        raise InputError(f"{where}: EXPOSURE is {part.seconds}; write the exposure in s")
    summed = counts.reshape(len(counts), -1, rebin).sum(axis=2).astype(np.int64)
    order = np.argsort(detnum)  # files with the same counts are the same in any order of rows
    return ReadySpectra(detnum[order], summed[order], part.seconds, part.keywords)


# --- our own form ---------------------------------------------------------------------------------


def _read_table(path: str | Path, layout: Layout, where: str) -> ReadySpectra:
    """Spectra of the form `spectra`."""
    if is_fits(path) or Path(path).name.endswith((".fits", ".fits.gz", ".fit")):
        return _read_fits_table(path, layout, where)
    try:
        table = read_table(path)
    except InputError as error:
        raise InputError(f"spectra {error}; give FITS, ECSV or CSV") from None
    meta = {str(key).upper(): value for key, value in table.meta.items()}
    names = {name.upper(): name for name in table.colnames}
    detnum = _column(table, names, "DETNUM", where)
    if "EXPOSURE" in names:
        meta.setdefault("EXPOSURE", _one_exposure(table[names["EXPOSURE"]], where))
    if "CHANNEL" in names:
        detnum, counts = _long(table, names, detnum, where)
    elif "COUNTS" in names and np.ndim(table[names["COUNTS"]]) == 2:  # a vector, as ECSV has it
        counts = _numbers(table[names["COUNTS"]], "COUNTS", where)
    else:
        counts = _wide(table, where)
    return ReadySpectra(detnum, counts, _exposure(meta, where), _kept(meta))


def _read_fits_table(path: str | Path, layout: Layout, where: str) -> ReadySpectra:
    """A FITS table with DETNUM and COUNTS."""
    with open_fits(path, "spectra") as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
        named = [hdu for hdu in tables if hdu.name.upper() == layout.extension.upper()]
        needed = ("DETNUM", "COUNTS")
        fitting = [
            hdu
            for hdu in named or tables
            if None not in [find_column(hdu.columns.names, name, where) for name in needed]
        ]
        if len(fitting) != 1:
            held = f"{len(fitting)} tables hold" if fitting else "no table holds"
            raise InputError(f"{where}: {held} DETNUM and COUNTS; see docs/event-files.md")
        (hdu,) = fitting
        check_sums(path, hdu, "spectra")
        header = {**_kept(hdus[0].header, "EXPOSURE"), **dict(hdu.header)}
        places = [find_column(hdu.columns.names, name, where) for name in (*needed, "EXPOSURE")]
        detnum = _whole(hdu.data.field(places[0]), "DETNUM", where)
        counts = np.asarray(hdu.data.field(places[1]))
        if places[2] is not None:
            seconds = _one_exposure(hdu.data.field(places[2]), where)
            header.setdefault("EXPOSURE", seconds)
    if counts.ndim != 2 or counts.dtype.kind not in "iuf":
        raise InputError(f"{where}: COUNTS does not hold a vector of channels in each row")
    return ReadySpectra(detnum, counts, _exposure(header, where), _kept(header))


def _column(table: Table, names: dict[str, str], name: str, where: str) -> np.ndarray:
    """A column of whole numbers (n,)."""
    if name not in names:
        raise InputError(f"{where}: lacks the column {name}; it has {', '.join(table.colnames)}")
    return _whole(table[names[name]], name, where)


def _whole(column, name: str, where: str) -> np.ndarray:
    """Whole numbers (n,) of a column, which may be written as 3.0."""
    values = _numbers(column, name, where)
    if values.ndim != 1 or not np.isfinite(values).all() or (values % 1 != 0).any():
        raise InputError(f"{where}: column {name} does not hold whole numbers")
    return values.astype(np.int64)


def _numbers(column, name: str, where: str) -> np.ndarray:
    """The numbers of a column as float; an empty field is none."""
    if np.ma.is_masked(column):
        raise InputError(f"{where}: column {name} has an empty field; write a number, or 0")
    values = np.asarray(column)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{where}: column {name} does not hold numbers")
    return values.astype(float)


def _one_exposure(column, where: str) -> float:
    """The exposure (s), which must be the same in all rows."""
    seconds = np.unique(_numbers(column, "EXPOSURE", where))
    if len(seconds) != 1:
        raise InputError(f"{where}: column EXPOSURE has {len(seconds)} values; one is needed")
    return float(seconds[0])


def _wide(table: Table, where: str) -> np.ndarray:
    """Counts (n, n_channels) of a table with a column for each channel."""
    found: dict[str, dict[int, str]] = {}
    for name in table.colnames:
        match = CHANNEL_NAME.fullmatch(name)
        if match:
            found.setdefault(match[1].upper(), {})[int(match[2])] = name
    # One column with a number is no spectrum: X0 may be anything.
    whole = [one for one in found.values() if len(one) > 1 and sorted(one) == [*range(len(one))]]
    if len(whole) != 1:
        raise InputError(
            f"{where}: has neither CHANNEL and COUNTS nor a column for each channel from 0 on"
        )
    (named,) = whole
    return np.column_stack([_numbers(table[named[k]], named[k], where) for k in sorted(named)])


def _long(table: Table, names: dict[str, str], detnum, where: str):
    """DETNUM (m,) and counts (m, n_channels) of a table with a row for each pixel and channel."""
    channel = _column(table, names, "CHANNEL", where)
    counts = _column(table, names, "COUNTS", where)
    if channel.min() < 0:
        raise InputError(f"{where}: CHANNEL {channel.min()} is below 0; count from 0")
    pixels, row = np.unique(detnum, return_inverse=True)
    if len(np.unique(row * (channel.max() + 1) + channel)) < len(channel):
        raise InputError(f"{where}: a pixel and channel occur twice; keep one row")
    whole = np.zeros((len(pixels), int(channel.max()) + 1))
    whole[row, channel] = counts
    return pixels, whole


def _exposure(header, where: str) -> float:
    seconds = header.get("EXPOSURE")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise InputError(f"{where}: has no EXPOSURE; write the exposure (s) in its header")
    return float(seconds)


def _kept(header, *others: str) -> dict:
    return {word: header[word] for word in (*WORDS, *others) if word in header}


# --- STIX -----------------------------------------------------------------------------------------


def _read_stix(path: str | Path, layout: Layout, where: str) -> ReadySpectra:
    """The calibration spectra of STIX as they are published."""
    with open_fits(path, "spectra") as hdus:
        if "DATA" not in hdus or "CONTROL" not in hdus:
            raise InputError(
                f"{where}: has no extensions CONTROL and DATA; give a calibration spectrum of STIX"
            )
        data, control, primary = hdus["DATA"], hdus["CONTROL"].data, dict(hdus[0].header)
        check_sums(path, data, "spectra")
        place = find_column(data.columns.names, "counts", where)
        if place is None:
            raise InputError(f"{where}: DATA lacks the column counts")
        counts = np.asarray(data.data[data.columns.names[place]], float)
        if counts.ndim != 4:
            raise InputError(
                f"{where}: counts is {counts.shape[1:]} in each row, not detectors x pixels x"
                " channels"
            )
        n_rows = len(counts)
        names = {name.lower(): name for name in data.columns.names}
        at = [data.data[names[name]] for name in ("time", "timedel") if name in names]
        times = [tuple(float(column[row]) for column in at) for row in range(n_rows)]
        index = np.asarray(data.data[names["control_index"]], int)
        seconds = [_stix_seconds(control, int(k), where) for k in index]
    counts = counts.reshape(n_rows, -1, counts.shape[-1])
    kept = [k for k in range(n_rows) if not any(np.array_equal(counts[k], c) for c in counts[:k])]
    if len(kept) < n_rows:
        logger.warning(DELIVERED_TWICE, path, n_rows - len(kept), n_rows)
    runs: dict[tuple, list[int]] = {}
    for k in kept:
        runs.setdefault(times[k], []).append(k)
    whole = np.zeros(counts.shape[1:])
    for time, rows in runs.items():
        # Parts of a run hold different pixels or channels; what is in two of them is the same.
        most = counts[rows].max(axis=0)
        if ((counts[rows] != most) & (counts[rows] > 0)).any():
            raise InputError(
                f"{where}: {len(rows)} rows of one run (time {time[0]:g} s) hold different counts"
                " of the same pixels and channels; give one of them"
            )
        whole += most
    words = _kept(primary)
    for ours, theirs in (("DATE-OBS", ("DATE_BEG", "DATE_OBS", "DATE-BEG")),
                         ("DATE-END", ("DATE_END",))):  # fmt: skip
        for word in theirs:
            if word in primary:
                words.setdefault(ours, primary[word])
    # "SOLO/STIX" is the telescope and its instrument.
    if "TELESCOP" in words:
        words["TELESCOP"] = str(words["TELESCOP"]).split("/")[0]
    total = _exposure_of_runs(counts, seconds, runs.values(), where)
    return ReadySpectra(np.arange(counts.shape[1]), whole, total, words)


def _exposure_of_runs(counts, seconds: list[float], runs, where: str) -> float:
    """Exposure (s) of the pixels: the sum of the runs that have counts of them.

    Rows of one run may have times of their own, each with some of the detectors: they do not add
    up. Where runs are of different pixels, the longest exposure is taken, and a warning says so.
    """
    of_pixel = np.zeros(counts.shape[1])
    for rows in runs:
        exposed = (counts[rows] > 0).any(axis=(0, 2))
        of_pixel[exposed] += max(seconds[k] for k in rows)
    longest = of_pixel.max()
    fewer = (of_pixel > 0) & (of_pixel < longest * (1 - 1e-6))
    if fewer.any():
        written = duration(longest, EXACT)
        logger.warning(FEWER_SECONDS, where.removeprefix("spectra "), fewer.sum(), written)
    return float(longest or sum(max(seconds[k] for k in rows) for rows in runs))


def _stix_seconds(control, index: int, where: str) -> float:
    """How long a run was (s), by its row of CONTROL."""
    names = {name.lower(): name for name in control.names}
    rows = np.flatnonzero(control[names["index"]] == index) if "index" in names else [index]
    if not len(rows) or rows[0] >= len(control):
        raise InputError(f"{where}: CONTROL has no row {index}, which DATA refers to")
    of_row = control[rows[0]]
    seconds = float(of_row[names["integration_time"]])
    live = float(of_row[names["live_time"]]) / 1000.0 if "live_time" in names else 0.0
    if live > seconds:
        times = duration(seconds, EXACT), duration(live, EXACT)
        logger.warning(TOO_SHORT, where.removeprefix("spectra "), *times)
        seconds *= TENTHS
    return seconds
