"""Rule take_spectra: ready spectra of the wanted pixels, as `bin_spectra` would write them.

input: events (the files), pixel_map, lines; prior where it is a file
output: spectra; truth, which there is none of; prior, the relation of each pixel known before
params: relation (gain_keV, offset_keV), layout, pixels, exposure, files, instrument, date
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.ready_spectra import WORDS, read_ready_spectra
from pixelcal.energy.events.spectra_tables import spectra_hdu
from pixelcal.energy.fit.camera_prior import latest_that_fits
from pixelcal.energy.fit.columns import detnum_dtype
from pixelcal.energy.kinds import kinds_of_pixels
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import prior_table
from pixelcal.energy.response.line_shape import expected_shape
from pixelcal.energy.truth import truth_table
from pixelcal.instrument import UNKNOWN, instrument_of
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_ecsv, write_fits
from pixelcal.report.numbers import duration
from pixelcal.workflow.script import listed, running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    paths = listed(given.events)
    lines = read_line_table(given.lines)
    ready = read_ready_spectra(paths, instrument.layouts[params.layout], instrument)
    detnum = np.array(sorted(params.pixels), detnum_dtype(instrument.n_pixels))
    counts = np.zeros((len(detnum), instrument.n_channels), np.int32)
    there = np.isin(detnum, ready.detnum)
    counts[there] = ready.counts[np.searchsorted(ready.detnum, detnum[there])]
    log = logging.getLogger("pixelcal")
    log.info("%d counts of %d pixels in %s", counts.sum(), there.sum(), duration(ready.seconds))
    if not there.all():
        log.warning("the files have no spectrum of %d of the %d pixels", (~there).sum(), len(there))

    cards = [
        ("TELESCOP", ready.keywords.get("TELESCOP", UNKNOWN), "mission"),
        ("INSTRUME", ready.keywords.get("INSTRUME", UNKNOWN), "instrument"),
        ("EXPNAME", params.exposure, "name of the exposure"),
        ("EXPOSURE", ready.seconds, "[s] exposure stated in the files"),
        ("ONTIME", ready.seconds, "[s] exposure stated in the files"),
        ("MULTIPLI", "all", "multiplicity of the events counted"),
        ("LAYOUT", params.layout, "layout of the files"),
        ("SIMULATE", False, "whether pixelcal simulated the events"),
        *((word, ready.keywords[word], "") for word in WORDS[2:] if word in ready.keywords),
    ]
    settings = {key: value for key, value in params.items() if key not in ("library", "contents")}
    inputs = [*paths, *listed(given.get("prior") or [])]
    cards += provenance_cards(
        "take_spectra", inputs=inputs, settings=settings, code=params.get("library")
    )
    prior = prior_table(
        given.get("prior"),
        ready.keywords,
        detnum,
        params.relation,
        instrument,
        lambda *known: latest_that_fits(counts, *known, lines, expected_shape(instrument)),
    )
    write_ecsv(made.prior, prior)
    kinds = kinds_of_pixels(detnum, read_pixel_map(given.pixel_map))
    write_fits(made.spectra, [spectra_hdu(detnum, counts, cards, kinds)], params.date)
    write_ecsv(made.truth, truth_table(detnum, None))
