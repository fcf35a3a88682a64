"""The name of a run, and the folder that everything of it goes to.

Uses the standard library alone: the Snakefile needs it where there is no numpy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.instruments import INSTRUMENTS
from pixelcal.workflow.schema_errors import shown

RESULTS = "results"
"""The folder of all runs, and of the run without a name."""

RESERVED = ("benchmarks", "history", "logs", "sstcam")
"""Folders of `results` that are neither of an instrument nor of a run."""

_FILES = (".html", ".json", ".txt")
"""How files in the folder of a run end: no run is called like one."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def check_run(config: Mapping, instrument: Mapping) -> None:
    """The name of the run is one that a folder beside those in `results` can have.

    Raises
    ------
    InputError
        Where the name has other characters, or is that of a folder that is something else.
    """
    name = config["run"]
    if name is None:
        return
    text = str(name)
    if not _NAME.fullmatch(text):
        raise InputError(
            f"run: {shown(name)} cannot be the name of a run; allowed: up to 64 letters, digits,"
            " _ . - without a dot first; in --config run=NAME, a name that is not a plain number"
        )
    shipped = {path.stem for path in INSTRUMENTS.glob("*.yaml")}
    taken = {*RESERVED, *shipped, Path(config["instrument"]).stem}
    if text in taken or text.endswith(_FILES):
        what = "file" if text.endswith(_FILES) else "folder"
        raise InputError(
            f"run: {shown(name)} is the name of another {what} in {RESULTS}; choose another name"
        )
    if any(Path(RESULTS, text).glob("*/spectra.fits")):
        raise InputError(
            f"run: {shown(name)} is the folder of an instrument, as {RESULTS}/{text} has products"
            " of its exposures; choose another name"
        )


def results_folder(config: Mapping) -> str:
    """The folder of the run of a resolved configuration: results, or results/NAME."""
    return RESULTS if config["run"] is None else f"{RESULTS}/{config['run']}"
