"""What was run, for the report: good time, software, input files with their checksums."""

from __future__ import annotations

from collections.abc import Sequence

from pixelcal.energy.report.products import Products
from pixelcal.report.numbers import ABSENT, duration
from pixelcal.report.provenance import input_files

FILES = (
    ("line table", "LINETAB", "LINESHA"),
    ("response", "RESPONSE", "RESPSHA"),
    ("bad pixels", "BADPIX", "BADSHA"),
)

EXACT_DIGITS = 6
"""Of the good time, where it is told what was run."""

MADE_HEADINGS = (
    "Good time used",
    "Good time available",
    "Multiplicity",
    "Method",
    "pixelcal",
    "Configuration (sha256)",
)


def content(exposures: Sequence[Products]) -> dict:
    """What the template shows of it, under the names that it uses."""
    return {
        "made_headings": MADE_HEADINGS,
        "made_rows": made_rows(exposures),
        "input_rows": input_rows(exposures),
    }


def made_rows(exposures: Sequence[Products]) -> list[list[str]]:
    """Name of each exposure, then the cells under MADE_HEADINGS."""
    rows = []
    for exposure in exposures:
        header, before = exposure.relation.meta, exposure.spectra.meta
        available = before.get("GOODTIME")
        rows.append(
            [
                exposure.name,
                duration(exposure.seconds, EXACT_DIGITS),
                ABSENT if available is None else duration(available, EXACT_DIGITS),
                header["MULTIPLI"],
                exposure.settings["method"],
                header["SOFTVERS"],
                header["CONFHASH"],
            ]
        )
    return rows


def input_rows(exposures: Sequence[Products]) -> list[list[str]]:
    """(what it is, name, SHA-256, exposures that used it) of every input file."""
    used: dict[tuple[str, str, str], list[str]] = {}
    for exposure in exposures:
        header = exposure.relation.meta
        inputs = [("input", *file) for file in input_files(header)]
        named = [(kind, header[a], header[b]) for kind, a, b in FILES if a in header]
        for file in inputs + named:
            used.setdefault(file, []).append(exposure.name)
    return [[*file, ", ".join(names)] for file, names in used.items()]
