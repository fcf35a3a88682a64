"""Rule fit_spe: gain, pedestal, widths, crosstalk and light of one chunk of SiPM pixels.

input: spectra, noise
output: fits
params: fit (the keys of `sstcam.fit`), chunk, date
"""

import _path  # noqa: F401

from pixelcal.charge.spe.columns import FIT_EXTENSION, SPECTRA_EXTENSION, dark_runs, units_of
from pixelcal.charge.spe.dark_run.rows import fit_pixels_with_dark_runs
from pixelcal.charge.spe.fit import options_of
from pixelcal.charge.spe.noise.io import read_noise
from pixelcal.charge.spe.spectra import columns_of
from pixelcal.io.chunks import chunk_slice
from pixelcal.io.tables import read_columns, table_hdu, write_fits
from pixelcal.workflow.script import running

with running(snakemake) as progress:
    params = snakemake.params
    settings = dict(params.fit)
    chunk = chunk_slice(params.chunk, settings.pop("chunk_pixels"))
    camera = read_noise(snakemake.input.noise)
    spectra = read_columns(snakemake.input.spectra, SPECTRA_EXTENSION)[chunk]
    dark, options = dark_runs(spectra.meta), options_of(settings)
    fits = fit_pixels_with_dark_runs(*columns_of(spectra), dark, options, progress, camera)
    write_fits(snakemake.output.fits, [table_hdu(fits, FIT_EXTENSION, units_of(fits))], params.date)
