"""The prior relation: one for all pixels, or that of an earlier product."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.energy.units import gain_factor, unit_factor
from pixelcal.errors import InputError
from pixelcal.instrument import N_PIXELS, check_instrument
from pixelcal.io.columns import find_column
from pixelcal.io.tables import read_columns

EXTENSIONS = ("AUX-ECL-PIX-CAL", "RELATION")


def read_prior(
    path: str | Path | None, detnum: np.ndarray, gain_keV: float, offset_keV: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of each pixel before the fit.

    Parameters
    ----------
    path : path or None
        A relation FITS with DETNUM, GAIN and OFFSET in the extension AUX-ECL-PIX-CAL or RELATION;
        gain in keV/channel and offset in keV, or in the units that the columns name.
    detnum : (n,) int
        The pixels wanted, in any order.
    gain_keV, offset_keV : float
        The relation of every pixel (keV/channel, keV) where `path` is None.

    Returns
    -------
    gain, offset : (n,) float, keV/channel and keV

    Raises
    ------
    InputError
        Where the file cannot be read or is of another camera, or a pixel is missing, there twice,
        or without a usable relation (finite, with positive gain).
    """
    detnum = np.asarray(detnum, np.int64)
    if path is None:
        return np.full(len(detnum), float(gain_keV)), np.full(len(detnum), float(offset_keV))
    given, gain, offset = _read_relation(path)
    missing = detnum[~np.isin(detnum, given)]
    if len(missing):
        raise InputError(
            f"relation file {path}: lacks {len(missing)} of the {len(detnum)} pixels, the first is"
            f" DETNUM {missing[0]}; give a file that holds them, or choose fewer pixels"
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
    return gain, offset


def read_usable(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DETNUM (n,) int, gain and offset (n,) float of the pixels of a relation file that has them
    usable: finite, with positive gain.

    Raises
    ------
    InputError
        Where the file cannot be read, or a pixel is there twice.
    """
    detnum, gain, offset = _read_relation(path)
    usable = _is_usable(gain, offset)
    return detnum[usable], gain[usable], offset[usable]


def _is_usable(gain: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Whether relations are finite with a positive gain, (n,)."""
    return np.isfinite(gain) & np.isfinite(offset) & (gain > 0)


def _read_relation(path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DETNUM, GAIN and OFFSET of the first of `EXTENSIONS` that the file has."""
    for extension in EXTENSIONS:
        try:
            table = read_columns(path, extension)
        except InputError as error:
            if "DATASUM" in str(error):
                raise InputError(f"relation file {error}") from None
            failure = error
            continue
        break
    else:
        wanted = " or ".join(EXTENSIONS)
        raise InputError(f"relation file {failure}; give a file with the extension {wanted}")
    where = f"relation file {path}"
    check_instrument(table.meta, where)
    wanted = ("DETNUM", "GAIN", "OFFSET")
    places = {name: find_column(table.colnames, name, where) for name in wanted}
    absent = [name for name, place in places.items() if place is None]
    if absent:
        raise InputError(
            f"{where}: {extension} lacks {', '.join(absent)}; it has {', '.join(table.colnames)}"
        )
    named = {name: table.colnames[place] for name, place in places.items()}
    columns = {name: _numbers(table[label], where) for name, label in named.items()}
    detnum = columns["DETNUM"]
    outside = ~((detnum >= 0) & (detnum < N_PIXELS) & (detnum == np.floor(detnum)))
    if outside.any():
        raise InputError(
            f"{where}: DETNUM {detnum[outside][0]:g} is no pixel of this camera (0 to"
            f" {N_PIXELS - 1}); give a file of ECLAIRs"
        )
    numbers, times = np.unique(detnum.astype(np.int64), return_counts=True)
    if (times > 1).any():
        raise InputError(
            f"{where}: pixel {numbers[times > 1][0]} is there twice; keep one row for each"
        )
    units = _units(table.meta)
    gain = columns["GAIN"] * gain_factor(units.get(named["GAIN"]), f"{where}: column GAIN")
    unit = units.get(named["OFFSET"])
    offset = columns["OFFSET"] * unit_factor(unit, "keV", f"{where}: column OFFSET")
    return detnum.astype(np.int64), gain, offset


def _numbers(column, where: str) -> np.ndarray:
    """The numbers (n,) of a column."""
    values = np.ma.filled(column, -1) if column.dtype.kind in "iu" else np.asarray(column)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: column {column.name} does not hold one number a row; give a file as"
            " docs/products.md describes"
        )
    return values.astype(float)


def _units(header) -> dict[str, str]:
    """Units of the columns of a table as its header has them."""
    names = {header.get(f"TTYPE{n}"): n for n in range(1, header.get("TFIELDS", 0) + 1)}
    return {name: header[f"TUNIT{n}"] for name, n in names.items() if f"TUNIT{n}" in header}
