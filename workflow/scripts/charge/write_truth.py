"""Rule write_truth: what the fits of the simulated pixels should find.

input: pixels, peaks
output: truth
params: charges (options of the extraction), light (mean photoelectrons of each run), fwhm_ns,
    nsb_per_ns
"""

import _path  # noqa: F401

from pixelcal.charge.extraction.charges import window_of
from pixelcal.charge.extraction.io import read_peaks
from pixelcal.charge.simulation.truth import truth_table
from pixelcal.io.tables import read_table, write_ecsv
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    pixels, (peaks, _) = read_table(given.pixels), read_peaks(given.peaks)
    window = window_of(params.charges)
    truth = truth_table(pixels, peaks.peak, window, params.light, params.fwhm_ns, params.nsb_per_ns)
    write_ecsv(snakemake.output.truth, truth)
