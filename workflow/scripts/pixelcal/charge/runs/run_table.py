"""Which runs there are: the `table.csv` of a folder, or the simulated ones; and the pixel map.

Uses the standard library alone: the Snakefile reads the tables, and may have no numpy.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pixelcal.charge.runs.dates import mjd_of
from pixelcal.charge.runs.hdf5_names import root_names
from pixelcal.errors import InputError
from pixelcal.io.csv_rows import read_csv_rows

SETS = {"spe": "spe", "scan": "dynamic_range"}
"""The two sets of runs, and the section of the configuration that names the folder of each."""

COLUMNS = {
    "spe": ("name", "n_ph"),
    "scan": ("name", "n_ph", "n_ph_meas", "nsb", "nsb_meas"),
}
BACKGROUND = ("nsb", "nsb_meas")
UNIT_COLUMN = "nsb_unit"
DATE_COLUMN = "date"
GAIN_COLUMN, HIGHEST_GAIN = "relative_gain", 2.0
"""Optional: gain of a run over that of the SPE runs; a larger number is a mistake."""
OPTIONAL = (UNIT_COLUMN, DATE_COLUMN, GAIN_COLUMN)
PER_NS = {"pe/ns": 1.0, "GHz": 1.0, "MHz": 1e-3, "Hz": 1e-9}
"""Units that the background may be given in, and each in photoelectrons per ns."""
LEAST_PER_NS, MOST_PER_NS = 1e-6, 50.0
"""Background that a camera may see, in photoelectrons per ns: a number beyond is of another unit.
A dark room gives more than the one; with the other 16 samples of the charge hold 800."""
TABLE = "table.csv"
WAVEFORMS = "waveforms"
CTAPIPE_GROUPS = ("r0", "r1", "dl0", "dl1")
"""In the root of an HDF5 file: the dataset of the open layout; groups of ctapipe's files."""
OPEN_LAYOUT = (".h5", ".hdf5")
ENDINGS = {
    "waveforms": OPEN_LAYOUT,
    "charges": (*OPEN_LAYOUT, ".fits", ".fits.gz"),
    "histograms": (*OPEN_LAYOUT, ".csv", ".npy"),
}
"""Endings that a table may leave out, by the form of the runs."""
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


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
        The numbers in the other columns: n_ph, photons per pixel and flash as set; in a scan also
        n_ph_meas, as measured, and nsb and nsb_meas, the night-sky background (photoelectrons/ns).
        Other columns with a number, as bias voltage or temperature, keep their names. `date` is the
        modified Julian date (UTC) of the run.
    """

    name: str
    path: str
    light: dict[str, float]

    @property
    def in_open_layout(self) -> bool:
        """Whether the file is read directly; else it is converted through ctapipe.

        What an HDF5 file has in its root decides, and its ending where that cannot be read.
        """
        names = root_names(self.path)
        if names is None or not names & {WAVEFORMS, *CTAPIPE_GROUPS}:
            return self.path.lower().endswith(OPEN_LAYOUT)
        return WAVEFORMS in names


def is_dark(light: Mapping[str, float]) -> bool:
    """Whether a run has no light on purpose: photons as set, n_ph, are 0."""
    return light["n_ph"] == 0.0


def has_ready_charges(run: RunEntry) -> bool:
    """Whether ready charges are read directly; those of an HDF5 file of ctapipe are converted."""
    names = root_names(run.path)
    return names is None or "charges" in names or not names & {*CTAPIPE_GROUPS}


def forms_of_runs(sections: Mapping[str, Mapping]) -> dict[str, str]:
    """Form of the runs of each set, of `ENDINGS`.

    Parameters
    ----------
    sections : dict
        `sstcam.spe` and `sstcam.dynamic_range` of the configuration: folder and form of each.

    Raises
    ------
    InputError
        Where ready files are asked for without a folder, or waveforms of a scan without those of
        single photoelectrons, in which the peaks are found.
    """
    forms = {which: sections[section]["form"] for which, section in SETS.items()}
    for which, section in SETS.items():
        if forms[which] != "waveforms" and not sections[section]["folder"]:
            raise InputError(
                f"sstcam.{section}.form: is {forms[which]}, but sstcam.{section}.folder names no"
                " folder; name the one that they are in"
            )
    scan = SETS["scan"]
    if forms["scan"] == "waveforms" != forms["spe"] and sections[scan]["folder"]:
        raise InputError(
            f"sstcam.{scan}.form: is waveforms, but peaks are found in waveforms of sstcam.spe,"
            f" whose form is {forms['spe']}; give both as waveforms, or the scan as charges"
        )
    return forms


def read_run_table(folder: str | Path, which: str, form: str = "waveforms") -> list[RunEntry]:
    """The runs of a folder, by rising light.

    Parameters
    ----------
    folder : path
    which : "spe" or "scan"
    form : "waveforms", "charges" or "histograms"

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
    rows = read_csv_rows(path, COLUMNS[which], OPTIONAL)
    entries, lines = [], {}
    for number, row in rows:
        where = f"{path}, line {number}"
        light = {name: _number(where, name, row[name]) for name in COLUMNS[which][1:]}
        light |= {name: _per_ns(where, name, row) for name in BACKGROUND if name in light}
        light |= _other_numbers(row) | _date(where, row)
        _check_gain(where, row)
        name, file = _find_run(where, Path(folder), row["name"], ENDINGS[form])
        if name in lines:
            raise InputError(
                f"{where}: the run {name} occurs twice (first in line {lines[name]}); keep one"
            )
        lines[name] = number
        entries.append(RunEntry(name, file, light))
    if not entries:
        raise InputError(f"{path}: names no run; add a row for each")
    _check_light(entries, which, str(path))
    return by_light(entries)


def _check_light(entries: Iterable[RunEntry], which: str, where: str) -> None:
    """Raise InputError where no run of single photoelectrons has light."""
    if which == "spe" and all(is_dark(run.light) for run in entries):
        raise InputError(
            f"{where}: every run is dark (n_ph is 0); give at least one run with light, n_ph above"
            " 0"
        )


def _other_numbers(row: Mapping[str, str]) -> dict[str, float]:
    """Numbers of a row in columns that are not those of the light; what is none is left out."""
    known = {*COLUMNS["spe"], *COLUMNS["scan"], UNIT_COLUMN, DATE_COLUMN}
    numbers = {}
    for name, text in row.items():
        if name in known or not name or not name.isascii() or not name.isprintable():
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            continue
        if math.isfinite(value):
            numbers[name] = value
    return numbers


def _date(where: str, row: Mapping[str, str]) -> dict[str, float]:
    """The date of a row, where it has one."""
    text = row.get(DATE_COLUMN, "")
    if not text:
        return {}
    try:
        return {DATE_COLUMN: mjd_of(text)}
    except ValueError:
        raise InputError(
            f"{where}: {DATE_COLUMN} is {text!r}; write the date (UTC) as 2026-03-01 or"
            " 2026-03-01T12:00:00"
        ) from None


def _check_gain(where: str, row: Mapping[str, str]) -> None:
    """Whether the relative gain of a run is one, where the table has it."""
    text = (row.get(GAIN_COLUMN) or "").strip()
    try:
        value = float(text or 1.0)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= HIGHEST_GAIN:
        raise InputError(
            f"{where}: {GAIN_COLUMN} is {text!r}; write the gain of the run over that of the SPE"
            " runs, such as 0.95, or leave it empty to have it measured"
        )


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
    _check_light(entries, which, f"sstcam.simulation.{label}")
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


def _number(where: str, name: str, text: str) -> float:
    """A finite number that is not negative."""
    try:
        value = float(text) if "_" not in text else math.nan  # Python takes 0_5 for 5
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
    if value and not _is_background(value, unit):
        others = [other for other in ("pe/ns", "MHz", "Hz") if _is_background(value, other)]
        raise InputError(
            f"{where}: {name} is {row[name]}, which cannot be in {unit}; where it is in"
            f" {' or '.join(others) or 'another unit'}, write it in a column {UNIT_COLUMN}"
        )
    return value * PER_NS[unit]


def _is_background(value: float, unit: str) -> bool:
    """Whether a number can be a background in a unit of `PER_NS`."""
    return LEAST_PER_NS <= value * PER_NS[unit] <= MOST_PER_NS


def _find_run(
    where: str, folder: Path, given: str, endings: tuple[str, ...] = OPEN_LAYOUT
) -> tuple[str, str]:
    """Name and file of a run; a table may name the file with or without its folder and ending."""
    file = re.split(r"[/\\]", given)[-1]
    candidates = [file, *(f"{file}{ending}" for ending in endings)]
    found = [name for name in candidates if name and Path(folder, name).is_file()]
    if not found:
        raise InputError(
            f"{where}: the run {given!r} is not in the folder; add it, or remove the row"
        )
    if len(found) > 1 and found[0] != file:
        raise InputError(
            f"{where}: the run {given!r} is {' and '.join(found)} in the folder; write the ending"
        )
    name = Path(found[0].removesuffix(".gz")).stem
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
