"""A catalogue of fluorescence lines, such as `materials.csv`: what may shine, in series that go
together. A line table says which lines are fitted, and in which blocks (`lines.py`)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelcal.errors import InputError

COLUMNS = ("element", "transition", "energy_keV", "intensity")


class Series(NamedTuple):
    """Lines that go together.

    Attributes
    ----------
    name : str
        "Bi K", "Ta L", "escape peaks of Pb".
    transition : tuple of str
    energy_keV, intensity : (n,) float
    width_keV : (n,) float
        Natural width (FWHM); 0 where it is not known.
    """

    name: str
    transition: tuple[str, ...]
    energy_keV: np.ndarray
    intensity: np.ndarray
    width_keV: np.ndarray


def read_catalogue(path: str | Path) -> list[Series]:
    """The series of a catalogue of lines (CSV with `COLUMNS`), in the order of the file.

    Raises
    ------
    InputError
        Where it cannot be read, or is malformed.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        found: dict[str, list] = {}
        for row in rows:
            element, transition, *numbers = (row[name] for name in COLUMNS)
            line = transition, *map(float, numbers), float(row.get("width_keV") or 0.0)
            found.setdefault(f"{element} {transition[0]}", []).append(line)
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"catalogue of lines {path}: cannot be read ({error.__class__.__name__}); expected the"
            f" columns {', '.join(COLUMNS)}"
        ) from None
    return [series_of(name, lines) for name, lines in found.items()]


def series_of(name: str, lines: Sequence[tuple[str, float, float, float]]) -> Series:
    """A series of lines, each with transition, energy (keV), intensity and width (keV)."""
    transition, *numbers = zip(*lines, strict=True)
    return Series(name, transition, *map(np.array, numbers))
