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

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from pixelcal.energy.lines import LineTable
from pixelcal.energy.response.line_shape import TRAPPING, LineShape
from pixelcal.energy.response.model import Response, line_weights, series_of_lines
from pixelcal.energy.response.scale_tests import explanations
from pixelcal.energy.response.stack import stack_edges
from pixelcal.energy.response.stack_fit import StackFit, Terms, start_of
from pixelcal.numerics.dispersion import dispersion_by_priors

REWEIGHTINGS = 3
"""How often the stack is fitted, each time with the weights of the model before."""

MOST_STEPS = 100
"""Steps of a fit; 50 are enough where the model describes the camera. Where it does not, a shape at
its limits takes thousands, and the iterations of EM go on from where they end."""


class Solved(NamedTuple):
    """The least-squares problem of a stack where it is solved.

    Attributes
    ----------
    fit : StackFit
    found : scipy OptimizeResult
    weights : (n bins,) float
        Of the stack by its expected counts.
    response : Response
        Without score tests.
    shape_error : (n_shape,) float
        Standard errors of the parameters of the shape that are fitted, by counts and priors.
    """

    fit: StackFit
    found: OptimizeResult
    weights: np.ndarray
    response: Response
    shape_error: np.ndarray

    @property
    def penalised(self) -> float:
        """Chi-square of the stack and of the priors."""
        return 2.0 * float(self.found.cost)

    @property
    def occam(self) -> float:
        """Minus twice the logarithm of how much of the volume of their priors the parameters keep.

        With `penalised` it is minus twice that of the evidence (Laplace's approximation: MacKay
        1992, Neural Comput. 4, 415): each parameter costs what its prior was wider than it needs.
        """
        jacobian, widths = self.found.jac, self.fit.prior[1]
        return float(np.linalg.slogdet(jacobian.T @ jacobian)[1] + 2.0 * np.log(widths).sum())

    @property
    def scale(self) -> np.ndarray:
        """Stretch minus 1 and shift (keV) of the lines."""
        return self.found.x[self.fit.n_shape : self.fit.bend]

    @property
    def nuisances(self) -> np.ndarray:
        """The bend, the energies of the elements and the bend at low energy, keV."""
        return self.found.x[self.fit.bend :]


def learn_response(*data, **options) -> Response:
    """The camera's response by the stacked spectra of its pixels, with its score tests.

    Parameters as `solve_stack` has them.
    """
    solved = solve_stack(*data, **options)
    return with_score_tests(solved.response, solved)


def with_score_tests(response: Response, solved: Solved) -> Response:
    """A response with what its stack tells of terms that are not fitted: each costs as much as an
    iteration of the fit."""
    fit, found, weights = solved.fit, solved.found, solved.weights
    told = explanations(fit, found.x, weights)
    if fit.terms.trapping:
        return replace(response, explanations=told)
    gain, off = fit.trapping_score(found, weights)
    return replace(response, trapping_gain=gain, trapping_off=off, explanations=told)


def solve_stack(
    stacks,
    table: LineTable,
    gain: float,
    n_pixels: int,
    start: LineShape,
    population_scale: np.ndarray,
    expected: LineShape,
    terms: Terms = Terms(),  # noqa: B008, a tuple
    nuisances: np.ndarray | None = None,
) -> Solved:
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
    terms : Terms
    nuisances : (1 + n_elements,) float, keV, optional
        Where the bend, the energies of the elements and with `terms.low` the bend at low energy
        start: `Solved.nuisances` of the same terms; 0 by default.
    """
    data = np.concatenate(stacks)
    free = np.arange(len(expected.vector))
    free = free if terms.trapping else np.delete(free, TRAPPING)
    fit = StackFit(table, stack_edges(table), data, gain**2 / 6.0, expected, free, terms)
    solution = _reweighted(fit, start, nuisances)
    return _solved(fit, *solution, n_pixels, population_scale)


def _solved(fit: StackFit, found, strengths, model, n_pixels: int, population_scale) -> Solved:
    """What the least squares `found` say, with the strengths and the model that they end at."""
    theta, n_shape, table, data = found.x, fit.n_shape, fit.table, fit.data
    weights = _weights(model)
    chi_square = float(np.sum((data - model) ** 2 * weights**2))
    dof = len(data) - int(np.count_nonzero(strengths)) - len(theta)
    jacobian, places = _dispersed(fit, found, chi_square / max(dof, 1))
    # Of counting alone: with the bend and the energies of the elements as they are found.
    counting = jacobian[:, : n_shape + 2]
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    series, of_line = series_of_lines(table)
    shape = fit.shape(theta)
    response = Response(
        shape=shape,
        line_strength=strengths[of_line] * line_weights(shape, table) / n_pixels,
        continuum=strengths[len(series) :].reshape(table.n_blocks, -1) / n_pixels,
        population_scale=population_scale,
        scale_covariance=np.linalg.pinv(counting.T @ counting)[n_shape:, n_shape:],
        bend=float(places[fit.bend]),
        bend_err=float(np.sqrt(covariance[fit.bend, fit.bend])),
        element_shift=places[fit.elements],
        nuisance_covariance=covariance[fit.bend :, fit.bend :],
        **fit.scale(theta),
        chi_square=chi_square,
        dof=dof,
    )
    error = np.sqrt(np.diagonal(covariance)[:n_shape])
    return Solved(fit, found, weights, response, error)


def _dispersed(fit: StackFit, found, chi_square_per_dof: float) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the residuals, and the parameters, where the stack is not described exactly.

    What is left of the stack is then not of counting: its weight is less by chi-square per degree
    of freedom, where that is above 1 (Birge 1932, Phys. Rev. 40, 207), or by what leaves the bend
    and the energies of the elements as large as is known of them (`dispersion_by_priors`). The
    parameters, which have priors, are where the least squares are least with it, to first order.
    """
    n, least = len(fit.data), max(chi_square_per_dof, 1.0)
    jacobian, residuals = found.jac.copy(), found.fun.copy()
    of_data, of_priors = (jacobian[:n], residuals[:n]), (jacobian[n:], residuals[n:])
    judged = slice(fit.bend, len(found.x))
    factor = dispersion_by_priors(*of_data, *of_priors, found.x, judged, least) ** -0.5
    jacobian[:n] *= factor
    residuals[:n] *= factor
    step = np.linalg.lstsq(jacobian, residuals, rcond=None)[0]
    return jacobian, found.x - step


def _reweighted(fit: StackFit, start: LineShape, nuisances=None):
    """The least squares of the stack, with the strengths and the model (n bins,) that it ends at.

    Each time the weights are those of the model before.
    """
    theta, limits, step = start_of(start, fit.free, fit.moves.shape[1] - 2)
    if nuisances is not None:
        theta[fit.bend :] = nuisances
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
            max_nfev=MOST_STEPS,
        )
        theta = found.x
        strengths, model = fit.solve(theta, weights)
        weights = _weights(model)
    return found, strengths, model


def _weights(model) -> np.ndarray:
    """Weights (n bins,) of the stack by its expected counts."""
    return 1.0 / np.sqrt(np.maximum(model, 0.1))


def _smooth(data):
    """Running mean over seven bins: the first weights, before there is a model."""
    return np.convolve(np.pad(data, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
