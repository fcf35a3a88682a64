"""Materials of detectors: K edges, what an escaping fluorescence photon carries away, absorption.

Energies: NIST X-Ray Transition Energies (SRD 128), K edges and K alpha 1. Of Si and Ge the mean of
the K alpha lines. Absorption: NIST X-Ray Mass Attenuation Coefficients (NISTIR 5632); the index is
that between the K edges and some 150 keV, and Zn is a tenth of the metal of CZT. Mobility times
lifetime: typical values (Takahashi & Watanabe 2001, IEEE Trans. Nucl. Sci. 48, 950), of CdTe 3e-3
and 2e-4 cm2/V; in Si and Ge hardly anything is trapped.
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
    jump : float
        Photoelectric absorption just above the edge over that just below.
    """

    element: str
    edge_keV: float
    lost_keV: float
    jump: float


@dataclass(frozen=True)
class Material:
    """A crystal.

    Attributes
    ----------
    name : str
    escapes : tuple of Escape
    absorption_index : float
        Photoelectric absorption goes with this power of the energy between the K edges.
    electron_path : float
        Mean free path of electrons over that of holes, which is the ratio of mobility times
        lifetime.
    """

    name: str
    escapes: tuple[Escape, ...]
    absorption_index: float
    electron_path: float


CADMIUM, TELLURIUM = Escape("Cd", 26.711, 23.174, 3.19), Escape("Te", 31.814, 27.473, 1.89)
ZINC = Escape("Zn", 9.659, 8.639, 1.04)

MATERIALS = {
    material.name: material
    for material in (
        Material("CdTe", (CADMIUM, TELLURIUM), -2.75, 15.0),
        Material("CZT", (CADMIUM, TELLURIUM, ZINC), -2.75, 100.0),
        Material("Si", (Escape("Si", 1.839, 1.740, 10.3),), -3.0, 1.0),
        Material("Ge", (Escape("Ge", 11.103, 9.876, 7.1),), -2.9, 1.0),
    )
}
