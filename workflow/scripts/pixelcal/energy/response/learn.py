"""The response of the camera, learnt from all its pixels together.

What the pixels share is learnt from the stack of their spectra on an energy axis: the resolution
against energy, the low-energy tail, the escape peaks, the ratios of the lines and the shape of the
continuum in each block. 6400 pixels bring 6400 times the statistics of one; what is left to the fit
of a pixel is its gain and offset, its normalisations and one factor on its resolution.

The absolute energy scale comes from the line table alone: the lines stand where the table says, and
a common shift of the stack is a nuisance that is fitted and thrown away.
"""

from __future__ import annotations

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
from pixelcal.energy.response.population import wide_population_scale
from pixelcal.energy.response.stack import stack_edges
from pixelcal.instrument import ESCAPES_KEV


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
        spread=wide_population_scale(table) if spread is None else spread,
        scale_covariance=np.linalg.pinv(found.jac.T @ found.jac)[n_shape:, n_shape:],
        chi_square=float(np.sum((data - expected) ** 2 * weights**2)),
        dof=len(data) - int(np.count_nonzero(strengths)) - len(theta),
    )


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
