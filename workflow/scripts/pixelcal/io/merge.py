"""The fits of all chunks as one table: each pixel once, whatever the chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib import recfunctions

from pixelcal.errors import InputError
from pixelcal.io.checksums import check_sums
from pixelcal.io.columns import find_column
from pixelcal.io.fits_files import is_fits, open_fits
from pixelcal.io.tables import read_table

FLAGS = ("BAD", "IS_BAD", "BADPIX", "MASKED", "MASK", "FLAG", "STATUS")
"""Columns of a table of all pixels that say which are bad, in capitals."""
OPPOSITE = ("GOOD", "IS_GOOD", "OK", "QUALITY", "VALID", "USABLE", "USE", "ALIVE", "LIVE")
"""Columns, in capitals, that say something of bad pixels, but not by 1 for a bad one."""
PLACES = ("X", "Y", "ROW", "COLUMN", "COL", "IDET", "JDET", "MODULE", "ASIC", "DETNUM", "PIXEL")
"""Columns, in capitals, that may hold only 0 and 1 and say where a pixel is."""
BAD_WORDS = ("1", "true", "t", "yes", "bad", "masked")
GOOD_WORDS = ("0", "false", "f", "no", "good", "ok", "")


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


def read_bad_pixels(path, key: str, n_pixels: int) -> np.ndarray:
    """Numbers (m,) int of the pixels to leave out, from any table that astropy reads.

    Every row names a bad pixel; where there is a column of `FLAGS`, those rows do that it flags.

    Raises
    ------
    InputError
        Where the table cannot be read, a number in its column `key` is not that of a pixel, a flag
        is not understood, another column may be a flag, or every pixel would be left out.
    """
    table, where = read_table(path), f"bad-pixel table {path}"
    if is_fits(path):
        with open_fits(path, "bad-pixel table") as hdus:
            for hdu in hdus:
                check_sums(path, hdu, "bad-pixel table")
    place = find_column(table.colnames, key, where)
    if place is None:
        raise InputError(f"{where}: lacks the column(s) {key}; it has {', '.join(table.colnames)}")
    if not len(table):
        return np.array([], int)
    numbers = table.columns[place]
    if numbers.dtype.kind not in "iuf":
        numbers = np.full(len(table), -1)
    numbers = np.asarray(np.ma.filled(numbers, -1))
    if not ((numbers >= 0) & (numbers < n_pixels) & (numbers == np.floor(numbers))).all():
        raise InputError(f"{where}: {key} must be whole numbers from 0 to {n_pixels - 1}")
    numbers = numbers.astype(int)
    for name in table.colnames:
        if name.upper() in FLAGS:
            numbers = numbers[_flagged(table[name], f"{where}: column {name}")]
            break
    else:
        _refuse_other_flags(table, key, where)
    numbers = np.unique(numbers)
    refuse_all_bad(numbers, np.arange(n_pixels), path)
    return numbers


def refuse_all_bad(bad: np.ndarray, pixel: np.ndarray, path) -> None:
    """Raise InputError where a table of bad pixels leaves none of `pixel` (n,)."""
    if len(pixel) and np.isin(pixel, bad).all():
        raise InputError(
            f"bad-pixel table {path}: names every pixel ({len(pixel)}); keep the rows of bad pixels"
            " alone, or add a column BAD that is 1 for them and 0 for the others"
        )


def _refuse_other_flags(table, key: str, where: str) -> None:
    """Raise InputError where a column may say which rows are bad, and nothing tells how."""
    for name in table.colnames:
        if name.upper() in (key, *PLACES) or table[name].ndim > 1:
            continue
        words = {value.strip().lower() for value in _words_of(table[name])}
        is_flag = words - {""} and words <= {*BAD_WORDS, *GOOD_WORDS}
        if is_flag or name.upper() in OPPOSITE:
            raise InputError(
                f"{where}: column {name} may say which pixels are bad, but it is not one of"
                f" {', '.join(FLAGS)}, which are 1 for a bad pixel and 0 for another; rename or"
                " remove it"
            )


def _words_of(column) -> list[str]:
    """The values of a column (n,) as text; no value of numbers is nan."""
    if column.dtype.kind in "biuf":
        return [f"{value:g}" for value in np.ma.filled(np.ma.asarray(column, float), np.nan)]
    texts = np.asarray(np.ma.filled(column, "")).tolist()
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _flagged(column, where: str) -> np.ndarray:
    """Which rows (n,) bool a column of flags says are bad."""
    values = _words_of(column)
    words = np.array([value.strip().lower() for value in values])
    bad, good = np.isin(words, BAD_WORDS), np.isin(words, GOOD_WORDS)
    unknown = ~(bad | good)
    if unknown.any():
        raise InputError(
            f"{where} has {values[np.flatnonzero(unknown)[0]]!r}; allowed: 1 or true or bad, and 0"
            " or false or good"
        )
    return bad


def placed_rows(rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows (n,) of a product: X and Y (n,) after the number of the pixel, then the rest."""
    first, *rest = rows.dtype.names
    placed = recfunctions.append_fields(rows, ("X", "Y"), (x, y), usemask=False)
    return recfunctions.repack_fields(placed[[first, "X", "Y", *rest]])
