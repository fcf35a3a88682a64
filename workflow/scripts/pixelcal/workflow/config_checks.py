"""What a JSON schema cannot say of a configuration: what hangs together, and which files are there.

Each check raises an `InputError` of one line: key, value, what is allowed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.instrument import SIMULATED_CRITERIA
from pixelcal.io.fits_headers import read_headers
from pixelcal.io.resources import shipped_or_given
from pixelcal.workflow.dates import parse_date
from pixelcal.workflow.file_lists import gti_files
from pixelcal.workflow.runs import RESERVED
from pixelcal.workflow.schema_errors import meant, shown

LEARNT = ("bend", "free_elements", "include_lines")
"""Keys of `fit` on what is found with the response of the camera."""


def check_instrument(config: Mapping, instrument: Mapping) -> None:
    """The name of the instrument file is one that a folder of products can have."""
    name = Path(config["instrument"]).stem
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in RESERVED:
        raise InputError(
            f"instrument: {name!r} cannot be the name of a folder of products; name the file with"
            f" letters, digits, _ . - and none of {', '.join(RESERVED)}"
        )


def check_layout(config: Mapping, instrument: Mapping) -> None:
    """The layout is one that the instrument declares."""
    layout, known = config["events"]["layout"], instrument["layouts"]
    if layout not in known:
        raise InputError(
            f"events.layout: {shown(layout)} is not a layout of {instrument['title']};"
            f" {meant(layout, known, 0.4)}allowed: {', '.join(known)}"
        )


def check_columns(config: Mapping, instrument: Mapping) -> None:
    """Each quantity of an event has one column, and each column is one quantity."""
    named = {key: name for key, name in config["events"]["columns"].items() if name is not None}
    for one, other in (("energy", "channel"), ("pixel", "row"), ("pixel", "column")):
        if one in named and other in named:
            raise InputError(
                f"events.columns: names both {one} ({named[one]!r}) and {other} ({named[other]!r}),"
                " and nothing says which one counts; leave one of them out"
            )
    keys: dict[str, str] = {}
    for key, name in named.items():
        first = keys.setdefault(name, key)
        if first != key:
            raise InputError(
                f"events.columns.{key}: {name!r} is named as {first} already; name another column"
            )


def check_ready_spectra(config: Mapping, instrument: Mapping) -> None:
    """Ready spectra are files, and cannot be cut in time."""
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
        dated = next((key for key in ("start", "stop") if exposure[key] is not None), None)
        if dated is not None:
            raise InputError(
                f"exposures.{name}.{dated}: {exposure[dated]!r} is given, but ready spectra cannot"
                " be cut in time; leave it out, or use epochs, which take each file as a whole"
            )


def check_choices(config: Mapping, instrument: Mapping) -> None:
    """What hangs together: files against simulation; and that the date is one of the calendar."""
    if config["date"] is not None:
        parse_date(config["date"], "date")
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


def check_learnt(config: Mapping, instrument: Mapping) -> None:
    """What is found with the response needs one that is learnt."""
    for name, exposure in {"": {"fit": None}, **config["exposures"]}.items():
        fit = {**config["fit"], **(exposure["fit"] or {})}
        key = next((key for key in LEARNT if fit[key] not in (None, "none", [], False)), None)
        if key is None:
            continue
        where = f"exposures.{name}.fit.{key}" if name and exposure["fit"] else f"fit.{key}"
        if fit["method"] != "joint":
            raise InputError(
                f"{where}: {shown(fit[key])} is asked for, which the method {fit['method']} cannot"
                " find; allowed: fit.method: joint"
            )
        if fit["response"]:
            raise InputError(
                f"{where}: {shown(fit[key])} is asked for, but fit.response"
                f" {fit['response']!r} holds what was found when it was learnt; leave one of them"
                " out"
            )


def check_response(config: Mapping, instrument: Mapping) -> None:
    """A response that is given is one by its extensions; the fit compares it with its lines."""
    for key, path in _named_files(config):
        if not key.endswith("fit.response") or not path or not os.access(path, os.R_OK):
            continue
        found = [str(header.get("EXTNAME", "")).strip() for header in read_headers(path)]
        if "LINES" not in found:
            held = f"it has {', '.join(filter(None, found)) or 'no extension'}"
            raise InputError(
                f"{key}: {path!r} is no response of a camera ({held}, not LINES); give the"
                " response.fits of a run"
            )


def check_relation(config: Mapping, instrument: Mapping) -> None:
    """The relation of every pixel is one that a pixel of the camera may have."""
    relation, possible = config["relation"], instrument["relation"]
    for key, (least, most), unit in (
        ("gain_keV", possible["gain_range_keV"], "keV/channel"),
        ("offset_keV", possible["offset_range_keV"], "keV"),
    ):
        if not least <= relation[key] <= most:
            raise InputError(
                f"relation.{key}: {relation[key]:g} is outside of the range of this camera;"
                f" allowed: {least:g} to {most:g} {unit}"
            )


def _check_simulated_criteria(criteria: Iterable[str]) -> None:
    """The names in a file of the user are known only to its reader; these are known here."""
    for number, name in enumerate(criteria):
        if name not in SIMULATED_CRITERIA:
            raise InputError(
                f"events.gti.criteria[{number}]: {shown(name)} is not a criterion of simulated"
                f" events; {meant(name, SIMULATED_CRITERIA, 0.4)}allowed:"
                f" {', '.join(SIMULATED_CRITERIA)}"
            )


def check_adc_range(config: Mapping, instrument: Mapping) -> None:
    """The ends of the ADC are in their order: reversed, every sample would be outside."""
    given = config["sstcam"]["source"]["adc_range"]
    if given is not None and not given[0] < given[1]:
        low, high = given
        raise InputError(
            f"sstcam.source.adc_range: {low:g} is not below {high:g}; give the lowest value of a"
            " sample, then the highest"
        )


def check_window(config: Mapping, instrument: Mapping) -> None:
    """The window in which charges are summed contains the peak of the pulse."""
    charges = config["sstcam"]["charges"]
    if charges["window_shift"] >= charges["window"]:
        raise InputError(
            f"sstcam.charges.window_shift: {charges['window_shift']} samples before the peak end a"
            f" window of {charges['window']} samples before it; give less than"
            f" {charges['window']}, or a longer window"
        )


def check_multiplicity(config: Mapping, instrument: Mapping) -> None:
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


def file_checks(config: Mapping) -> list[Callable[[], object]]:
    """Checks that every file that the configuration names can be read, and is named once."""
    named_files = [(key, path) for key, path in _named_files(config) if path is not None]
    return [
        *(
            partial(check_file, key, shipped_or_given(path) if key.endswith("lines") else path)
            for key, path in named_files
        ),
        partial(_check_twice, config),
    ]


def _check_twice(config: Mapping) -> None:
    """No event file is named twice, nor a file of good times."""
    for key, paths, what in (
        ("events.files", config["events"]["files"], "its events would count twice; name it once"),
        ("events.gti.file", gti_files(config), "name it once"),
    ):
        seen: dict[str, str] = {}
        for path in paths:
            first = seen.setdefault(os.path.realpath(path), path)  # also of links in a circle
            if first is not path:
                raise InputError(f"{key}: {path!r} is the same file as {first!r}; {what}")


def _named_files(config: Mapping) -> list[tuple[str, str | None]]:
    """Keys and values of all files that a configuration can name."""
    events, exposures = config["events"], config["exposures"]
    return [
        ("bad_pixels", config["bad_pixels"]),
        ("relation.file", config["relation"]["file"]),
        ("lines", config["lines"]),
        *((f"events.files[{n}]", path) for n, path in enumerate(events["files"])),
        *(("events.gti.file", path) for path in gti_files(config)),
        *((f"exposures.{name}.lines", given["lines"]) for name, given in exposures.items()),
        ("fit.response", config["fit"]["response"]),
        ("history.housekeeping.file", config["history"]["housekeeping"]["file"]),
        ("sstcam.bad_pixels", config["sstcam"]["bad_pixels"]),
        ("sstcam.pixel_map", config["sstcam"]["pixel_map"]),
        *(
            (f"exposures.{name}.fit.response", (given["fit"] or {}).get("response"))
            for name, given in exposures.items()
        ),
    ]


def check_file(key: str, path: str) -> None:
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
