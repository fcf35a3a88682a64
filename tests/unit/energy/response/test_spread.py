"""The population prior: its weights against scipy, its scales against truth put in."""

import numpy as np
import pytest
from helpers import cameras
from scipy import optimize, stats

from pixelcal.energy.fit.population_prior import deviations
from pixelcal.energy.response.population import (
    SCALES,
    STUDENT_T_DOF,
    learn_population_scale,
    population_weight,
    prior_information,
    robust_location,
    wide_population_scale,
)

N = 3000
WIDE = np.array([0.5])


def fitted(true, error, scale, seed):
    """Deviations and variances as a fit gives them that was made with the prior of scale `scale`.

    The fit minimises the normal -ln L of the data and that of the prior: a fixed point of weights.
    """
    rng = np.random.default_rng(seed)
    data = true + error * rng.standard_normal(len(true))
    value = data.copy()
    for _ in range(200):
        prior = population_weight(value, scale) / scale**2
        value = data / error**2 / (1 / error**2 + prior)
    return value[:, None], (1.0 / (1.0 / error**2 + prior))[:, None]


@pytest.mark.parametrize("deviation", [-0.7, 0.05, 0.4])
def test_weight_gives_the_gradient_of_students_t(deviation):
    scale, step = 0.2, 1e-6
    up, down = (-stats.t.logpdf(deviation + h, STUDENT_T_DOF, scale=scale) for h in (step, -step))
    gradient = population_weight(deviation, scale) * deviation / scale**2
    assert gradient == pytest.approx((up - down) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("scale", [0.05, 0.2, 0.6])
@pytest.mark.parametrize("error", [0.02, 0.1])
def test_scale_is_recovered(scale, error):
    """Within 5 errors of the scale of N draws, and the step of the search.

    The information on ln(scale) in a draw of Student's t is 2 nu / (nu + 3).
    """
    if error > scale:
        pytest.skip("the errors hide the scale: see the next test")
    true = stats.t.rvs(STUDENT_T_DOF, scale=scale, size=N, random_state=3)
    found = learn_population_scale(*fitted(true, error, WIDE[0], 4), WIDE)[0]
    one_sigma = np.sqrt((STUDENT_T_DOF + 3) / (2 * STUDENT_T_DOF) / N) * (1 + (error / scale) ** 2)
    step = np.log(SCALES[1] / SCALES[0])
    # The shape of the data's likelihood is taken from the curvature of the fit: good to a tenth.
    assert abs(np.log(found / scale)) < 5 * one_sigma + step + 0.1


def test_pixels_that_are_the_same_seem_so():
    """Errors of 0.3 hide a scatter below 0.3 (2 / N)^(1/4) = 0.05; thrice that is an outlier."""
    found = learn_population_scale(*fitted(np.zeros(N), 0.3, WIDE[0], 5), WIDE)[0]
    assert found < 3 * 0.3 * (2 / N) ** 0.25


def test_a_few_pixels_do_not_seem_all_the_same():
    found = learn_population_scale(np.zeros((2, 1)), np.full((2, 1), 1e-4), WIDE)
    assert found[0] > 0.02


def test_without_a_pixel_the_scale_stays():
    assert learn_population_scale(np.empty((0, 1)), np.empty((0, 1)), WIDE) is WIDE


def test_a_tenth_of_outliers_does_not_rule():
    """Lines missing in a tenth of the pixels: the scale is still that of the others."""
    rng = np.random.default_rng(6)
    true = 0.1 * rng.standard_normal(N)
    true[: N // 10] = -1.0
    found = learn_population_scale(*fitted(true, 0.05, WIDE[0], 7), WIDE)[0]
    assert 0.08 < found < 0.2


def test_wide_scales_are_those_of_resolution_tail_continua_and_groups():
    table = cameras.line_table()
    assert wide_population_scale(table).tolist() == [0.3, 0.3] + [0.5] * (5 + 7)


def test_location_is_the_most_probable_one():
    """A scalar search of scipy on the sum of the terms; one normalisation is an outlier."""
    normalisation, scale = np.array([1.02, 0.97, 1.1, 0.1]), np.array([0.05, 0.1, 0.02, 0.1])
    found = optimize.minimize_scalar(
        lambda m: -np.sum(stats.t.logpdf(normalisation, STUDENT_T_DOF, m, scale)),
        bounds=(0.9, 1.2),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert robust_location(normalisation, scale) == pytest.approx(found.x, abs=1e-6)


def test_deviations_of_a_fit():
    """Variances and parameters determined, from matrices: of the projection off the location."""
    rng = np.random.default_rng(9)
    scale = rng.uniform(0.05, 0.3, 8)
    theta = np.append([17.0, 72.0, 0.1, 1.3], 1.0 + 0.2 * rng.standard_normal(6))
    factor = 0.05 * rng.standard_normal((10, 10))
    covariance = factor @ factor.T
    value, variance, n_effective_prior = deviations(theta, covariance, scale)
    location = robust_location(theta[4:], scale[2:])
    np.testing.assert_allclose(value, np.append([0.1, 0.3], theta[4:] - location), rtol=1e-12)
    weight = (population_weight(value, scale) / scale**2)[2:]
    projection = np.eye(8)
    projection[2:, 2:] -= weight / weight.sum()
    of_prior = covariance[2:, 2:]
    np.testing.assert_allclose(variance, np.diag(projection @ of_prior @ projection.T))
    information = prior_information(value, scale)
    assert n_effective_prior == pytest.approx(np.trace(of_prior @ information))
