"""The fit of single-photoelectron spectra with a dark run, which shows the pedestal as it is.

Weights of the pedestal, gain, crosstalk and light are fitted to the dark run and to the runs with
light together, by maximum likelihood. The counting errors of the dark run are therefore in the
covariance: there is no step in which a measured pedestal passes for the true one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe import likelihood as without_noise
from pixelcal.charge.spe.dark_run.pedestal import Pedestal, at_other_nodes, nodes_of, start_pedestal
from pixelcal.charge.spe.dark_run.problem import Problem, binned, start_of, starts, theta_of
from pixelcal.charge.spe.dark_run.spectrum import (
    DarkNoise,
    goodness_of_fit,
    likelihood,
)
from pixelcal.charge.spe.noise.climb import climb_within, is_at_edge, penalised
from pixelcal.charge.spe.noise.evidence import noise_pulls, profiled
from pixelcal.charge.spe.noise.fit import DOUBTFUL_SIGMA, KEPT_SIGMA, START, TRIED_SIGMA
from pixelcal.charge.spe.noise.late_charges import LOSS, N_NOISE
from pixelcal.charge.spe.noise.priors import (
    KINDS,
    NoisePrior,
    asked_and_possible,
    general_prior,
    no_noise,
)
from pixelcal.charge.spe.noise.spectrum import N_COMMON
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, OPCT, V_PE, V_PED

START_FRACTIONS = (0.7, 0.45)
"""Of the narrowest width that the dark run shows: the noise that a fit begins with. The second is
tried where the first leads to a poor fit."""
REGRIDDED = 3
"""How often nodes and bins follow the noise that a fit of the dark runs alone finds."""
FINER = 0.8
"""They do where the noise is narrower than what they are made for by this factor."""
TRIAL_ITERATIONS, FINALISTS, MAX_ITERATIONS = 6, 2, 100
LIGHTLESS_ITERATIONS = 12
TOLERANCE = 0.01
"""Converged when the step would lower the deviance by less: a tenth of an error. The last steps are
along what the pedestal is indifferent to."""
FOLLOWING = ("afterpulses", "delayed_crosstalk")
"""Noise that comes with the light; dark counts are in the pedestal."""


class DarkRunFit(NamedTuple):
    """Where the search ended.

    theta (p,), covariance (p, p), free (p,) bool in the parameters of `spectrum`; the pedestal; the
    noise that follows avalanches and is in the model; the deviance if no run had light; the others
    as in `likelihood.Maximum`.
    """

    theta: np.ndarray
    covariance: np.ndarray
    free: np.ndarray
    pedestal: Pedestal
    kinds: tuple[str, ...]
    deviance: float
    dark_deviance: float
    goodness: tuple[float, float, float, int]
    iterations: int
    converged: bool

    @property
    def noise(self) -> np.ndarray:
        """What follows an avalanche, (N_NOISE,); all 0 without."""
        return self.theta[N_SHARED:N_COMMON] if self.kinds else np.zeros(N_NOISE)

    @property
    def shape(self) -> DarkNoise:
        """What `spectrum.model_runs` needs beside `maximum`."""
        return DarkNoise(self.noise, self.pedestal)

    @property
    def is_at_edge(self) -> bool:
        """Whether some noise, or the decay of the pulse, is as large as it may be, or as small."""
        if not self.kinds:
            return False
        return is_at_edge(self.theta[N_SHARED:N_COMMON], self.free[N_SHARED:N_COMMON])

    @property
    def n_noise(self) -> int:
        """Parameters beside those of `maximum` that were fitted and are not at a limit."""
        beside = self.free[N_SHARED : N_COMMON + len(self.pedestal.node)]
        return int(np.delete(beside, LOSS).sum())

    def maximum(self) -> without_noise.Maximum:
        """The quantities of `spe.likelihood`; the pedestal is its mean and its variance."""
        n_nodes, theta = len(self.pedestal.node), self.theta
        first = N_COMMON + n_nodes
        n_runs = (len(theta) - first) // N_PER_RUN
        jacobian = np.zeros((N_SHARED + N_PER_RUN * n_runs, len(theta)))
        jacobian[:N_SHARED, :N_SHARED] = np.eye(N_SHARED)
        jacobian[N_SHARED:, first:] = np.eye(N_PER_RUN * n_runs)
        nodes, mean = slice(N_COMMON, first), self.pedestal.mean
        jacobian[V_PED, nodes] = self.pedestal.node**2
        jacobian[N_SHARED::N_PER_RUN, nodes] = self.pedestal.node
        values = np.r_[theta[:N_SHARED], theta[first:]]
        values[V_PED] = self.pedestal.variance
        values[N_SHARED::N_PER_RUN] += mean
        covariance = jacobian @ self.covariance @ jacobian.T
        at_limit = np.r_[~self.free[:N_SHARED], ~self.free[first:]]
        return without_noise.Maximum(
            values, covariance, at_limit, self.deviance, self.goodness, self.iterations,
            self.converged,
        )  # fmt: skip


def explain_with_dark_run(
    counts, start, width: float, dark, moments, allowed, more_starts=(), general=None
) -> DarkRunFit:
    """The fit of a pixel's runs with its dark runs.

    Parameters
    ----------
    counts : (R, n) float
    start : (R,) float
    width : float
    dark : (R,) bool
        Runs without light, one at least; and one with light at least.
    moments : (m, 2) float
        `goodness_of_fit.moment_table()`.
    allowed : mapping of str to bool or None
        For afterpulses and delayed crosstalk, whether they are in the model; None: the spectra
        decide, by Rao's test as in `noise.fit`.
    more_starts : sequence of (4 + 2 L,) float
        Fits without noise of the L runs with light, to begin at as well.
    general : NoisePrior, optional
        Of any SiPM; without it `general_prior()`.
    """
    found = None
    for fraction in START_FRACTIONS:
        problem = _problem(counts, start, width, np.asarray(dark), more_starts, fraction)
        other = _explain(problem, moments, allowed, more_starts, general or general_prior())
        if found is None or _excess(other) < _excess(found):
            found = other
        if _excess(found) < DOUBTFUL_SIGMA:
            break
    return found


def _excess(found: DarkRunFit) -> float:
    """By how many standard deviations the deviance is larger than expected; inf: not converged."""
    deviance, mean, variance, _ = found.goodness
    return (deviance - mean) / math.sqrt(variance) if found.converged else math.inf


def _explain(problem: Problem, moments, allowed, more_starts, general: NoisePrior) -> DarkRunFit:
    """The fit from one pedestal to begin with."""
    begun = [_ascend(theta, problem, (), TRIAL_ITERATIONS) for theta in starts(problem)]
    begun += [
        _ascend(start_of(problem, theta), problem, (), TRIAL_ITERATIONS) for theta in more_starts
    ]
    begun = sorted(begun, key=lambda found: found[1])[:FINALISTS]
    ended = [_ascend(found[0], problem, (), MAX_ITERATIONS) for found in begun]
    best = min(ended, key=lambda found: (not found[-1], found[1]))
    without_light = problem._replace(dark=np.ones(len(problem.dark), bool))
    lightless = _ascend(
        theta_of(without_light, (1.0, 0.0, 0.0), 0.0), without_light, (), LIGHTLESS_ITERATIONS
    )
    found = _finish(best, problem, (), moments)._replace(dark_deviance=lightless[1])
    asked, possible = asked_and_possible(allowed, FOLLOWING)
    if not possible or not (asked or _is_followed(found, problem, possible)):
        return found
    theta = found.theta.copy()
    theta[N_SHARED:N_COMMON] = no_noise()
    for kind in possible:
        theta[N_SHARED + np.array(KINDS[kind])] = START / len(KINDS[kind])
    climbed = _ascend(theta, problem, possible, MAX_ITERATIONS, general)
    more = _finish(climbed, problem, possible, moments)
    more = more._replace(dark_deviance=lightless[1])
    if not asked and not (more.converged and found.deviance - more.deviance >= KEPT_SIGMA**2):
        return found
    return more


def _problem(counts, start, width, dark, more_starts, fraction: float) -> Problem:
    """The spectra in bins, and the pedestal with nodes, that suit the noise."""
    first = np.flatnonzero(dark)[0]
    pedestal, eped = start_pedestal(counts[first], start[first], width, fraction)
    alone = Problem(*binned(counts[dark], start[dark], width, dark[dark], pedestal, eped, ()))
    for _ in range(REGRIDDED):
        theta = _ascend(theta_of(alone, (1.0, 0.0, 0.0), 0.0), alone, (), MAX_ITERATIONS)[0]
        noise, rates = theta[V_PED], alone.rates
        eped = theta[rates.stop]
        before = alone.pedestal.variance_of_noise
        pedestal = Pedestal(alone.pedestal.node, noise, theta[rates])
        if noise > FINER**2 * before:
            break
        node = nodes_of(counts[first], width, math.sqrt(noise))
        pedestal = at_other_nodes(pedestal, node)
        alone = Problem(*binned(counts[dark], start[dark], width, dark[dark], pedestal, eped, ()))
    return Problem(*binned(counts, start, width, dark, pedestal, eped, more_starts))


def _ascend(theta, problem: Problem, kinds, max_iterations: int, general: NoisePrior | None = None):
    """`noise.climb.climb_within` with some kinds of noise after the avalanches."""
    fitted = problem.fitted(kinds)
    prior = (general or general_prior()).of(fitted[N_SHARED:N_COMMON])

    def slopes(at):
        found = likelihood(at, problem.spectra, problem.at, bool(kinds))
        return penalised(found, at, prior)

    return climb_within(theta, slopes, fitted, problem.limits(), max_iterations, TOLERANCE)


def _finish(climbed, problem: Problem, kinds, moments) -> DarkRunFit:
    """The maximum with its covariance and goodness of fit."""
    theta, deviance, information, free, iterations, converged = climbed
    # What is found to be 0 may be more: what goes with it is as uncertain as beside it.
    uncertain = free.copy()
    place = np.r_[V_PE, OPCT, N_SHARED:N_COMMON]
    uncertain[place] = problem.fitted(kinds)[place]
    covariance = without_noise.covariance_of(information, uncertain)
    group = max(int(math.sqrt(theta[V_PED]) / problem.spectra.width), 1)
    goodness = goodness_of_fit(theta, problem.spectra, problem.at, group, moments)
    pedestal = Pedestal(problem.pedestal.node, float(theta[V_PED]), theta[problem.rates].copy())
    return DarkRunFit(
        theta, covariance, free, pedestal, tuple(kinds), deviance, np.nan, goodness, iterations,
        converged,
    )  # fmt: skip


def _is_followed(found: DarkRunFit, problem: Problem, kinds) -> bool:
    """Whether the likelihood rises with what follows an avalanche, at the fit without (Rao)."""
    _, score, information = likelihood(found.theta, problem.spectra, problem.at)
    beyond = N_SHARED + np.concatenate([KINDS[kind] for kind in kinds]).astype(int)
    clean = np.flatnonzero(found.free)
    place = np.r_[clean, beyond]
    left = profiled(score[place], information[np.ix_(place, place)], len(clean))
    return bool((noise_pulls(*left) > TRIED_SIGMA).any())
