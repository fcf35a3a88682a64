"""The pixel map of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.chunks import parse_pixels
from pixelcal.io.csv_rows import read_csv_rows

MAP_COLUMNS = ("PIXEL", "MODULE", "X", "Y")


@dataclass(frozen=True)
class PixelMap:
    """Where the pixels of a camera are: columns of equal length, by rising PIXEL; x, y in m."""

    pixel: list[int]
    module: list[int]
    x: list[float]
    y: list[float]


def read_pixel_map(path: str | Path) -> PixelMap:
    """Read a CSV pixel map with PIXEL, MODULE, X and Y (m).

    Raises
    ------
    InputError
        Where it is missing, lacks a column, or its pixels are not 0, 1, 2, ... in some order.
    """
    rows = []
    for number, row in read_csv_rows(Path(path), MAP_COLUMNS):
        where = f"{path}, line {number}"
        try:
            whole = [int(row[name]) for name in MAP_COLUMNS[:2]]
            place = [float(row[name]) for name in MAP_COLUMNS[2:]]
        except ValueError:
            raise InputError(
                f"{where}: PIXEL and MODULE must be whole numbers, X and Y numbers (m)"
            ) from None
        if not all(map(math.isfinite, place)):
            raise InputError(f"{where}: X and Y must be finite (m)")
        rows.append((*whole, *place))
    rows.sort()
    if not rows or [row[0] for row in rows] != list(range(len(rows))):
        raise InputError(f"{path}: PIXEL must count from 0, each number once")
    return PixelMap(*(list(column) for column in zip(*rows, strict=True)))


def chosen_pixels(spec, n_pixels: int) -> list[int]:
    """The pixels that `sstcam.pixels` chooses of a camera of `n_pixels`, rising.

    Raises
    ------
    InputError
        As `chunks.parse_pixels`, with the name of the key.
    """
    try:
        return list(parse_pixels(spec, n_pixels))
    except InputError as error:
        raise InputError(f"sstcam.{error}") from None
