"""Line tables: which fluorescence lines are fitted, in which blocks, and the source of each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pixelcal.errors import InputError
from pixelcal.io.csv_rows import check_header, named_columns

if TYPE_CHECKING:
    import numpy as np

COLUMNS = (
    "element",
    "transition",
    "energy_keV",
    "intensity",
    "block",
    "block_min_keV",
    "block_max_keV",
    "source",
)
OPTIONAL_COLUMNS = {"energy_err_keV": math.nan, "width_keV": 0.0}
"""Columns that a table may lack, and what an absent column or an empty field of it says."""


@dataclass(frozen=True)
class LineTable:
    """Lines in blocks: a block is an energy interval that is fitted as one piece.

    Attributes
    ----------
    element, transition, source : tuple of str, one per entry of the table
    energy_keV, intensity : (n_lines,) float
        `intensity` is relative within one element (fractions of its K series).
    block : (n_lines,) int
        Index of the block that each line belongs to.
    block_names : tuple of str
    block_limits_keV : (n_blocks, 2) float, increasing and apart
    energy_err_keV : (n_lines,) float
        Uncertainty (1 sigma) of the energy; NaN where the table states none. All NaN by default.
    width_keV : (n_lines,) float
        Natural width: the FWHM of the Lorentzian that the line is. 0 by default.
    """

    element: tuple[str, ...]
    transition: tuple[str, ...]
    source: tuple[str, ...]
    energy_keV: np.ndarray
    intensity: np.ndarray
    block: np.ndarray
    block_names: tuple[str, ...]
    block_limits_keV: np.ndarray
    energy_err_keV: np.ndarray = None
    width_keV: np.ndarray = None

    def __post_init__(self):
        import numpy as np

        for name, default in OPTIONAL_COLUMNS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(self.n_lines, default))

    @property
    def n_lines(self) -> int:
        """Number of lines."""
        return len(self.energy_keV)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.block_names)


def read_line_table(path: str | Path) -> LineTable:
    """Read a CSV line table; lines that start with # are comments.

    Raises
    ------
    InputError
        With file, row and reason, where the table is missing, malformed or contradicts itself.
    """
    return _arrays(*read_lines(path))


def read_lines(path: str | Path) -> tuple[list[dict], dict[str, tuple[float, float]]]:
    """The rows of a line table and the limits of its blocks, checked, both by rising energy.

    It needs no numpy: the workflow checks its tables before any job. Raises as `read_line_table`.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"line table {path}: cannot be read ({error.__class__.__name__}); give a CSV file in"
            " UTF-8"
        ) from None
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not numbered:
        raise InputError(f"line table {path}: is empty; expected the columns {', '.join(COLUMNS)}")
    header = [name.strip() for name in _fields(path, *numbered[0])]
    check_header(header, f"line table {path}")
    header = named_columns(header, (*COLUMNS, *OPTIONAL_COLUMNS), f"line table {path}")
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"line table {path}: lacks the column(s) {', '.join(missing)}; the columns are"
            f" {', '.join(COLUMNS)}"
        )
    rows = [
        _parse_row(path, number, header, _fields(path, number, line))
        for number, line in numbered[1:]
    ]
    _check_once(path, rows, [number for number, _ in numbered[1:]])
    return _checked(path, rows)


def _check_once(path: Path, rows: list[dict], numbers: list[int]) -> None:
    """Raise InputError where a line is there twice: its intensity would count twice."""
    first: dict[tuple, int] = {}
    for row, number in zip(rows, numbers, strict=True):
        line = row["element"], row["energy_keV"]
        if line in first:
            raise InputError(
                f"line table {path}, line {number}: the line of {line[0]} at {line[1]:g} keV occurs"
                f" twice (first in line {first[line]}); keep one"
            )
        first[line] = number


def _fields(path: Path, number: int, line: str) -> list[str]:
    """The fields of one line; a quoted field ends in its line."""
    try:
        return next(csv.reader([line], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(
            f"line table {path}, line {number}: is not CSV ({error}); close the quotes"
        ) from None


def _parse_row(path: Path, number: int, header: list[str], fields: list[str]) -> dict:
    """One row of the table with its numbers converted and checked."""
    where = f"line table {path}, line {number}"
    row = dict(zip(header, fields, strict=False))
    gaps = [name for name in COLUMNS if not row.get(name, "").strip()]
    if len(fields) > len(header) or gaps:
        problem = f"{gaps[0]} is empty" if gaps else f"there are {len(fields)}"
        raise InputError(f"{where}: expected exactly {len(header)} filled fields; {problem}")
    parsed = {name: row[name].strip() for name in COLUMNS}
    for name in ("element", "transition", "block"):  # names go into products, which are ASCII
        if not parsed[name].isascii():
            raise InputError(
                f"{where}: {name} is {ascii(parsed[name])}; write it in ASCII letters, as FITS"
                " columns hold no others"
            )
    for name in ("energy_keV", "intensity", "block_min_keV", "block_max_keV"):
        try:
            parsed[name] = float(row[name])
        except ValueError:
            raise InputError(f"{where}: {name} is '{row[name]}', not a number") from None
        if not math.isfinite(parsed[name]) or parsed[name] <= 0:
            raise InputError(f"{where}: {name} is {row[name]}; it must be positive and finite")
    parsed |= {name: _optional(where, name, row.get(name, "")) for name in OPTIONAL_COLUMNS}
    low, high = parsed["block_min_keV"], parsed["block_max_keV"]
    if low >= high:
        raise InputError(
            f"{where}: block {parsed['block']} runs from {low} to {high} keV; give its lower limit"
            " first"
        )
    if not low < parsed["energy_keV"] < high:
        raise InputError(
            f"{where}: the line at {parsed['energy_keV']} keV lies outside its block"
            f" {parsed['block']} ({low} to {high} keV); move it to its block, or widen that one"
        )
    for name in OPTIONAL_COLUMNS:
        if parsed[name] >= high - low:
            raise InputError(
                f"{where}: {name} is {row[name]}, but the block {parsed['block']} is only"
                f" {high - low:g} keV wide; write it in keV"
            )
    return parsed


def _optional(where: str, name: str, text: str) -> float:
    """The number in a field of an optional column, or its default where the field is empty."""
    if not text.strip():
        return OPTIONAL_COLUMNS[name]
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: {name} is '{text}', not a number") from None
    if not math.isfinite(value) or value < 0:
        raise InputError(
            f"{where}: {name} is {text}; it must be finite and not negative, or left empty"
        )
    return value


def _checked(path: Path, rows: list[dict]) -> tuple[list[dict], dict[str, tuple[float, float]]]:
    """Order the blocks by energy and check that they agree and do not overlap."""
    limits: dict[str, tuple[float, float]] = {}
    for row in rows:
        interval = (row["block_min_keV"], row["block_max_keV"])
        if limits.setdefault(row["block"], interval) != interval:
            raise InputError(
                f"line table {path}: block {row['block']} has two different intervals,"
                f" {limits[row['block']]} and {interval} keV; write the same on each of its lines"
            )
    if len({row["energy_keV"] for row in rows}) < 2:
        raise InputError(
            f"line table {path}: gain and offset need at least two lines at different energies; add"
            " one"
        )
    names = sorted(limits, key=lambda name: limits[name])
    for lower, upper in pairwise(names):
        if limits[lower] == limits[upper]:
            raise InputError(
                f"line table {path}: the blocks {lower} and {upper} have the same limits; is one of"
                " the names misspelt?"
            )
        if limits[lower][1] > limits[upper][0]:
            raise InputError(
                f"line table {path}: the blocks {lower} and {upper} overlap; set them apart, or"
                " make them one"
            )
    rows = sorted(rows, key=lambda row: (names.index(row["block"]), row["energy_keV"]))
    return rows, {name: limits[name] for name in names}


def check_in_range(path: str | Path, limits: dict, lowest_keV: float, highest_keV: float) -> None:
    """Raise InputError where a block of lines lies beyond the energies of the camera's channels."""
    for name, (low, high) in limits.items():
        if high <= lowest_keV or low >= highest_keV:
            raise InputError(
                f"line table {path}: block {name} ({low:g} to {high:g} keV) lies outside of the"
                f" camera's channels ({lowest_keV:g} to {highest_keV:g} keV); write energies in"
                " keV, or leave the block out"
            )


def check_free_elements(free_elements: Sequence[str], of_lines: Sequence[str]) -> None:
    """Raise InputError where elements are not in a line table, or fewer than two others are left.

    Parameters
    ----------
    free_elements : sequence of str
        `fit.free_elements` of the configuration.
    of_lines : sequence of str
        The element of each line of the table.
    """
    elements = list(dict.fromkeys(of_lines))
    absent = [name for name in free_elements if name not in elements]
    if absent:
        raise InputError(
            f"fit.free_elements: {', '.join(absent)} is not in the line table; its elements are"
            f" {', '.join(elements)}"
        )
    if len(elements) - len(set(free_elements)) < 2:
        raise InputError(
            "fit.free_elements: two elements at least must keep the energies of the line table, or"
            " nothing defines the energy scale; name fewer"
        )


def _arrays(rows: list[dict], limits: dict[str, tuple[float, float]]) -> LineTable:
    """Rows and limits as `read_lines` gives them, as arrays."""
    import numpy as np

    names = list(limits)
    return LineTable(
        element=tuple(row["element"] for row in rows),
        transition=tuple(row["transition"] for row in rows),
        source=tuple(row["source"] for row in rows),
        energy_keV=np.array([row["energy_keV"] for row in rows]),
        intensity=np.array([row["intensity"] for row in rows]),
        block=np.array([names.index(row["block"]) for row in rows]),
        block_names=tuple(names),
        block_limits_keV=np.array([limits[name] for name in names]),
        **{name: np.array([row[name] for row in rows]) for name in OPTIONAL_COLUMNS},
    )


def line_table_text(table: LineTable) -> str:
    """A line table as the text of a CSV file that `read_line_table` reads as the same table."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write([*COLUMNS, *OPTIONAL_COLUMNS])
    for k in range(table.n_lines):
        block = int(table.block[k])
        numbers = repr(float(table.energy_keV[k])), repr(float(table.intensity[k]))
        limits = (repr(float(limit)) for limit in table.block_limits_keV[block])
        err, width = float(table.energy_err_keV[k]), float(table.width_keV[k])
        given = "" if math.isnan(err) else repr(err), repr(width) if width else ""
        names = table.element[k], table.transition[k]
        write([*names, *numbers, table.block_names[block], *limits, table.source[k], *given])
    return text.getvalue()


def line_groups(table: LineTable) -> list[tuple[int, str]]:
    """(block, element) of each line group, in the order of the table.

    A line group is the lines of one element in one block: they have one normalisation.
    """
    return list(dict.fromkeys(zip(table.block.tolist(), table.element, strict=True)))


def lines_of_groups(table: LineTable) -> list[tuple[int, np.ndarray]]:
    """The block of each line group, and which lines (n_lines,) it has, bool; as `line_groups`."""
    import numpy as np

    element = np.array(table.element)
    groups = line_groups(table)
    return [(block, (table.block == block) & (element == name)) for block, name in groups]


def elements_of(table: LineTable) -> tuple[list[str], np.ndarray]:
    """The elements of a line table, and the index (n_lines,) of each line's."""
    import numpy as np

    unique = list(dict.fromkeys(table.element))
    return unique, np.array([unique.index(name) for name in table.element])
