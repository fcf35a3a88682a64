"""The fits of all pixels as one table: masked pixels, outliers against the camera, places."""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.statistics import robust_outliers
from pixelcal.status import ChargeStatus, bit_comments, blank_invalid

SPE_EXTENSION = "SPE"

THRESHOLD_SIGMA = 6.0
"""A normal scatter passes 6 sigma in 2e-9 of all pixels; the spread of few pixels is uncertain."""
MIN_PIXELS = 20
"""Fewer pixels have no spread to speak of: nothing is flagged then."""


def complete_status(rows: np.ndarray, bad: np.ndarray, off: np.ndarray) -> np.ndarray:
    """A copy of the fits (n,) with masked pixels, outliers, and NaN wherever there is no answer.

    Parameters
    ----------
    rows : (n,) structured array of `spe_table.fit_dtype`
    bad : (m,) int
        Pixels that the user leaves out.
    off : (n,) bool
        Pixels that are switched off on purpose (solo-pixel runs); they count as masked too.
    """
    rows = rows.copy()
    rows["STATUS"][np.isin(rows["PIXEL"], bad) | off] |= int(ChargeStatus.MASKED)
    blank_invalid(rows, ("PE",))
    rows["STATUS"] |= np.where(find_outliers(rows), ChargeStatus.OUTLIER, 0).astype(np.int32)
    return rows


def find_outliers(rows: np.ndarray) -> np.ndarray:
    """Which pixels (n,) stand out against the camera, in gain, widths or crosstalk.

    Gains spread in proportion, so pe is compared by its logarithm and widths in units of pe.
    """
    pe = rows["PE"]
    outlier = np.zeros(len(rows), bool)
    for deviation, error in (
        (np.log(pe), rows["PE_ERR"] / pe),
        (rows["SIGMA_PED"] / pe, rows["SIGMA_PED_ERR"] / pe),
        (rows["SIGMA_PE"] / pe, rows["SIGMA_PE_ERR"] / pe),
        (rows["OPCT"], rows["OPCT_ERR"]),
    ):
        outlier |= robust_outliers(deviation, error**2, THRESHOLD_SIGMA, MIN_PIXELS)
    return outlier


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    return bit_comments(ChargeStatus, "Values are NaN with bit 1, 2 or 4: no answer.")
