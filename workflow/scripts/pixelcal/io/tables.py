"""Writing and reading products: whole or not at all, and the same bytes for the same content.

Every file of the project goes through `pixelcal.io.atomic`: it appears under its own name only when
it is complete, so a killed run never leaves half a product that the next run takes for a whole one.
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.registry import IORegistryError
from astropy.table import Table
from astropy.units import UnitsWarning
from astropy.utils.exceptions import AstropyUserWarning

from pixelcal.errors import InputError
from pixelcal.io.atomic import atomic
from pixelcal.io.checksums import check_sums
from pixelcal.io.csv_rows import check_header
from pixelcal.io.fits_files import NO_DATA, form_of, is_fits
from pixelcal.io.tiled_tables import plain_table

CHECKSUM_COMMENT = "FITS checksum convention"
"""In place of astropy's comment, which is the time of writing."""


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 with the line ends it has."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with sorted keys; numbers that are not finite become null.

    `value` may hold numpy numbers and arrays.
    """
    plain = _plain(value)
    write_text(path, json.dumps(plain, sort_keys=True, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The content of a JSON product."""
    return json.loads(Path(path).read_text("utf-8"))


def _plain(value: Any) -> Any:
    """`value` in the types that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_ecsv(path: str | Path, table: Table) -> None:
    """Write an astropy table as ECSV, numbers in full precision."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    write_text(path, text.getvalue())


def table_hdu(
    rows: np.ndarray,
    extension: str,
    units: dict[str, str] | None = None,
    cards: Iterable[tuple] = (),
) -> fits.BinTableHDU:
    """A binary table from a structured array.

    Parameters
    ----------
    rows : (n,) structured array
        Its fields become the columns, in their order and types.
    extension : str
        EXTNAME.
    units : dict, optional
        TUNIT of the columns that have one.
    cards : iterable of (keyword, value) or (keyword, value, comment)
        Header cards; HISTORY and COMMENT may come more than once.
    """
    hdu = fits.BinTableHDU(rows, name=extension)
    for name, unit in (units or {}).items():
        hdu.columns[name].unit = unit
    append_cards(hdu.header, cards)
    return hdu


def as_rows(**columns: np.ndarray) -> np.ndarray:
    """A structured array (n,) of columns (n, ...) with their types; texts are as wide as given."""
    types = [(name, column.dtype, column.shape[1:]) for name, column in columns.items()]
    rows = np.empty(len(next(iter(columns.values()))), types)
    for name, column in columns.items():
        rows[name] = column
    return rows


def with_units(rows: np.ndarray, units: Mapping[str, str]) -> Table:
    """An astropy table of a structured array (n,); units as a FITS file would have them."""
    table = Table(rows)
    for name, unit in units.items():
        table[name].unit = unit
    return table


def append_cards(header: fits.Header, cards: Iterable[tuple]) -> None:
    """Put `cards` into `header`: HISTORY and COMMENT are added, other keywords are set."""
    for keyword, *rest in cards:
        if keyword in ("HISTORY", "COMMENT"):
            header.add_history(rest[0]) if keyword == "HISTORY" else header.add_comment(rest[0])
        else:
            header[keyword] = tuple(rest) if len(rest) > 1 else rest[0]


def write_fits(path: str | Path, hdus: list, date: str | None = None) -> None:
    """Write HDUs to a FITS file with CHECKSUM and DATASUM; the same HDUs give the same bytes.

    Parameters
    ----------
    path : path
    hdus : list of astropy HDUs
        An empty primary HDU is put in front where the first is not one.
    date : str, optional
        Value of DATE in every header. Without it no DATE is written: a product has no clock.
    """
    if not hdus or not isinstance(hdus[0], fits.PrimaryHDU):
        hdus = [fits.PrimaryHDU(), *hdus]
    hdu_list = fits.HDUList(hdus)
    hdu_list.update_extend()
    for hdu in hdu_list:
        if date is not None:
            hdu.header["DATE"] = (date, "date of this file, as configured")
        if isinstance(hdu, fits.BinTableHDU):
            # astropy puts late changes of the columns into the header only while it writes:
            # too late for a sum over the header.
            hdu.update_header()
        hdu.add_checksum(when=CHECKSUM_COMMENT)
    with atomic(path) as temporary:
        hdu_list.writeto(temporary, output_verify="exception", checksum=False)


def has_extension(path: str | Path, extension: str) -> bool:
    """Whether a whole FITS file has an extension of that name."""
    with fits.open(path, memmap=False) as hdus:
        return extension in hdus


def read_columns(path: str | Path, extension: str) -> Table:
    """Columns of one extension of a FITS file; `meta` holds its header.

    Numbers come in the byte order of the machine, NaN stays NaN. Checksums are verified where the
    file has them, as `checksums.check_sums`.

    Raises
    ------
    InputError
        With file, extension and reason, where the file or the extension is missing or damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # who uses a unit says what is wrong with it
        warnings.filterwarnings("error", message=".*(truncated|validating header)")
        try:
            with fits.open(path, memmap=False) as hdu_list:
                names = [hdu.name or "(unnamed)" for hdu in hdu_list]
                if extension not in names:
                    raise InputError(
                        f"{path}: has no extension {extension}; it has {', '.join(names)}"
                    )
                if names.count(extension) > 1:
                    raise InputError(
                        f"{path}: has {names.count(extension)} extensions {extension}, and nothing"
                        " says which one is meant; keep one"
                    )
                for hdu in (hdu_list[0], hdu_list[extension]):
                    check_sums(path, hdu, "")
                hdu = _plain_table(path, hdu_list[extension])
                table = Table.read(hdu, mask_invalid=False)
                header = hdu.header.copy()
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except InputError:
            raise
        except Exception as error:  # damaged files make astropy fail in many ways
            reason = str(error).splitlines()[0] if str(error) else error.__class__.__name__
            raise InputError(f"{path}: is not a whole FITS file ({reason})") from None
    for name in table.colnames:
        column = table[name]
        if not column.dtype.isnative:
            table[name] = column.astype(column.dtype.newbyteorder("="))
    table.meta = header
    return table


def read_table(path: str | Path, columns: Iterable[str] = ()) -> Table:
    """A table in any format that astropy recognises (ECSV, CSV, text, FITS, VOTable).

    Raises
    ------
    InputError
        Where the file is missing, not a table, or lacks one of `columns`.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            table = _read_any(path)
    except InputError:
        raise
    except Exception as error:  # each of astropy's readers fails in its own way
        raise InputError(
            f"{path}: is not a table astropy can read ({type(error).__name__})"
        ) from None
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        present = ", ".join(table.colnames)
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; it has {present}")
    return table


def _plain_table(path: str | Path, hdu) -> fits.BinTableHDU | fits.TableHDU:
    """A table of an open FITS file, unpacked; an image is none."""
    if not isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
        raise InputError(f"{path}: {hdu.name or 'the data'} is {form_of(hdu)}; give a table")
    return plain_table(path, hdu, f"{path} ({hdu.name or 'unnamed'})")


def _read_any(path: str | Path) -> Table:
    """The table in `path`: by what astropy recognises, else as text with guessed columns."""
    if is_fits(path):
        with fits.open(path, memmap=False) as hdus:
            tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
            filled = [hdu for hdu in hdus if form_of(hdu) != NO_DATA]
            return Table.read(_plain_table(path, (tables or filled or hdus)[0]))
    text = _text_of(path)
    source = path if text is None else text
    try:
        return Table.read(source) if text is None else Table.read(source, format=_form(path, text))
    except IORegistryError:
        return Table.read(path, format="ascii")


def _text_of(path: str | Path) -> str | None:
    """The text of a CSV or ECSV file, without the mark that some programs begin UTF-8 with; None
    for a file of another kind. The columns of CSV are checked: astropy renames one of two."""
    if Path(path).suffix.lower() not in (".csv", ".ecsv"):
        return None
    text = Path(path).read_text(encoding="utf-8-sig")
    if _form(path, text) == "ascii.csv":
        rows = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
        header = next(csv.reader([next(rows, "")]), [])
        check_header([name.strip() for name in header], str(path))
    return text


def _form(path: str | Path, text: str) -> str:
    """Name of astropy's format of a text: ECSV says so in its first line."""
    return "ascii.ecsv" if text.startswith("# %ECSV") else "ascii.csv"
