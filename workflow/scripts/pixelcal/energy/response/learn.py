"""Learning the response of the camera from the stack of its pixels: the maximisation step of EM.

What all pixels have in common is fitted to the stack of their spectra on an energy axis: the
resolution against energy, the low-energy tail, the escape peaks, the ratios of the lines and the
shape of the continuum in each block. 6400 pixels bring 6400 times the statistics of one. The fit of
a pixel then only has to find its gain and offset, its normalisations and one factor on its
resolution.

The absolute energy scale comes from the line table alone: the lines stand where the table says. The
common stretch and shift of the stack are nuisance parameters: they are fitted, their covariance is
kept as the systematic uncertainty, and their values are not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import (
    SHAPE_LIMITS,
    SHAPE_PARAMETERS,
    SHAPE_PRIOR_SIGMA,
    LineShape,
    escape_peaks,
    line_cdf,
)
from pixelcal.energy.response.model import (
    CONTINUUM_ORDER,
    Response,
    continuum_integrals,
    line_weights,
    series_of_lines,
)
from pixelcal.energy.response.stack import stack_edges
from pixelcal.instrument import ESCAPES_KEV

N_SHAPE = len(SHAPE_PARAMETERS)
SHAPE_DEFAULTS = np.array([getattr(LineShape(), name) for name in SHAPE_PARAMETERS])

STRETCH_SHIFT_PRIOR_SIGMA = np.array([0.02, 1.0])
"""How far (1 sigma) stretch and shift (keV) may be expected from 1 and 0."""

STRETCH_SHIFT_LIMITS = (np.array([-0.1, -3.0]), np.array([0.1, 3.0]))
"""Limits of the stretch minus 1 and of the shift (keV)."""

REWEIGHTINGS = 3
"""How often the stack is fitted, each time with the weights of the model before."""


def learn_response(
    stacks,
    table: LineTable,
    gain: float,
    n_pixels: int,
    start: LineShape,
    population_scale: np.ndarray,
) -> Response:
    """Fit the camera's response to the stacked spectra of its pixels.

    Poisson maximum likelihood by iteratively reweighted least squares; the weights come from the
    model of the iteration before.

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
    population_scale : (1 + n_blocks + n_groups,) float
        `Response.population_scale`, which a stack cannot tell.

    Returns
    -------
    Response
    """
    data = np.concatenate(stacks)
    fit = _StackFit(table, stack_edges(table), data, gain**2 / 6.0)
    limits = tuple(
        np.append(*pair) for pair in zip(SHAPE_LIMITS, STRETCH_SHIFT_LIMITS, strict=True)
    )
    theta = np.array([getattr(start, name) for name in SHAPE_PARAMETERS] + [0.0, 0.0])
    theta = np.clip(theta, limits[0] + 1e-6, limits[1] - 1e-6)
    step = np.append(SHAPE_PRIOR_SIGMA, [0.001, 0.1])
    weights = 1.0 / np.sqrt(np.maximum(_smooth(data), 0.5))
    for _ in range(REWEIGHTINGS):
        found = least_squares(
            fit.residuals, theta, args=(weights,), bounds=limits, x_scale=step, xtol=1e-6, ftol=1e-9
        )
        theta = found.x
        strengths, expected = fit.solve(theta, weights)
        weights = 1.0 / np.sqrt(np.maximum(expected, 0.1))
    series, of_line = series_of_lines(table)
    shape = LineShape(*(float(value) for value in theta[:N_SHAPE]))
    return Response(
        shape=shape,
        line_strength=strengths[of_line] * line_weights(shape, table) / n_pixels,
        continuum=strengths[len(series) :].reshape(table.n_blocks, -1) / n_pixels,
        population_scale=population_scale,
        scale_covariance=np.linalg.pinv(found.jac.T @ found.jac)[N_SHAPE:, N_SHAPE:],
        chi_square=float(np.sum((data - expected) ** 2 * weights**2)),
        dof=len(data) - int(np.count_nonzero(strengths)) - len(theta),
    )


@dataclass(frozen=True)
class _StackFit:
    """The stack as a separable least-squares problem: variable projection (Golub & Pereyra 1973).

    Strengths and continua enter linearly and are solved for at each trial of the parameters
    `theta` (N_SHAPE + 2,): the shape, the stretch minus 1, and the shift (keV).

    Attributes
    ----------
    table : LineTable
    edges : list of (m_b + 1,) float, keV
    data : (sum of m_b,) float
    extra_variance : float, keV^2
        Of the triangle that the stack is smeared with.
    """

    table: LineTable
    edges: list[np.ndarray]
    data: np.ndarray
    extra_variance: float

    def solve(self, theta, weights) -> tuple[np.ndarray, np.ndarray]:
        """Strengths at `theta`, 0 where a column of the design is, and the expected stack."""
        shape = LineShape(*theta[:N_SHAPE])
        stretch, shift = 1.0 + theta[N_SHAPE], theta[N_SHAPE + 1]
        design = _design(shape, self.table, self.edges, stretch, shift, self.extra_variance)
        used = design.any(axis=0)
        scaled = design[:, used] * weights[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        solution, *_ = np.linalg.lstsq(scaled / norms, self.data * weights, rcond=1e-10)
        strengths = np.zeros(design.shape[1])
        strengths[used] = solution / norms
        return strengths, design @ strengths

    def residuals(self, theta, weights) -> np.ndarray:
        """Weighted residuals of the stack, then the pulls of the parameters from their priors."""
        pulls = (theta[:N_SHAPE] - SHAPE_DEFAULTS) / SHAPE_PRIOR_SIGMA
        scale_pulls = theta[N_SHAPE:] / STRETCH_SHIFT_PRIOR_SIGMA
        expected = self.solve(theta, weights)[1]
        return np.concatenate([(expected - self.data) * weights, pulls, scale_pulls])


def _design(shape, table, edges, stretch, shift, extra_variance):
    """Columns of the stack's linear model (n bins, n strengths): series of lines, then continua."""
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


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
