"""The report: one page that holds all it shows, and asks no network for anything.

The page is a template with the numbers written into it; Plotly is in it once and draws from
data that are JSON in the page.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from pixelcal.report.numbers import ABSENT

TEMPLATES = Path(__file__).parent / "templates"


def decimals(values, digits: int) -> list[float | None]:
    """Numbers rounded to so many decimals; None for what is not finite."""
    return [
        round(v, digits) if math.isfinite(v) else None for v in np.asarray(values, float).tolist()
    ]


def packed(values, kind: str) -> dict[str, str]:
    """An array as base64 of little-endian numbers: a third of what it takes as JSON text.

    `kind` is the numpy type without the byte order, such as "f4"; JavaScript has a typed array for
    each of f4, i2, i4, u1, u2, u4. Unsigned integers of 4 bytes take less where they are small.
    """
    values = np.asarray(values)
    if kind == "u4" and (not values.size or values.max() < 2**16):
        kind = "u1" if not values.size or values.max() < 2**8 else "u2"
    raw = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
    return {"type": kind, "data": base64.b64encode(raw).decode("ascii")}


def scaled(values: np.ndarray) -> dict:
    """Positive numbers as 16-bit integers times `step`: right to 1e-5 of the largest."""
    top = float(np.max(values)) if len(values) else 0.0
    # Rounded upwards in decimal, so that the largest number still fits.
    step = float(f"{1.001 * top / 65535:.4g}") or 1.0
    return packed(np.round(values / step), "u2") | {"step": step}


def without_empty(headings: Sequence, rows: Sequence[Sequence]) -> tuple[list, list[list]]:
    """Headings and rows of a table without the columns that have nothing in any row.

    The first cell of a row may be before all headings: then there is one more of them.
    """
    before = len(rows[0]) - len(headings) if rows else 0
    used = [
        number
        for number in range(len(headings))
        if not rows or any(row[number + before] != ABSENT for row in rows)
    ]
    kept = [[*row[:before], *(row[number + before] for number in used)] for row in rows]
    return [headings[number] for number in used], kept


def pixel_table(headings: Sequence, rows: Sequence[Mapping]) -> dict:
    """A table of pixels as the template takes it, `headings` and `rows`, without empty columns.

    `rows` have `pixel` and `cells` of (text, value to sort by), one for each of the headings.
    """
    texts = [[text for text, _ in row["cells"]] for row in rows]
    kept, _ = without_empty(range(len(headings)), texts)
    return {
        "headings": [headings[number] for number in kept],
        "rows": [{**row, "cells": [row["cells"][number] for number in kept]} for row in rows],
    }


def compact_json(value) -> str:
    """JSON without blanks, safe inside of a script element."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def source(name: str) -> str:
    """A file of the templates as it is: style and script need no filling in."""
    return (TEMPLATES / name).read_text("utf-8")


def render(template: str, **content) -> str:
    """The page: a template of this package filled, with Plotly in `plotly_js`.

    A name that the template uses and `content` lacks is an error, not a gap.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template(template)
    return page.render(plotly_js=get_plotlyjs(), source=source, **content)
