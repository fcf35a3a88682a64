"""Rule plot_charges: the charges of all pixels, to see how much a photoelectron is.

input: spectra
output: png, pdf
"""

import _path  # noqa: F401

from pixelcal.charge.figures.spe import charges_figure
from pixelcal.charge.spe.columns import SPECTRA_EXTENSION, run_names
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made = snakemake.input, snakemake.output
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    title = "SSTCAM: charges of the low-illumination runs"
    figure = charges_figure(spectra, run_names(spectra.meta), title)
    plots.save_figure(figure, made.png, made.pdf)
