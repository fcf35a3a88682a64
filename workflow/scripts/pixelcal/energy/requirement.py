"""The required accuracy of an energy, at the reference energies, and how many pixels meet it."""

from __future__ import annotations

import math

import numpy as np

from pixelcal.instrument import Requirement
from pixelcal.numerics.statistics import fraction


def requirement_keV(energy_keV: np.ndarray, requirement: Requirement) -> np.ndarray:
    """Largest allowed |energy error| (keV) at `energy_keV`; beyond the last limit that goes on."""
    ends, limits = np.array(requirement.limits, float).T
    return limits[np.minimum(np.searchsorted(ends, energy_keV), len(limits) - 1)]


def curve_energies_keV(requirement: Requirement) -> np.ndarray:
    """Energies (n,), keV, at which curves are drawn: a point on each side of each step."""
    steps = [energy + 1e-3 for energy, _ in requirement.limits[:-1]]
    even = np.linspace(*requirement.range_keV, 74)
    return np.unique([*even, *requirement.energies_keV, *steps])


def inner_energies_keV(requirement: Requirement) -> tuple[float, float]:
    """Two reference energies (keV) well apart and well within: the second and the last but one."""
    energies = requirement.energies_keV
    return (energies[1], energies[-2]) if len(energies) > 3 else (energies[0], energies[-1])


def energies_in_words(requirement: Requirement) -> str:
    """ "4, 15, 50, 80 and 150 keV"."""
    *first, last = (f"{energy:g}" for energy in requirement.energies_keV)
    return f"{', '.join(first)} and {last} keV" if first else f"{last} keV"


def fraction_of_requirement(
    error_keV: np.ndarray, energies_keV, requirement: Requirement
) -> np.ndarray:
    """|Error| over the largest allowed one, (m, n), from errors (m, n) at the energies (m,).

    Above 1 a pixel misses the requirement; NaN without a valid fit.
    """
    return np.abs(error_keV) / requirement_keV(energies_keV, requirement)[:, None]


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
