"""Rule write_lists: lists of pixels as text.

input: relation; prior where it is a file; truth where it was injected
output: changed, over_requirement, no_answer
params: exposure, relation (gain_keV, offset_keV), changes (threshold_sigma)
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.prior import read_prior
from pixelcal.energy.results import pixel_lists as lists
from pixelcal.energy.results.changes import find_changes
from pixelcal.energy.truth import read_truth
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns, write_text
from pixelcal.report.numbers import duration
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    rows = read_columns(given.relation, "RELATION")
    detnum = np.asarray(rows["DETNUM"])
    prior = read_prior(given.get("prior"), detnum, **params.relation, instrument=instrument)
    truth = read_truth(given.truth, detnum) if given.get("truth") else None
    threshold = params.changes["threshold_sigma"]
    title = f"{instrument.title}, exposure {params.exposure} ({duration(rows.meta['EXPOSURE'])})"
    changes = find_changes(rows, prior, threshold)
    texts = {
        "changed": lists.changed_list(rows, changes, threshold, title),
        "over_requirement": lists.over_requirement_list(rows, truth, title, instrument.requirement),
        "no_answer": lists.no_valid_fit_list(rows, title),
    }
    for name, text in texts.items():
        write_text(made[name], text)
        n_pixels = sum(not line.startswith("#") for line in text.splitlines())
        logging.getLogger("pixelcal").info("%s: %d pixels", name, n_pixels)
