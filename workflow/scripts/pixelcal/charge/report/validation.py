"""The SSTCAM's validation in the report: errors against truth, or what the fits predict."""

from __future__ import annotations

from collections.abc import Mapping

from pixelcal.report.numbers import with_error

QUANTITIES = {
    "PE": "Gain (pe)",
    "SIGMA_PED": "Width of the pedestal",
    "SIGMA_PE": "Width of a photoelectron",
    "OPCT": "Optical crosstalk",
    "EPED": "Pedestal",
    "LAMBDA": "Illumination λ",
}
"""Words for what is fitted, in the order of the table."""

COLUMNS = (
    ("Median", "median", "{:.5g}"),
    ("Spread over pixels", "spread", "{:.3g}"),
    ("Typical error", "sigma_median", "{:.3g}"),
)
TRUTH_COLUMNS = (
    ("Bias", "bias", "{:+.2g}"),
    ("Bias (%)", "relative_bias", "{:+.3f}"),
    ("RMS", "rms", "{:.3g}"),
    ("RMS / bound", "rms_over_bound", "{:.3f}"),
    ("Pull mean", "pull_mean", "{:+.3f}"),
    ("Pull width", "pull_std", "{:.3f}"),
    ("68 % coverage", "coverage_68", "{:.1%}"),
)
"""Heading, key in validation.json and format."""
PERCENT = {"relative_bias"}


def headings(numbers: Mapping) -> list[str]:
    """Headings of the table, after that of the quantity."""
    return [heading for heading, *_ in _columns(numbers)]


def _columns(numbers: Mapping):
    return (*COLUMNS, *TRUTH_COLUMNS) if numbers["truth"] else COLUMNS


def rows(numbers: Mapping, runs: list[str], unit: str) -> list[list[str]]:
    """A row per quantity: its name, then the cells under the headings, with standard errors."""
    table = []
    for key, quantity in sorted(numbers["quantities"].items(), key=lambda item: _place(item[0])):
        cells = [_name(key, runs, unit)]
        for _, name, form in _columns(numbers):
            factor = 100.0 if name in PERCENT else 1.0
            value, error = quantity[name], quantity.get(f"{name}_err")
            value = None if value is None else factor * value
            cells.append(with_error(value, None if error is None else factor * error, form))
        table.append(cells)
    return table


def _place(key: str) -> tuple[int, int]:
    name, _, run = key.rpartition("_") if key[-1].isdigit() else (key, "", "0")
    return list(QUANTITIES).index(name), int(run)


def _name(key: str, runs: list[str], unit: str) -> str:
    if not key[-1].isdigit():
        words, name = QUANTITIES[key], key
    else:
        name, _, run = key.rpartition("_")
        words = f"{QUANTITIES[name]}, {runs[int(run)]}"
    return words if name in ("OPCT", "LAMBDA") else f"{words} ({unit})"
