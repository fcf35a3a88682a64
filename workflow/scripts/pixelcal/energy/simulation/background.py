"""What reaches the pixels of ECLAIRs: sky, Earth, internal background and fluorescence lines.

Everything here is before the detector blurs it: rates of photons that interact in a pixel, against
the energy they bring. `detector.py` says what the detector makes of them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixelcal.energy.lines import LineTable
from pixelcal.errors import InputError

CDTE_DENSITY_G_CM3 = 5.85
CDTE_THICKNESS_CM = 0.1

ENERGY_GRID_KEV = np.arange(3.0, 200.0 + 0.01, 0.02)
"""Edges (keV) of the bins of the continua: fine against the resolution, 1.1 keV."""

PROCESSES = ("CXB", "INTERNAL", "FLUORESCENCE", "ALBEDO")
"""Background processes; the process id of an event is the index here plus one."""


def cosmic_background(energy_keV):
    """Cosmic X-ray background, photons / (cm2 s sr keV).

    Gruber, Matteson, Peterson & Jung 1999, ApJ 520, 124, equation 3: in keV/(cm2 s sr keV),
    7.877 E^-0.29 exp(-E/41.13) from 3 to 60 keV, and above
    0.0259 (E/60)^-5.5 + 0.504 (E/60)^-1.58 + 0.0288 (E/60)^-1.05.
    """
    energy = np.asarray(energy_keV, float)
    low = 7.877 * energy**-0.29 * np.exp(-energy / 41.13)
    ratio = energy / 60.0
    high = 0.0259 * ratio**-5.5 + 0.504 * ratio**-1.58 + 0.0288 * ratio**-1.05
    return np.where(energy <= 60.0, low, high) / energy


def earth_albedo(energy_keV):
    """Shape of the Earth's hard X-ray emission, arbitrary units per keV.

    Sazonov, Churazov, Sunyaev & Revnivtsev 2007, MNRAS 377, 1726:
    dN/dE proportional to 1 / ((E/44)^-5 + (E/44)^1.4).
    """
    ratio = np.asarray(energy_keV, float) / 44.0
    return 1.0 / (ratio**-5 + ratio**1.4)


def internal_continuum(energy_keV):
    """Shape of the internal background, per keV: E^-0.3, hard and smooth.

    An assumption: activation and secondaries in the payload, dominant above 70 to 90 keV.
    """
    return np.asarray(energy_keV, float) ** -0.3


def read_attenuation(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Energy (keV) and photoelectric attenuation (cm2/g) of CdTe from the CSV table at `path`."""
    with open(path, encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    try:
        energy = np.array([float(row["energy_keV"]) for row in rows])
        attenuation = np.array([float(row["photoelectric_cm2_g"]) for row in rows])
    except (KeyError, ValueError) as error:
        raise InputError(f"attenuation table {path}: malformed ({error})") from None
    return energy, attenuation


def attenuation_at(energy_keV, attenuation: tuple[np.ndarray, np.ndarray]):
    """Photoelectric attenuation (cm2/g) at energies: a power law between those of the table."""
    return np.exp(np.interp(np.log(energy_keV), *(np.log(column) for column in attenuation)))


def cdte_efficiency(energy_keV, attenuation: tuple[np.ndarray, np.ndarray]):
    """Probability that a photon is absorbed in 1 mm of CdTe: 1 - exp(-mu rho d)."""
    return -np.expm1(
        -attenuation_at(energy_keV, attenuation) * CDTE_DENSITY_G_CM3 * CDTE_THICKNESS_CM
    )


@dataclass(frozen=True)
class Background:
    """Rates of interacting photons in a pixel of nominal efficiency, without energy redistribution.

    Attributes
    ----------
    continuum_per_s : (3, n_bins) float
        Rates (1/s) per bin of `ENERGY_GRID_KEV` of CXB, internal background and Earth albedo
        (the last with the Earth filling the field of view).
    line_energy_keV, line_per_s : (n_lines,) float
        Fluorescence lines and their rates (1/s).
    line_name : tuple of str
    """

    continuum_per_s: np.ndarray
    line_energy_keV: np.ndarray
    line_per_s: np.ndarray
    line_name: tuple[str, ...]

    def rates_per_s(self, earth_fraction: float) -> np.ndarray:
        """Rates (1/s) of `PROCESSES` with `earth_fraction` of the field behind the Earth.

        Fluorescence is excited by sky and particles in equal parts: an assumption.
        """
        cxb, internal, albedo = self.continuum_per_s.sum(axis=1)
        sky = 1.0 - earth_fraction
        lines = self.line_per_s.sum() * (0.5 + 0.5 * sky)
        return np.array([cxb * sky, internal, lines, albedo * earth_fraction])


def make_background(
    table: LineTable,
    line_rates_per_s: dict[str, float],
    rates_per_s: dict[str, float],
    attenuation: tuple[np.ndarray, np.ndarray],
) -> Background:
    """The background of a pixel of nominal efficiency.

    Parameters
    ----------
    table : LineTable
        Lines and their fractions within an element; the detector's efficiency then changes the
        ratios that are seen.
    line_rates_per_s : dict
        Rate (1/s) of each element's K series; an element without an entry has no lines.
    rates_per_s : dict
        Rates (1/s) of `cxb` and `internal` between 4 and 150 keV, and of `albedo` with the Earth
        filling the field of view.
    attenuation : (energies, attenuations) of CdTe as from `read_attenuation`
    """
    edges = ENERGY_GRID_KEV
    centres, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    efficiency = cdte_efficiency(centres, attenuation)
    in_band = (centres > 4.0) & (centres < 150.0)
    continuum = []
    for shape, name, absorbed in (
        (cosmic_background, "cxb", efficiency),
        # The internal background arises in and around the crystal: its shape is what is counted.
        (internal_continuum, "internal", 1.0),
        (earth_albedo, "albedo", efficiency),
    ):
        counted = shape(centres) * widths * absorbed
        continuum.append(counted * rates_per_s[name] / counted[in_band].sum())
    chosen = [i for i, element in enumerate(table.element) if line_rates_per_s.get(element, 0) > 0]
    energy = table.energy_keV[chosen]
    rate = table.intensity[chosen] * cdte_efficiency(energy, attenuation)
    elements = np.array(table.element)[chosen]
    for element in sorted(set(elements)):
        lines = elements == element
        rate[lines] *= line_rates_per_s[element] / rate[lines].sum()
    return Background(
        continuum_per_s=np.array(continuum),
        line_energy_keV=energy,
        line_per_s=rate,
        line_name=tuple(f"{table.element[i]} {table.transition[i]}" for i in chosen),
    )


def spectrum_table(background: Background, pixel_seconds: float):
    """The spectrum without energy redistribution, as rows, extension name, units and header cards.

    Expected counts (free of noise) per bin of `ENERGY_GRID_KEV` from `pixel_seconds` (pixels times
    s) with the Earth out of the field: a column a component, the lines as what they are, spikes.
    """
    edges = ENERGY_GRID_KEV
    lines, _ = np.histogram(background.line_energy_keV, edges, weights=background.line_per_s)
    columns = {
        "E_MIN": edges[:-1],
        "E_MAX": edges[1:],
        "COUNTS": (background.continuum_per_s[:2].sum(axis=0) + lines) * pixel_seconds,
        "CXB": background.continuum_per_s[0] * pixel_seconds,
        "INTERNAL": background.continuum_per_s[1] * pixel_seconds,
        "LINES": lines * pixel_seconds,
    }
    rows = np.zeros(len(edges) - 1, [(name, "f8") for name in columns])
    for name, values in columns.items():
        rows[name] = values
    units = {name: "keV" if name.startswith("E_") else "count" for name in columns}
    return rows, "UNDISTRIBUTED", units, [("EXPOSURE", pixel_seconds, "[s] pixels times seconds")]
