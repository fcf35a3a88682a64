"""Rule plot_spectrum: the spectrum of the whole camera, and of one typical pixel.

input: spectra, relation, lines; response for the method joint; prior where it is a file;
    undistributed where events were simulated
output: spectrum_png, spectrum_pdf
params: exposure, fit (method and its options), relation (gain_keV, offset_keV)
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.figures import spectrum as figures
from pixelcal.energy.figures.pixel import pixel_title
from pixelcal.energy.fit.fitted_blocks import fitted_blocks
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.stack import stack_spectra
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.report.numbers import duration
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    rows = read_columns(given.relation, "RELATION")
    counts = np.asarray(read_columns(given.spectra, "SPECTRA")["COUNTS"])
    table = read_line_table(given.lines)
    gain, offset = (np.asarray(rows[name], float) for name in ("GAIN", "OFFSET"))
    valid = np.isfinite(gain)
    seconds = float(rows.meta["EXPOSURE"])
    edges = figures.stack_edges_keV(instrument.requirement.range_keV)
    stack = stack_spectra(counts[valid], gain[valid], offset[valid], edges)
    stack = stack / seconds / np.diff(edges) / valid.sum() if valid.any() else stack[:0]
    photons = None
    if given.get("undistributed"):
        photons = figures.to_photons(read_columns(given.undistributed, "UNDISTRIBUTED"))
    example = figures.typical_pixel(rows)
    row = rows[example]
    prior = read_prior(
        given.get("prior"), [row["DETNUM"]], **params.relation, instrument=instrument
    )
    known = (float(prior[0][0]), float(prior[1][0]))
    relation = (gain[example], offset[example]) if valid[example] else known
    response = given.get("response")
    figure = figures.spectrum_figure(
        stack,
        edges,
        (pixel_title(row), counts[example], counts.mean(axis=0), relation),
        fitted_blocks(counts[example], row, table, known, params.fit, response),
        seconds,
        table,
        f"{instrument.title}, exposure {params.exposure} ({duration(seconds)}): {valid.sum()} of"
        f" {len(rows)} pixels with a valid fit",
        photons,
    )
    plots.save_figure(figure, made.spectrum_png, made.spectrum_pdf)
