"""What the fit of one pixel looks like: data, model, continuum and lines of each block.

The products keep the relation and the resolution of a pixel, not its normalisations. For the joint
method those are found again: with relation and resolution held, the model is linear in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from pixelcal.energy.lines import LineTable, lines_of_groups
from pixelcal.energy.relation import position
from pixelcal.energy.response.line_shape import line_cdf, tail_terms, tail_weights
from pixelcal.energy.response.model import Response, placed
from pixelcal.energy.response.population import (
    LOWEST_CONTINUUM,
    N_OF_SHAPE,
    STUDENT_T_DOF,
    population_weight,
    robust_location,
)
from pixelcal.energy.response.tables import GRID_STEP_KEV, Templates, at_factor, make_templates
from pixelcal.status import has_valid_fit

MAX_STEPS = 100

LOCATION_ITERATIONS = 5
"""How often the robust location of a pixel's normalisations is updated."""

CONVERGENCE_TOLERANCE = 1e-9
"""Twice the distance of -ln L from its minimum at which the normalisations have converged."""

SMALLEST_MODEL = 1e-12
"""Floor of the expected counts of a channel, so that their logarithm exists."""


@dataclass(frozen=True)
class BlockView:
    """One block of one pixel, ready to draw.

    Attributes
    ----------
    name : str
        The block's name in the line table.
    first : int
        First channel.
    edges_keV : (n + 1,) float, keV
        Energies of the channels' edges.
    counts : (n,) int
    model, continuum : (n,) float
        Expected counts, and those without the lines of the block; NaN where there is no fit.
    lines : list of (label, energy keV)
        The lines of the table in the block, as ("W Ka1", 59.319).
    """

    name: str
    first: int
    edges_keV: np.ndarray
    counts: np.ndarray
    model: np.ndarray
    continuum: np.ndarray
    lines: list[tuple[str, float]]

    @property
    def residuals(self) -> np.ndarray:
        """(counts - model) / sqrt(model), (n,); NaN where there is no model."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.counts - self.model) / np.sqrt(self.model)


def pixel_blocks(
    counts: np.ndarray,
    row: Mapping,
    table: LineTable,
    response: Response,
    prior: tuple[float, float] | None = None,
    templates: Templates | None = None,
) -> list[BlockView]:
    """The blocks of a pixel of the joint method, a view each, by rising energy.

    Parameters
    ----------
    counts : (n_channels,) int
    row : a row of relation.fits
        GAIN, OFFSET, FWHM_60, TAIL and STATUS are used.
    table, response
        Those of the fit.
    prior : (gain, offset), keV/channel and keV, optional
        The relation known before, in which a pixel without a valid fit is drawn, counts only.
        Without one such a pixel has no blocks.
    templates : Templates, optional
        `make_templates(response, table)`, to make it once for many pixels.
    """
    if has_no_valid_fit(row):
        return data_blocks(counts, table, prior)
    templates, table = templates or make_templates(response, table), placed(table, response)
    relation = float(row["GAIN"]), float(row["OFFSET"])
    form = float(row["FWHM_60"]) / response.shape.fwhm_60, float(row["TAIL"])
    counts = np.asarray(counts)
    channels = block_channels(*relation, table, len(counts))
    edges = [channel_edges_keV(first, last, *relation) for first, last in channels]
    design = components(edges, *form, table, response, templates)
    observed = np.concatenate([counts[first:last] for first, last in channels])
    # Normalisations are relative to the camera times the counts of the pixel.
    expected = design.sum()
    scale = observed.sum() / expected if expected > 0 else 0.0
    location, prior_scale = 1.0, response.population_scale[N_OF_SHAPE:]
    for _ in range(LOCATION_ITERATIONS):
        known = prior_scale, location, table.n_blocks
        norms = fit_normalisations(observed, scale * design, *known)
        location = robust_location(norms, prior_scale)
    parts = norms[:, None] * scale * design
    views, of_groups = [], parts[table.n_blocks :]
    ends = np.cumsum([0, *(last - first for first, last in channels)])
    for b, inside in enumerate(itertools.starmap(slice, itertools.pairwise(ends))):
        lines = of_groups[templates.group_block == b][:, inside].sum(axis=0)
        model = parts[:, inside].sum(axis=0)
        known = b, int(channels[b][0]), edges[b], observed[inside]
        views.append(block_view(*known, model, model - lines, table))
    return views


def data_blocks(counts: np.ndarray, table: LineTable, relation) -> list[BlockView]:
    """The blocks in a given (gain, offset), counts only; none where `relation` is None."""
    if relation is None:
        return []
    counts = np.asarray(counts)
    views = []
    for b, (first, last) in enumerate(block_channels(*relation, table, len(counts))):
        unknown = np.full(last - first, np.nan)
        edges = channel_edges_keV(first, last, *relation)
        views.append(
            block_view(b, int(first), edges, counts[first:last], unknown, unknown.copy(), table)
        )
    return views


def fit_normalisations(
    counts: np.ndarray,
    design: np.ndarray,
    scale: np.ndarray,
    location: float = 1.0,
    n_continua: int = 1,
) -> np.ndarray:
    """Normalisations (k,) of a linear model, by Poisson likelihood and population prior.

    Minimises sum(mu - N ln mu) and -ln of Student's t distribution of scale `scale` (k,) around
    `location` over mu = norm @ design, with design (k, n) the `n_continua` continua, then the line
    groups: the likelihood of the joint fit. Newton steps, cut where they do not go down; limits
    kept by projection (Bertsekas 1982).
    """
    counts = np.asarray(counts, float)
    norms = np.ones(len(design))
    lowest = np.where(np.arange(len(design)) < n_continua, LOWEST_CONTINUUM, 0.0)
    value = _minus_log_likelihood(counts, norms @ design, norms - location, scale)
    for _ in range(MAX_STEPS):
        mu = np.maximum(norms @ design, SMALLEST_MODEL)
        of_prior = population_weight(norms - location, scale) / scale**2
        gradient = design @ (1.0 - counts / mu) + of_prior * (norms - location)
        curvature = (design * (counts / mu**2)) @ design.T + np.diag(of_prior)
        free = (norms > lowest) | (gradient < 0.0)
        step = np.zeros(len(norms))
        step[free] = -_solved(curvature[np.ix_(free, free)], gradient[free])
        if -gradient @ step < CONVERGENCE_TOLERANCE:
            break
        # The curvature is positive: a step that is short enough goes down.
        for cut in 0.5 ** np.arange(30):
            trial = np.maximum(norms + cut * step, lowest)
            trial_value = _minus_log_likelihood(counts, trial @ design, trial - location, scale)
            if trial_value < value:
                norms, value = trial, trial_value
                break
        else:
            break
    return norms


def _solved(curvature: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The Newton step (k,), 0 along what the counts do not tell, as a line group without any."""
    try:
        return np.linalg.solve(curvature, gradient)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(curvature, gradient, rcond=None)[0]


def _minus_log_likelihood(counts, mu, deviation, scale) -> float:
    """-ln L of the counts and of the deviations of the normalisations, minus a constant."""
    mu = np.maximum(mu, SMALLEST_MODEL)
    prior = np.log1p((deviation / scale) ** 2 / STUDENT_T_DOF)
    return np.sum(mu - counts * np.log(mu)) + 0.5 * (STUDENT_T_DOF + 1.0) * np.sum(prior)


def has_no_valid_fit(row: Mapping) -> bool:
    """Whether a row of relation.fits has no relation that a model could be drawn with."""
    return not has_valid_fit(row["STATUS"]) or not np.isfinite(row["GAIN"])


def channel_edges_keV(first, last, gain, offset) -> np.ndarray:
    """Energies (keV) of the edges of the channels `first` to `last` - 1."""
    return gain * np.arange(first, last + 1) + offset


def block_view(block, first, edges, counts, model, continuum, table: LineTable) -> BlockView:
    """The view of block number `block` of the table, with its name and its lines."""
    lines = [
        (f"{table.element[i]} {table.transition[i]}", float(table.energy_keV[i]))
        for i in np.flatnonzero(table.block == block)
    ]
    return BlockView(table.block_names[block], first, edges, counts, model, continuum, lines)


def block_channels(gain, offset, table: LineTable, n_channels: int) -> np.ndarray:
    """First and one past the last of the channels that lie wholly in each block, (n_blocks, 2)."""
    low, high = position(table.block_limits_keV, gain, offset).T
    first = np.clip(np.ceil(low), 0, n_channels)
    last = np.clip(np.floor(high), first, n_channels)
    return np.array([first, last], int).T


def components(
    edges_keV: Sequence[np.ndarray],
    resolution: float,
    tail: float,
    table: LineTable,
    response: Response,
    templates: Templates,
) -> np.ndarray:
    """Expected counts of the camera's mean pixel between the edges (n_b + 1,) of each block.

    Returns (n_blocks + n_groups, n): the continua, then the line groups in the order of
    `lines.line_groups`, n the sum of the n_b. `resolution` and `tail` are factors on those of the
    camera; what lines leave in the block below has its resolution. `table` has the lines where they
    stand (`response.model.placed`).
    """
    groups = lines_of_groups(table)
    ends = np.cumsum([0, *(len(edges) - 1 for edges in edges_keV)])
    inside = [slice(*pair) for pair in itertools.pairwise(ends)]
    rows = np.zeros((table.n_blocks + len(groups), ends[-1]))
    weights = tail_weights(tail, response.losses_differ)

    def between(block, cumulative, density):
        grid = templates.grid_start[block] + GRID_STEP_KEV * np.arange(len(cumulative))
        return np.diff(CubicHermiteSpline(grid, cumulative, density)(edges_keV[block]))

    for block in range(table.n_blocks):
        rows[block, inside[block]] = between(block, *templates.continuum[block])
    for row, (block, lines), reach in zip(
        rows[table.n_blocks :], groups, templates.reach, strict=True
    ):
        at = table.energy_keV[lines], edges_keV[block], response.losses_differ
        options = {"width": table.width_keV[lines], "resolution": resolution}
        terms = response.line_strength[lines] @ tail_terms(line_cdf, response.shape, *at, **options)
        row[inside[block]] = np.diff(weights @ terms)
        if reach.any():
            row[inside[block - 1]] = between(block - 1, *at_factor(reach, tail))
    return rows
