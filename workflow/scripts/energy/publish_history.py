"""Rule publish_history: the mission's calibration files of a history, each with its validity.

input: history; where configured prior
output: published (a folder)
params: instrument, relation (gain_keV, offset_keV), date
"""

from pathlib import Path

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.history.mission_files import mission_files, mission_hdus
from pixelcal.energy.history.tables import EXTENSION
from pixelcal.energy.results.mission_file import previous_relation
from pixelcal.instrument import instrument_of
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import read_columns, write_fits
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    instrument = instrument_of(params.instrument)
    header = read_columns(given.history, EXTENSION).meta
    none = np.zeros(0, int)  # pixels of the run may lack a value in the file: they have a fit
    previous = previous_relation(given.get("prior"), none, **params.relation, instrument=instrument)
    cards = [
        *((key, header[key], header.comments[key]) for key in ("TELESCOP", "INSTRUME", "ORIGIN")),
        *provenance_cards("publish_history", inputs=[given.history], code=params.get("library")),
    ]
    folder = Path(snakemake.output.published)
    folder.mkdir(parents=True, exist_ok=True)
    for file in mission_files(given.history, previous):
        write_fits(folder / f"{file.name}.fits", mission_hdus(file, cards), params.date)
