"""The error of the energy scale that all pixels have in common.

The lines of all pixels are placed by one learnt response. What the stack leaves possible of its
shape moves all pixels alike: it is in none of their own errors, and does not average out over them.
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
    """Standard deviation (keV) at an energy from a common stretch and shift; broadcasts."""
    energy = np.asarray(energy_keV, float)
    (stretch, mixed), (_, shift) = covariance
    return np.sqrt(energy**2 * stretch + 2.0 * energy * mixed + shift)
