"""The response of the camera: what its pixels have in common, as numbers and as functions.

A `Response` holds the learnt numbers. The functions here give what they mean: the series of lines
whose ratios hold, the weights of lines within them, and the continuum of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from pixelcal.energy.curve import Curve
from pixelcal.energy.lines import LineTable
from pixelcal.energy.own_deviation import OwnDeviation
from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.response.misfit import Misfit
from pixelcal.energy.response.population import wide_population_scale


class Explanation(NamedTuple):
    """One thing that is not as the model says, and by how much chi-square of the stack is lower.

    Attributes
    ----------
    what : str
        "quadratic" or "low", how relations bend, or the name of an element.
    value, err : float, keV
        What is to be added to straight relations in the middle of the lines, or at the lowest line;
        by how much the lines of the element stand above the line table.
    gain : float
    """

    what: str
    value: float
    err: float
    gain: float


CONTINUUM_INDEX = -1.5
CONTINUUM_ORDER = 2
"""The continuum of a block is a power law of this index, near that of the sky, times a polynomial
of this order: free to bend, too stiff to take a line's place."""


@dataclass(frozen=True)
class Response:
    """What the pixels of a camera have in common, and how much they scatter.

    Attributes
    ----------
    shape : LineShape
    line_strength : (n_lines,) float
        Mean counts of each line per pixel.
    continuum : (n_blocks, n_basis) float
        Mean counts/keV per pixel: coefficients of `continuum_functions`.
    population_scale : (2 + n_blocks + n_groups,) float
        Scales of the population prior (`response.population`): of the logarithm of the resolution
        factor, of the factor on the tail, of the normalisation of each continuum and of each line
        group.
    scale_covariance : (2, 2) float
        Of the stretch and the shift (keV) that the counts of the stack leave possible, all shapes
        free: common to all pixels, and no statistical error contains it.
    systematic_covariance : (3, 3) float, or None
        The same of stretch, shift and bend (`response.energy_scale`), with what the line energies,
        straight relations and the blocks of lines that disagree leave uncertain; None where nobody
        looked.
    own_deviation : OwnDeviation, or None
        What each pixel has by itself beyond counting: its channels are not linear, or its response
        is not that of the camera; None where nobody looked.
    losses_differ : bool
        Whether the factor on the tail of a pixel is on its mean loss too, and on the trapping; on
        its strength alone otherwise.
    low_bend : float, keV
        Root mean square of a bend of all relations at low energy that is not known, at the lowest
        line (`response.scale_tests`).
    bend, bend_err : float, keV
        How the relations of all pixels bend (`energy_scale.bend_function`); NaN where not known.
    element_shift : (n_elements,) float, keV, or None
        How far the lines of each element stand from the line table in the stack, drawn to 0 by
        their prior; in the order of `elements_of`.
    block_shift, block_shift_err : (n_blocks,) float, keV, or None
        Energy of the lines of each block by the relation of the others, minus that of the line
        table, over all pixels (`fit.block_agreement`); NaN where it cannot be told, None where
        nobody looked.
    misfit : Misfit, or None
        How far the pixels are from the model, beyond counting (`response.misfit`); None where
        nobody looked.
    chi_square, dof : float, int
        How well the stack is described.
    trapping_gain : float
        By how much trapping by depth would lower chi-square (score test), where it is not fitted.
    trapping_off : (2,) float, or None
        Stretch and shift (keV) of all energies that trapping which is not fitted may cause; None
        where it is fitted or nobody looked.
    explanations : tuple of Explanation
        What would explain where the lines stand in the stack, the best first.
    curve : Curve, or None
        How energies leave the straight relations of the pixels; None where relations are straight.
    free_shift : (n_lines,) float, keV, or None
        How far the lines of elements whose energies are fitted stand above the line table; 0 of the
        others, None where none is free.
    nuisance_covariance : (n_nuisances, n_nuisances) float, or None
        Of the bend (keV), of the shift of each element (keV) and, where it is fitted, of the bend
        at low energy (keV), in the stack, by their priors and counts.
    iterations, converged : int, bool
        Of the alternation (EM) that learnt the response; not known (0, None) of one that was
        written before this was recorded.
    table : LineTable, or None
        The line table that it was learnt with, where that is known.
    """

    shape: LineShape
    line_strength: np.ndarray
    continuum: np.ndarray
    population_scale: np.ndarray
    scale_covariance: np.ndarray
    chi_square: float = np.nan
    dof: int = 0
    trapping_gain: float = 0.0
    trapping_off: np.ndarray | None = None
    explanations: tuple[Explanation, ...] = ()
    curve: Curve | None = None
    free_shift: np.ndarray | None = None
    nuisance_covariance: np.ndarray | None = None
    iterations: int = 0
    converged: bool | None = None
    systematic_covariance: np.ndarray | None = None
    own_deviation: OwnDeviation | None = None
    losses_differ: bool = False
    low_bend: float = 0.0
    bend: float = np.nan
    bend_err: float = np.nan
    element_shift: np.ndarray | None = None
    block_shift: np.ndarray | None = None
    block_shift_err: np.ndarray | None = None
    misfit: Misfit | None = None
    table: LineTable | None = None


def placed(table: LineTable, response: Response) -> LineTable:
    """The line table with each line where it stands on the axis of straight relations."""
    if response.curve is None and response.free_shift is None:
        return table
    energy = table.energy_keV
    if response.free_shift is not None:
        energy = energy + response.free_shift
    if response.curve is not None:
        energy = response.curve.straight(energy)
    return replace(table, energy_keV=energy)


def n_continuum_functions(shape: LineShape) -> int:
    """How many functions `continuum_functions` has."""
    return CONTINUUM_ORDER + 1 + len(shape.material.escapes)


def empty_response(table: LineTable, shape: LineShape) -> Response:
    """A shape with nothing in it: what is known without counts."""
    n_basis = n_continuum_functions(shape)
    return Response(
        shape=shape,
        line_strength=np.zeros(table.n_lines),
        continuum=np.zeros((table.n_blocks, n_basis)),
        population_scale=wide_population_scale(table),
        scale_covariance=np.full((2, 2), np.nan),
    )


L_LEVELS = {
    **dict.fromkeys(("Ll", "La1", "La2", "Lb2", "Lb2,15", "Lb5", "Lb6", "Lb15", "Lu"), "L3"),
    **dict.fromkeys(("Ln", "Lb1", "Lg1", "Lg5", "Lg6"), "L2"),
    **dict.fromkeys(("Lb3", "Lb4", "Lg2", "Lg3", "Lg4"), "L1"),
}
"""The vacancy that an L line fills (X-ray Data Booklet, fig. 1-1)."""


def series_of_lines(table: LineTable) -> tuple[list[str], np.ndarray]:
    """Names of the series (element and K alpha or K beta) and the index (n_lines,) of each line's.

    Within a series the intensities of the table hold, but for the efficiency of the detector;
    between series the ratio is learnt.
    """
    names = [f"{e} {_series(t)}" for e, t in zip(table.element, table.transition, strict=True)]
    unique = list(dict.fromkeys(names))
    return unique, np.array([unique.index(name) for name in names])


def _series(transition: str) -> str:
    """The series of a transition within its element.

    K lines: the first two letters, Ka or Kb. L lines: the level of the vacancy, L1, L2 or L3, whose
    lines keep their ratios however it was made. A gamma (g and its energy, g81) is one of its own;
    gammas with the same letter after the g (ga80, ga81) are one series, as the table wants it.
    """
    if transition in L_LEVELS:
        return L_LEVELS[transition]
    if transition[0] == "g" and not transition[1:2].isalpha():
        return transition
    return transition[:2]


def line_weights(shape: LineShape, table: LineTable) -> np.ndarray:
    """Relative counts (n_lines,) of the lines of a series: intensity times efficiency."""
    return table.intensity * shape.efficiency(table.energy_keV)


def continuum_functions(block_limits_keV, at_keV, shape: LineShape) -> np.ndarray:
    """Functions (n_basis, len(at)) whose sum is the continuum of a block, per keV.

    A power law times Legendre polynomials on the block, then a step at each K edge of the detector
    that lies in it, smeared by the resolution of `shape` there: a photon above the edge can lose
    its energy to an escape. All are 1 in size.
    """
    low, high = block_limits_keV
    at_keV = np.asarray(at_keV, float)
    middle, half = (low + high) / 2, (high - low) / 2
    falling = (at_keV / middle) ** CONTINUUM_INDEX
    polynomials = np.polynomial.legendre.legvander((at_keV - middle) / half, CONTINUUM_ORDER).T
    steps = [
        ndtr((at_keV - escape.edge_keV) / sigma) * (low < escape.edge_keV < high)
        for escape, sigma in zip(shape.material.escapes, shape.sigma_at_edges, strict=True)
    ]
    return np.concatenate([falling * polynomials, steps])


NODES = np.polynomial.legendre.leggauss(3)
"""Nodes and weights of the integration over a bin."""


def continuum_integrals(block_limits_keV, edges_keV, shape: LineShape) -> np.ndarray:
    """Integrals (n_basis, m) of `continuum_functions` over the bins between `edges_keV` (m + 1,).

    Gauss-Legendre with three points a bin: exact for what is smooth over a bin.
    """
    nodes, weights = NODES
    width = np.diff(edges_keV)
    at = edges_keV[:-1, None] + width[:, None] * (1.0 + nodes) / 2.0
    values = continuum_functions(block_limits_keV, at.ravel(), shape)
    return values.reshape(len(values), *at.shape) @ (weights / 2.0) * width
