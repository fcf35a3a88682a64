"""The pixels of a camera as rows and columns, for maps; the SSTCAM has such a grid."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from pixelcal.charge.runs.pixel_map import PixelMap

LOGGER = logging.getLogger(__name__)

SAME_PLACE_M = 1e-4
"""Places closer than this are one column."""
SPARSE = 4
"""With more cells than so many a pixel, pixels are not taken to form rows and columns."""


SMALL_PART = 0.1
"""Part of the distance of pixels by which a map may differ from a run without a word."""


class PixelGrid(NamedTuple):
    """Where each pixel of the map is drawn.

    x, y (n,): column and row, int; for pixels that form none, the place in units of their
    distance, float. `width` and `height` in these units. x_m, y_m (n,) as in the map (m); module
    (n,) int. `scattered`: whether the pixels form no rows and columns.
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


def grid_of(pixel_map: PixelMap, pixel: np.ndarray, places: np.ndarray) -> PixelGrid:
    """The grid of a camera whose pixels are where a table of them says.

    Parameters
    ----------
    pixel_map : PixelMap
    pixel : (m,) int
        Pixels of the table.
    places : (2, m) float
        Their x and y (m). Where these are those of the map, the grid is that of the map. Otherwise
        pixels that are not in the table have the place of the first one, as theirs is not known.
    """
    known = np.array([pixel_map.x, pixel_map.y], float)
    if not len(pixel) or np.allclose(places, known[:, pixel], rtol=0, atol=SAME_PLACE_M):
        return pixel_grid(pixel_map)
    module = np.asarray(pixel_map.module)[pixel]
    grid = pixel_grid(PixelMap(pixel.tolist(), module.tolist(), *places.tolist()))
    row = np.zeros(len(pixel_map.pixel), int)
    row[pixel] = np.arange(len(pixel))
    return grid._replace(
        **{name: getattr(grid, name)[row] for name in ("x", "y", "x_m", "y_m", "module")}
    )


def places_of_pixels(
    pixel_map: PixelMap,
    pixel: np.ndarray,
    numbers: np.ndarray,
    places: np.ndarray | None,
    map_given: bool,
) -> tuple[np.ndarray, float]:
    """Where pixels are: as the run says, or as the map that the user gives.

    Parameters
    ----------
    pixel_map : PixelMap
    pixel : (n,) int
        The pixels wanted.
    numbers : (m,) int
        Pixels of the run.
    places : (2, m) float, or None
        Their x and y (m); NaN where one is not known, None where the run does not bring them.
    map_given : bool
        Whether the user names the map: it goes before the run.

    Returns
    -------
    places : (2, n) float, m
    farthest : float, m
        Largest distance between run and map; 0 where it is less than `SMALL_PART` of the distance
        of neighbouring pixels, which is how far a flat map is from a curved camera.
    """
    by_map = np.array([pixel_map.x, pixel_map.y], float)[:, pixel]
    if places is None:
        return by_map, 0.0
    by_run = np.full((2, len(pixel_map.pixel)), np.nan)
    there = numbers < by_run.shape[1]
    by_run[:, numbers[there]] = places[:, there]
    by_run = np.where(np.isfinite(by_run).all(axis=0), by_run, np.nan)[:, pixel]
    distance = np.nan_to_num(np.hypot(*(by_run - by_map)))
    farthest = float(distance.max(initial=0.0))
    if farthest < SMALL_PART * _distance(np.array([pixel_map.x, pixel_map.y], float)):
        farthest = 0.0
    used = by_map if map_given else np.where(np.isnan(by_run), by_map, by_run)
    return used, farthest


def tell_places(farthest: float, map_given: bool, map_path, run_name: str) -> None:
    """Say where run and map differ by `farthest` (m): a warning where the map is used."""
    if farthest and map_given:
        LOGGER.warning(
            "pixel map %s: is up to %.1f mm from the positions of the pixels in run %s; the map is"
            " used, leave sstcam.pixel_map null to use those of the run",
            map_path, 1e3 * farthest, run_name,
        )  # fmt: skip
    elif farthest:
        LOGGER.info(
            "positions of the pixels are those of run %s, up to %.1f mm from the pixel map %s",
            run_name, 1e3 * farthest, map_path,
        )  # fmt: skip


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
