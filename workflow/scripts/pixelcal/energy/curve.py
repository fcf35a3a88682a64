"""How energies leave a straight relation, alike in all pixels that share a response.

The relation of a pixel is straight on the axis of its electronics, S = GAIN x + OFFSET. Where these
are not linear, the energy is

    E = S + f(E),   f(E) = MIDDLE 4 (E - E_low) (E_high - E) / (E_high - E_low)^2
                           + LOW exp(-(E - E_low) / 4 keV)

with E_low and E_high the lowest and the highest line that is fitted. MIDDLE (keV) is what is added
in the middle of the lines, and the parabola goes on beyond them; LOW (keV) is what is added at the
lowest line, of another gain at low energy (as ISGRI has: Terrier et al. 2003, A&A 411, L167).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOW_SCALE_KEV = 4.0
"""How fast what is added at low energy falls. One line group there cannot tell: an assumption."""

ITERATIONS = 16
"""Of the fixed point E = S + f(E): f changes by less than a tenth of a change of E."""


class Curve(NamedTuple):
    """f(E) of the module's docstring; arrays broadcast against energies.

    Attributes
    ----------
    middle, low : float or (n,) float, keV
    ends : (2,) float, keV
        Lowest and highest line.
    """

    middle: float | np.ndarray
    low: float | np.ndarray
    ends: tuple[float, float]

    def added(self, energy_keV):
        """f(E) (keV) at energies; broadcasts."""
        energy = np.asarray(energy_keV, float)
        return -4.0 * self.middle * parabola(energy, self.ends) + self.low * falling(
            energy, self.ends
        )

    def straight(self, energy_keV):
        """The place of an energy (keV) on the axis on which relations are straight; broadcasts."""
        return energy_keV - self.added(energy_keV)

    def energy(self, straight_keV):
        """The energy (keV) of a place on that axis; broadcasts."""
        straight_keV = np.asarray(straight_keV, float)
        energy = straight_keV
        for _ in range(ITERATIONS):
            energy = straight_keV + self.added(energy)
        return energy

    def best_line(self) -> tuple[float, float, float]:
        """Factor, shift (keV) and largest deviation (keV) of the straight line that is nearest.

        E is nearly factor S + shift: least squares of energies evenly between the ends. For one
        pixel: `middle` and `low` are numbers.
        """
        energy = np.linspace(*self.ends, 101)
        straight = self.straight(energy)
        factor, shift = np.polyfit(straight, energy, 1)
        off = np.abs(factor * straight + shift - energy).max()
        return float(factor), float(shift), float(off)


def parabola(energy_keV, ends: tuple[float, float]):
    """A parabola that is 0 at both ends (keV) and -1/4 in the middle; broadcasts."""
    low, high = ends
    energy = np.asarray(energy_keV, float)
    return (energy - low) * (energy - high) / (high - low) ** 2


def falling(energy_keV, ends: tuple[float, float]):
    """An exponential that is 1 at the lower end (keV), and below 0 keV as at 0; broadcasts."""
    return np.exp(-(np.maximum(np.asarray(energy_keV, float), 0.0) - ends[0]) / LOW_SCALE_KEV)
