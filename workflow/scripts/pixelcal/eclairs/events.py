"""Event files: which column means what, and reading them block by block.

    files = [open_events(path, "pira", {}, multiplicity="single") for path in paths]
    for block in stream(files[0]):
        block["value"], block["pixel"], block["multiplicity"], block["time"]

Only the header is read through astropy. The rows are read in blocks of fixed size and only the
columns that are needed are decoded, so memory does not depend on the length of a file, and a
gzip-compressed file is read as fast as it decompresses.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.errors import InputError

BLOCK_BYTES = 2**20
"""Size of a block of rows: with its decoded columns it stays in a core's second-level cache."""

N_SIDE = 80
"""Pixels along one side of the camera."""


@dataclass(frozen=True)
class Layout:
    """What an event file looks like.

    Events carry energies (keV), or channels that the camera has already assigned.

    Attributes
    ----------
    extension : str
        Name of the extension; where a file has none of that name, the first table that holds the
        required columns is taken.
    columns : dict, key -> name of the column
        Keys: energy, pixel (DETNUM), multiplicity, time (s), channel, row (IDET), column (JDET).
    required : tuple of keys
        The others may be missing from a file.
    """

    extension: str
    columns: dict[str, str]
    required: tuple[str, ...]


LAYOUTS = {
    "pira": Layout(
        extension="EVENTS",
        columns={
            "energy": "energy",
            "pixel": "DETNUM",
            "multiplicity": "effMult",
            "time": "TIME",
        },
        required=("energy",),
    ),
    "ecl-evt-cal": Layout(
        extension="ECL-EVT-CAL",
        columns={"channel": "PHA", "row": "IDET", "column": "JDET", "time": "TIME"},
        required=("channel", "row", "column"),
    ),
}

KEYS = ("energy", "pixel", "multiplicity", "time", "channel", "row", "column")

DECODED = {
    "value": np.float64,
    "pixel": np.int32,
    "row": np.int32,
    "column": np.int32,
    "multiplicity": np.int32,
    "time": np.float64,
}
"""Type that a column is decoded to, whatever its type in the file."""

KEYWORDS = (
    "EXPOSURE",
    "TSTART",
    "TSTOP",
    "MJDREF",
    "MJDREFI",
    "MJDREFF",
    "TIMESYS",
    "TELESCOP",
    "INSTRUME",
)


@dataclass(frozen=True)
class Column:
    """A scalar column of a binary table: physical value = zero + scale * stored value."""

    name: str
    scale: float = 1.0
    zero: float = 0.0

    def decode(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Write the physical values of `stored` (n,) to `out` (n,), a native contiguous array.

        In an integer `out` a value beyond its range becomes one of its limits; NaN becomes a
        negative number.
        """
        kind, size = stored.dtype.kind, stored.dtype.itemsize
        fits_as_it_is = out.dtype.kind == "f" or (kind in "iu" and size <= 4)
        if self.scale == 1 and self.zero == 0 and fits_as_it_is:
            np.copyto(out, stored, casting="unsafe")
            return
        if kind in "iu" and self.scale == 1 and float(self.zero).is_integer():
            # Subtracting -zero: 2**63, the zero of unsigned 64-bit columns, has no int64 of its
            # own, but its negative has.
            physical = stored.astype(np.int64) - np.int64(-int(self.zero))
        else:
            physical = stored.astype(np.float64) * self.scale + self.zero
        if out.dtype.kind == "i":
            limits = np.iinfo(out.dtype)
            physical = np.clip(np.nan_to_num(physical, nan=-1.0), limits.min, limits.max)
        np.copyto(out, physical, casting="unsafe")


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
    row_dtype : dtype of one row, big-endian
    columns : dict, key -> Column
        Keys of `DECODED`; a key that the file has no column for is absent.
    keywords : dict
        Those of `KEYWORDS` that its extension or else its primary header has.
    """

    path: Path
    extension: str
    n_events: int
    data_start: int
    row_dtype: np.dtype
    columns: dict[str, Column]
    keywords: dict = field(default_factory=dict)

    @property
    def has_pixels(self) -> bool:
        """Whether the file says which pixel an event belongs to."""
        return "pixel" in self.columns or "row" in self.columns

    @property
    def has_times(self) -> bool:
        """Whether the events have times."""
        return "time" in self.columns


def open_events(
    path: str | Path, layout: str, columns: dict[str, str], multiplicity: str = "all"
) -> EventFile:
    """Find the events in a FITS file, plain or gzip-compressed.

    Parameters
    ----------
    path : path
    layout : str
        A key of `LAYOUTS`.
    columns : dict, key -> name
        The user's own names; they go before those of the layout.
    multiplicity : "single", "multiple" or "all"
        Anything but "all" needs a column with the multiplicity.

    Raises
    ------
    InputError
        Where the file cannot be read or does not hold what is needed.
    """
    path = Path(path)
    names, required = _wanted_columns(layout, columns)
    if multiplicity != "all" and "multiplicity" not in names:
        raise InputError(_no_multiplicity(path, multiplicity))
    try:
        # In a file without its last blocks astropy only warns; `stream` says where it ends.
        with fits.open(path, memmap=False) as hdus:
            file = _describe(path, hdus, LAYOUTS[layout], names, required)
    except (OSError, EOFError, zlib.error, fits.VerifyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"event file {path}: cannot be read as FITS ({reason})") from None
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
        What to decode, of value, pixel, multiplicity and time.
    detnum_of_position : (6400,) int, optional
        DETNUM of the pixel at 80 * row + column; by default these are the same.
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
        Where the file ends before its last row.
    """
    width = file.row_dtype.itemsize
    n_block = max(1, min(file.n_events, block_bytes // width))
    buffer = bytearray(n_block * width)
    rows = np.frombuffer(buffer, file.row_dtype)
    wanted = {*keys} | ({"row", "column"} if "pixel" in keys else set())
    arrays = {key: np.empty(n_block, DECODED[key]) for key in wanted & file.columns.keys()}
    with _open_bytes(file.path) as source:
        source.seek(file.data_start)
        for first in range(0, file.n_events, n_block):
            n = min(n_block, file.n_events - first)
            n_read = _fill(source, memoryview(buffer)[: n * width])
            if n_read < n * width:
                raise InputError(
                    f"event file {file.path}: is cut short, it ends in row"
                    f" {first + n_read // width + 1} of {file.n_events}"
                )
            block = {}
            for key, array in arrays.items():
                block[key] = array[:n]
                file.columns[key].decode(rows[file.columns[key].name][:n], block[key])
            if "row" in block:
                block["pixel"] = _pixel_at(block["row"], block["column"], detnum_of_position)
            yield {key: block.get(key) for key in keys}


def value_key(layout: str, columns: dict[str, str]) -> str:
    """What events are binned by: "channel" where the layout has it or the user names its column.

    Otherwise "energy".
    """
    return "channel" if "channel" in {**LAYOUTS[layout].columns, **columns} else "energy"


def detnum_of_positions(pixel_map) -> np.ndarray:
    """DETNUM (6400,) of the pixel at 80 * row + column, by a pixel map as `camera` reads it.

    The row (IDET) is Y, the column (JDET) is 79 - X.
    """
    row, column = np.asarray(pixel_map["Y"], int), N_SIDE - 1 - np.asarray(pixel_map["X"], int)
    if row.max() >= N_SIDE or column.min() < 0:
        raise InputError(f"pixel map: X and Y must be below {N_SIDE}")
    detnum = np.full(N_SIDE**2, -1, np.int32)
    detnum[N_SIDE * row + column] = pixel_map["DETNUM"]
    return detnum


def _wanted_columns(layout: str, columns: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """Names of the columns by their keys in `DECODED`, and the keys a file must have."""
    if layout not in LAYOUTS:
        raise InputError(f"events.layout: '{layout}' is not one of {', '.join(LAYOUTS)}")
    unknown = [key for key in columns if key not in KEYS]
    if unknown:
        raise InputError(f"events.columns: '{unknown[0]}' is not one of {', '.join(KEYS)}")
    names = {**LAYOUTS[layout].columns, **columns}
    # The user names either the pixel or its row and column; the layout's other way is dropped.
    if "pixel" in columns:
        names.pop("row", None)
        names.pop("column", None)
    elif "row" in columns or "column" in columns:
        names.pop("pixel", None)
        if not {"row", "column"} <= names.keys():
            raise InputError("events.columns: row and column go together; name both, or pixel")
    value = value_key(layout, columns)
    required = ({*LAYOUTS[layout].required, *columns, value}) & names.keys()
    for key in ("energy", "channel"):
        name = names.pop(key, None)
        required.discard(key)
        if key == value:
            names["value"] = name
    return names, required | {"value"}


def _no_multiplicity(path: Path, multiplicity: str) -> str:
    return (
        f"event file {path}: {multiplicity} events are asked for, but it has no column with the"
        " multiplicity; set events.multiplicity: all, or name the column in"
        " events.columns.multiplicity"
    )


def _describe(path, hdus, layout: Layout, names: dict, required: set) -> EventFile:
    """The first table that has the required columns, the layout's extension before all others."""
    tables = []
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU):
            tables.append(hdu)
            if hdu.name.upper() == layout.extension:
                tables = [hdu]
                break
    needed = [names[key] for key in names if key in required]
    for hdu in tables:
        present = {name.upper(): i for i, name in enumerate(hdu.columns.names)}
        if all(name.upper() in present for name in needed):
            break
    else:
        found = "; ".join(
            f"{hdu.name or 'unnamed'}: {', '.join(hdu.columns.names)}" for hdu in tables
        )
        raise InputError(
            f"event file {path}: no table holds the column(s) {', '.join(needed)} (there is:"
            f" {found or 'no table'}); check events.layout and events.columns"
        )
    header = hdu.header
    row_dtype = hdu.columns.dtype.newbyteorder(">")
    if row_dtype.itemsize != header["NAXIS1"]:
        raise InputError(f"event file {path}: its columns do not add up to a row (NAXIS1)")
    columns = {
        key: _column(path, hdu, present[name.upper()])
        for key, name in names.items()
        if name.upper() in present
    }
    keywords = {}
    for source in (hdus[0].header, header):
        keywords.update({word: source[word] for word in KEYWORDS if word in source})
    return EventFile(
        path=path,
        extension=hdu.name,
        n_events=header["NAXIS2"],
        data_start=hdu.fileinfo()["datLoc"],
        row_dtype=row_dtype,
        columns=columns,
        keywords=keywords,
    )


def _column(path: Path, hdu, index: int) -> Column:
    """Column number `index` (from 0) of a table, which must hold one number a row."""
    name, number = hdu.columns.names[index], index + 1
    form = str(hdu.header[f"TFORM{number}"]).strip()
    if not re.fullmatch("1?[BIJKED]", form):
        raise InputError(
            f"event file {path}: column {name} (TFORM {form}) does not hold one number a row"
        )
    scale = float(hdu.header.get(f"TSCAL{number}", 1))
    zero = hdu.header.get(f"TZERO{number}", 0)
    return Column(name, scale, zero)


def _pixel_at(row, column, detnum_of_position) -> np.ndarray:
    """DETNUM (n,) at each row and column (n,); -1 outside the camera."""
    outside = (row < 0) | (row >= N_SIDE) | (column < 0) | (column >= N_SIDE)
    position = np.where(outside, 0, N_SIDE * row + column)
    detnum = position if detnum_of_position is None else detnum_of_position[position]
    return np.where(outside, -1, detnum).astype(np.int32, copy=False)


def _open_bytes(path: Path):
    """The bytes of a file, decompressed where it is gzip-compressed."""
    with open(path, "rb") as probe:
        compressed = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else open(path, "rb", buffering=0)


def _fill(source, target: memoryview) -> int:
    """Read until `target` is full or the file ends; returns the number of bytes."""
    n_read = 0
    try:
        while n_read < len(target):
            n_more = source.readinto(target[n_read:])
            if not n_more:
                break
            n_read += n_more
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass  # what could be decompressed has been: the caller sees that it is too little
    return n_read
