"""Rule take_charges: ready charges of one run, in the form that `extract_charges` writes.

input: run; where configured bad_pixels
output: charges
params: charges (max_events), pixels, light, set, run, event_types, date
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.extraction.charges import unknown
from pixelcal.charge.extraction.checks import (
    check_any_used,
    masked_pixels,
    rows_of_pixels,
    tell_lost_events,
)
from pixelcal.charge.extraction.copies import check_copies
from pixelcal.charge.extraction.io import adc_cards, charge_hdus, light_cards, source_cards
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.extraction.placeholders import tell_placeholders
from pixelcal.charge.extraction.ready import (
    check_any_finite,
    ready_cards,
    take_charges,
    tell_missing,
    tell_unknown_step,
)
from pixelcal.charge.runs.ready_charges import read_ready_charges
from pixelcal.charge.runs.run_table import is_dark
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits
from pixelcal.workflow.script import running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    pixel, options = np.asarray(params.pixels), params.charges
    live = ~masked_pixels(given.get("bad_pixels"), pixel)
    dark = is_dark(params.light)
    ready = read_ready_charges(given.run, params.get("event_types"), options["max_events"], dark)
    rows = rows_of_pixels(ready.pixel, pixel, pixel[~live], given.run)
    taken = take_charges(ready, rows, live, given.run)
    charges = taken.charges
    check_any_used(len(charges.event_id), charges.bad, given.run)
    check_any_finite(taken, live, given.run)
    copies = check_copies(charges.charges, live, pixel, params.run)
    charges = unknown(charges, copies)
    tell_lost_events(charges.n_read, charges.bad, params.run)
    tell_placeholders(taken.placeholder, f"run {params.run}")
    tell_missing(taken, pixel, live, params.run)
    tell_unknown_step(taken, pixel, live, params.run)
    logging.getLogger("pixelcal").info(
        "%d of %d events used; left out: %s; charges in %s, %s",
        len(charges.event_id), charges.n_read, charges.bad, ready.unit,
        f"in steps of {taken.step:g}" if taken.step else "of no known step",
    )  # fmt: skip
    cards = [
        ("RUNNAME", params.run, "name of the run"),
        ("RUNSET", params.set, "set of runs"),
        *light_cards(params.light),
        *ready_cards(ready, taken, options),
        *adc_cards(ready.adc_range),
        *source_cards(ready.attributes),
    ]
    settings = {key: value for key, value in params.items() if key not in ("library", "contents")}
    cards += provenance_cards(
        "take_charges", inputs=[given.run], settings=settings, code=params.get("library")
    )
    dead, off = (
        np.zeros(len(pixel), bool) if which is None else which[rows] & live
        for which in (ready.dead, ready.off)
    )
    places = None if ready.places is None else np.where(live, ready.places[:, rows], np.nan)
    known = Peaks(pixel.astype(np.int32), np.full(len(pixel), -1), dead, off, None, places)
    hdus = charge_hdus(charges, known, taken.step, cards, places_too=True)
    write_fits(snakemake.output.charges, hdus, params.date)
