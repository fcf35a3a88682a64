"""What was run, as the pages of both cameras show it: input files and settings.

There is no clock among it. How long jobs took differs from run to run, and with it in the page the
same input would no longer give the same bytes; it is in the benchmarks of the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

LONGEST_LIST = 16
"""A longer list of pixels becomes its ends."""


def input_files(header: Mapping) -> list[tuple[str, str]]:
    """(name, SHA-256) of the input files that the header of a product names."""
    return [
        (header[f"INFIL{number:03d}"], header[f"INSHA{number:03d}"])
        for number in range(1, int(header.get("NINFILE", 0)) + 1)
    ]


def settings_text(settings: Mapping) -> str:
    """Settings as text; a long list of pixels becomes its ends."""
    settings = dict(settings)
    pixels = settings.get("pixels")
    if isinstance(pixels, list) and len(pixels) > LONGEST_LIST:
        settings["pixels"] = f"{len(pixels)} pixels, {pixels[0]} to {pixels[-1]}"
    return json.dumps(settings, indent=2, sort_keys=True)


def folder_of_run(name: str | int | None) -> str:
    """The folder of a run, for the commands that a page names; None where the run has no name."""
    return "results" if name is None else f"results/{name}"
