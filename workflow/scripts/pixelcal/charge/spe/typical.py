"""How far each pixel is from the rest of the camera, and a typical one."""

from __future__ import annotations

import numpy as np
from astropy.stats import mad_std

from pixelcal.status import has_valid_fit

COMPARED = ("gain", "width of the pedestal", "width of a photoelectron", "crosstalk")
"""What is compared with the camera; widths in units of the gain."""


def deviations(rows) -> np.ndarray:
    """Distance (4, n) from the median of the good pixels in robust standard deviations, COMPARED.

    NaN without an answer; 0 where there is no spread to speak of.
    """
    pe, width, own_width, opct = (
        np.asarray(rows[name], float) for name in ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")
    )
    values = np.array([np.log(pe), width / pe, own_width / pe, opct])
    status = np.asarray(rows["STATUS"])
    chosen = status == 0 if (status == 0).any() else has_valid_fit(status)
    if not chosen.any():
        return values
    base = values[:, chosen]
    centre = np.median(base, axis=1, keepdims=True)
    spread = mad_std(base, axis=1)[:, None]
    return np.where(spread > 0, (values - centre) / np.where(spread > 0, spread, 1.0), 0 * values)


def furthest(rows) -> np.ndarray:
    """Largest distance (n,) of each pixel in any of COMPARED; NaN without an answer."""
    return np.abs(deviations(rows)).max(axis=0)


def typical_pixel(rows) -> int:
    """Row of the good pixel nearest to the camera's medians; else of any answer; else the first."""
    status = np.asarray(rows["STATUS"])
    off = furthest(rows)
    for chosen in (status == 0, has_valid_fit(status)):
        places = np.flatnonzero(chosen & np.isfinite(off))
        if len(places):
            return int(places[np.argmin(off[places])])
    return 0
