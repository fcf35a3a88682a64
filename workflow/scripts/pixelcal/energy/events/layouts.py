"""Layouts of event files: which column means what."""

from __future__ import annotations

from dataclasses import dataclass

from pixelcal.errors import InputError


@dataclass(frozen=True)
class Layout:
    """What an event file looks like.

    Events carry energies (keV), or channels that the camera has already assigned.

    Attributes
    ----------
    extension : str
        Name of the extension; where a file has none of that name, the first table that holds the
        required columns is taken.
    columns : dict, key -> name of the column
        Keys: energy, pixel (DETNUM), multiplicity, time (s), channel, row (IDET), column (JDET).
    required : tuple of keys
        The others may be missing from a file.
    """

    extension: str
    columns: dict[str, str]
    required: tuple[str, ...]


LAYOUTS = {
    "pira": Layout(
        extension="EVENTS",
        columns={
            "energy": "energy",
            "pixel": "DETNUM",
            "multiplicity": "effMult",
            "time": "TIME",
        },
        required=("energy",),
    ),
    "ecl-evt-cal": Layout(
        extension="ECL-EVT-CAL",
        columns={"channel": "PHA", "row": "IDET", "column": "JDET", "time": "TIME"},
        required=("channel", "row", "column"),
    ),
}

KEYS = ("energy", "pixel", "multiplicity", "time", "channel", "row", "column")


def value_key(layout: str, columns: dict[str, str]) -> str:
    """What events are binned by: "channel" where the layout has it or the user names its column.

    Otherwise "energy".
    """
    return "channel" if "channel" in {**LAYOUTS[layout].columns, **columns} else "energy"


def wanted_columns(layout: str, columns: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """Names of the columns by what they hold, and which of them a file must have.

    Parameters
    ----------
    layout : str
        A key of `LAYOUTS`.
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
        Where layout or key is not known, or one of row and column has no name.
    """
    if layout not in LAYOUTS:
        raise InputError(f"events.layout: '{layout}' is not one of {', '.join(LAYOUTS)}")
    unknown = [key for key in columns if key not in KEYS]
    if unknown:
        raise InputError(f"events.columns: '{unknown[0]}' is not one of {', '.join(KEYS)}")
    names = {**LAYOUTS[layout].columns, **columns}
    # The user names either the pixel or its row and column; the layout's other way is dropped.
    if "pixel" in columns:
        names.pop("row", None)
        names.pop("column", None)
    elif "row" in columns or "column" in columns:
        names.pop("pixel", None)
        if not {"row", "column"} <= names.keys():
            raise InputError("events.columns: row and column go together; name both, or pixel")
    value = value_key(layout, columns)
    required = ({*LAYOUTS[layout].required, *columns, value}) & names.keys()
    for key in ("energy", "channel"):
        name = names.pop(key, None)
        required.discard(key)
        if key == value:
            names["value"] = name
    return names, required | {"value"}
