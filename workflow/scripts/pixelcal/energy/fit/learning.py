"""Learning the response of the camera and the relations of its pixels by alternation (EM).

The stack needs aligned pixels, and aligning a pixel needs the response. The two alternate until
convergence, starting from matched-filter seeds (`fit.start`).

A fit follows the noise of its pixel, so pixels that are aligned by their fits make lines that are
too narrow and too strong. The stack is therefore the mean over the relations that each fit leaves
possible: the expectation step of the expectation-maximisation (EM) algorithm (Dempster, Laird &
Rubin 1977), whose maximisation step is the fit of the response. The scales of the population prior
are learnt from the same fits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit

from pixelcal.energy.fit.block_agreement import (
    Unlisted,
    compare_blocks,
    own_deviation,
    systematic_covariance,
)
from pixelcal.energy.fit.camera_prior import nearer_prior
from pixelcal.energy.fit.checks.teaching import fits_as_the_camera, spoilt_below
from pixelcal.energy.fit.joint import JointOptions, fit_joint, unlikeness
from pixelcal.energy.fit.start import find_starts
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import relation_covariance
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.response.learn import solve_stack, with_score_tests
from pixelcal.energy.response.line_shape import LineShape, prior_sigma
from pixelcal.energy.response.model import Response, empty_response
from pixelcal.energy.response.population import learn_population_scale, wide_population_scale
from pixelcal.energy.response.scale_tests import low_bend, told
from pixelcal.energy.response.stack import stack_blocks, stack_edges
from pixelcal.energy.response.stack_fit import Terms
from pixelcal.energy.response.tables import make_templates
from pixelcal.instrument import Window
from pixelcal.numerics.statistics import evenly, finite
from pixelcal.status import has_valid_fit

logger = logging.getLogger(__name__)

MIN_EM_ITERATIONS, MAX_EM_ITERATIONS = 3, 10
CONVERGENCE_TOLERANCE = 0.02
"""Largest change of the shape, in units of its prior, that ends the iterations."""

MOST_PIXELS = 2000
"""Pixels that the iterations learn from: their stack is far better known than what they change."""

MOST_TRIED, MOST_GAIN = 500, 25.0
"""Pixels that tell what factors on tails are on, and how much any of them counts at most."""

LOSSES_GAIN, LOSSES_PART, LOSSES_SIGMA = 10.0, 0.3, 2.0
"""By how much that must lower the deviance of them all, and of each in the mean: where the tail of
the camera has another law than the model, the wrong one of both gains 0.26 at 1 Ms. And by how many
standard errors of such a sum."""

TRAPPING_GAIN = 25.0
"""By how much trapping by depth must lower chi-square of the stack (5 sigma, by a score test) to be
fitted, or by a fit that starts far away. It makes the shape dearer and less certain, and the tail
does for a little of it."""

FAR_STARTS = ((0.05, 0.02), (0.1, 0.02), (0.1, 0.1))
"""Trapping, and fraction in the tail at 60 keV, that strong trapping is looked for from: each is
the only one that finds it in some cameras."""

MOST_TAIL_LEFT = 0.5
"""Strong trapping leaves at most this part of the tail that stood in for it."""

MOST_LEFT = 0.5
"""Of what lines in other places would lower chi-square by, where trapping explains their places."""

MIN_STACK_COUNTS = 1000
"""Fewer counts in the stack teach nothing about a shape."""

PVALUE_LIMIT = 1e-4
"""A pixel with a poorer fit is not learnt from, whatever limit the products are flagged by."""

NOT_CONVERGED = (
    "learning the response has not converged after %d iterations (EM): the shape of the lines still"
    " changes by %.3f of its prior, above %.3f; use more counts, or check the line table"
)

WARN_KEV, WARN_SIGMA = 0.1, 5.0
"""A block that stands off from the others by more, in all pixels together, is warned of."""

TOO_FEW = "the spectra hold too few counts to learn the response from"
NONE_ALIGNED = "no pixel could be aligned: the response is that of the prior relation"

FITTED_BEND = (
    "the relations of all pixels together bend: %+.3f ± %.3f keV are added to straight ones in the"
    " middle of the lines, and another %+.3f keV at the lowest line"
)
BLOCKS_DISAGREE = (
    "the lines of block %s are %+.3f ± %.3f keV off where the others put them, in all pixels"
    " together: a bent relation, a wrong line energy or a line that the table lacks; it is in the"
    " systematic uncertainty"
)


def learn_camera(
    counts: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    table: LineTable,
    min_counts: int,
    progress: Callable[[float, float], None] | None = None,
    max_iterations: int = MAX_EM_ITERATIONS,
    *,
    expected: LineShape,
    search: Window,
    terms: Terms = Terms(),  # noqa: B008, a tuple
    agreement: bool = True,
    unlisted: Unlisted | None = None,
) -> Response:
    """The response of a camera from the spectra of its pixels.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relations.
    table : LineTable
    min_counts : int
        A pixel with fewer counts in the blocks is not learnt from.
    progress : callable, optional
        Called with (iterations done, most iterations).
    max_iterations : int
    expected : LineShape
        What is known of the line shape beforehand, where learning starts.
    search : Window
        How far around the prior relations lines are looked for.
    terms : Terms
        What is fitted beside what always is; trapping also where the data ask for it.
    agreement : bool
        Whether blocks are compared, for the systematic uncertainty and for warnings; a trial needs
        neither.
    unlisted : Unlisted, optional
        What lines that the table lacks do to the energies, for the systematic uncertainty.

    Returns
    -------
    Response
        With hardly any counts, one whose strengths are zero: no pixel then gets a valid fit.
    """
    options = JointOptions(min_counts, PVALUE_LIMIT, search, lines_scatter=False)
    gain, offset = nearer_prior(counts, gain, offset, table, expected, search)
    gain, offset = find_starts(counts, gain, offset, table, expected, search)
    data = counts, gain, offset, table, options
    given = expected, terms, max_iterations, progress
    response, nearby = _alternate(*data, *given)
    if nearby is None or not agreement:
        return response
    return _with_agreement(response, *data, nearby, unlisted)


class _Learner:
    """Learns and aligns in turn.

    Parameters
    ----------
    counts, gain, offset, table, options, expected
        As `learn_camera` has them; `gain` and `offset` (n,) are changed in place.
    """

    def __init__(self, counts, gain, offset, table, options, expected):
        self._counts, self._gain, self._offset = counts, gain, offset
        self._table, self._options, self._expected = table, options, expected
        self._used, self._covariance = np.arange(len(counts)), None
        n_parameters = len(wide_population_scale(table))
        self.nearby = np.full((len(counts), n_parameters), np.nan)
        """Where the next fit of each pixel starts beside its relation: where the last one ended."""
        self.solved = None
        """The fit of the stack that was learnt from last."""
        self.not_excluded = np.zeros(2)
        """Stretch and shift (keV) of all energies that strong trapping may cause."""

    def learn(self, response: Response, terms: Terms) -> Response | None:
        """The response by the pixels that were aligned last; None where they hold too few counts.

        `response` is that of the iteration before.
        """
        used = self._used
        pixels = self._counts[used], self._gain[used], self._offset[used]
        stacks = stack_blocks(*pixels, stack_edges(self._table), self._covariance)
        if sum(stack.sum() for stack in stacks) < MIN_STACK_COUNTS:
            return None
        start, scale = response.shape, response.population_scale
        data = stacks, self._table, float(pixels[1].mean()), len(used)
        again = self.solved is not None and self.solved.fit.terms == terms
        known = self.solved.nuisances if again else None
        self.solved = solve_stack(*data, start, scale, self._expected, terms, known)
        return replace(self.solved.response, losses_differ=response.losses_differ)

    def tested(self, response: Response) -> Response:
        """A response that was learnt last, with the score tests of its stack."""
        return self.with_not_excluded(with_score_tests(response, self.solved))

    def with_not_excluded(self, response: Response) -> Response:
        """A response whose `trapping_off` is at least what strong trapping may cause."""
        off, top = response.trapping_off, np.array([line_ends(self._table)[1], 1.0])
        if off is None or abs(off @ top) >= abs(self.not_excluded @ top):
            return response
        return replace(response, trapping_off=self.not_excluded)

    def align(self, response: Response, chosen: np.ndarray) -> Response:
        """The response with the population prior that the pixels `chosen` (m,) teach.

        They are fitted, and those with a good fit put at their new relations and learnt from next.
        """
        fits, found, templates = self._fitted(response, chosen)
        good = fits_as_the_camera(fits, found)
        good &= ~spoilt_below(self._counts[chosen], fits, found, templates, good)
        self.nearby[chosen[good]] = found.nearby[good]
        self._used, self._covariance = chosen[good], relation_covariance(fits[good])
        self._gain[self._used], self._offset[self._used] = fits["GAIN"][good], fits["OFFSET"][good]
        before = response.population_scale
        scale = learn_population_scale(found.value[good], found.variance[good], before)
        return replace(response, population_scale=scale)

    def with_law_of_tails(self, response: Response) -> Response:
        """The response with what the factors on the tails of pixels are on: their strength alone,
        or their mean loss and the trapping too, where the fits of the pixels are clearly better.

        Each with the population prior that its fits teach: a factor on the losses has to differ
        less between pixels for the same tails, which by one prior for both would speak for it.
        """
        chosen = self._used[evenly(len(self._used), MOST_TRIED)]
        costs, both = [], (response, replace(response, losses_differ=True))
        for one in both:
            fits, found, _ = self._fitted(one, chosen)
            good = fits_as_the_camera(fits, found)
            of_good = found.value[good], found.variance[good]
            scale = learn_population_scale(*of_good, response.population_scale)
            cost = found.block_misfit.sum(axis=1) + unlikeness(found.value, scale)
            costs.append(np.where(has_valid_fit(fits["STATUS"]), cost, np.nan))
        gain = np.clip(finite(costs[0] - costs[1]), -MOST_GAIN, MOST_GAIN)
        logger.info("factors on the mean loss of tails too: deviance lower by %.1f", gain.sum())
        error = np.sqrt((gain**2).sum())
        least = max(LOSSES_GAIN, LOSSES_PART * len(gain), LOSSES_SIGMA * error)
        return both[int(gain.sum() > least)]

    def _fitted(self, response: Response, chosen: np.ndarray):
        """Fits of the pixels `chosen` (m,) from where they are, `Deviations` and templates."""
        templates = make_templates(response, self._table)
        data = self._counts[chosen], chosen, self._gain[chosen], self._offset[chosen]
        start = {"nearby": self.nearby[chosen], "added_up": False}
        return *fit_joint(*data, templates, self._options, **start), templates


def _alternate(counts, gain, offset, table, options, expected, terms, max_iterations, progress):
    """Learn and align in turn; `gain` and `offset` (n,) are changed in place.

    Until convergence from pixels evenly over the camera, `MOST_PIXELS` at most; then once from all,
    which the iterations before have brought near: what one more would change is a small part of how
    little all pixels differ from those. Trapping by depth is in the shape from where the stack of a
    shape that has converged is clearly better described with it.

    Returns the response, and where fits of the pixels may start (`_Learner.nearby`); None where
    there were no counts or pixels to learn from to the end.
    """
    learner = _Learner(counts, gain, offset, table, options, expected)
    few = evenly(len(counts), MOST_PIXELS)
    response = replace(empty_response(table, expected), converged=False)
    iteration = 0
    while not response.converged and iteration < max_iterations:
        if iteration:
            response = learner.align(response, few)
        learnt = learner.learn(response, terms)
        if learnt is None:
            logger.warning(NONE_ALIGNED if iteration else TOO_FEW)
            return learner.tested(response) if iteration else response, None
        iteration, change = iteration + 1, _change(response.shape, learnt.shape)
        converged = iteration >= MIN_EM_ITERATIONS and change < CONVERGENCE_TOLERANCE
        if converged or iteration == max_iterations:
            learnt = learner.tested(learnt)
        if converged and not terms.trapping:
            terms, learnt = _with_trapping_if_asked(learner, response, learnt, terms)
            if terms.trapping:  # another shape, which has as many iterations as the first had
                converged, max_iterations = False, max_iterations + iteration
        response = replace(learnt, iterations=iteration, converged=converged)
        _log(response, change)
        if progress:
            progress(iteration, max_iterations)
    if not response.converged:
        logger.warning(NOT_CONVERGED, max_iterations, change, CONVERGENCE_TOLERANCE)
    response = learner.with_law_of_tails(response)
    if response.losses_differ and len(few) == len(counts):
        response = learner.align(response, few)
    if len(few) < len(counts):
        before = learner.align(response, np.arange(len(counts)))
        learnt = learner.tested(learner.learn(before, terms))
        response = replace(learnt, iterations=iteration + 1, converged=response.converged)
        _log(response, _change(before.shape, response.shape))
    return response, learner.nearby


def _with_trapping_if_asked(learner: _Learner, before: Response, learnt: Response, terms: Terms):
    """The terms with trapping by depth where the stack asks for it, and the response to go on from.

    By a score test; and by fits that start from much trapping and little tail. An exponential tail
    that stands in for strong trapping puts lines in the wrong places, and no small step leads from
    the one to the other: the best of all these fits is gone on from. Without the score test, such
    trapping is taken where it describes the stack better, clearly unless lines do not stand where
    they should, and takes the place of most of the tail; beside a tail that stays, it stands in for
    something else. Where it is not taken, what it would change is uncertain, by how probable it is
    against the tail. With trapping that explains where lines stand it is uncertain unless it
    describes the stack worse by more than they are displaced.
    """
    with_it = terms._replace(trapping=True)
    asked = learnt.trapping_gain > TRAPPING_GAIN
    without, found = learner.solved, []
    starts = [
        replace(learnt.shape, trapping=trapping, tail_60=tail) for trapping, tail in FAR_STARTS
    ]
    for start in [*starts, learnt.shape] if asked else starts:
        learner.learn(replace(before, shape=start), with_it)
        found.append(learner.solved)
    other = min(found, key=lambda solved: solved.penalised)
    if asked:
        learner.solved = other
        return with_it, other.response
    worse, displaced = other.penalised - without.penalised, _displaced(learnt)
    displaced_clearly = displaced > TRAPPING_GAIN
    better = worse < (0.0 if displaced_clearly else -TRAPPING_GAIN)
    if better and other.response.shape.tail_60 < MOST_TAIL_LEFT * learnt.shape.tail_60:
        learner.solved = other
        return with_it, other.response
    dispersion = max(learnt.chi_square / max(learnt.dof, 1), 1.0)
    probability = expit(-0.5 * (worse / dispersion + other.occam - without.occam))
    if displaced_clearly and worse < displaced:
        left = _displaced(with_score_tests(other.response, other))
        probability = 1.0 if left < MOST_LEFT * displaced else probability
    learner.solved = without
    learner.not_excluded = np.sqrt(probability) * (other.scale - without.scale)
    return terms, learner.with_not_excluded(learnt)


def _displaced(response: Response) -> float:
    """By how much chi-square of the stack would be lower if lines stood elsewhere."""
    return response.explanations[0].gain if response.explanations else 0.0


def _with_agreement(
    response: Response, counts, gain, offset, table, options, nearby, unlisted
) -> Response:
    """The response with how its blocks agree, and with what they do not agree on as systematic."""
    data = counts, gain, offset, table, response, options
    found = compare_blocks(*data, nearby, unlisted)
    for name, shift, error in zip(table.block_names, found.shift, found.shift_err, strict=True):
        if abs(shift) > max(WARN_KEV, WARN_SIGMA * error):
            logger.warning(BLOCKS_DISAGREE, name, shift, error)
    if response.curve is not None:
        logger.info(FITTED_BEND, response.curve.middle, response.bend_err / 4, response.curve.low)
    if words := told(response.explanations):
        logger.warning(words)
    return replace(
        response,
        low_bend=low_bend(response, table),
        systematic_covariance=systematic_covariance(found, response, table),
        own_deviation=own_deviation(found, table),
        block_shift=found.shift,
        block_shift_err=found.shift_err,
        misfit=found.misfit,
    )


def _log(response: Response, change: float) -> None:
    """One line about an iteration."""
    logger.info(
        "iteration %d: %s, population scale %s, chi-square %.0f of %d, change %.3f",
        response.iterations, response.shape, np.round(response.population_scale, 3),
        response.chi_square, response.dof, change,
    )  # fmt: skip


def _change(before: LineShape, after: LineShape) -> float:
    """Largest change of a shape parameter, in units of its prior's width."""
    difference = np.abs(after.vector - before.vector)
    return float(np.max(difference / prior_sigma(after.material)))
