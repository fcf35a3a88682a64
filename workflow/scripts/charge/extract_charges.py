"""Rule extract_charges: the charge of each pixel in each flash of one run."""

import logging

import _path  # noqa: F401

from pixelcal.charge.extraction.charges import (
    charge_step,
    extract_charges,
    first_samples,
    window_of,
)
from pixelcal.charge.extraction.checks import check_any_used, check_same_kind, rows_of
from pixelcal.charge.extraction.io import (
    adc_cards,
    charge_hdus,
    light_cards,
    option_cards,
    read_peaks,
    source_cards,
)
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    options = params.charges
    peaks, header = read_peaks(given.peaks)
    window = window_of(options)
    with open_run(given.run) as run:
        properties, source = run.properties, source_cards(run.attributes)
        check_same_kind(run, header)
        n_events = min(run.n_events, options["max_events"] or run.n_events)
        charges = extract_charges(
            run.blocks(options["max_events"]),
            rows_of(run, peaks.pixel),
            first_samples(peaks, properties.n_samples, window),
            window,
            peaks.live,
            lambda n_read: progress(n_read, n_events),
            properties.adc_range,
        )
    check_any_used(len(charges.event_id), charges.bad, given.run)
    logging.getLogger("pixelcal").info(
        "%d of %d events used; left out: %s", len(charges.event_id), charges.n_read, charges.bad
    )
    cards = [
        ("RUNNAME", params.run, "name of the run"),
        ("RUNSET", params.set, "set of runs"),
        *light_cards(params.light),
        ("UNITSAMP", properties.unit, "unit of a sample; of a charge, times samples"),
        ("SAMPLENS", properties.sample_ns, "[ns] time between samples"),
        *adc_cards(properties.adc_range),
        *option_cards(options),
        *source,
    ]
    settings = {key: value for key, value in params.items() if key not in ("library", "contents")}
    inputs = [given.run, given.peaks]
    cards += provenance_cards("extract_charges", inputs=inputs, settings=settings)
    step = charge_step(properties.dtype, window)
    write_fits(snakemake.output.charges, charge_hdus(charges, peaks, step, cards), params.date)
