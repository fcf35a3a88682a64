"""Rule plot_spe_pixel: the spectra of one SSTCAM pixel with its fit.

input: spe, spectra
output: png, pdf
params: pixel
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.figures.spe import spectrum_figure
from pixelcal.charge.spe.columns import SPE_EXTENSION, SPECTRA_EXTENSION, run_names
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    rows = read_columns(given.spe, SPE_EXTENSION)
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    index = int(np.flatnonzero(np.asarray(rows["PIXEL"]) == params.pixel)[0])
    figure = spectrum_figure(spectra[index], rows[index], run_names(rows.meta), "SSTCAM")
    plots.save_figure(figure, made.png, made.pdf)
