"""The climb to the maximum of the likelihood with noise, and what is found there."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe import likelihood as clean
from pixelcal.charge.spe.likelihood import (
    DAMPING_DOWN,
    DAMPING_END,
    DAMPING_START,
    DAMPING_UP,
    Spectra,
    damped_step,
    group_bins,
    release,
)
from pixelcal.charge.spe.noise.late_charges import (
    DARK,
    DECAY,
    DELAY,
    DELAYED,
    LOSS,
    N_NOISE,
    SPENT,
)
from pixelcal.charge.spe.noise.priors import (
    KINDS,
    CameraNoise,
    NoisePrior,
    fitted_noise,
    slope_of_logarithm,
)
from pixelcal.charge.spe.noise.spectrum import (
    N_COMMON,
    bin_probabilities,
    goodness_of,
    likelihood_of,
)
from pixelcal.charge.spe.parameters import N_SHARED, OPCT, PE, V_PED

BINS_PER_WIDTH, FEWEST_PER_WIDTH, BINS_PER_PE = 3.0, 1.6, 40.0
"""Bins in a width of the pedestal; fewer, down to the second number, where a photoelectron would
have more than the third. With still fewer one sees what a Fourier transform leaves out."""
MARGIN_BELOW, MARGIN_ABOVE = 6.0, 3.0
"""Empty bins around the data, in widths of the pedestal and in photoelectrons."""

LOWEST = {DECAY: 0.02, DELAY: 0.02}
HIGHEST = {DARK: 5.0, DECAY: 2.0, DELAY: 5.0, LOSS: 1.0, SPENT: 1.0 / 3.0}
"""No lattice of cells has fewer neighbours than three."""
HIGHEST_FOLLOWING = 0.7
"""Of afterpulses and delayed avalanches of each time constant."""

MAX_ITERATIONS = 60
TOLERANCE = 1e-3
"""Converged when the step would lower the deviance by less: 3 % of an error."""
HOPELESS_MISFIT = 0.5
"""Misfit of the spectra (as MISFIT: relative rms over the flashes) above which a climb is watched.
Deviance that counting explains is no misfit, and not more than `DEVIANCE_OF_A_BIN` is expected."""
DEVIANCE_OF_A_BIN = 1.2
STALLED_STEPS, STALLED_GAIN = 6, 0.05
"""A climb that is watched is given up where its last steps lowered the deviance by a smaller
fraction of the misfit, and an undamped step would. Of all climbs in the troubles of the benchmark,
and in noise of all kinds, none that is given up would have come to half of the misfit."""


class NoisyMaximum(NamedTuple):
    """Where a search ended.

    theta (p,) and its covariance (p, p), p = N_COMMON + 2 R, in the parameters of `spectrum`;
    `at_limit` (p,) bool, of those that are fitted; `kinds`, the noise that is in it; the others as
    in `likelihood.Maximum`.
    """

    theta: np.ndarray
    covariance: np.ndarray
    at_limit: np.ndarray
    kinds: tuple[str, ...]
    deviance: float
    goodness: tuple[float, float, float, int]
    iterations: int
    converged: bool

    @property
    def is_at_edge(self) -> bool:
        """Whether some noise, or the decay of the pulse, is as large as it may be, or as small."""
        return is_at_edge(self.theta[N_SHARED:N_COMMON], ~self.at_limit[N_SHARED:N_COMMON])

    @property
    def n_noise(self) -> int:
        """Parameters of noise that were fitted and are not at a limit."""
        fitted = fitted_parameters(len(self.theta), self.kinds) & ~self.at_limit
        return int(np.delete(fitted[N_SHARED:N_COMMON], [LOSS, SPENT]).sum())

    def systematic(self, camera: CameraNoise | None) -> np.ndarray:
        """Covariance (p, p) from the noise of the camera, that all its pixels have in common.

        By how much the maximum moves with the centre of the prior; 0 without one.
        """
        noise = slice(N_SHARED, N_COMMON)
        if camera is None:
            return np.zeros_like(self.covariance)
        slope = slope_of_logarithm(self.theta[noise])
        moves = self.covariance[:, noise] @ (slope[:, None] * camera.prior.precision)
        return moves @ camera.systematic @ moves.T

    @property
    def added_by_noise(self) -> np.ndarray:
        """The part of the covariance (p, p) that would not be there if the noise were known."""
        noise = slice(N_SHARED, N_COMMON)
        of_noise = np.linalg.pinv(self.covariance[noise, noise], hermitian=True)
        return self.covariance[:, noise] @ of_noise @ self.covariance[noise]

    def without_noise(self) -> clean.Maximum:
        """The quantities of a flash alone, the noise integrated over."""
        return clean.Maximum(
            without_noise(self.theta), without_noise(self.covariance), without_noise(self.at_limit),
            self.deviance, self.goodness, self.iterations, self.converged,
        )  # fmt: skip


def is_at_edge(noise, inside) -> bool:
    """Whether some noise (N_NOISE,), or the decay of the pulse, is not `inside` its limits.

    There may be no noise, any delay, any loss and any number of neighbours.
    """
    return not np.delete(inside | (noise == 0.0), [DELAY, LOSS, SPENT]).all()


def noise_total(kind: str, theta, covariance) -> tuple[float, float]:
    """How much there is of a kind of noise, over all delays, and its error by a covariance."""
    return sum_of(N_SHARED + np.array(KINDS[kind]), theta, covariance)


def crosstalk_total(theta, covariance) -> tuple[float, float]:
    """Prompt and delayed crosstalk together, and the error of the sum by a covariance."""
    return sum_of(np.array([OPCT, N_SHARED + DELAYED]), theta, covariance)


def sum_of(places, theta, covariance) -> tuple[float, float]:
    """Sum of the parameters at some places, and its error by a covariance (p, p)."""
    variance = covariance[np.ix_(places, places)].sum()
    return float(theta[places].sum()), math.sqrt(max(variance, 0.0))


def without_noise(values) -> np.ndarray:
    """What belongs to the parameters without noise, of values (p,) or (p, p) of all."""
    kept = np.r_[0:N_SHARED, N_COMMON : len(values)]
    return values[np.ix_(*[kept] * values.ndim)]


def regrouped(counts, start, width: float, theta) -> Spectra:
    """Spectra in bins that suit a fit (4 + 2 R,), with empty ones around the data."""
    pedestal, pe = math.sqrt(theta[V_PED]), theta[PE]
    size = max(pedestal / BINS_PER_WIDTH, min(pedestal / FEWEST_PER_WIDTH, pe / BINS_PER_PE))
    group = max(round(size / width), 1)
    below = int(MARGIN_BELOW * pedestal / (width * group)) + 1
    above = int(MARGIN_ABOVE * pe / (width * group)) + 1
    return group_bins(counts, start, width, group, below, above)


def step_within(theta, score, information, damping, free, lowest, highest) -> np.ndarray:
    """The damped step (p,) that stays within the limits; NaN where it cannot be solved.

    What would cross its limit goes there, and the step of the others is solved again.
    """
    free, step = free.copy(), np.zeros(len(theta))
    while True:
        moved = np.where(free, 0.0, step)
        inner = damped_step(information, score - information @ moved, damping, free)
        step = np.where(free, inner, step)
        to = theta + step
        outside = free & ((to < lowest) | (to > highest))
        if not outside.any():
            return step
        step = np.where(outside, np.clip(to, lowest, highest) - theta, step)
        free &= ~outside


def noise_limits() -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value (N_NOISE,) of the noise."""
    low, high = np.zeros(N_NOISE), np.full(N_NOISE, HIGHEST_FOLLOWING)
    for place, value in LOWEST.items():
        low[place] = value
    for place, value in HIGHEST.items():
        high[place] = value
    return low, high


def _limits(spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value (p,) of every parameter."""
    lowest, highest = clean.limits(spectra)
    low, high = noise_limits()
    return (
        np.r_[lowest[:N_SHARED], low, lowest[N_SHARED:]],
        np.r_[highest[:N_SHARED], high, highest[N_SHARED:]],
    )


def fitted_parameters(n: int, kinds) -> np.ndarray:
    """Which of n parameters are fitted, with some kinds of noise."""
    fitted = np.ones(n, bool)
    fitted[N_SHARED:N_COMMON] = fitted_noise(kinds)
    return fitted


def penalised(slopes, theta, prior: NoisePrior):
    """Deviance, score and information `slopes` at `theta` (p,), with a prior of what is fitted."""
    deviance, score, information = slopes
    noise = slice(N_SHARED, N_COMMON)
    more, pull, precision = prior.penalty(theta[noise])
    score[noise] += pull
    information[noise, noise] += precision
    return deviance + more, score, information


def relaxed(gain: float) -> float:
    """Factor on the damping after a step that gained this fraction of what was expected.

    Where it gained less, the likelihood is more curved than the expected information says, and a
    longer step would go too far (Nielsen 1999, IMM-REP-1999-05).
    """
    return max(DAMPING_DOWN, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3)


def hopeless_deviance(spectra: Spectra) -> tuple[float, float]:
    """Deviance that counting explains, and by how much more a climb is watched."""
    expected = DEVIANCE_OF_A_BIN * spectra.counts.size
    return expected, HOPELESS_MISFIT**2 * float(spectra.counts.sum())


class Patience:
    """Whether a climb goes on: not where it stalls far from any acceptable fit.

    Parameters
    ----------
    expected, hopeless : float
        As `hopeless_deviance` gives them.
    """

    def __init__(self, expected: float = 0.0, hopeless: float = math.inf):
        self.expected, self.hopeless = expected, hopeless
        self.passed: list[float] = []

    def is_over(self, deviance: float, full_step: float) -> bool:
        """Called before each step; by `full_step` the undamped one would lower the deviance."""
        self.passed.append(deviance)
        misfit = deviance - self.expected
        if misfit <= self.hopeless or len(self.passed) <= STALLED_STEPS:
            return False
        gained = self.passed[-1 - STALLED_STEPS] - deviance
        least = STALLED_GAIN * misfit
        return gained < least and full_step < least


def climb_within(
    theta, slopes, fitted, limits, max_iterations: int, tolerance: float, patience=None
):
    """Climb from `theta` (p,) towards the maximum, as `likelihood.climb` does.

    Parameters
    ----------
    theta : (p,) float
    slopes : callable
        Deviance, score (p,) and information (p, p) at some theta.
    fitted : (p,) bool
    limits : lowest and highest value (p,) of every parameter
    max_iterations : int
    tolerance : float
        Converged when the step would lower the deviance by less.
    patience : Patience, optional
        Without it the climb is never given up.

    Returns
    -------
    theta, deviance, information, free (p,), iterations, converged
    """
    lowest, highest = limits
    theta = np.clip(theta, lowest, highest)
    deviance, score, information = slopes(theta)
    damping, converged, iterations = DAMPING_START, False, 0
    free = np.ones(len(theta), bool)
    while iterations < max_iterations and damping < DAMPING_END:
        iterations += 1
        release(theta, score, lowest, highest, free)
        free &= fitted
        newton = damped_step(information, score, 0.0, free)
        if not np.isnan(newton[0]) and abs(newton @ score) < tolerance:
            converged = True
            break
        if patience is not None and patience.is_over(deviance, float(newton @ score)):
            break
        step = step_within(theta, score, information, damping, free, lowest, highest)
        if np.isnan(step).any():
            damping *= DAMPING_UP
            continue
        trial = np.clip(theta + step, lowest, highest)
        found = slopes(trial)
        if found[0] <= deviance:
            moved = trial - theta
            expected = moved @ (2.0 * score - information @ moved)
            gained = deviance - found[0]
            damping *= relaxed(gained / expected if expected > gained else 1.0)
            theta, (deviance, score, information) = trial, found
        else:
            damping *= DAMPING_UP
    release(theta, score, lowest, highest, free)
    return theta, deviance, information, free & fitted, iterations, converged


def ascend(theta, spectra: Spectra, kinds, prior: NoisePrior, max_iterations: int):
    """`climb_within` with some kinds of noise in the model.

    Returns what that does, and the probabilities (R, n) of the bins at the end.
    """
    fitted = fitted_parameters(len(theta), kinds)
    of_noise = fitted[N_SHARED:N_COMMON]
    prior = prior.of(of_noise)
    lowest, best = math.inf, None

    def slopes(at):
        nonlocal lowest, best
        probability, gradient = bin_probabilities(at, spectra, of_noise)
        found = penalised(likelihood_of(probability, gradient, spectra), at, prior)
        if best is None or found[0] <= lowest:  # the climb goes there
            lowest, best = found[0], probability
        return found

    patience = Patience(*hopeless_deviance(spectra))
    limits = _limits(spectra)
    found = climb_within(theta, slopes, fitted, limits, max_iterations, TOLERANCE, patience)
    return *found, best


def maximise(theta, spectra: Spectra, kinds, prior: NoisePrior, moments) -> NoisyMaximum:
    """Climb from `theta` to the maximum."""
    theta, deviance, information, free, iterations, converged, probability = ascend(
        theta, spectra, kinds, prior, MAX_ITERATIONS
    )
    # Noise that is found to be 0 may be more: what goes with it is as uncertain as beside it.
    uncertain = free.copy()
    uncertain[OPCT] |= theta[OPCT] == 0.0
    uncertain[N_SHARED:N_COMMON] = fitted_parameters(len(theta), kinds)[N_SHARED:N_COMMON]
    covariance = clean.covariance_of(information, uncertain)
    group = max(int(math.sqrt(theta[V_PED]) / spectra.width), 1)
    goodness = goodness_of(probability, spectra.counts, group, moments)
    at_limit = fitted_parameters(len(theta), kinds) & ~free
    return NoisyMaximum(
        theta, covariance, at_limit, kinds, deviance, goodness, iterations, converged
    )
