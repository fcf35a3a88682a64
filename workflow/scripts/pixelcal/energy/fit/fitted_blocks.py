"""The blocks of one pixel as the configured method fitted them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pixelcal.energy.fit.model_spectra import BlockView, pixel_blocks, two_step_blocks
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

        return pixel_blocks(counts, row, table, read_response(response, table), prior)
    from pixelcal.energy.fit.two_step import TwoStepOptions

    common = {name: fit[name] for name in ("min_counts", "pvalue_limit")}
    options = TwoStepOptions(**fit["two_step"], **common)
    return two_step_blocks(counts, row, table, prior, options)
