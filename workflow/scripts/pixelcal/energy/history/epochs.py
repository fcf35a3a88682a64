"""The relations of a camera at many epochs, read into arrays and checked to be of one history."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixelcal.energy.events.clock import (
    MISSION_EPOCH,
    MISSION_TIMESYS,
    mission_start,
    utc_of_seconds,
)
from pixelcal.energy.history.relation_checks import (
    check_different,
    check_relations,
    without_impossible,
)
from pixelcal.energy.prior import check_detnum
from pixelcal.energy.relation import RELATION_COLUMNS, curve_of
from pixelcal.energy.results.curves import straightened
from pixelcal.energy.results.merge import RELATION_EXTENSION
from pixelcal.energy.results.systematics import column_name
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.io.provenance import file_sha256
from pixelcal.io.tables import read_columns
from pixelcal.status import EnergyStatus, has_valid_fit

SAME_MOMENT_S = 1.0
"""Epochs that overlap by less are apart: ends of good time are cut at events."""

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epochs:
    """Relations of n pixels at t epochs, by rising time.

    Attributes
    ----------
    names, files, checksums : t str each
        Of the exposure, of the file without its folder, and its SHA-256.
    start_s, stop_s : (t,) float, s of mission time
        First and last moment of the data.
    detnum : (n,) int, rising
    gain, offset : (n, t) float, keV/channel and keV
        NaN without a valid fit.
    covariance : (n, t, 3) float
        Variance of the gain, covariance, variance of the offset.
    status : (n, t) int
        MASKED for a pixel that is not in the relation of the epoch.
    systematic : (n, t, m) float, keV
        Systematic uncertainty at the m reference energies; NaN where it is not known.
    card : dict
        TELESCOP, INSTRUME, LINETAB and LINESHA.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    checksums: tuple[str, ...]
    start_s: np.ndarray
    stop_s: np.ndarray
    detnum: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    covariance: np.ndarray
    status: np.ndarray
    systematic: np.ndarray
    card: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def middle_s(self) -> np.ndarray:
        """Middle (t,) of each epoch, s of mission time."""
        return 0.5 * (self.start_s + self.stop_s)

    @property
    def days(self) -> np.ndarray:
        """Days (t,) from the middle of the epoch before to that of each; 0 for the first."""
        return np.diff(self.middle_s, prepend=self.middle_s[:1]) / 86400.0


def utc(seconds: float) -> str:
    """UTC (ISO, whole seconds) of a moment in s of mission time."""
    return utc_of_seconds(seconds, MISSION_EPOCH, MISSION_TIMESYS, precision=0)


def read_epochs(paths: Sequence[str | Path], instrument: Instrument) -> Epochs:
    """The relations in files, sorted by time.

    Where one exposure is part of another, such as its first seconds, as many as possible are
    kept that are apart, of equally many the longest; a warning names those left out.

    Raises
    ------
    InputError
        Where there is no file, one has no time of its data, two overlap partly or are of the same
        data, or they are of different instruments or made with different line tables.
    """
    if not paths:
        raise InputError("history: has no relation; configure exposures, or history.files")
    headers, spans = [], []
    tables = {}
    for path in map(str, paths):
        table = _relation_in(path)
        instrument.check_header(table.meta, path)
        lacking = {"DETNUM", "STATUS", *RELATION_COLUMNS} - {*table.colnames}
        if lacking:
            raise InputError(f"{path}: lacks the column(s) {', '.join(sorted(lacking))}")
        spans.append(_span(table.meta, path))
        headers.append({key: table.meta.get(key) for key in _CARDS})
        tables[path] = _needed(table, path, instrument)
    order = _apart(list(map(str, paths)), np.array(spans))
    chosen = [str(paths[number]) for number in order]
    _check_alike(chosen, [headers[number] for number in order])
    check_different(chosen, tables)
    epochs = _stacked([tables[path] for path in chosen], instrument)
    return replace(
        epochs,
        names=tuple(str(headers[n].get("EXPNAME") or Path(paths[n]).parent.name) for n in order),
        files=tuple(Path(path).name for path in chosen),
        checksums=tuple(file_sha256(path) for path in chosen),
        start_s=np.array([spans[number][0] for number in order]),
        stop_s=np.array([spans[number][1] for number in order]),
        card={key: headers[order[0]].get(key) for key in _CARDS if headers[order[0]].get(key)},
    )


def _relation_in(path: str):
    """The table of a relation; gains of the SSTCAM belong to another history."""
    try:
        return read_columns(path, RELATION_EXTENSION)
    except InputError as error:
        if " SPE" in str(error).partition("it has")[2]:
            raise InputError(
                f"history.files: {path} has gains of the SSTCAM; name relation.fits files here, and"
                " spe.fits in sstcam.history.files (snakemake sstcam_history)"
            ) from None
        raise


_CARDS = ("TELESCOP", "INSTRUME", "EXPNAME", "LINETAB", "LINESHA")


def _span(header: Mapping, path: str) -> tuple[float, float]:
    """First and last moment of the data, s of mission time."""
    missing = [key for key in ("TSTART", "TSTOP") if key not in header]
    if missing:
        raise InputError(
            f"{path}: does not say when its data were taken (no {' and '.join(missing)}); a history"
            " needs relations of events with times"
        )
    for key in ("TSTART", "TSTOP"):
        value = header[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{path}: {key} is {value!r}, not a number; correct the header")
    start, remark = mission_start(header)
    stop, _ = mission_start(dict(header) | {"TSTART": header["TSTOP"]})
    if remark and "not convertible" in remark:
        raise InputError(f"{path}: times of TIMESYS {header['TIMESYS']} cannot be converted to TT")
    if not stop > start:
        raise InputError(f"{path}: TSTOP is not after TSTART; correct the header")
    return start, stop


def _needed(table, path: str, instrument: Instrument) -> dict[str, np.ndarray]:
    """The columns of a relation that a history takes, numbers of pixels apart, checked."""
    check_detnum(np.asarray(table["DETNUM"], float), f"history: {path}", instrument)
    columns = {name: np.asarray(table[name], float) for name in RELATION_COLUMNS}
    if (curve := curve_of(table)) is not None:  # energies drift, and so do those of bent relations
        straight = straightened(columns["GAIN"], columns["OFFSET"], curve)
        columns["GAIN"], columns["OFFSET"], _ = straight
    columns["DETNUM"] = np.asarray(table["DETNUM"], int)
    columns["STATUS"] = np.asarray(table["STATUS"], int)
    check_relations(columns, table.meta, path, instrument)
    columns = without_impossible(columns, path)
    for energy in instrument.requirement.energies_keV:
        name = column_name(energy)
        known = name in table.colnames
        columns[name] = np.asarray(table[name], np.float32) if known else np.float32(np.nan)
    return columns


def _apart(paths: list[str], spans: np.ndarray) -> list[int]:
    """Numbers of the epochs that are kept, by rising time."""
    order = sorted(range(len(paths)), key=lambda n: (spans[n][0], spans[n][1], paths[n]))
    for place, a in enumerate(order):
        for b in order[place + 1 :]:
            if spans[b][0] > spans[a][1] - SAME_MOMENT_S:
                break
            starts, ends = np.abs(spans[a] - spans[b]) < SAME_MOMENT_S
            if starts and ends:
                raise InputError(
                    f"history: {paths[a]} and {paths[b]} are of the same time; name one of them"
                )
            if not (starts or ends) and spans[b][1] > spans[a][1]:
                raise InputError(
                    f"history: {paths[a]} and {paths[b]} overlap in time, and the same data would"
                    " count twice; take exposures that are apart"
                )
    kept = _most_apart(order, spans)
    left = [paths[number] for number in order if number not in kept]
    if left:
        LOGGER.warning(
            "history: %s left out, because their data are in %s too; to follow the camera in time,"
            " give exposures that are apart",
            ", ".join(left),
            ", ".join(paths[number] for number in kept),
        )
    return kept


def _most_apart(order: list[int], spans: np.ndarray) -> list[int]:
    """As many epochs as can be apart; of equally many the longest, by their ends."""
    by_end = sorted(order, key=lambda n: (spans[n][1], spans[n][0]))
    best: list[tuple[int, float, tuple[int, ...]]] = [(0, 0.0, ())]
    ends = [-np.inf]
    for number in by_end:
        start, stop = spans[number]
        before = int(np.searchsorted(ends, start + SAME_MOMENT_S, side="right")) - 1
        count, seconds, chosen = best[before]
        taken = (count + 1, seconds + stop - start, (*chosen, number))
        best.append(max(best[-1], taken, key=lambda one: one[:2]))
        ends.append(stop)
    return sorted(best[-1][2], key=lambda n: spans[n][0])


def _check_alike(paths: list[str], headers: list[dict]) -> None:
    """Raise InputError where relations were made with different line tables, or of two cameras."""
    for path, header in zip(paths, headers, strict=True):
        for key, what, advice in (
            ("INSTRUME", "instruments", "take those of one camera"),
            ("LINESHA", "line tables", "their energies are not comparable; calibrate with one"),
        ):
            first = headers[0].get(key)
            if header.get(key) != first:
                one, other = (_told(given, key) for given in (headers[0], header))
                raise InputError(
                    f"history: {paths[0]} and {path} are of different {what} ({one}, {other});"
                    f" {advice}"
                )


def _told(header: Mapping, key: str) -> str:
    """What a header says of its instrument, or of the name and content of its line table."""
    said = str(header.get(key) or "not said")
    return f"{header.get('LINETAB')}, content {said[:8]}" if key == "LINESHA" else said


def _stacked(tables: list[dict], instrument: Instrument) -> Epochs:
    """Arrays of all epochs, over all pixels that any of them has."""
    detnum = np.unique(np.concatenate([table["DETNUM"] for table in tables]))
    energies = instrument.requirement.energies_keV
    shape = (len(detnum), len(tables))
    gain, offset = np.full((2, *shape), np.nan, np.float32)
    covariance = np.full((*shape, 3), np.nan, np.float32)
    status = np.full(shape, int(EnergyStatus.MASKED), np.int16)
    systematic = np.full((*shape, len(energies)), np.nan, np.float32)
    for number, table in enumerate(tables):
        row = np.searchsorted(detnum, table["DETNUM"])
        status[row, number] = table["STATUS"]
        gain[row, number], offset[row, number] = table["GAIN"], table["OFFSET"]
        covariance[row, number, 0] = table["GAIN_ERR"] ** 2
        covariance[row, number, 1] = table["GAIN_OFFSET_COV"]
        covariance[row, number, 2] = table["OFFSET_ERR"] ** 2
        for place, energy in enumerate(energies):
            systematic[row, number, place] = table[column_name(energy)]
    known = has_valid_fit(status) & np.isfinite(gain) & np.isfinite(covariance).all(axis=2)
    for values in (gain, offset):
        values[~known] = np.nan
    covariance[~known] = np.nan
    nothing = np.zeros(len(tables))
    return Epochs(
        (), (), (), nothing, nothing, detnum, gain, offset, covariance, status, systematic, {}
    )
