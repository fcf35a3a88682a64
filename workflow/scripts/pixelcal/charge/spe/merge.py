"""The fits of all pixels as one table: masked pixels, outliers against the camera."""

from __future__ import annotations

import logging

import numpy as np

from pixelcal.charge.spe.checks.outliers import find_outliers
from pixelcal.charge.spe.columns import CROSSTALK, PER_RUN, SHARED
from pixelcal.status import ChargeStatus, bit_comments, blank_invalid, has_valid_fit

FINITE = tuple(f"{name}{kind}" for name in (*SHARED, CROSSTALK, *PER_RUN) for kind in ("", "_ERR"))
"""What a valid fit has as numbers: whoever reads STATUS 0 may use each of them."""

LOGGER = logging.getLogger("pixelcal")


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
    _flag_not_finite(rows)
    blank_invalid(rows, ("PE",))
    rows["STATUS"] |= np.where(find_outliers(rows), ChargeStatus.OUTLIER, 0).astype(np.int32)
    return rows


def _flag_not_finite(rows: np.ndarray) -> None:
    """Call fits (n,) that lack a number of `FINITE` not converged, in place, and say so."""
    lacking = {name: ~np.isfinite(rows[name]).reshape(len(rows), -1).all(axis=1) for name in FINITE}
    without = has_valid_fit(rows["STATUS"]) & np.any(list(lacking.values()), axis=0)
    if not without.any():
        return
    first = np.flatnonzero(without)[0]
    names = ", ".join(name for name, where in lacking.items() if where[first])
    LOGGER.warning(
        "pixel %d: its fit has no number for %s (%d such pixels); they count as not converged"
        " (STATUS 4) and are NaN",
        rows["PIXEL"][first], names, without.sum(),
    )  # fmt: skip
    rows["STATUS"][without] |= int(ChargeStatus.NOT_CONVERGED)


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    return bit_comments(ChargeStatus, "Values are NaN with bit 1, 2 or 4: no valid fit.")
