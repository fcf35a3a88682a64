"""The fits of all chunks as one table: each pixel once, whatever the chunks."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np
from numpy.lib import recfunctions

from pixelcal.errors import InputError
from pixelcal.io.checksums import check_sums
from pixelcal.io.columns import find_column
from pixelcal.io.fits_files import is_gzip, open_fits
from pixelcal.io.tables import read_table


def merge_chunks(
    chunks: Sequence, pixel: np.ndarray, names: Sequence[str], dtype: np.dtype, key: str
) -> np.ndarray:
    """Rows of all chunks in the order of `pixel`.

    Parameters
    ----------
    chunks : sequence of tables or structured arrays with the columns of `dtype`
    pixel : (n,) int
        The pixels of the spectra.
    names : sequence of str
        What to call each chunk in an error.
    dtype : structured dtype
    key : str
        The column of it that numbers the pixels.

    Returns
    -------
    (n,) structured array of `dtype`

    Raises
    ------
    InputError
        Where a column is missing, or where the chunks do not hold each pixel of the spectra exactly
        once.
    """
    parts = []
    for name, chunk in zip(names, chunks, strict=True):
        columns = chunk.dtype.names
        missing = [column for column in dtype.names if column not in columns]
        if missing:
            raise InputError(f"{name}: lacks the column(s) {', '.join(missing)}; fit it again")
        part = np.empty(len(chunk), dtype)
        for column in dtype.names:
            part[column] = chunk[column]
        parts.append(part)
    rows = np.concatenate(parts) if parts else np.empty(0, dtype)
    rows = rows[np.argsort(rows[key], kind="stable")]
    found, times = np.unique(rows[key], return_counts=True)
    for problem, pixels in (
        ("is in two chunks", found[times > 1]),
        ("is in a chunk and not in the spectra", np.setdiff1d(found, pixel)),
        ("of the spectra is in no chunk", np.setdiff1d(pixel, found)),
    ):
        if len(pixels):
            raise InputError(
                f"chunks of fits: the pixel {key} {pixels[0]} {problem} ({len(pixels)} such"
                " pixels); remove the chunks and fit again"
            )
    return rows[np.searchsorted(rows[key], pixel)]


def _is_fits(path) -> bool:
    """Whether a file is FITS, plain or gzip-compressed, by its first bytes."""
    with gzip.open(path) if is_gzip(path) else open(path, "rb") as file:
        return file.read(6) == b"SIMPLE"


def read_bad_pixels(path, key: str, n_pixels: int) -> np.ndarray:
    """Numbers (m,) int of the pixels to leave out, from any table that astropy reads.

    Raises
    ------
    InputError
        Where the table cannot be read, or a number in its column `key` is not that of a pixel.
    """
    table, where = read_table(path), f"bad-pixel table {path}"
    if _is_fits(path):
        with open_fits(path, "bad-pixel table") as hdus:
            for hdu in hdus:
                check_sums(path, hdu, "bad-pixel table")
    place = find_column(table.colnames, key, where)
    if place is None:
        raise InputError(f"{where}: lacks the column(s) {key}; it has {', '.join(table.colnames)}")
    numbers = np.ma.filled(table.columns[place], -1)
    if not len(numbers):
        return np.array([], int)
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= n_pixels:
        raise InputError(f"{where}: {key} must be whole numbers from 0 to {n_pixels - 1}")
    return np.unique(numbers)


def placed_rows(rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows (n,) of a product: X and Y (n,) after the number of the pixel, then the rest."""
    first, *rest = rows.dtype.names
    placed = recfunctions.append_fields(rows, ("X", "Y"), (x, y), usemask=False)
    return recfunctions.repack_fields(placed[[first, "X", "Y", *rest]])
