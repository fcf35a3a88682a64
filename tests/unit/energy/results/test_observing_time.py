"""Predicted errors against the fit, closed forms, Monte Carlo; cameras without valid fits."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import (
    ECLAIRS,
    EXPECTED,
    N_CHANNELS,
    REFERENCE_ENERGIES_KEV,
    REQUIREMENT,
    SEARCH,
)
from helpers.nominal_stacks import learnt_from
from scipy import stats

from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import energy_sigma
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.response.model import empty_response
from pixelcal.energy.response.tables import make_templates
from pixelcal.energy.results import observing_time as observing
from pixelcal.energy.results.fisher import PIVOT_KEV, tabulate_information
from pixelcal.io.tables import write_json
from pixelcal.status import EnergyStatus

N, SECONDS = 300, 3000.0
ENERGIES = np.array(REFERENCE_ENERGIES_KEV)
RELATION = (cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET)
COVARIANCE = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")


@lru_cache
def observed():
    """(camera, response, fits) of a short exposure."""
    camera = cameras.make_camera(N, SECONDS, 41)
    table = cameras.line_table()
    response = learn_camera(
        camera.counts,
        *cameras.prior(N),
        table,
        cameras.MIN_COUNTS,
        expected=EXPECTED,
        search=SEARCH,
    )
    rows = fit_pixels(
        camera.counts, np.arange(N), *cameras.prior(N), table, response, cameras.OPTIONS
    )
    return camera, response, rows


def predict(rows, response=None, **options):
    response = observed()[1] if response is None else response
    return observing.predict_observing_time(
        rows, SECONDS, 200, cameras.line_table(), {"": response}, **options, instrument=ECLAIRS
    )


@pytest.mark.parametrize("resolution", [0.8, 1.0, 1.3])
def test_information_is_that_of_the_fit(resolution):
    """Counts as expected, without noise: the fit's analytic curvature against differences."""
    table = cameras.line_table()
    template = cameras.expected_spectrum(*RELATION, 1e7, resolution=resolution)
    counts = np.rint(template).astype(np.int32)[None]
    shape = replace(EXPECTED, fwhm_10=1.19, fwhm_60=1.59, tail_60=0.122, tail_scale=0.037)
    response = learnt_from(counts, shape)
    templates = make_templates(response, table)
    row = fit_joint(counts, np.arange(1), *cameras.prior(1), templates, cameras.OPTIONS)[0][0]
    information = tabulate_information(
        response, table, row["GAIN"], row["OFFSET"], n_channels=N_CHANNELS
    )
    scale = np.array([row["COUNTS"] / information.counts])
    factor = np.log(row["FWHM_60"] / response.shape.fwhm_60)
    sigma = observing.sigma_at(information.covariance(scale, np.array([factor])), ENERGIES)[:, 0]
    np.testing.assert_allclose(
        sigma, [energy_sigma(e, *(row[k] for k in COVARIANCE)) for e in ENERGIES], rtol=0.01
    )


def test_covariance_falls_with_the_exposure():
    """As one over it where nothing is known of how pixels differ."""
    response = observed()[1]
    response = replace(response, population_scale=np.full_like(response.population_scale, 30.0))
    information = tabulate_information(
        response, cameras.line_table(), *RELATION, n_channels=N_CHANNELS
    )
    one, hundred = (information.covariance(np.array([s]), np.zeros(1)) for s in (90.0, 9000.0))
    np.testing.assert_allclose(one, 100 * hundred, rtol=0.01)


def test_pass_probability_is_the_normal_one():
    np.testing.assert_allclose(
        observing.pass_probability(np.array([0.1, 0.3, 1.0]), 0.3),
        stats.norm.cdf([3, 1, 0.3]) - stats.norm.cdf([-3, -1, -0.3]),
    )
    assert observing.pass_probability(np.array([0.0]), 0.3) == 1.0


@pytest.mark.parametrize("mixed", [0.0, 0.6, -0.9])
@pytest.mark.parametrize("size", [0.02, 0.08, 0.5])
def test_all_energies_together_against_monte_carlo(size, mixed):
    """Draws of error at the pivot and slope, within 5 binomial errors."""
    slope = size / 30
    covariance = np.array([[size**2, mixed * size * slope, slope**2]])
    matrix = [[covariance[0, 0], covariance[0, 1]], [covariance[0, 1], covariance[0, 2]]]
    draws = np.random.default_rng(7).multivariate_normal([0, 0], matrix, 200_000)
    errors = draws @ np.array([np.ones(5), ENERGIES - PIVOT_KEV])
    fraction = np.mean(
        np.all(np.abs(errors) <= requirement_keV(ENERGIES, requirement=REQUIREMENT), axis=1)
    )
    found = observing.pass_all_probability(covariance, ENERGIES, requirement=REQUIREMENT)[0]
    assert found == pytest.approx(fraction, abs=5 * np.sqrt(fraction * (1 - fraction) / 2e5) + 1e-5)


def test_all_energies_together_is_rarer_than_the_rarest():
    prediction = predict(observed()[2])
    assert np.all(prediction["pass_fraction_all"] <= prediction["pass_fraction"].min(axis=0) + 1e-6)
    assert np.all(np.diff(prediction["pass_fraction_all"]) > -1e-9)


def test_shrinking_leaves_the_spread_of_the_truth():
    """Normal truth and noise; the error of a spread from the median deviation is 1.2/sqrt(n)."""
    rng = np.random.default_rng(8)
    n, truth, noise = 20_000, 0.05, 0.1
    estimates = truth * rng.standard_normal(n) + noise * rng.standard_normal(n)
    found = observing.shrink(estimates, np.full(n, noise**2))
    # tau^2 is a difference: its error is that of the whole variance
    error = 2 * 1.2 / np.sqrt(n) * (truth**2 + noise**2) / truth**2 / 2
    assert np.std(found) == pytest.approx(truth, rel=4 * error)


def test_shrinking_leaves_a_pixel_that_is_different():
    rng = np.random.default_rng(9)
    estimates = 0.1 * rng.standard_normal(1000)
    estimates[0] = 1.0
    found = observing.shrink(estimates, np.full(1000, 0.1**2))
    assert found[0] >= 1.0 - observing.LARGEST_SHIFT * 0.1 - 1e-12
    assert np.array_equal(observing.shrink(np.array([0.3]), np.array([0.01])), [0.3])


def test_shortest_exposure_of_a_known_curve():
    """Where what is missing falls with a power of the exposure the result is exact."""
    seconds = np.logspace(3, 6, 31)
    missing = (seconds / 500.0) ** -1.5
    for fraction in observing.FRACTIONS:
        exact = 500.0 * (1 - fraction) ** (-1 / 1.5)
        assert observing.shortest_seconds(seconds, 1 - missing, fraction) == pytest.approx(exact)
    assert observing.shortest_seconds(seconds, 0.9 - missing, 0.95) is None
    assert observing.shortest_seconds(seconds, np.ones(31), 0.95) == seconds[0]


def test_enough_counts_is_poisson():
    expected = np.array([0.0, 50.0, 190.0, 200.0, 500.0])
    np.testing.assert_allclose(
        observing.enough_counts(expected, 200), stats.poisson.sf(199, expected), atol=1e-12
    )
    assert np.all(observing.enough_counts(expected, 0) == 1.0)


def test_pixels_without_a_valid_fit_do_not_pass():
    """Dead pixels never; masked ones do not count; those short of counts pass in time."""
    rows = observed()[2].copy()
    all_valid = predict(rows)
    for first, last, status, counts in ((0, 30, 2, 0), (30, 60, 1, 0), (60, 90, 2, 190)):
        chosen = slice(first, last)
        rows["STATUS"][chosen], rows["COUNTS"][chosen] = status, counts
        for name in (*COVARIANCE, "FWHM_60"):
            rows[name][chosen] = np.nan
    prediction = predict(rows)
    assert prediction["measured"]["n_pixels"] == N - 30
    assert prediction["answer_fraction"][-1] == pytest.approx(1 - 30 / (N - 30))
    assert prediction["pass_fraction"][1, -1] == pytest.approx(1 - 30 / (N - 30), abs=1e-4)
    assert prediction["shortest_seconds"]["0.95"] is None
    assert prediction["why"]["0.95"] == "only 88.89 % of the pixels have a valid fit"
    assert all_valid["shortest_seconds"]["0.95"] is not None


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_and_one_pixel(n, tmp_path):
    """No valid fit, or one: numbers or null, and JSON either way."""
    rows = empty_fits(np.arange(5))
    rows["STATUS"] = int(EnergyStatus.TOO_FEW_COUNTS)
    rows[:n] = observed()[2][:n]
    for response in (observed()[1], None):
        table = cameras.line_table()
        found = observing.predict_observing_time(
            rows, SECONDS, 200, table, response and {"": response}, instrument=ECLAIRS
        )
        write_json(tmp_path / "observing_time.json", found)
        assert found["answer_fraction"][-1] == pytest.approx(n / 5)
        assert np.isfinite(found["sigma_keV"]["rms"]).all() == (n == 1)
    if n == 0:
        assert found["why"]["0.99"] == "no pixel has a valid fit to predict from"


def test_response_without_counts_predicts_nothing():
    rows = observed()[2]
    prediction = predict(rows, response=empty_response(cameras.line_table(), shape=EXPECTED))
    assert not prediction["pass_fraction_all"].any()
    assert prediction["shortest_seconds"]["0.95"] is None


def test_two_step_scales_the_quoted_errors():
    """At the exposure itself the quoted sigma(E); at four times that one half of it."""
    rows = observed()[2]
    times = SECONDS * np.array([1.0, 4.0])
    found = observing.predict_observing_time(
        rows, SECONDS, 200, grid_seconds=times, instrument=ECLAIRS
    )
    quoted = np.array([energy_sigma(e, *(rows[k] for k in COVARIANCE)) for e in ENERGIES])
    np.testing.assert_allclose(found["sigma_keV"]["median"][:, 0], np.median(quoted, axis=1))
    np.testing.assert_allclose(
        found["sigma_keV"]["p90"][:, 1], np.quantile(quoted, 0.9, axis=1) / 2, rtol=1e-9
    )
    np.testing.assert_allclose(
        found["measured"]["sigma_rms_keV"], np.sqrt(np.mean(quoted**2, axis=1))
    )
    assert found["basis"] == observing.BASIS_TWO_STEP
