"""What a JSON schema finds wrong with a configuration, in one line: key, value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping

import jsonschema

from pixelcal.errors import InputError


def check_schema(config: dict, schema: Mapping) -> None:
    """Raise one line of all errors that the schema finds, in the order of the keys."""
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(config), key=lambda error: [str(p) for p in error.path])
    if errors:
        raise InputError("; also ".join(dict.fromkeys(map(_sentence, errors))))


def without_mistakes(config: dict, schema: Mapping) -> dict:
    """A copy of a configuration without the values that the schema finds wrong."""
    kept = {key: dict(v) if isinstance(v, dict) else v for key, v in config.items()}
    for error in jsonschema.Draft202012Validator(schema).iter_errors(config):
        path = list(error.path)
        if len(path) == 2 and path[0] != "exposures" and isinstance(kept.get(path[0]), dict):
            kept[path[0]].pop(path[1], None)
        elif path:
            kept.pop(path[0], None)
    return kept


def mistakes_of(checks: Iterable[Callable[[], object]]) -> list[str]:
    """What the checks say that fail, once each."""
    said = []
    for check in checks:
        try:
            check()
        except InputError as error:
            said.append(str(error))
    return list(dict.fromkeys(said))


def _sentence(error: jsonschema.ValidationError) -> str:
    """Key, value and what is allowed."""
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.path).lstrip(".")
    rule, limit = error.validator, error.validator_value
    if rule == "additionalProperties":
        return _unknown_key(where, error)
    if rule == "required":
        missing = next(key for key in limit if key not in error.instance)
        full = f"{where}.{missing}" if where else missing
        return f"{full}: is missing; it has no default"
    if rule == "propertyNames" or "propertyNames" in error.schema_path:
        return (
            f"{where}: {error.instance!r} cannot be the name of an exposure; allowed: up to 64"
            " letters, digits, _ . - with a letter or digit first, and not 'events'"
        )
    hint = ""
    if rule == "type" and isinstance(error.instance, str) and "number" in _listed(limit):
        hint = _number_hint(error.instance)
    if rule == "type" and where.split(".")[0] == "exposures" and where.count(".") < 2:
        hint = _exposure_hint(where, error.instance)
    return (
        f"{named(where)}: {shown(error.instance)} is not allowed; allowed: {_allowed(error)}{hint}"
    )


def _unknown_key(where: str, error: jsonschema.ValidationError) -> str:
    known = list(error.schema.get("properties", {}))
    key = next(key for key in error.instance if key not in known)
    full = f"{where}.{key}" if where else key
    return (
        f"{full}: {shown(error.instance[key])} is set under an unknown key;"
        f" {meant(key, known, 0.5)}allowed here: {', '.join(known)}"
    )


def meant(name: str, known: Iterable[str], likeness: float) -> str:
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
        words |= {"number": "a number", "integer": "a whole number", "boolean": "true or false"}
        return " or ".join(words[name] for name in _listed(limit))
    phrases = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minLength": "a text that is not empty",
        "minProperties": "at least {} entry",
        "maxProperties": "nothing (reserved)",
        "minItems": "at least {} value(s)",
        "maxItems": "at most {} values",
        "uniqueItems": "each entry once",
        "pattern": "a text such as 2026-01-31 or 2026-01-31T12:00:00",
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


def _exposure_hint(where: str, value: object) -> str:
    """How to write an exposure where its seconds, or its name, are alone."""
    first = value[0] if isinstance(value, list) and value else value
    seconds = first if isinstance(first, int | float) else 3000
    if isinstance(first, str) and first.replace(".", "", 1).isdigit():
        seconds = first
    name = "" if "." in where else "3ks: "
    return f"; write {name}{{seconds: {seconds}}}"


def _listed(value: object) -> Iterable[str]:
    return value if isinstance(value, list) else [value]


def shown(value: object) -> str:
    """A value as the file would have it, on one line and not too long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def named(where: str) -> str:
    return where or "the top level"
