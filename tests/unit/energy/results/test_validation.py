"""Validation against closed forms and a seeded truth."""

import math

import numpy as np
import pytest
from helpers.instruments import REFERENCE_ENERGIES_KEV, REQUIREMENT
from helpers.synthetic import GAIN, OFFSET, make_fits, silence
from scipy.stats import norm

from pixelcal.energy.own_deviation import deviations_of_pixels, no_deviation
from pixelcal.energy.results.systematics import Systematics
from pixelcal.energy.results.validation import energy_numbers, validate
from pixelcal.status import EnergyStatus

KEYS = [f"{energy:g}" for energy in REFERENCE_ENERGIES_KEV]


def prior(n):
    return np.full(n, GAIN), np.full(n, OFFSET)


def bent(height, n):
    """Pixels with a bend of their own, between lines at -100 and 100 keV that no fit follows."""
    none = no_deviation(np.zeros((1, 2)), np.zeros(1), (-100.0, 100.0))
    return deviations_of_pixels([none._replace(bend=np.array(height))] * n)


def within(value, expected, sigma, n_sigma=4):
    """4 sigma: one false alarm in 16 000 for each comparison."""
    assert abs(value - expected) < n_sigma * sigma, f"{value} is not {expected} ± {sigma}"


def test_four_errors_by_hand():
    error = np.array([0.1, -0.3, 0.5, np.nan])
    sigma = np.array([0.1, 0.1, 0.5, np.nan])
    numbers = energy_numbers(sigma, error, 0.3, np.ones(4, bool), error, np.full(4, np.nan))
    assert numbers["n"] == 3
    assert numbers["bias_keV"] == pytest.approx(0.1)
    assert numbers["bias_err_keV"] == pytest.approx(0.4 / math.sqrt(3))
    assert numbers["rms_keV"] == pytest.approx(math.sqrt(0.35 / 3))
    assert numbers["rms_bound_keV"] == pytest.approx(math.sqrt(0.27 / 3))
    assert numbers["rms_over_bound"] == pytest.approx(math.sqrt(0.35 / 0.27))
    assert numbers["pull_mean"] == pytest.approx((1 - 3 + 1) / 3)
    assert numbers["pull_std"] == pytest.approx(math.sqrt(16 / 3))
    assert numbers["pull_std_err"] == pytest.approx(0.5)
    assert numbers["coverage_68"] == pytest.approx(2 / 3)
    assert numbers["pass_fraction"] == pytest.approx(2 / 4), "without a valid fit: does not pass"
    predicted = [2 * norm.cdf(0.3 / s) - 1 for s in (0.1, 0.1, 0.5)]
    assert numbers["predicted_pass_fraction"] == pytest.approx(sum(predicted) / 4)
    assert numbers["change_rms_keV"] == numbers["rms_keV"]


@pytest.mark.parametrize("energy", KEYS)
def test_right_errors_give_unit_pulls(energy):
    rows, truth = make_fits(seed=11)
    numbers = validate(rows, prior(len(rows)), truth, requirement=REQUIREMENT)["energies"][energy]
    n = len(rows)
    within(numbers["bias_keV"], 0, numbers["bias_err_keV"])
    within(numbers["pull_mean"], 0, 1 / math.sqrt(n))
    within(numbers["pull_std"], 1, 1 / math.sqrt(2 * n))
    fraction = math.erf(math.sqrt(0.5))
    within(numbers["coverage_68"], fraction, math.sqrt(fraction * (1 - fraction) / n))
    # The fourth moment over these widths makes the rms less certain than for one width.
    within(numbers["rms_over_bound"], 1, 1.5 / math.sqrt(2 * n))
    within(
        numbers["pass_fraction"], numbers["predicted_pass_fraction"], numbers["pass_fraction_err"]
    )
    assert numbers["bias_err_keV"] == pytest.approx(numbers["rms_keV"] / math.sqrt(n), rel=1e-2)


def test_errors_that_are_too_small_by_two_show():
    rows, truth = make_fits(seed=12)
    rows["GAIN_ERR"] /= 2
    rows["OFFSET_ERR"] /= 2
    rows["GAIN_OFFSET_COV"] /= 4
    for numbers in validate(rows, prior(len(rows)), truth, requirement=REQUIREMENT)[
        "energies"
    ].values():
        n = len(rows)
        within(numbers["pull_std"], 2, 2 / math.sqrt(2 * n))
        within(numbers["rms_over_bound"], 2, 3 / math.sqrt(2 * n))
        fraction = math.erf(0.5 / math.sqrt(2))
        within(numbers["coverage_68"], fraction, math.sqrt(fraction * (1 - fraction) / n))


def test_a_shift_is_a_bias_with_its_sign():
    rows, truth = make_fits(1000, seed=13)
    rows["GAIN"], rows["OFFSET"] = truth[0], truth[1] - 0.25
    for numbers in validate(rows, prior(1000), truth, requirement=REQUIREMENT)["energies"].values():
        assert numbers["bias_keV"] == pytest.approx(-0.25)
        assert numbers["rms_keV"] == pytest.approx(0.25)
        assert numbers["pass_fraction"] == 1.0


def test_the_requirement_changes_after_80_kev():
    rows, truth = make_fits(100, seed=14)
    rows["GAIN"], rows["OFFSET"] = truth[0], truth[1] + 0.4
    numbers = validate(rows, prior(100), truth, requirement=REQUIREMENT)["energies"]
    assert [numbers[key]["requirement_keV"] for key in KEYS] == [0.3, 0.3, 0.3, 0.3, 0.5]
    assert [numbers[key]["pass_fraction"] for key in KEYS] == [0, 0, 0, 0, 1]


def test_who_counts_and_who_does_not():
    rows, truth = make_fits(1000, seed=15)
    rows["GAIN"], rows["OFFSET"] = truth.gain, truth.offset
    silence(rows, np.arange(100), EnergyStatus.MASKED)
    silence(rows, np.arange(100, 130), EnergyStatus.TOO_FEW_COUNTS)
    silence(rows, np.arange(120, 190), EnergyStatus.NOT_CONVERGED)
    rows["STATUS"][500:510] |= EnergyStatus.POOR_FIT
    rows["OFFSET"][505:510] += 1
    numbers = validate(rows, prior(1000), truth, requirement=REQUIREMENT)
    assert {key: numbers[key] for key in ("n_pixels", "n_masked", "n_no_answer")} == {
        "n_pixels": 1000,
        "n_masked": 100,
        "n_no_answer": 90,
    }
    assert numbers["n_answers"] == 810 and numbers["n_good"] == 800
    assert numbers["status_counts"] == {
        "MASKED": 100,
        "TOO_FEW_COUNTS": 30,
        "NOT_CONVERGED": 70,
        "AT_LIMIT": 0,
        "LINE_MISSING": 0,
        "POOR_FIT": 10,
        "OUTLIER": 0,
        "CHANGED": 0,
        "WIDTH": 0,
    }
    for values in numbers["energies"].values():
        assert values["n"] == 810 and values["good"]["n"] == 800
        assert values["pass_fraction"] == pytest.approx(805 / 900)
        assert values["good"]["pass_fraction"] == 1.0


def test_without_truth_the_prediction_stands_alone():
    rows, truth = make_fits(2000, seed=16)
    blind, seen = (
        validate(rows, prior(2000), known, requirement=REQUIREMENT) for known in (None, truth)
    )
    assert blind["truth"] is False and seen["truth"] is True
    for key in KEYS:
        values, other = blind["energies"][key], seen["energies"][key]
        assert values.keys() == other.keys()
        for name in ("rms_bound_keV", "predicted_pass_fraction", "change_rms_keV"):
            assert values[name] == other[name] > 0
        for name in ("bias_keV", "rms_over_bound", "pull_std", "coverage_68", "pass_fraction"):
            assert math.isnan(values[name])


def test_a_camera_without_any_valid_fit():
    rows, truth = make_fits(30)
    silence(rows, np.arange(30), EnergyStatus.NOT_CONVERGED)
    numbers = validate(rows, prior(30), truth, requirement=REQUIREMENT)
    assert numbers["n_answers"] == 0
    for values in numbers["energies"].values():
        assert values["n"] == 0 and math.isnan(values["rms_keV"])
        assert values["predicted_pass_fraction"] == 0.0


def test_common_error_is_that_of_stretch_and_shift():
    """Against draws of both: 200 000 of them know a standard deviation to 0.2 %."""
    covariance = np.array([[4e-8, -1e-6], [-1e-6, 1e-4]])
    draws = np.random.default_rng(8).multivariate_normal([0, 0], covariance, 200_000)
    rows, truth = make_fits(seed=12)
    common = np.tile(np.pad(covariance, (0, 1)), (len(rows), 1, 1))
    systematics = Systematics(common, bent(0.3, len(rows)))
    numbers = validate(rows, prior(len(rows)), truth, systematics, requirement=REQUIREMENT)
    for energy in (4.0, 50.0, 150.0):
        found, drawn = numbers["energies"][f"{energy:g}"], np.std(draws @ [energy, 1.0])
        assert found["common_sigma_keV"] == pytest.approx(drawn, rel=0.01)
        assert found["own_sigma_keV"] == pytest.approx(0.3 * abs(1.0 - (energy / 100.0) ** 2))
    without = validate(rows, prior(len(rows)), truth, requirement=REQUIREMENT)
    assert np.isnan(without["energies"]["50"]["common_sigma_keV"])
    assert np.isnan(without["energies"]["50"]["own_sigma_keV"])


def test_total_pulls_are_one_wide_with_a_systematic_error_put_in():
    """Each pixel off by a stretch and a shift of its own: only the total errors tell."""
    rows, truth = make_fits(seed=17)
    own = np.array([[4e-6, -1e-4, 0.0], [-1e-4, 2.5e-2, 0.0], [0.0, 0.0, 0.0]])
    draws = np.random.default_rng(18).multivariate_normal([0, 0], own[:2, :2], len(rows))
    rows["GAIN"] *= 1.0 + draws[:, 0]
    rows["OFFSET"] = rows["OFFSET"] * (1.0 + draws[:, 0]) + draws[:, 1]
    systematics = Systematics(np.zeros((len(rows), 3, 3)), second=np.tile(own, (len(rows), 1, 1)))
    numbers = validate(rows, prior(len(rows)), truth, systematics, requirement=REQUIREMENT)
    n, fraction = len(rows), math.erf(1 / math.sqrt(2))
    for found in numbers["energies"].values():
        within(found["pull_std_total"], 1, 1 / math.sqrt(2 * n))
        within(found["coverage_68_total"], fraction, math.sqrt(fraction * (1 - fraction) / n))
    assert numbers["energies"]["50"]["pull_std"] > 1.5
