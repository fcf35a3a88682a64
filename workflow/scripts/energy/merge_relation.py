"""Rule merge_relation: the fits of all chunks to the relation of one exposure.

input: chunks (list), spectra, pixel_map, lines; where configured bad_pixels and
    prior; for the method joint response
output: relation, mission
params: instrument, relation (gain_keV, offset_keV), settings (all that the relation depends on),
    date, library (the code behind the product)
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.camera import read_pixel_map, rows_of
from pixelcal.energy.events.clock import data_time_cards
from pixelcal.energy.fit.columns import (
    CHANNEL_EXTENSION,
    LEAVE_OUT_EXTENSION,
    LEAVE_OUT_UNITS,
    RESIDUAL_EXTENSION,
    fit_dtype,
)
from pixelcal.energy.kinds import kinds_of
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.results import merge as merging
from pixelcal.energy.results.adequacy_files import residual_hdus
from pixelcal.energy.results.curves import curve_of_pixels, nearest_lines, with_curve
from pixelcal.energy.results.lineage import check_chunks, check_spectra
from pixelcal.energy.results.mission_file import mission_hdus, previous_relation
from pixelcal.energy.results.systematics import systematics_of, with_systematics
from pixelcal.instrument import instrument_of
from pixelcal.io.merge import merge_chunks, read_bad_pixels, refuse_all_bad
from pixelcal.io.tables import has_extension, read_columns, table_hdu, write_fits
from pixelcal.workflow.script import listed, running


def merged(extension, paths, detnum):
    """Rows (n,) of an extension of all chunks."""
    parts = [read_columns(path, extension) for path in paths]
    columns = parts[0].as_array().dtype.newbyteorder("=")
    return merge_chunks(parts, detnum, paths, columns, "DETNUM")


with running(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    instrument = instrument_of(params.instrument)
    prior, bad_pixels = given.get("prior"), given.get("bad_pixels")
    spectra = read_columns(given.spectra, "SPECTRA")
    detnum = np.asarray(spectra["DETNUM"])
    check_spectra(given.spectra, spectra.meta, detnum, params.settings, params.get("exposure"))
    pixel_map = read_pixel_map(given.pixel_map)
    x, y = merging.position_of(detnum, pixel_map)
    paths, table = listed(given.chunks), read_line_table(given.lines)
    fits = [read_columns(path, "FIT") for path in paths]
    check_chunks(paths, [part.meta for part in fits], given.spectra)
    rows = merge_chunks(fits, detnum, paths, fit_dtype(detnum), "DETNUM")
    bad = read_bad_pixels(bad_pixels, "DETNUM", instrument.n_pixels) if bad_pixels else []
    refuse_all_bad(bad, detnum, bad_pixels)
    module = np.asarray(pixel_map["MODULE"])[rows_of(detnum, pixel_map)]
    rows = merging.complete_status(rows, x, y, bad, instrument.requirement, module)
    cards = merging.relation_cards(
        rows,
        spectra.meta,
        params.settings,
        line_table=given.lines,
        response=given.get("response"),
        bad_pixels=bad_pixels,
        code=params.get("library"),
    )
    logging.getLogger("pixelcal").info(cards[-1][1])
    kinds = kinds_of(spectra) if "KIND" in spectra.colnames else None
    systematics = curve = None
    if given.get("response"):
        systematics = systematics_of(given.response, rows, kinds_of(spectra), table, instrument)
        curve = curve_of_pixels(given.response, kinds_of(spectra), table)
    full = with_systematics(rows, systematics, instrument.requirement)
    full, ends = with_curve(full, curve)
    times = data_time_cards(spectra.meta)
    hdus = [merging.relation_hdu(full, x, y, [*cards, *times, *ends], kinds)]
    if params.settings.get("exposure", {}).get("fit", {}).get("leave_one_out"):
        left_out = merged(LEAVE_OUT_EXTENSION, paths, detnum)
        hdus.append(table_hdu(left_out, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS))
    if has_extension(paths[0], RESIDUAL_EXTENSION):  # of the method joint
        residuals = merged(RESIDUAL_EXTENSION, paths, detnum)
        expected = merged(CHANNEL_EXTENSION, paths, detnum)["EXPECTED"]
        channels = np.asarray(spectra["COUNTS"]), expected, rows["GAIN"], rows["OFFSET"]
        hdus += residual_hdus(residuals, rows["STATUS"], module, table, channels)
    write_fits(made.relation, hdus, params.date)

    if instrument.mission_file:
        previous = previous_relation(prior, detnum, **params.relation, instrument=instrument)
        rows, told = nearest_lines(rows, curve)
        hdus = mission_hdus(rows, previous, [*cards, *told], spectra.meta)
        write_fits(made.mission, hdus, params.date)
