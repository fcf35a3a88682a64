"""The configuration: defaults filled in, everything checked, one line for a mistake.

A mistake is an `InputError` that names the key, its value and what is allowed, raised before any
job starts. workflow/schemas/config.schema.yaml has what a JSON schema can check, the rest is here.
"""

from __future__ import annotations

import copy
import datetime
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from pixelcal.errors import InputError, one_line
from pixelcal.io.chunks import parse_pixels
from pixelcal.io.resources import shipped_or_given
from pixelcal.io.schema_defaults import filled
from pixelcal.workflow.config_checks import (
    check_adc_range,
    check_choices,
    check_columns,
    check_instrument,
    check_layout,
    check_learnt,
    check_multiplicity,
    check_ready_spectra,
    check_relation,
    check_response,
    check_window,
    file_checks,
)
from pixelcal.workflow.epochs import Files, files_of_exposures, with_dates
from pixelcal.workflow.file_lists import with_files_found
from pixelcal.workflow.instruments import instrument_settings
from pixelcal.workflow.runs import check_run
from pixelcal.workflow.schema_errors import (
    check_schema,
    mistakes_of,
    named,
    without_mistakes,
)
from pixelcal.workflow.yaml_files import check_yaml

IDEAL_LINES = "resources/lines/all_blocks.csv"
"""What shines on the ideal camera, and is fitted there where nothing else is configured."""

_OVERRIDES = ("injection", "fit")
_FOLDERS = (
    "logs",
    "benchmarks",
    "history",
    *(f"sstcam/{part}/{which}" for part in ("runs", "charges") for which in ("spe", "scan")),
    *(
        f"sstcam/{part}"
        for part in ("spe/chunks", "charge_resolution", "figures", "pixels", "history")
    ),
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
    would run. Where it has none but `epochs`, those of the default configuration go as well.
    What `command_line` has of them (--config) goes before; Snakemake leaves the numbers
    in it as text.
    """
    if "exposures" not in overrides:
        kept = dict(config)
        if kept.get("epochs") is not None:
            kept.pop("exposures", None)
        return kept
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
    Without `exposures` beside `epochs` there are none but those. What an exposure overrides stays
    as given there; see `exposure_settings`. Line tables may also
    be those that pixelcal brings; see `shipped_or_given`.

    Raises
    ------
    InputError
        One line with all mistakes: key, value, what is allowed.
    """
    plain = _plain(config, "")
    of_epochs = plain.get("epochs") is not None and "exposures" not in plain
    mistakes = mistakes_of([lambda: check_schema(plain, schema)])
    kept = without_mistakes(plain, schema) if mistakes else plain
    defaults = filled(kept, schema, schema) | ({"exposures": {}} if of_epochs else {})
    resolved, unmatched = with_files_found(defaults)
    mistakes += unmatched
    try:
        instrument = instrument_settings(resolved["instrument"])
    except InputError as error:
        raise InputError("; also ".join([*mistakes, str(error)])) from None
    resolved = _of_instrument(resolved, instrument)
    try:
        resolved = with_dates(resolved)
    except InputError as error:
        mistakes.append(str(error))
    checks = [check_instrument, check_layout, check_multiplicity]
    checks += [check_relation, check_choices, check_ready_spectra, check_learnt, check_adc_range]
    checks += [check_window, check_response, check_columns]
    checks = [check_relation] if mistakes else checks
    n_pixels = instrument["camera"]["pixels"]
    mistakes += mistakes_of([lambda: parse_pixels(resolved["pixels"], n_pixels)])
    mistakes += mistakes_of([partial(check, resolved, instrument) for check in checks])
    mistakes += mistakes_of(file_checks(resolved))
    mistakes += mistakes_of([partial(check_run, resolved, instrument)])
    if mistakes:
        raise InputError("; also ".join(mistakes))
    return json.loads(json.dumps(resolved, sort_keys=True)) | {"exposures": resolved["exposures"]}


def resolved_instrument(config: Mapping) -> dict:
    """The instrument of a resolved configuration: its file, with the search window configured."""
    settings = instrument_settings(config["instrument"])
    configured = config["relation"]["search"]
    settings["relation"]["search"] = {key: configured[key] for key in ("gain", "offset_keV")}
    return settings


def energy_range(config: Mapping) -> tuple[float, float]:
    """Energies (keV) of the first and the last channel of a resolved configuration's camera."""
    n_channels = instrument_settings(config["instrument"])["camera"]["channels"]
    gain, offset = (config["relation"][key] for key in ("gain_keV", "offset_keV"))
    return offset, offset + gain * n_channels


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
    for key, value in of_instrument["search"].items():
        if relation["search"][key] is None:
            relation["search"][key] = value
    if config["lines"] is None:
        ideal = config["simulation"]["camera"] == "ideal" and not config["events"]["files"]
        # Its sky has the lines of this table, and no others.
        config["lines"] = IDEAL_LINES if ideal else instrument["lines"]
    events = config["events"]
    if events["layout"] is None:
        events["layout"] = instrument["layout"]
    if events["gti"]["criteria"] is None:
        # Only a file of good times has criteria; simulated events bring one.
        has_file = events["gti"]["file"] is not None or not events["files"]
        events["gti"]["criteria"] = instrument["good_time_criteria"] if has_file else []
    return config


def exposures_with_epochs(config: Mapping, strict: bool = True) -> tuple[dict, dict[str, Files]]:
    """The exposures of a resolved configuration with its epochs, and the files that each needs.

    `strict` as in `epochs.files_of_exposures`.

    Raises
    ------
    InputError
        As `epochs.files_of_exposures`.
    """
    layout = instrument_settings(config["instrument"])["layouts"][config["events"]["layout"]]
    return files_of_exposures(config, layout, strict=strict)


def exposure_settings(config: Mapping, name: str) -> dict:
    """Settings of one exposure: its overrides merged onto those of all.

    Keys: seconds, start, stop, multiplicity, injection, lines, fit.
    """
    exposure = config["exposures"][name]
    settings = {
        "seconds": exposure["seconds"],
        "start": exposure["start"],
        "stop": exposure["stop"],
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
    if value is not None and not isinstance(value, str | int | float):
        raise InputError(
            f"{where}: is of a type of YAML ({type(value).__name__}) that no key takes; write text,"
            " a number or a list"
        )
    return value


def line_tables(config: Mapping) -> list[str]:
    """The line tables of a resolved configuration; who knows lines reads them before any job."""
    tables = {exposure["lines"] or config["lines"] for exposure in config["exposures"].values()}
    return sorted(str(shipped_or_given(path)) for path in tables)


if __name__ == "__main__":
    with mistakes_in_one_line():
        for given in sys.argv[1:]:
            check_yaml(given)
