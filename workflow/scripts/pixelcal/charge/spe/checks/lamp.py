"""Flash-to-flash fluctuations of the lamp: how large they are, and what they do to the SPE fits.

All pixels of a flash see the same lamp. Where its brightness is b (mean 1, variance v) the mean
charge of pixel i above its pedestal is S_i b, so that charges of two pixels have the covariance

    Cov(q_i, q_j) = S_i S_j v,    i != j

while Poisson light, crosstalk, widths and noise of a pixel belong to that pixel alone. `lamp_of`
measures v from the covariance between pixels only; no model of the variance within a pixel enters.
Whatever else is common to all pixels in proportion to their light is part of v: a drift of the lamp
within the run, or events without light among the flashes (a fraction f of them: v = f / (1 - f)).
Noise that is common to the pixels has a covariance c of its own, without S_i S_j: `common_noise`
finds it where neither of two pixels has an avalanche, and `lamp_of` takes it off.

The fit does not know the lamp and takes its variance for crosstalk. With M = lambda / (1 - chi)
avalanches per flash the mean and variance of the generalised Poisson law become

    mean = M,    variance = M / (1 - chi)^2 + v M^2

The fit has the right M (within 3 % in each run at a jitter of 40 %, as the runs share one
crosstalk) and, if it matched the variance, a crosstalk chi' with

    1 / (1 - chi)^2 = 1 / (1 - chi')^2 - v M,    lambda = M (1 - chi)

(`by_moments`). A maximum of the likelihood weights small numbers of avalanches more, and chi' is
larger by some per cent of the difference. `without_lamp` therefore solves the equation that the
maximum obeys: under the law with crosstalk chi and the lamp, the mean score of the law without the
lamp vanishes at chi'. It assumes that b has a gamma distribution, that the peaks are resolved (the
charge then tells the number of avalanches), and that the runs share one crosstalk.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std

FEWEST_PIXELS = 4
"""With fewer pixels a bad one cannot be told from the others."""
FEWEST_FLASHES = 100
"""With fewer flashes the scatter from which the error follows is not known."""

CLEAR_SIGMA = 5.0
"""A pixel whose covariance with the others differs by more from their median is left out."""
ROUNDS = 3

N_NODES = 16
"""Brightnesses over which the law is averaged; more change a crosstalk by less than 1e-4."""
REACH_SIGMA = 10.0
"""Numbers of avalanches are followed so many standard deviations above the mean."""
TAIL, MOST_TAIL = 15.0, 300.0
"""Then the law falls by exp(-15), or over 300 more."""
ITERATIONS = 12
TOLERANCE = 1e-7


class Lamp(NamedTuple):
    """Fluctuations of a lamp from flash to flash, relative to its mean brightness.

    variance, variance_err : v and its standard error; v may be negative by chance
    jitter, jitter_err : relative standard deviation, sqrt(v), 0 where v is negative
    n_pixels, n_flashes : pixels used, flashes
    """

    variance: float
    variance_err: float
    jitter: float
    jitter_err: float
    n_pixels: int
    n_flashes: int


# --- the lamp -------------------------------------------------------------------------------------


def lamp_of(charges: np.ndarray, signal: np.ndarray, noise: float = 0.0) -> Lamp:
    """Fluctuations of the lamp of one run.

    Parameters
    ----------
    charges : (n_pixels, n_flashes) int or float
        In any unit.
    signal : (n_pixels,) float
        Mean charge of each pixel above its pedestal, in the same unit: the mean of its charges less
        EPED of its fit, which a lamp that fluctuates does not move. (pe lambda / (1 - opct) of a
        fit of several runs is some per cent off in each where the jitter is large.) A pixel
        without a positive signal, without a fit (NaN), or with a charge that is not finite is left
        out, as is one whose covariance with the others stands out.
    noise : float
        Covariance of the noise of two pixels, in the unit squared; see `common_noise`. NaN: 0.

    Returns
    -------
    Lamp
        All NaN but the counts with fewer than `FEWEST_PIXELS` pixels or `FEWEST_FLASHES` flashes.
        The error is that of independent flashes.
    """
    signal = np.asarray(signal, float)
    n_flashes = charges.shape[1]
    if n_flashes < FEWEST_FLASHES:
        return Lamp(*[math.nan] * 4, 0, n_flashes)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.array([np.std(np.asarray(row, float)) for row in charges]) / signal
        use = np.isfinite(spread) & (spread > 0) & (signal > 0)
    weight = np.where(use, 1.0 / np.where(use, spread, 1.0) ** 2, 0.0)

    def relative(i: int) -> np.ndarray:
        charge = np.asarray(charges[i], float)
        return (charge - charge.mean()) / signal[i]

    for _ in range(ROUNDS):
        n_pixels = int(use.sum())
        if n_pixels < FEWEST_PIXELS:
            return Lamp(*[math.nan] * 4, n_pixels, n_flashes)
        total, square = np.zeros((2, n_flashes))
        for i in np.flatnonzero(use):
            weighted = weight[i] * relative(i)
            total += weighted
            square += weighted**2
        odd = _stand_out(use, relative, total, weight)
        if not odd.any():
            break
        use &= ~odd
        weight[odd] = 0.0
    n_pairs = weight.sum() ** 2 - (weight**2).sum()
    pairs = (total**2 - square) / n_pairs
    variance = float(pairs.sum() / (n_flashes - 1))
    if np.isfinite(noise):
        inverse = np.where(use, weight / np.where(use, signal, 1.0), 0.0)
        variance -= float(noise * (inverse.sum() ** 2 - (inverse**2).sum()) / n_pairs)
    error = float(pairs.std(ddof=1) / math.sqrt(n_flashes))
    jitter = math.sqrt(max(variance, 0.0))
    # sqrt(v + error) - sqrt(v): error / (2 jitter) where v is clear, finite where it is not.
    jitter_err = math.sqrt(max(variance, 0.0) + error) - jitter
    return Lamp(variance, error, jitter, jitter_err, n_pixels, n_flashes)


def common_noise(
    charges: np.ndarray, pedestal: np.ndarray, pe: np.ndarray, sigma_ped: np.ndarray
) -> tuple[float, float]:
    """Covariance of the noise of two pixels, and its standard error, in the unit of charge squared.

    From flashes in which both have no avalanche (charge less than half a photoelectron above the
    pedestal): the lamp does not enter there. The cut takes a part of the noise away, which is
    given back as for two normal variables of a small correlation; 20 % too little is left of noise
    of a quarter of a photoelectron.

    Parameters
    ----------
    charges : (n_pixels, n_flashes) int or float
    pedestal, pe, sigma_ped : (n_pixels,) float
        From the fit; a pixel with NaN is left out.

    Returns
    -------
    covariance, error : float
        NaN with fewer than `FEWEST_PIXELS` pixels or `FEWEST_FLASHES` flashes with a pair.
    """
    total, square, number = np.zeros((3, charges.shape[1]))
    n_pixels = 0
    for row, start, step, width in zip(charges, pedestal, pe, sigma_ped, strict=True):
        charge = np.asarray(row, float)
        with np.errstate(invalid="ignore"):
            empty = charge < start + 0.5 * step
        if not empty.any() or not np.isfinite(charge).all():
            continue
        n_pixels += 1
        rest = np.where(empty, charge - charge[empty].mean(), 0.0) / _left_of(0.5 * step / width)
        total += rest
        square += rest**2
        number += empty
    pairs = number * (number - 1)
    if n_pixels < FEWEST_PIXELS or (pairs > 0).sum() < FEWEST_FLASHES:
        return math.nan, math.nan
    covariance = float((total**2 - square).sum() / pairs.sum())
    off = total**2 - square - covariance * pairs
    return covariance, float(np.sqrt((off**2).sum()) / pairs.sum())


def _left_of(cut: float) -> float:
    """Variance of a unit normal variable below `cut`, by which its covariances shrink too."""
    below = 0.5 * (1 + math.erf(cut / math.sqrt(2)))
    ratio = math.exp(-0.5 * cut**2) / math.sqrt(2 * math.pi) / below
    return 1 - cut * ratio - ratio**2


def _stand_out(use, relative, total, weight) -> np.ndarray:
    """Pixels (n,) whose covariance with the sum of the others differs from the usual one."""
    covariance, error = np.full((2, len(use)), np.nan)
    for i in np.flatnonzero(use):
        change = relative(i)
        product = change * (total - weight[i] * change) / (weight.sum() - weight[i])
        covariance[i] = product.mean()
        error[i] = product.std() / math.sqrt(len(product))
    off = np.abs(covariance - np.nanmedian(covariance))
    scale = np.maximum(mad_std(covariance, ignore_nan=True), error)
    with np.errstate(invalid="ignore"):
        return off > CLEAR_SIGMA * scale


# --- what it does to the fits ---------------------------------------------------------------------


def by_moments(opct: np.ndarray, light: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Crosstalk (n,) without the lamp, by mean and variance: a closed form.

    Right within 1 % of the crosstalk at a jitter of 20 % and light of about one photoelectron, 4 %
    at 40 %; the parameters are those of `without_lamp`. Runs count by the information that they
    have about the crosstalk, 2 lambda / (lambda + 2 chi) / (1 - chi)^2 per flash.
    """
    opct, light = np.asarray(opct, float), np.asarray(light, float)
    mean = light / (1 - opct)[:, None]
    weight = light / (light + 2 * opct[:, None])
    excess = (weight * mean * variance).sum(axis=1) / weight.sum(axis=1)
    # Where the lamp has all of the variance beyond Poisson's, or more, nothing is left: 0, not NaN.
    return 1 - np.maximum(1 / (1 - opct) ** 2 - excess, 1.0) ** -0.5


def without_lamp(
    opct: np.ndarray, light: np.ndarray, variance: np.ndarray, flashes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Crosstalk and light of fits, without the fluctuations of the lamp.

    Parameters
    ----------
    opct : (n_pixels,) float
        As fitted; NaN stays NaN.
    light : (n_pixels, n_runs) float
        LAMBDA as fitted.
    variance : (n_runs,) float
        Relative variance of the lamp of each run, from `lamp_of`; negative ones count as 0.
    flashes : (n_runs,) float, optional
        Flashes of each run; all alike without it.

    Returns
    -------
    opct : (n_pixels,) float
        At least 0, which is where the lamp explains all of it.
    light : (n_pixels, n_runs) float
        The mean number of avalanches, light / (1 - opct), stays as it was fitted.
    """
    opct, light = np.asarray(opct, float), np.asarray(light, float)
    variance = np.broadcast_to(np.maximum(variance, 0.0), light.shape[1:]).astype(float)
    share = np.ones(len(variance)) if flashes is None else np.asarray(flashes, float)
    mean = light / (1 - opct)[:, None]
    if not len(opct) or not variance.any() or not np.isfinite(mean).any():
        return opct.copy(), light.copy()
    score = _score(opct, mean)

    def slope(chi: np.ndarray) -> np.ndarray:
        """Mean score (n,) at the fitted values of flashes with crosstalk chi and the lamp."""
        return (share * _average(score, chi, mean, variance)).sum(axis=1)

    before, now = opct, by_moments(opct, light, variance)
    above, here = slope(before), slope(now)
    for _ in range(ITERATIONS):
        with np.errstate(divide="ignore", invalid="ignore"):
            step = here * (now - before) / (here - above)
        step = np.where(np.isfinite(step), step, 0.0)
        before, above = now, here
        now = np.clip(now - step, 0.0, opct)
        if np.abs(now - before).max(where=np.isfinite(now), initial=0.0) < TOLERANCE:
            break
        here = slope(now)
    return now, mean * (1 - now)[:, None]


def _numbers(mean: np.ndarray, highest_opct: float) -> np.ndarray:
    """Numbers of avalanches that occur, from 0 on, as float."""
    largest = float(np.nanmax(mean))
    fall = max(highest_opct, 0.01)
    fall = fall - 1 - math.log(fall)  # of the logarithm of the law, per avalanche
    reach = 3 * largest + REACH_SIGMA * math.sqrt(largest) / (1 - highest_opct)
    return np.arange(int(reach + min(TAIL / fall, MOST_TAIL)) + 2, dtype=float)


def _score(opct: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Derivative of the log law by the crosstalk at a fixed mean, (n_pixels, n_runs, n_numbers)."""
    k = _numbers(mean, float(np.nanmax(opct)))
    chi, mean = opct[:, None, None], mean[..., None]
    return (k - 1) * (k - mean) / (mean + chi * (k - mean)) - 1 / (1 - chi) + mean - k


def _average(score, chi, mean, variance) -> np.ndarray:
    """Mean (n_pixels, n_runs) of a function of the number of avalanches under law and lamp."""
    k = np.arange(score.shape[-1], dtype=float)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, len(k))))])
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    total = np.zeros(mean.shape)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        light = mean * (1 - chi)[:, None] * _brightness(node, variance)
        rate = light[..., None] + k * chi[:, None, None]
        log_law = np.log(light)[..., None] + (k - 1) * np.log(rate) - rate - log_factorial
        total += weight * (np.exp(log_law) * score).sum(axis=-1)
    return total


def _brightness(node: float, variance: np.ndarray) -> np.ndarray:
    """Brightness (n_runs,) of a gamma lamp at a normal quantile (Wilson and Hilferty, 1931)."""
    return np.maximum(1 - variance / 9 + np.sqrt(variance) / 3 * node, 1e-3) ** 3
