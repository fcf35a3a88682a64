"""Which runs there are: the `table.csv` of a folder, or the simulated ones; and the pixel map.

Uses the standard library alone: the Snakefile reads the tables, and may have no numpy.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.chunks import parse_pixels

SETS = {"spe": "spe", "scan": "dynamic_range"}
"""The two sets of runs, and the section of the configuration that names the folder of each."""

COLUMNS = {
    "spe": ("name", "n_ph"),
    "scan": ("name", "n_ph", "n_ph_meas", "nsb", "nsb_meas"),
}
BACKGROUND = ("nsb", "nsb_meas")
UNIT_COLUMN = "nsb_unit"
PER_NS = {"pe/ns": 1.0, "Hz": 1e-9}
"""Units that the background may be given in, and each in photoelectrons per ns."""
PARTING = 1000.0
"""No camera sees 1000 photoelectrons per ns, none only 1000 per s: the number must be of the other
unit."""
TABLE = "table.csv"
OPEN_LAYOUT = (".h5", ".hdf5")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAP_COLUMNS = ("PIXEL", "MODULE", "X", "Y")


@dataclass(frozen=True)
class RunEntry:
    """One row of a `table.csv`.

    Attributes
    ----------
    name : str
        Of the run: that of its file, without the ending.
    path : str
        The file.
    light : dict
        The numbers in the other columns: n_ph, photons a pixel and flash as set; in a scan also
        n_ph_meas, as measured, and nsb and nsb_meas, the night-sky background (photoelectrons/ns).
    """

    name: str
    path: str
    light: dict[str, float]

    @property
    def in_open_layout(self) -> bool:
        """Whether the file is read directly; else it is converted through ctapipe."""
        return self.path.lower().endswith(OPEN_LAYOUT)


def read_run_table(folder: str | Path, which: str) -> list[RunEntry]:
    """The runs of a folder, by rising light.

    Parameters
    ----------
    folder : path
    which : "spe" or "scan"

    Raises
    ------
    InputError
        One line, where the folder, its table, a column or a run is missing, a number is none, or a
        run is named twice.
    """
    key = f"sstcam.{SETS[which]}.folder"
    if not Path(folder).is_dir():
        raise InputError(f"{key}: {str(folder)!r} does not exist; allowed: an existing folder")
    path = Path(folder, TABLE)
    rows = _rows(path, COLUMNS[which])
    entries, lines = [], {}
    for number, row in rows:
        where = f"{path}, line {number}"
        light = {name: _number(where, name, row[name]) for name in COLUMNS[which][1:]}
        light |= {name: _per_ns(where, name, row) for name in BACKGROUND if name in light}
        name, file = _find_run(where, Path(folder), row["name"])
        if name in lines:
            raise InputError(
                f"{where}: the run {name} stands there a second time (first in line {lines[name]});"
                " keep one"
            )
        lines[name] = number
        entries.append(RunEntry(name, file, light))
    if not entries:
        raise InputError(f"{path}: names no run; add a row for each")
    return by_light(entries)


def by_light(entries: Iterable[RunEntry]) -> list[RunEntry]:
    """Runs by rising light (measured, where it was), then by name."""
    return sorted(entries, key=lambda run: (*_light(run.light), run.name))


def _light(light: Mapping[str, float]) -> tuple[float, float]:
    return light.get("n_ph_meas", light["n_ph"]), light["n_ph"]


def simulated_runs(settings: Mapping, which: str, folder: str) -> list[RunEntry]:
    """The runs that are simulated, by rising light.

    Parameters
    ----------
    settings : dict
        `sstcam.simulation` of the configuration.
    which : "spe" or "scan"
    folder : str
        Where their files are written.
    """
    if which == "spe":
        illuminations, label = settings["illuminations_pe"], "illuminations_pe"
        if not illuminations:
            raise InputError("sstcam.simulation.illuminations_pe: names no run; give one number")
    else:
        illuminations, label = _scan(settings["scan"]), "scan"
    entries = []
    for number, pe in enumerate(sorted(illuminations)):
        name = f"{which}_{number:02d}"
        n_ph = float(f"{pe / settings['pde']:.6g}")
        light = {"n_ph": n_ph}
        if which == "scan":
            nsb = float(settings["nsb_per_ns"])
            light |= {"n_ph_meas": n_ph, "nsb": nsb, "nsb_meas": nsb}
        entries.append(RunEntry(name, f"{folder}/{name}.h5", light))
    if len({run.light["n_ph"] for run in entries}) < len(entries):
        raise InputError(f"sstcam.simulation.{label}: two runs have the same light; keep one")
    return entries


def _scan(scan: Mapping) -> list[float]:
    """Mean photoelectrons of the runs of the scan, evenly spaced in the logarithm."""
    lowest, highest, n_runs = scan["lowest_pe"], scan["highest_pe"], scan["runs"]
    if n_runs == 1:
        return [highest]
    if highest <= lowest:
        raise InputError(
            f"sstcam.simulation.scan: highest_pe {highest:g} is not above lowest_pe {lowest:g}"
        )
    return [lowest * (highest / lowest) ** (i / (n_runs - 1)) for i in range(n_runs)]


def run_table(entries: Iterable[RunEntry], which: str) -> str:
    """The text of a `table.csv`."""
    columns = COLUMNS[which]
    lines = [",".join(columns)]
    for run in entries:
        values = (format(run.light[name], ".10g") for name in columns[1:])
        lines.append(",".join([Path(run.path).name, *values]))
    return "\n".join(lines) + "\n"


def _rows(path: Path, columns: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV table with a header, each with the number of its line; # begins a comment."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; write one with {', '.join(columns)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({type(error).__name__})") from None
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    numbered = [(n, line) for n, line in numbered if not line.startswith("#")]
    try:
        cells = [next(csv.reader([line], skipinitialspace=True)) for _, line in numbered]
    except csv.Error as error:
        raise InputError(f"{path}: is not CSV ({error})") from None
    header = [name.strip() for name in cells[0]] if cells else []
    missing = [name for name in columns if name not in header]
    if missing:
        has = ", ".join(header) or "nothing"
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; it has {has}")
    rows = []
    for (number, _), values in zip(numbered[1:], cells[1:], strict=True):
        if len(values) != len(header):
            raise InputError(
                f"{path}, line {number}: has {len(values)} values for {len(header)} columns"
            )
        rows.append((number, dict(zip(header, (value.strip() for value in values), strict=True))))
    return rows


def _number(where: str, name: str, text: str) -> float:
    """A finite number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise InputError(f"{where}: {name} is {text!r}; write a number from 0 upwards")
    return value


def _per_ns(where: str, name: str, row: Mapping[str, str]) -> float:
    """A background in photoelectrons per ns, which it is in where no column says another unit."""
    value, unit = float(row[name]), row.get(UNIT_COLUMN, "pe/ns")
    if unit not in PER_NS:
        raise InputError(f"{where}: {UNIT_COLUMN} is {unit!r}; allowed: {', '.join(PER_NS)}")
    if value and (value < PARTING) != (unit == "pe/ns"):
        (other,) = PER_NS.keys() - {unit}
        raise InputError(
            f"{where}: {name} is {row[name]}, which cannot be in {unit}; where it is in {other},"
            f" write {other} in a column {UNIT_COLUMN}"
        )
    return value * PER_NS[unit]


def _find_run(where: str, folder: Path, given: str) -> tuple[str, str]:
    """Name and file of a run; a table may name the file with or without its folder and ending."""
    file = re.split(r"[/\\]", given)[-1]
    candidates = [file, *(f"{file}{ending}" for ending in OPEN_LAYOUT)]
    found = [name for name in candidates if name and Path(folder, name).is_file()]
    if not found:
        raise InputError(
            f"{where}: the run {given!r} is not in the folder; add it, or remove the row"
        )
    name = Path(found[0]).stem
    if not RUN_NAME.fullmatch(name):
        raise InputError(
            f"{where}: the run {given!r} has a name of other characters than letters, digits, _, ."
            " and -; rename the file"
        )
    path = str(Path(folder, found[0]))
    if "{" in path or "}" in path or not path.isprintable():
        raise InputError(f"{where}: {path!r} has a brace in its name; rename the folder")
    if not os.access(path, os.R_OK):
        raise InputError(f"{where}: the run {given!r} cannot be read; check its permissions")
    return name, path


# --- pixels ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PixelMap:
    """Where the pixels of a camera are: columns of equal length, by rising PIXEL; x, y in m."""

    pixel: list[int]
    module: list[int]
    x: list[float]
    y: list[float]


def read_pixel_map(path: str | Path) -> PixelMap:
    """Read a CSV pixel map with PIXEL, MODULE, X and Y (m).

    Raises
    ------
    InputError
        Where it is missing, lacks a column, or its pixels are not 0, 1, 2, ... in some order.
    """
    rows = []
    for number, row in _rows(Path(path), MAP_COLUMNS):
        where = f"{path}, line {number}"
        try:
            whole = [int(row[name]) for name in MAP_COLUMNS[:2]]
            place = [float(row[name]) for name in MAP_COLUMNS[2:]]
        except ValueError:
            raise InputError(
                f"{where}: PIXEL and MODULE must be whole numbers, X and Y numbers (m)"
            ) from None
        if not all(map(math.isfinite, place)):
            raise InputError(f"{where}: X and Y must be finite (m)")
        rows.append((*whole, *place))
    rows.sort()
    if not rows or [row[0] for row in rows] != list(range(len(rows))):
        raise InputError(f"{path}: PIXEL must count from 0, each number once")
    return PixelMap(*(list(column) for column in zip(*rows, strict=True)))


def chosen_pixels(spec, n_pixels: int) -> list[int]:
    """The pixels that `sstcam.pixels` chooses of a camera of `n_pixels`, rising.

    Raises
    ------
    InputError
        As `chunks.parse_pixels`, with the name of the key.
    """
    try:
        return list(parse_pixels(spec, n_pixels))
    except InputError as error:
        raise InputError(f"sstcam.{error}") from None
