"""The likelihood of one pixel's spectra, all runs at once, and the climb to its maximum: compiled.

Maximises the multinomial likelihood (the Poisson likelihood of bins whose sum is known) by Fisher
scoring with Levenberg's damping: the expected information is positive definite wherever the model
has counts, needs no second derivatives, and its inverse at the maximum is the covariance. A
parameter at a limit is fixed while the gradient points outward (active set).

Parameters of a pixel with R runs, 4 + 2 R: sigma_ped^2, pe, sigma_pe^2, opct, then eped and lambda
of each run.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.model import bin_probabilities
from pixelcal.charge.spe.parameters import N_PARAMETERS, N_PER_RUN, N_SHARED, OPCT, PE, V_PE, V_PED
from pixelcal.numerics.goodness_of_fit import LOG_MU_START, LOG_MU_STEP
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import cholesky, dot, inside, inverse, is_positive, solve

MARGIN_BELOW, MARGIN_ABOVE = 4.0, 4.0
"""Empty bins around the data, in widths of the pedestal and in photoelectrons: what lies beyond is
then not expected to have a count. A range that ends with the data would make the deviance of the
last bins larger than that of Poisson counts."""

HIGHEST_OPCT = 0.95
"""The law ends at 1, where the cascade of crosstalk does not."""
LOWEST_LAMBDA, HIGHEST_LAMBDA = 1e-6, 100.0
LOWEST_WIDTH = 0.1
"""Of the pedestal, in bins: a narrower one is not resolved."""

MAX_ITERATIONS = 200
TOLERANCE = 1e-8
"""Converged when the step would lower the deviance by less: 1e-4 of an error at most."""
DAMPING_START, DAMPING_UP, DAMPING_DOWN = 1e-3, 8.0, 0.1
DAMPING_END = 1e12


class Spectra(NamedTuple):
    """Spectra of one pixel: counts (R, n) in n bins from `start` (R,) on, `width` wide."""

    counts: np.ndarray
    start: np.ndarray
    width: float


class Maximum(NamedTuple):
    """Where the search ended.

    theta (p,) and its covariance (p, p) in the parameters of this module; `at_limit` (p,) bool, and
    the error there is 0 (of no crosstalk it is that of a little); `deviance`, to compare with
    others in the same bins; `goodness`, as `goodness_of_fit` gives it;
    steps taken; whether it converged.
    """

    theta: np.ndarray
    covariance: np.ndarray
    at_limit: np.ndarray
    deviance: float
    goodness: tuple[float, float, float, int]
    iterations: int
    converged: bool


def is_at_limit(found: Maximum) -> bool:
    """Whether gain, widths or crosstalk are at a limit. No crosstalk is what a sensor may have."""
    at_limit = found.at_limit[:N_SHARED].copy()
    at_limit[OPCT] &= found.theta[OPCT] > 0.0
    return bool(at_limit.any())


@njit
def moments_of(counts, start, width):
    """Number, mean and standard deviation of the charges of one spectrum (n,)."""
    total, first, second = 0.0, 0.0, 0.0
    for j in range(counts.shape[0]):
        x = start + (j + 0.5) * width
        total += counts[j]
        first += counts[j] * x
        second += counts[j] * x * x
    mean = first / total
    return total, mean, math.sqrt(max(second / total - mean * mean, width * width / 12.0))


@njit
def occupied(counts):
    """First bin of a spectrum (n,) that is not empty, and the one after the last."""
    low, high = 0, counts.shape[0]
    while low < counts.shape[0] - 1 and counts[low] == 0:
        low += 1
    while high > low + 1 and counts[high - 1] == 0:
        high -= 1
    return low, high


@njit
def group_bins(counts, start, width, group, below, above):
    """Spectra with `group` bins in one, with `below` and `above` empty bins around the data.

    All runs have the same number of bins.
    """
    n_runs = counts.shape[0]
    low, high = np.zeros(n_runs, np.int64), np.zeros(n_runs, np.int64)
    longest = 0
    for run in range(n_runs):
        low[run], high[run] = occupied(counts[run])
        longest = max(longest, high[run] - low[run])
    n_grouped = -(-longest // group) + below + above
    grouped, edge = np.zeros((n_runs, n_grouped)), np.empty(n_runs)
    for run in range(n_runs):
        origin = low[run] - below * group
        edge[run] = start[run] + origin * width
        for j in range(low[run], high[run]):
            grouped[run, (j - origin) // group] += counts[run, j]
    return Spectra(grouped, edge, width * group)


@njit
def copy_parameters(theta, run, out):
    """The six parameters of one run, in the order of `model`, into `out`."""
    for i in range(N_SHARED):
        out[i] = theta[i]
    for i in range(N_PER_RUN):
        out[N_SHARED + i] = theta[N_SHARED + N_PER_RUN * run + i]


@njit
def place(run, i):
    """Index in theta of parameter `i` of one run."""
    return i if i < N_SHARED else N_PER_RUN * run + i


@njit
def model_run(theta, spectra, run, parameters, probability, gradient):
    """Model the bins of one run, for `likelihood`; its `parameters` (6,) are written.

    Returns
    -------
    float
        Flashes of the run.
    """
    copy_parameters(theta, run, parameters)
    bin_probabilities(parameters, spectra.start[run], spectra.width, probability, gradient)
    total = 0.0
    for count in spectra.counts[run]:
        total += count
    return total


@njit
def likelihood(theta, spectra, probability, gradient, score, information):
    """Deviance of all runs; its score (p,) and the expected information (p, p) are written.

    The score is half of the downhill gradient of the deviance, so information . step = score.
    `probability` (n,) and `gradient` (6, n) are room to work in.
    """
    n_runs, n = spectra.counts.shape
    score.fill(0.0)
    information.fill(0.0)
    deviance = 0.0
    parameters = np.empty(N_PARAMETERS)
    block = np.empty((N_PARAMETERS, N_PARAMETERS))
    for run in range(n_runs):
        total = model_run(theta, spectra, run, parameters, probability, gradient)
        block.fill(0.0)
        for j in range(n):
            p = probability[j]
            count = spectra.counts[run, j]
            if count > 0:
                deviance += 2.0 * count * math.log(count / (total * p))
            for i in range(N_PARAMETERS):
                slope = gradient[i, j] / p
                score[place(run, i)] += count * slope
                slope *= total
                for k in range(i + 1):
                    block[i, k] += slope * gradient[k, j]
        for i in range(N_PARAMETERS):
            for k in range(i + 1):
                a, b = place(run, i), place(run, k)
                information[a, b] += block[i, k]
                if a != b:
                    information[b, a] += block[i, k]
    return deviance


@njit
def pedestal_deviance(spectra):
    """Deviance of one normal peak in each run, all of one width: a pixel without light."""
    n_runs, n = spectra.counts.shape
    theta = np.zeros(N_SHARED + N_PER_RUN * n_runs)
    total, square = 0.0, 0.0
    for run in range(n_runs):
        flashes, mean, spread = moments_of(spectra.counts[run], spectra.start[run], spectra.width)
        theta[N_SHARED + N_PER_RUN * run] = mean
        theta[N_SHARED + N_PER_RUN * run + 1] = LOWEST_LAMBDA
        total += flashes
        square += flashes * spread**2
    theta[V_PED] = square / total - spectra.width**2 / 12.0
    theta[V_PED] = max(theta[V_PED], (LOWEST_WIDTH * spectra.width) ** 2)
    theta[PE] = n * spectra.width
    score, matrix = np.empty(len(theta)), np.empty((len(theta), len(theta)))
    room = np.empty(n), np.empty((N_PARAMETERS, n))
    return likelihood(theta, spectra, room[0], room[1], score, matrix)


@njit
def limits(spectra):
    """Lowest and highest value (p,) of every parameter."""
    n_runs, n = spectra.counts.shape
    n_theta = N_SHARED + N_PER_RUN * n_runs
    lowest, highest = np.empty(n_theta), np.empty(n_theta)
    reach = n * spectra.width
    lowest[V_PED], highest[V_PED] = (LOWEST_WIDTH * spectra.width) ** 2, reach**2
    lowest[PE], highest[PE] = spectra.width, 2.0 * reach
    lowest[V_PE], highest[V_PE] = 0.0, reach**2
    lowest[OPCT], highest[OPCT] = 0.0, HIGHEST_OPCT
    for run in range(n_runs):
        eped, mean = place(run, N_SHARED), place(run, N_SHARED + 1)
        lowest[eped] = spectra.start[run] - reach
        highest[eped] = spectra.start[run] + reach
        lowest[mean], highest[mean] = LOWEST_LAMBDA, HIGHEST_LAMBDA
    return lowest, highest


@njit
def damped_step(information, score, damping, free):
    """Step (p,) of the free parameters; NaN where the system cannot be solved."""
    n = score.shape[0]
    matrix, right = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        if free[i]:
            right[i] = score[i]
            for j in range(n):
                if free[j]:
                    matrix[i, j] = information[i, j]
            matrix[i, i] *= 1.0 + damping
        else:
            matrix[i, i] = 1.0
    return solve(cholesky(matrix), right)


@njit
def release(theta, score, lowest, highest, free):
    """Mark as free (p,) what is not at a limit with the gradient pointing outward."""
    for i in range(theta.shape[0]):
        pushed_down = theta[i] <= lowest[i] and score[i] < 0.0
        pushed_up = theta[i] >= highest[i] and score[i] > 0.0
        free[i] = not (pushed_down or pushed_up)


@njit
def climb(theta, spectra, max_iterations, hopeless):
    """Climb from `theta` (p,) towards the maximum, at most `max_iterations` steps.

    It ends after half of them where the deviance is still larger than `hopeless`.

    Returns
    -------
    theta : (p,) float
        The start is not changed.
    deviance : float
    information : (p, p) float
    free : (p,) bool
        Parameters that are not fixed at a limit.
    iterations : int
    converged : bool
    """
    n_theta, n = theta.shape[0], spectra.counts.shape[1]
    probability, gradient = np.empty(n), np.empty((N_PARAMETERS, n))
    score, information = np.empty(n_theta), np.empty((n_theta, n_theta))
    new_score, new_information = np.empty(n_theta), np.empty((n_theta, n_theta))
    lowest, highest = limits(spectra)
    free = np.ones(n_theta, np.bool_)
    theta = inside(theta, lowest, highest)
    deviance = likelihood(theta, spectra, probability, gradient, score, information)
    damping, converged, iterations = DAMPING_START, False, 0
    while iterations < max_iterations:
        iterations += 1
        release(theta, score, lowest, highest, free)
        newton = damped_step(information, score, 0.0, free)
        if not np.isnan(newton[0]) and abs(dot(newton, score)) < TOLERANCE:
            converged = True
            break
        step = damped_step(information, score, damping, free)
        if np.isnan(step[0]):
            damping *= DAMPING_UP
        else:
            trial = inside(theta + step, lowest, highest)
            found = likelihood(trial, spectra, probability, gradient, new_score, new_information)
            if found <= deviance:
                theta, deviance = trial, found
                score, new_score = new_score, score
                information, new_information = new_information, information
                damping *= DAMPING_DOWN
            else:
                damping *= DAMPING_UP
        too_slow = 2 * iterations >= max_iterations and deviance > hopeless
        if damping > DAMPING_END or too_slow:
            break
    release(theta, score, lowest, highest, free)
    return theta, deviance, information, free, iterations, converged


@njit
def maximise(theta, spectra, group, moments):
    """Climb from `theta` (p,) to the maximum of the likelihood; returns a Maximum.

    Parameters
    ----------
    theta : (p,) float
        The start; it is not changed.
    spectra : Spectra
    group : int
        Bins that are one for the goodness of fit.
    moments : (n, 2) float
        `goodness_of_fit.moment_table()`.
    """
    theta, deviance, information, free, iterations, converged = climb(
        theta, spectra, MAX_ITERATIONS, math.inf
    )
    uncertain = free.copy()
    uncertain[OPCT] = free[OPCT] or theta[OPCT] == 0.0
    covariance = covariance_of(information, uncertain)
    goodness = goodness_of_fit(theta, spectra, group, moments)
    return Maximum(theta, covariance, ~free, deviance, goodness, iterations, converged)


@njit
def covariance_of(information, free):
    """Inverse of the information (p, p) of the free parameters; 0 for the others."""
    n = free.shape[0]
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if free[i] and free[j]:
                matrix[i, j] = information[i, j]
        if not free[i]:
            matrix[i, i] = 1.0
    lower = cholesky(matrix)
    if not is_positive(lower):
        return np.full((n, n), np.nan)
    covariance = inverse(lower)
    for i in range(n):
        if not free[i]:
            covariance[i, i] = 0.0
    return covariance


@njit
def goodness_of_fit(theta, spectra, group, moments):
    """Deviance in bins of `group` bins, the mean and variance Poisson counts would have, and bins.

    The pedestal blurs every spectrum, so what a wrong model leaves is smooth: bins as wide as the
    pedestal see it best, narrower ones only add fluctuations.
    """
    n_runs, n = spectra.counts.shape
    parameters, probability = np.empty(N_PARAMETERS), np.empty(n)
    gradient = np.empty((N_PARAMETERS, n))
    deviance, mean, variance, n_bins = 0.0, 0.0, 0.0, 0
    for run in range(n_runs):
        total = model_run(theta, spectra, run, parameters, probability, gradient)
        for first in range(0, n, group):
            mu, count = 0.0, 0.0
            for j in range(first, min(first + group, n)):
                mu += total * probability[j]
                count += spectra.counts[run, j]
            n_bins += 1
            deviance += 2.0 * (mu - count)
            if count > 0:
                deviance += 2.0 * count * math.log(count / mu)
            u = max((math.log(mu) - LOG_MU_START) / LOG_MU_STEP, 0.0)
            k = min(int(u), moments.shape[0] - 2)
            t = min(u - k, 1.0)
            mean += (1.0 - t) * moments[k, 0] + t * moments[k + 1, 0]
            variance += (1.0 - t) * moments[k, 1] + t * moments[k + 1, 1]
    return deviance, mean, variance, n_bins
