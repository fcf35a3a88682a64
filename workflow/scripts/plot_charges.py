"""Rule plot_charges: the charges of all pixels, to see how much a photoelectron is.

input: spectra
output: png, pdf
"""

from pixelcal import plots
from pixelcal.products import read_columns
from pixelcal.script import running
from pixelcal.sstcam.figures_spe import charges_figure
from pixelcal.sstcam.spe_files import SPECTRA_EXTENSION

with running(snakemake):
    given, made = snakemake.input, snakemake.output
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    runs = [spectra.meta[f"RUN{i}"] for i in range(spectra.meta["NRUNS"])]
    figure = charges_figure(spectra, runs, "SSTCAM: charges of the low-illumination runs")
    plots.save_figure(figure, made.png, made.pdf)
