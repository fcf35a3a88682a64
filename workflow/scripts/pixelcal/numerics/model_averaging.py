"""Bayesian model averaging: a parameter that may not be there at all."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_ndtr


def averaged_square(pull: float, sigma: float, prior: float) -> float:
    """Mean square of a parameter that may be 0 or positive, by Bayesian model averaging.

    Hoeting et al. 1999, Stat. Sci. 14, 382. Either it is 0, or it has half a normal distribution of
    width `prior` beforehand; both are equally probable.

    Parameters
    ----------
    pull, sigma : float
        With a whole normal distribution beforehand, its mean over its standard deviation, and that.
    prior : float
    """
    odds = np.log(2.0 * sigma / prior) + 0.5 * pull**2 + log_ndtr(pull)
    slope = np.exp(-0.5 * pull**2 - log_ndtr(pull)) / np.sqrt(2.0 * np.pi)
    return float(expit(odds) * sigma**2 * (pull**2 + 1.0 + pull * slope))
