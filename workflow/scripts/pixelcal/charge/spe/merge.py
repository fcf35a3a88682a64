"""The fits of all pixels as one table: masked pixels, outliers against the camera."""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.checks.outliers import find_outliers
from pixelcal.status import ChargeStatus, bit_comments, blank_invalid


def complete_status(rows: np.ndarray, bad: np.ndarray, off: np.ndarray) -> np.ndarray:
    """A copy of the fits (n,) with masked pixels, outliers, and NaN wherever there is no valid fit.

    Parameters
    ----------
    rows : (n,) structured array of `columns.fit_dtype`
    bad : (m,) int
        Pixels that the user leaves out.
    off : (n,) bool
        Pixels that are switched off on purpose (solo-pixel runs); they count as masked too.
    """
    rows = rows.copy()
    rows["STATUS"][off] |= int(ChargeStatus.MASKED)
    rows["STATUS"][np.isin(rows["PIXEL"], bad)] = int(ChargeStatus.MASKED)  # nothing else is known
    blank_invalid(rows, ("PE",))
    rows["STATUS"] |= np.where(find_outliers(rows), ChargeStatus.OUTLIER, 0).astype(np.int32)
    return rows


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    return bit_comments(ChargeStatus, "Values are NaN with bit 1, 2 or 4: no valid fit.")
