"""The truth of an exposure: the relations that were injected into its spectra."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from pixelcal.errors import InputError
from pixelcal.io.tables import read_table
from pixelcal.numerics.random import pixel_stream

LOGGER = logging.getLogger(__name__)


def truth_table(detnum: np.ndarray, relation: tuple[np.ndarray, np.ndarray] | None) -> Table:
    """DETNUM, GAIN and OFFSET (n,) as injected; NaN, and TRUTH false in `meta`, without a truth."""
    n = len(detnum)
    gain, offset = (np.full(n, np.nan), np.full(n, np.nan)) if relation is None else relation
    table = Table([detnum, gain, offset], names=("DETNUM", "GAIN", "OFFSET"))
    if relation is None:
        table.meta["TRUTH"] = False
    return table


def read_truth(path: str | Path, detnum: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Injected gain and offset (n,), keV/channel and keV, of the pixels `detnum` (n,).

    None where the file says that there is no truth.

    Raises
    ------
    InputError
        Where the file cannot be read or lacks a pixel.
    """
    table = read_table(path, ["DETNUM", "GAIN", "OFFSET"])
    if not table.meta.get("TRUTH", True):
        return None
    table.sort("DETNUM")
    given = np.asarray(table["DETNUM"])
    absent = np.setdiff1d(detnum, given)
    if len(absent):
        raise InputError(
            f"truth {path}: lacks the pixel DETNUM {absent[0]}; remove the file and run again"
        )
    rows = np.searchsorted(given, detnum)
    return np.asarray(table["GAIN"], float)[rows], np.asarray(table["OFFSET"], float)[rows]


def inject_errors(detnum, gain, offset, gain_sigma, offset_sigma_keV, seed, exposure):
    """True gain and offset of each pixel: the prior with seeded normal errors.

    Parameters
    ----------
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relation.
    gain_sigma : float
        Standard deviation of the gain, as a fraction of it.
    offset_sigma_keV : float
    seed : int
    exposure : str
        Name of the exposure, part of the random stream.

    Returns
    -------
    gain_true, offset_true : (n,) float, keV/channel and keV
    """
    draws = np.array(
        [pixel_stream(seed, exposure, int(d)).standard_normal(2) for d in detnum]
    ).reshape(-1, 2)
    return gain * (1 + gain_sigma * draws[:, 0]), offset + offset_sigma_keV * draws[:, 1]


def tell_beyond_search(injection: Mapping, gain_range: float, offset_range_keV: float) -> None:
    """Warn where three standard deviations of an injected error are more than the fit searches."""
    for key, reach, unit in (
        ("gain_sigma", gain_range, ""),
        ("offset_sigma_keV", offset_range_keV, " keV"),
    ):
        if 3.0 * injection[key] > reach:
            LOGGER.warning(
                "injection.%s: %g%s puts pixels outside of the %g%s around the prior relation"
                " that the fit searches; choose at most %.2g%s",
                key, injection[key], unit, reach, unit, reach / 3.0, unit,
            )  # fmt: skip
