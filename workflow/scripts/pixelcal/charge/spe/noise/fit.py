"""Fits of single-photoelectron spectra with noise: whether there is any, which, and how much.

Noise is what `late_charges` describes: dark counts, afterpulses, delayed crosstalk. `explain`
begins at the fit without noise. Where the score of some noise says that the likelihood would rise
(Rao's test), all of them are fitted, and those that are not clear are left out again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe import likelihood as without_noise
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
from pixelcal.charge.spe.model import N_PARAMETERS, N_PER_RUN, N_SHARED, PE, V_PED
from pixelcal.charge.spe.noise.late_charges import AFTERPULSE, DARK, DECAY, DELAYED, N_NOISE
from pixelcal.charge.spe.noise.spectrum import (
    N_COMMON,
    goodness_of_fit,
    likelihood,
    noise_slopes,
)

KINDS = {
    "dark_counts": [DARK],
    "afterpulses": list(range(AFTERPULSE, DELAYED)),
    "delayed_crosstalk": list(range(DELAYED, N_NOISE)),
}
"""Parameters of each kind of noise."""

BINS_PER_WIDTH, FEWEST_PER_WIDTH, BINS_PER_PE = 3.0, 1.6, 40.0
"""Bins in a width of the pedestal; fewer, down to the second number, where a photoelectron would
have more than the third. With still fewer one sees what a Fourier transform leaves out."""
MARGIN_BELOW, MARGIN_ABOVE = 6.0, 3.0
"""Empty bins around the data, in widths of the pedestal and in photoelectrons."""

TRIED_SIGMA = 3.5
"""Noise is fitted where the score of some kind stands out by more: in one of 1000 pixels by chance.
The bias that less noise leaves is smaller than the statistical errors."""
LEAST_EXPECTED = 0.3
"""Flashes in a bin; bins that expect fewer count as if they did, in the test for noise."""
LEAST_LEFT = 1e-3
"""Of the information about some noise that the other parameters must leave: with less, rounding
decides."""
KEPT_SIGMA = 3.0
"""Noise is kept where without it the deviance is larger by more than the square."""

START = 0.02
"""Of each kind, in avalanches per window or per avalanche."""
DECAY_PRIOR, DECAY_SPREAD = 0.25, 0.7
"""Decay of the pulse: a log-normal prior, a factor of 2 to each side. Charges say little about it
where there is little noise, and then little depends on it."""
DECAY_STARTS = (0.3, 0.1, 0.9)
"""Where the search begins again."""
DOUBTFUL_SIGMA = 3.1
"""It does where the deviance is larger than expected by more."""
FOLLOWING_SCALE = {"afterpulses": 0.2, "delayed_crosstalk": 0.03}
"""Standard deviation of a normal prior of each weight, per avalanche: SiPMs have less. It decides
where charges say as little about delayed crosstalk as for pulses that are much shorter than the
window; the error of a clear measurement is a tenth of it."""
LOWEST = {DECAY: 0.02}
HIGHEST = {DARK: 5.0, DECAY: 2.0}
HIGHEST_FOLLOWING = 0.7
"""Of afterpulses and delayed avalanches of each time constant."""

MAX_ITERATIONS = 40
TOLERANCE = 1e-3
"""Converged when the step would lower the deviance by less: 3 % of an error."""
TRIAL_ITERATIONS = 4


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
        value, inside = self.theta[N_SHARED:N_COMMON], ~self.at_limit[N_SHARED:N_COMMON]
        return not (inside[DECAY] and (inside | (value == 0.0)).all())

    @property
    def n_noise(self) -> int:
        """Parameters of noise that were fitted and are not at a limit."""
        fitted = _fitted(len(self.theta), self.kinds) & ~self.at_limit
        return int(fitted[N_SHARED:N_COMMON].sum())

    def total(self, kind: str) -> tuple[float, float]:
        """How much there is of a kind of noise, over all delays, and its error."""
        place = N_SHARED + np.array(KINDS[kind])
        variance = self.covariance[np.ix_(place, place)].sum()
        return float(self.theta[place].sum()), math.sqrt(max(variance, 0.0))

    def without_noise(self) -> without_noise.Maximum:
        """The quantities of a flash alone, the noise integrated over."""
        kept = np.r_[0:N_SHARED, N_COMMON : len(self.theta)]
        return without_noise.Maximum(
            self.theta[kept], self.covariance[np.ix_(kept, kept)], self.at_limit[kept],
            self.deviance, self.goodness, self.iterations, self.converged,
        )  # fmt: skip


def explain(
    counts, start, width: float, clean: np.ndarray, more_starts, moments, allowed
) -> NoisyMaximum | None:
    """The fit with the noise that the spectra show; None where they show none.

    Parameters
    ----------
    counts : (R, n) float
    start : (R,) float
    width : float
    clean : (4 + 2 R,) float
        The fit without noise.
    more_starts : callable
        Returns points (m, 4 + 2 R) to begin at where the fit without noise is at the wrong place.
    moments : (m, 2) float
        `goodness_of_fit.moment_table()`.
    allowed : mapping of str to bool or None
        For each of `KINDS` whether it is in the model; None: the spectra decide.
    """
    asked = tuple(kind for kind in KINDS if allowed.get(kind))
    possible = tuple(kind for kind in KINDS if allowed.get(kind) is not False)
    spectra = regrouped(counts, start, width, clean)
    if not possible or not (asked or _is_noisy(clean, spectra, possible)):
        return None
    found = _maximise(_with_noise(clean, possible, DECAY_PRIOR), spectra, possible, moments)
    if _is_doubtful(found):
        best = _best_start((clean, *more_starts()), spectra, possible)
        spectra = regrouped(counts, start, width, _plain(best))
        other = _maximise(best, spectra, possible, moments)
        found = other if other.converged and _excess(other) < _excess(found) else found
    if _is_doubtful(found):
        # No noise explains these spectra: as poor with it as without.
        return found if found.converged or asked else None
    return _clear_noise(found, spectra, asked, moments)


def _clear_noise(found: NoisyMaximum, spectra, asked, moments) -> NoisyMaximum | None:
    """The fit without the noise that is not clear, if it was not asked for.

    Afterpulses and delayed crosstalk go together: where the spectra show one of them they do not
    say surely which, and the errors must know both.
    """
    for group in (("dark_counts",), ("afterpulses", "delayed_crosstalk")):
        left_out = [kind for kind in group if kind in found.kinds and kind not in asked]
        if not left_out or not found.converged:
            continue
        theta = found.theta.copy()
        for kind in left_out:
            theta[N_SHARED + np.array(KINDS[kind])] = 0.0
        kinds = tuple(kind for kind in found.kinds if kind not in left_out)
        without = _maximise(theta, spectra, kinds, moments)
        if without.deviance - found.deviance < KEPT_SIGMA**2:
            found = without
    return found if found.kinds else None


def _best_start(starts, spectra: Spectra, kinds) -> np.ndarray:
    """Where some steps lead from the best of the starts (4 + 2 R,), with the best decay."""
    theta = _first_of(
        (_with_noise(theta, kinds, DECAY_STARTS[0]) for theta in starts), spectra, kinds
    )
    begun = []
    for decay in DECAY_STARTS:
        begun.append(theta.copy())
        begun[-1][N_SHARED + DECAY] = decay
    return _first_of(begun, spectra, kinds)


def _first_of(starts, spectra: Spectra, kinds) -> np.ndarray:
    """The best of the points to which some steps lead from the starts (p,)."""
    begun = [_ascend(theta, spectra, kinds, TRIAL_ITERATIONS) for theta in starts]
    return min(begun, key=lambda found: found[1])[0]


def _excess(found: NoisyMaximum) -> float:
    """By how many standard deviations the deviance is larger than expected."""
    deviance, mean, variance, _ = found.goodness
    return (deviance - mean) / math.sqrt(variance)


def _is_doubtful(found: NoisyMaximum) -> bool:
    """Whether there may be a better maximum elsewhere."""
    return not found.converged or _excess(found) > DOUBTFUL_SIGMA


def regrouped(counts, start, width: float, theta) -> Spectra:
    """Spectra in bins that suit a fit (4 + 2 R,), with empty ones around the data."""
    pedestal, pe = math.sqrt(theta[V_PED]), theta[PE]
    size = max(pedestal / BINS_PER_WIDTH, min(pedestal / FEWEST_PER_WIDTH, pe / BINS_PER_PE))
    group = max(round(size / width), 1)
    below = int(MARGIN_BELOW * pedestal / (width * group)) + 1
    above = int(MARGIN_ABOVE * pe / (width * group)) + 1
    return group_bins(counts, start, width, group, below, above)


def _plain(theta) -> np.ndarray:
    return np.r_[theta[:N_SHARED], theta[N_COMMON:]]


def _with_noise(theta, kinds, decay: float) -> np.ndarray:
    """A start (N_COMMON + 2 R,) at a fit without noise (4 + 2 R,)."""
    noise = np.zeros(N_NOISE)
    noise[DECAY] = decay
    for kind in kinds:
        noise[KINDS[kind]] = START / len(KINDS[kind])
    return np.r_[theta[:N_SHARED], noise, theta[N_SHARED:]]


def _is_noisy(clean, spectra: Spectra, kinds) -> bool:
    """Whether the likelihood rises with some kind of noise, at the fit without any (Rao's test)."""
    noise = np.concatenate([KINDS[kind] for kind in kinds]).astype(int)
    slopes = noise_slopes(clean, DECAY_PRIOR, spectra)[:, noise]
    n_runs, n = spectra.counts.shape
    n_clean = len(clean)
    score = np.zeros(n_clean + len(noise))
    information = np.zeros((len(score), len(score)))
    probability, gradient = np.empty(n), np.empty((N_PARAMETERS, n))
    parameters = np.empty(N_PARAMETERS)
    beyond = np.arange(n_clean, len(score))
    for run in range(n_runs):
        total = without_noise.model_run(clean, spectra, run, parameters, probability, gradient)
        first = N_SHARED + N_PER_RUN * run
        at = np.r_[0:N_SHARED, first : first + N_PER_RUN, beyond]
        by = np.concatenate([gradient, slopes[run]])
        # Where no flash is expected the slopes are those of a transform cut short: not used.
        slope = by / np.maximum(probability, LEAST_EXPECTED / total)
        score[at] += slope @ spectra.counts[run]
        information[np.ix_(at, at)] += total * (slope @ by.T)
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    information /= np.outer(scale, scale)
    score /= scale
    cross = information[:n_clean, n_clean:]
    explained = np.linalg.lstsq(information[:n_clean, :n_clean], cross, rcond=1e-10)[0]
    left = 1.0 - np.sum(explained * cross, axis=0)
    seen = left > LEAST_LEFT
    pull = (score[n_clean:] - explained.T @ score[:n_clean])[seen] / np.sqrt(left[seen])
    return bool((pull > TRIED_SIGMA).any())


def _penalised(theta, spectra, fitted):
    """Deviance, score and information with the priors of decay and following avalanches."""
    deviance, score, information = likelihood(theta, spectra)
    if fitted[N_SHARED + DECAY]:
        place = N_SHARED + DECAY
        slope = 1.0 / (DECAY_SPREAD * theta[place])
        off = math.log(theta[place] / DECAY_PRIOR) / DECAY_SPREAD
        deviance += off**2
        score[place] -= off * slope
        information[place, place] += slope**2
    for kind, scale in FOLLOWING_SCALE.items():
        place = N_SHARED + np.array(KINDS[kind])
        place = place[fitted[place]]
        deviance += np.sum((theta[place] / scale) ** 2)
        score[place] -= theta[place] / scale**2
        information[place, place] += 1.0 / scale**2
    return deviance, score, information


def _step_within(theta, score, information, damping, free, lowest, highest) -> np.ndarray:
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


def _limits(spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value (p,) of every parameter."""
    lowest, highest = without_noise.limits(spectra)
    low, high = np.zeros(N_NOISE), np.full(N_NOISE, HIGHEST_FOLLOWING)
    for place, value in LOWEST.items():
        low[place] = value
    for place, value in HIGHEST.items():
        high[place] = value
    return (
        np.r_[lowest[:N_SHARED], low, lowest[N_SHARED:]],
        np.r_[highest[:N_SHARED], high, highest[N_SHARED:]],
    )


def _fitted(n: int, kinds) -> np.ndarray:
    """Which of n parameters are fitted, with some kinds of noise."""
    fitted = np.ones(n, bool)
    fitted[N_SHARED:N_COMMON] = False
    for kind in kinds:
        fitted[N_SHARED + np.array(KINDS[kind])] = True
    fitted[N_SHARED + DECAY] = bool(kinds)
    return fitted


def _ascend(theta, spectra: Spectra, kinds, max_iterations: int):
    """Climb from `theta` towards the maximum, as `likelihood.climb` does.

    Returns
    -------
    theta, deviance, information, free (p,), iterations, converged
    """
    fitted = _fitted(len(theta), kinds)
    lowest, highest = _limits(spectra)
    theta = np.clip(theta, lowest, highest)
    deviance, score, information = _penalised(theta, spectra, fitted)
    damping, converged, iterations = DAMPING_START, False, 0
    free = np.ones(len(theta), bool)
    while iterations < max_iterations and damping < DAMPING_END:
        iterations += 1
        release(theta, score, lowest, highest, free)
        free &= fitted
        newton = damped_step(information, score, 0.0, free)
        if not np.isnan(newton[0]) and abs(newton @ score) < TOLERANCE:
            converged = True
            break
        step = _step_within(theta, score, information, damping, free, lowest, highest)
        trial = np.clip(theta + step, lowest, highest)
        if np.isnan(step).any():
            damping *= DAMPING_UP
            continue
        found = _penalised(trial, spectra, fitted)
        if found[0] <= deviance:
            theta, (deviance, score, information) = trial, found
            damping *= DAMPING_DOWN
        else:
            damping *= DAMPING_UP
    release(theta, score, lowest, highest, free)
    return theta, deviance, information, free & fitted, iterations, converged


def _maximise(theta, spectra: Spectra, kinds, moments) -> NoisyMaximum:
    """Climb from `theta` to the maximum."""
    theta, deviance, information, free, iterations, converged = _ascend(
        theta, spectra, kinds, MAX_ITERATIONS
    )
    # Noise that is found to be 0 may be more: what goes with it is as uncertain as beside it.
    uncertain = free.copy()
    uncertain[N_SHARED:N_COMMON] = _fitted(len(theta), kinds)[N_SHARED:N_COMMON]
    covariance = without_noise.covariance_of(information, uncertain)
    group = max(int(math.sqrt(theta[V_PED]) / spectra.width), 1)
    goodness = goodness_of_fit(theta, spectra, group, moments)
    at_limit = _fitted(len(theta), kinds) & ~free
    return NoisyMaximum(
        theta, covariance, at_limit, kinds, deviance, goodness, iterations, converged
    )
