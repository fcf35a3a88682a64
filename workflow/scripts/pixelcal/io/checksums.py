"""Checksums of FITS tables: the data must be whole, a header may have been edited."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from pixelcal.errors import InputError
from pixelcal.io.fits_files import BROKEN_GZIP
from pixelcal.io.fits_headers import open_bytes

BLOCK_BYTES = 2**20
ALL_ONES = 2**32 - 1


def check_sums(path: str | Path, hdu, what: str) -> None:
    """Verify DATASUM and CHECKSUM of an HDU of an open FITS file, where it has them.

    After section 4.4.2.7 and appendix J of the FITS standard 4.0. DATASUM is of the data, CHECKSUM
    of the header with them: programs that write a table back, astropy's tables among them, may keep
    an old CHECKSUM. That is only a warning, because the data are whole. The bytes are read in
    blocks; a file that ends early is left to who reads its data.

    Parameters
    ----------
    path : path
    hdu : astropy HDU
    what : str
        What to call the file, as "event file", or "".

    Raises
    ------
    InputError
        Where the data do not have the sum that DATASUM says, or there is no DATASUM and CHECKSUM
        is wrong.
    """
    header, place = hdu.header, hdu.fileinfo()
    if not {"DATASUM", "CHECKSUM"} & set(header):
        return
    start = place["datLoc"]
    with open_bytes(path) as file:
        try:
            above = _sum(file, place["hdrLoc"], start - place["hdrLoc"])
            data = _sum(file, start, place["datSpan"])
        except BROKEN_GZIP:
            return
    if above is None or data is None:
        return
    name = f"{what} {path} ({hdu.name or 'unnamed'})".lstrip()
    told = header.get("DATASUM")
    if told is not None and str(told).strip() != str(data):
        raise InputError(
            f"{name}: its data do not match its DATASUM ({told}, they sum to {data}): changed"
            " or damaged; obtain a fresh copy, or renew DATASUM where the change is wanted"
        )
    if "CHECKSUM" not in header or _added(above, data) in (0, ALL_ONES):
        return
    if told is None:
        raise InputError(f"{name}: fails its CHECKSUM, and has no DATASUM; obtain a fresh copy")
    logging.getLogger("pixelcal").warning(
        f"{name}: fails its CHECKSUM, but its data match its DATASUM: its header was changed"
        " (astropy's tables do that); it is used, renew CHECKSUM or obtain a fresh copy"
    )


def _sum(file, start: int, size: int) -> int | None:
    """Ones' complement sum of 32-bit words of `size` bytes; None where the file ends before."""
    file.seek(start)
    total = 0
    while size:
        content = file.read(min(size, BLOCK_BYTES))
        if not content or len(content) % 4:
            return None
        size -= len(content)
        total = _added(total, int(np.frombuffer(content, ">u4").sum(dtype=np.uint64)))
    return total


def _added(a: int, b: int) -> int:
    """Ones' complement sum of two numbers, in 32 bits."""
    total = a + b
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total
