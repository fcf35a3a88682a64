"""Rule simulate_events: an event list of the simulated camera, with its good times and truths."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.simulation.background import read_attenuation, spectrum_table
from pixelcal.energy.simulation.flight_sampler import ChannelAxis, nominal_axis
from pixelcal.energy.simulation.orbit import make_orbits
from pixelcal.energy.simulation.simulated_camera import flight_camera, ideal_camera
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
    params, given = snakemake.params, snakemake.input
    settings = params.simulation
    instrument = instrument_of(params.instrument)
    segments, intervals = make_orbits(
        settings["good_seconds"], params.criteria, settings["earth_free_fraction"]
    )
    channels = params.layout == "ecl-evt-cal"
    axis = nominal_axis(instrument.n_pixels)
    if channels:
        everyone = np.arange(instrument.n_pixels)
        known = read_prior(given.get("prior"), everyone, **params.relation, instrument=instrument)
        relation = inject_errors(everyone, *known, exposure="flight", **params.injection)
        axis = ChannelAxis(*relation, in_channels=True)
    camera = (
        settings,
        params.pixels,
        (instrument.n_rows, instrument.n_columns),
        read_line_table(given.lines),
        read_attenuation(given.attenuation),
    )
    if settings["camera"] == "flight":
        span = segments[0].start, segments[-1].stop
        energies = instrument.requirement.energies_keV
        made = flight_camera(*camera, read_catalogue(given.catalogue[0]), axis, span, energies)
    else:
        made = ideal_camera(*camera)

    def blocks():
        for segment in segments:
            events = made.sampler.sample(segment)
            yield to_flight_layout(events, *relation, instrument) if channels else events
            progress(segment.stop, segments[-1].stop)

    output, seconds = snakemake.output, settings["good_seconds"]
    cards = time_cards(segments)
    write_events(output.events, blocks(), params.layout, cards, made.processes)
    write_good_times(output.gti, intervals, params.date)
    spectrum = spectrum_table(made.background, len(params.pixels) * seconds)
    write_fits(output.undistributed, [table_hdu(*spectrum)], params.date)
    if channels:
        gain, offset = relation
        detnum = made.truth["DETNUM"]
        made.truth["GAIN"], made.truth["OFFSET"] = gain[detnum], offset[detnum]
    write_ecsv(output.pixels, made.truth)
