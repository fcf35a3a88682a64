"""Each pixel against the rest of the camera: outliers, distances, a typical one."""

from __future__ import annotations

import numpy as np
from astropy.stats import mad_std

from pixelcal.numerics.statistics import robust_outliers
from pixelcal.status import has_valid_fit

THRESHOLD_SIGMA = 6.0
"""A normal scatter passes 6 sigma in 2e-9 of all pixels; the spread of few pixels is uncertain."""
MIN_PIXELS = 20
"""Fewer pixels have no spread to speak of: nothing is flagged then."""

COMPARED = ("gain", "width of the pedestal", "width of a photoelectron", "crosstalk")
"""What is compared with the camera; widths in units of the gain."""


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


def deviations(rows) -> np.ndarray:
    """Distance (4, n) from the median of the good pixels in robust standard deviations, COMPARED.

    NaN without a valid fit; 0 where there is no spread to speak of.
    """
    pe, pedestal_width, pe_width, opct = (
        np.asarray(rows[name], float) for name in ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")
    )
    values = np.array([np.log(pe), pedestal_width / pe, pe_width / pe, opct])
    status = np.asarray(rows["STATUS"])
    chosen = status == 0 if (status == 0).any() else has_valid_fit(status)
    if not chosen.any():
        return values
    base = values[:, chosen]
    centre = np.median(base, axis=1, keepdims=True)
    spread = mad_std(base, axis=1)[:, None]
    return np.where(spread > 0, (values - centre) / np.where(spread > 0, spread, 1.0), 0 * values)


def furthest(rows) -> np.ndarray:
    """Largest distance (n,) of each pixel in any of COMPARED; NaN without a valid fit."""
    return np.abs(deviations(rows)).max(axis=0)


def typical_pixel(rows) -> int:
    """Row of the good pixel nearest to the camera's medians, else of any valid one, else 0."""
    status = np.asarray(rows["STATUS"])
    off = furthest(rows)
    for chosen in (status == 0, has_valid_fit(status)):
        places = np.flatnonzero(chosen & np.isfinite(off))
        if len(places):
            return int(places[np.argmin(off[places])])
    return 0
