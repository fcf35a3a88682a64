"""Layouts of event files: which column means what."""

from __future__ import annotations

from pixelcal.errors import InputError
from pixelcal.instrument import Layout

KEYS = ("energy", "pixel", "multiplicity", "time", "channel", "row", "column")


def value_key(layout: Layout, columns: dict[str, str]) -> str:
    """What events are binned by: "channel" where the layout has it or the user names its column.

    Otherwise "energy".
    """
    return "channel" if "channel" in {**layout.columns, **columns} else "energy"


def wanted_columns(layout: Layout, columns: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """Names of the columns by what they hold, and which of them a file must have.

    Parameters
    ----------
    layout : Layout
    columns : dict, key -> name
        Names from the user; they go before those of the layout.

    Returns
    -------
    names : dict
        Keys value (energy or channel), pixel or row and column, multiplicity, time.
    required : set of those keys

    Raises
    ------
    InputError
        Where a key is not known, one of row and column has no name, or nothing names the value.
    """
    unknown = [key for key in columns if key not in KEYS]
    if unknown:
        raise InputError(f"events.columns: '{unknown[0]}' is not one of {', '.join(KEYS)}")
    names = {**layout.columns, **columns}
    # The user names either the pixel or its row and column; the layout's other way is dropped.
    if "pixel" in columns:
        names.pop("row", None)
        names.pop("column", None)
    elif "row" in columns or "column" in columns:
        names.pop("pixel", None)
        if not {"row", "column"} <= names.keys():
            raise InputError("events.columns: row and column go together; name both, or pixel")
    value = value_key(layout, columns)
    if value not in names:
        raise InputError("events.columns: neither energy nor channel has a name; name one of them")
    required = ({*layout.required, *columns, value}) & names.keys()
    for key in ("energy", "channel"):
        name = names.pop(key, None)
        required.discard(key)
        if key == value:
            names["value"] = name
    return names, required | {"value"}
