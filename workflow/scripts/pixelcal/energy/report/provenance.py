"""What was run, for the report: settings, inputs with checksums, events counted and rejected.

There is no clock among it. How long jobs took differs from run to run, and with it in the page the
same input would no longer give the same bytes; it stands in results/benchmarks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pixelcal.energy.report.products import Products
from pixelcal.report.frame import ABSENT

FILES = (
    ("line table", "LINETAB", "LINESHA"),
    ("response", "RESPONSE", "RESPSHA"),
    ("bad pixels", "BADPIX", "BADSHA"),
)

MADE_HEADINGS = (
    "Good time used (s)",
    "Good time available (s)",
    "Multiplicity",
    "Method",
    "pixelcal",
    "Configuration (sha256)",
)


def made_rows(exposures: Sequence[Products]) -> list[list[str]]:
    """Name of each exposure, then the cells under MADE_HEADINGS."""
    rows = []
    for own in exposures:
        header, before = own.relation.meta, own.spectra.meta
        there = before.get("GOODTIME")
        rows.append(
            [
                own.name,
                f"{own.seconds:g}",
                ABSENT if there is None else f"{there:g}",
                header["MULTIPLI"],
                own.settings["method"],
                header["SOFTVERS"],
                header["CONFHASH"],
            ]
        )
    return rows


def input_rows(exposures: Sequence[Products]) -> list[list[str]]:
    """(what it is, name, SHA-256, exposures that used it) of every input file."""
    used: dict[tuple[str, str, str], list[str]] = {}
    for own in exposures:
        header = own.relation.meta
        inputs = [
            ("input", header[f"INFIL{number:03d}"], header[f"INSHA{number:03d}"])
            for number in range(1, header.get("NINFILE", 0) + 1)
        ]
        named = [(kind, header[a], header[b]) for kind, a, b in FILES if a in header]
        for file in inputs + named:
            used.setdefault(file, []).append(own.name)
    return [[*file, ", ".join(names)] for file, names in used.items()]


def event_rows(exposures: Sequence[Products]) -> tuple[list[str], list[list[str]]]:
    """What became of the events: headings, and for each exposure its name and the numbers.

    Both as the headers of the spectra have them. Reasons for which no exposure rejected an event
    are left out.
    """
    headers = [own.spectra.meta for own in exposures]
    if any("EVREAD" not in header for header in headers):
        return [], []
    reasons = [keyword for keyword in headers[0] if keyword.startswith("REJ")]
    rejected = [keyword for keyword in reasons if any(header[keyword] for header in headers)]
    keywords = ["EVREAD", "EVUSED", *rejected]
    rows = [
        [own.name, *(f"{header[keyword]:,}" for keyword in keywords)]
        for own, header in zip(exposures, headers, strict=True)
    ]
    return [headers[0].comments[keyword] for keyword in keywords], rows


def settings_text(settings: Mapping) -> str:
    """Settings as text; a long list of pixels becomes its ends."""
    settings = dict(settings)
    pixels = settings.get("pixels")
    if isinstance(pixels, list) and len(pixels) > 16:
        settings["pixels"] = f"{len(pixels)} pixels, DETNUM {pixels[0]} to {pixels[-1]}"
    return json.dumps(settings, indent=2, sort_keys=True)
