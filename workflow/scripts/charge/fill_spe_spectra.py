"""Rule fill_spe_spectra: the charges of the low-illumination runs as spectra of each pixel.

input: charges (list, a file a run, by rising light)
output: spectra
params: runs (names, in the same order), date
"""

import _path  # noqa: F401
import numpy as np

from pixelcal.charge.extraction.io import read_charges
from pixelcal.charge.spe.files import SPECTRA_EXTENSION, option_cards, run_cards
from pixelcal.charge.spe.spectra import bin_widths, fill_run, spectra_rows
from pixelcal.errors import InputError
from pixelcal.io.provenance import carried_cards, provenance_cards
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow.script import listed, running

with running(snakemake) as progress:
    given, params = snakemake.input, snakemake.params
    paths = listed(given.charges)
    pixel, width, step, cards, spectra = None, None, None, [], []
    for number, path in enumerate(paths):
        own = read_charges(path)
        if pixel is None:
            pixel, step, width = own.pixel, own.step, bin_widths(own.charges, own.step)
            cards = [*option_cards(own.header), *carried_cards(own.header)]
        elif own.step != step or not np.array_equal(own.pixel, pixel):
            raise InputError(
                f"{path}: has other pixels or another step of charge than {paths[0]}; take runs of"
                " one camera, read with the same options"
            )
        spectra.append(fill_run(own.charges, own.step, width))
        progress(number + 1, len(paths))
    cards += [
        ("STEP", step, "[adu] charges are multiples of it; 0: of nothing"),
        *run_cards(params.runs),
        *provenance_cards("fill_spe_spectra", settings={"runs": list(params.runs)}),
    ]
    rows = spectra_rows(pixel, width, spectra)
    units = {"WIDTH": "adu", "START": "adu", "COUNTS": "count"}
    hdu = table_hdu(rows, SPECTRA_EXTENSION, units, cards)
    write_fits(snakemake.output.spectra, [hdu], params.date)
