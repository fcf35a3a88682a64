"""The pixel map: where the pixels of a camera are, and images of what they measure."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from pixelcal.errors import InputError

COLUMNS = ("DETNUM", "X", "Y", "MODULE", "SECTOR")
PLACES = ("ROW", "COLUMN")


def read_pixel_map(path: str | Path) -> Table:
    """Read a CSV pixel map; lines that start with # are comments.

    Returns
    -------
    Table of int columns DETNUM, X, Y, MODULE, SECTOR, rows by rising DETNUM
        X and Y count pixels from 0. ROW and COLUMN, which event files may number pixels by, and
        KIND (text: pixels of a kind share a response), where the file has them.

    Raises
    ------
    InputError
        With file and reason, where the map is missing, malformed, or contradicts itself.
    """
    where = f"pixel map {path}"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: cannot be read ({error.__class__.__name__})") from None
    reader = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{where}: lacks the column(s) {', '.join(missing)}")
    try:
        rows = list(reader)
        numbers = [*COLUMNS, *(name for name in PLACES if name in (reader.fieldnames or ()))]
        values = np.array([[int(row[name]) for name in numbers] for row in rows], dtype=np.int64)
    except (TypeError, ValueError):
        raise InputError(f"{where}: every field but KIND must be a whole number") from None
    if not len(values) or values.min() < 0:
        raise InputError(f"{where}: must have rows, and numbers from 0 upwards")
    if len(np.unique(values[:, 0])) < len(values):
        raise InputError(f"{where}: a DETNUM occurs in two rows")
    if len(np.unique(values[:, 1:3], axis=0)) < len(values):
        raise InputError(f"{where}: two pixels have the same X and Y")
    order = np.argsort(values[:, 0])
    table = Table(values[order], names=numbers)
    if "KIND" in (reader.fieldnames or ()):
        kinds = [(row["KIND"] or "").strip() for row in rows]
        if not all(kind and kind.isascii() for kind in kinds):
            raise InputError(f"{where}: KIND must be a word in ASCII letters in every row")
        table["KIND"] = np.array(kinds)[order]
    return table


def shape_of_map(pixel_map: Table) -> tuple[int, int]:
    """Rows and columns of the camera's image: largest Y and X, each and one."""
    return int(np.max(pixel_map["Y"])) + 1, int(np.max(pixel_map["X"])) + 1


def rows_of(detnum: np.ndarray, pixel_map: Table) -> np.ndarray:
    """Rows (n,) of the pixel map for the pixels `detnum` (n,).

    Raises
    ------
    InputError
        Where the map lacks a pixel.
    """
    known = np.asarray(pixel_map["DETNUM"])
    rows = np.minimum(np.searchsorted(known, detnum), len(known) - 1)
    absent = np.asarray(detnum)[known[rows] != detnum]
    if len(absent):
        raise InputError(f"pixel map: lacks the pixel DETNUM {absent[0]}")
    return rows


@dataclass(frozen=True)
class PixelPositions:
    """Where pixels are drawn: `x`, `y` (n,) int, pieces of module border, (x, y) of (2, m), and the
    `shape` of the camera, rows and columns."""

    x: np.ndarray
    y: np.ndarray
    borders: tuple[np.ndarray, np.ndarray]
    shape: tuple[int, int]


def to_image(
    values: np.ndarray, x: np.ndarray, y: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Image (n_y, n_x) of one value per pixel, first index Y; NaN where there is no pixel.

    Parameters
    ----------
    values, x, y : (n,) arrays
    shape : (n_y, n_x)
    """
    image = np.full(shape, np.nan)
    image[np.asarray(y), np.asarray(x)] = values
    return image


def module_borders(pixel_map: Table) -> tuple[np.ndarray, np.ndarray]:
    """Line pieces between pixels of different modules, in pixel coordinates.

    A pixel covers x - 0.5 to x + 0.5. The outer border of the camera is not part of them, except
    where it recedes from a corner.

    Returns
    -------
    x, y : (2, n_pieces) float
        Ends of each piece.
    """
    shape = shape_of_map(pixel_map)
    module = to_image(pixel_map["MODULE"], pixel_map["X"], pixel_map["Y"], shape)
    module[np.isnan(module)] = -1  # where there is no pixel there is no border
    y, x = np.nonzero(module[:, 1:] != module[:, :-1])
    upright = np.array([x + 0.5, x + 0.5]), np.array([y - 0.5, y + 0.5])
    y, x = np.nonzero(module[1:] != module[:-1])
    level = np.array([x - 0.5, x + 0.5]), np.array([y + 0.5, y + 0.5])
    return np.hstack([upright[0], level[0]]), np.hstack([upright[1], level[1]])
