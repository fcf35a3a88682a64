"""Rule learn_response: what all pixels of the camera have in common, from an exposure."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.io import write_response
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.instrument import instrument_of
from pixelcal.io.merge import read_bad_pixels
from pixelcal.io.tables import read_columns
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    instrument = instrument_of(params.instrument)
    spectra = read_columns(snakemake.input.spectra, "SPECTRA")
    table = read_line_table(snakemake.input.lines)
    detnum, counts = np.asarray(spectra["DETNUM"]), np.asarray(spectra["COUNTS"])
    gain, offset = read_prior(
        snakemake.input.get("prior"), detnum, **params.relation, instrument=instrument
    )
    used = np.ones(len(detnum), bool)
    if snakemake.input.get("bad_pixels"):
        used = ~np.isin(
            detnum, read_bad_pixels(snakemake.input.bad_pixels, "DETNUM", instrument.n_pixels)
        )
    response = learn_camera(
        counts[used],
        gain[used],
        offset[used],
        table,
        params.fit["min_counts"],
        progress,
        expected=expected_shape(instrument),
        search=instrument.search,
    )
    cards = [
        ("EXPNAME", params.exposure, "exposure"),
        ("EXPOSURE", spectra.meta["EXPOSURE"], "[s] good time"),
        ("NPIXELS", int(used.sum()), "pixels learnt from"),
    ]
    write_response(snakemake.output.response, response, table, cards, params.date)
