"""Rule plot_relation: the figures that are drawn from the relation of one exposure.

input: relation, pixel_map; prior where it is a file; truth where it was injected
output: NAME_png and NAME_pdf of each of the figures
params: exposure, method, relation (gain_keV, offset_keV), changes (threshold_sigma)
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import module_borders, read_pixel_map, shape_of_map
from pixelcal.energy.figures import energy as figures_energy
from pixelcal.energy.figures import relation as figures
from pixelcal.energy.prior import read_prior
from pixelcal.energy.results.changes import find_changes
from pixelcal.energy.truth import read_truth
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.report.numbers import duration
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    rows = read_columns(given.relation, "RELATION")
    detnum = np.asarray(rows["DETNUM"])
    pixel_map = read_pixel_map(given.pixel_map)
    data = figures.FigureData(
        rows=rows,
        prior=read_prior(given.get("prior"), detnum, **params.relation, instrument=instrument),
        truth=read_truth(given.truth, detnum) if given.get("truth") else None,
        positions=figures.PixelPositions(
            np.asarray(rows["X"]),
            np.asarray(rows["Y"]),
            module_borders(pixel_map),
            shape_of_map(pixel_map),
        ),
        title=f"{instrument.title}, exposure {params.exposure} ({duration(rows.meta['EXPOSURE'])})",
        method=params.method,
        requirement=instrument.requirement,
    )
    threshold = params.changes["threshold_sigma"]
    changes = find_changes(rows, data.prior, threshold)
    drawn = {
        "camera": lambda: figures.camera_figure(data),
        "prior": lambda: figures.prior_figure(data),
        "comparison": lambda: figures.comparison_figure(data),
        "statistics": lambda: figures.statistics_figure(data),
        "uncertainty": lambda: figures_energy.uncertainty_figure(data),
        "energy_errors": lambda: figures_energy.energy_error_figure(data),
        "differences": lambda: figures_energy.differences_figure(data),
        "changes": lambda: figures.changes_figure(data, changes, threshold),
    }
    for number, (name, draw) in enumerate(drawn.items()):
        plots.save_figure(draw(), made[f"{name}_png"], made[f"{name}_pdf"])
        progress(number + 1, len(drawn))
