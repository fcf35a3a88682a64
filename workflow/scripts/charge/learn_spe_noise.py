"""Rule learn_spe_noise: dark counts, afterpulses and delayed crosstalk that all pixels have.

input: spectra
output: noise
params: fit (the keys of `sstcam.fit` but the size of a chunk), date
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.spe.columns import SPECTRA_EXTENSION, dark_runs, run_names
from pixelcal.charge.spe.dark_run.rows import check_dark_flashes
from pixelcal.charge.spe.fit import options_of
from pixelcal.charge.spe.noise.io import write_noise
from pixelcal.charge.spe.noise.learn import (
    LearntNoise,
    describe,
    learn_camera_noise,
    tell_adequacy,
)
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import read_columns
from pixelcal.workflow.script import running

with running(snakemake):
    params, options = snakemake.params, options_of(snakemake.params.fit)
    spectra = read_columns(snakemake.input.spectra, SPECTRA_EXTENSION)
    dark = dark_runs(spectra.meta)
    if dark.any():
        flashes = np.asarray(spectra["COUNTS"]).sum(axis=2)
        check_dark_flashes(flashes, dark, run_names(spectra.meta), options.min_flashes)
        learnt, summary = LearntNoise(None, 0), "not needed: dark runs show the pedestal"
    else:
        given = (np.asarray(spectra[name]) for name in ("COUNTS", "START", "WIDTH"))
        learnt = learn_camera_noise(*given, options)
        summary = describe(learnt)
    logging.getLogger("pixelcal").info(summary)
    doubt = tell_adequacy(learnt, options.misfit_limit)
    if doubt:
        logging.getLogger("pixelcal").warning(doubt)
    cards = [
        *provenance_cards("learn_spe_noise", settings=dict(params.fit), code=params.get("library")),
        *carried_cards(spectra.meta),
        ("HISTORY", summary),
    ]
    write_noise(snakemake.output.noise, learnt, cards, params.date)
