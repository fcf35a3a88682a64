"""Rule plot_camera: the maps of one exposure as a figure.

input: relation, pixel_map; truth where it was injected
output: figure
params: exposure
"""

import numpy as np

from pixelcal import plots
from pixelcal.camera import module_borders, read_pixel_map
from pixelcal.eclairs.quantities import STATUS_LABELS, gravest_status, relation_quantities
from pixelcal.eclairs.truth import read_truth
from pixelcal.products import read_columns
from pixelcal.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    rows = read_columns(given.relation, "RELATION")
    detnum = np.asarray(rows["DETNUM"])
    truth = read_truth(given.truth, detnum) if given.get("truth") else None
    fourth = "sigma_80" if truth is None else "error_4"
    wanted = ("gain", "offset", "sigma_4", fourth, "fwhm_60")
    offered = {quantity.key: quantity for quantity in relation_quantities(rows, truth)}
    figure = plots.camera_figure(
        [offered[key] for key in wanted],
        gravest_status(rows["STATUS"]),
        list(STATUS_LABELS.values()),
        np.asarray(rows["X"]),
        np.asarray(rows["Y"]),
        module_borders(read_pixel_map(given.pixel_map)),
        f"ECLAIRs, exposure {params.exposure} ({rows.meta['EXPOSURE']:g} s)",
    )
    plots.save_png(figure, snakemake.output.figure)
