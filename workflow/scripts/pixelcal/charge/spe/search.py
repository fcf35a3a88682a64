"""The search for the best fit of one pixel without noise, compiled.

From the first start of `start` a climb leads to a maximum of the `likelihood`. Where that is not
convincing, all starts are tried, and the likelihood decides.
"""

from __future__ import annotations

import math

import numpy as np

from pixelcal.charge.spe.likelihood import (
    MARGIN_ABOVE,
    MARGIN_BELOW,
    climb,
    copy_parameters,
    group_bins,
    maximise,
    pedestal_deviance,
)
from pixelcal.charge.spe.model import density
from pixelcal.charge.spe.parameters import EPED, N_PARAMETERS, N_PER_RUN, N_SHARED, OPCT, PE, V_PED
from pixelcal.charge.spe.start import (
    WIDTHS_WITHOUT_COMB,
    all_starts,
    dark_spread,
    has_other_pedestals,
    propose_spacings,
    start_at,
)
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import any_of, copy_into

BINS_PER_WIDTH = 4.0
"""Bins in a width of the pedestal: grouping then loses half a per cent of the information."""

BINS_TO_SEARCH = 40.0
"""Bins in the standard deviation of the darkest run that the search for the start needs."""

DOUBTFUL_SIGMA = 3.1
"""A first fit whose deviance is larger than expected by more (p < 0.001) is doubtful, ..."""
DOUBTFUL_PEAK_VALLEY = 1.5
"""... and so is one with hardly any valley: both are checked against all other starts."""
SEMIFINALISTS, TRIAL_ITERATIONS, FINALISTS = 8, 8, 3
"""Of all starts those with the least deviance go some steps, of these the best to the end."""
BEHIND, BEHIND_PER_FLASH = 100.0, 0.01
"""What lies behind the best by more deviance after these steps is not followed, nor by ten times as
much after half of them. In the troubles of the benchmark the best never came from a twentieth of
the first, nor from a third of the second."""
SAME = 0.01
"""Difference of deviance, a tenth of an error, within which two are at the same maximum."""

FEW_DARK, NO_DARK = 30.0, 1e-3
"""A run in which fewer flashes are without light may not show which tooth is its pedestal; with
hardly any it is that of the other runs."""
CLEARLY, POSSIBLY = 9.0, 4.0
"""By how much lower deviance says that it is another tooth, 3 sigma, or leaves it open."""
FAR_BEHIND = 50.0
"""What is worse by more after `TRIAL_ITERATIONS` is not another maximum that is as likely."""

LIGHT_EVIDENCE = 30.0
"""By which the deviance must be lower than that of a pedestal alone: 5 parameters more lower it by
5 where there is no light, and by 30 once in 100 000 pixels."""


@njit
def peak_to_valley(theta, flashes):
    """How the first two photoelectron peaks of a fit stand over the valley between them.

    Parameters
    ----------
    theta : (p,) float
        As in `likelihood`.
    flashes : (R,) int

    Returns
    -------
    ratio : (R,) float
        (f(eped + pe) + f(eped + 2 pe)) / 2 / f(eped + 1.5 pe) of the density f.
    excess : (R,) float
        Mean of the counts of a run in the two peaks minus those in the valley, each over half a
        photoelectron, in standard deviations of Poisson counts.
    """
    n_runs = (theta.shape[0] - N_SHARED) // N_PER_RUN
    parameters, ratio, excess = np.empty(N_PARAMETERS), np.empty(n_runs), np.empty(n_runs)
    for run in range(n_runs):
        copy_parameters(theta, run, parameters)
        eped, pe = parameters[EPED], parameters[PE]
        peaks = 0.5 * (density(eped + pe, parameters) + density(eped + 2.0 * pe, parameters))
        valley = density(eped + 1.5 * pe, parameters)
        ratio[run] = peaks / valley
        counts = flashes[run] * 0.5 * pe
        excess[run] = counts * (peaks - valley) / math.sqrt(counts * (0.5 * peaks + valley))
    return ratio, excess


@njit
def bins_to_search(counts, start, width):
    """The spectra in bins that are fine enough for the search for a start."""
    fine = group_bins(counts, start, width, 1, 1, 1)
    coarse = int(dark_spread(fine) / (BINS_TO_SEARCH * width))
    if coarse > 1:
        return group_bins(counts, start, width, coarse, 1, 1)
    return fine


@njit
def other_starts(counts, start, width, guess):
    """A start (m, p) for each spacing of peaks seen in the spectra (R, n), and for the guess."""
    fine = bins_to_search(counts, start, width)
    spacings = propose_spacings(fine, guess)
    n = len(spacings) - len(WIDTHS_WITHOUT_COMB)
    starts = np.empty((n, N_SHARED + N_PER_RUN * len(fine.counts)))
    for i in range(n):
        copy_into(starts[i], start_at(fine, spacings[i], 0.0))
    return starts


@njit
def first_fit(counts, start, width, guess, moments):
    """The maximum that the first start leads to.

    Parameters
    ----------
    counts : (R, n) float
    start : (R,) float
        Lower edge of the first bin of each run.
    width : float
        Of the bins.
    guess : float
        Of pe; NaN for none.
    moments : (m, 2) float
        `goodness_of_fit.moment_table()`.

    Returns
    -------
    likelihood.Maximum
    evidence : float
        By how much its deviance is lower than that of a pedestal alone: for any light.
    convincing : bool
        Whether no other start needs to be tried.
    """
    spectra, spacings, theta, grouped, fine = _prepared(counts, start, width, guess)
    apart = start_at(fine, spacings[0], 0.0, True)
    best = maximise(theta, spectra, grouped, moments)
    if has_other_pedestals(theta, apart):
        other = maximise(apart, spectra, grouped, moments)
        if other.deviance < best.deviance or not best.converged:
            best = other
    return best, pedestal_deviance(spectra) - best.deviance, _convincing(best)


@njit
def best_fit(counts, start, width, guess, moments, first):
    """The best of `first`, a `likelihood.Maximum`, and of where all starts lead to; its evidence.

    As `first_fit`.
    """
    spectra, spacings, _, grouped, _ = _prepared(counts, start, width, guess)
    best = _search(all_starts(spectra, spacings), first, spectra, grouped, moments)
    return best, pedestal_deviance(spectra) - best.deviance


@njit
def with_pedestals(counts, start, width, guess, moments, best):
    """The best of the maximum `best` and of those where the pedestal of a run is the next tooth.

    Each run has a pedestal of its own. Where hardly a flash is without light, nothing but the shape
    of all peaks says which tooth it is. Second is whether that is left open: another tooth is about
    as likely. Where the pedestals of all runs are the same, another has to be likelier for that.
    """
    open_still, n_runs = False, counts.shape[0]
    flashes = np.array([counts[run].sum() for run in range(n_runs)])
    places = N_SHARED + N_PER_RUN * np.arange(n_runs)
    dark = flashes * np.exp(-best.theta[places + 1])
    dim = (dark < FEW_DARK) & (dark > NO_DARK)
    if not best.converged or not any_of(dim):
        return best, open_still
    spectra, _, _, grouped, _ = _prepared(counts, start, width, guess)
    for run in range(n_runs):
        if not dim[run]:
            continue
        for step in (-1.0, 1.0):
            theta, place = best.theta.copy(), places[run]
            theta[place] += step * theta[PE]
            theta[place + 1] = max(theta[place + 1] - step * (1.0 - theta[OPCT]), 0.1)
            most = best.deviance + FAR_BEHIND
            reached = climb(theta, spectra, TRIAL_ITERATIONS, most)
            if reached[1] > most:
                continue
            trial = maximise(reached[0], spectra, grouped, moments)
            moved = abs(trial.theta[place] - best.theta[place]) > 0.5 * best.theta[PE]
            if not (trial.converged and moved):
                continue
            more = trial.deviance - best.deviance
            pedestals = best.theta[places]
            same = pedestals.max() - pedestals.min() < 0.5 * best.theta[PE]
            if more < -CLEARLY:
                best, open_still = trial, False
            elif more < (-POSSIBLY if same else CLEARLY):
                open_still = True
    return best, open_still


@njit
def fit_pixel(counts, start, width, guess, moments):
    """The best maximum over as many starts as it takes, and its evidence, as `first_fit`."""
    best, evidence, convincing = first_fit(counts, start, width, guess, moments)
    if convincing:
        return best, evidence
    return best_fit(counts, start, width, guess, moments, best)


@njit
def _prepared(counts, start, width, guess):
    """Spectra to fit, spacings of peaks, the first start (p,), bins that are one for the test, and
    the spectra in bins that starts are searched in."""
    fine = bins_to_search(counts, start, width)
    spacings = propose_spacings(fine, guess)
    theta = start_at(fine, spacings[0], 0.0)
    pedestal = math.sqrt(theta[V_PED])
    grouping = max(int(pedestal / (BINS_PER_WIDTH * width)), 1)
    below = int(MARGIN_BELOW * pedestal / (width * grouping)) + 1
    above = int(MARGIN_ABOVE * theta[PE] / (width * grouping)) + 1
    spectra = group_bins(counts, start, width, grouping, below, above)
    return spectra, spacings, theta, max(int(pedestal / spectra.width), 1), fine


@njit
def _search(starts, best, spectra, grouped, moments):
    """The best of `best` and of where the starts (m, p) lead to; the starts are used up."""
    deviance = np.empty(len(starts))
    n = len(starts)
    behind = BEHIND + BEHIND_PER_FLASH * spectra.counts.sum() if best.converged else math.inf
    for iterations in (0, TRIAL_ITERATIONS):
        for i in range(n):
            reached = climb(starts[i], spectra, iterations, best.deviance + 10.0 * behind)
            copy_into(starts[i], reached[0])
            deviance[i] = reached[1]
        _sort(starts, deviance, n)
        n = min(n, SEMIFINALISTS)
    before = -math.inf
    for i in range(min(FINALISTS, n)):
        # Those that came as far as another one are on their way to the same maximum.
        known = abs(deviance[i] - before) < SAME or abs(deviance[i] - best.deviance) < SAME
        before = deviance[i]
        if best.converged and (known or deviance[i] > best.deviance + behind):
            continue
        trial = maximise(starts[i], spectra, grouped, moments)
        if trial.deviance < best.deviance or not best.converged:
            best = trial
    return best


@njit
def _sort(starts, deviance, n):
    """Put the first `n` starts (m, p) in the order of their deviance.

    By insertion: there are few, and numpy's sorting compiles for seconds.
    """
    for i in range(1, n):
        least, start = deviance[i], starts[i].copy()
        j = i
        while j > 0 and deviance[j - 1] > least:
            deviance[j] = deviance[j - 1]
            copy_into(starts[j], starts[j - 1])
            j -= 1
        deviance[j] = least
        copy_into(starts[j], start)


@njit
def _convincing(found):
    """Whether no other start needs to be tried: a normal approximation of the p-value will do."""
    limited = found.at_limit.copy()
    limited[OPCT] = limited[OPCT] and found.theta[OPCT] > 0.0  # there may be no crosstalk
    if not found.converged or any_of(limited):
        return False
    deviance, mean, variance, _ = found.goodness
    if deviance > mean + DOUBTFUL_SIGMA * math.sqrt(variance):
        return False
    ratio, _ = peak_to_valley(found.theta, np.ones((len(found.theta) - N_SHARED) // N_PER_RUN))
    return ratio.min() >= DOUBTFUL_PEAK_VALLEY
