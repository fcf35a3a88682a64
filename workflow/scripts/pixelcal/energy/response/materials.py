"""Materials of detectors: K edges, what an escaping fluorescence photon carries away, absorption.

Energies: NIST X-Ray Transition Energies (SRD 128), K edges and K alpha 1. Of Si and Ge the mean of
the K alpha lines. The index of photoelectric absorption is that between the K edges and some 150
keV.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Escape:
    """A way for energy to leave a pixel: a fluorescence photon of the crystal itself.

    Attributes
    ----------
    element : str
    edge_keV : float
        K edge: photons above it can lose `lost_keV`.
    lost_keV : float
    """

    element: str
    edge_keV: float
    lost_keV: float


@dataclass(frozen=True)
class Material:
    """A crystal.

    Attributes
    ----------
    name : str
    escapes : tuple of Escape
    absorption_index : float
        Photoelectric absorption goes with this power of the energy.
    """

    name: str
    escapes: tuple[Escape, ...]
    absorption_index: float


CADMIUM, TELLURIUM = Escape("Cd", 26.711, 23.174), Escape("Te", 31.814, 27.473)
ZINC = Escape("Zn", 9.659, 8.639)

MATERIALS = {
    material.name: material
    for material in (
        Material("CdTe", (CADMIUM, TELLURIUM), -2.75),
        Material("CZT", (CADMIUM, TELLURIUM, ZINC), -2.75),
        Material("Si", (Escape("Si", 1.839, 1.740),), -3.0),
        Material("Ge", (Escape("Ge", 11.103, 9.876),), -2.9),
    )
}
