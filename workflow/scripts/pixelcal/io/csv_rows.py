"""CSV tables that a person writes: rows with the numbers of their lines. Standard library alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from pixelcal.errors import InputError


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
    rows = []
    for (number, _), values in zip(numbered[1:], cells[1:], strict=True):
        if len(values) != len(header):
            raise InputError(
                f"{path}, line {number}: has {len(values)} values for {len(header)} columns"
            )
        rows.append((number, [value.strip() for value in values]))
    return header, rows


def read_csv_rows(path: Path, columns: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV table with a header, each with the number of its line; # begins a comment."""
    header, rows = read_cells(path, columns)
    missing = [name for name in columns if name not in header]
    if missing:
        has = ", ".join(header) or "nothing"
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; it has {has}")
    return [(number, dict(zip(header, values, strict=True))) for number, values in rows]
