"""The configuration: defaults filled in, everything checked, one line for a mistake.

A mistake is an `InputError` that names the key, its value and what is allowed, raised before any
job starts. What a JSON schema can say stands in workflow/schemas/config.schema.yaml; the rest here.
"""

from __future__ import annotations

import copy
import datetime
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from pixelcal.errors import InputError, one_line
from pixelcal.instrument import SIMULATED_CRITERIA
from pixelcal.io.chunks import parse_pixels
from pixelcal.io.resources import shipped_or_given
from pixelcal.io.schema_defaults import filled
from pixelcal.workflow.instruments import instrument_settings
from pixelcal.workflow.schema_errors import (
    check_schema,
    meant,
    mistakes_of,
    named,
    shown,
    without_mistakes,
)
from pixelcal.workflow.yaml_files import check_yaml

_OVERRIDES = ("injection", "fit")
_FOLDERS = (
    "logs",
    "benchmarks",
    *(f"sstcam/{part}/{which}" for part in ("runs", "charges") for which in ("spe", "scan")),
    *(f"sstcam/{part}" for part in ("spe/chunks", "charge_resolution", "figures", "pixels")),
)
_EXPOSURE_FOLDERS = ("chunks", "figures", "lists", "pixels")
"""Where products go under `results`, and under the folder of an exposure there."""


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Print an `InputError` of the body as one line on stderr and exit with code 1."""
    try:
        yield
    except InputError as error:
        print(f"configuration: {one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None


# --- reading --------------------------------------------------------------------------------------


def read_schema(path: str | Path) -> dict:
    """The JSON schema of the configuration from a YAML file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def check_results(folder: str | Path, exposures: Iterable[str], instrument: str) -> None:
    """Check that products of an instrument can be written to `folder`, which may not be there yet.

    Raises
    ------
    InputError
        Where it, or a folder in it, is not a directory or cannot be written to.
    """
    of_exposures = (
        f"{instrument}/{name}/{part}" for name in exposures for part in _EXPOSURE_FOLDERS
    )
    for place in (
        Path(folder, part) for part in (*_FOLDERS, f"{instrument}/events", *of_exposures)
    ):
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        if not place.is_dir():
            raise InputError(f"{place}: exists but is not a directory; remove it")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"{place}: is read-only, but products go there; make it writable")


def replace_exposures(
    config: Mapping, overrides: Mapping, command_line: Mapping | None = None
) -> dict:
    """`config` with the exposures of `overrides` alone, where it has any.

    Snakemake merges a --configfile deeply onto the default configuration: the exposures of both
    would run. What `command_line` has of them (--config) goes before; Snakemake leaves the numbers
    in it as text.
    """
    if "exposures" not in overrides:
        return dict(config)
    exposures = copy.deepcopy(overrides["exposures"])
    if command_line and "exposures" in command_line:
        exposures = _with_numbers(command_line["exposures"])
    return dict(config) | {"exposures": exposures}


def _with_numbers(value: object) -> object:
    """A value of --config with its texts as YAML has them, where these are numbers or null."""
    if isinstance(value, Mapping):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return read if read is None or isinstance(read, int | float) else value


# --- defaults and checks --------------------------------------------------------------------------


def load_defaults(schema: Mapping) -> dict:
    """The configuration with every key at its default."""
    return filled({}, schema, schema)


def resolve(config: Mapping, schema: Mapping) -> dict:
    """The configuration with defaults filled in, keys sorted, and everything checked.

    Numbers that the schema calls numbers become float, so 1000 and 1000.0 are the same setting.
    What an exposure overrides stays as given there; see `exposure_settings`. Line tables may also
    be those that pixelcal brings; see `shipped_or_given`.

    Raises
    ------
    InputError
        One line with all mistakes: key, value, what is allowed.
    """
    plain = _plain(config, "")
    mistakes = mistakes_of([lambda: check_schema(plain, schema)])
    kept = without_mistakes(plain, schema) if mistakes else plain
    resolved = filled(kept, schema, schema)
    try:
        instrument = instrument_settings(resolved["instrument"])
    except InputError as error:
        raise InputError("; also ".join([*mistakes, str(error)])) from None
    resolved = _of_instrument(resolved, instrument)
    checks = [_check_layout, _check_multiplicity, _check_relation, _check_choices, _check_seconds]
    checks = [_check_relation] if mistakes else checks
    n_pixels = instrument["camera"]["pixels"]
    mistakes += mistakes_of([lambda: parse_pixels(resolved["pixels"], n_pixels)])
    mistakes += mistakes_of([partial(check, resolved, instrument) for check in checks])
    mistakes += mistakes_of(_file_checks(resolved))
    if mistakes:
        raise InputError("; also ".join(mistakes))
    return json.loads(json.dumps(resolved, sort_keys=True)) | {"exposures": resolved["exposures"]}


def resolved_instrument(config: Mapping) -> dict:
    """The instrument of a resolved configuration: its file, with the search window configured."""
    settings = instrument_settings(config["instrument"])
    settings["relation"]["search"] = dict(config["relation"]["search"])
    return settings


def instrument_folder(config: Mapping) -> str:
    """Name of the folder that the products of the instrument go to."""
    return Path(config["instrument"]).stem


def _of_instrument(config: Mapping, instrument: Mapping) -> dict:
    """The configuration with what it leaves to the instrument file."""
    config = copy.deepcopy(dict(config))
    relation, of_instrument = config["relation"], instrument["relation"]
    for key in ("gain_keV", "offset_keV"):
        if relation[key] is None:
            relation[key] = of_instrument[key]
    for key, value in relation["search"].items():
        if value is None:
            relation["search"][key] = of_instrument["search"][key]
    if config["lines"] is None:
        config["lines"] = instrument["lines"]
    events = config["events"]
    if events["layout"] is None:
        events["layout"] = instrument["layout"]
    if events["gti"]["criteria"] is None:
        # Only a file of good times has criteria; simulated events bring one.
        has_file = events["gti"]["file"] is not None or not events["files"]
        events["gti"]["criteria"] = instrument["good_time_criteria"] if has_file else []
    return config


def exposure_settings(config: Mapping, name: str) -> dict:
    """Settings of one exposure: its overrides merged onto those of all.

    Keys: seconds, multiplicity, injection, lines, fit.
    """
    exposure = config["exposures"][name]
    settings = {
        "seconds": exposure["seconds"],
        "multiplicity": exposure["multiplicity"] or config["events"]["multiplicity"],
        "lines": exposure["lines"] or config["lines"],
    }
    for key in _OVERRIDES:
        settings[key] = _merged(config[key], exposure[key] or {})
    return dict(sorted(settings.items()))


def _merged(base: Mapping, override: Mapping) -> dict:
    """`override` put onto `base`, mapping by mapping; keys sorted."""
    merged = copy.deepcopy(dict(base))
    for key, value in override.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if inner else copy.deepcopy(value)
    return dict(sorted(merged.items()))


def _plain(value: object, where: str) -> object:
    """A copy in the types of JSON; dates that YAML recognises become text again."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(
                    f'{named(where)}: the key {key!r} is not text; write it in quotes: "{key}"'
                )
        return {
            key: _plain(item, f"{where}.{key}" if where else key) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: {value} is not a finite number")
    return value


def _check_layout(config: Mapping, instrument: Mapping) -> None:
    """The layout is one that the instrument declares."""
    layout, known = config["events"]["layout"], instrument["layouts"]
    if layout not in known:
        raise InputError(
            f"events.layout: {shown(layout)} is no layout of {instrument['title']};"
            f" {meant(layout, known, 0.4)}allowed: {', '.join(known)}"
        )


def _check_seconds(config: Mapping, instrument: Mapping) -> None:
    """Ready spectra cannot be cut in time or by multiplicity, and hold channels."""
    events = config["events"]
    form = instrument["layouts"].get(events["layout"], {}).get("form", "events")
    if form == "events":
        return
    if not events["files"]:
        raise InputError(
            f"events.layout: {events['layout']!r} is of ready spectra, but events.files is empty;"
            " name the files"
        )
    for name, exposure in config["exposures"].items():
        if exposure["seconds"] is not None:
            raise InputError(
                f"exposures.{name}.seconds: {exposure['seconds']:g} s are asked for, but ready"
                " spectra cannot be cut in time; leave it out"
            )


def _check_choices(config: Mapping, instrument: Mapping) -> None:
    """What hangs together: files against simulation."""
    events, available = config["events"], config["simulation"]["good_seconds"]
    if events["files"]:
        return
    if not instrument["simulated"]:
        raise InputError(
            f"events.files: is empty, and pixelcal does not simulate {instrument['title']}; name"
            " its files"
        )
    named = {key: name for key, name in events["columns"].items() if name is not None}
    if named:
        key, name = next(iter(named.items()))
        raise InputError(
            f"events.columns.{key}: {name!r} names a column of your own files, but events.files is"
            " empty; name the files or leave the columns out"
        )
    if events["first_pixel"]:
        raise InputError(
            f"events.first_pixel: {events['first_pixel']} is how your own files count, but"
            " events.files is empty; name the files or leave it out"
        )
    if events["gti"]["file"] is not None:
        raise InputError(
            f"events.gti.file: {events['gti']['file']!r} is given, but events.files is empty and"
            " simulated events bring their own good times; name the files or set it to null"
        )
    _check_simulated_criteria(events["gti"]["criteria"])
    for name, exposure in config["exposures"].items():
        if exposure["seconds"] is not None and exposure["seconds"] > available:
            raise InputError(
                f"exposures.{name}.seconds: {exposure['seconds']:g} s are asked for, but"
                f" {available:g} s of good time are simulated (simulation.good_seconds);"
                f" allowed: at most {available:g}"
            )


def _check_relation(config: Mapping, instrument: Mapping) -> None:
    """The relation of every pixel is one that a pixel of the camera may have."""
    relation, possible = config["relation"], instrument["relation"]
    for key, (least, most), unit in (
        ("gain_keV", possible["gain_range_keV"], "keV/channel"),
        ("offset_keV", possible["offset_range_keV"], "keV"),
    ):
        if not least <= relation[key] <= most:
            raise InputError(
                f"relation.{key}: {relation[key]:g} is no value of this camera; allowed: {least:g}"
                f" to {most:g} {unit}"
            )


def _check_simulated_criteria(criteria: Iterable[str]) -> None:
    """The names in a file of the user are known only to its reader; these are known here."""
    for number, name in enumerate(criteria):
        if name not in SIMULATED_CRITERIA:
            raise InputError(
                f"events.gti.criteria[{number}]: {shown(name)} is no criterion of simulated"
                f" events; {meant(name, SIMULATED_CRITERIA, 0.4)}allowed:"
                f" {', '.join(SIMULATED_CRITERIA)}"
            )


def _check_multiplicity(config: Mapping, instrument: Mapping) -> None:
    """Events without a multiplicity cannot be chosen by it."""
    events = config["events"]
    layout = instrument["layouts"].get(events["layout"])
    if layout is None or layout["form"] != "events" or "multiplicity" in layout["columns"]:
        return
    if events["columns"]["multiplicity"] is not None:
        return
    chosen = {"events.multiplicity": events["multiplicity"]}
    for name, exposure in config["exposures"].items():
        chosen[f"exposures.{name}.multiplicity"] = exposure["multiplicity"]
    if all(config["exposures"][name]["multiplicity"] for name in config["exposures"]):
        del chosen["events.multiplicity"]
    for key, value in chosen.items():
        if value not in (None, "all"):
            raise InputError(
                f"{key}: {value!r} is asked for, but the layout {events['layout']} has no"
                " multiplicity; allowed: all, or name the column in events.columns.multiplicity"
            )


def _file_checks(config: Mapping) -> list[Callable[[], object]]:
    """Checks that every file that the configuration names can be read, and is named once."""
    named_files = [(key, path) for key, path in _named_files(config) if path is not None]
    return [
        *(
            partial(_check_file, key, shipped_or_given(path) if key.endswith("lines") else path)
            for key, path in named_files
        ),
        partial(_check_twice, config),
    ]


def _check_twice(config: Mapping) -> None:
    """No event file is named twice."""
    seen: dict[Path, str] = {}
    for path in config["events"]["files"]:
        first = seen.setdefault(Path(path).resolve(), path)
        if first is not path:
            raise InputError(
                f"events.files: {path!r} is the same file as {first!r}; its events would count"
                " twice; name it once"
            )


def line_tables(config: Mapping) -> list[str]:
    """The line tables of a resolved configuration; who knows lines reads them before any job."""
    tables = {exposure["lines"] or config["lines"] for exposure in config["exposures"].values()}
    return sorted(str(shipped_or_given(path)) for path in tables)


def _named_files(config: Mapping) -> list[tuple[str, str | None]]:
    """Keys and values of all files that a configuration can name."""
    events, exposures = config["events"], config["exposures"]
    return [
        ("bad_pixels", config["bad_pixels"]),
        ("events.gti.file", events["gti"]["file"]),
        ("relation.file", config["relation"]["file"]),
        ("lines", config["lines"]),
        *((f"events.files[{n}]", path) for n, path in enumerate(events["files"])),
        *((f"exposures.{name}.lines", given["lines"]) for name, given in exposures.items()),
        ("fit.response", config["fit"]["response"]),
        ("sstcam.bad_pixels", config["sstcam"]["bad_pixels"]),
        ("sstcam.pixel_map", config["sstcam"]["pixel_map"]),
        *(
            (f"exposures.{name}.fit.response", (given["fit"] or {}).get("response"))
            for name, given in exposures.items()
        ),
    ]


def _check_file(key: str, path: str) -> None:
    """A file is there, can be read, and has a name that Snakemake takes as it is."""
    if "{" in path or "}" in path or not path.isprintable():
        raise InputError(
            f"{key}: {path!r} has a brace or a control character in its name; rename the file"
        )
    try:
        there = Path(path).is_file()
    except OSError as error:
        raise InputError(f"{key}: {shown(path)} cannot be a file ({error.strerror})") from None
    if not there:
        raise InputError(f"{key}: {path!r} does not exist; allowed: an existing file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{key}: {path!r} cannot be read; check its permissions")


if __name__ == "__main__":
    with mistakes_in_one_line():
        for given in sys.argv[1:]:
            check_yaml(given)
