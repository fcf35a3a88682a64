"""Bayesian model averaging: what may not be there at all."""

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


def chance_of_being_there(z, by_chance, fraction: float, largest: float) -> np.ndarray:
    """Probability (n,) that what is found with significances `z` (n,) is there, by Bayes' theorem.

    Beforehand it is there in a `fraction` of all cases, with a significance anywhere from 0 to
    `largest`, or beyond; in the others `by_chance` (n,) is the probability density of z.
    """
    real = np.where(np.asarray(z) > 0.0, fraction / largest, 0.0)
    return real / np.maximum(real + (1.0 - fraction) * np.asarray(by_chance), 1e-300)
