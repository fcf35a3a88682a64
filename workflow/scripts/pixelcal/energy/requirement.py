"""The required accuracy of an energy, at the reference energies, and how many pixels meet it."""

from __future__ import annotations

import math

import numpy as np

from pixelcal.instrument import REQUIREMENT_BREAK_KEV, REQUIREMENT_HIGH_KEV, REQUIREMENT_LOW_KEV
from pixelcal.numerics.statistics import fraction


def requirement_keV(energy_keV: np.ndarray) -> np.ndarray:
    """Largest allowed |energy error| (keV) at `energy_keV`: 0.3 up to 80 keV, 0.5 above."""
    energy_keV = np.asarray(energy_keV, float)
    return np.where(energy_keV <= REQUIREMENT_BREAK_KEV, REQUIREMENT_LOW_KEV, REQUIREMENT_HIGH_KEV)


def fraction_of_requirement(error_keV: np.ndarray, energies_keV) -> np.ndarray:
    """|Error| over the largest allowed one, (m, n), from errors (m, n) at the energies (m,).

    Above 1 a pixel misses the requirement; NaN without a valid fit.
    """
    return np.abs(error_keV) / requirement_keV(energies_keV)[:, None]


def pass_fraction(error_keV: np.ndarray, limit_keV: float) -> float:
    """Fraction of the pixels whose |error| (n,) is at most the limit.

    A pixel without a valid fit (NaN) does not pass. NaN where no pixel has an error: without truth,
    or without any valid fit.
    """
    if not np.isfinite(error_keV).any():
        return np.nan
    return fraction((np.abs(error_keV) <= limit_keV).sum(), len(error_keV))


def predicted_pass_fraction(sigma_keV: np.ndarray, limit_keV: float) -> float:
    """Mean over the pixels of the probability that a normal error is at most the limit.

    erf(limit / (sqrt(2) sigma)) for the standard deviations (n,); 0 without a valid fit (NaN).
    """
    known = sigma_keV[np.isfinite(sigma_keV)]
    passing = [math.erf(limit_keV / (math.sqrt(2) * s)) if s > 0 else 1.0 for s in known]
    return fraction(sum(passing), len(sigma_keV))
