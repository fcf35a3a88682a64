"""Rule merge_spe: the fits of all chunks as the table of single-photoelectron fits.

input: chunks (list), spectra, pixel_map; where there are any charges (list, a file per run, by
    rising light), peaks; where configured bad_pixels
output: spe
params: settings (all that the fits depend on), map_given (whether the user names the map), date
"""

import logging

import _path  # noqa: F401
import numpy as np
from astropy.io import fits

from pixelcal.charge.extraction.io import cards_of_set, read_charges, set_cards
from pixelcal.charge.runs.pixel_grid import places_of_pixels, tell_places
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.charge.spe.checks.run_checks import (
    RunChecks,
    check_cards,
    tell,
    with_checks,
)
from pixelcal.charge.spe.checks.run_gains import run_gains
from pixelcal.charge.spe.columns import (
    FIT_EXTENSION,
    SPE_EXTENSION,
    SPECTRA_EXTENSION,
    carried_options,
    dark_runs,
    fit_dtype,
    run_names,
    units_of,
)
from pixelcal.charge.spe.dark_run.rows import PEDESTAL_NODES
from pixelcal.charge.spe.merge import complete_status, status_comments
from pixelcal.charge.spe.ready import charge_units, known_camera
from pixelcal.io.merge import merge_chunks, placed_rows, read_bad_pixels
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import read_columns, table_hdu, write_fits
from pixelcal.status import has_valid_fit
from pixelcal.workflow.script import listed, running

with running(snakemake):
    given, params = snakemake.input, snakemake.params
    spectra = read_columns(given.spectra, SPECTRA_EXTENSION)
    pixel, n_runs = np.asarray(spectra["PIXEL"]), spectra["START"].shape[1]
    paths = listed(given.chunks)
    fitted = [read_columns(path, FIT_EXTENSION) for path in paths]
    dark = dark_runs(spectra.meta)
    dtype = fit_dtype(n_runs, PEDESTAL_NODES if dark.any() else 0)
    rows = merge_chunks(fitted, pixel, paths, dtype, "PIXEL")

    pixel_map, bad = read_pixel_map(given.pixel_map), np.array([], int)
    if given.get("bad_pixels"):
        bad = read_bad_pixels(given.bad_pixels, "PIXEL", len(pixel_map.pixel))
    charges, names = listed(given.get("charges") or []), run_names(spectra.meta)
    camera = known_camera(given.get("peaks"), charges, given.spectra, names)
    off = np.isin(pixel, camera.off)
    checks = RunChecks(np.zeros(len(rows), bool), dark)
    for path in charges:
        checks.add(read_charges(path), rows, np.asarray(spectra["WIDTH"]))
    of_set = set_cards([fits.getheader(path, "CHARGES") for path in charges])
    if not charges:
        of_set = cards_of_set(spectra.meta)
        checks = RunChecks.of_histograms(len(rows), dark)
    seen = has_valid_fit(rows["STATUS"]) & ~np.isin(pixel, bad) & ~checks.clipped
    spectrum = (np.asarray(spectra[name]) for name in ("COUNTS", "START", "WIDTH"))
    gains = run_gains(*spectrum, rows, seen)
    rows = complete_status(with_checks(rows, checks, gains), bad, off)
    tell(rows, names, checks, gains)
    map_given = params.get("map_given", False)
    places, farthest = places_of_pixels(pixel_map, pixel, camera.pixel, camera.places, map_given)
    tell_places(farthest, map_given, given.pixel_map, camera.run)

    invalid = int((~has_valid_fit(rows["STATUS"])).sum())
    summary = f"{len(rows) - invalid} pixels with a valid fit, {invalid} without"
    logging.getLogger("pixelcal").info(summary)
    cards = [
        ("TELESCOP", "CTAO", "observatory"),
        ("INSTRUME", "SSTCAM", "camera"),
        ("ORIGIN", "pixelcal", "who made this file"),
        *carried_options(spectra.meta),
        *provenance_cards(
            "merge_spe",
            bad_pixels=given.get("bad_pixels"),
            settings=params.settings,
            code=params.get("library"),
        ),
        *carried_cards(spectra.meta),
        *of_set,
        *check_cards(checks, gains),
        ("HISTORY", summary),
        *status_comments(),
    ]
    units = {"X": "m", "Y": "m", **charge_units(units_of(rows), str(spectra.meta["UNITSAMP"]))}
    hdu = table_hdu(placed_rows(rows, *places), SPE_EXTENSION, units, cards)
    write_fits(snakemake.output.spe, [hdu], params.date)
