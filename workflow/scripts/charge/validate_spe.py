"""Rule validate_spe: the numbers that say how good the single-photoelectron fits are.

input: spe; where flashes are simulated pixels and peaks
output: validation
params: where flashes are simulated light (mean photoelectrons of each run) and fwhm_ns; charges
    (options of the extraction)
"""

import _path  # noqa: F401

from pixelcal.charge.extraction.io import read_peaks
from pixelcal.charge.spe.merge import SPE_EXTENSION
from pixelcal.charge.spe.truth import true_values
from pixelcal.charge.spe.validation import validate
from pixelcal.io.tables import read_columns, read_table, write_json
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    rows = read_columns(given.spe, SPE_EXTENSION)
    truth = None
    if given.get("pixels"):
        peaks, _ = read_peaks(given.peaks)
        own = (params.charges, params.light, params.fwhm_ns)
        truth = true_values(read_table(given.pixels), peaks.peak, *own)
    write_json(snakemake.output.validation, validate(rows, truth))
