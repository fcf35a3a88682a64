"""Instrument files: defaults filled in, everything checked, one line for a mistake."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import yaml

from pixelcal.errors import InputError
from pixelcal.io.instruments import instrument_file, instrument_schema
from pixelcal.io.resources import shipped_or_given
from pixelcal.io.schema_defaults import filled
from pixelcal.workflow.schema_errors import check_schema
from pixelcal.workflow.yaml_files import check_yaml

_FILES = ("pixel_map", "lines")


def instrument_settings(name: str) -> dict:
    """The content of an instrument file, as `instrument.instrument_of` takes it.

    Parameters
    ----------
    name : str
        Of a file that pixelcal brings, or the path of one's own. Files that it names are looked
        for from where the workflow runs, then beside it, then among what pixelcal brings.

    Raises
    ------
    InputError
        One line with file, key and what is allowed.
    """
    path, schema = instrument_file(name), instrument_schema()
    check_yaml(path)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        check_schema(given, schema)
        settings = filled(given, schema, schema)
        for key in _FILES:
            settings[key] = _found(settings[key], path, key)
        _check(settings)
    except InputError as error:
        raise InputError(f"instrument file {path}: {error}") from None
    return json.loads(json.dumps(settings))


def _found(named: str, path: Path, key: str) -> str:
    """A file that an instrument file names: as it is named, or beside the instrument file."""
    if os.path.isfile(shipped_or_given(named)):
        return named
    if os.path.isfile(path.parent / named):
        return str(path.parent / named)
    raise InputError(f"{key}: {named!r} does not exist; allowed: an existing file")


def _check(settings: Mapping) -> None:
    """What a schema cannot say."""
    relation, judged = settings["relation"], settings["requirement"]
    for key in ("gain", "offset"):
        least, most = relation[f"{key}_range_keV"]
        if least >= most:
            raise InputError(
                f"relation.{key}_range_keV: [{least:g}, {most:g}] does not rise; write the least"
                " value first"
            )
        if not least <= relation[f"{key}_keV"] <= most:
            raise InputError(
                f"relation.{key}_keV: {relation[f'{key}_keV']:g} is outside of"
                f" relation.{key}_range_keV; allowed: {least:g} to {most:g}"
            )
    ends = [one["up_to_keV"] for one in judged["limits"]]
    for key, values in (
        ("requirement.energies_keV", judged["energies_keV"]),
        ("requirement.range_keV", judged["range_keV"]),
        ("requirement.limits", ends),
    ):
        if any(low >= high for low, high in pairwise(values)):
            raise InputError(f"{key}: {values} do not rise; write them in rising order")
    if settings["layout"] not in settings["layouts"]:
        raise InputError(
            f"layout: {settings['layout']!r} is not among the layouts; allowed:"
            f" {', '.join(settings['layouts'])}"
        )
    for name, layout in settings["layouts"].items():
        columns = layout["columns"]
        if layout["form"] == "events" and not {"energy", "channel"} & columns.keys():
            raise InputError(
                f"layouts.{name}.columns: names neither energy nor channel; name one of them"
            )
        absent = [key for key in layout["required"] if key not in columns]
        if absent:
            raise InputError(f"layouts.{name}.required: {absent[0]} has no name in its columns")
        of_grid = {"row", "column"} & columns.keys()
        if len(of_grid) == 1:
            raise InputError(
                f"layouts.{name}.columns: row and column go together; name both, or pixel"
            )
        if of_grid and not all(settings["camera"]["grid"].values()):
            raise InputError(
                f"layouts.{name}.columns: name row and column, but camera.grid says how many there"
                " are; fill it in"
            )
