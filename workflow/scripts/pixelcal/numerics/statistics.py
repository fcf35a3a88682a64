"""Sample statistics with their standard errors; NaN where there is nothing to compute them from."""

from __future__ import annotations

import math

import numpy as np
from astropy.stats import mad_std

COVERAGE_1_SIGMA = math.erf(math.sqrt(0.5))
"""Fraction of a normal distribution within one standard deviation: 0.6827."""


MEDIAN_ERROR = 1.25
"""Standard error of a median of normal values over that of their mean."""


def evenly(n: int, most: int) -> np.ndarray:
    """Numbers 0 to n - 1, `most` at most, spread evenly from the first to the last; rising."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def finite(values: np.ndarray) -> np.ndarray:
    """Those of the values (n,) that are finite."""
    return values[np.isfinite(values)]


def mean(values: np.ndarray) -> float:
    """Mean of the finite values."""
    values = finite(values)
    return float(np.mean(values)) if len(values) else np.nan


def mean_err(values: np.ndarray) -> float:
    """Standard error of the mean of the finite values."""
    values = finite(values)
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def median(values: np.ndarray) -> float:
    """Median of the finite values."""
    values = finite(values)
    return float(np.median(values)) if len(values) else np.nan


def medians(values: np.ndarray) -> np.ndarray:
    """Median (k,) of the finite values of each column (n, k)."""
    return np.array([median(column) for column in values.T])


def rms(values: np.ndarray) -> float:
    """Root mean square of the finite values."""
    values = finite(values)
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def std(values: np.ndarray) -> float:
    """Standard deviation of the finite values."""
    values = finite(values)
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def robust_std(values: np.ndarray) -> float:
    """Standard deviation of the finite values from their median absolute deviation."""
    values = finite(values)
    return float(mad_std(values)) if len(values) else np.nan


def std_err(n: int) -> float:
    """Standard error of the standard deviation of `n` unit-normal values."""
    return float(1 / np.sqrt(2 * (n - 1))) if n > 1 else np.nan


def fraction(part: float, whole: int) -> float:
    """Part over whole; NaN of nothing."""
    return float(part / whole) if whole else np.nan


def fraction_err(value: float, whole: int) -> float:
    """Binomial standard error of a fraction of `whole` trials."""
    return float(np.sqrt(value * (1 - value) / whole)) if whole else np.nan


def pull_numbers(error: np.ndarray, sigma: np.ndarray) -> dict:
    """Mean, width and 68 % coverage of the pulls error / sigma (n,), with their errors.

    The errors of width and coverage are those of normal pulls.
    """
    known = np.isfinite(error) & (sigma > 0)  # what is fixed has neither error nor pull
    pull = error[known] / sigma[known]
    n = len(pull)
    return {
        "pull_mean": mean(pull),
        "pull_mean_err": mean_err(pull),
        "pull_std": std(pull),
        "pull_std_err": std_err(n),
        "coverage_68": fraction((np.abs(pull) <= 1).sum(), n),
        "coverage_68_err": fraction_err(COVERAGE_1_SIGMA, n),
    }


def robust_outliers(
    deviation: np.ndarray, variance: np.ndarray, threshold: float, fewest: int
) -> np.ndarray:
    """Values that differ from the rest by more than robust scatter and measurement error allow.

    The scatter holds true differences and a typical error of measurement; what the error of a value
    has in excess of the typical one is added in quadrature.

    Parameters
    ----------
    deviation : (n,) float
        NaN where there is nothing to assess.
    variance : (n,) float
        Of each deviation.
    threshold : float
        In units of that scatter.
    fewest : int
        Fewer values give no robust scatter: none is an outlier.

    Returns
    -------
    (n,) bool
    """
    judged = np.isfinite(deviation)
    if judged.sum() < fewest:
        return np.zeros(len(deviation), bool)
    known = np.where(np.isfinite(variance), variance, 0.0)
    typical = np.median(known[judged])
    middle = np.median(deviation[judged])
    scatter = robust_std(deviation)
    scale = np.sqrt(np.maximum(scatter**2, typical) + np.maximum(known - typical, 0.0))
    with np.errstate(invalid="ignore"):
        return np.abs(deviation - middle) > threshold * scale
