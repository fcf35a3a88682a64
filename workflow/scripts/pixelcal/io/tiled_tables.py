"""Tile-compressed tables, as fpack writes them (.fz): their rows as they were before.

After section 10.3 of the FITS standard 4.0 (ZTABLE). A tile is some thousands of rows; each of its
columns is compressed alone, and a packed row has a descriptor for each: the length of the
compressed bytes, and where in the heap they are.

Long tables are read through `TiledRows`, which holds one tile at a time; short ones are unpacked as
a whole by `plain_table`.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from pixelcal.errors import InputError
from pixelcal.io.columns import bytes_of, column_names, count_and_code
from pixelcal.io.fits_files import BROKEN_GZIP
from pixelcal.io.fits_headers import open_bytes

ALGORITHMS = ("GZIP_1", "GZIP_2", "RICE_1", "NOCOMPRESS")
RICE_CODES, RICE_BLOCK = ("B", "I", "J"), 32
"""Types of numbers that Rice's algorithm compresses, and how many it takes at once (CFITSIO)."""

SHUFFLED = {"I": 2, "J": 4, "E": 4, "K": 8, "D": 8}
"""Bytes of the numbers that GZIP_2 sorts by their significance; others it leaves as they are."""

DESCRIPTORS = {"P": ">i4", "Q": ">i8"}
DESCRIPTORS_AT_ONCE = 2**12
"""Tiles whose descriptors are read together, so that few steps back are needed in a .fz.gz."""

MOST_RATIO = 1100
"""No algorithm compresses further (deflate to 1 part in 1032): a length beyond it is damaged."""

OF_THE_PACKED = re.compile(
    r"(CHECKSUM|DATASUM|THEAP|ZTABLE|ZTILELEN|ZNAXIS[12]|ZPCOUNT|ZHEAPPTR|ZTHEAP|ZHECKSUM|ZDATASUM"
    r"|ZFORM\d+|ZCTYP\d+)"
)
"""Keywords that describe the packed table, or the bytes of the file it was made from."""


@dataclass(frozen=True)
class PackedColumn:
    """A column of a tile-compressed table: its form, place and algorithm.

    Attributes
    ----------
    number : int
        From 1.
    name : str
    code : str
        Letter of the type (ZFORM).
    width : int
        Bytes in an unpacked row.
    algorithm : str
        One of `ALGORITHMS`.
    """

    number: int
    name: str
    code: str
    width: int
    algorithm: str


@dataclass(frozen=True)
class Tiling:
    """How the rows of a table are packed.

    Attributes
    ----------
    where : str
        Name of the table, for errors.
    n_rows, tile_rows : int
        Rows in all, and in each tile but the last.
    columns : tuple of PackedColumn
    descriptors : dtype of a packed row: fields c1, c2, ... of (length, place in the heap)
    data_start, heap_start : int
        Byte at which the packed rows and the heap start.
    heap_bytes : int
    """

    where: str
    n_rows: int
    tile_rows: int
    columns: tuple[PackedColumn, ...]
    descriptors: np.dtype
    data_start: int
    heap_start: int
    heap_bytes: int

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return -(-self.n_rows // self.tile_rows)

    @property
    def row_dtype(self) -> np.dtype:
        """An unpacked row: fields c1, c2, ... of bytes."""
        named = [(f"c{column.number}", f"V{column.width}") for column in self.columns]
        return np.dtype([pair for pair in named if pair[1] != "V0"])


def is_tiled(header) -> bool:
    """Whether the header is that of a tile-compressed table."""
    return header.get("ZTABLE") is True


def unpacked_header(header: fits.Header) -> fits.Header:
    """Header of the table that is packed in a tile-compressed one; others as they are.

    Its heap stays packed: columns of variable length have no elements.
    """
    if not is_tiled(header):
        return header
    plain = header.copy()
    for word in filter(OF_THE_PACKED.fullmatch, list(dict.fromkeys(header))):
        plain.remove(word, ignore_missing=True, remove_all=True)
    plain["NAXIS1"], plain["NAXIS2"], plain["PCOUNT"] = header["ZNAXIS1"], header["ZNAXIS2"], 0
    for number in range(1, header["TFIELDS"] + 1):
        plain[f"TFORM{number}"] = header[f"ZFORM{number}"]
    return plain


def tiling_of(header: fits.Header, data_start: int, where: str) -> Tiling:
    """How a tile-compressed table is packed, by its header.

    Parameters
    ----------
    header : astropy Header
    data_start : int
        Byte at which its data start in the (decompressed) file.
    where : str
        Name of the table, for errors.

    Raises
    ------
    InputError
        Where the keywords contradict each other, or a column is compressed by another algorithm.
    """
    names, columns, fields = column_names(header), [], []
    for number, name in enumerate(names, 1):
        form, packed = str(header[f"ZFORM{number}"]), str(header[f"TFORM{number}"]).strip()
        algorithm = str(header.get(f"ZCTYP{number}", "GZIP_2")).strip()  # CFITSIO's default
        code = count_and_code(form)[1]
        if algorithm not in ALGORITHMS or (
            algorithm == "RICE_1" and code not in RICE_CODES + ("P", "Q")
        ):
            raise InputError(
                f"{where}: column {name} is compressed by {algorithm} (TFORM {form}), which is not"
                " read; unpack the file with funpack"
            )
        found = re.fullmatch(r"[01]?([PQ])B(\(\d*\))?", packed)
        if not found:
            raise InputError(
                f"{where}: column {name} of the tile-compressed table has TFORM {packed}, which are"
                " no compressed bytes; obtain a fresh copy"
            )
        fields.append((f"c{number}", DESCRIPTORS[found[1]], (2,)))
        columns.append(PackedColumn(number, name, code, bytes_of(form), algorithm))
    n_rows, tile_rows = header["ZNAXIS2"], header["ZTILELEN"]
    made = Tiling(
        where=where,
        n_rows=n_rows,
        tile_rows=max(1, min(tile_rows, n_rows)),
        columns=tuple(columns),
        descriptors=np.dtype(fields),
        data_start=data_start,
        heap_start=data_start + header.get("THEAP", header["NAXIS1"] * header["NAXIS2"]),
        heap_bytes=header["PCOUNT"],
    )
    sizes = (made.n_tiles, made.descriptors.itemsize, sum(column.width for column in columns))
    if tile_rows < 1 or sizes != (header["NAXIS2"], header["NAXIS1"], header["ZNAXIS1"]):
        raise InputError(
            f"{where}: the keywords of its tile compression (ZTILELEN, ZNAXIS1, ZNAXIS2) contradict"
            " the table; obtain a fresh copy"
        )
    return made


def plain_table(path: str | Path, hdu, where: str):
    """A table of an open FITS file with its rows unpacked, in memory; others as they are.

    Parameters
    ----------
    path : path
    hdu : astropy HDU
    where : str
        Name of the table, for errors.

    Returns
    -------
    astropy HDU
        Columns of variable length have no elements.

    Raises
    ------
    InputError
        Where the table is damaged or compressed in a way that is not known.
    """
    if not is_tiled(hdu.header):
        return hdu
    header = unpacked_header(hdu.header)
    with TiledRows(path, tiling_of(hdu.header, hdu.fileinfo()["datLoc"], where)) as source:
        rows = source.readall()
    return fits.BinTableHDU.fromstring(
        header.tostring().encode("ascii") + rows + bytes(-len(rows) % 2880)
    )


class TiledRows(io.RawIOBase):
    """The rows of a tile-compressed table as a stream of bytes, as they are in an unpacked one.

    Parameters
    ----------
    path : path
        Plain or gzip-compressed.
    tiling : Tiling
    numbers : collection of int, optional
        Columns (from 1) to unpack; the bytes of the others, and of columns of variable length, are
        0.

    Notes
    -----
    Reading raises InputError where the file is cut short or a tile damaged.
    """

    def __init__(self, path: str | Path, tiling: Tiling, numbers: Collection[int] | None = None):
        self._file = open_bytes(path)
        self._tiling = tiling
        self._columns = [
            column
            for column in tiling.columns
            if column.width
            and column.code not in DESCRIPTORS
            and (numbers is None or column.number in numbers)
        ]
        self._tile, self._place, self._content = 0, 0, memoryview(b"")
        self._descriptors = np.empty(0, tiling.descriptors)

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def readinto(self, target) -> int:
        """Fill `target` from the present tile: the number of bytes, 0 after the last row."""
        if self._place == len(self._content):
            if self._tile == self._tiling.n_tiles:
                return 0
            self._content, self._place = self._unpacked_tile(), 0
            self._tile += 1
        n = min(len(target), len(self._content) - self._place)
        target[:n] = self._content[self._place : self._place + n]
        self._place += n
        return n

    def _unpacked_tile(self) -> memoryview:
        """The bytes of the rows of the next tile."""
        tiling = self._tiling
        n = min(tiling.tile_rows, tiling.n_rows - self._tile * tiling.tile_rows)
        descriptor = self._descriptor()
        # In the order of the heap: a step back in a .fz.gz would read it from the beginning.
        columns = sorted(self._columns, key=lambda one: descriptor[f"c{one.number}"][1])
        unpacked = {}
        for column in columns:
            length, place = (int(number) for number in descriptor[f"c{column.number}"])
            n_bytes = n * column.width
            if not (
                0 <= place <= tiling.heap_bytes - length and 0 < n_bytes <= MOST_RATIO * length
            ):
                raise self._damaged(column, f"{length} bytes at {place} cannot hold it")
            packed = self._read(tiling.heap_start + place, length)
            try:
                content = unpack(packed, column, n_bytes)
            except (zlib.error, ValueError) as error:
                raise self._damaged(column, str(error)) from None
            unpacked[f"c{column.number}"] = content
        rows = np.zeros(n, tiling.row_dtype)
        for name, content in unpacked.items():
            rows[name] = np.frombuffer(content, rows.dtype[name])
        return memoryview(rows.view("u1"))

    def _descriptor(self) -> np.void:
        """The packed row of the next tile."""
        row = self._tile % DESCRIPTORS_AT_ONCE
        if row == 0:
            n = min(DESCRIPTORS_AT_ONCE, self._tiling.n_tiles - self._tile)
            width = self._tiling.descriptors.itemsize
            content = self._read(self._tiling.data_start + self._tile * width, n * width)
            self._descriptors = np.frombuffer(content, self._tiling.descriptors)
        return self._descriptors[row]

    def _read(self, start: int, size: int) -> bytes:
        """`size` bytes of the file from `start`."""
        reason = "is cut short"
        try:
            self._file.seek(start)
            content = self._file.read(size)
        except BROKEN_GZIP as error:
            content = b""
            if not isinstance(error, EOFError):
                reason = "its gzip compression is broken"
        if len(content) < size:
            first = self._tile * self._tiling.tile_rows
            raise InputError(
                f"{self._tiling.where}: {reason}, the data of the tile from row {first + 1} on"
                f" (of {self._tiling.n_rows}) are not all there; obtain a fresh copy"
            )
        return content

    def _damaged(self, column: PackedColumn, reason: str) -> InputError:
        tiling = self._tiling
        return InputError(
            f"{tiling.where}: column {column.name} of tile {self._tile + 1} of {tiling.n_tiles} is"
            f" damaged ({column.algorithm}: {reason}); obtain a fresh copy"
        )


def unpack(packed: bytes, column: PackedColumn, n_bytes: int) -> bytes | np.ndarray:
    """The bytes of a column of a tile, row by row and big-endian, as in an unpacked table.

    Parameters
    ----------
    packed : bytes
    column : PackedColumn
    n_bytes : int
        How many there must be.

    Raises
    ------
    zlib.error, ValueError
        Where `packed` is damaged.
    """
    if column.algorithm == "NOCOMPRESS":
        content = packed
    elif column.algorithm == "RICE_1":
        content = _rice(packed, SHUFFLED.get(column.code, 1), n_bytes)
    else:
        content = _inflated(packed, n_bytes)
    if len(content) != n_bytes:
        raise ValueError(f"{len(content)} bytes for {n_bytes}")
    size = SHUFFLED.get(column.code, 1)
    if column.algorithm == "GZIP_2" and size > 1:
        # The most significant bytes of all numbers come first, then the next.
        return np.frombuffer(content, "u1").reshape(size, -1).T.tobytes()
    return content


def _inflated(packed: bytes, n_bytes: int) -> bytes:
    """At most `n_bytes` + 1 bytes out of a gzip or zlib stream, which must end with them."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
    content = stream.decompress(packed, n_bytes + 1)
    if len(content) == n_bytes and not stream.eof:  # its checksum is at its end
        raise ValueError("ends early")
    return content


def _rice(packed: bytes, size: int, n_bytes: int) -> bytes:
    """Big-endian integers of `size` bytes from a Rice stream."""
    # astropy's codec, which is CFITSIO's in C and comes with every astropy: it is private, as
    # astropy offers it for images alone, so it is looked for only where a file needs it. Numbers
    # decoded one by one in Python would take minutes.
    from astropy.io.fits.hdu.compressed._codecs import Rice1
    from astropy.io.fits.hdu.compressed._compression import CfitsioException

    codec = Rice1(blocksize=RICE_BLOCK, bytepix=size, tilesize=n_bytes // size)
    try:
        numbers = codec.decode(np.frombuffer(packed, "u1"))
    except CfitsioException as error:
        raise ValueError(str(error)) from None
    return numbers.astype(f">i{size}").tobytes()
