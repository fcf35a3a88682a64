"""Rule plot_charge_resolution: the figures that are drawn from the charge resolution.

input: resolution
output: NAME_png and NAME_pdf of charge_resolution and extracted_charge
params: nsb_per_ns (list)
"""

import _path  # noqa: F401

from pixelcal.charge.figures.resolution import extracted_figure, resolution_figure
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    camera = read_columns(given.resolution, "CAMERA")
    pixels = read_columns(given.resolution, "PIXELS")
    header = camera.meta
    title = f"SSTCAM: {header['CONVENT']} convention, conversion {header['CONVERS']}"
    figures = {
        "charge_resolution": resolution_figure(camera, pixels, params.nsb_per_ns, title),
        "extracted_charge": extracted_figure(camera, title),
    }
    for name, figure in figures.items():
        plots.save_figure(figure, made[f"{name}_png"], made[f"{name}_pdf"])
