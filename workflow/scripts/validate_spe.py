"""Rule validate_spe: the numbers that say how good the single-photoelectron fits are.

input: spe; where flashes are simulated pixels and peaks
output: validation
params: where flashes are simulated light (mean photoelectrons of each run) and fwhm_ns; charges
    (options of the extraction)
"""

from pixelcal.products import read_columns, read_table, write_json
from pixelcal.script import running
from pixelcal.sstcam.charge_files import read_peaks
from pixelcal.sstcam.spe_merging import SPE_EXTENSION
from pixelcal.sstcam.spe_truth import true_values
from pixelcal.sstcam.spe_validation import validate

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    rows = read_columns(given.spe, SPE_EXTENSION)
    truth = None
    if given.get("pixels"):
        peaks, _ = read_peaks(given.peaks)
        own = (params.charges, params.light, params.fwhm_ns)
        truth = true_values(read_table(given.pixels), peaks.peak, *own)
    write_json(snakemake.output.validation, validate(rows, truth))
