"""Rule make_sstcam_history: the gains of many sets of runs as one history, and what to look at.

input: sets (list of spe.fits), pixel_map
output: history, alarms, page
params: history (false_alarms, alarms), date
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.history.alarms import find_alarms, write_lines
from pixelcal.charge.history.epochs import check_on_map, read_epochs
from pixelcal.charge.history.history import make_history
from pixelcal.charge.history.page import page_content
from pixelcal.charge.history.product import history_hdus, lab_cards
from pixelcal.charge.runs.pixel_grid import grid_of
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits, write_text
from pixelcal.report.frame import render
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, made, settings = snakemake.input, snakemake.output, snakemake.params.history
    epochs = read_epochs(listed(given.sets))
    pixel_map = read_pixel_map(given.pixel_map)
    progress(1, 3)
    check_on_map(epochs, len(pixel_map.pixel))
    module = np.asarray(pixel_map.module)[epochs.pixel]
    history = make_history(epochs, module, settings["false_alarms"])
    limits = {key.removesuffix("_percent"): value for key, value in settings["alarms"].items()}
    alarms = find_alarms(history, limits)
    progress(2, 3)
    cards = [
        ("TELESCOP", "CTAO", "observatory"),
        ("INSTRUME", "SSTCAM", "camera"),
        ("ORIGIN", "pixelcal", "who made this file"),
        *provenance_cards(
            "make_sstcam_history", settings=settings, code=snakemake.params.get("library")
        ),
        *lab_cards(history),
    ]
    hdus = history_hdus(history, settings["false_alarms"], cards)
    write_fits(made.history, hdus, snakemake.params.date)
    write_text(made.alarms, write_lines(alarms))
    content = page_content(history, alarms, grid_of(pixel_map, epochs.pixel, epochs.place))
    write_text(made.page, render("charge/history.html.j2", **content))
    logging.getLogger("pixelcal").info("%d sets of runs, %d alarms", len(epochs), len(alarms))
