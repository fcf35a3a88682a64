"""Rule show_history: one self-contained page about the history of the camera.

input: history, alarms, pixel_map
output: page
params: instrument
"""

from pathlib import Path

import _path  # noqa: F401

from pixelcal.camera import read_pixel_map
from pixelcal.energy.history.page import page_content
from pixelcal.energy.history.tables import read_history
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import write_text
from pixelcal.report.frame import render
from pixelcal.workflow.script import running

with running(snakemake):
    given = snakemake.input
    content = page_content(
        read_history(given.history),
        Path(given.alarms).read_text("utf-8"),
        read_pixel_map(given.pixel_map),
        instrument_of(snakemake.params.instrument).title,
    )
    write_text(snakemake.output.page, render("history/history.html.j2", **content))
