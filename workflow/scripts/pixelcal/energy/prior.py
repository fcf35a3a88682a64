"""The prior relation: one for all pixels, or that of an earlier product."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.units import UnitsWarning

from pixelcal.energy.stix_relations import is_daily, is_elut, read_daily, read_elut
from pixelcal.energy.units import relation_in_keV
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.io.columns import find_column
from pixelcal.io.tables import read_columns, read_table

EXTENSIONS = ("AUX-ECL-PIX-CAL", "RELATION")
NEEDED = ("DETNUM", "GAIN", "OFFSET")

NOT_THERE = ("has no extension", "no such file", "is not a whole FITS file")
"""Words of an error after which another extension, or another file, may be meant."""

LOGGER = logging.getLogger(__name__)


def read_prior(
    path: str | Path | None,
    detnum: np.ndarray,
    gain_keV: float,
    offset_keV: float,
    tell: bool = False,
    *,
    instrument: Instrument,
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of each pixel before the fit.

    Parameters
    ----------
    path : path or None
        A table with DETNUM, GAIN and OFFSET: a FITS file, in the extension AUX-ECL-PIX-CAL or
        RELATION, or ECSV or CSV. Gain in keV/channel and offset in keV, or in the units that the
        columns name ("GAIN [chan/keV]" in CSV); see `relation_in_keV`.
    detnum : (n,) int
        The pixels wanted, in any order.
    gain_keV, offset_keV : float
        The relation of every pixel (keV/channel, keV) where `path` is None.
    tell : bool
        Warn of a column without a unit, and of pixels that may be numbered from 1.
    instrument : Instrument

    Returns
    -------
    gain, offset : (n,) float, keV/channel and keV

    Raises
    ------
    InputError
        Where the file cannot be read or is of another camera, or a pixel is missing, there twice,
        or without a usable relation (finite, with positive gain), or any is out of range.
    """
    detnum = np.asarray(detnum, np.int64)
    if path is None:
        return np.full(len(detnum), float(gain_keV)), np.full(len(detnum), float(offset_keV))
    given, gain, offset, silent = _read_relation(path, instrument)
    missing = detnum[~np.isin(detnum, given)]
    if len(missing):
        raise InputError(
            f"relation file {path}: lacks {len(missing)} of the {len(detnum)} pixels, the first is"
            f" DETNUM {missing[0]}; {_advice(given, detnum)}"
        )
    order = np.argsort(given)
    rows = order[np.searchsorted(given, detnum, sorter=order)]
    gain, offset = gain[rows], offset[rows]
    unusable = ~_is_usable(gain, offset)
    if unusable.any():
        raise InputError(
            f"relation file {path}: pixel {detnum[unusable][0]} has no usable GAIN and OFFSET;"
            " a file AUX-ECL-PIX-CAL.fits has them for every pixel"
        )
    if tell:
        _tell(path, given, detnum, silent)
    return gain, offset


def prior_table(path, keywords, detnum, nominal, instrument: Instrument, choose) -> Table:
    """The relation of each pixel known before data with a date, as a table that `read_prior` reads.

    Parameters
    ----------
    path : path or None
        As for `read_prior`; or calibrations of many dates, of which one before the data is taken,
        and the nominal relation for pixels that it does not have.
    keywords : dict
        DATE-OBS is when the data began.
    detnum : (n,) int
    nominal : dict
        gain_keV and offset_keV of every pixel, where there is no file.
    instrument : Instrument
    choose : function of gains and offsets (m, n), the latest first, to the row to take

    Raises
    ------
    InputError
        As `read_prior`; where calibrations have dates, and the data none.
    """
    detnum = np.asarray(detnum, np.int64)
    if path is None or not is_daily(path):
        known = read_prior(path, detnum, **nominal, tell=True, instrument=instrument)
    else:
        known = _of_a_date(path, keywords.get("DATE-OBS"), detnum, nominal, instrument, choose)
    table = Table({"DETNUM": detnum, "GAIN": known[0], "OFFSET": known[1]})
    table["GAIN"].unit, table["OFFSET"].unit = "keV/chan", "keV"
    return table


def _of_a_date(path, start, detnum, nominal, instrument: Instrument, choose):
    """Gain and offset (n,) of the pixels by one of the calibrations before the time `start`."""
    if not start:
        raise InputError(
            f"relation file {path}: holds calibrations of many dates, and the data have no date"
            " (DATE-OBS); give one of them"
        )
    began, gains, offsets = read_daily(path, str(start))
    if not began:
        raise InputError(f"relation file {path}: holds no calibration besides that of the data")
    if detnum.max(initial=0) >= gains.shape[1]:
        raise InputError(
            f"relation file {path}: holds {gains.shape[1]} pixels, not DETNUM {detnum.max()}; give"
            f" a file of {instrument.title}"
        )
    gain, offset = read_prior(None, detnum, **nominal, instrument=instrument)
    gains, offsets = gains[:, detnum], offsets[:, detnum]
    there = _is_usable(gains, offsets)
    for values, (least, most) in (
        (gains, instrument.gain_range_keV),
        (offsets, instrument.offset_range_keV),
    ):  # a pixel whose calibration failed has numbers that none can have
        there &= (values >= least) & (values <= most)
    gains = np.where(there, gains, gain)
    offsets = np.where(there, offsets, offset)
    row = choose(gains, offsets)
    LOGGER.info("the relation known before is that of the run of %s", began[row])
    if not there[row].all():
        n_nominal = int((~there[row]).sum())
        LOGGER.warning("%d pixels have the nominal relation before the fit", n_nominal)
    return gains[row], offsets[row]


def _tell(path, given: np.ndarray, detnum: np.ndarray, silent: list[str]) -> None:
    """Warn of what may be wrong in a file of the pixels `given` (n,), though it can be used."""
    if _may_count_from_1(given, detnum):
        LOGGER.warning(
            "relation file %s: its pixels run from 1 to %d, one beyond those of the run; subtract 1"
            " from DETNUM if they count from 1",
            path,
            given.max(),
        )
    if silent:
        LOGGER.warning(
            "relation file %s: %s without a unit, taken to be in keV/chan and keV; name the unit in"
            " the file",
            path,
            " and ".join(silent),
        )


def _may_count_from_1(given: np.ndarray, detnum: np.ndarray) -> bool:
    """Whether the pixels `given` (n,) run from 1 to the last of `detnum` (m,) and one."""
    return len(given) > 0 and given.min() == 1 and given.max() == detnum.max() + 1


def _advice(given: np.ndarray, detnum: np.ndarray) -> str:
    """What to do where a file of the pixels `given` (n,) lacks some of `detnum` (m,)."""
    if _may_count_from_1(given, detnum):
        return f"they run from 1 to {given.max()}: if they count from 1, subtract 1 from DETNUM"
    return "give a file that holds them, or choose fewer pixels"


def read_usable(
    path: str | Path, instrument: Instrument
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DETNUM (n,) int, gain and offset (n,) float of the pixels of a relation file that has them
    usable: finite, with positive gain.

    Raises
    ------
    InputError
        Where the file cannot be read, a pixel is there twice, or a relation is out of range.
    """
    detnum, gain, offset, _ = _read_relation(path, instrument)
    usable = _is_usable(gain, offset)
    return detnum[usable], gain[usable], offset[usable]


def _is_usable(gain: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Whether relations are finite with a positive gain, (n,)."""
    return np.isfinite(gain) & np.isfinite(offset) & (gain > 0)


def _read_relation(
    path, instrument: Instrument
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """DETNUM, GAIN and OFFSET of a relation file, and which of the two have no unit."""
    if not _is_fits(path) and is_elut(path):
        elut = read_elut(path, instrument.n_channels)
        table, units, extension = elut, {"GAIN": "keV/chan", "OFFSET": "keV"}, "the table"
    else:
        table, units, extension = _read_fits(path) if _is_fits(path) else _read_text(path)
    where = f"relation file {path}"
    instrument.check_header(table.meta, where)
    places = {name: find_column(table.colnames, name, where) for name in NEEDED}
    absent = [name for name, place in places.items() if place is None]
    if absent:
        raise InputError(
            f"{where}: {extension} lacks {', '.join(absent)}; it has {', '.join(table.colnames)}"
        )
    named = {name: table.colnames[place] for name, place in places.items()}
    columns = {name: column_numbers(table[label], where) for name, label in named.items()}
    detnum = columns["DETNUM"]
    check_detnum(detnum, where, instrument)
    texts = units.get(named["GAIN"]), units.get(named["OFFSET"])
    gain, offset = relation_in_keV(columns["GAIN"], columns["OFFSET"], texts, where)
    _check_range(detnum, gain, offset, texts, where, instrument)
    silent = [name for name, text in zip(NEEDED[1:], texts, strict=True) if not text]
    return detnum.astype(np.int64), gain, offset, silent


def check_detnum(detnum: np.ndarray, where: str, instrument: Instrument | None = None) -> None:
    """Raise InputError where a number is not that of a pixel, or is there twice.

    Without an instrument, a number may be any from 0 on.
    """
    if instrument is None:
        wrong = ~((detnum >= 0) & (detnum == np.floor(detnum)))
        if wrong.any():
            raise InputError(
                f"{where}: DETNUM {detnum[wrong][0]:g} is not the number of a pixel; pixels have"
                " whole numbers from 0 on"
            )
        _check_once(detnum, where)
        return
    n_pixels = instrument.n_pixels
    outside = ~((detnum >= 0) & (detnum < n_pixels) & (detnum == np.floor(detnum)))
    if outside.any():
        from_1 = detnum.min() == 1 and detnum.max() == n_pixels
        advice = f"give a file of {instrument.title}"
        if from_1:
            advice = "it counts from 1: subtract 1 from DETNUM"
        raise InputError(
            f"{where}: DETNUM {detnum[outside][0]:g} is not a pixel of this camera (0 to"
            f" {n_pixels - 1}); {advice}"
        )
    _check_once(detnum, where)


def _check_once(detnum: np.ndarray, where: str) -> None:
    """Raise InputError where a number of a pixel (n,) is there twice."""
    numbers, times = np.unique(detnum.astype(np.int64), return_counts=True)
    if (times > 1).any():
        raise InputError(
            f"{where}: pixel {numbers[times > 1][0]} occurs twice; keep one row per pixel"
        )


def _check_range(detnum, gain, offset, texts, where: str, instrument: Instrument) -> None:
    """Raise InputError where a usable relation is one that no pixel has."""
    usable = _is_usable(gain, offset)
    for name, values, (least, most), text, unit in (
        ("GAIN", gain, instrument.gain_range_keV, texts[0], "keV/chan"),
        ("OFFSET", offset, instrument.offset_range_keV, texts[1], "keV"),
    ):
        outside = usable & ((values < least) | (values > most))
        if outside.any():
            told = f"is '{text}'" if text else "is missing"
            raise InputError(
                f"{where}: pixel {detnum[outside][0]:.0f} has {name} {values[outside][0]:g} {unit},"
                f" allowed: {least:g} to {most:g}; correct the unit of {name}, which {told}, or the"
                " values"
            )


def _is_fits(path) -> bool:
    """Whether a file is to be read as FITS: all but those with a name of text."""
    return Path(path).suffix.lower() not in (".ecsv", ".csv", ".txt", ".dat")


def _read_fits(path) -> tuple[Table, dict[str, str], str]:
    """Table, units and name of the first of `EXTENSIONS` that the file has."""
    for extension in EXTENSIONS:
        try:
            table = read_columns(path, extension)
        except InputError as error:
            if not any(words in str(error) for words in NOT_THERE):
                raise InputError(f"relation file {error}") from None
            failure = error
            continue
        return table, _units(table.meta), extension
    wanted = " or ".join(EXTENSIONS)
    raise InputError(f"relation file {failure}; give a file with the extension {wanted}")


def _read_text(path) -> tuple[Table, dict[str, str], str]:
    """Table and units of an ECSV or CSV file, there in brackets behind the names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            table = read_table(path)
    except InputError as error:
        raise InputError(f"relation file {error}; give FITS, ECSV or CSV") from None
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit}
    for label in list(table.colnames):
        found = re.fullmatch(r"\s*(\w+)\s*\[(.*)\]\s*", label)
        if found and found[1] in table.colnames:
            raise InputError(
                f"relation file {path}: has both {found[1]} and {label}; keep one of the columns"
            )
        if found:
            table.rename_column(label, found[1])
            units[found[1]] = found[2]
    return table, units, "the table"


def column_numbers(column, where: str) -> np.ndarray:
    """The numbers (n,) of a column as float, NaN where a value is missing.

    Raises
    ------
    InputError
        Where it does not hold one number per row.
    """
    values = np.asarray(column)
    if values.dtype.kind in "iuf":  # an empty cell is no value, also among whole numbers
        values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: column {column.name} does not hold one number per row; give a file as"
            " docs/products.md describes"
        )
    return values.astype(float)


def _units(header) -> dict[str, str]:
    """Units of the columns of a table as its header has them."""
    names = {header.get(f"TTYPE{n}"): n for n in range(1, header.get("TFIELDS", 0) + 1)}
    return {name: header[f"TUNIT{n}"] for name, n in names.items() if f"TUNIT{n}" in header}
