"""Reading event files block by block.

    file = open_events(path, "pira", {}, multiplicity="single")
    for block in stream(file):
        block["value"], block["pixel"], block["multiplicity"], block["time"]

Only the header is read through astropy. The rows are read in blocks of fixed size and only the
columns that are needed are decoded, so memory does not depend on the length of a file, and a
gzip-compressed file is read as fast as it decompresses. Tables of fpack are unpacked tile by tile.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from pixelcal.energy.events.clock import Clock, clock_of, time_keywords
from pixelcal.energy.events.columns import DECODED, Column, describe_column, row_dtype
from pixelcal.energy.events.layouts import check_pixel_named, value_key, wanted_columns
from pixelcal.energy.events.order import check_order
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument, Layout
from pixelcal.io.checksums import check_sums
from pixelcal.io.columns import column_names, find_column
from pixelcal.io.fits_files import BROKEN_GZIP, NO_DATA, check_gzip, form_of, open_fits
from pixelcal.io.fits_headers import open_bytes
from pixelcal.io.tiled_tables import TiledRows, Tiling, is_tiled, tiling_of, unpacked_header

BLOCK_BYTES = 2**20
"""Size of a block of rows: with its decoded columns it stays in a core's second-level cache."""


@dataclass(frozen=True)
class EventFile:
    """An event file that has been opened and understood; its rows are read by `stream`.

    Attributes
    ----------
    path : Path
    extension : str
    n_events : int
    data_start : int
        Byte at which the rows start (in a compressed file, of its decompressed content).
    row_dtype : dtype of one row, big-endian, as `columns.row_dtype`
    columns : dict, key -> Column
        Keys of `DECODED`; a key that the file has no column for is absent.
    keywords : dict
        EXPOSURE, TELESCOP, INSTRUME and those about time (`clock.TIME_KEYWORDS`) that its
        extension or else its primary header has.
    clock : Clock
        What its times mean. The columns are decoded by it; TSTART and TSTOP are as written.
    first_pixel : 0 or 1
        Where the file begins to count pixels, rows and columns. The columns are decoded from 0.
    tiling : Tiling, optional
        How the rows are packed, where the table is tile-compressed.
    grid : (rows, columns)
        Of the camera, where the file numbers its pixels by row and column.
    """

    path: Path
    extension: str
    n_events: int
    data_start: int
    row_dtype: np.dtype
    columns: dict[str, Column]
    keywords: dict = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    first_pixel: int = 0
    tiling: Tiling | None = None
    grid: tuple[int, int] = (0, 0)

    @property
    def has_times(self) -> bool:
        """Whether the events have times."""
        return "time" in self.columns

    @property
    def has_pixels(self) -> bool:
        """Whether the events name their pixel."""
        return "pixel" in self.columns or "row" in self.columns


def open_event_files(
    paths: Iterable[str | Path],
    layout: str,
    columns: dict[str, str],
    multiplicity: str,
    first_pixel: int = 0,
    *,
    instrument: Instrument,
) -> list[EventFile]:
    """Several event files, as `open_events`; one of them at least must hold an event.

    Either all or none of them name the pixel.
    """
    files = [
        open_events(path, layout, columns, multiplicity, first_pixel, instrument=instrument)
        for path in paths
    ]
    if not any(file.n_events for file in files):
        others = f" (nor do the {len(files) - 1} others)" if len(files) > 1 else ""
        raise InputError(
            f"event file {files[0].path}: its table {files[0].extension} holds no event{others};"
            " give files with events"
        )
    named = [file.has_pixels for file in files]
    if any(named) and not all(named):
        raise InputError(
            f"event file {files[named.index(False)].path}: has no column with the pixel, but"
            f" {files[named.index(True)].path} has; give files with the same names of columns"
        )
    return files


def open_events(
    path: str | Path,
    layout: str,
    columns: dict[str, str],
    multiplicity: str = "all",
    first_pixel: int = 0,
    *,
    instrument: Instrument,
) -> EventFile:
    """Find the events in a FITS file, plain, gzip-compressed or packed by fpack.

    Parameters
    ----------
    path : path
    layout : str
        One of the instrument's.
    columns : dict, key -> name
        Names from the user; they go before those of the layout.
    multiplicity : "single", "multiple" or "all"
        Anything but "all" needs a column with the multiplicity.
    first_pixel : 0 or 1
        The first DETNUM, row and column of the file's camera.
    instrument : Instrument

    Raises
    ------
    InputError
        Where the file cannot be read or does not hold what is needed.
    """
    path = Path(path)
    if layout not in instrument.layouts:
        known = ", ".join(instrument.layouts)
        raise InputError(f"events.layout: '{layout}' is not one of {known}")
    how = instrument.layouts[layout]
    names, required = wanted_columns(how, columns)
    if multiplicity != "all" and "multiplicity" not in names:
        raise InputError(_no_multiplicity(path, multiplicity))
    with open_fits(path, "event file") as hdus:
        for hdu in hdus:  # another camera has other columns too: the camera is what to tell
            instrument.check_header(hdu.header, f"event file {path}")
        hdu = _find_table(path, hdus, how, [names[key] for key in names if key in required])
        check_sums(path, hdu, "event file")
        value = value_key(how, columns)
        file = _describe(path, hdus[0].header, hdu, names, value, first_pixel, instrument)
    if multiplicity != "all" and "multiplicity" not in file.columns:
        raise InputError(_no_multiplicity(path, multiplicity))
    return file


def stream(
    file: EventFile,
    keys: tuple[str, ...] = ("value", "pixel", "multiplicity", "time"),
    detnum_of_position: np.ndarray | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[dict[str, np.ndarray | None]]:
    """Blocks of events in the order of the file.

    Parameters
    ----------
    file : EventFile
    keys : tuple of str
        What to decode, of value, pixel, row, column, multiplicity and time.
    detnum_of_position : (n_rows * n_columns,) int, optional
        DETNUM of the pixel at n_columns * row + column; by default these are the same.
    block_bytes : int
        Size of the blocks as they are read.

    Yields
    ------
    dict, key -> (n,) native contiguous array of the type in `DECODED`, or None
        None where the file has no such column. `pixel` is the DETNUM; it is negative where row or
        column lie outside the camera. The arrays are used again for the next block.

    Raises
    ------
    InputError
        Where the file ends before its last row, its compression is broken, or times that are asked
        for step back.
    """
    width = file.row_dtype.itemsize
    n_block = max(1, min(file.n_events, block_bytes // width))
    buffer = bytearray(n_block * width)
    rows = np.frombuffer(buffer, file.row_dtype)
    wanted = {*keys} | ({"row", "column"} if "pixel" in keys else set())
    arrays = {key: np.empty(n_block, DECODED[key]) for key in wanted & file.columns.keys()}
    with _first_row(file, {file.columns[key].place for key in arrays}) as source:
        last = -np.inf
        for first in range(0, file.n_events, n_block):
            n = min(n_block, file.n_events - first)
            n_read, reason = _fill(source, memoryview(buffer)[: n * width])
            if n_read < n * width:
                raise InputError(
                    f"event file {file.path}: {reason}, it ends in row"
                    f" {first + n_read // width + 1} of {file.n_events}; obtain a fresh copy"
                )
            block = {}
            for key, array in arrays.items():
                block[key] = array[:n]
                column = file.columns[key]
                column.decode(rows[column.field][:n], block[key])
            if "time" in block:
                last = check_order(block["time"], last, first, file.path)
            if "row" in block:
                at = block["row"], block["column"]
                block["pixel"] = _pixel_at(*at, file.grid, detnum_of_position)
            yield {key: block.get(key) for key in keys}
        _check_end(file, source)


def detnum_of_positions(pixel_map, instrument: Instrument) -> np.ndarray:
    """DETNUM (n_rows * n_columns,) of the pixel at n_columns * row + column; -1 without a pixel.

    Row and column are ROW and COLUMN of the pixel map, as `camera` reads it. Empty where files of
    the camera number their pixels.
    """
    n_rows, n_columns = instrument.n_rows, instrument.n_columns
    if not n_rows * n_columns:
        return np.empty(0, np.int32)
    if not {"ROW", "COLUMN"} <= set(pixel_map.colnames):
        raise InputError(
            "pixel map: lacks ROW and COLUMN, by which the camera's files number its pixels; add"
            " them, or leave `camera.grid` out of the instrument file"
        )
    row, column = (np.asarray(pixel_map[name], int) for name in ("ROW", "COLUMN"))
    if row.max() >= n_rows or column.max() >= n_columns:
        raise InputError(
            f"pixel map: ROW and COLUMN must be below the {n_rows} rows and {n_columns} columns of"
            " the instrument file"
        )
    detnum = np.full(n_rows * n_columns, -1, np.int32)
    detnum[n_columns * row + column] = pixel_map["DETNUM"]
    return detnum


def _no_multiplicity(path: Path, multiplicity: str) -> str:
    """The message where events are chosen by a multiplicity that the file does not have."""
    return (
        f"event file {path}: {multiplicity} events are asked for, but it has no column with the"
        " multiplicity; set events.multiplicity: all, or name the column in"
        " events.columns.multiplicity"
    )


def _find_table(path: Path, hdus, layout: Layout, needed: list[str]) -> fits.BinTableHDU:
    """The table that has the columns `needed`, the layout's extension before all others."""
    where, advice = f"event file {path}", "give the events as a binary table, one number per column"
    named = [hdu for hdu in hdus if hdu.name.upper() == layout.extension.upper()]
    if len(named) > 1:
        raise InputError(
            f"{where}: has {len(named)} extensions {layout.extension}; give a file for each"
        )
    tables = [hdu for hdu in named or hdus if isinstance(hdu, fits.BinTableHDU)]
    if not tables:
        others = [f"{hdu.name or 'unnamed'} is {form_of(hdu)}" for hdu in named or hdus]
        others = [text for text in others if not text.endswith(NO_DATA)]
        if not others:
            raise InputError(
                f"{where}: holds no table; check whether it is the right file, and complete"
            )
        raise InputError(f"{where}: holds no binary table: {', '.join(others)}; {advice}")
    fitting = [
        hdu
        for hdu in tables
        if {name.upper() for name in needed} <= {name.upper() for name in column_names(hdu.header)}
    ]
    if len(fitting) > 1:
        raise InputError(
            f"{where}: has {len(fitting)} tables with the column(s) {', '.join(needed)}"
            f" ({', '.join(hdu.name or 'unnamed' for hdu in fitting)}), and nothing says which one"
            f" is meant; call it {layout.extension} (EXTNAME), or give a file for each"
        )
    if fitting:
        return fitting[0]
    found = "; ".join(
        f"{hdu.name or 'unnamed'}: {', '.join(column_names(hdu.header))}" for hdu in tables
    )
    raise InputError(
        f"{where}: no table holds the column(s) {', '.join(needed)} (there is: {found}); check"
        " events.layout and events.columns"
    )


def _describe(
    path: Path, primary, hdu, names: dict, value: str, first_pixel: int, instrument: Instrument
) -> EventFile:
    """What there is to know of the table of events; `names` of columns by keys of `DECODED`."""
    where, start = f"event file {path}", hdu.fileinfo()["datLoc"]
    tiling = tiling_of(hdu.header, start, where) if is_tiled(hdu.header) else None
    header = unpacked_header(hdu.header)
    row = row_dtype(header)
    if row.itemsize != header["NAXIS1"]:
        raise InputError(
            f"{where}: its columns do not add up to a row (NAXIS1); obtain a fresh copy"
        )
    keywords = time_keywords((primary, header), where)
    clock = clock_of(keywords, where)
    for source in (primary, header):
        words = ("EXPOSURE", "TELESCOP", "INSTRUME")
        keywords.update({word: source[word] for word in words if word in source})
    present = column_names(header)
    places = {key: find_column(present, name, where) for key, name in names.items()}
    held = {key for key, place in places.items() if place is not None}
    check_pixel_named(held, present, value, instrument.n_pixels, where)
    return EventFile(
        path=path,
        extension=hdu.name,
        n_events=header["NAXIS2"],
        data_start=start,
        row_dtype=row,
        columns={
            key: describe_column(header, place, key, value, clock, where, first_pixel)
            for key, place in places.items()
            if place is not None
        },
        keywords=keywords,
        clock=clock,
        first_pixel=first_pixel,
        tiling=tiling,
        grid=(instrument.n_rows, instrument.n_columns),
    )


def _pixel_at(row, column, grid, detnum_of_position) -> np.ndarray:
    """DETNUM (n,) at each row and column (n,); -1 outside the camera."""
    n_rows, n_columns = grid
    outside = (row < 0) | (row >= n_rows) | (column < 0) | (column >= n_columns)
    position = np.where(outside, 0, n_columns * row + column)
    detnum = position if detnum_of_position is None else detnum_of_position[position]
    return np.where(outside, -1, detnum).astype(np.int32, copy=False)


@contextmanager
def _first_row(file: EventFile, numbers: set[int]) -> Iterator[BinaryIO]:
    """A stream of the rows' bytes; of a tile-compressed table with these columns (from 1) alone."""
    if file.tiling is not None:
        with TiledRows(file.path, file.tiling, numbers) as source:
            yield source
        return
    with open_bytes(file.path) as source:
        with suppress(*BROKEN_GZIP):  # a file that ends before its rows has none to read
            source.seek(file.data_start)
        yield source


def _fill(source, target: memoryview) -> tuple[int, str]:
    """Read until `target` is full or the file ends: the number of bytes, and why it ends."""
    n_read, reason = 0, "is cut short"
    try:
        while n_read < len(target):
            n_more = source.readinto(target[n_read:])
            if not n_more:
                break
            n_read += n_more
    except EOFError:
        pass  # what could be decompressed has been
    except BROKEN_GZIP:
        reason = "its gzip compression is broken"
    return n_read, reason


def _check_end(file: EventFile, source) -> None:
    """Read compressed data to their end, where their checksum is; it fails for a changed byte."""
    if file.tiling is not None:
        check_gzip(file.path, "event file")
    if not isinstance(source, gzip.GzipFile):
        return
    try:
        while source.read(BLOCK_BYTES):
            pass
    except BROKEN_GZIP as error:
        raise InputError(
            f"event file {file.path}: its gzip compression is broken ({error}); obtain a fresh copy"
        ) from None
