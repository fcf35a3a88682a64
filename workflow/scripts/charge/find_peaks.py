"""Rule find_peaks: where the pulse of each pixel is, from the brightest run of low illumination."""

import logging
from dataclasses import replace

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.extraction.checks import (
    check_any_used,
    failing_rows,
    masked_pixels,
    rows_of,
    tell_lost_events,
    tell_pixels_without_waveform,
)
from pixelcal.charge.extraction.io import event_cards, peak_hdus, source_cards
from pixelcal.charge.extraction.peaks import MeanWaveform, find_peaks
from pixelcal.charge.runs.hdf5 import open_run
from pixelcal.charge.runs.waveforms import count_reasons
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    options = params.charges
    pixels = np.asarray(params.pixels)
    masked = masked_pixels(given.get("bad_pixels"), pixels)
    with open_run(given.run, params.get("event_types")) as run:
        rows = rows_of(run, pixels, pixels[masked])
        masked |= failing_rows(run, rows)
        mean = MeanWaveform(len(rows), run.properties.n_samples)
        n_events = min(run.n_events, options["max_events"] or run.n_events)
        for block in run.blocks(options["max_events"]):
            mean.add(block, rows)
            progress(len(mean.flags), n_events)
        properties, source = run.properties, source_cards(run.attributes)
    places = properties.places
    if places is not None:  # a masked pixel may not be in the run
        places = np.where(np.isin(pixels, properties.pixel), places[:, rows], np.nan)
    bad = count_reasons(mean.flags)
    check_any_used(np.count_nonzero(mean.flags == 0), bad, given.run)
    tell_lost_events(len(mean.flags), bad, params.run)
    waveform = mean.mean()
    tell_pixels_without_waveform(waveform[~masked], pixels[~masked], params.run)
    if not masked.all():
        waveform[masked] = np.nan
    peaks = find_peaks(
        pixels,
        waveform,
        error=mean.error(),
        time_skew=options["time_skew"],
        solo_pixels=options["solo_pixels"],
    )
    peaks = replace(peaks, places=places)
    logging.getLogger("pixelcal").info(
        "%d pixels: %d dead, %d ignored", len(peaks.pixel), peaks.dead.sum(), peaks.off.sum()
    )
    cards = [
        ("RUNNAME", params.run, "brightest run, in which the peaks were found"),
        ("TIMESKEW", options["time_skew"], "each pixel has its own peak"),
        ("SOLO", options["solo_pixels"], "one pixel per ASIC is switched on"),
        ("NDEAD", int(peaks.dead.sum()), "pixels without a signal"),
        ("NOFF", int(peaks.off.sum()), "pixels ignored by SOLO"),
        ("NSAMPLES", properties.n_samples, "samples of a waveform"),
        ("SAMPLENS", properties.sample_ns, "[ns] time between samples"),
        ("UNITSAMP", properties.unit, "unit of a sample"),
        *event_cards(len(mean.flags), bad),
        *source,
    ]
    settings = {key: value for key, value in params.items() if key not in ("library", "contents")}
    cards += provenance_cards(
        "find_peaks", inputs=[given.run], settings=settings, code=params.get("library")
    )
    write_fits(snakemake.output.peaks, peak_hdus(peaks, cards), params.date)
