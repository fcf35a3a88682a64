"""Rule plot_spe_pixel: the spectra of one SSTCAM pixel with its fit.

input: spe, spectra
output: png, pdf
params: pixel
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.figures.spe import spectrum_figure
from pixelcal.charge.spe.files import SPECTRA_EXTENSION
from pixelcal.charge.spe.merge import SPE_EXTENSION
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    rows = read_columns(given.spe, SPE_EXTENSION)
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    found = np.flatnonzero(np.asarray(rows["PIXEL"]) == int(params.pixel))
    if not len(found):
        raise InputError(
            f"pixel {int(params.pixel)} is not among the {len(rows)} of {given.spe};"
            " choose one of these, or add it to `sstcam.pixels`"
        )
    index = int(found[0])
    runs = [rows.meta[f"RUN{i}"] for i in range(rows.meta["NRUNS"])]
    figure = spectrum_figure(spectra[index], rows[index], runs, "SSTCAM")
    plots.save_figure(figure, made.png, made.pdf)
