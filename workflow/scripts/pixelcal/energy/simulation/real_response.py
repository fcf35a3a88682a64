"""The response of a camera with imperfections, as cumulative spectra of each component.

Other laws than those which are fitted (`response/line_shape.py`): the square of the width has a
quadratic term, the tail another dependence on the energy; charge may be lost by the depth of the
interaction, or to a neighbour below its threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from pixelcal.energy.catalogue import Series, read_catalogue
from pixelcal.energy.lines import LineTable, read_line_table
from pixelcal.energy.response.line_shape import profile_cdf
from pixelcal.energy.response.natural_width import with_natural_width
from pixelcal.energy.simulation import spectra
from pixelcal.energy.simulation.background import (
    CDTE_DENSITY_G_CM3,
    CDTE_THICKNESS_CM,
    ENERGY_GRID_KEV,
    attenuation_at,
    cdte_efficiency,
    read_attenuation,
)
from pixelcal.energy.simulation.detector import ESCAPES, Detector, FlightDetector
from pixelcal.energy.simulation.imperfections import Imperfections
from pixelcal.io.resources import RESOURCES

TAIL_NODES = np.geomspace(0.3, 9.0, 11)
"""Tail factors at which the response is computed; between them it is a mixture."""

MEASURED_KEV = np.arange(1.0, 164.0, 0.08)
FINE_KEV = np.arange(1.0, 163.9, 0.02)
"""Measured energies at which it is computed (a fifth of sigma apart), and splined to."""

CONTINUUM_STEP = 10
"""Bins of `ENERGY_GRID_KEV` that a piece of the continuum is made of: 0.2 keV."""

MU_TAU_ELECTRON, MU_TAU_HOLE = 3.0e-3, 2.0e-4
FIELD_V_CM = 3000.0
"""Mobility-lifetime products (cm2/V) of CdTe, and the field: 300 V over 1 mm. Typical values
(Takahashi & Watanabe 2001, IEEE Trans. Nucl. Sci. 48, 950)."""

N_DEPTHS = 40
LARGEST_FRACTION = 0.8
"""Most of the events of a pixel that are in the tail."""

SHARED_KEV = 4.0
"""A neighbour that gets less than this, its threshold, is not seen, and the energy is lost."""


@dataclass(frozen=True)
class Lines:
    """The lines of the truth; rates are those of interacting photons in a nominal pixel.

    Attributes
    ----------
    element : (n,) int
        Index into `elements`.
    energy_keV, rate_per_s, width_keV : (n,) float
    elements : tuple of str
    """

    element: np.ndarray
    energy_keV: np.ndarray
    rate_per_s: np.ndarray
    width_keV: np.ndarray
    elements: tuple[str, ...]


def true_lines(
    imperfections: Imperfections,
    rates_per_s: Mapping[str, float] = spectra.LINE_RATES,
    table: LineTable | None = None,
    catalogue: Sequence[Series] | None = None,
    attenuation: tuple[np.ndarray, np.ndarray] | None = None,
) -> Lines:
    """The lines of a camera: those of the table and those that it lacks.

    Parameters
    ----------
    imperfections : Imperfections
    rates_per_s : mapping
        Of the K series of each element in the table, as seen by the detector.
    table, catalogue, attenuation : optional
        In place of those that are shipped: `complete.csv` or `all_blocks.csv`; `materials.csv`, as
        from `read_catalogue`; `cdte.csv`.
    """
    if table is None:
        name = "complete.csv" if imperfections.complete_lines else "all_blocks.csv"
        table = read_line_table(RESOURCES / "lines" / name)
    known = {one.name: one for one in (shipped_catalogue() if catalogue is None else catalogue)}
    attenuation = shipped_attenuation() if attenuation is None else attenuation
    parts, elements, shift = [], [], dict(imperfections.line_shift)
    for name, rate in (*rates_per_s.items(), *imperfections.extra_rates):
        element, _, series = name.partition(" ")
        name_of_series = f"{element} {series or 'K'}"
        found = known.get(name_of_series, Series(name_of_series, (), *np.zeros((3, 0))))
        energy, intensity, width = found.energy_keV, found.intensity, found.width_keV
        if name in rates_per_s:
            chosen = np.array(table.element) == element
            energy, intensity = table.energy_keV[chosen], table.intensity[chosen]
            width = width[np.abs(energy[:, None] - found.energy_keV).argmin(axis=1)]
        if rate <= 0 or not len(energy):
            continue
        seen = intensity * cdte_efficiency(energy, attenuation)
        natural = width if imperfections.natural_widths else np.zeros(len(energy))
        parts.append((energy + shift.get(element, 0.0), rate * seen / seen.sum(), natural))
        elements.append(name)
    index = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    energy, rate, width = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Lines(index, energy, rate, width, tuple(elements))


@lru_cache
def shipped_attenuation() -> tuple[np.ndarray, np.ndarray]:
    """Energies (keV) and photoelectric attenuations (cm2/g) of CdTe."""
    return read_attenuation(RESOURCES / "attenuation" / "cdte.csv")


@lru_cache
def shipped_catalogue() -> list[Series]:
    """The series of usual materials."""
    return read_catalogue(RESOURCES / "lines" / "materials.csv")


def detector_of(imperfections: Imperfections) -> Detector:
    """The laws of width and tail."""
    return FlightDetector() if imperfections.law else Detector()


def tail_laws(energy, imperfections: Imperfections, factor=1.0):
    """Fraction of the events in the tail and their mean loss (keV) at `energy` (keV).

    `factor` of a pixel is on both; the fraction stays below `LARGEST_FRACTION`.
    """
    detector = detector_of(imperfections)
    fraction = np.minimum(factor * detector.tail_fraction(energy), LARGEST_FRACTION)
    return fraction, factor * detector.tail_mean(energy)


def collection(depth_cm, factor=1.0):
    """Charge collection efficiency at a depth (cm) below the cathode, relative to the best.

    Hecht 1932, Z. Phys. 77, 235: with mean free paths l = mobility x lifetime x field,
    (l_e/d) (1 - exp(-(d - z)/l_e)) + (l_h/d) (1 - exp(-z/l_h)). `factor` divides that of the holes.
    """
    d = CDTE_THICKNESS_CM
    l_e, l_h = MU_TAU_ELECTRON * FIELD_V_CM, MU_TAU_HOLE * FIELD_V_CM / factor

    def efficiency(z):
        return -l_e / d * np.expm1(-(d - z) / l_e) - l_h / d * np.expm1(-z / l_h)

    return efficiency(np.asarray(depth_cm, float)) / efficiency(d * l_h / (l_e + l_h))


def depth_weights(energy, depth_edges_cm, attenuation):
    """Fractions (n, m) of photons of `energy` (n,) that interact between depths (m + 1,)."""
    mu = attenuation_at(energy, attenuation)
    beyond = np.exp(-CDTE_DENSITY_G_CM3 * np.outer(mu, depth_edges_cm))
    return -np.diff(beyond, axis=1) / (beyond[:, :1] - beyond[:, -1:])


def shoulder_cdf(measured, energy, sigma_keV, largest_keV):
    """A line whose events lose between nothing and `largest_keV` (uniform), below `measured`."""

    def integral(z):
        return z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)

    z = (measured - energy) / sigma_keV
    return (integral(z + largest_keV / sigma_keV) - integral(z)) * sigma_keV / largest_keV


def response_cdf(
    measured, photon, deposit, width, imperfections: Imperfections, resolution, factor
):
    """Fraction (n, m) of events below `measured` (m,) keV, of photons (n,) that leave `deposit`.

    Parameters
    ----------
    measured : (m,) float, keV
    photon, deposit : (n,) float, keV
        Energy of the photon, and without what escapes.
    width : (n,) float, keV
        Natural width (FWHM).
    imperfections : Imperfections
    resolution, factor : float
        Of the pixel: on the width of the core, and on the tail.
    """
    at = np.asarray(deposit, float)[:, None]
    core = detector_of(imperfections).sigma(at) * resolution
    if imperfections.hecht:
        edges = np.linspace(0.0, CDTE_THICKNESS_CM, N_DEPTHS + 1)
        weights = depth_weights(photon, edges, shipped_attenuation())
        efficiency = collection((edges[:-1] + edges[1:]) / 2, factor)
        below = sum(
            weights[:, k : k + 1] * ndtr((measured - at * efficiency[k]) / core)
            for k in range(N_DEPTHS)
        )
    else:
        tail = tail_laws(at, imperfections, factor)
        below = with_natural_width(profile_cdf, measured, at, core, *tail, width)
    if imperfections.sharing:
        largest = np.minimum(SHARED_KEV, 0.5 * at)
        below = (1.0 - imperfections.sharing) * below
        below += imperfections.sharing * shoulder_cdf(measured, at, core, largest)
    return below


@dataclass(frozen=True)
class ResponseTables:
    """Cumulative rates (1/s) below each of `FINE_KEV`, before any threshold.

    Attributes
    ----------
    below : (n_factors, n_resolutions, 1 + n_elements, n_fine) float
        Of the continuum and of the lines of each element.
    factors, resolutions : (n,) float
        Nodes of tail factor and resolution.
    elements : tuple of str
    """

    below: np.ndarray
    factors: np.ndarray
    resolutions: np.ndarray
    elements: tuple[str, ...]


@lru_cache(maxsize=4)
def response_tables(
    imperfections: Imperfections, resolutions=spectra.RESOLUTIONS
) -> ResponseTables:
    """The tables of a camera; they depend on no pixel."""
    differ = imperfections.tail_spread or imperfections.tail_gradient or imperfections.sick_fraction
    factors = TAIL_NODES if differ else np.ones(1)
    lines, continuum = true_lines(imperfections), _continuum(imperfections)
    components = 1 + len(lines.elements)
    below = np.empty((len(factors), len(resolutions), components, len(MEASURED_KEV)))
    which = np.eye(len(lines.elements))[lines.element] * lines.rate_per_s[:, None]
    for i, factor in enumerate(factors):
        # The continuum has no feature as narrow as a change of the resolution.
        smooth = _rates(*continuum, 0 * continuum[0], imperfections, 1.0, factor, MEASURED_KEV[::3])
        smooth = CubicSpline(MEASURED_KEV[::3], smooth, axis=0)(MEASURED_KEV)
        for k, resolution in enumerate(resolutions):
            below[i, k, 0] = smooth[:, 0]
            narrow = _rates(
                lines.energy_keV,
                which,
                lines.width_keV,
                imperfections,
                resolution,
                factor,
                MEASURED_KEV,
            )
            below[i, k, 1:] = narrow.T
    fine = CubicSpline(MEASURED_KEV, below, axis=-1)(FINE_KEV)
    return ResponseTables(fine, np.asarray(factors), np.array(resolutions), tuple(lines.elements))


def _rates(energy, rate, width, imperfections: Imperfections, resolution, factor, measured):
    """Rates (m, c) below `measured` (m,) of photons (n,) with rates (n, c), escapes and all."""
    fractions = Detector().escape_fractions(energy)
    pieces = [(energy, energy, rate * (1.0 - fractions.sum(axis=0))[:, None], width)]
    for escape, fraction in zip(ESCAPES, fractions, strict=True):
        used = fraction > 0
        escaped = rate[used] * fraction[used, None]
        pieces.append((energy[used], energy[used] - escape.lost_keV, escaped, width[used]))
    total = np.zeros((len(measured), rate.shape[1]))
    for photon, deposit, rates, natural in pieces:
        for start in range(0, len(photon), 128):
            part = slice(start, start + 128)
            cdf = response_cdf(
                measured,
                photon[part],
                deposit[part],
                natural[part],
                imperfections,
                resolution,
                factor,
            )
            total += cdf.T @ rates[part]
    return total


def _continuum(imperfections: Imperfections):
    """Energies (n,) and rates (n, 1) of the continuum with the Earth out of the field."""
    edges = ENERGY_GRID_KEV
    rate = spectra.background().continuum_per_s[:2].sum(axis=0)
    energy = (edges[:-1] + edges[1:]) / 2
    rate = rate * continuum_factor(energy, imperfections)
    starts = np.arange(0, len(rate), CONTINUUM_STEP)
    total = np.add.reduceat(rate, starts)
    return np.add.reduceat(rate * energy, starts) / total, total[:, None]


def continuum_factor(energy, imperfections: Imperfections):
    """The continuum relative to the ideal one: a bump at 62 keV, steps at the K edges of W, Pb."""
    factor = 1.0 + imperfections.bump * np.exp(-0.5 * ((energy - 62.0) / 4.0) ** 2)
    return factor * (1.0 - imperfections.edges) ** (
        (energy > 69.525).astype(float) + (energy > 88.005)
    )
