"""The systematic uncertainty of the energy scale, common to all pixels.

One learnt response places the lines of all pixels. The stretch and the shift of energies that the
stack leaves possible move all pixels alike: the statistical errors of a pixel do not contain them,
and they do not average out over pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCALE_KEYWORDS = (
    ("STRETVAR", "variance of the common stretch of energies"),
    ("STRSHCOV", "[keV] covariance of stretch and shift"),
    ("SHIFTVAR", "[keV2] variance of the common shift"),
)


def scale_cards(covariance: np.ndarray) -> list[tuple]:
    """Header cards of the covariance (2, 2) of stretch and shift (keV); none where not known."""
    if not np.isfinite(covariance).all():
        return []
    values = covariance[0, 0], covariance[0, 1], covariance[1, 1]
    return [
        (keyword, float(value), text)
        for (keyword, text), value in zip(SCALE_KEYWORDS, values, strict=True)
    ]


def scale_covariance(header: Mapping) -> np.ndarray:
    """The covariance (2, 2) from a header with `scale_cards`; NaN where it is not known."""
    stretch, mixed, shift = (float(header.get(keyword, np.nan)) for keyword, _ in SCALE_KEYWORDS)
    return np.array([[stretch, mixed], [mixed, shift]])


def systematic_sigma(energy_keV, covariance):
    """Systematic uncertainty (keV, 1 sigma) of an energy, common to all pixels; broadcasts.

    `covariance` (2, 2) is that of stretch and shift (keV).
    """
    energy = np.asarray(energy_keV, float)
    (stretch, mixed), (_, shift) = covariance
    return np.sqrt(energy**2 * stretch + 2.0 * energy * mixed + shift)
