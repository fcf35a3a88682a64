"""Rule plot_charges: the charges of all pixels, to see how much a photoelectron is.

input: spectra
output: png, pdf
"""

import _path  # noqa: F401

from pixelcal.charge.figures.spe import charges_figure
from pixelcal.charge.spe.files import SPECTRA_EXTENSION
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made = snakemake.input, snakemake.output
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    runs = [spectra.meta[f"RUN{i}"] for i in range(spectra.meta["NRUNS"])]
    figure = charges_figure(spectra, runs, "SSTCAM: charges of the low-illumination runs")
    plots.save_figure(figure, made.png, made.pdf)
