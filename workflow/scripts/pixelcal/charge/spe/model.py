"""The single-photoelectron spectrum of a SiPM pixel, integrated over bins, with its derivatives.

The charge of a flash is Normal(eped + k pe, sigma_ped^2 + k sigma_pe^2) where k avalanches fired;
k follows the generalised Poisson law (Consul and Jain 1973; for SiPM crosstalk Vinogradov 2012): a
Poisson number of photoelectrons of mean lambda, each with a Poisson number of crosstalk offspring
of mean `opct`, and these again. Bins are intervals of charge; the first and the last also hold all
that lies beyond them, so the probabilities of all bins add up to one.

Parameters of one run, in this order: variance of the pedestal (sigma_ped^2), pe, variance of one
photoelectron (sigma_pe^2), opct, eped, lambda. Variances, not widths: the spectrum is smooth in
them at zero, where the derivative with respect to a width vanishes.
"""

from __future__ import annotations

import math

import numpy as np

from pixelcal.charge.spe.parameters import EPED, LAMBDA, N_PARAMETERS, OPCT, PE, V_PE, V_PED
from pixelcal.numerics.jit import njit
from pixelcal.numerics.normal import normal_above

REACH = 7.5
"""Widths of a peak that are followed to each side, at most; 6e-14 of it lie beyond. ..."""
NEGLIGIBLE = 1e-14
"""... A rare peak is followed until weight exp(-z^2 / 2) is this: a hundredth of FLOOR."""

MAX_AVALANCHES = 400
TAIL = 1e-12
"""Peaks are added until less than this fraction of all flashes is left over."""

FLOOR = 1e-12
"""Added to the probability of each bin: a stray count costs the likelihood 55, not infinity."""


@njit
def avalanche_terms(mean, opct, n, weight, by_mean, by_opct):
    """Generalised Poisson probabilities of 0 ... n - 1 avalanches and their derivatives.

    Parameters
    ----------
    mean : float
        Mean number of photoelectrons of a flash (lambda), above 0.
    opct : float
        Mean number of crosstalk offspring of an avalanche, 0 <= opct < 1.
    weight, by_mean, by_opct : (n,) float, written
        P_k, dP_k/dlambda, dP_k/dopct.

    Returns
    -------
    int
        How many were needed until the rest is below TAIL; the others stay as they are.
    """
    total, log_factorial = 0.0, 0.0
    for k in range(n):
        if k > 0:
            log_factorial += math.log(k)
        rate = mean + k * opct
        p = math.exp(math.log(mean) + (k - 1) * math.log(rate) - rate - log_factorial)
        weight[k] = p
        by_mean[k] = p * (1.0 / mean + (k - 1) / rate - 1.0)
        by_opct[k] = p * k * ((k - 1) / rate - 1.0)
        total += p
        if total > 1.0 - TAIL or (total > 0.5 and p < TAIL * (1.0 - opct)):
            return k + 1
    return n


@njit
def bin_probabilities(parameters, start, width, probability, gradient):
    """Probability of each bin and its derivatives with respect to the parameters of the run.

    Parameters
    ----------
    parameters : (6,) float
        In the order of this module; charges in the unit of `start`.
    start, width : float
        Lower edge of the first bin, and the width of all.
    probability : (n,) float, written
    gradient : (6, n) float, written
    """
    n = probability.shape[0]
    v_ped, pe, v_pe, opct, eped, mean = parameters
    for j in range(n):
        probability[j] = FLOOR
        for i in range(N_PARAMETERS):
            gradient[i, j] = 0.0
    end = start + n * width
    # Peaks whose whole reach lies above the last bin need no loop: what is left over is theirs.
    weight = np.empty(MAX_AVALANCHES)
    by_mean = np.empty(MAX_AVALANCHES)
    by_opct = np.empty(MAX_AVALANCHES)
    n_peaks = avalanche_terms(mean, opct, MAX_AVALANCHES, weight, by_mean, by_opct)
    left, left_by_mean, left_by_opct = 1.0, 0.0, 0.0
    for k in range(n_peaks):
        spread = math.sqrt(v_ped + k * v_pe)
        centre = eped + k * pe
        if centre - REACH * spread > end:
            break
        left -= weight[k]
        left_by_mean -= by_mean[k]
        left_by_opct -= by_opct[k]
        reach = math.sqrt(2.0 * math.log(max(weight[k] / NEGLIGIBLE, 1.0)))
        reach = min(reach, REACH) * spread
        # What lies above the last bin belongs to it.
        first = min(max(int(math.floor((centre - reach - start) / width)), 0), n - 1)
        last = int(math.floor((centre + reach - start) / width))
        if last >= n - 1:
            last = n - 1
        if last < 0:
            last = 0
        _add_peak(
            k, weight[k], by_mean[k], by_opct[k], centre, spread, start, width,
            first, last, probability, gradient,
        )  # fmt: skip
    # The rest belongs to the last bin; where the peaks were all added it is rounding.
    probability[n - 1] += max(left, 0.0)
    gradient[LAMBDA, n - 1] += left_by_mean
    gradient[OPCT, n - 1] += left_by_opct


@njit
def _add_peak(
    k, weight, by_mean, by_opct, centre, spread, start, width, first, last, probability, gradient
):
    """One peak's part of the bins `first` to `last`; all that is below or above is theirs too."""
    n = probability.shape[0]
    step = width / spread
    z = (start + first * width - centre) / spread
    # `tail` is the probability on the far side of the edge: below it for z < 0, above it else.
    # Differences of these stay exact where the probability itself would round to one.
    if first == 0:
        z_before, tail_before, density_before = -math.inf, 0.0, 0.0
        slope_before = 0.0
    else:
        z_before = z
        tail_before, density_before = normal_above(abs(z))
        slope_before = z * density_before
    for j in range(first, last + 1):
        z += step
        if j == n - 1:
            z_after, tail, density, slope = math.inf, 0.0, 0.0, 0.0
        else:
            z_after = z
            tail, density = normal_above(abs(z))
            slope = z * density
        if z_after < 0.0:
            fraction = tail - tail_before
        elif z_before >= 0.0:
            fraction = tail_before - tail
        else:
            fraction = 1.0 - tail - tail_before
        by_centre = weight * (density_before - density) / spread
        by_variance = weight * (slope_before - slope) / (2.0 * spread * spread)
        probability[j] += weight * fraction
        gradient[V_PED, j] += by_variance
        gradient[PE, j] += k * by_centre
        gradient[V_PE, j] += k * by_variance
        gradient[OPCT, j] += by_opct * fraction
        gradient[EPED, j] += by_centre
        gradient[LAMBDA, j] += by_mean * fraction
        z_before, tail_before, density_before, slope_before = z_after, tail, density, slope


_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit
def density(charge, parameters):
    """Probability density at one charge, 1/unit of charge.

    Parameters
    ----------
    charge : float
    parameters : (6,) float
        In the order of this module.
    """
    v_ped, pe, v_pe, opct, eped, mean = parameters
    weight = np.empty(MAX_AVALANCHES)
    unused = np.empty((2, MAX_AVALANCHES))
    n_peaks = avalanche_terms(mean, opct, MAX_AVALANCHES, weight, unused[0], unused[1])
    total = 0.0
    for k in range(n_peaks):
        variance = v_ped + k * v_pe
        z = charge - eped - k * pe
        total += weight[k] * math.exp(-0.5 * z * z / variance) * _DENSITY / math.sqrt(variance)
    return total
