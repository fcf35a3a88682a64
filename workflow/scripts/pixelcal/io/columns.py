"""Columns of tables by their names: one rule for every table that a user gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pixelcal.errors import InputError

NUMBER_WORDS = {2: "two", 3: "three", 4: "four"}


SIZES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8} | {
    "C": 8,
    "M": 16,
    "P": 8,
    "Q": 16,
}
"""Bytes of an element of a column by the letter of its TFORM; X counts bits."""


def count_and_code(form) -> tuple[int, str]:
    """Elements in a row of a column, and the letter of their type, by its TFORM.

    "" where there is no such letter.
    """
    repeat, code = re.match(r"(\d*)([A-Z]?)", str(form).strip()).groups()
    return int(repeat or 1), code


def bytes_of(form) -> int:
    """Bytes that a column has in a row of a binary table, by its TFORM."""
    count, code = count_and_code(form)
    return (count + 7) // 8 if code == "X" else count * SIZES.get(code, 0)


def column_names(header) -> list[str]:
    """Names of the columns of a FITS table by its header; "" where one has none."""
    numbers = range(1, int(header.get("TFIELDS", 0)) + 1)
    return [str(header.get(f"TTYPE{n}", "")).strip() for n in numbers]


def find_column(names: Sequence[str | None], wanted: str, where: str) -> int | None:
    """Place (from 0) of the column `wanted` among `names`; None where there is none.

    The column of exactly that name goes before those in other capital or small letters.

    Parameters
    ----------
    names : sequence of str or None
        None, or "", for a column without a name.
    wanted : str
    where : str
        Name of the table, for errors.

    Raises
    ------
    InputError
        Where several columns have exactly that name, or none has and several have it in other
        capitals.
    """
    found = [place for place, name in enumerate(names) if name == wanted]
    if not found:
        found = [
            place for place, name in enumerate(names) if (name or "").upper() == wanted.upper()
        ]
    if len(found) > 1:
        number = NUMBER_WORDS.get(len(found), str(len(found)))
        candidates = ", ".join(str(names[place]) for place in found)
        raise InputError(
            f"{where}: has {number} columns that may be {wanted} ({candidates}), and"
            " nothing says which one is meant; rename or remove the others"
        )
    return found[0] if found else None
