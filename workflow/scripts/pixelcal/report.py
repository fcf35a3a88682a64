"""The report: one page that holds all it shows, and asks no network for anything.

The page is a template with the numbers written into it; Plotly stands inside it once and draws from
data that are JSON in the page.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

TEMPLATES = Path(__file__).parent / "templates"
ABSENT = "–"
"""Shown where a number cannot be told."""

REQUIRED_PASS_FRACTION = 0.95
"""A camera meets the requirement where this share of its pixels does, at every energy."""

COLUMNS = (
    ("Bias (keV)", "bias_keV", "{:+.4f}"),
    ("RMS (keV)", "rms_keV", "{:.4f}"),
    ("Predicted RMS (keV)", "rms_bound_keV", "{:.4f}"),
    ("RMS / bound", "rms_over_bound", "{:.3f}"),
    ("Pull mean", "pull_mean", "{:+.3f}"),
    ("Pull width", "pull_std", "{:.3f}"),
    ("68 % coverage", "coverage_68", "{:.1%}"),
    ("Pass fraction", "pass_fraction", "{:.2%}"),
    ("Predicted pass fraction", "predicted_pass_fraction", "{:.2%}"),
    ("Change from prior, RMS (keV)", "change_rms_keV", "{:.4f}"),
)
"""Heading, key in validation.json and format of the table's columns."""

ERRORS = {
    "bias_keV": "bias_err_keV",
    "pull_mean": "pull_mean_err",
    "pull_std": "pull_std_err",
    "coverage_68": "coverage_68_err",
    "pass_fraction": "pass_fraction_err",
}
"""Key of the standard error of a column, where it has one."""


def verdict(numbers: Mapping, labels: Mapping[str, str]) -> dict:
    """What to say first about an exposure.

    Parameters
    ----------
    numbers : validation of one exposure
    labels : words for the names of the STATUS bits

    Returns
    -------
    dict
        `meets` (bool), `share` (pass fraction at the worst energy, as text), `text` (whether the
        camera meets the requirement) and `reasons` (how many pixels have no answer, and why).
    """
    key = "pass_fraction" if numbers["truth"] else "predicted_pass_fraction"
    shares = {energy: own[key] for energy, own in numbers["energies"].items()}
    known = {energy: share for energy, share in shares.items() if share is not None}
    reasons = _reasons(numbers, labels)
    if not known or not numbers["n_answers"]:
        return {
            "meets": False,
            "share": ABSENT,
            "text": "No pixel has an answer.",
            "reasons": reasons,
        }
    worst = min(known, key=lambda energy: (known[energy], float(energy)))
    meets = len(known) == len(shares) and known[worst] >= REQUIRED_PASS_FRACTION
    words = "of the pixels pass" if numbers["truth"] else "of the pixels are predicted to pass"
    share = percent(known[worst], 2)
    text = (
        f"{'Meets' if meets else 'Does not meet'} the requirement: at the worst energy,"
        f" {worst} keV, {share} {words} ({percent(REQUIRED_PASS_FRACTION, 0)} wanted)."
    )
    return {"meets": meets, "share": share, "text": text, "reasons": reasons}


def _reasons(numbers: Mapping, labels: Mapping[str, str]) -> str:
    """How many pixels have no answer and why, in a sentence."""
    counts = numbers["status_counts"]
    lost = [
        f"{counts[name]} {labels[name]}"
        for name in ("TOO_FEW_COUNTS", "NOT_CONVERGED")
        if counts[name]
    ]
    n, n_pixels = numbers["n_no_answer"], numbers["n_pixels"]
    if n:
        text = f"{n} of {n_pixels} pixel{'s have' if n_pixels > 1 else ' has'} no answer"
        text += f" ({', '.join(lost)})." if lost else "."
    else:
        text = "Every pixel has an answer."
    if numbers["n_masked"]:
        text += f" {numbers['n_masked']} more are masked by the user and not counted."
    return text


def energy_table(numbers: Mapping, part: str | None = None) -> list[list[str]]:
    """Cells of the table of one exposure: energy, requirement and COLUMNS, a row an energy.

    `part` may be "good": the pixels with STATUS 0 alone.
    """
    rows = []
    for energy in sorted(numbers["energies"], key=float):
        own = numbers["energies"][energy]
        own = own[part] if part else own
        cells = [energy, f"{own['requirement_keV']:g}"]
        for _, key, form in COLUMNS:
            text = _number(own[key], form)
            error = own[ERRORS[key]] if key in ERRORS else None
            if error is not None and text != ABSENT:
                text += f" ± {_number(error, form.replace('+', ''))}"
            cells.append(text)
        rows.append(cells)
    return rows


def passed(numbers: Mapping, has_truth: bool) -> dict:
    """Pass fraction at one energy as text, and whether it is enough."""
    share = numbers["pass_fraction" if has_truth else "predicted_pass_fraction"]
    text = ABSENT if share is None else percent(share, 1)
    return {"text": text, "meets": share is not None and share >= REQUIRED_PASS_FRACTION}


def percent(share: float, digits: int) -> str:
    """A share in per cent, with the unit."""
    return f"{100 * share:.{digits}f} %"


def _number(value, form: str) -> str:
    """A number in its format, a share with a blank before its unit."""
    return ABSENT if value is None else form.format(value).replace("%", " %")


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
