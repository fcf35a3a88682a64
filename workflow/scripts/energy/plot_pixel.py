"""Rule plot_pixel: one pixel of one exposure, its blocks, its fit and its relation.

input: spectra, relation, lines; response for the method joint; prior where it is a file; truth
    where it was injected; undistributed where events were simulated
output: png, pdf
params: exposure, pixel, fit (method and its options), relation (gain_keV, offset_keV)
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.figures import pixel as figures_pixel
from pixelcal.energy.figures.spectrum import to_photons
from pixelcal.energy.fit.fitted_blocks import fitted_blocks
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.truth import read_truth
from pixelcal.errors import InputError
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import read_columns
from pixelcal.plotting import plots
from pixelcal.workflow.script import running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    rows = read_columns(given.relation, "RELATION")
    detnum = int(params.pixel)
    found = np.flatnonzero(np.asarray(rows["DETNUM"]) == detnum)
    if not len(found):
        raise InputError(
            f"pixel {detnum} is not among the {len(rows)} of {given.relation};"
            " choose one of these, or add it to `pixels`"
        )
    index = int(found[0])
    row = rows[index]
    table = read_line_table(given.lines)
    counts = np.asarray(read_columns(given.spectra, "SPECTRA")["COUNTS"])[index]
    gain, offset = read_prior(
        given.get("prior"), [detnum], **params.relation, instrument=instrument
    )
    prior = (float(gain[0]), float(offset[0]))
    truth = None
    if given.get("truth"):
        truth = read_truth(given.truth, np.array([detnum]))
    if truth is not None:
        truth = (float(truth[0][0]), float(truth[1][0]))
    photons = None
    if given.get("undistributed"):
        photons = to_photons(read_columns(given.undistributed, "UNDISTRIBUTED"))
    figure = figures_pixel.pixel_figure(
        fitted_blocks(counts, row, table, prior, params.fit, given.get("response")),
        row,
        table,
        prior,
        figures_pixel.pixel_title(
            row, instrument.title, params.exposure, float(rows.meta["EXPOSURE"])
        ),
        truth,
        photons,
        instrument=instrument,
    )
    plots.save_figure(figure, made.png, made.pdf)
