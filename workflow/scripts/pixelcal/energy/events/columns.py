"""Columns of event tables: one number per row, in keV, s or counted, whatever the file stores."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pixelcal.energy.events.clock import Clock
from pixelcal.energy.units import refuse_units, unit_factor
from pixelcal.errors import InputError
from pixelcal.io.columns import bytes_of, column_names, count_and_code

DECODED = {
    "value": np.float64,
    "pixel": np.int32,
    "row": np.int32,
    "column": np.int32,
    "multiplicity": np.int32,
    "time": np.float64,
}
"""Type that a column is decoded to, whatever its type in the file."""


NUMBERS = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
"""Types of columns of numbers by the letter of their TFORM."""


@dataclass(frozen=True)
class Column:
    """A scalar column of a binary table: physical value = zero + scale * stored value.

    Attributes
    ----------
    name : str
        Name in the file.
    scale, zero : float
        TSCAL and TZERO, and what brings the column to keV or s.
    null : int, optional
        TNULL: the stored integer that means no value.
    place : int
        Number of the column, from 1.
    """

    name: str
    scale: float = 1.0
    zero: float = 0.0
    null: int | None = None
    place: int = 1

    @property
    def field(self) -> str:
        """Name of its field in `row_dtype`, whatever its name in the file."""
        return f"c{self.place}"

    def decode(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Write the physical values of `stored` (n,) to `out` (n,), a native contiguous array.

        No value is NaN. In an integer `out` a value beyond its range becomes one of its limits,
        and what is no whole number, NaN among it, becomes -1.
        """
        kind, size = stored.dtype.kind, stored.dtype.itemsize
        fits_as_it_is = out.dtype.kind == "f" or (kind in "iu" and size <= 4)
        if self.scale == 1 and self.zero == 0 and fits_as_it_is:
            np.copyto(out, stored, casting="unsafe")
        else:
            np.copyto(out, self._physical(stored, out.dtype), casting="unsafe")
        if self.null is not None:
            out[stored == self.null] = np.nan if out.dtype.kind == "f" else -1

    def _physical(self, stored: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Physical values (n,), within the range of `dtype` where that is an integer."""
        if stored.dtype.kind in "iu" and self.scale == 1 and float(self.zero).is_integer():
            # Subtracting -zero: 2**63, the zero of unsigned 64-bit columns, is no int64, but
            # its negative is.
            physical = stored.astype(np.int64) - np.int64(-int(self.zero))
        else:
            physical = stored.astype(np.float64) * self.scale + self.zero
        if dtype.kind != "i":
            return physical
        limits = np.iinfo(dtype)
        whole = np.where(physical == np.floor(physical), physical, -1)
        return np.clip(whole, limits.min, limits.max)


def row_dtype(header) -> np.dtype:
    """Type of a row, big-endian, with a field c1, c2, ... for each column of one number.

    Other columns are bytes to leave out: their names and contents do not matter.
    """
    names, formats, offsets, width = [], [], [], 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        form = header[f"TFORM{number}"]
        count, code = count_and_code(form)
        if code in NUMBERS and count == 1:
            names.append(f"c{number}")
            formats.append(NUMBERS[code])
            offsets.append(width)
        width += bytes_of(form)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": width})


def _contents(form: str) -> str:
    """What a column that does not hold one number per row holds, by its TFORM."""
    count, code = count_and_code(form)
    if code in ("P", "Q"):
        return "is of variable length: it holds a list in each row"
    if code in NUMBERS:
        return f"holds {count} numbers in each row"
    others = {"A": "text", "L": "true or false", "X": "bits", "C": "complex numbers"}
    return f"holds {others.get(code, others['C'] if code == 'M' else 'something unknown')}"


def describe_column(
    header, index: int, key: str, value: str, clock: Clock, where: str, first_pixel: int = 0
) -> Column:
    """Column number `index` (from 0) of a table, which must hold one number per row.

    Parameters
    ----------
    header : astropy Header
        Of the table; where it is tile-compressed, of what is packed in it.
    index : int
    key : str
        What the column holds, a key of `DECODED`.
    value : "energy" or "channel"
        What the key "value" means.
    clock : Clock
        Of the header.
    where : str
        Name of the file, for errors.
    first_pixel : 0 or 1
        Where the file begins to count pixels, rows and columns; the column is decoded from 0.
    """
    number = index + 1
    name = column_names(header)[index]
    where = f"{where}: column {name}"
    form = str(header[f"TFORM{number}"]).strip()
    if not re.fullmatch("1?[BIJKED]", form):
        raise InputError(
            f"{where} (TFORM {form}) {_contents(form)}, not one number per row; name another in"
            " events.columns"
        )
    scale, zero = header.get(f"TSCAL{number}", 1.0), header.get(f"TZERO{number}", 0)
    null = header.get(f"TNULL{number}")
    for keyword, content in (("TSCAL", scale), ("TZERO", zero), ("TNULL", null)):
        if content is not None and not isinstance(content, int | float):
            raise InputError(
                f"{where} has {keyword}{number} = {content!r}, which is not a number; correct the"
                " header"
            )
    unit = header.get(f"TUNIT{number}")
    factor, shift = 1.0, 0.0
    if key == "time":
        factor = clock.unit_s if unit is None else unit_factor(unit, "s", where)
        shift = clock.zero_s
    elif key == "value" and value == "energy":
        advice = "; a column of channels is named in events.columns.channel"
        factor = unit_factor(unit, "keV", where, advice)
    elif key == "value":
        advice = "a column of energies is named in events.columns.energy"
        refuse_units(unit, ("keV", "s"), where, advice)
    else:
        refuse_units(unit, ("keV", "s"), where, f"name the one of the {key} in events.columns")
    if key in ("pixel", "row", "column"):
        zero -= first_pixel
    if factor != 1 or shift != 0:
        scale, zero = scale * factor, zero * factor + shift
    null = null if form[-1] in "BIJK" else None
    return Column(name, float(scale), zero, null, number)
