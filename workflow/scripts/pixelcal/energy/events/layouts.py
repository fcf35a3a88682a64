"""Layouts of event files: which column means what."""

from __future__ import annotations

from collections.abc import Iterable

from pixelcal.errors import InputError
from pixelcal.instrument import Layout

KEYS = ("energy", "pixel", "multiplicity", "time", "channel", "row", "column")

PIXEL_WORDS = (
    *("PIXEL", "PIXELS", "PIXELID", "PIXELNO", "PIXELNUM", "PIXELNUMBER"),
    *("PIX", "PIXID", "PIXNO", "PIXNUM", "IPIX", "IPIXEL"),
    *("DETNUM", "DETID", "DETNO", "DET", "DETECTOR", "DETECTORID", "CHANID", "CHANNELID"),
    *("IDET", "JDET", "RAWX", "RAWY", "DETX", "DETY"),
)
"""Names of columns that say which pixel an event is of, in capitals and without _ and -."""


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


def check_pixel_named(
    held: set[str], present: Iterable[str], value: str, n_pixels: int, where: str
) -> None:
    """Raise InputError where a file names no pixel, and yet must not be dealt to all of them.

    A camera assigns channels by pixel, so events of channels have one. Energies may be of a
    simulation without pixels; a column with a name of `PIXEL_WORDS` says that they are not.

    Parameters
    ----------
    held : set of str
        What the file has a column for, keys of `columns.DECODED`.
    present : iterable of str
        Names of all its columns.
    value : "energy" or "channel"
        What the events are binned by.
    n_pixels : int
        Of the camera. Events of a camera with one pixel are of that pixel.
    where : str
        Name of the file, for errors.
    """
    if "pixel" in held or {"row", "column"} <= held or n_pixels == 1:
        return
    present = [name for name in present if name]
    alike = [name for name in present if name.upper().translate(_NO_JOINTS) in PIXEL_WORDS]
    if not alike and value == "energy":
        return
    guess = f" (perhaps {' or '.join(alike)})" if alike else ""
    other = ", or rename it where it is no pixel" if alike and value == "energy" else ""
    raise InputError(
        f"{where}: nothing says which of its columns is the pixel (there is: {', '.join(present)});"
        f" name it{guess} in events.columns.pixel, or in events.columns.row and .column{other}"
    )


_NO_JOINTS = str.maketrans("", "", "_- ")
