"""How much energies walk from epoch to epoch: learnt from the innovations, by maximum likelihood.

All series of a level, as the pixels of a camera, share one covariance of their steps (`Walk.base`).
Series may differ in mobility: each has a factor on it, whose population on a grid is learnt as well
(empirical Bayes; Laird 1978, J. Am. Stat. Assoc. 73, 805), so that a restless pixel is followed and
does not make the quiet ones restless. The errors of the single epochs have a common factor too:
errors that are too small would pass for motion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from pixelcal.numerics.motion.walk import log_likelihoods
from pixelcal.numerics.statistics import evenly

SCALES = 4.0 ** np.arange(-3, 6)
"""Mobilities that a series may have, relative to the population."""

MOST_MEASUREMENTS = 100_000
"""The shared covariance is learnt from no more: its error is below a hundredth by then."""

LEAST_SERIES = 20
"""Fewer are of one mobility."""

LEAST_EPOCHS = 6
"""In fewer, errors that are too small cannot be told from motion."""

LARGEST_NOISE = 3.0
"""The factor on the errors of single epochs is between one over this and this."""

MOST_ITERATIONS = 300

GATE = 30.0
"""Chi-square (p = 3e-7) of a surprise that is no step of the walk of all."""

SERIES_GATE = 16.0
"""The same (p = 3e-4) for the mobility of one series: a restless one surprises often, and one that
jumps once is not restless."""


class Walk(NamedTuple):
    """What moves a level.

    Attributes
    ----------
    base : (3,) float, keV2/d
        Covariance of the steps of a typical series in a day.
    mobility : (n,) float
        Factor on it of each series.
    noise : float
        Factor on the errors (standard deviations) of the single epochs.
    """

    base: np.ndarray
    mobility: np.ndarray
    noise: float

    def of_series(self) -> np.ndarray:
        """Covariance (n, 3) of the steps of each series in a day."""
        return self.mobility[:, None] * self.base


def still(n: int) -> Walk:
    """`n` series that do not move."""
    return Walk(np.zeros(3), np.ones(n), 1.0)


def learn_walk(
    y: np.ndarray,
    r: np.ndarray,
    days: np.ndarray,
    opened: np.ndarray,
    used: np.ndarray,
    noise: float | None = None,
    gate: float = GATE,
) -> Walk:
    """The walk of series (n, t), as `walk.smooth` takes them.

    Where `noise` is given, the errors of the single epochs have this factor. A level of a single
    epoch does not move. A surprise beyond the chi-square `gate` is a jump, and no step of the walk:
    it has to be one that can be accepted, or it would be neither.
    """
    n, n_epochs = used.shape
    seen = used.sum(axis=1) - opened.sum(axis=1)
    moving = np.flatnonzero(seen >= 2)
    if not len(moving):
        return still(n)._replace(noise=noise or 1.0)
    chosen = moving[evenly(len(moving), max(MOST_MEASUREMENTS // n_epochs, 1))]
    sample = [np.ascontiguousarray(values[chosen]) for values in (y, r, opened, used)]
    free = noise is None and n_epochs >= LEAST_EPOCHS and len(chosen) >= LEAST_SERIES
    start = _start(*sample, days)
    unit = np.array([*np.sqrt(start[[0, 2]]), 0.0])

    def cost(parameters):
        walk, factor = _unpacked(parameters, unit, noise)
        of_each = np.broadcast_to(walk, (len(chosen), 3)).copy()
        scaled = sample[1] * factor**2
        return -log_likelihoods(sample[0], scaled, days, of_each, *sample[2:], gate).sum()

    begin = np.array([0.0, 0.0, 0.5, 0.0][: 4 if free else 3])
    simplex = begin + np.vstack([np.zeros(len(begin)), 0.7 * np.eye(len(begin))])
    options = {"initial_simplex": simplex, "maxiter": MOST_ITERATIONS, "xatol": 0.01, "fatol": 0.02}
    found = minimize(cost, begin, method="Nelder-Mead", options=options)
    base, factor = _unpacked(found.x, unit, noise)
    mobility = np.ones(n)
    if n >= LEAST_SERIES and n_epochs >= LEAST_EPOCHS:
        mobility = _mobilities(y, r * factor**2, days, base, opened, used)
    return Walk(base, mobility, factor)


def _unpacked(parameters, unit, noise) -> tuple[np.ndarray, float]:
    """Covariance (3,) and factor on the errors: logarithms of two scales, a correlation (tanh)."""
    first, second = unit[:2] * np.exp(np.clip(parameters[:2], -8.0, 8.0))
    correlation = 0.999 * np.tanh(parameters[2])
    walk = np.array([first**2, correlation * first * second, second**2])
    if noise is not None or len(parameters) < 4:
        return walk, noise or 1.0
    return walk, float(np.clip(np.exp(parameters[3]), 1 / LARGEST_NOISE, LARGEST_NOISE))


def _start(y, r, opened, used, days) -> np.ndarray:
    """A first covariance (3,): the typical squared step, minus what errors explain of it.

    By medians: jumps do not count. Never below a hundredth of the errors.
    """
    both = used[:, 1:] & used[:, :-1] & ~opened[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        squared = (np.diff(y, axis=1) ** 2)[both]
        errors = (r[:, 1:] + r[:, :-1])[both][:, [0, 2]]
        between = np.broadcast_to(days[1:], both.shape)[both]
    floor = np.array([1e-4, 1e-4])
    if len(squared):
        floor = 1e-3 * np.median(errors / between[:, None], axis=0)
        typical = np.median((squared - 0.455 * errors) / between[:, None], axis=0) / 0.455
        floor = np.maximum(typical, floor)
    return np.array([floor[0], 0.0, floor[1]])


def _mobilities(y, r, days, base, opened, used) -> np.ndarray:
    """Mean factor (n,) of each series on the shared covariance, after all its epochs."""
    n = len(y)
    likelihood = np.stack(
        [
            log_likelihoods(y, r, days, np.tile(scale * base, (n, 1)), opened, used, SERIES_GATE)
            for scale in SCALES
        ],
        axis=1,
    )
    likelihood = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    population = np.full(len(SCALES), 1.0 / len(SCALES))
    for _ in range(MOST_ITERATIONS):
        posterior = likelihood * population
        posterior /= posterior.sum(axis=1, keepdims=True)
        before, population = population, posterior.mean(axis=0)
        if np.abs(population - before).max() < 1e-4:
            break
    return posterior @ SCALES
