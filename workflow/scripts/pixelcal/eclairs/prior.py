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
    table = _read_relation(path)
    given = np.asarray(table["DETNUM"], np.int64)
    numbers, times = np.unique(given, return_counts=True)
    if (times > 1).any():
        raise InputError(f"relation file {path}: pixel {numbers[times > 1][0]} is there twice")
    missing = detnum[~np.isin(detnum, given)]
    if len(missing):
        raise InputError(
            f"relation file {path}: lacks {len(missing)} of the {len(detnum)} pixels, the first is"
            f" DETNUM {missing[0]}; give a file that holds them, or choose fewer pixels"
        )
    order = np.argsort(given)
    rows = order[np.searchsorted(given, detnum, sorter=order)]
    gain = np.asarray(table["GAIN"], float)[rows]
    offset = np.asarray(table["OFFSET"], float)[rows]
    unusable = ~(np.isfinite(gain) & np.isfinite(offset) & (gain > 0))
    if unusable.any():
        raise InputError(
            f"relation file {path}: pixel {detnum[unusable][0]} has no usable GAIN and OFFSET;"
            " a file AUX-ECL-PIX-CAL.fits has them for every pixel"
        )
    return gain, offset


def _read_relation(path):
    """The first of `EXTENSIONS` that the file has, as a table with its three columns."""
    for extension in EXTENSIONS:
        try:
            table = read_columns(path, extension)
        except InputError as error:
            failure = error
            continue
        absent = [name for name in ("DETNUM", "GAIN", "OFFSET") if name not in table.colnames]
        if absent:
            raise InputError(f"relation file {path}: {extension} lacks {', '.join(absent)}")
        return table
    raise InputError(f"relation file: {failure}; expected {' or '.join(EXTENSIONS)}") from None
