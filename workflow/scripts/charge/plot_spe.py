"""Rule plot_spe: the figures of the single-photoelectron fits.

input: spe, spectra, pixel_map
output: NAME_png and NAME_pdf of spe_camera, spe_parameters and spe_spectrum
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.figures import spe as figures
from pixelcal.charge.runs.pixel_grid import grid_of
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.charge.spe.checks.outliers import typical_pixel
from pixelcal.charge.spe.columns import SPE_EXTENSION, SPECTRA_EXTENSION, run_names
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    given, made = snakemake.input, snakemake.output
    rows = read_columns(given.spe, SPE_EXTENSION)
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    good = int((np.asarray(rows["STATUS"]) == 0).sum())
    title = f"SSTCAM: {good} of {len(rows)} pixels good"
    pixel, places = np.asarray(rows["PIXEL"]), np.array([rows["X"], rows["Y"]])
    grid = grid_of(read_pixel_map(given.pixel_map), pixel, places)
    example = typical_pixel(rows)
    drawn = {
        "spe_camera": lambda: figures.camera_figure(rows, grid, title),
        "spe_parameters": lambda: figures.parameters_figure(rows, title),
        "spe_spectrum": lambda: figures.spectrum_figure(
            spectra[example], rows[example], run_names(rows.meta), "SSTCAM"
        ),
    }
    for number, (name, draw) in enumerate(drawn.items(), 1):
        plots.save_figure(draw(), made[f"{name}_png"], made[f"{name}_pdf"])
        progress(number, len(drawn))
