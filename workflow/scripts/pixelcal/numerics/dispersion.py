"""How much less a fit tells than its counts: by parameters whose sizes are known beforehand."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

MOST = 1e4
"""Largest factor on the variance that is looked for."""
N_TRIED = 41
"""Factors at which the likelihood is looked at first, as it may have several maxima."""


def dispersion_by_priors(
    jacobian: np.ndarray,
    residuals: np.ndarray,
    prior_jacobian: np.ndarray,
    pulls: np.ndarray,
    places: np.ndarray,
    judged: slice,
    least: float,
) -> float:
    """Factor on the variances of data by which some parameters are as large as their priors allow.

    Where a model is not exact, data with small errors move parameters far from what is known of
    them to make up for it, along what the model can hardly tell apart. Let x (k,) be the judged
    parameters by the data alone with the covariance f C, and P the covariance of their priors,
    normal about 0. Then x has the covariance P + f C, and f is the largest of

        -2 ln L(f) = ln det(P + f C) + x^T (P + f C)^-1 x + 2 ln f

    (empirical Bayes, or type II maximum likelihood: Good 1965, The Estimation of Probabilities; the
    last term is the scale prior 1 / f, which asks for clear evidence). All other parameters are
    marginalised with their priors.

    Parameters
    ----------
    jacobian : (n, m) float
        Derivatives of the residuals of the data by all parameters.
    residuals : (n,) float
        Of the data, in standard deviations, at `places`.
    prior_jacobian : (m, m) float
        Inverse widths of the priors of all parameters, on the diagonal.
    pulls : (m,) float
        The parameters from the middles of their priors, in these widths.
    places : (m,) float
        The parameters.
    judged : slice
        Which of them are judged; the middles of their priors are 0.
    least : float
        Smallest factor that is looked for.
    """
    information, slope = jacobian.T @ jacobian, jacobian.T @ residuals
    precision = np.diagonal(prior_jacobian).copy() ** 2
    prior_slope = np.diagonal(prior_jacobian) * pulls
    prior = np.diag(1.0 / precision[judged])
    precision[judged], prior_slope[judged] = 0.0, 0.0

    def unlikeliness(log_factor: float) -> float:
        factor = least * np.exp(log_factor)
        covariance = np.linalg.pinv(information / factor + np.diag(precision), hermitian=True)
        x = (places - covariance @ (slope / factor + prior_slope))[judged]
        spread = prior + covariance[judged, judged]
        return np.linalg.slogdet(spread)[1] + x @ np.linalg.solve(spread, x) + 2.0 * log_factor

    tried = np.linspace(0.0, np.log(MOST), N_TRIED)
    best = int(np.argmin([unlikeliness(one) for one in tried]))
    if best == 0 and unlikeliness(0.5 * tried[1]) > unlikeliness(0.0):
        return least
    near = tried[max(best - 1, 0)], tried[min(best + 1, N_TRIED - 1)]
    return least * float(np.exp(minimize_scalar(unlikeliness, bounds=near, method="bounded").x))
