"""CSV tables that a person writes: rows with the numbers of their lines. Standard library alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.columns import find_column

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What other programs put between the columns, and its name."""


def read_cells(
    path: Path, columns: Iterable[str] = ()
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of the columns, and the cells of each row with the number of its line.

    `columns` are those that an error about a missing file names.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        write = f"; write one with {', '.join(columns)}" if columns else ""
        raise InputError(f"{path}: no such file{write}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({type(error).__name__})") from None
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    numbered = [(n, line) for n, line in numbered if not line.startswith("#")]
    try:
        cells = [next(csv.reader([line], skipinitialspace=True)) for _, line in numbered]
    except csv.Error as error:
        raise InputError(f"{path}: is not CSV ({error})") from None
    header = [name.strip() for name in cells[0]] if cells else []
    check_header(header, str(path))
    rows = []
    for (number, _), values in zip(numbered[1:], cells[1:], strict=True):
        if len(values) != len(header):
            raise InputError(
                f"{path}, line {number}: has {len(values)} values for {len(header)} columns"
            )
        rows.append((number, [value.strip() for value in values]))
    return header, rows


def check_header(header: Sequence[str], where: str) -> None:
    """Raise InputError where the names of the columns of a CSV table cannot be told apart: they are
    not separated by commas, or a name is there twice. `where` names the table."""
    for separator, name in OTHER_SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            raise InputError(
                f"{where}: separates its columns by {name}; separate them by commas, and write"
                " numbers with a decimal point"
            )
    if header and all(_is_number(name) for name in header):
        raise InputError(f"{where}: has numbers in its first line; write the names of the columns")
    twice = [name for k, name in enumerate(header) if name and name in header[:k]]
    if twice:
        raise InputError(f"{where}: has the column {twice[0]} twice; keep one of them")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def named_columns(header: Sequence[str], columns: Iterable[str], where: str) -> list[str]:
    """The names of a header, those of `columns` as these are written.

    A column of exactly that name goes before one in other capital or small letters, as
    `find_column`, which raises InputError where several could be meant.
    """
    names = list(header)
    for wanted in columns:
        place = find_column(header, wanted, where)
        if place is not None:
            names[place] = wanted
    return names


def read_csv_rows(
    path: Path, columns: Iterable[str], optional: Iterable[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV table with a header, each with the number of its line; # begins a comment.

    `columns` must be there, `optional` may; their capitals may be others.
    """
    header, rows = read_cells(path, columns)
    header = named_columns(header, (*columns, *optional), str(path))
    missing = [name for name in columns if name not in header]
    if missing:
        has = ", ".join(header) or "nothing"
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; it has {has}")
    return [(number, dict(zip(header, values, strict=True))) for number, values in rows]
