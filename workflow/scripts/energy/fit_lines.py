"""Rule fit_lines: gain and offset of one chunk of pixels, by the method of the configuration."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.fit.columns import FIT_UNITS, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.instrument import instrument_of
from pixelcal.io.chunks import chunk_slice
from pixelcal.io.provenance import file_sha256
from pixelcal.io.tables import read_columns, table_hdu, write_fits
from pixelcal.workflow.script import running


def fit_two_step_chunk(counts, detnum, gain, offset, table, settings, progress):
    """The original method on lmfit, which only this method imports."""
    from pixelcal.energy.fit.two_step import fit_two_step, two_step_options

    return fit_two_step(counts, detnum, gain, offset, table, two_step_options(settings), progress)


def fit_joint_chunk(counts, detnum, gain, offset, table, settings, path, first_half, instrument):
    """The joint fit with the learnt response; on request, that without each block, else None."""
    from pixelcal.energy.fit.joint import JointOptions
    from pixelcal.energy.fit.leave_one_out import leave_blocks_out
    from pixelcal.energy.fit.pixels import fit_pixels
    from pixelcal.energy.response.io import read_response

    options = JointOptions(
        settings["min_counts"],
        settings["pvalue_limit"],
        instrument.search,
        instrument.requirement.energies_keV,
    )
    response = read_response(path, table)
    fits = fit_pixels(counts, detnum, gain, offset, table, response, options, first_half)
    if not settings["leave_one_out"]:
        return fits, None
    return fits, leave_blocks_out(counts, fits, table, response, options)


with running(snakemake) as progress:
    params = snakemake.params
    instrument = instrument_of(params.instrument)
    table = read_line_table(snakemake.input.lines)
    spectra = read_columns(snakemake.input.spectra, "SPECTRA")
    chunk = chunk_slice(params.chunk, params.fit["chunk_pixels"])
    detnum, counts = np.asarray(spectra["DETNUM"])[chunk], np.asarray(spectra["COUNTS"])[chunk]
    gain, offset = read_prior(
        snakemake.input.get("prior"), detnum, **params.relation, instrument=instrument
    )
    data = (counts, detnum, gain, offset, table, params.fit)
    if params.fit["method"] == "joint":
        halves = read_columns(snakemake.input.spectra, "FIRST_HALF")
        first_half = np.asarray(halves["COUNTS"])[chunk]
        fits, left_out = fit_joint_chunk(*data, snakemake.input.response, first_half, instrument)
    else:
        fits, left_out = fit_two_step_chunk(*data, progress), None
    cards = [
        ("EXPNAME", params.exposure, "exposure"),
        ("METHOD", params.fit["method"], "method of the fit"),
        ("SPECSHA", file_sha256(snakemake.input.spectra), ""),
    ]
    hdus = [table_hdu(fits, "FIT", FIT_UNITS, cards)]
    if left_out is not None:
        hdus.append(table_hdu(left_out, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS))
    write_fits(snakemake.output.fits, hdus, params.date)
