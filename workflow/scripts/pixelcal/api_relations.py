"""The part of `pixelcal.api` that reads and writes relations; import it from there."""

from __future__ import annotations

import logging
import unicodedata
from datetime import datetime
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.time import Time

from pixelcal.api_checks import camera_of
from pixelcal.energy.events.clock import MISSION_TIME_CARDS, data_time_cards
from pixelcal.energy.history.query import mission_seconds
from pixelcal.energy.prior import read_usable
from pixelcal.energy.relation_columns import checked_relation
from pixelcal.energy.relation_table import Relation
from pixelcal.energy.results.merge import RELATION_EXTENSION, RELATION_UNITS
from pixelcal.energy.results.mission_file import MISSION_EXTENSION, STATUS_EXTENSION
from pixelcal.errors import InputError
from pixelcal.instrument import UNKNOWN, Instrument
from pixelcal.io.columns import find_column
from pixelcal.io.fits_files import open_fits
from pixelcal.io.instruments import load_instrument
from pixelcal.io.provenance import software_version
from pixelcal.io.tables import read_columns, table_hdu, write_fits

LOGGER = logging.getLogger("pixelcal")


def read_relation(path: str | Path) -> Relation:
    """The relations in a product: `relation.fits`, or the mission's AUX-ECL-PIX-CAL file.

    Parameters
    ----------
    path : path

    Returns
    -------
    Relation
        The mission's file has no errors; they are NaN. Its STATUS is that of the extension beside
        it.

    Raises
    ------
    InputError
        Where the file cannot be read, is neither, lacks a column, has a unit of another kind, or
        a pixel or gain that cannot be.

    Examples
    --------
    >>> relation = read_relation("results/eclairs/10ks/relation.fits")  # doctest: +SKIP
    >>> relation.energy(42, [100, 200])  # doctest: +SKIP
    array([17.5925, 32.1042])
    """
    if not isinstance(path, str | Path):
        raise InputError(f"read_relation: give the path of a file, not {path!r}")
    with open_fits(path, "relation file") as hdus:
        present = {hdu.name for hdu in hdus}
    if RELATION_EXTENSION in present:
        return _relation_in(path)
    if MISSION_EXTENSION not in present:
        raise InputError(
            f"relation file {path}: has neither {RELATION_EXTENSION} nor {MISSION_EXTENSION}; give"
            " a relation.fits or AUX-ECL-PIX-CAL file"
        )
    detnum, gain, offset = read_usable(path, load_instrument("eclairs"))  # whose file it is
    table = Table({"DETNUM": detnum, "GAIN": gain, "OFFSET": offset})
    if STATUS_EXTENSION in present:
        table["STATUS"] = _status_of(path, detnum)
    return Relation(table)


def _relation_in(path: str | Path) -> Relation:
    """The relations of the extension RELATION, in keV; a warning tells of units that are missing.

    A file of another maker may have other units, or none.
    """
    where = f"relation file {path}"
    table = read_columns(path, RELATION_EXTENSION)
    relation = Relation(checked_relation(table, where))
    silent = [
        name
        for name in ("GAIN", "OFFSET")
        if not table.columns[find_column(table.colnames, name, where)].unit
    ]
    if silent:
        LOGGER.warning(
            "%s: %s without a unit, taken to be in keV/chan and keV; name the unit in the file",
            where,
            " and ".join(silent),
        )
    return relation


def _status_of(path: str | Path, detnum: np.ndarray) -> list[int]:
    """STATUS of the pixels (n,) by the extension beside the mission's file."""
    where = f"relation file {path}: {STATUS_EXTENSION}"
    table = read_columns(path, STATUS_EXTENSION)
    columns = []
    for name in ("DETNUM", "STATUS"):
        place = find_column(table.colnames, name, where)
        if place is None:
            raise InputError(f"{where} lacks {name}; it has {', '.join(table.colnames)}")
        columns.append(np.asarray(table.columns[place], int).tolist())
    of_pixel = dict(zip(*columns, strict=True))
    missing = [number for number in detnum.tolist() if number not in of_pixel]
    if missing:
        raise InputError(f"{where} lacks pixel {missing[0]}; obtain a fresh copy")
    return [of_pixel[number] for number in detnum.tolist()]


def write_relation(
    path: str | Path,
    relation: Relation,
    *,
    start: str | datetime | Time | None = None,
    stop: str | datetime | Time | None = None,
    name: str | None = None,
    instrument: Instrument | str = "eclairs",
) -> None:
    """Write a relation as the product `relation.fits`, for `read_relation` and for a history.

    Parameters
    ----------
    path : path
        The folder is made where there is none; a file that is there is replaced.
    relation : Relation
    start, stop : str, datetime or astropy Time, optional
        First and last moment of the data, UTC; a history needs them.
    name : str, optional
        Of the exposure, in ASCII; by default that of the folder of `path`, without what is not.
    instrument : Instrument, name or path

    Raises
    ------
    InputError
        Where relation or a time is none, `stop` is not after `start`, or the name is not ASCII.

    Examples
    --------
    >>> write_relation("week12/relation.fits", relation,
    ...     start="2025-03-17", stop="2025-03-24")  # doctest: +SKIP
    """
    if not isinstance(relation, Relation):
        raise InputError("write_relation: relation must be a Relation; make one by Relation(table)")
    camera = camera_of(instrument)
    path = Path(path)
    cards = [
        ("INSTRUME", camera.instrume[0] if camera.instrume else UNKNOWN, "instrument"),
        ("ORIGIN", "pixelcal", "who made this file"),
        ("CREATOR", "pixelcal write_relation", "software"),
        ("SOFTVERS", software_version(), "version of pixelcal"),
        ("EXPNAME", _exposure_name(path, name), "name of the exposure"),
    ]
    if (start is None) != (stop is None):
        raise InputError("write_relation: give both start and stop, or neither")
    if start is not None:
        first, last = mission_seconds(start), mission_seconds(stop)
        if not last > first:
            raise InputError(f"write_relation: stop ({stop}) is not after start ({start})")
        times = {"TSTART": first, "TSTOP": last}
        times |= {keyword: value for keyword, value, _ in MISSION_TIME_CARDS}
        cards += data_time_cards(times)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = relation.table.as_array()
    if "STATUS" not in rows.dtype.names:
        raise InputError("write_relation: the relation has no STATUS; only fits can be written")
    units = {key: unit for key, unit in RELATION_UNITS.items() if key in rows.dtype.names}
    write_fits(path, [table_hdu(rows, RELATION_EXTENSION, units, cards)])


def _exposure_name(path: Path, name: str | None) -> str:
    """The name of an exposure for a header: that given, or that of its folder, in ASCII.

    A header holds no other letters; those of a folder lose their accents, or are left out.
    """
    if name is not None:
        if not (isinstance(name, str) and name.isascii() and name.isprintable()):
            raise InputError(
                f"write_relation: name {name!r} cannot be in a FITS header; give a text of ASCII"
                " letters, digits and signs"
            )
        return name
    folder = unicodedata.normalize("NFKD", path.resolve().parent.name)
    return "".join(one for one in folder if one.isascii() and one.isprintable()) or UNKNOWN
