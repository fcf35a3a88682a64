"""What is known of the relation before a fit: one for all pixels, or an earlier product."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.errors import InputError
from pixelcal.products import read_columns

EXTENSIONS = ("AUX-ECL-PIX-CAL", "RELATION")


def read_prior(
    path: str | Path | None, detnum: np.ndarray, gain_keV: float, offset_keV: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of each pixel as known before.

    Parameters
    ----------
    path : path or None
        A relation FITS with DETNUM, GAIN and OFFSET in the extension AUX-ECL-PIX-CAL or RELATION.
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
        Where the file cannot be read, or a pixel is missing, there twice, or without a usable
        relation (finite, with positive gain).
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
    return np.isfinite(gain) & np.isfinite(offset) & (gain > 0)


def _read_relation(path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DETNUM, GAIN and OFFSET of the first of `EXTENSIONS` that the file has."""
    for extension in EXTENSIONS:
        try:
            table = read_columns(path, extension)
        except InputError as error:
            failure = error
            continue
        absent = [name for name in ("DETNUM", "GAIN", "OFFSET") if name not in table.colnames]
        if absent:
            raise InputError(f"relation file {path}: {extension} lacks {', '.join(absent)}")
        detnum = np.asarray(table["DETNUM"], np.int64)
        numbers, times = np.unique(detnum, return_counts=True)
        if (times > 1).any():
            raise InputError(f"relation file {path}: pixel {numbers[times > 1][0]} is there twice")
        return detnum, np.asarray(table["GAIN"], float), np.asarray(table["OFFSET"], float)
    raise InputError(f"relation file: {failure}; expected {' or '.join(EXTENSIONS)}") from None
