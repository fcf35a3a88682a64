"""Rule validate_spe: the numbers that say how good the single-photoelectron fits are.

input: spe; where flashes are simulated pixels and peaks
output: validation
params: where flashes are simulated light (mean photoelectrons of each run) and fwhm_ns; charges
    (options of the extraction)
"""

import numpy as np

from pixelcal.products import read_columns, read_table, write_json
from pixelcal.script import running
from pixelcal.sstcam.charge_files import read_peaks
from pixelcal.sstcam.charge_options import window_of
from pixelcal.sstcam.flash_simulation import true_parameters
from pixelcal.sstcam.spe_merging import SPE_EXTENSION
from pixelcal.sstcam.spe_validation import validate

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    rows = read_columns(given.spe, SPE_EXTENSION)
    truth = None
    if given.get("pixels"):
        pixels, (peaks, _) = read_table(given.pixels), read_peaks(given.peaks)
        window = window_of(params.charges)
        truth = true_parameters(pixels, peaks.peak, window, params.fwhm_ns)
        light = np.asarray(params.light)
        truth["LAMBDA"] = np.asarray(pixels["EFFICIENCY"])[:, np.newaxis] * light
        truth["EPED"] = np.repeat(truth["EPED"][:, np.newaxis], len(light), axis=1)
    write_json(snakemake.output.validation, validate(rows, truth))
