"""Settings with the defaults of their JSON schema: a default is in one place, the schema."""

from __future__ import annotations

import copy
from collections.abc import Mapping


def filled(values: object, schema: Mapping, root: Mapping, fill: bool = True) -> object:
    """`values` with the defaults of `schema`, and numbers in the type that it names.

    A part of the schema that refers to another describes an override: its numbers are converted,
    but nothing is filled in, because what is not overridden comes from the settings of all.

    Parameters
    ----------
    values : of YAML or JSON
    schema, root : dict
        The part of a JSON schema that describes them, and the whole of it.
    fill : bool
        Whether defaults are filled in.
    """
    if "$ref" in schema:
        schema, fill = _referred(schema["$ref"], root), False
    if isinstance(values, Mapping):
        others = schema.get("additionalProperties") or {}
        properties = schema.get("properties", {})
        complete = {
            key: filled(value, properties.get(key, others), root, fill)
            for key, value in values.items()
        }
        for key, part in properties.items():
            if fill and key not in complete and "default" in part:
                complete[key] = filled(copy.deepcopy(part["default"]), part, root)
        return complete
    if isinstance(values, int | float) and not isinstance(values, bool):
        types = schema.get("type")
        if "number" in ([types] if isinstance(types, str) else types or ()):
            return float(values)
        if types == "integer":
            return int(values)
    return values


def _referred(reference: str, root: Mapping) -> Mapping:
    """The part of the schema that a reference within it ("#/a/b") means."""
    for key in reference.removeprefix("#/").split("/"):
        root = root[key]
    return root
