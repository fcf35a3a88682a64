"""Lists of pixels as text: changed significantly, over the requirement, without a valid fit.

Columns of fixed width under two comment lines, names and units; what else a reader should know
follows in comment lines. `numpy.genfromtxt(names=True)` and astropy's `ascii.commented_header` read
them; a pixel has one line, in the order of DETNUM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pixelcal.energy.relation import curve_of, energy_sigma, relation_columns
from pixelcal.energy.requirement import fraction_of_requirement, requirement_keV
from pixelcal.energy.results.changes import CHANGE_LABELS, Change, change_classes
from pixelcal.energy.truth import Truth
from pixelcal.instrument import Requirement
from pixelcal.status import NO_VALID_FIT, EnergyStatus

EMPTY_WORD = "-"
"""In place of a unit where a quantity has none."""


class Column(NamedTuple):
    """One column of a list: values (n,), unit and format."""

    name: str
    unit: str
    form: str
    values: np.ndarray


def status_names(status: int) -> str:
    """Names of the bits of one STATUS in one word, as TOO_FEW_COUNTS or POOR_FIT+OUTLIER."""
    return "+".join(bit.name for bit in EnergyStatus if status & bit) or "GOOD"


def format_list(columns: Sequence[Column], chosen: np.ndarray, remarks: Sequence[str]) -> str:
    """The rows `chosen` (n,) bool of the columns as text of fixed width.

    Parameters
    ----------
    columns : sequence of Column
    chosen : (n,) bool
    remarks : sequence of str
        Comment lines below the names and the units.
    """
    rows = np.flatnonzero(chosen)
    cells = [
        [column.name, column.unit or EMPTY_WORD, *map(column.form.format, column.values[rows])]
        for column in columns
    ]
    widths = [max(map(len, texts)) for texts in cells]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in zip(*cells, strict=True)
    ]
    head = [f"# {line}" for line in lines[:2]] + [f"# {remark}" for remark in remarks]
    return "\n".join([*head, *(f"  {line}" for line in lines[2:])]) + "\n"


def _position(rows: Mapping) -> list[Column]:
    """The columns that every list begins with."""
    return [
        Column(name, unit, "{:d}", np.asarray(rows[name]))
        for name, unit in (("DETNUM", ""), ("X", "pixel"), ("Y", "pixel"))
    ]


def _status(rows: Mapping, name: str) -> Column:
    words = np.array([status_names(int(status)) for status in rows["STATUS"]], object)
    return Column(name, "", "{}", words)


def changed_list(
    rows: Mapping, changes: tuple[Change, Change], threshold_sigma: float, title: str
) -> str:
    """Pixels whose gain or offset changed significantly against the prior relation."""
    gain, offset = changes
    classes = change_classes(gain, offset)
    words = np.array([CHANGE_LABELS[i].split()[0] for i in classes], object)
    columns = [
        *_position(rows),
        Column("GAIN", "keV/chan", "{:.6f}", np.asarray(rows["GAIN"])),
        Column("GAIN_CHANGE", "keV/chan", "{:+.6f}", gain.values),
        Column("GAIN_DEV", "sigma", "{:+.2f}", gain.deviation),
        Column("OFFSET", "keV", "{:.4f}", np.asarray(rows["OFFSET"])),
        Column("OFFSET_CHANGE", "keV", "{:+.4f}", offset.values),
        Column("OFFSET_DEV", "sigma", "{:+.2f}", offset.deviation),
        Column("CHANGED", "", "{}", words),
        _status(rows, "STATUS"),
    ]
    chosen = classes > 0
    remarks = [
        title,
        f"{chosen.sum()} of {len(chosen)} pixels whose gain or offset changed by more than"
        f" {threshold_sigma:g} sigma; fitted minus prior",
        _spread_remark("gain", gain, "{:.6f} keV/chan"),
        _spread_remark("offset", offset, "{:.4f} keV"),
    ]
    return format_list(columns, chosen, remarks)


def _spread_remark(name: str, change: Change, form: str) -> str:
    """What the changes are measured by."""
    if not np.isfinite(change.spread):
        return f"{name}: too few pixels for a standard deviation; assessed by the error of each fit"
    mean, spread = form.format(change.centre), form.format(change.spread)
    return f"{name}: mean change {mean}, standard deviation {spread} (sigma-clipped)"


def over_requirement_list(
    rows: Mapping, truth: Truth | None, title: str, requirement: Requirement
) -> str:
    """Pixels that miss the requirement at a reference energy.

    With truth by their measured error, without by the predicted standard deviation.
    """
    relation = relation_columns(rows)
    energies = np.array(requirement.energies_keV)
    if truth is not None:
        values = truth.error(energies[:, None], *relation[:2], curve_of(rows))
        prefix, form = "ERROR", "{:+.4f}"
        what = "error (fitted minus true energy)"
    else:
        values = energy_sigma(energies[:, None], *relation)
        prefix, form = "SIGMA", "{:.4f}"
        what = "predicted standard deviation (there is no truth)"
    with np.errstate(invalid="ignore"):
        ratio = fraction_of_requirement(values, energies, requirement)
        chosen = (ratio > 1).any(axis=0)
    worst = np.where(chosen, np.nan_to_num(ratio).max(axis=0), np.nan)
    columns = [
        *_position(rows),
        *(
            Column(f"{prefix}_{energy:g}", "keV", form, column)
            for energy, column in zip(energies, values, strict=True)
        ),
        Column("WORST", "requirement", "{:.2f}", worst),
        _status(rows, "STATUS"),
    ]
    limits = ", ".join(f"{requirement_keV(e, requirement):g} at {e:g}" for e in energies)
    remarks = [
        title,
        f"{chosen.sum()} of {len(chosen)} pixels whose {what} exceeds the requirement at one of the"
        " reference energies",
        f"requirement (keV) at the energies (keV): {limits}; WORST is the largest fraction of it",
    ]
    return format_list(columns, chosen, remarks)


def no_valid_fit_list(rows: Mapping, title: str) -> str:
    """Pixels without a valid fit, and why."""
    chosen = (np.asarray(rows["STATUS"]) & int(NO_VALID_FIT)) != 0
    columns = [
        *_position(rows),
        Column("COUNTS", "count", "{:d}", np.asarray(rows["COUNTS"])),
        _status(rows, "REASON"),
    ]
    remarks = [title, f"{chosen.sum()} of {len(chosen)} pixels without a valid fit"]
    return format_list(columns, chosen, remarks)
