"""The fits of all chunks as one relation: the full product and the mission's three columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.camera import rows_of
from pixelcal.energy.fit.columns import FIT_UNITS
from pixelcal.energy.relation import relation_columns
from pixelcal.energy.results.outliers import find_outliers, find_unsteady, find_wide
from pixelcal.io.merge import placed_rows
from pixelcal.status import NO_VALID_FIT, EnergyStatus, bit_comments, blank_invalid

RELATION_EXTENSION = "RELATION"

RELATION_UNITS = {"X": "pixel", "Y": "pixel", **FIT_UNITS}


def complete_status(rows: np.ndarray, x: np.ndarray, y: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """A copy of the fits (n,) with masked pixels, outliers, and NaN wherever there is no answer.

    Parameters
    ----------
    rows : (n,) structured array of FIT_DTYPE
    x, y : (n,) int
        Place of each pixel.
    bad : (m,) int
        DETNUM of the pixels that the user leaves out: they get STATUS bit 1 and no values, and are
        no neighbours to compare with.
    """
    rows = rows.copy()
    rows["STATUS"][np.isin(rows["DETNUM"], bad)] |= EnergyStatus.MASKED
    blank_invalid(rows, NO_VALID_FIT, ("GAIN", "OFFSET"))
    for unlike, bit in (
        (find_outliers(x, y, *relation_columns(rows)), EnergyStatus.OUTLIER),
        (find_wide(rows["FWHM_60"], rows["FWHM_60_ERR"]), EnergyStatus.WIDTH),
        (find_unsteady(rows["FIRST_FRACTION"], rows["COUNTS"]), EnergyStatus.CHANGED),
    ):
        rows["STATUS"] |= np.where(unlike, int(bit), 0).astype(np.int32)
    return rows


def relation_rows(rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows (n,) of the product: X and Y after DETNUM, then the columns of the fit."""
    return placed_rows(rows, x.astype(np.int16), y.astype(np.int16))


def place_of(detnum: np.ndarray, pixel_map) -> tuple[np.ndarray, np.ndarray]:
    """X and Y (n,) of the pixels `detnum` (n,) from the pixel map."""
    found = rows_of(detnum, pixel_map)
    return np.asarray(pixel_map["X"])[found], np.asarray(pixel_map["Y"])[found]


def telescope_cards(carried: Sequence[tuple] = ()) -> list[tuple]:
    """TELESCOP, INSTRUME and ORIGIN; the first two as an earlier product has them."""
    known = {keyword: value for keyword, value, *_ in carried}
    return [
        ("TELESCOP", known.get("TELESCOP", "SVOM"), "mission"),
        ("INSTRUME", known.get("INSTRUME", "ECL"), "instrument"),
        ("ORIGIN", "pixelcal", "who made this file"),
    ]


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    without = "GAIN and OFFSET are NaN with bit 1, 2 or 4: no answer."
    return bit_comments(EnergyStatus, without)
