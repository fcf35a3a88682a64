"""The dispersion of data that move parameters further than what is known of them."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pixelcal.numerics.dispersion import MOST, dispersion_by_priors

N_DATA, N_OTHERS, N_JUDGED = 400, 3, 8
JUDGED = slice(N_OTHERS, N_OTHERS + N_JUDGED)
SIGMA = np.concatenate([np.full(N_OTHERS, 5.0), np.full(N_JUDGED, 0.1)])
"""Widths of the priors; data that scatter by counting tell each parameter to about 0.05."""


def problem(factor, seed):
    """Jacobian, data and truth where data scatter by the root of `factor` along the model only."""
    rng = np.random.default_rng(seed)
    jacobian = rng.standard_normal((N_DATA, N_OTHERS + N_JUDGED))
    truth = SIGMA * rng.standard_normal(len(SIGMA))
    noise = rng.standard_normal(N_DATA)
    along = jacobian @ np.linalg.lstsq(jacobian, noise, rcond=None)[0]
    return jacobian, jacobian @ truth + noise + (np.sqrt(factor) - 1.0) * along


def found(factor, seed, least=1.0, at=0.0):
    """The dispersion, from residuals at any place: the problem is linear."""
    jacobian, data = problem(factor, seed)
    places = np.full(len(SIGMA), at)
    priors = np.diag(1.0 / SIGMA), places / SIGMA
    return dispersion_by_priors(jacobian, jacobian @ places - data, *priors, places, JUDGED, least)


def by_formula(factor, seed):
    """The same where the likelihood is that of scipy, on a grid of factors."""
    jacobian, data = problem(factor, seed)
    factors = np.geomspace(1.0, MOST, 4001)
    score = []
    for one in factors:
        normal = jacobian.T @ jacobian / one
        normal[:N_OTHERS, :N_OTHERS] += np.diag(SIGMA[:N_OTHERS] ** -2.0)
        covariance = np.linalg.inv(normal)
        x = (covariance @ jacobian.T @ data / one)[JUDGED]
        spread = covariance[JUDGED, JUDGED] + np.diag(SIGMA[JUDGED] ** 2)
        score.append(multivariate_normal.logpdf(x, np.zeros(N_JUDGED), spread) - np.log(one))
    return factors[np.argmax(score)]


@pytest.mark.parametrize("factor", [1.0, 30.0, 1000.0])
def test_it_is_the_largest_of_the_likelihood(factor):
    for seed in range(4):
        assert found(factor, seed) == pytest.approx(by_formula(factor, seed), rel=0.01)


def test_it_does_not_depend_on_where_the_residuals_are_taken():
    assert found(300.0, 1, at=0.7) == pytest.approx(found(300.0, 1), rel=1e-4)


def test_data_that_scatter_by_counting_need_no_more():
    """Of 400 other draws 3 % were above 1 and 1 % above 4; 4 standard errors of a fraction of 100
    are allowed."""
    factors = np.array([found(1.0, seed) for seed in range(100)])
    assert np.mean(factors > 1.0) < 0.03 + 4.0 * np.sqrt(0.03 / 100)
    assert np.mean(factors > 4.0) < 0.01 + 4.0 * np.sqrt(0.01 / 100)


def test_it_is_found():
    """The scatter of k numbers tells the factor to sqrt(2 / k), and the median of 100 to a tenth of
    that; the scale prior lowers it by 2 / k at most."""
    factors = np.array([found(1e3, seed) for seed in range(100)])
    accuracy = 4.0 * 1.25 * np.sqrt(2.0 / N_JUDGED / 100)
    assert -2.0 / N_JUDGED - accuracy < np.log(np.median(factors) / 1e3) < accuracy


def test_never_less_than_what_the_residuals_say():
    assert min(found(1.0, seed, least=2.5) for seed in range(20)) == 2.5
