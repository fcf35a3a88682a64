"""Rule plot_energy_errors: the energy errors of one exposure against energy, and their pulls.

input: relation; truth where it was injected
output: figure
params: exposure
"""

import numpy as np

from pixelcal import plots
from pixelcal.eclairs.relation import energy_error, energy_sigma, requirement_keV
from pixelcal.eclairs.truth import read_truth
from pixelcal.products import read_columns
from pixelcal.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    rows = read_columns(given.relation, "RELATION")
    names = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
    relation = [np.asarray(rows[name], float) for name in names]
    energies = np.linspace(4.0, 150.0, 147)
    error = None
    if given.get("truth"):
        truth = read_truth(given.truth, np.asarray(rows["DETNUM"]))
        error = energy_error(energies[:, None], *relation[:2], *truth)
    figure = plots.energy_error_figure(
        energies,
        energy_sigma(energies[:, None], *relation),
        requirement_keV(energies),
        f"ECLAIRs, exposure {params.exposure} ({rows.meta['EXPOSURE']:g} s)",
        error,
        np.asarray(rows["STATUS"]) == 0,
    )
    plots.save_png(figure, snakemake.output.figure)
