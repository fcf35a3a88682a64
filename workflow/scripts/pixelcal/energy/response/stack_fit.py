"""The stack of all pixels as a separable least-squares problem, with its derivatives.

The parameters are those of the line shape, and where the lines stand: a common stretch and shift, a
bend, and a shift of each element. `response.learn` fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pixelcal.energy.curve import Curve, falling
from pixelcal.energy.lines import LineTable, check_free_elements, elements_of
from pixelcal.energy.response.energy_scale import (
    LOW_PRIOR_SIGMA_KEV,
    bend_function,
    element_energy_sigma,
    line_ends,
)
from pixelcal.energy.response.line_shape import (
    TRAPPING,
    LineShape,
    prior_sigma,
    shape_limits,
    shape_of,
)
from pixelcal.energy.response.model import (
    continuum_integrals,
    line_weights,
    n_continuum_functions,
    series_of_lines,
)
from pixelcal.energy.response.peaks import Peaks, below_edges, lines_near, peaks_of
from pixelcal.numerics.model_averaging import averaged_square

STRETCH_SHIFT_PRIOR_SIGMA = np.array([0.02, 1.0])
"""How far (1 sigma) stretch and shift (keV) may be expected from 1 and 0."""

STRETCH_SHIFT_LIMITS = (np.array([-0.1, -3.0]), np.array([0.1, 3.0]))
"""Limits of the stretch minus 1 and of the shift (keV)."""

BEND_PRIOR_SIGMA_KEV = 0.5
"""How far (1 sigma) a bend may be expected from 0, see `bend_function`."""

SMALL_BEND_SIGMA_KEV = 0.02
"""The same where a bend at low energy alone is fitted."""

FREE_SIGMA_KEV = 0.5
"""How far (1 sigma) the lines of an element whose energies are fitted may be from the table."""

NUISANCE_LIMIT_KEV = 3.0
"""Largest bend and largest shift of an element."""

TRAPPING_STEP = 0.002
"""Trapping by which a score test asks for it: a line at 80 keV loses 0.16 keV at most."""

DIFFERENCE, STEP_KEV = 1e-4, 1e-3
"""Steps of differences: of the parameters of the shape in units of their prior, of energies."""


class Terms(NamedTuple):
    """What is fitted to the stack beside what always is.

    Attributes
    ----------
    trapping : bool
        Trapping by depth; it is 0 otherwise.
    quadratic, low : bool
        Relations bend by a parabola, and at low energy (`energy.curve`): where the lines stand is
        part of the response. Otherwise the parabola is a nuisance, which moves no line.
    free_elements : tuple of str
        Elements whose energies are fitted: where their lines stand is part of the response too.
    """

    trapping: bool = False
    quadratic: bool = False
    low: bool = False
    free_elements: tuple[str, ...] = ()


class Parts(NamedTuple):
    """What the counts of a stack are made of, at some parameters.

    Attributes
    ----------
    shape : LineShape
    peaks : Peaks
    places : list of (n_near,) int
        The peaks that bring counts to each block.
    profiles : list of (5, n_near, m_b + 1) float
        What `peaks.below_edges` returns of them.
    lines, continua : (n bins, n_lines) and (n bins, n_functions) float
        Counts in the bins of each line of strength 1 in its series, and of each function of a
        continuum.
    """

    shape: LineShape
    peaks: Peaks
    places: list[np.ndarray]
    profiles: list[np.ndarray]
    lines: np.ndarray
    continua: np.ndarray


BENDS = {"none": (), "quadratic": ("quadratic",), "low": ("low",), "both": ("quadratic", "low")}
"""What `fit.bend` of the configuration may be."""


def terms_of(bend: str, free_elements: Sequence[str], table: LineTable) -> Terms:
    """The terms that a configuration asks for: one of `BENDS`, and elements of the line table.

    Raises
    ------
    InputError
        Where the table lacks an element, or fewer than two others are left.
    """
    check_free_elements(free_elements, table.element)
    return Terms(free_elements=tuple(free_elements), **dict.fromkeys(BENDS[bend], True))


@dataclass(frozen=True)
class StackFit:
    """The stack as a separable least-squares problem: variable projection (Golub & Pereyra 1973).

    Strengths and continua enter linearly and are solved for at each trial of the parameters
    `theta` (n_shape + 3 + n_elements,): the shape, the stretch minus 1, the shift (keV), the bend
    (keV), the shift of each element (keV), and with `terms.low` the bend at low energy (keV).

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
    terms : Terms
    """

    table: LineTable
    edges: list[np.ndarray]
    data: np.ndarray
    extra_variance: float
    expected: LineShape
    free: np.ndarray
    terms: Terms

    @property
    def n_shape(self) -> int:
        """Number of parameters of the shape: the first ones."""
        return len(self.free)

    @property
    def bend(self) -> int:
        """Place of the bend among the parameters; those of the elements follow."""
        return self.n_shape + 2

    @property
    def elements(self) -> slice:
        """Places of the shifts of the elements."""
        return slice(self.bend + 1, self.bend + 1 + len(elements_of(self.table)[0]))

    def scale(self, theta) -> dict:
        """`curve` and `free_shift` of the response: what of the places of lines is not wrong."""
        (elements, of_line), found = elements_of(self.table), {}
        if self.terms.quadratic or self.terms.low:
            middle = float(theta[self.bend]) / 4.0 if self.terms.quadratic else 0.0
            low = -float(theta[-1]) if self.terms.low else 0.0
            found["curve"] = Curve(middle, low, line_ends(self.table))
        if self.terms.free_elements:
            is_free = np.isin(elements, self.terms.free_elements)
            found["free_shift"] = np.where(is_free, theta[self.elements], 0.0)[of_line]
        return found

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
        """Derivatives (n_lines, k) of positions: stretch, shift, bend, elements, `terms.low`."""
        energy, (elements, of_line) = self.table.energy_keV, elements_of(self.table)
        bend = bend_function(energy, self.table)
        elements_alone = of_line[:, None] == np.arange(len(elements))
        low = falling(energy, line_ends(self.table))[:, None][:, : int(self.terms.low)]
        return np.column_stack([energy, np.ones_like(energy), bend, elements_alone, low])

    def parts(self, theta) -> Parts:
        """What the counts of the stack are made of at `theta`; of the last one it is kept."""
        key = theta.tobytes()
        if key not in self._last:
            self._last.clear()
            self._last[key] = self._parts(theta)
        return self._last[key]

    @cached_property
    def _last(self) -> dict:
        """The parts of the last `theta`."""
        return {}

    def _parts(self, theta) -> Parts:
        shape, at, width = self.shape(theta), self.positions(theta), self.table.width_keV
        peaks = self._weighted(shape, at)
        n_bins, n_lines = len(self.data), self.table.n_lines
        lines, continua = np.zeros((n_bins, n_lines)), self._continua(shape)
        places, profiles = [], []
        for edges, bins in zip(self.edges, self._bins, strict=True):
            near = np.flatnonzero(lines_near(shape, at, width, edges)[peaks.line])
            places.append(near)
            profiles.append(below_edges(peaks.numbers[:, near], edges))
            of_line = peaks.line[near][:, None] == np.arange(n_lines)
            weighted = of_line * peaks.numbers[0, near, None]
            lines[bins] = np.diff(profiles[-1][0], axis=1).T @ weighted
        return Parts(shape, peaks, places, profiles, lines, continua)

    def _weighted(self, shape: LineShape, at) -> Peaks:
        """The peaks of lines at `at` (n_lines,), by the strengths of lines within their series."""
        listed = self.table.energy_keV
        line, numbers = peaks_of(shape, at, self.table.width_keV, self.extra_variance, listed)
        numbers[0] *= line_weights(shape, self.table)[line]
        return Peaks(line, numbers)

    @cached_property
    def _bins(self) -> list[slice]:
        """The bins of each block."""
        ends = np.cumsum([0, *(len(edges) - 1 for edges in self.edges)])
        return [slice(*pair) for pair in pairwise(ends)]

    def _continua(self, shape: LineShape) -> np.ndarray:
        """Counts per strength (n bins, n_functions) of the continua of all blocks."""
        n_basis = n_continuum_functions(shape)
        continua = np.zeros((len(self.data), n_basis * self.table.n_blocks))
        for block, (edges, bins) in enumerate(zip(self.edges, self._bins, strict=True)):
            integrals = continuum_integrals(self.table.block_limits_keV[block], edges, shape)
            continua[bins, n_basis * block : n_basis * (block + 1)] = integrals.T
        return continua

    def design(self, lines, continua) -> np.ndarray:
        """Columns of the linear model (n bins, n strengths): series of lines, then continua."""
        series, of_line = series_of_lines(self.table)
        return np.hstack([lines @ (of_line[:, None] == np.arange(len(series))), continua])

    def solve(self, theta, weights) -> tuple[np.ndarray, np.ndarray]:
        """Strengths at `theta`, 0 where a column of the design is, and the expected stack."""
        parts = self.parts(theta)
        return self.strengths(self.design(parts.lines, parts.continua), weights)

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
        is_free = np.isin(elements_of(self.table)[0], self.terms.free_elements)
        of_elements = np.where(is_free, FREE_SIGMA_KEV, element_energy_sigma(self.table))
        sigma = prior_sigma(self.expected.material)[self.free], STRETCH_SHIFT_PRIOR_SIGMA
        # With five blocks a parabola and a bend at low energy would stand in for each other.
        alone = self.terms.low and not self.terms.quadratic
        bend = SMALL_BEND_SIGMA_KEV if alone else BEND_PRIOR_SIGMA_KEV
        low = [LOW_PRIOR_SIGMA_KEV] * int(self.terms.low)
        sigma = np.concatenate([*sigma, [bend], of_elements, low])
        middle = np.zeros(len(sigma))
        middle[: self.n_shape] = self.expected.vector[self.free]
        return middle, sigma

    def trapping_score(self, found, weights) -> tuple[float, np.ndarray]:
        """By how much a little trapping by depth would lower chi-square: a score test.

        `found` is the fit without it. Second are the stretch and shift (keV) of all energies that
        trapping may cause although it is not fitted, by `averaged_square`.
        """
        moved = replace(self, free=np.arange(len(self.expected.vector)))
        theta = np.insert(found.x, TRAPPING, TRAPPING_STEP)
        before, after = self.residuals(found.x, weights), moved.residuals(theta, weights)
        pull = TRAPPING_STEP / moved.prior[1][TRAPPING]
        column = np.delete(after, len(self.data) + TRAPPING) - before
        column = np.append(column, pull) / TRAPPING_STEP
        others = np.vstack([found.jac, np.zeros(len(found.x))])
        # Relations are fitted as straight ones to the lines of the table.
        straight = np.linalg.lstsq(others[:, : self.bend], column, rcond=None)[0][-2:]
        column -= others @ np.linalg.lstsq(others, column, rcond=None)[0]
        score, sigma = -float(column[:-1] @ before), float(column @ column) ** -0.5
        square = averaged_square(score * sigma, sigma, moved.prior[1][TRAPPING])
        return max(score * sigma, 0.0) ** 2, straight * np.sqrt(square)

    def jacobian(self, theta, weights) -> np.ndarray:
        """Derivatives of `residuals` (n, n parameters), strengths solved for.

        Those of the model at fixed strengths, minus what other strengths can make of them: the
        approximation of Kaufman (BIT 15 (1975) 49). Those of the model are derivatives of the bins
        against the five numbers of each peak, times those of the numbers against the parameters.
        """
        parts, (series, of_line) = self.parts(theta), series_of_lines(self.table)
        design = self.design(parts.lines, parts.continua)
        strengths, _ = self.strengths(design, weights)
        of_lines, of_continua = strengths[of_line], strengths[len(series) :]
        by_peaks, columns = self._slopes(theta, parts), np.zeros((len(self.data), len(theta)))
        weight = parts.peaks.numbers[0]
        for bins, near, below in zip(self._bins, parts.places, parts.profiles, strict=True):
            strength = of_lines[parts.peaks.line[near]]
            slopes = by_peaks[:, :, near] * strength
            slopes[1:] *= weight[near]
            columns[bins] = np.diff(np.einsum("qkp,qpm->km", slopes, below, optimize=True)).T
        for k, changed in self._other_continua(theta, parts):
            columns[:, k] += changed @ of_continua
        basis, _ = np.linalg.qr(design[:, design.any(axis=0)] * weights[:, None])
        columns *= weights[:, None]
        columns -= basis @ (basis.T @ columns)
        return np.vstack([columns, np.diag(1.0 / self.prior[1])])

    def _slopes(self, theta, parts: Parts) -> np.ndarray:
        """Derivatives (5, n parameters, n_peaks) of the numbers of the peaks; by differences."""
        at, here = self.positions(theta), parts.peaks.numbers
        slopes = np.empty((5, len(theta), here.shape[1]))
        for k, step in enumerate(self._steps):
            slopes[:, k] = (self._weighted(self._moved(theta, k), at).numbers - here) / step
        moved = (self._weighted(parts.shape, at + STEP_KEV).numbers - here) / STEP_KEV
        moved[0, here[0] == 0.0] = 0.0  # a line that steps over a K edge
        slopes[:, self.n_shape :] = moved[:, None] * self.moves.T[:, parts.peaks.line]
        return slopes

    @property
    def _steps(self) -> np.ndarray:
        """Steps (n_shape,) of differences against the parameters of the shape."""
        return DIFFERENCE * self.prior[1][: self.n_shape]

    def _moved(self, theta, k: int) -> LineShape:
        """The shape at `theta` with its parameter `k` one step further."""
        other = theta.copy()
        other[k] += self._steps[k]
        return self.shape(other)

    def _other_continua(self, theta, parts: Parts):
        """Pairs of a parameter of the shape and the derivative (n bins, n_functions) of continua.

        Their steps at the K edges of the crystal are as wide as its lines; no other parameter
        changes them.
        """
        for k, step in enumerate(self._steps):
            shape = self._moved(theta, k)
            if np.any(shape.sigma_at_edges != parts.shape.sigma_at_edges):
                yield k, (self._continua(shape) - parts.continua) / step


def start_of(shape: LineShape, free: np.ndarray, n_energy: int):
    """Parameters of the stack (n_shape + 2 + n_energy,) to start from, their limits, and steps.

    The first are those of the shape that are `free` (n_shape,), the last `n_energy` the bend, the
    shifts of the elements and, where it is fitted, the bend at low energy.
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
