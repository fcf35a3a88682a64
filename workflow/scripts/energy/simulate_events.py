"""Rule simulate_events: an event list of the simulated camera, with its good times and truths."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.simulation.background import make_background, read_attenuation, spectrum_table
from pixelcal.energy.simulation.detector import Detector
from pixelcal.energy.simulation.orbit import make_orbits
from pixelcal.energy.simulation.sampler import EventSampler, make_pixels, with_neighbours
from pixelcal.energy.simulation.writer import (
    time_cards,
    to_flight_layout,
    write_events,
    write_good_times,
)
from pixelcal.energy.truth import inject_errors
from pixelcal.instrument import instrument_of
from pixelcal.io.tables import table_hdu, write_ecsv, write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    settings = params.simulation
    instrument = instrument_of(params.instrument)
    grid = instrument.n_rows, instrument.n_columns
    detector = Detector(
        fwhm_0=settings["fwhm_keV"]["at_0"],
        fwhm_60=settings["fwhm_keV"]["at_60"],
        tail_60=settings["tail"]["fraction_60"],
        tail_scale=settings["tail"]["scale"],
        escape=settings["escape_fraction"],
    )
    background = make_background(
        read_line_table(snakemake.input.lines),
        settings["line_rates_per_s"],
        settings["continuum_rates_per_s"],
        read_attenuation(snakemake.input.attenuation),
    )
    pixels = make_pixels(
        with_neighbours(params.pixels, grid),
        settings["spread"]["efficiency"],
        settings["spread"]["resolution"],
        settings["dead_fraction"],
        settings["seed"],
    )
    sampler = EventSampler(
        pixels,
        params.pixels,
        background,
        detector,
        settings["multiple_fraction"],
        settings["seed"],
        grid,
    )
    segments, intervals = make_orbits(
        settings["good_seconds"], params.criteria, settings["earth_free_fraction"]
    )
    flight = params.layout == "ecl-evt-cal"
    everyone = np.arange(instrument.n_pixels)
    if flight:
        known = read_prior(
            snakemake.input.get("prior"), everyone, **params.relation, instrument=instrument
        )
        gain, offset = inject_errors(everyone, *known, exposure="flight", **params.injection)

    def blocks():
        for segment in segments:
            events = sampler.sample(segment)
            yield to_flight_layout(events, gain, offset, instrument) if flight else events
            progress(segment.stop, segments[-1].stop)

    made = snakemake.output
    write_events(made.events, blocks(), params.layout, time_cards(segments))
    write_good_times(made.gti, intervals, params.date)
    write_fits(
        made.undistributed,
        [table_hdu(*spectrum_table(background, len(params.pixels) * settings["good_seconds"]))],
        params.date,
    )
    truth = pixels.table(params.pixels)
    if flight:
        truth["GAIN"], truth["OFFSET"] = gain[truth["DETNUM"]], offset[truth["DETNUM"]]
    write_ecsv(made.pixels, truth)
