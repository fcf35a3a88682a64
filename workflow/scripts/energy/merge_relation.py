"""Rule merge_relation: the fits of all chunks to the relation of one exposure.

input: chunks (list), spectra, pixel_map, lines; where configured bad_pixels and
    prior; for the method joint response
output: relation, mission
params: relation (gain_keV, offset_keV), settings (all that the relation depends on), date
"""

import logging
from pathlib import Path

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.clock import mission_start
from pixelcal.energy.fit.columns import FIT_DTYPE, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS
from pixelcal.energy.results import merge as merging
from pixelcal.energy.results import mission_file
from pixelcal.instrument import N_PIXELS
from pixelcal.io.merge import merge_chunks, read_bad_pixels
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import read_columns, table_hdu, write_fits
from pixelcal.status import has_valid_fit
from pixelcal.workflow.script import listed, running

with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    prior, bad_pixels = given.get("prior"), given.get("bad_pixels")

    spectra = read_columns(given.spectra, "SPECTRA")
    detnum = np.asarray(spectra["DETNUM"])
    x, y = merging.place_of(detnum, read_pixel_map(given.pixel_map))
    paths = listed(given.chunks)
    fits = [read_columns(path, "FIT") for path in paths]
    rows = merge_chunks(fits, detnum, paths, FIT_DTYPE, "DETNUM")
    bad = np.array([], int)
    if bad_pixels:
        bad = read_bad_pixels(bad_pixels, "DETNUM", N_PIXELS)
    rows = merging.complete_status(rows, x, y, bad)

    before = spectra.meta
    carried = [(card.keyword, card.value, card.comment) for card in before.cards]
    cards = [
        *merging.telescope_cards(carried),
        *(
            card
            for card in carried
            if card[0] in ("EXPNAME", "EXPOSURE", "ONTIME", "MULTIPLI", "LAYOUT")
        ),
        *provenance_cards(
            "merge_relation",
            line_table=given.lines,
            response=given.get("response"),
            bad_pixels=bad_pixels,
            settings=params.settings,
        ),
        *carried_cards(before),
        ("HISTORY", f"relations of {len(detnum)} pixels"),
    ]
    if bad_pixels:
        cards.append(("HISTORY", f"{len(bad)} pixels masked by {Path(bad_pixels).name}"))
    invalid = int((~has_valid_fit(rows["STATUS"])).sum())
    cards.append(("HISTORY", f"{len(rows) - invalid} pixels with an answer, {invalid} without"))
    logging.getLogger("pixelcal").info(cards[-1][1])
    relation = table_hdu(
        merging.relation_rows(rows, x, y),
        merging.RELATION_EXTENSION,
        merging.RELATION_UNITS,
        [*cards, *merging.status_comments()],
    )
    hdus = [relation]
    if params.settings.get("exposure", {}).get("fit", {}).get("leave_one_out"):
        parts = [read_columns(path, LEAVE_OUT_EXTENSION) for path in paths]
        columns = parts[0].as_array().dtype.newbyteorder("=")
        left_out = merge_chunks(parts, detnum, paths, columns, "DETNUM")
        hdus.append(table_hdu(left_out, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS))
    write_fits(made.relation, hdus, params.date)

    previous = mission_file.previous_relation(prior, detnum, **params.relation)
    calibration, status = mission_file.mission_tables(rows, previous)
    start, remark = mission_start(before)
    validity = mission_file.mission_cards(start, None)
    if remark:
        validity.append(("HISTORY", remark))
    note = ("HISTORY", f"{N_PIXELS - status['UPDATED'].sum()} pixels keep their previous value")
    units = {"GAIN": "keV/chan", "OFFSET": "keV"}
    hdus = [
        table_hdu(calibration, mission_file.MISSION_EXTENSION, units, [*cards, *validity, note]),
        table_hdu(
            status, mission_file.STATUS_EXTENSION, None, [*cards, note, *merging.status_comments()]
        ),
    ]
    write_fits(made.mission, hdus, params.date)
