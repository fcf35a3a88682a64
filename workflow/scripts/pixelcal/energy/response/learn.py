"""The response of the camera, learnt from all its pixels together.

What the pixels share is learnt from the stack of their spectra on an energy axis: the resolution
against energy, the low-energy tail, the escape peaks, the ratios of the lines and the shape of the
continuum in each block. 6400 pixels bring 6400 times the statistics of one; what is left to the fit
of a pixel is its gain and offset, its normalisations and one factor on its resolution.

The absolute energy scale comes from the line table alone: the lines stand where the table says, and
a common shift of the stack is a nuisance that is fitted and thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import SIGMA_PER_FWHM, profile_cdf, profile_pdf
from pixelcal.energy.response.population import wide_spread

STACK_STEP_KEV = 0.1

ESCAPES_KEV = ((26.711, 23.174), (31.814, 27.473))
"""(K edge, energy carried away) of Cd and of Te."""

ABSORPTION_INDEX = -2.75
"""Photoelectric absorption of CdTe between its K edges and 150 keV falls with this power."""

CONTINUUM_INDEX = -1.5
CONTINUUM_ORDER = 2
"""The continuum of a block is a power law of this index, near that of the sky, times a polynomial
of this order: free to bend, too stiff to take a line's place."""


@dataclass(frozen=True)
class LineShape:
    """Laws of the line profile against energy; the parameters that are learnt.

    Attributes
    ----------
    fwhm_10, fwhm_60 : float, keV
        Full width at half maximum of the core at 10 and 60 keV; its square is linear in energy.
    tail_60 : float
        Share of events in the tail at 60 keV; proportional to energy, as deeper interactions lose
        more holes.
    tail_scale : float
        Mean loss in the tail as a share of the energy.
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

    def tail_share(self, energy):
        """Share of events at `energy` (keV) in the tail, at most 0.8."""
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
        shares = (self.escape_cd, self.escape_te)
        return [
            (energy - lost, np.where(energy > edge, share * edge / energy, 0.0))
            for (edge, lost), share in zip(ESCAPES_KEV, shares, strict=True)
        ]


SHAPE_PARAMETERS = tuple(field.name for field in fields(LineShape))

SHAPE_PRIOR_SIGMA = np.array([1.0, 1.0, 0.1, 0.02, 0.02, 0.02, 15.0])
"""How far (1 sigma) a parameter may be expected from its default: wide, so that it only matters for
a run of few pixels and short exposure, which could not tell a tail from a continuum."""

SHAPE_LIMITS = (
    np.array([0.3, 0.3, 0.0, 0.005, 0.0, 0.0, 30.0]),
    np.array([4.0, 5.0, 0.8, 0.3, 0.3, 0.3, 300.0]),
)


@dataclass(frozen=True)
class Response:
    """What the pixels of a camera share.

    Attributes
    ----------
    shape : LineShape
    line_strength : (n_lines,) float
        Mean counts of each line per pixel.
    continuum : (n_blocks, CONTINUUM_ORDER + 1 + len(ESCAPES_KEV)) float
        Mean counts/keV per pixel: coefficients of `continuum_functions`.
    spread : (1 + n_blocks + n_groups,) float
        How much pixels differ in the logarithm of the resolution, in the normalisation of each
        continuum and of each line group (`spread.py`).
    scale_covariance : (2, 2) float
        Of the stretch and the shift (keV) that the stack leaves possible, all shapes free: an error
        of the energy scale that all pixels have in common, and that no pixel's own error contains.
    chi_square, dof : float, int
        How well the stack is described.
    """

    shape: LineShape
    line_strength: np.ndarray
    continuum: np.ndarray
    spread: np.ndarray
    scale_covariance: np.ndarray
    chi_square: float = np.nan
    dof: int = 0


def empty_response(table: LineTable) -> Response:
    """The default shape with nothing in it: what is known without counts."""
    n_basis = CONTINUUM_ORDER + 1 + len(ESCAPES_KEV)
    return Response(
        shape=LineShape(),
        line_strength=np.zeros(table.n_lines),
        continuum=np.zeros((table.n_blocks, n_basis)),
        spread=wide_spread(table),
        scale_covariance=np.full((2, 2), np.nan),
    )


def series_of_lines(table: LineTable) -> tuple[list[str], np.ndarray]:
    """Names of the series (element and K alpha or K beta) and the index (n_lines,) of each line's.

    Within a series the intensities of the table hold, but for the efficiency of the detector;
    between series the ratio is learnt.
    """
    names = [f"{e} {t[:2]}" for e, t in zip(table.element, table.transition, strict=True)]
    unique = list(dict.fromkeys(names))
    return unique, np.array([unique.index(name) for name in names])


def line_weights(shape: LineShape, table: LineTable) -> np.ndarray:
    """Relative counts (n_lines,) of the lines of a series: intensity times efficiency."""
    return table.intensity * shape.efficiency(table.energy_keV)


def stack_edges(table: LineTable) -> list[np.ndarray]:
    """Edges (keV) of the stack's bins in each block of the table."""
    return [
        np.linspace(low, high, max(2, round((high - low) / STACK_STEP_KEV)) + 1)
        for low, high in table.block_limits_keV
    ]


def stack_spectra(counts, gain, offset, edges_keV, covariance=None) -> np.ndarray:
    """Sum of the pixels' spectra on an energy axis.

    The counts of a channel are spread evenly over it. As the channels of different pixels lie
    differently on the energy axis, the stack is the spectrum folded with a triangle of the width
    of a channel, of variance gain^2/6.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
    edges_keV : (m + 1,) float
    covariance : (n, 2, 2) float, optional
        Covariance of gain and offset. With it the stack is the mean over all relations that the
        fits leave possible, by the cubature of third degree in two dimensions.

    Returns
    -------
    (m,) float, counts
    """
    x = np.arange(counts.shape[1] + 1, dtype=float)
    if covariance is None:
        possible = [np.zeros((len(counts), 2))]
    else:
        axes = np.sqrt(2.0) * np.linalg.cholesky(covariance)
        possible = [sign * axes[:, :, k] for k in range(2) for sign in (1.0, -1.0)]
    total = np.zeros(len(edges_keV))
    for i, row in enumerate(counts):
        cumulative = np.concatenate([[0.0], np.cumsum(row)])
        for change in possible:
            at = (edges_keV - offset[i] - change[i, 1]) / (gain[i] + change[i, 0])
            total += np.interp(at, x, cumulative)
    return np.diff(total) / len(possible)


def continuum_functions(block_limits_keV, at_keV, sigma_at_edge) -> np.ndarray:
    """Functions (n_basis, len(at)) whose sum is the continuum of a block, per keV.

    A power law times Legendre polynomials on the block, then a step at each K edge of the detector
    that lies in it, smeared by the resolution there `sigma_at_edge` (keV): a photon above the edge
    can lose its energy to an escape. All are 1 in size.
    """
    low, high = block_limits_keV
    at_keV = np.asarray(at_keV, float)
    middle, half = (low + high) / 2, (high - low) / 2
    falling = (at_keV / middle) ** CONTINUUM_INDEX
    polynomials = np.polynomial.legendre.legvander((at_keV - middle) / half, CONTINUUM_ORDER).T
    steps = [
        ndtr((at_keV - edge) / sigma) * (low < edge < high)
        for (edge, _), sigma in zip(ESCAPES_KEV, sigma_at_edge, strict=True)
    ]
    return np.concatenate([falling * polynomials, steps])


def continuum_integrals(block_limits_keV, edges_keV, sigma_at_edge) -> np.ndarray:
    """Integrals (n_basis, m) of `continuum_functions` over the bins between `edges_keV` (m + 1,).

    Gauss-Legendre with three points a bin: exact for what is smooth over a bin.
    """
    nodes, weights = np.polynomial.legendre.leggauss(3)
    width = np.diff(edges_keV)
    at = edges_keV[:-1, None] + width[:, None] * (1.0 + nodes) / 2.0
    values = continuum_functions(block_limits_keV, at.ravel(), sigma_at_edge)
    return values.reshape(len(values), *at.shape) @ (weights / 2.0) * width


def line_cdf(shape: LineShape, energy, at_keV, resolution=1.0, extra_variance=0.0) -> np.ndarray:
    """Cumulative profiles (n, len(at)) of lines at `energy` (n,), without their escape peaks' loss.

    `resolution` scales the width of the core, `extra_variance` (keV^2) is added to its square.
    """
    energy = np.asarray(energy, float)[:, None]
    sigma = np.sqrt((shape.sigma(energy) * resolution) ** 2 + extra_variance)
    return profile_cdf(
        np.asarray(at_keV, float), energy, sigma, shape.tail_share(energy), shape.tail_mean(energy)
    )


def line_pdf(shape: LineShape, energy, at_keV, resolution=1.0) -> np.ndarray:
    """Densities (n, len(at)) in 1/keV: the derivative of `line_cdf` against `at_keV`."""
    energy = np.asarray(energy, float)[:, None]
    return profile_pdf(
        np.asarray(at_keV, float),
        energy,
        shape.sigma(energy) * resolution,
        shape.tail_share(energy),
        shape.tail_mean(energy),
    )


def escape_peaks(shape: LineShape, energy, at_keV, profile=line_cdf, **options) -> np.ndarray:
    """Escape peaks (n, len(at)) of lines at `energy` (n,), per count of the line.

    `profile` is `line_cdf` or `line_pdf`, and `options` go to it.
    """
    total = np.zeros((len(energy), len(at_keV)))
    for position, share in shape.escapes(energy):
        used = share > 0
        if used.any():
            total[used] += share[used, None] * profile(shape, position[used], at_keV, **options)
    return total


def _design(shape, table, edges, stretch, shift, extra_variance):
    """Columns of the stack's linear model: a series of lines each, then the continua."""
    series, of_line = series_of_lines(table)
    n_basis = CONTINUUM_ORDER + 1 + len(ESCAPES_KEV)
    sizes = [len(e) - 1 for e in edges]
    design = np.zeros((sum(sizes), len(series) + n_basis * table.n_blocks))
    energy = table.energy_keV * stretch + shift
    sigma_at_edge = shape.sigma([edge for edge, _ in ESCAPES_KEV])
    row = 0
    for block, e in enumerate(edges):
        part = slice(row, row + sizes[block])
        profiles = line_cdf(shape, energy, e, extra_variance=extra_variance)
        profiles += escape_peaks(shape, energy, e, extra_variance=extra_variance)
        per_line = np.diff(profiles, axis=1) * line_weights(shape, table)[:, None]
        np.add.at(design[part].T, of_line, per_line)
        first = len(series) + n_basis * block
        integrals = continuum_integrals(table.block_limits_keV[block], e, sigma_at_edge)
        design[part, first : first + n_basis] = integrals.T
        row += sizes[block]
    return design


def learn_response(
    stacks,
    table: LineTable,
    gain: float,
    n_pixels: int,
    start: LineShape,
    spread: np.ndarray | None = None,
) -> Response:
    """Fit the camera's response to the stacked spectra of its pixels.

    Poisson maximum likelihood by iteratively reweighted least squares: strengths and continua enter
    linearly and are solved for at each trial of the shape (variable projection, Golub & Pereyra
    1973); the weights come from the model of the round before.

    Parameters
    ----------
    stacks : list of (m_b,) float
        Stacked counts in the bins of `stack_edges(table)`.
    table : LineTable
    gain : float, keV/channel
        Mean gain: the width of a channel, which the stack is smeared by.
    n_pixels : int
        Number of pixels in the stack; strengths are returned per pixel.
    start : LineShape
    spread : (1 + n_blocks + n_groups,) float, optional
        `Response.spread`, which a stack says nothing about; wide where not given.

    Returns
    -------
    Response
    """
    edges = stack_edges(table)
    data = np.concatenate(stacks)
    extra_variance = gain**2 / 6.0
    prior = np.array([getattr(LineShape(), name) for name in SHAPE_PARAMETERS])
    n_shape = len(SHAPE_PARAMETERS)
    theta = np.array([getattr(start, name) for name in SHAPE_PARAMETERS] + [0.0, 0.0])
    weights = 1.0 / np.sqrt(np.maximum(_smooth(data), 0.5))

    def model(theta):
        shape = LineShape(*theta[:n_shape])
        design = _design(
            shape, table, edges, 1.0 + theta[n_shape], theta[n_shape + 1], extra_variance
        )
        used = design.any(axis=0)
        scaled = design[:, used] * weights[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        solution, *_ = np.linalg.lstsq(scaled / norms, data * weights, rcond=1e-10)
        strengths = np.zeros(design.shape[1])
        strengths[used] = solution / norms
        return strengths, design @ strengths

    def residuals(theta):
        pulls = (theta[:n_shape] - prior) / SHAPE_PRIOR_SIGMA
        shift_pulls = theta[n_shape:] / (0.02, 1.0)
        return np.concatenate([(model(theta)[1] - data) * weights, pulls, shift_pulls])

    limits = (np.append(SHAPE_LIMITS[0], [-0.1, -3.0]), np.append(SHAPE_LIMITS[1], [0.1, 3.0]))
    theta = np.clip(theta, limits[0] + 1e-6, limits[1] - 1e-6)
    scale = np.append(SHAPE_PRIOR_SIGMA, [0.001, 0.1])
    for _ in range(3):
        found = least_squares(residuals, theta, bounds=limits, x_scale=scale, xtol=1e-6, ftol=1e-9)
        theta = found.x
        strengths, expected = model(theta)
        weights = 1.0 / np.sqrt(np.maximum(expected, 0.1))
    series, of_line = series_of_lines(table)
    shape = LineShape(*(float(value) for value in theta[:n_shape]))
    return Response(
        shape=shape,
        line_strength=strengths[of_line] * line_weights(shape, table) / n_pixels,
        continuum=strengths[len(series) :].reshape(table.n_blocks, -1) / n_pixels,
        spread=wide_spread(table) if spread is None else spread,
        scale_covariance=np.linalg.pinv(found.jac.T @ found.jac)[n_shape:, n_shape:],
        chi_square=float(np.sum((data - expected) ** 2 * weights**2)),
        dof=len(data) - int(np.count_nonzero(strengths)) - len(theta),
    )


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
