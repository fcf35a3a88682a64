"""Rule take_spe_spectra: ready histograms as `fill_spe_spectra` would write them.

input: runs (list, a file per run, by rising light); where configured bad_pixels
output: spectra
params: runs (names, in the same order), light (n_ph, ..., likewise), pixels, date
"""

import logging

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.extraction.checks import masked_pixels, rows_of_pixels
from pixelcal.charge.extraction.io import light_cards, set_cards
from pixelcal.charge.runs.ready_histograms import (
    pixels_of,
    read_ready_histograms,
    same_unit,
    selected,
)
from pixelcal.charge.runs.run_table import is_dark
from pixelcal.charge.runs.same_histograms import check_different
from pixelcal.charge.spe.columns import SPECTRA_EXTENSION, run_cards
from pixelcal.charge.spe.ready import (
    PLACES_EXTENSION,
    SPECTRA_UNITS,
    charge_units,
    places_rows,
)
from pixelcal.charge.spe.spectra import spectra_of_histograms, tell_coarse
from pixelcal.io.provenance import provenance_cards
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    paths, pixel = listed(given.runs), np.asarray(params.pixels)
    masked = masked_pixels(given.get("bad_pixels"), pixel)
    runs = []
    for path in paths:
        run = read_ready_histograms(path)
        rows = rows_of_pixels(pixels_of(run, pixel, path), pixel, pixel[masked], path)
        runs.append(selected(run, rows, masked))
        progress(len(runs), len(paths))
    unit = same_unit(runs, paths)
    check_different(runs, paths)
    spectra, coarse = spectra_of_histograms(pixel, masked, runs, paths)
    tell_coarse(pixel[coarse])
    logging.getLogger("pixelcal").info(
        "%d flashes in %d runs of %d pixels; the unit of a charge is %s",
        spectra["COUNTS"].sum(dtype=np.int64), len(runs), len(pixel), unit,
    )  # fmt: skip
    light = [
        (f"NPH{i}", light["n_ph"], f"photons per pixel and flash, as set, in RUN{i}")
        for i, light in enumerate(params.light)
    ]
    rows = [{key: value for key, value, _ in light_cards(light)} for light in params.light]
    settings = {key: value for key, value in params.items() if key not in ("library", "contents")}
    cards = [
        ("UNITSAMP", unit, "unit of a charge"),
        ("STEP", 0.0, "charges are multiples of it; 0: no known step"),
        *run_cards(params.runs, [is_dark(light) for light in params.light]),
        *light,
        *set_cards(rows),
        *provenance_cards(
            "take_spe_spectra", inputs=paths, settings=settings, code=params.get("library")
        ),
    ]
    units = charge_units(SPECTRA_UNITS, unit)
    hdus = [table_hdu(spectra, SPECTRA_EXTENSION, units, cards)]
    if runs[-1].places is not None:
        table = places_rows(pixel, runs[-1].places)
        hdus.append(table_hdu(table, PLACES_EXTENSION, {"X": "m", "Y": "m"}))
    write_fits(snakemake.output.spectra, hdus, params.date)
