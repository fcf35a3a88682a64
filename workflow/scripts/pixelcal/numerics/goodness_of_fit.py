"""Goodness of fit that is right at low counts.

The Poisson deviance of a channel is not chi-square distributed where few counts are expected: its
mean falls from 1 to 0. Its mean and variance are known exactly as functions of the expectation, so
the sum over channels has known mean and variance. It is close to the gamma distribution with these
two moments.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import gammaincc, gammaln, xlogy

LOG_MU_START = -16.0
LOG_MU_STEP = 0.05
_N_TABLE = 460


def deviance(count, mu):
    """Poisson deviance 2 (mu - n + n ln(n/mu)) of a channel; broadcasts."""
    return 2.0 * (mu - count + xlogy(count, count / mu))


def deviance_moments(mu: float) -> tuple[float, float]:
    """Mean and variance of the deviance of a Poisson count of expectation `mu`, by summation."""
    reach = 12.0 * np.sqrt(mu) + 30.0
    n = np.arange(max(0, int(mu - reach)), int(mu + reach) + 1, dtype=float)
    probability = np.exp(xlogy(n, mu) - mu - gammaln(n + 1.0))
    value = deviance(n, mu)
    mean = float(probability @ value)
    return mean, float(probability @ (value - mean) ** 2)


@cache
def moment_table() -> np.ndarray:
    """Mean and variance (n, 2) of the deviance on a grid of ln(mu), to interpolate in."""
    log_mu = LOG_MU_START + LOG_MU_STEP * np.arange(_N_TABLE)
    table = np.array([deviance_moments(mu) for mu in np.exp(log_mu)])
    table.flags.writeable = False
    return table


def p_value(stat, mean, variance):
    """Probability of a deviance of at least `stat`: a gamma distribution of `mean` and `variance`.

    A chi-square with nu degrees of freedom is that of mean nu and variance 2 nu; broadcasts.
    """
    return gammaincc(mean**2 / variance, stat * mean / variance)
