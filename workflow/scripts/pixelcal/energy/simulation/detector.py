"""What the detector makes of an energy: resolution, hole tail, escape peaks; laws and densities.

The laws serve the event sampler (`sampler.py`) and, as exact densities, the tests and the
information bound. The fit learns a response from data (`response/learn.py`) and does not see these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.response.line_shape import SIGMA_PER_FWHM, profile_cdf
from pixelcal.energy.response.materials import MATERIALS
from pixelcal.energy.simulation.background import ENERGY_GRID_KEV, Background

ESCAPES = MATERIALS["CdTe"].escapes

SHARING_MINIMUM_KEV = 5.0
"""Smallest part of the energy of a multiple event: safely above the threshold. A simplification: a
photon that leaves less than that in a second pixel is simulated as a single event."""


@dataclass(frozen=True)
class Detector:
    """Laws of the response of a CdTe pixel; energies in keV.

    Attributes
    ----------
    fwhm_0, fwhm_60 : float
        Full width at half maximum at 0 and 60 keV; its square is linear in energy between and
        beyond (electronic noise plus charge statistics).
    tail_60, tail_scale : float
        Fraction of events at 60 keV with incomplete hole collection (proportional to the energy, at
        most 0.5), and mean loss of those as a fraction of the energy.
    escape : float
        Probability at the K edge that the fluorescence photon of Cd, or of Te, leaves the pixel;
        falls as 1/E above, as photons then absorb deeper.
    threshold : float
        Measured energies below it are not recorded.
    """

    fwhm_0: float = 1.1
    fwhm_60: float = 1.6
    tail_60: float = 0.12
    tail_scale: float = 0.04
    escape: float = 0.03
    threshold: float = 4.0

    def sigma(self, energy):
        """Standard deviation (keV) of the Gaussian core at `energy` (keV)."""
        slope = (self.fwhm_60**2 - self.fwhm_0**2) / 60.0
        return SIGMA_PER_FWHM * np.sqrt(self.fwhm_0**2 + slope * np.asarray(energy, float))

    def tail_fraction(self, energy):
        """Fraction of events at `energy` (keV) in the hole tail."""
        return np.minimum(self.tail_60 * np.asarray(energy, float) / 60.0, 0.5)

    def tail_mean(self, energy):
        """Mean loss (keV) of the events in the tail at `energy` (keV)."""
        return self.tail_scale * np.asarray(energy, float)

    def escape_fractions(self, energy):
        """Probabilities (2, ...) of the Cd and Te escape at `energy` (keV)."""
        energy = np.asarray(energy, float)
        return np.array(
            [
                np.where(energy > escape.edge_keV, self.escape * escape.edge_keV / energy, 0.0)
                for escape in ESCAPES
            ]
        )


FWHM_QUADRATIC = 6.7e-5
"""Coefficient of E^2 in the square of the width (keV) of the flight camera: the width is 6 % more
at 120 keV, as trapping adds to electronic noise and charge statistics (Redus et al. 2009, IEEE
Trans. Nucl. Sci. 56, 2524)."""


@dataclass(frozen=True)
class FlightDetector(Detector):
    """Laws of the flight camera: other functions of the energy than those which are fitted.

    FWHM^2 has a quadratic term and keeps `fwhm_0` and `fwhm_60`. With the default numbers the tail
    holds a fraction 0.04 + 0.1 E / 100 keV of the events, which lose 0.15 keV + 0.012 E in the
    mean; `tail_60` and `tail_scale` scale both.
    """

    def sigma(self, energy):
        """Standard deviation (keV) of the Gaussian core at `energy` (keV)."""
        energy = np.asarray(energy, float)
        slope = (self.fwhm_60**2 - self.fwhm_0**2) / 60.0
        square = self.fwhm_0**2 + slope * energy
        nominal = Detector().fwhm_60 ** 2 - Detector().fwhm_0 ** 2
        bend = FWHM_QUADRATIC * 60.0 * slope / nominal
        return SIGMA_PER_FWHM * np.sqrt(square + bend * energy * (energy - 60.0))

    def tail_fraction(self, energy):
        """Fraction of events at `energy` (keV) in the hole tail."""
        return np.minimum(self.tail_60 * (1.0 / 3.0 + np.asarray(energy, float) / 120.0), 0.5)

    def tail_mean(self, energy):
        """Mean loss (keV) of the events in the tail at `energy` (keV)."""
        return self.tail_scale * (3.75 + 0.3 * np.asarray(energy, float))


def redistributed_cdf(measured, energy, weight, detector: Detector, resolution=1.0):
    """Expected counts measured below `measured` from lines at `energy` with `weight` counts.

    Parameters
    ----------
    measured : (m,) float, keV
    energy, weight : (n,) float, keV and counts
        A continuum is handed over as many narrow lines.
    detector : Detector
    resolution : float
        Factor on the width of the Gaussian: how this pixel differs.

    Returns
    -------
    (m,) float, counts before the threshold
    """
    measured = np.asarray(measured, float)[:, None]
    total = np.zeros(measured.shape[0])
    fractions = detector.escape_fractions(energy)
    pieces = [(energy, weight * (1.0 - fractions.sum(axis=0)))]
    pieces += [
        (energy - escape.lost_keV, weight * fraction)
        for escape, fraction in zip(ESCAPES, fractions, strict=True)
    ]
    for at, counts in pieces:
        used = counts > 0
        at, counts = at[used], counts[used]
        for start in range(0, len(at), 512):
            part = slice(start, start + 512)
            e = at[part]
            cdf = profile_cdf(
                measured,
                e,
                detector.sigma(e) * resolution,
                detector.tail_fraction(e),
                detector.tail_mean(e),
            )
            total += cdf @ counts[part]
    return total


def expected_counts(
    edges_keV,
    background: Background,
    detector: Detector,
    seconds: float,
    efficiency: float = 1.0,
    resolution: float = 1.0,
    multiple_fraction: float = 0.0,
):
    """Expected single-event counts between `edges_keV` (m + 1,) with a free field of view.

    `multiple_fraction` of the photons that can be shared is missing, because those are multiple
    events. The threshold cuts at `detector.threshold`. Returns (m,) float.
    """
    centres = (ENERGY_GRID_KEV[:-1] + ENERGY_GRID_KEV[1:]) / 2
    energy = np.concatenate([centres, background.line_energy_keV])
    sky = background.continuum_per_s[0] + background.continuum_per_s[1]
    weight = np.concatenate([sky, background.line_per_s]) * seconds * efficiency
    weight = weight * np.where(energy > 2.0 * SHARING_MINIMUM_KEV, 1.0 - multiple_fraction, 1.0)
    edges = np.maximum(np.asarray(edges_keV, float), detector.threshold)
    return np.diff(redistributed_cdf(edges, energy, weight, detector, resolution))
