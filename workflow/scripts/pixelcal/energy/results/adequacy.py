"""Does the model describe the spectra? The residuals of all pixels' fits, added up by energy.

A single pixel has too few counts to show a line that the table lacks, and the chi-square of the
stack is that of correlated bins. The residuals of the fits (`fit.checks.residuals`) are neither:
summed over the camera, and over each module, they have a known variance. Four things follow:

- chi-square of the camera, of `n_bins` minus what the fits of the pixels absorb. What the learnt
  response absorbs as well is not subtracted, so the test errs on the side of silence;
- chi-square of the modules, after the residuals of the camera are taken off: what one ASIC does;
- regions of energy with more or fewer counts than chance gives, in windows of `WIDTHS` bins;
- how much all of it matters: in fractions of the model, because with enough counts all is
  significant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.fit.columns import residual_edges
from pixelcal.numerics.goodness_of_fit import p_value
from pixelcal.numerics.regions import find_off, limit_of
from pixelcal.numerics.statistics import robust_outliers
from pixelcal.status import EnergyStatus, has_valid_fit

CHANCE = 0.003
"""A chi-square is too large, or a region off, where chance does it so rarely: the three tests
together call one right camera in 100 wrong at most."""

RELEVANT = 0.01
"""What is off by a smaller fraction of the model is told, but not warned of."""

WIDTHS = (1, 2, 3, 5)
"""Bins of the windows that are looked at: up to a line with its tail."""

WORSE_SIGMA, MIN_PIXELS = 5.0, 8
"""A pixel whose residuals are worse than the camera's by so many robust standard deviations is left
out; of fewer pixels none is."""

LEFT_OUT = EnergyStatus.MASKED | EnergyStatus.AT_LIMIT | EnergyStatus.CHANGED
"""Pixels of these bits are left out: there the pixel, not the model, is wrong."""


class Residuals(NamedTuple):
    """Sums over pixels, in bins of energy.

    Attributes
    ----------
    counts, expected, variance : (..., n_bins) float
        Variance of counts minus expected counts, without what the fits absorb.
    """

    counts: np.ndarray
    expected: np.ndarray
    variance: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Counts beyond those expected, (..., n_bins)."""
        return self.counts - self.expected


class Discrepancy(NamedTuple):
    """How well sums of residuals agree with chance; floats or arrays (k,).

    Attributes
    ----------
    chi_square, dof, pvalue
    fraction
        Root mean square of what exceeds chance, as a fraction of the model.
    """

    chi_square: np.ndarray
    dof: np.ndarray
    pvalue: np.ndarray
    fraction: np.ndarray


class Region(NamedTuple):
    """Neighbouring bins with too many counts, or too few.

    Attributes
    ----------
    first, last : int
        First and one past the last bin.
    low_keV, high_keV : float
    excess : float
        Counts beyond the model; negative where they are missing.
    fraction : float
        The same over those of the model.
    sigma : float
    """

    first: int
    last: int
    low_keV: float
    high_keV: float
    excess: float
    fraction: float
    sigma: float


class Bins(NamedTuple):
    """The bins of energy.

    Attributes
    ----------
    low, high : (n_bins,) float, keV
    block : (n_bins,) int
    """

    low: np.ndarray
    high: np.ndarray
    block: np.ndarray


def bins_of(limits_keV: np.ndarray) -> Bins:
    """The bins of the blocks of limits (n_blocks, 2), keV."""
    edges = residual_edges(limits_keV)
    low, high = (np.concatenate([e[part] for e in edges]) for part in (np.s_[:-1], np.s_[1:]))
    return Bins(low, high, np.repeat(np.arange(len(edges)), [len(e) - 1 for e in edges]))


def as_residuals(rows) -> Residuals:
    """The residuals in the rows (n,) of an extension RESIDUALS: (n, n_bins) of a chunk, (n_bins,)
    of a relation."""
    return Residuals(
        *(np.asarray(rows[name], float) for name in ("COUNTS", "EXPECTED", "VARIANCE"))
    )


def typical_pixels(of_pixels: Residuals, status: np.ndarray) -> np.ndarray:
    """Which pixels count, (n,) bool: with a valid fit, and none whose residuals deviate.

    Parameters
    ----------
    of_pixels : Residuals, (n, n_bins)
        NaN where there is nothing to add up.
    status : (n,) int
        A poor fit counts: where the model is wrong, all are poor.
    """
    known = np.isfinite(of_pixels.expected).all(axis=1) & (of_pixels.expected.sum(axis=1) > 0)
    known &= has_valid_fit(status) & ((status & int(LEFT_OUT)) == 0)
    worse = np.full(len(status), np.nan)
    chi_square, dof, variance = _moments(Residuals(*(part[known] for part in of_pixels)))
    worse[known] = (chi_square - dof) / np.sqrt(variance)
    return known & ~robust_outliers(worse, np.zeros(len(worse)), WORSE_SIGMA, MIN_PIXELS)


def summed(of_pixels: Residuals, chosen: np.ndarray) -> Residuals:
    """Sums (n_bins,) over the pixels `chosen` (n,) bool."""
    return Residuals(*(part[chosen].sum(axis=0) for part in of_pixels))


def by_module(
    of_pixels: Residuals, chosen: np.ndarray, module: np.ndarray
) -> tuple[np.ndarray, Residuals]:
    """Numbers (k,) of the modules (n,) that the pixels `chosen` are of, and sums (k, n_bins)."""
    modules = np.unique(module[chosen])
    sums = [summed(of_pixels, chosen & (module == number)) for number in modules]
    n_bins = of_pixels.counts.shape[1]
    stacked = (np.reshape([getattr(one, name) for one in sums], (len(sums), n_bins))
               for name in Residuals._fields)  # fmt: skip
    return modules, Residuals(*stacked)


def discrepancy(sums: Residuals) -> Discrepancy:
    """How well sums (..., n_bins) agree with chance; the last axis is summed over."""
    return _discrepancy(*_moments(sums), sums.expected.sum(axis=-1))


def discrepancy_of_modules(
    of_modules: Residuals, camera: Residuals
) -> tuple[Discrepancy, Discrepancy]:
    """How well each module agrees with the camera, (k,), and all of them together.

    From the residuals of a module its part of the camera's is taken off: with the part f of the
    expected counts it leaves the variance (1 - f) of its own.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.nan_to_num(of_modules.expected / camera.expected)
    left = of_modules.expected + of_modules.excess - part * camera.excess
    variance = of_modules.variance * (1.0 - part)
    chi_square, dof, spread = _moments(Residuals(left, of_modules.expected, variance))
    expected = of_modules.expected.sum(axis=-1)
    together = _discrepancy(chi_square.sum(), dof.sum(), spread.sum(), expected.sum())
    return _discrepancy(chi_square, dof, spread, expected), together


def _moments(sums: Residuals):
    """Chi-square against the expected counts, with its mean and variance, each (...).

    The variance is that of independent Poisson counts, 2 + 1/mu in each bin: an upper limit.
    """
    mu = np.where(sums.expected > 0, sums.expected, np.inf)
    chi_square = (sums.excess**2 / mu).sum(axis=-1)
    dof = (sums.variance / mu).sum(axis=-1)
    return chi_square, dof, 2.0 * dof + (1.0 / mu).sum(axis=-1)


def _discrepancy(chi_square, dof, variance, expected) -> Discrepancy:
    with np.errstate(invalid="ignore", divide="ignore"):
        pvalue = p_value(chi_square, dof, variance)
        fraction = np.sqrt(np.maximum(chi_square - dof, 0.0) / expected)
    return Discrepancy(chi_square, dof, np.where(dof > 0, pvalue, np.nan), fraction)


def find_regions(bins: Bins, camera: Residuals, by_widths=None) -> list[Region]:
    """Regions of energy that are off by more than chance, the most significant first.

    A window counts where one of its size does by chance, in all places together, as rarely as
    `CHANCE`; bins of the same sign in such windows that touch are one region. `by_widths` is the
    covariance (n_bins, n_bins) by channels of unequal width, if any: what they make is no region.
    """
    found = find_off(
        camera.excess,
        lambda window: _sigma(camera, window, by_widths),
        bins.block,
        WIDTHS,
        limit_of(CHANCE, len(bins.low) * len(WIDTHS)),
    )
    regions = [_region(bins, camera, first, last, by_widths) for first, last in found]
    return sorted(regions, key=lambda region: -abs(region.sigma))


def _sigma(camera: Residuals, window: slice, by_widths=None) -> float:
    """Excess of the bins of a window over its standard deviation; 0 where that is not known."""
    variance = camera.variance[window].sum()
    if by_widths is not None:
        variance += by_widths[window, window].sum()
    return float(camera.excess[window].sum() / np.sqrt(variance)) if variance > 0 else 0.0


def _region(bins: Bins, camera: Residuals, first: int, last: int, by_widths) -> Region:
    window = slice(first, last)
    excess, expected = camera.excess[window].sum(), camera.expected[window].sum()
    return Region(
        first,
        last,
        float(bins.low[first]),
        float(bins.high[last - 1]),
        float(excess),
        float(excess / expected),
        _sigma(camera, window, by_widths),
    )
