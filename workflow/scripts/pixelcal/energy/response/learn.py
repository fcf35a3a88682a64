"""Learning the response of the camera from the stack of its pixels: the maximisation step of EM.

What all pixels have in common is fitted to the stack of their spectra on an energy axis: the
resolution against energy, the low-energy tail, the escape peaks, the ratios of the lines and the
shape of the continuum in each block. 6400 pixels bring 6400 times the statistics of one. The fit of
a pixel then only has to find its gain and offset, its normalisations and one factor on its
resolution.

The absolute energy scale comes from the line table alone: the lines stand where the table says.
Where they stand in the stack is a nuisance: a common stretch and shift, a bend, and a shift of each
element are fitted, so that the shape does not take up what is not its own. The covariance of
stretch and shift is kept as the systematic uncertainty of counting, the bend as what may be wrong
with straight relations; their values move no line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from pixelcal.energy.lines import LineTable, elements_of
from pixelcal.energy.response.energy_scale import bend_function, element_energy_sigma
from pixelcal.energy.response.line_shape import (
    LineShape,
    escape_peaks,
    line_cdf,
    prior_sigma,
    shape_limits,
    shape_of,
)
from pixelcal.energy.response.model import (
    Response,
    continuum_integrals,
    line_weights,
    n_continuum_functions,
    series_of_lines,
)
from pixelcal.energy.response.stack import stack_edges

STRETCH_SHIFT_PRIOR_SIGMA = np.array([0.02, 1.0])
"""How far (1 sigma) stretch and shift (keV) may be expected from 1 and 0."""

STRETCH_SHIFT_LIMITS = (np.array([-0.1, -3.0]), np.array([0.1, 3.0]))
"""Limits of the stretch minus 1 and of the shift (keV)."""

BEND_PRIOR_SIGMA_KEV = 0.5
"""How far (1 sigma) a bend may be expected from 0, see `bend_function`."""

NUISANCE_LIMIT_KEV = 3.0
"""Largest bend and largest shift of an element."""

REWEIGHTINGS = 3
"""How often the stack is fitted, each time with the weights of the model before."""


def learn_response(
    stacks,
    table: LineTable,
    gain: float,
    n_pixels: int,
    start: LineShape,
    population_scale: np.ndarray,
    expected: LineShape,
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
    population_scale : (2 + n_blocks + n_groups,) float
        `Response.population_scale`, which a stack cannot tell.
    expected : LineShape
        The middle of its prior.
    """
    data = np.concatenate(stacks)
    fit = _StackFit(table, stack_edges(table), data, gain**2 / 6.0, expected)
    theta, limits, step = _start(start, 1 + len(elements_of(table)[0]))
    n_shape = fit.n_shape
    weights = 1.0 / np.sqrt(np.maximum(_smooth(data), 0.5))
    for _ in range(REWEIGHTINGS):
        found = least_squares(
            fit.residuals, theta, args=(weights,), bounds=limits, x_scale=step, xtol=1e-6, ftol=1e-9
        )
        theta = found.x
        strengths, model = fit.solve(theta, weights)
        weights = 1.0 / np.sqrt(np.maximum(model, 0.1))
    # Of counting alone: with the bend and the energies of the elements as they are found.
    counting = found.jac[:, : n_shape + 2]
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    series, of_line = series_of_lines(table)
    shape = shape_of(theta[:n_shape], expected.material)
    return Response(
        shape=shape,
        line_strength=strengths[of_line] * line_weights(shape, table) / n_pixels,
        continuum=strengths[len(series) :].reshape(table.n_blocks, -1) / n_pixels,
        population_scale=population_scale,
        scale_covariance=np.linalg.pinv(counting.T @ counting)[n_shape:, n_shape:],
        bend=float(theta[fit.bend]),
        bend_err=float(np.sqrt(covariance[fit.bend, fit.bend])),
        element_shift=theta[fit.bend + 1 :],
        chi_square=float(np.sum((data - model) ** 2 * weights**2)),
        dof=len(data) - int(np.count_nonzero(strengths)) - len(theta),
    )


def _start(shape: LineShape, n_energy: int):
    """Parameters of the stack (n_shape + 2 + n_energy,) to start from, their limits, and steps.

    The last `n_energy` are the bend and the shifts of the elements.
    """
    most = np.full(n_energy, NUISANCE_LIMIT_KEV)
    limits = tuple(
        np.concatenate([*pair, sign * most])
        for *pair, sign in zip(
            shape_limits(shape.material), STRETCH_SHIFT_LIMITS, (-1.0, 1.0), strict=True
        )
    )
    theta = [*shape.vector, *[0.0] * (2 + n_energy)]
    sigma = prior_sigma(shape.material)
    step = np.concatenate([sigma, [0.001, 0.1], np.full(n_energy, 0.05)])
    return np.clip(theta, limits[0] + 1e-6, limits[1] - 1e-6), limits, step


@dataclass(frozen=True)
class _StackFit:
    """The stack as a separable least-squares problem: variable projection (Golub & Pereyra 1973).

    Strengths and continua enter linearly and are solved for at each trial of the parameters
    `theta` (n_shape + 3 + n_elements,): the shape, the stretch minus 1, the shift (keV), the bend
    (keV), and the shift of each element (keV).

    Attributes
    ----------
    table : LineTable
    edges : list of (m_b + 1,) float, keV
    data : (sum of m_b,) float
    extra_variance : float, keV^2
        Of the triangle that the stack is smeared with.
    expected : LineShape
        The middle of the prior of the shape.
    """

    table: LineTable
    edges: list[np.ndarray]
    data: np.ndarray
    extra_variance: float
    expected: LineShape

    @property
    def n_shape(self) -> int:
        """Number of parameters of the shape: the first ones."""
        return len(self.expected.vector)

    @property
    def bend(self) -> int:
        """Place of the bend among the parameters; those of the elements follow."""
        return self.n_shape + 2

    def solve(self, theta, weights) -> tuple[np.ndarray, np.ndarray]:
        """Strengths at `theta`, 0 where a column of the design is, and the expected stack."""
        n_shape, bend = self.n_shape, self.bend
        shape = shape_of(theta[:n_shape], self.expected.material)
        at = self.table.energy_keV * (1.0 + theta[n_shape]) + theta[n_shape + 1]
        at = at + theta[bend] * bend_function(self.table.energy_keV, self.table)
        at = at + theta[bend + 1 :][elements_of(self.table)[1]]
        design = _design(shape, self.table, self.edges, at, self.extra_variance)
        used = design.any(axis=0)
        scaled = design[:, used] * weights[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        solution, *_ = np.linalg.lstsq(scaled / norms, self.data * weights, rcond=1e-10)
        strengths = np.zeros(design.shape[1])
        strengths[used] = solution / norms
        return strengths, design @ strengths

    def residuals(self, theta, weights) -> np.ndarray:
        """Weighted residuals of the stack, then the pulls of the parameters from their priors."""
        n_shape, bend = self.n_shape, self.bend
        pulls = (theta[:n_shape] - self.expected.vector) / prior_sigma(self.expected.material)
        scale_pulls = theta[n_shape:bend] / STRETCH_SHIFT_PRIOR_SIGMA
        bend_pull = theta[bend] / BEND_PRIOR_SIGMA_KEV
        element_pulls = theta[bend + 1 :] / element_energy_sigma(self.table)
        expected = self.solve(theta, weights)[1]
        residuals = (expected - self.data) * weights
        return np.concatenate([residuals, pulls, scale_pulls, [bend_pull], element_pulls])


def _design(shape, table, edges, energy, extra_variance):
    """Columns of the stack's linear model (n bins, n strengths): series of lines, then continua.

    `energy` (n_lines,) is where the lines stand, keV.
    """
    series, of_line = series_of_lines(table)
    n_basis = n_continuum_functions(shape)
    sizes = [len(e) - 1 for e in edges]
    design = np.zeros((sum(sizes), len(series) + n_basis * table.n_blocks))
    row = 0
    for block, e in enumerate(edges):
        part = slice(row, row + sizes[block])
        options = {"extra_variance": extra_variance, "width": table.width_keV}
        profiles = line_cdf(shape, energy, e, **options)
        profiles += escape_peaks(shape, energy, e, **options)
        per_line = np.diff(profiles, axis=1) * line_weights(shape, table)[:, None]
        np.add.at(design[part].T, of_line, per_line)
        first = len(series) + n_basis * block
        integrals = continuum_integrals(table.block_limits_keV[block], e, shape)
        design[part, first : first + n_basis] = integrals.T
        row += sizes[block]
    return design


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
