"""Charge to photoelectrons: the SPE way by hand, transfer functions against known responses."""

import numpy as np
import pytest

from pixelcal.charge.resolution.transfer import (
    Curve,
    SpeConversion,
    Transfer,
    mean_pedestal,
    measure_transfer,
)

LIGHT = np.geomspace(0.5, 1000, 12)
ALL = slice(None)


def saturating(pe):
    """A response that is compressed by a fifth at 1000 p.e."""
    return 200 + 35 * pe / (1 + pe / 4000)


def test_spe_by_hand():
    conversion = SpeConversion(
        np.array([100.0, np.nan]), np.array([30.0, 30.0]), np.array([0.1, 0.1])
    )
    found = conversion.to_pe(slice(0, 1), np.array([[100.0, 130.0, 400.0]]))
    assert found[0] == pytest.approx([0.0, 0.9, 9.0])
    assert np.isnan(conversion.to_pe(slice(1, 2), np.array([[130.0]]))).all()


def test_pedestals_are_weighted_with_their_errors():
    eped = np.array([[10.0, 20.0, np.nan], [1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    error = np.array([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0], [np.nan, 0.0, np.inf]])
    assert mean_pedestal(eped, error)[:2] == pytest.approx([(10 + 20 / 4) / 1.25, 2.0])
    assert np.isnan(mean_pedestal(eped, error)[2])


def test_a_linear_response_is_exact_everywhere():
    charge = np.array([200 + 35 * LIGHT, 180 + 30 * LIGHT])
    transfer = measure_transfer(LIGHT[None], charge, np.ones(charge.shape), 2)
    pe = np.array([[-3.0, 0.0, 0.7, 30.0, 999.0, 4000.0]] * 2)
    found = transfer.to_pe(ALL, np.array([[200.0], [180.0]]) + np.array([[35.0], [30.0]]) * pe)
    assert found == pytest.approx(pe, rel=1e-9, abs=1e-9)


def test_a_response_that_saturates():
    """Twelve runs over three decades know the darkest to 0.2 %, others to 0.1 %."""
    transfer = measure_transfer(LIGHT[None], saturating(LIGHT)[None], np.ones((1, 12)), 1)
    pe = np.geomspace(0.5, 1000, 500)[None]
    found = transfer.to_pe(ALL, saturating(pe))
    assert found == pytest.approx(pe, rel=2e-3)
    assert found[pe > 5] == pytest.approx(pe[pe > 5], rel=1e-3)


@pytest.mark.parametrize("response", [saturating, lambda pe: 5 + 30 * pe**1.1])
def test_the_function_rises_everywhere_and_meets_its_knots(response):
    curve = Curve(response(LIGHT), LIGHT)
    charge = np.linspace(response(LIGHT[0]) - 100, response(LIGHT[-1]) + 5000, 3000)
    assert curve.to_pe(response(LIGHT)) == pytest.approx(LIGHT, rel=1e-10)
    assert (np.diff(curve.to_pe(charge)) > 0).all()


def test_order_is_that_of_light():
    shuffled = np.random.default_rng(1).permutation(12)
    light, charge = LIGHT[shuffled], saturating(LIGHT)[shuffled]
    one, two = (
        measure_transfer(points[0][None], points[1][None], np.ones((1, 12)), 1)
        for points in ((light, charge), (LIGHT, saturating(LIGHT)))
    )
    assert (one.curves[0].charge == two.curves[0].charge).all()
    assert (one.curves[0].pe == two.curves[0].pe).all()


def test_noise_that_falls_is_pooled():
    light = np.array([0.5, 1.0, 2.0, 4.0])
    charge, error = np.array([[110.0, 104.0, 130.0, 160.0]]), np.array([[1.0, 2.0, 1.0, 1.0]])
    curve = measure_transfer(light[None], charge, error, 1).curves[0]
    assert curve.charge == pytest.approx([(110 + 104 / 4) / 1.25, 130, 160])
    assert curve.pe == pytest.approx([(0.5 + 1.0 / 4) / 1.25, 2, 4])


def test_too_few_runs_have_no_function():
    charge = np.array([[100.0, np.nan, np.nan], [100.0, 90.0, 80.0], [100.0, 130.0, np.nan]])
    transfer = measure_transfer(np.array([[1.0, 2.0, 3.0]]), charge, np.ones((3, 3)), 3)
    assert [curve is None for curve in transfer.curves] == [True, True, False]
    found = transfer.to_pe(ALL, np.full((3, 4), 115.0))
    assert np.isnan(found[:2]).all() and found[2] == pytest.approx(1.5)
    assert np.isnan(transfer.range_pe()[:2]).all() and transfer.range_pe()[2].tolist() == [1, 2]


def test_one_function_for_the_camera():
    transfer = Transfer([Curve(np.array([0.0, 10.0]), np.array([0.0, 1.0]))], 3)
    assert transfer.to_pe(slice(1, 3), np.full((2, 5), 25.0)) == pytest.approx(2.5)
    assert transfer.range_pe().shape == (3, 2)
