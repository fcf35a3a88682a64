"""The systematic uncertainty of the energy scale, common to all pixels.

One learnt response places the lines of all pixels. What is wrong with it, with the line table, or
with a straight relation, moves all pixels alike: the statistical errors of a pixel do not contain
it, and it does not average out over pixels. It is kept as the covariance of a common stretch, shift
and bend: the energy of all pixels is off by

    stretch E + shift + bend (E / 80 keV)^2
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.energy.curve import parabola
from pixelcal.energy.lines import LineTable, elements_of

ENERGY_PRIOR_SIGMA_KEV = 0.02
"""How far (1 sigma) the lines of an element may stand from where the table says, where the table
states no uncertainty: energies of K lines in common tables differ by so much."""

LEAST_ENERGY_SIGMA_KEV = 1e-4
"""Stated uncertainties count as at least this: lines that are exactly known have no width of a
prior to divide by, and no table of lines is better."""

BEND_AT_KEV = 80.0

LOW_PRIOR_SIGMA_KEV = 0.3
"""How far (1 sigma) a bend of all relations at low energy may be expected from 0, at the lowest
line."""

SCALE_KEYWORDS = (
    ("STRETVAR", "variance of the common stretch of energies"),
    ("STRSHCOV", "[keV] covariance of stretch and shift"),
    ("SHIFTVAR", "[keV2] variance of the common shift"),
)
SYSTEMATIC_KEYWORDS = (
    ("SYSSTR2", "systematic variance of the stretch"),
    ("SYSSTRSH", "[keV] systematic covariance, stretch and shift"),
    ("SYSSTRBD", "[keV] systematic covariance, stretch and bend"),
    ("SYSSHI2", "[keV2] systematic variance of the shift"),
    ("SYSSHIBD", "[keV2] systematic covariance, shift and bend"),
    ("SYSBND2", "[keV2] systematic variance, bend at 80 keV"),
)


def scale_cards(covariance: np.ndarray, keywords=SCALE_KEYWORDS) -> list[tuple]:
    """Header cards of the upper triangle of a covariance (k, k); none where it is not known."""
    covariance = np.asarray(covariance, float)
    if not np.isfinite(covariance).all():
        return []
    values = covariance[np.triu_indices(len(covariance))]
    return [
        (keyword, float(value), text)
        for (keyword, text), value in zip(keywords, values, strict=True)
    ]


def scale_covariance(header: Mapping, keywords=SCALE_KEYWORDS) -> np.ndarray:
    """The covariance (k, k) from a header with `scale_cards`; NaN where it is not known."""
    values = [float(header.get(keyword, np.nan)) for keyword, _ in keywords]
    k = int((np.sqrt(8 * len(values) + 1) - 1) / 2)
    covariance = np.empty((k, k))
    covariance[np.triu_indices(k)] = values
    covariance.T[np.triu_indices(k)] = values
    return covariance


def common_covariance(header: Mapping) -> np.ndarray:
    """All that a header says of what the energies of all pixels have in common.

    The systematic covariance (3, 3), or of an older file that of counting (2, 2).
    """
    covariance = scale_covariance(header, SYSTEMATIC_KEYWORDS)
    return covariance if np.isfinite(covariance).all() else scale_covariance(header)


def systematic_sigma(energy_keV, covariance):
    """Systematic uncertainty (keV, 1 sigma) of an energy, common to all pixels; broadcasts.

    `covariance` is that of stretch and shift (2, 2), or of stretch, shift and bend (3, 3), keV.
    """
    energy = np.asarray(energy_keV, float)
    basis = np.array([energy, np.ones_like(energy), (energy / BEND_AT_KEV) ** 2])[: len(covariance)]
    variance = np.einsum("i...,ij,j...->...", basis, np.asarray(covariance), basis)
    return np.sqrt(np.maximum(variance, 0.0))


def element_energy_sigma(table: LineTable) -> np.ndarray:
    """Uncertainty (n_elements,), keV, of the energies of each element's lines taken together.

    The root of the mean square over the lines i of the element, weighted by their intensities w_i:

        sigma^2 = sum_i w_i sigma_i^2 / sum_i w_i

    sigma_i is what the table states (`energy_err_keV`), or ENERGY_PRIOR_SIGMA_KEV where it states
    nothing. The lines of an element move together, which is the cautious reading: most of their
    errors are those of one measurement or one calculation. The order is that of `elements_of`.
    """
    elements, of_line = elements_of(table)
    unstated = np.isnan(table.energy_err_keV)
    stated = np.maximum(table.energy_err_keV, LEAST_ENERGY_SIGMA_KEV)
    square = np.where(unstated, ENERGY_PRIOR_SIGMA_KEV, stated) ** 2
    sums = [np.bincount(of_line, values) for values in (table.intensity * square, table.intensity)]
    all_unstated = np.bincount(of_line, ~unstated, len(elements)) == 0
    # Without rounding where nothing is stated: tables without the column change no product.
    return np.where(all_unstated, ENERGY_PRIOR_SIGMA_KEV, np.sqrt(sums[0] / sums[1]))


def systematic_sigmas(energy_keV: float, covariance) -> np.ndarray:
    """`systematic_sigma` of one covariance (k, k), or of each of several (n, k, k): () or (n,)."""
    covariance = np.asarray(covariance, float)
    if covariance.ndim == 2:
        return np.asarray(systematic_sigma(energy_keV, covariance))
    kinds, of_pixel = np.unique(covariance, axis=0, return_inverse=True)
    sigmas = np.array([systematic_sigma(energy_keV, one) for one in kinds])
    return sigmas[of_pixel.ravel()]


def bend_function(energy_keV, table: LineTable):
    """A parabola that is 0 at the lowest and the highest line of the table; broadcasts.

    Its coefficient (keV) is minus four times what it is in the middle between them.
    """
    return parabola(energy_keV, line_ends(table))


def bend_coefficients(table: LineTable) -> np.ndarray:
    """`bend_function` as coefficients (3,) of stretch, shift (keV) and bend (keV)."""
    low, high = line_ends(table)
    return np.array([-(low + high), low * high, BEND_AT_KEV**2]) / (high - low) ** 2


def line_ends(table: LineTable) -> tuple[float, float]:
    """Energies (keV) of the lowest and the highest line of a table."""
    return float(np.min(table.energy_keV)), float(np.max(table.energy_keV))
