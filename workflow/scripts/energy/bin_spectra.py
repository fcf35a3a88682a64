"""Rule bin_spectra: event files to the spectra of one exposure."""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.binning import bin_events, check_counted, summary
from pixelcal.energy.events.clock import data_time_cards, epoch_cards
from pixelcal.energy.events.good_times import good_time_of
from pixelcal.energy.events.intervals import first_seconds, total_seconds
from pixelcal.energy.events.layouts import value_key
from pixelcal.energy.events.losses import (
    check_covered,
    check_lost,
    check_multiplicity,
    check_spans,
    check_steps,
    check_whole_channels,
)
from pixelcal.energy.events.numbering import check_dealt, check_numbers
from pixelcal.energy.events.overlap import check_different, check_overlap
from pixelcal.energy.events.reader import detnum_of_positions, open_event_files
from pixelcal.energy.events.spectra_tables import spectra_hdus
from pixelcal.energy.events.tally import DEALT
from pixelcal.energy.events.windows import cut_to_dates
from pixelcal.energy.fit.columns import detnum_dtype
from pixelcal.energy.kinds import kinds_of_pixels
from pixelcal.energy.prior import read_prior
from pixelcal.energy.truth import (
    displaced_by_camera,
    inject_errors,
    tell_beyond_search,
    truth_table,
)
from pixelcal.instrument import UNKNOWN, instrument_of
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import read_table, write_ecsv, write_fits
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    paths = listed(given.events)
    gti, prior = listed(given.get("gti") or []), given.get("prior")
    instrument = instrument_of(params.instrument)
    detnum = np.array(sorted(params.pixels), detnum_dtype(instrument.n_pixels))

    how = params.layout, params.columns, params.multiplicity, params.get("first_pixel", 0)
    files = open_event_files(paths, *how, instrument=instrument)
    dealt = check_dealt(files, instrument.n_pixels)
    for line in dealt:
        logging.getLogger("pixelcal").warning(line)
    available = good_time_of(files, gti, params.criteria, instrument)
    check_different(files)
    dates = params.get("start"), params.get("stop")
    in_time = cut_to_dates(available, files, *dates, params.exposure)
    good_time = first_seconds(in_time, params.seconds)

    has_truth = value_key(instrument.layouts[params.layout], params.columns) == "energy"
    if has_truth:
        known = read_prior(prior, detnum, **params.relation, tell=True, instrument=instrument)
        tell_beyond_search(params.injection, *instrument.search)
        for line in check_steps(files, known[0]):
            logging.getLogger("pixelcal").warning(line)
        relation = inject_errors(detnum, *known, **params.injection, exposure=params.exposure)
    else:  # channels as the camera assigned them, `rebin` of them in one
        rebin = instrument.layouts[params.layout].rebin
        relation = np.full(len(detnum), float(rebin)), np.zeros(len(detnum))
        for line in check_whole_channels(files):
            logging.getLogger("pixelcal").warning(line)

    pixel_map = read_pixel_map(given.pixel_map)
    positions = detnum_of_positions(pixel_map, instrument)
    spectra = bin_events(
        files,
        detnum,
        *relation,
        good_time,
        multiplicity=params.multiplicity,
        seed=params.seed,
        detnum_of_position=positions,
        progress=progress,
        instrument=instrument,
    )
    logging.getLogger("pixelcal").info(summary(spectra))
    numbering = check_numbers(files, spectra.numbers, detnum, positions, instrument=instrument)
    for line in numbering:  # before what may follow from it
        logging.getLogger("pixelcal").warning(line)
    spans = check_spans(spectra, files)
    multiplicity = check_multiplicity(spectra, files)
    check_counted(spectra, files)
    overlaps = check_overlap(files, spectra.spans) if files[0].has_times else []
    covered = check_covered(spectra, files)
    for line in spans + multiplicity + check_lost(spectra, files) + overlaps + covered:
        logging.getLogger("pixelcal").warning(line)

    cards = [
        ("TELESCOP", files[0].keywords.get("TELESCOP", UNKNOWN), "mission"),
        ("INSTRUME", files[0].keywords.get("INSTRUME", UNKNOWN), "instrument"),
        ("EXPNAME", params.exposure, "name of the exposure"),
        ("EXPOSURE", total_seconds(good_time), "[s] good time used"),
        ("ONTIME", total_seconds(good_time), "[s] sum of the good time intervals used"),
        ("GOODTIME", total_seconds(available), "[s] good time that the event files contain"),
        ("MULTIPLI", params.multiplicity, "multiplicity of the events counted"),
        ("LAYOUT", params.layout, "layout of the event files"),
    ]
    if dealt:
        cards.append(("EVDEALT", spectra.n_read, DEALT))
    if params.get("files") is not None:
        cards.append(("SIMULATE", not params.files, "whether pixelcal simulated the events"))
    if files[0].has_times and len(good_time):
        times = [
            ("TSTART", good_time[0, 0], "[s] start of the good time used"),
            ("TSTOP", good_time[-1, 1], "[s] end of the good time used"),
            *epoch_cards(file.keywords for file in files),
        ]
        known = data_time_cards({word: value for word, value, _ in times})
        cards += [*times, *(card for card in known if card[0].startswith("DATE-"))]
    kinds = kinds_of_pixels(detnum, pixel_map)
    inputs = [*paths, *gti, *([prior] if prior else [])]
    unsaid = {"library", "contents"} | {word for word in ("start", "stop") if not params.get(word)}
    settings = {key: value for key, value in params.items() if key not in unsaid}
    cards += provenance_cards(
        "bin_spectra", inputs=inputs, settings=settings, code=params.get("library")
    )
    write_fits(made.spectra, spectra_hdus(detnum, spectra, cards, kinds), params.date)
    if made.get("truth"):
        displaced = None
        if has_truth and given.get("pixels"):
            pixels = read_table(given.pixels, ["DETNUM"])
            displaced = displaced_by_camera(pixels, detnum, good_time)
        write_ecsv(made.truth, truth_table(detnum, relation if has_truth else None, displaced))
