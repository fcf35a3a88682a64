"""Rule fill_spe_spectra: the charges of the low-illumination runs as spectra of each pixel.

input: charges (list, a file per run, by rising light)
output: spectra
params: runs (names, in the same order), date
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.extraction.copies import check_different_runs, events_of
from pixelcal.charge.extraction.io import is_dark_run, read_charges
from pixelcal.charge.spe.columns import SPECTRA_EXTENSION, carried_options, run_cards
from pixelcal.charge.spe.ready import SPECTRA_UNITS, charge_units
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.errors import InputError
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    paths = listed(given.charges)
    headers, spectra, events = [], [], []
    # Bins are made for the darkest run that has light: they must hold photoelectrons.
    dark = [is_dark_run(path) for path in paths]
    with_light = dark.index(False) if False in dark else 0
    first = read_charges(paths[with_light])
    pixel, step, width = first.pixel, first.step, bin_widths(first.charges, first.step)
    for number, path in enumerate(paths):
        run = first if number == with_light else read_charges(path)
        if run.step != step or not np.array_equal(run.pixel, pixel):
            raise InputError(
                f"{path}: has other pixels or another step of charge than {paths[0]}; take runs of"
                " one camera, read with the same options"
            )
        elif headers and run.header["UNITSAMP"] != headers[0]["UNITSAMP"]:
            raise InputError(
                f"{path}: has charges in {run.header['UNITSAMP']}, but {paths[0]} in"
                f" {headers[0]['UNITSAMP']}; take runs of one kind"
            )
        events.append((params.runs[number], events_of(run.charges)))
        headers.append(run.header)
        spectra.append(fill_run(run.charges, run.step, width, dark[number]))
        progress(len(spectra), len(paths))
    check_different_runs(events)
    cards = [
        *carried_options(headers[0]),
        *carried_cards(*headers),
        ("STEP", step, "charges are multiples of it; 0: no known step"),
        *run_cards(params.runs, dark),
        *provenance_cards(
            "fill_spe_spectra",
            settings={"runs": list(params.runs)},
            code=params.get("library"),
        ),
    ]
    rows = spectra_rows(pixel, width, spectra)
    units = charge_units(SPECTRA_UNITS, str(headers[0]["UNITSAMP"]))
    hdu = table_hdu(rows, SPECTRA_EXTENSION, units, cards)
    write_fits(snakemake.output.spectra, [hdu], params.date)
