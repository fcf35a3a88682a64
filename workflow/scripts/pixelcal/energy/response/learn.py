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

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import least_squares

from pixelcal.energy.lines import LineTable, elements_of
from pixelcal.energy.response.energy_scale import bend_function, element_energy_sigma
from pixelcal.energy.response.line_shape import (
    TRAPPING,
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

TRAPPING_STEP = 0.002
"""Trapping by which a score test asks for it: a line at 80 keV loses 0.16 keV at most."""

REACH = 12.0
"""A line is nothing to bins further away than so many of its widths, tail and all."""

DIFFERENCE, STEP_KEV = 1e-4, 1e-3
"""Steps of differences: of the parameters of the shape in units of their prior, of energies."""

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
    trapping: bool = False,
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
    trapping : bool
        Whether trapping by depth is fitted; it is 0 otherwise.
    """
    data = np.concatenate(stacks)
    free = np.arange(len(expected.vector))
    free = free if trapping else np.delete(free, TRAPPING)
    fit = _StackFit(table, stack_edges(table), data, gain**2 / 6.0, expected, free)
    found, strengths, model = _reweighted(fit, start)
    theta, n_shape = found.x, fit.n_shape
    weights = _weights(model)
    # Of counting alone: with the bend and the energies of the elements as they are found.
    counting = found.jac[:, : n_shape + 2]
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    series, of_line = series_of_lines(table)
    shape = fit.shape(theta)
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
        trapping_gain=0.0 if trapping else fit.trapping_gain(found, weights),
    )


def _reweighted(fit: _StackFit, start: LineShape):
    """The least squares of the stack, with the strengths and the model (n bins,) that it ends at.

    Each time the weights are those of the model before.
    """
    theta, limits, step = _start(start, fit.free, 1 + len(elements_of(fit.table)[0]))
    weights = 1.0 / np.sqrt(np.maximum(_smooth(fit.data), 0.5))
    for _ in range(REWEIGHTINGS):
        found = least_squares(
            fit.residuals,
            theta,
            fit.jacobian,
            args=(weights,),
            bounds=limits,
            x_scale=step,
            xtol=1e-6,
            ftol=1e-9,
        )
        theta = found.x
        strengths, model = fit.solve(theta, weights)
        weights = _weights(model)
    return found, strengths, model


def _weights(model) -> np.ndarray:
    """Weights (n bins,) of the stack by its expected counts."""
    return 1.0 / np.sqrt(np.maximum(model, 0.1))


def _start(shape: LineShape, free: np.ndarray, n_energy: int):
    """Parameters of the stack (n_shape + 2 + n_energy,) to start from, their limits, and steps.

    The first are those of the shape that are `free` (n_shape,), the last `n_energy` the bend and
    the shifts of the elements.
    """
    most = np.full(n_energy, NUISANCE_LIMIT_KEV)
    limits = tuple(
        np.concatenate([of_shape[free], of_scale, sign * most])
        for of_shape, of_scale, sign in zip(
            shape_limits(shape.material), STRETCH_SHIFT_LIMITS, (-1.0, 1.0), strict=True
        )
    )
    theta = [*shape.vector[free], *[0.0] * (2 + n_energy)]
    sigma = prior_sigma(shape.material)[free]
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
    free : (n_shape,) int
        The parameters of the shape that are fitted.
    """

    table: LineTable
    edges: list[np.ndarray]
    data: np.ndarray
    extra_variance: float
    expected: LineShape
    free: np.ndarray

    @property
    def n_shape(self) -> int:
        """Number of parameters of the shape: the first ones."""
        return len(self.free)

    @property
    def bend(self) -> int:
        """Place of the bend among the parameters; those of the elements follow."""
        return self.n_shape + 2

    def shape(self, theta) -> LineShape:
        """The line shape."""
        vector = self.expected.vector
        vector[self.free] = theta[: self.n_shape]
        return shape_of(vector, self.expected.material)

    def positions(self, theta) -> np.ndarray:
        """Where the lines (n_lines,) stand, keV."""
        return self.table.energy_keV + self.moves @ theta[self.n_shape :]

    @cached_property
    def moves(self) -> np.ndarray:
        """Derivatives (n_lines, 3 + n_elements) of positions: stretch, shift, bend, elements."""
        energy, (elements, of_line) = self.table.energy_keV, elements_of(self.table)
        bend = bend_function(energy, self.table)
        elements_alone = of_line[:, None] == np.arange(len(elements))
        return np.column_stack([energy, np.ones_like(energy), bend, elements_alone])

    def parts(self, theta, at) -> tuple[np.ndarray, np.ndarray]:
        """Counts in the bins of each line that stands at `at`, of strength 1 in its series, and of
        each function of a continuum: (n bins, n_lines) and (n bins, n_functions)."""
        shape = self.shape(theta)
        lines, continua = _components(shape, self.table, self.edges, at, self.extra_variance)
        return lines * line_weights(shape, self.table), continua

    def design(self, lines, continua) -> np.ndarray:
        """Columns of the linear model (n bins, n strengths): series of lines, then continua."""
        series, of_line = series_of_lines(self.table)
        return np.hstack([lines @ (of_line[:, None] == np.arange(len(series))), continua])

    def solve(self, theta, weights) -> tuple[np.ndarray, np.ndarray]:
        """Strengths at `theta`, 0 where a column of the design is, and the expected stack."""
        design = self.design(*self.parts(theta, self.positions(theta)))
        return self.strengths(design, weights)

    def strengths(self, design, weights) -> tuple[np.ndarray, np.ndarray]:
        """Strengths of the columns of a design, and the expected stack."""
        used = design.any(axis=0)
        scaled = design[:, used] * weights[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        solution, *_ = np.linalg.lstsq(scaled / norms, self.data * weights, rcond=1e-10)
        strengths = np.zeros(design.shape[1])
        strengths[used] = solution / norms
        return strengths, design @ strengths

    def residuals(self, theta, weights) -> np.ndarray:
        """Weighted residuals of the stack, then the pulls of the parameters from their priors."""
        residuals = (self.solve(theta, weights)[1] - self.data) * weights
        middle, sigma = self.prior
        return np.concatenate([residuals, (theta - middle) / sigma])

    @cached_property
    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and width (n,) of the prior of all parameters."""
        sigma = prior_sigma(self.expected.material)[self.free], STRETCH_SHIFT_PRIOR_SIGMA
        sigma = *sigma, [BEND_PRIOR_SIGMA_KEV], element_energy_sigma(self.table)
        sigma = np.concatenate(sigma)
        middle = np.zeros(len(sigma))
        middle[: self.n_shape] = self.expected.vector[self.free]
        return middle, sigma

    def trapping_gain(self, found, weights) -> float:
        """By how much a little trapping by depth would lower chi-square: a score test.

        `found` is the fit without it. 0 where trapping would have to be negative.
        """
        free = np.arange(len(self.expected.vector))
        moved = replace(self, free=free)
        theta = np.insert(found.x, TRAPPING, TRAPPING_STEP)
        before, after = self.residuals(found.x, weights), moved.residuals(theta, weights)
        pull = TRAPPING_STEP / moved.prior[1][TRAPPING]
        column = np.delete(after, len(self.data) + TRAPPING) - before
        column = np.append(column, pull) / TRAPPING_STEP
        others = np.vstack([found.jac, np.zeros(len(found.x))])
        column -= others @ np.linalg.lstsq(others, column, rcond=None)[0]
        score = -column[:-1] @ before
        return float(score**2 / (column @ column)) if score > 0.0 else 0.0

    def jacobian(self, theta, weights) -> np.ndarray:
        """Derivatives of `residuals` (n, n parameters), strengths solved for.

        Those of the model at fixed strengths, minus what other strengths can make of them: the
        approximation of Kaufman (BIT 15 (1975) 49). Energies move the lines; the parameters of the
        shape by differences.
        """
        at, (series, of_line) = self.positions(theta), series_of_lines(self.table)
        lines, continua = self.parts(theta, at)
        design = self.design(lines, continua)
        strengths, here = self.strengths(design, weights)
        of_lines, of_continua = strengths[of_line], strengths[len(series) :]
        columns = []
        for k, step in enumerate(DIFFERENCE * self.prior[1][: self.n_shape]):
            other = theta.copy()
            other[k] += step
            changed, changed_continua = self.parts(other, at)
            columns.append((changed @ of_lines + changed_continua @ of_continua - here) / step)
        moved = (self.parts(theta, at + STEP_KEV)[0] - lines) / STEP_KEV
        columns = np.column_stack([*columns, moved * of_lines @ self.moves])
        basis, _ = np.linalg.qr(design[:, design.any(axis=0)] * weights[:, None])
        columns *= weights[:, None]
        columns -= basis @ (basis.T @ columns)
        return np.vstack([columns, np.diag(1.0 / self.prior[1])])


def _components(shape, table, edges, energy, extra_variance):
    """Counts per strength in the bins of all blocks: lines (n, n_lines), continua (n, n_functions).

    `energy` (n_lines,) is where the lines stand, keV.
    """
    n_basis = n_continuum_functions(shape)
    sizes = [len(e) - 1 for e in edges]
    continua = np.zeros((sum(sizes), n_basis * table.n_blocks))
    lines, row = np.zeros((sum(sizes), table.n_lines)), 0
    lowest = energy - REACH * (shape.tail_mean(energy) + shape.sigma(energy) + table.width_keV)
    highest = energy + REACH * (shape.sigma(energy) + table.width_keV)
    lowest = lowest - max((escape.lost_keV for escape in shape.material.escapes), default=0.0)
    for block, e in enumerate(edges):
        part = slice(row, row + sizes[block])
        near = np.flatnonzero((lowest < e[-1]) & (highest > e[0]))
        options = {"extra_variance": extra_variance, "width": table.width_keV[near]}
        profiles = line_cdf(shape, energy[near], e, **options)
        profiles += escape_peaks(shape, energy[near], e, **options)
        lines[part, near] = np.diff(profiles, axis=1).T
        integrals = continuum_integrals(table.block_limits_keV[block], e, shape)
        continua[part, n_basis * block : n_basis * (block + 1)] = integrals.T
        row += sizes[block]
    return lines, continua


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
