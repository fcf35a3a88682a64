"""Rule make_history: the relations of many epochs as one history, and what to look at.

input: relations (list), pixel_map; where configured prior (the relation in force before) and
    housekeeping
output: history, alarms
params: instrument, history (false_alarms, alarms, publication, housekeeping), date
"""

import logging
from pathlib import Path

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import read_pixel_map
from pixelcal.energy.history.alarms import write_lines
from pixelcal.energy.history.assembly import assemble, regressor_of
from pixelcal.energy.history.epochs import read_epochs
from pixelcal.energy.prior import read_usable
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import write_fits, write_text
from pixelcal.workflow.script import listed, running


def known_before(path, detnum, instrument):
    """The relation in force before, (name, gain (n,), offset (n,)); None without a file of it."""
    if path is None:
        return None
    usable, gain, offset = read_usable(path, instrument)
    values = np.full((2, instrument.n_pixels), np.nan)
    values[:, usable] = gain, offset
    return Path(path).name, *values[:, detnum]


with running(snakemake) as progress:
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    epochs = read_epochs(listed(given.relations), instrument)
    progress(1, 3)
    found = assemble(
        epochs,
        instrument,
        read_pixel_map(given.pixel_map),
        params.history,
        "make_history",
        regressor=regressor_of(epochs, params.history["housekeeping"]),
        known_before=known_before(given.get("prior"), epochs.detnum, instrument),
        code=params.get("library"),
    )
    progress(2, 3)
    write_fits(made.history, found.hdus, params.date)
    write_text(made.alarms, write_lines(found.alarms))
    logging.getLogger("pixelcal").info(
        "%d epochs, %d lines of alarms", len(epochs), len(found.alarms)
    )
