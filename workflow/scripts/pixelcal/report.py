"""The report: one page that holds all it shows, and asks no network for anything.

The page is a template with the numbers written into it; Plotly stands inside it once and draws from
data that are JSON in the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
        `meets` (bool), `text` (whether the camera meets the requirement) and `reasons` (how many
        pixels have no answer, and why).
    """
    key = "pass_fraction" if numbers["truth"] else "predicted_pass_fraction"
    shares = {energy: own[key] for energy, own in numbers["energies"].items()}
    known = {energy: share for energy, share in shares.items() if share is not None}
    if not known:
        return {
            "meets": False,
            "text": "No pixel has an answer.",
            "reasons": _reasons(numbers, labels),
        }
    worst = min(known, key=lambda energy: (known[energy], float(energy)))
    meets = len(known) == len(shares) and known[worst] >= REQUIRED_PASS_FRACTION
    words = "of the pixels pass" if numbers["truth"] else "of the pixels are predicted to pass"
    text = (
        f"{'Meets' if meets else 'Does not meet'} the requirement: at the worst energy,"
        f" {worst} keV, {known[worst]:.2%} {words} ({REQUIRED_PASS_FRACTION:.0%} wanted)."
    )
    return {"meets": meets, "text": text, "reasons": _reasons(numbers, labels)}


def _reasons(numbers: Mapping, labels: Mapping[str, str]) -> str:
    """How many pixels have no answer and why, in a sentence."""
    counts = numbers["status_counts"]
    lost = [
        f"{counts[name]} {labels[name]}"
        for name in ("TOO_FEW_COUNTS", "NOT_CONVERGED")
        if counts[name]
    ]
    text = f"{numbers['n_no_answer']} of {numbers['n_pixels']} pixels have no answer"
    text += f" ({', '.join(lost)})." if lost and numbers["n_no_answer"] else "."
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
                text += f" ± {form.replace('+', '').format(error)}"
            cells.append(text)
        rows.append(cells)
    return rows


def _number(value, form: str) -> str:
    return ABSENT if value is None else form.format(value)


def map_data(quantities: Sequence, status: np.ndarray) -> dict:
    """The maps of one exposure, rounded to what is worth showing.

    Parameters
    ----------
    quantities : sequence with `key`, `values` (n,), `digits`
    status : (n,) int

    Returns
    -------
    dict of lists of n numbers, None without an answer; `status` among them
    """
    data: dict = {"status": [int(value) for value in status]}
    for quantity in quantities:
        data[quantity.key] = [
            rounded(value, quantity.digits) if np.isfinite(value) else None
            for value in quantity.values
        ]
    return data


def rounded(value: float, digits: int) -> int | float:
    """A number with so many decimals; a whole one without any."""
    return round(float(value), digits) if digits else int(round(float(value)))


def compact_json(value) -> str:
    """JSON without blanks, safe inside of a script element."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


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
    return environment.get_template(template).render(plotly_js=get_plotlyjs(), **content)
