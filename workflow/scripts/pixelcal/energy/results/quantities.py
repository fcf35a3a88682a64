"""What is shown of a relation: the quantities of the camera maps and the labels of figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns

MAPPED_ENERGIES_KEV = (4.0, 80.0)
"""Energies of the maps of error and sigma: the threshold, and where the requirement changes."""


@dataclass(frozen=True)
class Quantity:
    """One value per pixel.

    Attributes
    ----------
    key : str
    label, unit : str
        The unit may be empty.
    values : (n,) float
        NaN without a valid fit.
    digits : int
        Decimals that are worth showing.
    signed : bool
        Whether the sign matters: shown around zero.
    """

    key: str
    label: str
    unit: str
    values: np.ndarray
    digits: int = 3
    signed: bool = False

    @property
    def title(self) -> str:
        """Label and unit, as on an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def relation_quantities(rows, truth=None) -> list[Quantity]:
    """Quantities of a relation in the order they are offered.

    Parameters
    ----------
    rows : table or structured array with the columns of a relation, n rows
    truth : gain and offset as injected, (n,) each, or None: then there are no errors to show
    """
    gain, offset, *covariance = relation_columns(rows)
    shown = [
        Quantity("gain", "Gain", "keV/channel", gain, digits=6),
        Quantity("offset", "Offset", "keV", offset, digits=4),
    ]
    for energy in MAPPED_ENERGIES_KEV:
        sigma = energy_sigma(energy, gain, offset, *covariance)
        label = f"Predicted error σ at {energy:g} keV"
        shown.append(Quantity(f"sigma_{energy:g}", label, "keV", sigma, digits=4))
    for energy in MAPPED_ENERGIES_KEV if truth is not None else ():
        error = energy_error(energy, gain, offset, *truth)
        label = f"Error against truth at {energy:g} keV"
        shown.append(Quantity(f"error_{energy:g}", label, "keV", error, digits=4, signed=True))
    return [
        *shown,
        Quantity("fwhm_60", "Resolution (FWHM) at 60 keV", "keV", np.asarray(rows["FWHM_60"])),
        Quantity("counts", "Counts", "", np.asarray(rows["COUNTS"], float), digits=0),
    ]
