"""Relations that are not straight: the curve against a root finder, and where it is used."""

import numpy as np
import pytest
from astropy.table import Table
from helpers.instruments import REQUIREMENT
from scipy.optimize import brentq

from pixelcal.energy.curve import Curve
from pixelcal.energy.relation import curve_of, energy_error
from pixelcal.energy.relation_table import Relation
from pixelcal.energy.results.curves import nearest_lines, straightened, with_curve
from pixelcal.energy.results.validation import validate
from pixelcal.energy.truth import Truth

ENDS = (8.0, 87.0)
CURVE = Curve(0.12, -0.2, ENDS)
AT_KEV = np.array([4.0, 15.0, 50.0, 80.0, 150.0])


def test_what_is_added_in_the_middle_and_at_the_ends():
    parabola, falling = Curve(0.1, 0.0, ENDS), Curve(0.0, 0.3, ENDS)
    assert parabola.added(47.5) == pytest.approx(0.1, rel=1e-12)
    assert parabola.added(np.array(ENDS)) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert falling.added(8.0) == pytest.approx(0.3)
    assert falling.added(12.0) == pytest.approx(0.3 * np.exp(-1.0))


@pytest.mark.parametrize("energy", AT_KEV)
def test_the_energy_of_a_place_is_the_root(energy):
    straight = float(CURVE.straight(energy))
    root = brentq(lambda e: e - CURVE.added(e) - straight, energy - 2.0, energy + 2.0, xtol=1e-12)
    assert CURVE.energy(straight) == pytest.approx(root, abs=1e-8)
    assert CURVE.energy(straight) == pytest.approx(energy, abs=1e-8)


def relation(gain=0.15, offset=1.0):
    """A table of one pixel with a curve, as relation.fits has it."""
    rows = Table({"DETNUM": [3], "GAIN": [gain], "OFFSET": [offset], "STATUS": [0]})
    rows["GAIN_ERR"], rows["OFFSET_ERR"], rows["GAIN_OFFSET_COV"] = [1e-4], [0.02], [-1e-6]
    rows["CURVE_MID"], rows["CURVE_LOW"] = [CURVE.middle], [CURVE.low]
    rows.meta |= {"CURVE_E1": ENDS[0], "CURVE_E2": ENDS[1]}
    return rows


def test_energies_of_a_relation_follow_its_curve():
    rows = relation()
    energy = Relation(rows).energy(3, position=(CURVE.straight(AT_KEV) - 1.0) / 0.15)
    assert energy == pytest.approx(AT_KEV, abs=1e-8)
    del rows["CURVE_MID"], rows["CURVE_LOW"]
    assert curve_of(rows) is None
    straight = Relation(rows).energy(3, position=(AT_KEV - 1.0) / 0.15)
    assert straight == pytest.approx(AT_KEV, abs=1e-12)


def test_errors_of_energies_are_those_of_the_curve():
    """Against a straight truth, the curve is all that is wrong."""
    rows = relation()
    error = energy_error(AT_KEV, 0.15, 1.0, 0.15, 1.0, curve_of(rows))
    expected = [brentq(lambda e, s=s: e - CURVE.added(e) - s, s - 3, s + 3) - s for s in AT_KEV]
    assert error == pytest.approx(expected, abs=1e-8)
    truth = Truth(np.array([0.15]), np.array([1.0]))
    numbers = validate(rows, truth[:2], truth, requirement=REQUIREMENT)["energies"]
    assert [numbers[f"{e:g}"]["bias_keV"] for e in AT_KEV] == pytest.approx(expected, abs=1e-8)


def test_columns_of_a_curve_are_nan_without_a_valid_fit():
    rows = np.zeros(2, [("GAIN", float), ("OFFSET", float), ("STATUS", int)])
    rows["STATUS"][1] = 2
    of_pixels = Curve(np.full(2, 0.1), np.zeros(2), ENDS)
    full, cards = with_curve(rows, of_pixels)
    assert full["CURVE_MID"][0] == 0.1
    assert np.isnan(full["CURVE_MID"][1])
    assert [value for _, value, _ in cards] == list(ENDS)
    same, none = with_curve(rows, None)
    assert same is rows
    assert none == []


def test_the_nearest_straight_line_is_that_of_least_squares():
    rows = np.zeros(1, [("GAIN", float), ("OFFSET", float)])
    rows["GAIN"], rows["OFFSET"] = 0.15, 1.0
    near, cards = nearest_lines(rows, Curve(np.array([0.1]), np.zeros(1), ENDS))
    # Of a parabola of height h over an interval, the nearest constant is 2 h / 3, and no slope.
    seen = near["GAIN"][0] / 0.15 * np.array(ENDS) + (
        near["OFFSET"][0] - near["GAIN"][0] / 0.15 * 1.0
    )
    assert seen - np.array(ENDS) == pytest.approx([2 / 30, 2 / 30], abs=1.5e-3)
    assert "0.066 keV" in cards[0][1]


def test_each_kind_of_pixel_has_its_nearest_line():
    """And none where the curve is not known."""
    middle = np.array([0.1, 0.0, np.nan, 0.1])
    gain, offset, off = straightened(
        np.full(4, 0.15), np.ones(4), Curve(middle, 0.0 * middle, ENDS)
    )
    assert gain[0] == gain[3] != gain[1] == pytest.approx(0.15, rel=1e-12)
    assert offset[1] == pytest.approx(1.0, abs=1e-12)
    assert np.isnan(gain[2])
    assert np.isnan(offset[2])
    assert off == pytest.approx(0.066, abs=1e-3)
