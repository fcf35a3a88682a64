"""The profile of one line: a Gaussian core with an exponential tail towards low energy.

A fraction of the events loses energy to incomplete hole collection; the loss is exponential. Folded
with the Gaussian of the electronics this is the exponentially modified Gaussian, mirrored
(Phillips & Marlow 1976, NIM 137, 525, without their step). Everything is in keV and broadcasts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import erfcx, ndtr

from pixelcal.energy.response.natural_width import with_natural_width
from pixelcal.instrument import ESCAPES_KEV

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
SIGMA_PER_FWHM = 1.0 / FWHM_PER_SIGMA

_LARGEST_EXPONENT = 50.0

ABSORPTION_INDEX = -2.75
"""Photoelectric absorption of CdTe between its K edges and 150 keV falls with this power."""


def _folded_tail(z, ratio):
    """exp(z r + r^2/2) Phi(-(z + r)) for z = (measured - energy)/sigma and r = sigma/tail mean.

    Written with erfcx where the argument is positive: there the plain form is infinity times zero.
    """
    argument = z + ratio
    scaled = 0.5 * np.exp(-0.5 * z**2) * erfcx(np.maximum(argument, 0.0) / np.sqrt(2.0))
    exponent = np.minimum(z * ratio + 0.5 * ratio**2, _LARGEST_EXPONENT)
    return np.where(argument > 0, scaled, np.exp(exponent) * ndtr(-argument))


def profile_cdf(measured, energy, sigma, tail_fraction, tail_mean):
    """Fraction of the events of a line at `energy` that are measured below `measured`.

    Parameters
    ----------
    measured, energy : array, keV
    sigma : array, keV
        Standard deviation of the Gaussian core.
    tail_fraction : array
        Fraction of events in the tail, 0 to 1.
    tail_mean : array, keV
        Mean energy lost by those, positive.

    Returns
    -------
    array of the broadcast shape; 0 far below the line, 1 far above.
    """
    z = (np.asarray(measured, float) - energy) / sigma
    return ndtr(z) + tail_fraction * _folded_tail(z, sigma / tail_mean)


def profile_pdf(measured, energy, sigma, tail_fraction, tail_mean):
    """Density (1/keV) of the events of a line: the derivative of `profile_cdf`."""
    z = (np.asarray(measured, float) - energy) / sigma
    core = np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * sigma)
    return (1.0 - tail_fraction) * core + tail_fraction * _folded_tail(
        z, sigma / tail_mean
    ) / tail_mean


@dataclass(frozen=True)
class LineShape:
    """Laws of the line profile against energy; the parameters that are learnt.

    Attributes
    ----------
    fwhm_10, fwhm_60 : float, keV
        Full width at half maximum of the core at 10 and 60 keV; its square is linear in energy.
    tail_60 : float
        Fraction of events in the tail at 60 keV; proportional to energy, because deeper
        interactions lose more holes.
    tail_scale : float
        Mean loss in the tail as a fraction of the energy.
    escape_cd, escape_te : float
        Probability of an escape at the K edge; falls as 1/E above it.
    absorption_keV : float
        Energy at which the crystal is one absorption length thick: what changes the ratios of the
        lines within a series from those of the table.
    """

    fwhm_10: float = 1.2
    fwhm_60: float = 1.6
    tail_60: float = 0.10
    tail_scale: float = 0.04
    escape_cd: float = 0.02
    escape_te: float = 0.02
    absorption_keV: float = 100.0

    def sigma(self, energy):
        """Standard deviation (keV) of the core at `energy` (keV)."""
        slope = (self.fwhm_60**2 - self.fwhm_10**2) / 50.0
        square = self.fwhm_10**2 + slope * (np.asarray(energy, float) - 10.0)
        return SIGMA_PER_FWHM * np.sqrt(np.maximum(square, 0.2**2))

    def tail_fraction(self, energy):
        """Fraction of events at `energy` (keV) in the tail, at most 0.8."""
        return np.minimum(self.tail_60 * np.asarray(energy, float) / 60.0, 0.8)

    def tail_mean(self, energy):
        """Mean loss (keV) in the tail at `energy` (keV)."""
        return self.tail_scale * np.asarray(energy, float)

    def efficiency(self, energy):
        """Probability that a photon of `energy` (keV) is absorbed."""
        depth = (np.asarray(energy, float) / self.absorption_keV) ** ABSORPTION_INDEX
        return -np.expm1(-depth)

    def escapes(self, energy):
        """List of (energy of the escape peaks, probability), for lines at `energy` (n,) keV."""
        energy = np.asarray(energy, float)
        at_edge = (self.escape_cd, self.escape_te)
        return [
            (energy - lost, np.where(energy > edge, probability * edge / energy, 0.0))
            for (edge, lost), probability in zip(ESCAPES_KEV, at_edge, strict=True)
        ]


SHAPE_PARAMETERS = tuple(field.name for field in fields(LineShape))

SHAPE_PRIOR_SIGMA = np.array([1.0, 1.0, 0.1, 0.02, 0.02, 0.02, 15.0])
"""How far (1 sigma) a parameter may be expected from its default: wide, so that it only matters for
a run of few pixels and short exposure, which could not tell a tail from a continuum."""

SHAPE_LIMITS = (
    np.array([0.3, 0.3, 0.0, 0.005, 0.0, 0.0, 30.0]),
    np.array([4.0, 5.0, 0.8, 0.3, 0.3, 0.3, 300.0]),
)


def line_cdf(
    shape: LineShape, energy, at_keV, resolution=1.0, extra_variance=0.0, width=None
) -> np.ndarray:
    """Cumulative profiles (n, len(at)) of lines at `energy` (n,), without their escape peaks' loss.

    `resolution` scales the width of the core, `extra_variance` (keV^2) is added to its square.
    `width` (n,) is the natural width of each line (FWHM, keV), or None.
    """
    energy = np.asarray(energy, float)[:, None]
    return with_natural_width(
        profile_cdf,
        np.asarray(at_keV, float),
        energy,
        np.sqrt((shape.sigma(energy) * resolution) ** 2 + extra_variance),
        shape.tail_fraction(energy),
        shape.tail_mean(energy),
        width,
    )


def line_pdf(shape: LineShape, energy, at_keV, resolution=1.0, width=None) -> np.ndarray:
    """Densities (n, len(at)) in 1/keV: the derivative of `line_cdf` against `at_keV`."""
    energy = np.asarray(energy, float)[:, None]
    return with_natural_width(
        profile_pdf,
        np.asarray(at_keV, float),
        energy,
        shape.sigma(energy) * resolution,
        shape.tail_fraction(energy),
        shape.tail_mean(energy),
        width,
    )


def escape_peaks(
    shape: LineShape, energy, at_keV, profile=line_cdf, width=None, **options
) -> np.ndarray:
    """Escape peaks (n, len(at)) of lines at `energy` (n,), per count of the line.

    `profile` is `line_cdf` or `line_pdf`, and `options` go to it. An escape peak has the natural
    width of its line, `width` (n,) keV; that of the photon which escapes is left out.
    """
    total = np.zeros((len(energy), len(at_keV)))
    for position, probability in shape.escapes(energy):
        used = probability > 0
        if used.any():
            natural = None if width is None else np.asarray(width)[used]
            peaks = profile(shape, position[used], at_keV, width=natural, **options)
            total[used] += probability[used, None] * peaks
    return total
