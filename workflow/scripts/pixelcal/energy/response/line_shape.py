"""The profile of one line: a Gaussian core with an exponential tail towards low energy.

A fraction of the events loses energy to incomplete hole collection; the loss is exponential. Folded
with the Gaussian of the electronics this is the exponentially modified Gaussian, mirrored
(Phillips & Marlow 1976, NIM 137, 525, without their step). Everything is in keV and broadcasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erfcx, ndtr

from pixelcal.energy.response.materials import MATERIALS, Material
from pixelcal.energy.response.natural_width import with_natural_width
from pixelcal.instrument import Instrument

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
SIGMA_PER_FWHM = 1.0 / FWHM_PER_SIGMA

_LARGEST_EXPONENT = 50.0

TRAPPING = 7
"""Place of the trapping among the parameters of a shape."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
DEPTHS = tuple(zip((1.0 + _NODES) / 2.0, _WEIGHTS / 2.0, strict=True))
"""Quantiles of the depth of absorption, and their weights."""

LOSSES = ("tail_60", "tail_scale", "trapping")
"""What the mobility-lifetime products change."""

TAIL_NODES = 0.6, 1.0, 1.0 / 0.6
"""Factors on the tail that lines are computed at: g of `tail_law` is -1/2, 0 and 1/2 there."""

LEAST_LOSS_KEV = 0.02
"""Mean loss in the tail at low energy, where the law would have none or less: it is not seen."""


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
        Full width at half maximum of the core at 10 and 60 keV.
    width_bend : float, keV^2
        How far the square of the width is from linear in energy: noise and charge statistics make
        a straight line, incomplete collection and pile-up of small losses a parabola.
    tail_60 : float
        Fraction of events in the tail at 60 keV.
    tail_slope : float
        Relative slope of that fraction there: 1 is proportional to energy, as deeper interactions
        lose more holes; 0 the same at all energies.
    tail_scale : float
        Mean loss in the tail at 60 keV as a fraction of the energy.
    loss_slope : float
        Relative slope of the mean loss at 60 keV: 1 is proportional to energy.
    trapping : float
        Fraction of the energy that an event loses at the far side of the crystal to holes that are
        trapped on their way back (Hecht 1932, Z. Phys. 77, 235, for weak trapping): it goes with
        the square of the depth. 0 where the data do not ask for it.
    escape : tuple of float
        Probability of each escape of the material at its K edge; falls as 1/E above it.
    absorption_keV : float
        Energy at which the crystal is one absorption length thick: what changes the ratios of the
        lines within a series from those of the table.
    material : Material
    """

    fwhm_10: float
    fwhm_60: float
    tail_60: float
    tail_scale: float
    escape: tuple[float, ...]
    absorption_keV: float
    material: Material
    width_bend: float = 0.0
    tail_slope: float = 1.0
    loss_slope: float = 1.0
    trapping: float = 0.0

    @property
    def vector(self) -> np.ndarray:
        """The parameters that are learnt, (10 or more,), as `shape_of` takes them."""
        core = self.fwhm_10, self.fwhm_60, self.tail_60, self.tail_scale
        laws = self.width_bend, self.tail_slope, self.loss_slope, self.trapping
        return np.array([*core, *laws, *self.escape, self.absorption_keV])

    @property
    def sigma_at_edges(self) -> np.ndarray:
        """Standard deviation (keV) of the core at each K edge of the material."""
        return self.sigma([escape.edge_keV for escape in self.material.escapes])

    def sigma(self, energy):
        """Standard deviation (keV) of the core at `energy` (keV)."""
        energy = np.asarray(energy, float)
        part = (energy - 10.0) / 50.0
        square = self.fwhm_10**2 + (self.fwhm_60**2 - self.fwhm_10**2) * part
        square = square + self.width_bend * part * (part - 1.0)
        return SIGMA_PER_FWHM * np.sqrt(np.maximum(square, 0.2**2))

    def tail_fraction(self, energy):
        """Fraction of events at `energy` (keV) in the tail, at most 0.8."""
        return np.clip(self.tail_60 * _law(energy, self.tail_slope), 0.0, 0.8)

    def tail_mean(self, energy):
        """Mean loss (keV) in the tail at `energy` (keV)."""
        loss = 60.0 * self.tail_scale * _law(energy, self.loss_slope)
        return np.maximum(loss, LEAST_LOSS_KEV)

    def with_tail(self, factor: float) -> LineShape:
        """The shape with so many times the fraction in the tail, the mean loss and the trapping."""
        scaled = {name: factor * getattr(self, name) for name in LOSSES}
        return replace(self, **scaled)

    def thickness(self, energy):
        """Thickness of the crystal in absorption lengths of photons of `energy` (keV)."""
        energy = np.asarray(energy, float)
        thickness = (energy / self.absorption_keV) ** self.material.absorption_index
        for escape in self.material.escapes:
            thickness = np.where(energy < escape.edge_keV, thickness / escape.jump, thickness)
        return thickness

    def efficiency(self, energy):
        """Probability that a photon of `energy` (keV) is absorbed."""
        return -np.expm1(-self.thickness(energy))

    def lost_by_depth(self, energy) -> list[tuple[float, np.ndarray]]:
        """List of (weight, energy lost (n,), keV) of lines at `energy` (n,) keV.

        At quantiles of the depth of absorption, whose density falls exponentially: the nodes of
        Gauss-Legendre.
        """
        energy = np.asarray(energy, float)
        if self.trapping == 0.0:
            return [(1.0, np.zeros_like(energy))]
        thickness = self.thickness(energy)
        depths = [-np.log1p(quantile * np.expm1(-thickness)) / thickness for quantile, _ in DEPTHS]
        return [
            (weight, trapped(depth, self.trapping, self.material.electron_path) * energy)
            for depth, (_, weight) in zip(depths, DEPTHS, strict=True)
        ]

    def escapes(self, energy):
        """List of (energy of the escape peaks, probability), for lines at `energy` (n,) keV."""
        energy = np.asarray(energy, float)
        return [
            (
                energy - escape.lost_keV,
                np.where(energy > escape.edge_keV, probability * escape.edge_keV / energy, 0.0),
            )
            for escape, probability in zip(self.material.escapes, self.escape, strict=True)
        ]


def tail_law(factor):
    """Weights of the second and the third of the `tail_terms` at a factor T, with derivatives.

    g = 2 (T - 1) / (T + 1), which near 1 is ln T to third order but finite everywhere, and g^2;
    below g of -1/2 the tangent of that, as a parabola would rise again. The first derivatives
    follow, and the second ones.
    """
    beyond = factor + 1.0
    law, slope, bend = 2.0 * (factor - 1.0) / beyond, 4.0 / (beyond * beyond), -8.0 / beyond**3
    if law < -0.5:
        return law, -0.25 - law, slope, -slope, bend, -bend
    return law, law * law, slope, 2.0 * law * slope, bend, 2.0 * (law * bend + slope * slope)


def tail_weights(factor: float, losses: bool) -> np.ndarray:
    """Weights (2 or 3,) of the `tail_terms` at a factor on the tail."""
    return np.array([1.0, *tail_law(factor)[:2]] if losses else [1.0, factor])


def trapped(depth, trapping: float, electron_path: float):
    """Fraction of the charge that is trapped at a depth, beyond what it is where it is least.

    Hecht 1932, Z. Phys. 77, 235: at the fraction u of the thickness from the cathode, with mean
    free paths l of electrons and holes in units of the thickness, the efficiency is

        l_e (1 - exp(-(1 - u) / l_e)) + l_h (1 - exp(-u / l_h))

    largest where u = l_h / (l_e + l_h). Holes of the far side lose nearly `trapping` = 1 / (2 l_h),
    and `electron_path` is l_e / l_h.
    """
    holes = 0.5 / trapping
    electrons = electron_path * holes

    def collected(u):
        return -electrons * np.expm1(-(1.0 - u) / electrons) - holes * np.expm1(-u / holes)

    return 1.0 - collected(depth) / collected(1.0 / (1.0 + electron_path))


def _law(energy, slope: float):
    """A straight line in energy (keV) that is 1 at 60 keV and has a relative slope there."""
    return 1.0 + slope * (np.asarray(energy, float) / 60.0 - 1.0)


def shape_of(vector, material: Material) -> LineShape:
    """The line shape of the parameters (n,) that `LineShape.vector` gives."""
    *first, absorption = (float(value) for value in vector)
    return LineShape(*first[:4], tuple(first[8:]), absorption, material, *first[4:8])


def expected_shape(instrument: Instrument) -> LineShape:
    """The line shape that an instrument file expects: where learning starts."""
    given, material = instrument.response, MATERIALS[instrument.material]
    return LineShape(
        fwhm_10=given["fwhm_10_keV"],
        fwhm_60=given["fwhm_60_keV"],
        tail_60=given["tail_60"],
        tail_scale=given["tail_scale"],
        escape=(given["escape"],) * len(material.escapes),
        absorption_keV=given["absorption_keV"],
        material=material,
    )


def prior_sigma(material: Material) -> np.ndarray:
    """How far (1 sigma) each of the parameters (n,) may be expected from the expected one.

    Wide, so that it only matters for a run of few pixels and short exposure, which could not tell
    a tail from a continuum.
    """
    laws = 0.3, 0.3, 0.3, 0.05
    return np.array([1.0, 1.0, 0.1, 0.02, *laws, *[0.02] * len(material.escapes), 15.0])


def shape_limits(material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of each of the parameters, (n,) each.

    The mean loss at 60 keV is 0.12 of the energy at most, 7 keV: with more a tail takes in lines
    that the table lacks, and hides them. It is 0.01 at least, 0.6 keV, about the width of the core,
    and does not fall with energy: a shorter tail is no tail but moves the peak, differently at each
    energy, where lines that the table lacks seem to ask for that.
    """
    n = len(material.escapes)
    return (
        np.array([0.3, 0.3, 0.0, 0.01, -3.0, -0.5, 0.0, 0.0, *[0.0] * n, 30.0]),
        np.array([4.0, 5.0, 0.8, 0.12, 3.0, 2.5, 2.5, 0.3, *[0.3] * n, 300.0]),
    )


def line_cdf(
    shape: LineShape, energy, at_keV, resolution=1.0, extra_variance=0.0, width=None, tail=1.0
) -> np.ndarray:
    """Cumulative profiles (n, len(at)) of lines at `energy` (n,), without their escape peaks' loss.

    `resolution` scales the width of the core, `extra_variance` (keV^2) is added to its square.
    `width` (n,) is the natural width of each line (FWHM, keV), or None. `tail` is the strength of
    all that loses energy in the crystal relative to that of `shape`: 0 leaves the core alone.
    """
    square = (shape.sigma(energy) * resolution) ** 2 + extra_variance
    return _line(profile_cdf, shape, energy, at_keV, np.sqrt(square), width, tail)


def line_pdf(shape: LineShape, energy, at_keV, resolution=1.0, width=None, tail=1.0) -> np.ndarray:
    """Densities (n, len(at)) in 1/keV: the derivative of `line_cdf` against `at_keV`."""
    sigma = shape.sigma(energy) * resolution
    return _line(profile_pdf, shape, energy, at_keV, sigma, width, tail)


def _line(profile, shape: LineShape, energy, at_keV, sigma, width, tail) -> np.ndarray:
    """`profile` (n, len(at)) of lines with a core of `sigma` (n,) keV."""
    energy, at_keV = np.asarray(energy, float), np.asarray(at_keV, float)
    total = 0.0
    if tail != 0.0:
        fraction, loss = shape.tail_fraction(energy), shape.tail_mean(energy)
        for weight, lost in shape.lost_by_depth(energy):
            laws = (values[:, None] for values in (energy - lost, sigma, fraction, loss))
            total = total + tail * weight * with_natural_width(profile, at_keV, *laws, width)
    if tail != 1.0:
        laws = energy[:, None], sigma[:, None], 0.0, LEAST_LOSS_KEV
        total = total + (1.0 - tail) * with_natural_width(profile, at_keV, *laws, width)
    return total


def tail_terms(profile, shape: LineShape, energy, at_keV, losses: bool, **options) -> np.ndarray:
    """Terms of lines with a factor T on their tail, (2 or 3, n, len(at)).

    A factor on the strength alone makes a line the first term plus T times the second. With
    `losses` it is on the fraction in the tail, the mean loss and the trapping alike, as where the
    mobility-lifetime products of pixels differ: a line is then the sum of the terms times 1 and the
    weights of `tail_law`, exactly where T is 0.6, 1 and 1.67, and to 1 % of a line in between.

    `profile` is `line_cdf` or `line_pdf`, `options` go to it.
    """
    if not losses:
        core, whole = (profile(shape, energy, at_keV, tail=tail, **options) for tail in (0.0, 1.0))
        return np.array([core, whole - core])
    low, middle, high = (
        profile(shape.with_tail(factor), energy, at_keV, **options) for factor in TAIL_NODES
    )
    return np.array([middle, high - low, 2.0 * (low + high) - 4.0 * middle])


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
