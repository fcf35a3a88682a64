"""Rule fit_lines: gain and offset of one chunk of pixels, by the method of the configuration."""

import _path  # noqa: F401
import numpy as np

from pixelcal.energy.fit.columns import (
    CHANNEL_EXTENSION,
    CHANNEL_UNITS,
    FIT_UNITS,
    LEAVE_OUT_EXTENSION,
    LEAVE_OUT_UNITS,
    RESIDUAL_EXTENSION,
    RESIDUAL_UNITS,
    channel_rows,
    residual_rows,
)
from pixelcal.energy.kinds import fit_by_kind, in_order, kinds_of, of_kind
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import read_prior
from pixelcal.instrument import instrument_of
from pixelcal.io.chunks import chunk_slice
from pixelcal.io.provenance import file_sha256
from pixelcal.io.tables import has_extension, read_columns, table_hdu, write_fits
from pixelcal.workflow.script import running


def fit_two_step_chunk(counts, detnum, gain, offset, table, settings, progress):
    """The original method on lmfit, which only this method imports."""
    from pixelcal.energy.fit.two_step import fit_two_step, two_step_options

    return fit_two_step(counts, detnum, gain, offset, table, two_step_options(settings), progress)


def fit_joint_chunk(chunk, counts, first_half, detnum, gain, offset, table, kinds, path):
    """The joint fit of a chunk of pixels with the response of each kind, and its residuals; on
    request, that without each block. All arrays are of the whole camera."""
    from pixelcal.energy.fit.camera_prior import pixels_of_camera
    from pixelcal.energy.fit.joint import JointOptions
    from pixelcal.energy.fit.leave_one_out import leave_blocks_out
    from pixelcal.energy.fit.pixels import fit_with_residuals
    from pixelcal.energy.response.io import read_responses

    settings = params.fit["min_counts"], params.fit["pvalue_limit"]
    options = JointOptions(*settings, instrument.search, instrument.requirement.energies_keV)
    responses = read_responses(path, table)
    of_all, all_kinds = (counts, gain, offset), kinds
    counts, detnum, gain, offset, kinds = (a[chunk] for a in (counts, detnum, gain, offset, kinds))
    first_half = None if first_half is None else first_half[chunk]

    def fit(kind, rows):
        half = None if first_half is None else first_half[rows]
        data = counts[rows], detnum[rows], gain[rows], offset[rows]
        camera = pixels_of_camera(*of_all, np.flatnonzero(all_kinds == kind))
        known = table, of_kind(responses, kind), options, half, camera
        fitted, binned, expected = fit_with_residuals(*data, *known)
        parts.append((rows, residual_rows(detnum[rows], binned)))
        parts_of_channels.append((rows, channel_rows(detnum[rows], expected)))
        return fitted

    parts, parts_of_channels = [], []
    fits = fit_by_kind(kinds, fit)
    residuals = {
        RESIDUAL_EXTENSION: (in_order(parts, len(fits)), RESIDUAL_UNITS),
        CHANNEL_EXTENSION: (in_order(parts_of_channels, len(fits)), CHANNEL_UNITS),
    }
    if not params.fit["leave_one_out"]:
        return fits, residuals, None

    def leave(kind, rows):
        return leave_blocks_out(counts[rows], fits[rows], table, of_kind(responses, kind), options)

    return fits, residuals, fit_by_kind(kinds, leave)


with running(snakemake) as progress:
    params = snakemake.params
    instrument = instrument_of(params.instrument)
    table = read_line_table(snakemake.input.lines)
    spectra = read_columns(snakemake.input.spectra, "SPECTRA")
    chunk = chunk_slice(params.chunk, params.fit["chunk_pixels"])
    detnum, counts = np.asarray(spectra["DETNUM"]), np.asarray(spectra["COUNTS"])
    gain, offset = read_prior(
        snakemake.input.get("prior"), detnum, **params.relation, instrument=instrument
    )
    if params.fit["method"] == "joint":
        first_half = None
        if has_extension(snakemake.input.spectra, "FIRST_HALF"):  # ready spectra have no halves
            halves = read_columns(snakemake.input.spectra, "FIRST_HALF")
            first_half = np.asarray(halves["COUNTS"])
        data = counts, first_half, detnum, gain, offset, table, kinds_of(spectra)
        fits, residuals, left_out = fit_joint_chunk(chunk, *data, snakemake.input.response)
    else:
        data = (values[chunk] for values in (counts, detnum, gain, offset))
        fits = fit_two_step_chunk(*data, table, params.fit, progress)
        residuals, left_out = {}, None
    cards = [
        ("EXPNAME", params.exposure, "exposure"),
        ("METHOD", params.fit["method"], "method of the fit"),
        ("SPECSHA", file_sha256(snakemake.input.spectra), ""),
    ]
    hdus = [table_hdu(fits, "FIT", FIT_UNITS, cards)]
    hdus += [table_hdu(rows, name, units) for name, (rows, units) in residuals.items()]
    if left_out is not None:
        hdus.append(table_hdu(left_out, LEAVE_OUT_EXTENSION, LEAVE_OUT_UNITS))
    write_fits(snakemake.output.fits, hdus, params.date)
