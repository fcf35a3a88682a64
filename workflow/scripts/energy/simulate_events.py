"""Rule simulate_events: an event list of the simulated camera, with its good times and truths."""

import _path  # noqa: F401
import numpy as np
from astropy.table import Table

from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.energy.simulation.background import make_background, read_attenuation, spectrum_table
from pixelcal.energy.simulation.detector import Detector
from pixelcal.energy.simulation.orbit import make_orbits
from pixelcal.energy.simulation.sampler import EventSampler, make_pixels, with_neighbours
from pixelcal.energy.simulation.writer import to_flight_layout, write_events, write_good_times
from pixelcal.energy.truth import inject_errors
from pixelcal.instrument import N_PIXELS
from pixelcal.io.tables import table_hdu, write_ecsv, write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    own = params.simulation
    detector = Detector(
        fwhm_0=own["fwhm_keV"]["at_0"],
        fwhm_60=own["fwhm_keV"]["at_60"],
        tail_60=own["tail"]["fraction_60"],
        tail_scale=own["tail"]["scale"],
        escape=own["escape_fraction"],
    )
    background = make_background(
        read_line_table(snakemake.input.lines),
        own["line_rates_per_s"],
        own["continuum_rates_per_s"],
        read_attenuation(snakemake.input.attenuation),
    )
    spread = own["spread"]
    pixels = make_pixels(
        with_neighbours(params.pixels),
        spread["efficiency"],
        spread["resolution"],
        own["dead_fraction"],
        own["seed"],
    )
    sampler = EventSampler(
        pixels, params.pixels, background, detector, own["multiple_fraction"], own["seed"]
    )
    segments, intervals = make_orbits(
        own["good_seconds"], params.criteria, own["earth_free_fraction"]
    )
    flight = params.layout == "ecl-evt-cal"
    everyone = np.arange(N_PIXELS)
    if flight:
        known = read_prior(snakemake.input.get("prior"), everyone, **params.relation)
        gain, offset = inject_errors(everyone, *known, exposure="flight", **params.injection)

    def blocks():
        for segment in segments:
            events = sampler.sample(segment)
            yield to_flight_layout(events, gain, offset) if flight else events
            progress(segment.stop, segments[-1].stop)

    live = sum(segment.stop - segment.start for segment in segments)
    cards = [
        ("EXPOSURE", live, "[s] time the camera counted"),
        ("TSTART", segments[0].start, "[s] start"),
        ("TSTOP", segments[-1].stop, "[s] end"),
    ]
    write_events(snakemake.output.events, blocks(), params.layout, cards)
    write_good_times(snakemake.output.gti, intervals, params.date)
    write_fits(
        snakemake.output.undistributed,
        [table_hdu(*spectrum_table(background, len(params.pixels) * own["good_seconds"]))],
        params.date,
    )
    kept = np.isin(pixels.detnum, params.pixels)
    truths = {
        "DETNUM": pixels.detnum,
        "EFFICIENCY": pixels.efficiency,
        "RESOLUTION": pixels.resolution,
    }
    if flight:
        truths |= {"GAIN": gain[pixels.detnum], "OFFSET": offset[pixels.detnum]}
    write_ecsv(
        snakemake.output.pixels, Table({name: column[kept] for name, column in truths.items()})
    )
