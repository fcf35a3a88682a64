"""Numbers and positions of pixels, as the file of a run gives them."""

from __future__ import annotations

import numpy as np

from pixelcal.errors import InputError

HIGHEST_PIXEL = 32767
"""The numbers of pixels are 16-bit integers in products."""
MOST_NAMED = 5
"""Pixels that are named one by one on the terminal."""
LARGEST_PLACE_M = 5.0
"""No camera is larger: positions beyond are in another unit than m."""


def check_numbers(pixel: np.ndarray, where: str, name: str) -> None:
    """Raise InputError where the numbers (n,) of a column `name` cannot be those of pixels."""
    if pixel.min(initial=0) < 0 or pixel.max(initial=0) > HIGHEST_PIXEL or (pixel % 1 != 0).any():
        raise InputError(f"{where}: {name} must be numbers from 0 to {HIGHEST_PIXEL}")


def unique_numbers(pixel: np.ndarray, where: str, table: str) -> np.ndarray:
    """The numbers (n,) of pixels as int32.

    Raises
    ------
    InputError
        Where one occurs in `table` a second time.
    """
    numbers, counts = np.unique(pixel, return_counts=True)
    if len(numbers) < len(pixel):
        raise InputError(
            f"{where}: pixel {numbers[counts > 1][0]} occurs twice in {table}; give each pixel one"
            " row"
        )
    return pixel.astype(np.int32)


def check_places(places: np.ndarray, where: str, names: str) -> None:
    """Raise InputError where positions (2, n), of the columns `names`, cannot be in m."""
    if np.nanmax(np.abs(places), initial=0.0) > LARGEST_PLACE_M:
        raise InputError(
            f"{where}: {names} have values beyond {LARGEST_PLACE_M:g}; write the positions of the"
            " pixels in m"
        )
