"""Rule learn_response: the response that all pixels of the camera share, from an exposure."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.learning import PVALUE_LIMIT, learn_camera
from pixelcal.energy.kinds import kinds_of, learn_by_kind, rows_by_kind
from pixelcal.energy.lines import line_table_text, read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.response.io import write_responses
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.energy.response.stack_fit import terms_of
from pixelcal.energy.results.found_lines import by_unlisted_lines, include_lines
from pixelcal.instrument import instrument_of
from pixelcal.io.merge import read_bad_pixels
from pixelcal.io.tables import read_columns, write_text
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
    known["terms"] = terms_of(params.fit["bend"], params.fit["free_elements"], table)
    rows, min_counts = np.flatnonzero(used), params.fit["min_counts"]
    kinds = kinds_of(spectra)[rows]

    catalogue = read_catalogue(snakemake.input.catalogue)

    def learn(table, chosen, **asked):
        data = counts[rows[chosen]], gain[rows[chosen]], offset[rows[chosen]]
        return learn_camera(*data, table, min_counts, progress, **known, **asked)

    if params.fit["include_lines"]:  # by the most frequent kind of pixel
        first = next(iter(rows_by_kind(kinds).values()))
        data = counts[rows[first]], gain[rows[first]], offset[rows[first]]
        options = JointOptions(min_counts, PVALUE_LIMIT, instrument.search)
        known_lines = catalogue, options, known["expected"]

        def try_with(table, chosen):
            return learn(table, first[chosen], agreement=False)

        table = include_lines(try_with, *data, table, *known_lines)
    unlisted = by_unlisted_lines(table, catalogue, known["expected"])
    responses, borrowed = learn_by_kind(
        kinds, lambda chosen: learn(table, chosen, unlisted=unlisted)
    )
    cards = [
        ("EXPNAME", params.exposure, "exposure"),
        ("EXPOSURE", spectra.meta["EXPOSURE"], "[s] good time"),
        ("NPIXELS", len(rows), "pixels learnt from"),
        *(("HISTORY", f"kind {kind} borrows from {other}") for kind, other in borrowed.items()),
    ]
    write_text(snakemake.output.lines, line_table_text(table))
    write_responses(snakemake.output.response, responses, table, cards, params.date)
