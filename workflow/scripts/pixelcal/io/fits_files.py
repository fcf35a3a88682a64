"""Opening FITS files of the user's: every way in which one can be broken in one line."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from pixelcal.errors import InputError
from pixelcal.io.fits_headers import GZIP, is_gzip, open_bytes

OTHER_COMPRESSIONS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x1f\x9d": "compress",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""What astropy can unpack, but from which blocks of rows cannot be read."""

NO_DATA = "without data"

BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)
"""What Python raises where compressed data end early or are damaged."""


def is_fits(path: str | Path) -> bool:
    """Whether a file is FITS, plain or gzip-compressed, by its first bytes."""
    with open_bytes(path) as file:
        return file.read(6) == b"SIMPLE"


def form_of(hdu) -> str:
    """What an HDU of astropy is, in words: "an image", "an ASCII table", `NO_DATA`, ..."""
    if isinstance(hdu, fits.TableHDU):
        return "an ASCII table"
    if isinstance(hdu, fits.BinTableHDU):
        return "a binary table"
    if isinstance(hdu, fits.CompImageHDU):
        return "a compressed image"
    return "an image" if hdu.header.get("NAXIS", 0) else NO_DATA


@contextmanager
def open_fits(path: str | Path, what: str) -> Iterator[fits.HDUList]:
    """The HDUs of a FITS file, plain or gzip-compressed; data are read when they are used.

    Parameters
    ----------
    path : path
    what : str
        What to call the file in an error, as "event file".

    Raises
    ------
    InputError
        Where the file is missing, empty, not FITS, otherwise compressed, or damaged; also where
        that shows only in the body of the `with`.
    """
    _check_beginning(path, what)
    # A file that is cut short is only warned of: who reads the data says where it ends.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(path, memmap=False) as hdus:
                yield hdus
        except InputError:
            check_gzip(path, what)  # what is missing may have been beyond the break
            raise
        except Exception as error:  # damaged headers make astropy fail in many ways
            reason = str(error) or type(error).__name__
            raise InputError(
                f"{what} {path}: its FITS structure is damaged ({reason}); obtain a fresh copy"
            ) from error


def check_gzip(path: str | Path, what: str) -> None:
    """Raise InputError where a file is gzip-compressed, and cannot be decompressed to its end."""
    if not is_gzip(path):
        return
    try:
        with gzip.open(path) as file:
            while file.read(2**20):
                pass
    except BROKEN_GZIP as error:
        raise InputError(
            f"{what} {path}: its gzip compression is broken ({error}); obtain a fresh copy"
        ) from None


def _check_beginning(path: str | Path, what: str) -> None:
    """The first bytes tell what a file is, before astropy guesses."""
    try:
        with open(path, "rb") as file:
            first = file.read(8)
        if first.startswith(GZIP):
            with gzip.open(path, "rb") as file:
                first = file.read(8)
    except BROKEN_GZIP as error:
        raise InputError(
            f"{what} {path}: its gzip compression is broken ({error}); obtain a fresh copy"
        ) from None
    except OSError as error:
        raise InputError(
            f"{what} {path}: cannot be read ({error.strerror}); check its name and permissions"
        ) from None
    if first.startswith(GZIP):
        raise InputError(f"{what} {path}: is gzip-compressed twice; unpack it once")
    if not first:
        raise InputError(f"{what} {path}: is empty; give a FITS file with data")
    for magic, name in OTHER_COMPRESSIONS.items():
        if first.startswith(magic):
            raise InputError(
                f"{what} {path}: is compressed by {name}; unpack it, or compress it by gzip"
            )
    if not first.startswith(b"SIMPLE"):
        raise InputError(
            f"{what} {path}: is not FITS, plain or gzip-compressed (it does not begin with"
            " SIMPLE); give a FITS file"
        )
