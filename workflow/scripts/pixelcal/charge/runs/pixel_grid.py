"""The pixels of a camera as rows and columns, for maps: the SSTCAM's stand so, others may not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.charge.runs.pixel_map import PixelMap

SAME_PLACE_M = 1e-4
"""Places closer than this are one column."""
SPARSE = 4
"""With more cells than so many a pixel, pixels are not taken to stand in rows and columns."""


class PixelGrid(NamedTuple):
    """Where each pixel of the map is drawn.

    x, y (n,): column and row, int; for pixels that stand in none, the place in units of their
    distance, float. `width` and `height` in these units. x_m, y_m (n,) as in the map (m); module
    (n,) int. `scattered`: whether the pixels stand in no rows and columns.
    """

    x: np.ndarray
    y: np.ndarray
    width: int
    height: int
    x_m: np.ndarray
    y_m: np.ndarray
    module: np.ndarray
    scattered: bool


def pixel_grid(pixel_map: PixelMap) -> PixelGrid:
    """Rows and columns of the pixels of a map; the gaps between modules are left out."""
    places = np.array([pixel_map.x, pixel_map.y], float)
    module = np.asarray(pixel_map.module)
    columns = [_ranks(coordinate) for coordinate in places]
    width, height = (int(ranks.max()) + 1 for ranks in columns)
    taken = len(np.unique(columns[0] * height + columns[1]))
    if width * height <= SPARSE * len(module) and taken == len(module):
        return PixelGrid(*columns, width, height, *places, module, False)
    unit = _distance(places)
    x, y = (places - places.min(axis=1, keepdims=True)) / unit
    width, height = (int(np.ceil(coordinate.max())) + 1 for coordinate in (x, y))
    return PixelGrid(x, y, width, height, *places, module, True)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank (n,) of each value among the different ones."""
    order = np.argsort(values, kind="stable")
    new = np.diff(values[order], prepend=values[order[0]]) > SAME_PLACE_M
    ranks = np.empty(len(values), int)
    ranks[order] = np.cumsum(new)
    return ranks


def _distance(places: np.ndarray) -> float:
    """Typical distance of a pixel from the next."""
    nearest = []
    for i in range(0, places.shape[1], max(places.shape[1] // 50, 1)):
        square = ((places - places[:, i : i + 1]) ** 2).sum(axis=0)
        square[i] = np.inf
        nearest.append(np.sqrt(square.min()))
    distance = float(np.median(nearest))
    return distance if np.isfinite(distance) and distance > 0 else 1.0
