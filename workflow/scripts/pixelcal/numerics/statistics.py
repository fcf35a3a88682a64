"""Sample statistics with their standard errors; NaN where there is nothing to compute them from."""

from __future__ import annotations

import math

import numpy as np

COVERAGE_1_SIGMA = math.erf(math.sqrt(0.5))
"""Share of a normal distribution within one standard deviation: 0.6827."""

SIGMA_PER_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


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


def rms(values: np.ndarray) -> float:
    """Root mean square of the finite values."""
    values = finite(values)
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def std(values: np.ndarray) -> float:
    """Standard deviation of the finite values."""
    values = finite(values)
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def std_err(n: int) -> float:
    """Standard error of the standard deviation of `n` unit-normal values."""
    return float(1 / np.sqrt(2 * (n - 1))) if n > 1 else np.nan


def share(part: float, whole: int) -> float:
    """Part over whole; NaN of nothing."""
    return float(part / whole) if whole else np.nan


def share_err(share: float, whole: int) -> float:
    """Binomial standard error of a share."""
    return float(np.sqrt(share * (1 - share) / whole)) if whole else np.nan


def pull_numbers(error: np.ndarray, sigma: np.ndarray) -> dict:
    """What pulls error / sigma (n,) say: their mean, width and 68 % coverage, with errors.

    The errors of width and coverage are those of normal pulls.
    """
    known = np.isfinite(error) & np.isfinite(sigma)
    pull = error[known] / sigma[known]
    n = len(pull)
    return {
        "pull_mean": mean(pull),
        "pull_mean_err": mean_err(pull),
        "pull_std": std(pull),
        "pull_std_err": std_err(n),
        "coverage_68": share((np.abs(pull) <= 1).sum(), n),
        "coverage_68_err": share_err(COVERAGE_1_SIGMA, n),
    }


def robust_outliers(
    deviation: np.ndarray, variance: np.ndarray, threshold: float, fewest: int
) -> np.ndarray:
    """Values that differ from the rest by more than the robust spread and their own error say.

    The spread holds true differences and a typical error of measurement; what a value's own error
    has in excess of the typical one is added in quadrature.

    Parameters
    ----------
    deviation : (n,) float
        NaN where there is nothing to judge.
    variance : (n,) float
        Of each deviation.
    threshold : float
        In units of that spread.
    fewest : int
        Fewer values have no spread to speak of: none stands out.

    Returns
    -------
    (n,) bool
    """
    judged = np.isfinite(deviation)
    if judged.sum() < fewest:
        return np.zeros(len(deviation), bool)
    own = np.where(np.isfinite(variance), variance, 0.0)
    typical = np.median(own[judged])
    centre = np.median(deviation[judged])
    spread = SIGMA_PER_MAD * np.median(np.abs(deviation[judged] - centre))
    scale = np.sqrt(np.maximum(spread**2, typical) + np.maximum(own - typical, 0.0))
    with np.errstate(invalid="ignore"):
        return np.abs(deviation - centre) > threshold * scale
