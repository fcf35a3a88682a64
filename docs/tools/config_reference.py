"""Writes config/README.md and docs/instrument-file.md, every key with its description.

python docs/tools/config_reference.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pixelcal.io import instruments
from pixelcal.workflow.config import read_schema

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = PROJECT / "workflow" / "schemas" / "config.schema.yaml"
README = PROJECT / "config" / "README.md"
INSTRUMENT_SCHEMA = instruments.SCHEMA
INSTRUMENT_PAGE = PROJECT / "docs" / "instrument-file.md"

_INTRODUCTION = """\
# Configuration

Written from `workflow/schemas/config.schema.yaml` by `make docs`: do not edit it here.

- `config.yaml`: the full camera; loaded by itself.
- `try.yaml`: 64 pixels, one exposure and its page, `make try`.
- `ci.yaml`: the same chain on 64 pixels, `snakemake --configfile config/ci.yaml`.

A file given with `--configfile` is merged onto `config.yaml`, key by key: it names only what it
changes. One key is different: `exposures` in such a file **replace** those of `config.yaml`.

Paths are relative to the folder in which `snakemake` is started. A key that is not in this list, or
a value that is not allowed, stops the workflow before any job, with one line that says what is
allowed. YAML takes `1e-4` for text: write `1.0e-4`.
"""

_OF_AN_INSTRUMENT = """\
# The instrument file

This page is for everybody who writes or reads an instrument file. It lists every key. `make docs`
writes it from `resources/schemas/instrument.schema.yaml`, so do not edit it here. [Your own
camera](your-own-camera.md) shows how to write a file from scratch.

An instrument file can name other files. pixelcal looks for them in the folder where the workflow
runs, then beside the instrument file, then among its own resources. A key without a default must be
given.

"""

_WORDS = {
    "array": "list",
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "null": "`null`",
    "number": "number",
    "object": "keys",
    "string": "text",
}
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def keys(schema: Mapping, prefix: str = "") -> Iterator[tuple[str, Mapping]]:
    """Every key of the schema as (dotted name, its part of the schema), in its order.

    A name that the user chooses is written `<name>`. Keys of an override are those of the section
    that it overrides, and are not repeated.
    """
    for name, own in schema.get("properties", {}).items():
        if "$ref" in own:
            continue
        yield f"{prefix}{name}", own
        yield from keys(own, f"{prefix}{name}.")
        yield from keys(own.get("items", {}), f"{prefix}{name}[].")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from keys(schema["additionalProperties"], f"{prefix}<name>.")


def reference(schema: Mapping) -> str:
    """The text of config/README.md."""
    lines = [_INTRODUCTION]
    top = [(name, own) for name, own in schema["properties"].items() if not _is_section(own)]
    lines += ["## Top level", "", *_table(top)]
    for name, own in schema["properties"].items():
        if _is_section(own):
            rows = [(key, part) for key, part in keys(own, f"{name}.") if not _is_section(part)]
            lines += ["", f"## `{name}`", "", own["description"]]
            if own["default"]:
                lines += ["", f"Default: `{_text(own['default'])}`"]
            lines += ["", *_table(rows)] if rows else []
    return "\n".join(lines) + "\n"


def instrument_reference(schema: Mapping) -> str:
    """The text of docs/instrument-file.md."""
    rows = [(name, part) for name, part in keys(schema) if not _is_section(part)]
    return _OF_AN_INSTRUMENT + "\n".join(_table(rows)) + "\n"


def _is_section(own: Mapping) -> bool:
    """Whether a key only holds other keys, which are listed themselves."""
    return own.get("type") == "object"


def _table(rows: list[tuple[str, Mapping]]) -> list[str]:
    head = ["| Key | Allowed | Default | What it is |", "|---|---|---|---|"]
    return head + [
        f"| `{name}` | {_allowed(own)} | {_default(own)} | {own['description']} |"
        for name, own in rows
    ]


def _default(own: Mapping) -> str:
    return f"`{_text(own['default'])}`" if "default" in own else ""


def _allowed(own: Mapping) -> str:
    """The values that a key may have, in words."""
    if "enum" in own:
        return ", ".join(f"`{_text(value)}`" for value in own["enum"])
    types = own["type"] if isinstance(own["type"], list) else [own["type"]]
    words = " or ".join(_WORDS[name] for name in types)
    limits = [f"{sign} {own[rule]}" for rule, sign in _LIMITS.items() if rule in own]
    return ", ".join([words, *limits])


def _text(value: object) -> str:
    """A value as it would stand in YAML on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    README.write_text(reference(read_schema(SCHEMA)), encoding="utf-8")
    page = instrument_reference(read_schema(INSTRUMENT_SCHEMA))
    INSTRUMENT_PAGE.write_text(page, encoding="utf-8")
