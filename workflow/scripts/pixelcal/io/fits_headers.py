"""The headers of a FITS file without astropy, plain or gzip-compressed; data are passed over.

For what is read before any job: the Snakefile runs where there may be no astropy. A file that is
broken is read as far as it goes; the job that reads it says what is wrong with it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

GZIP = b"\x1f\x8b"
BLOCK, _CARD = 2880, 80
_MOST_BLOCKS = 2000
_BROKEN = (OSError, EOFError, zlib.error, ValueError)


def read_headers(path: str | Path, most: int = 100) -> list[dict]:
    """The headers of the first `most` HDUs; fewer, or none, where the file is missing or broken."""
    headers = []
    try:
        with open_bytes(path) as file:
            for header in walk(file):
                headers.append(header)
                if len(headers) == most:
                    break
    except _BROKEN:
        pass
    return headers


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzip-compressed, whatever its name."""
    with open(path, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def open_bytes(path: str | Path) -> BinaryIO:
    """The bytes of a file, plain or gzip-compressed, for large pieces; who asks closes it."""
    return gzip.open(path) if is_gzip(path) else open(path, "rb", 0)  # noqa: SIM115


def walk(file: BinaryIO) -> Iterator[dict]:
    """Each header of an open FITS file, which meanwhile is where the data of its HDU begin.

    Values are bool, int, float or str; a card without a value is left out.
    """
    while (header := _header(file)) is not None:
        start = file.tell()
        yield header
        file.seek(start + data_bytes(header))


def data_bytes(header: dict) -> int:
    """Size of the data of an HDU, whole blocks."""
    if not header.get("NAXIS"):
        return 0
    elements = 1
    for number in range(1, header["NAXIS"] + 1):
        elements *= header[f"NAXIS{number}"]
    size = abs(header["BITPIX"]) // 8 * header.get("GCOUNT", 1)
    size *= header.get("PCOUNT", 0) + elements
    return -(-size // BLOCK) * BLOCK


def _header(file: BinaryIO) -> dict | None:
    """The header that begins at the position of the file; None at its end."""
    header: dict = {}
    for _ in range(_MOST_BLOCKS):
        block = file.read(BLOCK).decode("latin-1")
        if len(block) < BLOCK:
            return None
        for start in range(0, BLOCK, _CARD):
            card = block[start : start + _CARD]
            keyword = card[:8].rstrip()
            if keyword == "END":
                return header
            if card[8:10] == "= ":
                value = _value(card[10:])
                if value is not None:
                    header.setdefault(keyword, value)
    return None


def _value(text: str) -> bool | int | float | str | None:
    """The value in the rest of a card."""
    text = text.lstrip()
    if text.startswith("'"):
        end = 1
        while (end := text.find("'", end)) >= 0 and text[end + 1 : end + 2] == "'":
            end += 2
        return text[1 : end if end > 0 else None].replace("''", "'").rstrip()
    text = text.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    for kind in (int, float):
        try:
            return kind(text.replace("D", "E") if kind is float else text)
        except ValueError:
            continue
    return None
