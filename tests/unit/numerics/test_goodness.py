"""The deviance's moments against simulation, the p-value against the distribution."""

import numpy as np
import pytest
from scipy import stats

from pixelcal.numerics.goodness_of_fit import (
    LOG_MU_START,
    LOG_MU_STEP,
    deviance,
    deviance_moments,
    moment_table,
    p_value,
)


@pytest.mark.parametrize("mu", [0.01, 0.3, 2.0, 40.0])
def test_moments_against_simulation(mu):
    n = 400_000
    sample = deviance(np.random.default_rng(3).poisson(mu, n), mu)
    mean, variance = deviance_moments(mu)
    assert abs(sample.mean() - mean) < 4 * np.sqrt(variance / n)
    fourth = np.mean((sample - mean) ** 4)
    assert abs(sample.var() - variance) < 4 * np.sqrt((fourth - variance**2) / n)


def test_many_counts_give_chi_square():
    mean, variance = deviance_moments(5e4)
    assert mean == pytest.approx(1.0, abs=1e-4)
    assert variance == pytest.approx(2.0, abs=1e-3)


def test_table_is_the_moments():
    table = moment_table()
    for k in (3, 200, 350):
        mu = np.exp(LOG_MU_START + k * LOG_MU_STEP)
        assert table[k] == pytest.approx(deviance_moments(mu), rel=1e-12)


@pytest.mark.parametrize("stat, dof", [(250.0, 300), (300.0, 300), (360.0, 300)])
def test_p_value_of_a_chi_square(stat, dof):
    assert p_value(stat, dof, 2.0 * dof) == pytest.approx(stats.chi2.sf(stat, dof), rel=1e-10)


def test_p_values_are_uniform_at_low_counts():
    """Where chi-square fails: 300 channels of 0.05 to 3 counts each."""
    rng = np.random.default_rng(5)
    mu = np.geomspace(0.05, 3.0, 300)
    moments = np.array([deviance_moments(m) for m in mu]).sum(axis=0)
    n = 4000
    statistic = deviance(rng.poisson(mu, (n, 300)), mu).sum(axis=1)
    p = p_value(statistic, *moments)
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert stats.kstest(stats.chi2.sf(statistic, 300), "uniform").pvalue < 1e-10
