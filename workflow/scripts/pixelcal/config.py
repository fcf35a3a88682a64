"""The configuration: defaults filled in, everything checked, one line for a mistake.

A mistake is an `InputError` that names the key, its value and what is allowed, raised before any
job starts. What a JSON schema can say stands in workflow/schemas/config.schema.yaml; the rest here.
"""

from __future__ import annotations

import copy
import datetime
import difflib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import yaml

from pixelcal.chunks import parse_pixels
from pixelcal.errors import InputError

N_PIXELS = 6400
"""Pixels of ECLAIRs; named again here because the Snakefile may have no numpy."""

GTI_CRITERIA = ("GTICAL-NEO", "GTICAL-PEO", "GTICAL-TEO", "GTICAL-NSA", "GTICAL-STA", "GTICAL-TLM")
"""Criteria that simulated events come with; also named again."""

_OVERRIDES = ("injection", "fit")


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Print an `InputError` of the body as one line on stderr and exit with code 1."""
    try:
        yield
    except InputError as error:
        print(f"configuration: {error}", file=sys.stderr)
        raise SystemExit(1) from None


# --- reading --------------------------------------------------------------------------------------


def read_schema(path: str | Path) -> dict:
    """The JSON schema of the configuration from a YAML file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def check_yaml(path: str | Path) -> None:
    """Check that a file is YAML with keys at its top level and no key twice in one place.

    Raises
    ------
    InputError
        With file, line and reason.
    """
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"{path}{where}: is not YAML ({' '.join(problem.split())})") from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected keys with values at the top level")
    _check_repeated_keys(path, root)


def _check_repeated_keys(path: str | Path, node: yaml.Node) -> None:
    """YAML would silently keep the last of two equal keys."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in seen:
                first = seen[key.value]
                raise InputError(
                    f"{path}, line {line}: the key {key.value} stands there a second time"
                    f" (first in line {first}); keep one"
                )
            seen[str(key.value)] = line
            _check_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_repeated_keys(path, item)


def replace_exposures(config: Mapping, overrides: Mapping) -> dict:
    """`config` with the exposures of `overrides` alone, where it has any.

    Snakemake merges a --configfile deeply onto the default configuration: the exposures of both
    would run.
    """
    own = {"exposures": copy.deepcopy(overrides["exposures"])} if "exposures" in overrides else {}
    return dict(config) | own


# --- defaults and checks --------------------------------------------------------------------------


def load_defaults(schema: Mapping) -> dict:
    """The configuration with every key at its default."""
    return _filled({}, schema, schema)


def resolve(config: Mapping, schema: Mapping) -> dict:
    """The configuration with defaults filled in, keys sorted, and everything checked.

    Numbers that the schema calls numbers become float, so 1000 and 1000.0 are the same setting.
    What an exposure overrides stays as given there; see `exposure_settings`.

    Raises
    ------
    InputError
        One line: key, value, what is allowed.
    """
    plain = _plain(config, "")
    _check_schema(plain, schema)
    resolved = _filled(plain, schema, schema)
    _check_choices(resolved)
    _check_files(resolved)
    return json.loads(json.dumps(resolved, sort_keys=True)) | {"exposures": resolved["exposures"]}


def exposure_settings(config: Mapping, name: str) -> dict:
    """Settings of one exposure: its overrides merged onto those of all.

    Keys: seconds, multiplicity, injection, lines, fit.
    """
    own = config["exposures"][name]
    settings = {
        "seconds": own["seconds"],
        "multiplicity": own["multiplicity"] or config["events"]["multiplicity"],
        "lines": own["lines"] or config["lines"],
    }
    for key in _OVERRIDES:
        settings[key] = _merged(config[key], own[key] or {})
    return dict(sorted(settings.items()))


def _merged(base: Mapping, override: Mapping) -> dict:
    """`override` put onto `base`, mapping by mapping; keys sorted."""
    merged = copy.deepcopy(dict(base))
    for key, value in override.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if inner else copy.deepcopy(value)
    return dict(sorted(merged.items()))


def _filled(values: object, schema: Mapping, root: Mapping, fill: bool = True) -> object:
    """`values` with the defaults of `schema`, and numbers in the type that it names.

    A part of the schema that refers to another describes an override: its numbers are converted,
    but nothing is filled in, because what is not overridden comes from the settings of all.
    """
    if "$ref" in schema:
        schema, fill = _referred(schema["$ref"], root), False
    if isinstance(values, Mapping):
        others = schema.get("additionalProperties") or {}
        properties = schema.get("properties", {})
        filled = {
            key: _filled(value, properties.get(key, others), root, fill)
            for key, value in values.items()
        }
        for key, own in properties.items():
            if fill and key not in filled and "default" in own:
                filled[key] = _filled(copy.deepcopy(own["default"]), own, root)
        return filled
    if isinstance(values, int | float) and not isinstance(values, bool):
        if schema.get("type") == "number":
            return float(values)
        if schema.get("type") == "integer":
            return int(values)
    return values


def _referred(reference: str, root: Mapping) -> Mapping:
    """The part of the schema that a reference within it ("#/a/b") means."""
    for key in reference.removeprefix("#/").split("/"):
        root = root[key]
    return root


def _plain(value: object, where: str) -> object:
    """A copy in the types of JSON; dates that YAML recognises become text again."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(
                    f'{_name(where)}: the key {key!r} is not text; write it in quotes: "{key}"'
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


def _check_choices(config: Mapping) -> None:
    """What hangs together: pixels of the camera, and files against simulation."""
    parse_pixels(config["pixels"], N_PIXELS)
    _check_multiplicity(config)
    events, available = config["events"], config["simulation"]["good_seconds"]
    if events["files"]:
        return
    named = {key: name for key, name in events["columns"].items() if name is not None}
    if named:
        key, name = next(iter(named.items()))
        raise InputError(
            f"events.columns.{key}: {name!r} names a column of your own files, but events.files is"
            " empty; name the files or leave the columns out"
        )
    if events["gti"]["file"] is not None:
        raise InputError(
            f"events.gti.file: {events['gti']['file']!r} is given, but events.files is empty and"
            " simulated events bring their own good times; name the files or set it to null"
        )
    _check_simulated_criteria(events["gti"]["criteria"])
    for name, exposure in config["exposures"].items():
        if exposure["seconds"] > available:
            raise InputError(
                f"exposures.{name}.seconds: {exposure['seconds']:g} s are asked for, but"
                f" {available:g} s of good time are simulated (simulation.good_seconds);"
                f" allowed: at most {available:g}"
            )


def _check_simulated_criteria(criteria: Iterable[str]) -> None:
    """The names in a user's own file are known only to its reader; these are known here."""
    for number, name in enumerate(criteria):
        if name not in GTI_CRITERIA:
            raise InputError(
                f"events.gti.criteria[{number}]: {_shown(name)} is no criterion of simulated"
                f" events; {_meant(name, GTI_CRITERIA, 0.4)}allowed: {', '.join(GTI_CRITERIA)}"
            )


def _check_multiplicity(config: Mapping) -> None:
    """Events without a multiplicity cannot be chosen by it."""
    events = config["events"]
    if events["layout"] != "ecl-evt-cal" or events["columns"]["multiplicity"] is not None:
        return
    chosen = {"events.multiplicity": events["multiplicity"]}
    for name, own in config["exposures"].items():
        chosen[f"exposures.{name}.multiplicity"] = own["multiplicity"]
    if all(config["exposures"][name]["multiplicity"] for name in config["exposures"]):
        del chosen["events.multiplicity"]
    for key, value in chosen.items():
        if value not in (None, "all"):
            raise InputError(
                f"{key}: {value!r} is asked for, but the layout ecl-evt-cal has no multiplicity;"
                " allowed: all, or name the column in events.columns.multiplicity"
            )


def _check_files(config: Mapping) -> None:
    """Every file that the configuration names exists."""
    named = [
        ("bad_pixels", config["bad_pixels"]),
        ("events.gti.file", config["events"]["gti"]["file"]),
        ("relation.file", config["relation"]["file"]),
        ("lines", config["lines"]),
    ]
    named += [(f"events.files[{n}]", path) for n, path in enumerate(config["events"]["files"])]
    named += [
        (f"exposures.{name}.lines", own["lines"]) for name, own in config["exposures"].items()
    ]
    named += [("fit.response", config["fit"]["response"])]
    named += [
        (f"exposures.{name}.fit.response", (own["fit"] or {}).get("response"))
        for name, own in config["exposures"].items()
    ]
    for key, path in named:
        if path is not None and not Path(path).is_file():
            raise InputError(f"{key}: {path!r} does not exist; allowed: an existing file")


# --- what the schema finds, in one line -----------------------------------------------------------


def _check_schema(config: dict, schema: Mapping) -> None:
    """Raise the first of the errors that the schema finds, in the order of the keys."""
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(config), key=lambda error: [str(p) for p in error.path])
    if errors:
        raise InputError(_one_line(errors[0]))


def _one_line(error: jsonschema.ValidationError) -> str:
    """Key, value and what is allowed."""
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.path).lstrip(".")
    rule, limit = error.validator, error.validator_value
    if rule == "additionalProperties":
        return _unknown_key(where, error)
    if rule == "required":
        missing = next(key for key in limit if key not in error.instance)
        return f"{where}.{missing}: is missing; it has no default"
    if rule == "propertyNames" or "propertyNames" in error.schema_path:
        return (
            f"{where}: {error.instance!r} cannot be the name of an exposure; allowed: letters,"
            " digits, _ . - with a letter or digit first, and not 'events'"
        )
    hint = ""
    if rule == "type" and isinstance(error.instance, str) and "number" in _listed(limit):
        hint = _number_hint(error.instance)
    return (
        f"{_name(where)}: {_shown(error.instance)} is not allowed; allowed: {_allowed(error)}{hint}"
    )


def _unknown_key(where: str, error: jsonschema.ValidationError) -> str:
    known = list(error.schema.get("properties", {}))
    key = next(key for key in error.instance if key not in known)
    full = f"{where}.{key}" if where else key
    return (
        f"{full}: {_shown(error.instance[key])} is set under an unknown key;"
        f" {_meant(key, known, 0.5)}allowed here: {', '.join(known)}"
    )


def _meant(name: str, known: Iterable[str], likeness: float) -> str:
    """A question about the nearest of the known names, where one is near."""
    close = difflib.get_close_matches(name, known, 1, likeness)
    return f"did you mean {close[0]}? " if close else ""


def _allowed(error: jsonschema.ValidationError) -> str:
    """What the broken rule of the schema allows, in words."""
    rule, limit = error.validator, error.validator_value
    if rule == "enum":
        return ", ".join("null" if value is None else str(value) for value in limit)
    if rule == "type":
        words = {"null": "null", "array": "a list", "object": "keys with values", "string": "text"}
        words |= {"number": "a number", "integer": "a whole number"}
        return " or ".join(words[name] for name in _listed(limit))
    phrases = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minLength": "a text that is not empty",
        "minProperties": "at least {} entry",
        "maxProperties": "nothing (reserved)",
        "uniqueItems": "each entry once",
        "pattern": "a text as 2026-01-31 or 2026-01-31T12:00:00",
    }
    return phrases[rule].format(limit)


def _number_hint(text: str) -> str:
    """YAML takes 1e-4 for text: say how to write it."""
    try:
        number = float(text)
    except ValueError:
        return ""
    mantissa, _, exponent = f"{number:.6e}".partition("e")
    digits = mantissa.rstrip("0")
    return f", written {digits}{'0' * digits.endswith('.')}e{int(exponent):+d} without quotes"


def _listed(value: object) -> Iterable[str]:
    return value if isinstance(value, list) else [value]


def _shown(value: object) -> str:
    """A value as it would stand in the file, on one line and not too long."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _name(where: str) -> str:
    return where or "the top level"
