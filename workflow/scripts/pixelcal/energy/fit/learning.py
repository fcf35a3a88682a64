"""Learning the camera's response and its pixels' relations from each other, until both stand.

The stack needs aligned pixels, and aligning a pixel needs the response: the two alternate, starting
from where the lines stand out (`start.py`).

A fit follows the noise of its pixel, so pixels that are aligned by their own fits make lines that
are too narrow and too strong. The stack is therefore the mean over the relations that each fit
leaves possible: the expectation step of the EM algorithm (Dempster, Laird & Rubin 1977), whose
maximisation step is the fit of the response.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from pixelcal.energy.fit.joint import JointOptions, fit_joint
from pixelcal.energy.fit.start import find_starts
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import relation_covariance
from pixelcal.energy.response.learn import learn_response
from pixelcal.energy.response.line_shape import SHAPE_PARAMETERS, SHAPE_PRIOR_SIGMA, LineShape
from pixelcal.energy.response.model import Response, empty_response
from pixelcal.energy.response.population import learn_population_scale, wide_population_scale
from pixelcal.energy.response.stack import stack_edges, stack_spectra
from pixelcal.energy.response.tables import make_templates

logger = logging.getLogger(__name__)

MAX_EM_ITERATIONS = 10
CONVERGENCE_TOLERANCE = 0.02
"""Largest change of the shape, in units of `SHAPE_PRIOR_SIGMA`, that ends the rounds."""

MIN_STACK_COUNTS = 1000
"""Fewer counts in the stack teach nothing about a shape."""


def learn_camera(
    counts: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    options: JointOptions | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Response:
    """The response of a camera from the spectra of its pixels.

    Parameters
    ----------
    counts : (n, n_channels) int
        Spectra of the pixels to learn from.
    gain, offset : (n,) float, keV/channel and keV
        The relations known before.
    table : LineTable
    options : JointOptions, optional
    progress : callable, optional
        Called with (rounds done, most rounds).

    Returns
    -------
    Response
        With no counts to speak of, one whose strengths are zero: no pixel then gets an answer.
    """
    edges = stack_edges(table)
    own_gain, own_offset = find_starts(counts, gain, offset, table, LineShape())
    used = np.ones(len(counts), bool)
    response, shape, covariance = empty_response(table), LineShape(), None
    spread = wide_population_scale(table)
    for turn in range(MAX_EM_ITERATIONS):
        aligned = counts[used], own_gain[used], own_offset[used]
        stacks = [stack_spectra(*aligned, e, covariance) for e in edges]
        if sum(stack.sum() for stack in stacks) < MIN_STACK_COUNTS:
            logger.warning("the spectra hold too few counts to learn the response from")
            return response
        mean_gain = float(own_gain[used].mean())
        response = learn_response(stacks, table, mean_gain, int(used.sum()), shape, spread)
        change = _change(shape, response.shape)
        shape = response.shape
        logger.info(
            "round %d: %s, spread %s, chi-square %.0f of %d, change %.3f",
            turn, shape, np.round(spread, 3), response.chi_square, response.dof, change,
        )  # fmt: skip
        if progress:
            progress(turn + 1, MAX_EM_ITERATIONS)
        if turn > 1 and change < CONVERGENCE_TOLERANCE:
            break
        fits, deviations = fit_joint(
            counts, np.arange(len(counts)), own_gain, own_offset,
            make_templates(response, table), options,
        )  # fmt: skip
        good = fits["STATUS"] == 0
        if not good.any():
            logger.warning("no pixel could be aligned: the response is that of the prior relation")
            break
        own_gain[good], own_offset[good], used = fits["GAIN"][good], fits["OFFSET"][good], good
        covariance = relation_covariance(fits[good])
        spread = learn_population_scale(deviations.value[good], deviations.variance[good], spread)
    return response


def _change(before: LineShape, after: LineShape) -> float:
    """Largest change of a shape parameter, in units of its prior's width."""
    difference = [getattr(after, name) - getattr(before, name) for name in SHAPE_PARAMETERS]
    return float(np.max(np.abs(difference) / SHAPE_PRIOR_SIGMA))
