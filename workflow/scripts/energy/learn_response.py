"""Rule learn_response: what all pixels of the camera have in common, from an exposure."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.kinds import kinds_of, learn_by_kind
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.io import write_responses
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
    known = {"expected": expected_shape(instrument), "search": instrument.search}
    rows = np.flatnonzero(used)

    def learn(chosen):
        data = counts[rows[chosen]], gain[rows[chosen]], offset[rows[chosen]]
        return learn_camera(*data, table, params.fit["min_counts"], progress, **known)

    responses, borrowed = learn_by_kind(kinds_of(spectra)[rows], learn)
    cards = [
        ("EXPNAME", params.exposure, "exposure"),
        ("EXPOSURE", spectra.meta["EXPOSURE"], "[s] good time"),
        ("NPIXELS", len(rows), "pixels learnt from"),
        *(("HISTORY", f"kind {kind} borrows from {other}") for kind, other in borrowed.items()),
    ]
    write_responses(snakemake.output.response, responses, table, cards, params.date)
