"""Rule extract_charges: the charge of each pixel in each flash of one run."""

import logging

import _path  # noqa: F401

from pixelcal.charge.extraction.charges import (
    blanked,
    extract_charges,
    first_samples,
    outside_waveform,
    unknown,
    window_of,
)
from pixelcal.charge.extraction.checks import (
    check_any_used,
    check_finite,
    check_same_kind,
    failing_rows,
    in_steps,
    masked_pixels,
    rows_of,
    tell_lost_events,
    tell_outside_waveform,
)
from pixelcal.charge.extraction.copies import check_copies
from pixelcal.charge.extraction.dark_runs import check_dark_run
from pixelcal.charge.extraction.io import (
    adc_cards,
    charge_hdus,
    light_cards,
    option_cards,
    read_peaks,
    source_cards,
)
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.run_table import is_dark
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    options = params.charges
    peaks, header = read_peaks(given.peaks)
    window = window_of(options)
    masked = masked_pixels(given.get("bad_pixels"), peaks.pixel)
    with open_run(given.run, params.get("event_types"), is_dark(params.light)) as run:
        properties, source = run.properties, source_cards(run.attributes)
        check_same_kind(run, header)
        n_events = min(run.n_events, options["max_events"] or run.n_events)
        first = first_samples(peaks, properties.n_samples, window)
        outside = outside_waveform(peaks, properties.n_samples, window)
        tell_outside_waveform(peaks.pixel[outside], params.run)
        rows = rows_of(run, peaks.pixel, peaks.pixel[masked])
        failing = failing_rows(run, rows) & ~masked
        useless = masked | outside | failing
        live = peaks.live & ~useless
        charges = extract_charges(
            run.blocks(options["max_events"]),
            rows,
            first,
            window,
            live,
            lambda n_read: progress(n_read, n_events),
            properties.adc_range,
        )
        if is_dark(params.light):
            limit = options["max_events"]
            brightest = str(header["RUNNAME"])
            check_dark_run(run, rows, peaks, live, limit, params.run, brightest)
    check_any_used(len(charges.event_id), charges.bad, given.run)
    check_finite(charges, peaks.pixel, live, params.run, given.run)
    tell_lost_events(charges.n_read, charges.bad, params.run)
    copies = check_copies(charges.charges, live, peaks.pixel, params.run)
    charges, step = in_steps(charges, properties.dtype, window)
    charges = unknown(blanked(charges, useless), failing | copies)
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
    cards += provenance_cards(
        "extract_charges", inputs=inputs, settings=settings, code=params.get("library")
    )
    write_fits(snakemake.output.charges, charge_hdus(charges, peaks, step, cards), params.date)
