"""Instrument files: where they are, and what they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from pixelcal.errors import InputError
from pixelcal.instrument import Instrument, instrument_of
from pixelcal.io.resources import RESOURCES, shipped_or_given
from pixelcal.io.schema_defaults import filled

INSTRUMENTS = RESOURCES / "instruments"
SCHEMA = RESOURCES / "schemas" / "instrument.schema.yaml"


def load_instrument(name: str) -> Instrument:
    """The instrument of a name in `resources/instruments`, or of a file of one's own.

    Raises
    ------
    InputError
        Where there is no such file, or it lacks what has no default.
    """
    try:
        return instrument_of(instrument_content(name))
    except KeyError as error:
        raise InputError(f"instrument file {name}: lacks {error.args[0]}") from None


def instrument_content(name: str) -> dict:
    """The content of an instrument file, unchecked, with defaults filled in."""
    given, schema = yaml.safe_load(instrument_file(name).read_text("utf-8")), instrument_schema()
    return filled(given, schema, schema)


@cache  # it takes longer to read than an instrument file, and a workflow asks twice
def instrument_schema() -> dict:
    """The JSON schema of instrument files; not to be changed."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def instrument_file(name: str) -> Path:
    """The instrument file of a name in `resources/instruments`, or the path of one's own.

    Raises
    ------
    InputError
        Where there is neither.
    """
    shipped = INSTRUMENTS / f"{name}.yaml"
    if shipped.is_file() and shipped.parent == INSTRUMENTS:
        return shipped
    given = Path(shipped_or_given(name))
    if given.is_file():
        return given
    known = ", ".join(sorted(path.stem for path in INSTRUMENTS.glob("*.yaml")))
    raise InputError(
        f"instrument: {name!r} is neither an instrument of pixelcal nor a file; allowed: {known},"
        " or the path of an instrument file"
    )
