"""The required accuracy of an energy."""

from __future__ import annotations

import numpy as np

from pixelcal.instrument import REQUIREMENT_BREAK_KEV, REQUIREMENT_HIGH_KEV, REQUIREMENT_LOW_KEV


def requirement_keV(energy_keV: np.ndarray) -> np.ndarray:
    """Largest allowed |energy error| (keV) at `energy_keV`: 0.3 up to 80 keV, 0.5 above."""
    energy_keV = np.asarray(energy_keV, float)
    return np.where(energy_keV <= REQUIREMENT_BREAK_KEV, REQUIREMENT_LOW_KEV, REQUIREMENT_HIGH_KEV)
