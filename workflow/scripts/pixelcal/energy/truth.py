"""The truth of an exposure: the relations that were injected into its spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcal.errors import InputError
from pixelcal.io.tables import read_table


def read_truth(path: str | Path, detnum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Injected gain and offset (n,), keV/channel and keV, of the pixels `detnum` (n,).

    Raises
    ------
    InputError
        Where the file cannot be read or lacks a pixel.
    """
    table = read_table(path, ["DETNUM", "GAIN", "OFFSET"])
    table.sort("DETNUM")
    given = np.asarray(table["DETNUM"])
    absent = np.setdiff1d(detnum, given)
    if len(absent):
        raise InputError(
            f"truth {path}: lacks the pixel DETNUM {absent[0]}; remove the file and run again"
        )
    rows = np.searchsorted(given, detnum)
    return np.asarray(table["GAIN"], float)[rows], np.asarray(table["OFFSET"], float)[rows]
