"""Columns of a table of relations, checked and in keV: whoever made it, its energies are right."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from pixelcal.energy.prior import NEEDED, check_detnum, column_numbers
from pixelcal.energy.relation import CURVE_COLUMNS, CURVE_ENDS
from pixelcal.energy.units import column_factor, relation_in_keV
from pixelcal.errors import InputError
from pixelcal.io.columns import find_column

ERROR_UNITS = {
    "GAIN_ERR": "keV/chan",
    "OFFSET_ERR": "keV",
    "GAIN_OFFSET_COV": "keV2/chan",
    **dict.fromkeys(CURVE_COLUMNS, "keV"),
}
"""What else is in keV; a table need not have them."""


def checked_relation(table: Table, where: str = "relation") -> Table:
    """A copy of a table of relations, in the units of the package.

    Parameters
    ----------
    table : astropy Table or QTable, n rows
        With DETNUM, GAIN and OFFSET, in capital or small letters. Columns without a unit are in
        keV/channel and keV.
    where : str
        Name of the table, for errors.

    Returns
    -------
    astropy Table, n rows
        Names in capitals, gains in keV/channel, offsets in keV; NaN where there is no value.

    Raises
    ------
    InputError
        Where a column is missing, a unit is of another kind, a number is not that of a pixel or
        there twice, or a gain is not above 0.
    """
    table = Table(table)
    for name in (*NEEDED, "STATUS", *ERROR_UNITS):
        place = find_column(table.colnames, name, where)
        if place is not None:
            table.rename_column(table.colnames[place], name)
    absent = [name for name in NEEDED if name not in table.colnames]
    if absent:
        raise InputError(f"{where}: lacks {', '.join(absent)}; it has {', '.join(table.colnames)}")
    if CURVE_COLUMNS[0] in table.colnames:
        absent = [name for name in CURVE_COLUMNS if name not in table.colnames]
        absent += [keyword for keyword in CURVE_ENDS if keyword not in table.meta]
        if absent:
            raise InputError(f"{where}: has {CURVE_COLUMNS[0]} but lacks {', '.join(absent)}")
    detnum = column_numbers(table["DETNUM"], where)
    check_detnum(detnum, where)
    if "STATUS" in table.colnames and not np.isfinite(column_numbers(table["STATUS"], where)).all():
        raise InputError(f"{where}: STATUS has no value for some pixels; fill them in")
    _to_keV(table, where)
    _check_values(table, detnum, where)
    return table


def _to_keV(table: Table, where: str) -> None:
    """Convert the relations of a table (n rows) and what belongs to them, in place."""
    names = ["GAIN", "OFFSET", *(name for name in ERROR_UNITS if name in table.colnames)]
    texts = {name: str(table[name].unit or "") for name in names}
    values = {name: column_numbers(table[name], where) for name in names}
    units = texts["GAIN"], texts["OFFSET"]
    gain, offset = relation_in_keV(np.array([1.0, 2.0]), np.ones(2), units, where)
    if not np.allclose([*gain, *offset], [1.0, 2.0, 1.0, 1.0], rtol=1e-9):
        values["GAIN"], values["OFFSET"] = relation_in_keV(
            values["GAIN"], values["OFFSET"], units, where
        )
        for name in names[2:]:
            if gain[1] < gain[0] or not texts[name]:  # channels per energy: errors are of those
                raise InputError(
                    f"{where}: GAIN is in '{units[0]}' and OFFSET in '{units[1]}', but {name} is"
                    " not known in keV; write all columns in keV/chan and keV"
                )
    for name in names[2:]:
        factor = column_factor(texts[name], ERROR_UNITS[name], f"{where}: column {name}")
        values[name] = values[name] if np.isclose(factor, 1.0, rtol=1e-9) else values[name] * factor
    for name, unit in (("GAIN", "keV/chan"), ("OFFSET", "keV"), *ERROR_UNITS.items()):
        if name in values and not np.array_equal(values[name], table[name].data, equal_nan=True):
            table[name] = values[name]
            table[name].unit = unit


def _check_values(table: Table, detnum: np.ndarray, where: str) -> None:
    """Raise InputError where a gain is not above 0, or a relation is infinite."""
    gain, offset = (np.asarray(table[name], float) for name in ("GAIN", "OFFSET"))
    wrong = (gain <= 0) | np.isinf(gain) | np.isinf(offset)
    if wrong.any():
        raise InputError(
            f"{where}: pixel {detnum[wrong][0]:.0f} has GAIN {gain[wrong][0]:g} and OFFSET"
            f" {offset[wrong][0]:g}; a gain is above 0, write NaN where there is no valid fit"
        )
