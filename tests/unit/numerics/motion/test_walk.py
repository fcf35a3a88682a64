"""Filter, smoother and test of a step, against dense linear algebra."""

import numpy as np
import pytest
from helpers.histories import matrices
from scipy import stats

from pixelcal.numerics.motion.drift import jump_limit
from pixelcal.numerics.motion.walk import find_changes, log_likelihoods, smooth

N_EPOCHS = 9
DAYS = np.array([0.0, 7, 7, 3, 20, 7, 1, 7, 7])
WALK = np.array([[2e-4, 1e-4, 5e-4]])
DIFFUSE = 1e3


@pytest.fixture
def series():
    """One series with a gap, and covariances that differ."""
    random = np.random.default_rng(3)
    r = np.empty((1, N_EPOCHS, 3))
    for t in range(N_EPOCHS):
        part = random.standard_normal((2, 3))
        r[0, t] = 0.01 * (part @ part.T)[[0, 0, 1], [0, 1, 1]]
    y = 0.1 * random.standard_normal((1, N_EPOCHS, 2))
    used = np.ones((1, N_EPOCHS), bool)
    used[0, [0, 4]] = False
    return y, r, used


def prior(opened):
    """Covariance of the walk at all epochs, diffuse at the start and where it is opened."""
    elapsed = np.cumsum(DAYS)
    step = matrices(WALK[0])
    between = np.minimum.outer(elapsed, elapsed) - elapsed[0]
    covariance = np.kron(between, step) + DIFFUSE * np.kron(
        np.ones((N_EPOCHS, N_EPOCHS)), np.eye(2)
    )
    for t in np.flatnonzero(opened):
        late = (np.arange(N_EPOCHS) >= t).astype(float)
        covariance += DIFFUSE * np.kron(np.outer(late, late), np.eye(2))
    return covariance


def dense(y, r, used, opened):
    """Conditional mean and covariance given the measurements."""
    whole = prior(opened)
    seen = np.repeat(used, 2)
    noise = np.zeros_like(whole)
    for t in range(len(used)):
        noise[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] = matrices(r[t])
    gain = whole[:, seen] @ np.linalg.inv((whole + noise)[np.ix_(seen, seen)])
    covariance = whole - gain @ whole[seen]
    return (gain @ y.ravel()[seen]).reshape(-1, 2), covariance


@pytest.mark.parametrize("opened_at", [[], [6], [3, 6]])
def test_the_smoother_is_the_conditional_mean(series, opened_at):
    y, r, used = series
    opened = np.zeros((1, N_EPOCHS), bool)
    opened[0, opened_at] = True
    best, covariance = smooth(y, r, DAYS, WALK, opened, used)
    mean, expected = dense(y[0], r[0], used[0], opened[0])
    # The diffuse prior of the comparison is 1000 keV2: not quite diffuse.
    assert np.allclose(best[0], mean, atol=1e-4)
    for t in range(N_EPOCHS):
        block = expected[2 * t : 2 * t + 2, 2 * t : 2 * t + 2]
        assert np.allclose(matrices(covariance[0, t]), block, atol=1e-5)


def test_the_likelihood_is_that_of_the_measurements_given_the_first(series):
    y, r, used = series
    closed = np.zeros((1, N_EPOCHS), bool)
    found = log_likelihoods(y, r, DAYS, WALK, closed, used, np.inf)[0]
    seen = np.flatnonzero(used[0])
    whole = prior(closed[0])
    for t in range(N_EPOCHS):
        whole[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += matrices(r[0, t])
    places = np.concatenate([[2 * t, 2 * t + 1] for t in seen])
    joint = stats.multivariate_normal(np.zeros(len(places)), whole[np.ix_(places, places)])
    first = stats.multivariate_normal(np.zeros(2), whole[np.ix_(places[:2], places[:2])])
    values = y[0].ravel()[places]
    constant = (len(seen) - 1) * np.log(2 * np.pi)
    assert found - constant == pytest.approx(
        joint.logpdf(values) - first.logpdf(values[:2]), abs=1e-3
    )


def test_the_statistic_is_the_likelihood_ratio_of_a_free_step(series):
    y, r, used = series
    y = y.copy()
    y[0, 6:] += 3.0
    opened, kept, statistic = find_changes(y, r, DAYS, WALK, used, 30.0)
    assert np.flatnonzero(opened[0]).tolist() == [6] and (kept == used).all()
    deviance = []
    for step in (False, True):
        seen = np.repeat(used[0], 2)
        covariance = prior(np.zeros(N_EPOCHS, bool))
        for t in range(N_EPOCHS):
            covariance[2 * t : 2 * t + 2, 2 * t : 2 * t + 2] += matrices(r[0, t])
        weight = np.linalg.inv(covariance[np.ix_(seen, seen)])
        design = np.kron((np.arange(N_EPOCHS) >= 6)[:, None], np.eye(2))[seen]
        left = y[0].ravel()[seen]
        if step:
            left = left - design @ np.linalg.solve(
                design.T @ weight @ design, design.T @ weight @ left
            )
        deviance.append(left @ weight @ left)
    assert statistic[0, 6] == pytest.approx(deviance[0] - deviance[1], rel=1e-3)


def test_a_single_wild_epoch_is_no_step(series):
    y, r, used = series
    y = y.copy()
    y[0, 5] += 3.0
    opened, kept, _ = find_changes(y, r, DAYS, WALK, used, 30.0)
    assert not opened.any()
    assert np.flatnonzero(used[0] & ~kept[0]).tolist() == [5]


@pytest.mark.parametrize("n_steps", [12, 200, 5000])
def test_the_limit_is_beyond_what_chance_gives(n_steps):
    """The survival function of the statistic at the limit is the probability that is stated."""
    used = np.ones((1, n_steps + 1), bool)
    limit = jump_limit(0.5, used, np.zeros_like(used))
    probability = 0.5 / (2 * n_steps)
    if n_steps > 1000:
        assert stats.chi2(2).sf(limit) == pytest.approx(probability)
    else:  # Hotelling's statistic of two dimensions
        f = limit * (n_steps - 1) / (2 * n_steps)
        assert stats.f(2, n_steps - 1).sf(f) == pytest.approx(probability)
