"""Names of what history.fits holds, and reading it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns

EXTENSION, EPOCHS, CAMERA, MODULES, PIXELS = "HISTORY", "EPOCHS", "CAMERA", "MODULES", "PIXELS"
HOUSEKEEPING = "HOUSEKEEPING"


class HistoryTables(NamedTuple):
    """The extensions of history.fits; `rows` has a row for each of n pixels and t epochs."""

    rows: Table
    epochs: Table
    camera: Table
    modules: Table
    pixels: Table

    def column(self, name: str) -> np.ndarray:
        """A column of `rows` as (n, t)."""
        return np.asarray(self.rows[name]).reshape(len(self.pixels), len(self.epochs))

    @property
    def energies_keV(self) -> list[str]:
        """Reference energies in the names of columns, rising."""
        return [name.partition("_")[2] for name in self.rows.colnames if name[:7] == "CHANGE_"]


def read_history(path: str | Path) -> HistoryTables:
    """The tables of a history.

    Raises
    ------
    InputError
        Where the file is missing, damaged, or no history.
    """
    tables = HistoryTables(
        *(read_columns(path, name) for name in (EXTENSION, EPOCHS, CAMERA, MODULES, PIXELS))
    )
    if len(tables.rows) != len(tables.pixels) * len(tables.epochs):
        raise InputError(f"{path}: does not have a row for each pixel and epoch; make it again")
    return tables


def energy_columns(word: str, energies_keV) -> list[str]:
    """Names of a column for each reference energy, as CHANGE_80."""
    return [f"{word}_{energy:g}" for energy in energies_keV]
