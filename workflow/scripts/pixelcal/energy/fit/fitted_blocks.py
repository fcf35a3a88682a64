"""The blocks of one pixel, ready to draw, as the configured method fitted them.

`fitted_blocks` is what figures call. For the joint method it leads to `fit.model_spectra`; for the
two-step method it does the fit of the lines again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pixelcal.energy.fit.model_spectra import (
    BlockView,
    block_view,
    channel_edges_keV,
    data_blocks,
    has_no_valid_fit,
    pixel_blocks,
)
from pixelcal.energy.kinds import kind_of_row
from pixelcal.energy.lines import LineTable


def fitted_blocks(
    counts: np.ndarray,
    row: Mapping,
    table: LineTable,
    prior: tuple[float, float],
    fit: Mapping,
    response: str | Path | None,
) -> list[BlockView]:
    """Blocks by rising energy, with the model of the method that `fit` (settings) names.

    Parameters
    ----------
    counts : (n_channels,) int
    row : a row of relation.fits
    prior : (gain, offset), keV/channel and keV
    response : path
        The response of the camera; method joint only.

    Raises
    ------
    InputError
        Where the response is broken, or was learnt with another line table.
    """
    if fit["method"] == "joint":
        from pixelcal.energy.response.io import read_response

        learnt = read_response(response, table, kind_of_row(row))
        return pixel_blocks(counts, row, table, learnt, prior)
    from pixelcal.energy.fit.two_step import two_step_options

    return two_step_blocks(counts, row, table, prior, two_step_options(fit))


def two_step_blocks(
    counts: np.ndarray, row: Mapping, table: LineTable, prior: tuple[float, float], options
) -> list[BlockView]:
    """The blocks of a pixel of the two-step method; the fit of its lines is done again.

    Parameters
    ----------
    counts : (n_channels,) int
    row : a row of relation.fits
    table : LineTable
    prior : (gain, offset), keV/channel and keV
        The relation known before, which cuts the blocks out and is where the fit starts.
    options : two_step.TwoStepOptions

    Returns
    -------
    list of BlockView
        Model and continuum are those of step 1 at the centres of the channels, energies those of
        the straight line of step 2. Blocks that could not be fitted have the data only, and so
        have all of a pixel without a valid fit, drawn in the prior.
    """
    # lmfit is slow to import, and the joint method has no use for it.
    from pixelcal.energy.fit import two_step

    if has_no_valid_fit(row):
        return data_blocks(counts, table, prior)
    groups = two_step.line_groups(table, options.line_fwhm_keV)
    blocks = two_step.cut_blocks(np.asarray(counts), *prior, table, groups)
    fittable = [block for block in blocks if block.fittable]
    fwhm = options.line_fwhm_keV / prior[0]
    values = two_step.fit_blocks(fittable, np.max(counts), fwhm).params.valuesdict()
    no_lines = {name: 0.0 if name.startswith("height") else values[name] for name in values}
    relation = float(row["GAIN"]), float(row["OFFSET"])
    views = []
    for block in blocks:
        first, n = int(block.x[0]) if len(block.x) else 0, len(block.x)
        model, continuum = (
            two_step.model_counts(block, parameters) if block.fittable else np.full(n, np.nan)
            for parameters in (values, no_lines)
        )
        edges = channel_edges_keV(first, first + n, *relation)
        data = np.asarray(counts)[first : first + n]
        views.append(block_view(block.index, first, edges, data, model, continuum, table))
    return views
