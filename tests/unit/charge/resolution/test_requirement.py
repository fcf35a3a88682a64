"""The required charge resolution: its five known values, its range, the verdict."""

import numpy as np
import pytest

from pixelcal.charge.resolution.requirement import (
    poisson_limit,
    required_resolution,
    requirement_formula,
    verdict,
)


@pytest.mark.parametrize(
    ("charge", "expected"), [(1, 2.04), (5, 0.637), (25, 0.268), (125, 0.147), (1000, 0.107)]
)
def test_the_five_known_values(charge, expected):
    digits = len(str(expected).split(".")[1])
    assert round(float(required_resolution(charge, 0.125)), digits) == expected


def test_high_background_by_hand():
    variance = 1.255 * 15 + 0.87**2 + 1.44 * 10 + 1.0
    assert required_resolution(10.0, 1.25) == pytest.approx(np.sqrt(variance) / 10, rel=1e-14)


def test_the_range_masks():
    charge = np.array([0.0, 0.999, 1.0, 1000.0, 1000.1, np.nan])
    inside = np.isfinite(required_resolution(charge, 0.125))
    assert inside.tolist() == [False, False, True, True, False, False]
    assert np.isfinite(requirement_formula(charge, 0.125)).tolist() == [False, *[True] * 4, False]


def test_the_poisson_limit():
    assert poisson_limit(np.array([4.0, 100.0])).tolist() == [0.5, 0.1]
    assert np.isnan(poisson_limit(0.0))


def test_where_the_requirement_is_met():
    charge = np.array([100.0, 0.5, 2.0, 5.0, 20.0, 50.0, 2000.0, 200.0])
    share = np.array([0.9, 0.1, 0.5, 1.2, 0.8, np.nan, 0.1, 1.001])
    required = requirement_formula(charge, 0.125)
    found = verdict(charge, share * required, 0.01 * required, 0.125)
    assert found["meets"] == [True, None, True, False, True, None, None, False]
    assert (found["n_judged"], found["n_met"], found["n_unclear"]) == (5, 3, 1)
    assert found["met_pe"] == [[2.0, 2.0], [20.0, 100.0]]
    assert found["missed_pe"] == [5.0, 200.0]
    assert found["worst_ratio"] == pytest.approx(1.2) and found["worst_pe"] == 5.0


def test_nothing_to_judge():
    found = verdict([0.5, 10.0], [0.1, np.nan], [0.1, 0.1], 0.125)
    assert found["n_judged"] == 0 and found["met_pe"] == [] and np.isnan(found["worst_ratio"])
