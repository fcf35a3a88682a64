"""Where lines stand in the stack: what is put in is what is found, and named."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cameras import NOMINAL_GAIN, NOMINAL_OFFSET, expected_spectrum, line_table
from helpers.instruments import EXPECTED, N_CHANNELS
from helpers.nominal_stacks import nominal_stacks

from pixelcal.energy.curve import Curve
from pixelcal.energy.response.learn import learn_response
from pixelcal.energy.response.model import Explanation, empty_response, placed
from pixelcal.energy.response.population import wide_population_scale
from pixelcal.energy.response.scale_tests import low_bend, told
from pixelcal.energy.response.stack_fit import Terms, terms_of
from pixelcal.energy.results.systematics import Systematics
from pixelcal.errors import InputError

SECONDS = 6400 * 10_000.0
"""Counts of 6400 pixels in 10 ks, without noise: what is found is what was put in."""

ENDS = float(line_table().energy_keV.min()), float(line_table().energy_keV.max())


def spectrum(curve=None):
    """Expected counts (1, n_channels) of the nominal relation, bent by a curve."""
    edges = np.arange(N_CHANNELS + 1)
    below = np.append(0.0, np.cumsum(expected_spectrum(NOMINAL_GAIN, NOMINAL_OFFSET, SECONDS, 1.0)))
    energy = NOMINAL_GAIN * edges + NOMINAL_OFFSET
    if curve is not None:
        energy = curve.energy(energy)
    return np.diff(np.interp((energy - NOMINAL_OFFSET) / NOMINAL_GAIN, edges, below))[None]


def learnt(counts, table=None, terms=None):
    """The response of the stack."""
    table = line_table() if table is None else table
    data = nominal_stacks(counts), table, NOMINAL_GAIN, 1, EXPECTED
    return learn_response(*data, wide_population_scale(table), EXPECTED, terms or Terms())


def shifted(element, by_keV):
    """The line table with the lines of an element lower, so that they stand above it."""
    table = line_table()
    of_element = np.array(table.element) == element
    return replace(table, energy_keV=table.energy_keV - by_keV * of_element)


def test_straight_relations_and_the_right_table_need_no_explanation():
    found = learnt(spectrum()).explanations
    assert {one.what for one in found} == {"quadratic", "low", *line_table().element}
    assert all(one.gain < 9.0 for one in found)
    assert told(found) == ""


@pytest.mark.parametrize("middle", [0.07, -0.07])
def test_a_parabola_is_found_with_its_size(middle):
    found = learnt(spectrum(Curve(middle, 0.0, ENDS))).explanations
    assert found[0].what == "quadratic"
    assert found[0].value == pytest.approx(middle, rel=0.15)
    assert "fit.bend: quadratic" in told(found)


def test_a_bend_at_low_energy_is_found_with_its_size():
    """Copper is the only line there: its energy is as good an explanation."""
    found = learnt(spectrum(Curve(0.0, -0.08, ENDS))).explanations
    assert {found[0].what, found[1].what} == {"low", "Cu"}
    value = next(one.value for one in found if one.what == "low")
    assert value == pytest.approx(-0.08, rel=0.25)
    assert "fit.bend: low" in told(found)
    assert "[Cu]" in told(found)


def test_an_element_that_stands_off_is_found_with_its_size():
    found = learnt(spectrum(), shifted("Pb", 0.04)).explanations
    assert found[0].what == "Pb"
    assert found[0].value == pytest.approx(0.04, rel=0.15)
    assert "fit.free_elements: [Pb]" in told(found)


def test_a_fitted_curve_places_the_lines():
    curve = Curve(0.07, 0.0, ENDS)
    response = learnt(spectrum(curve), terms=Terms(quadratic=True))
    assert response.curve.middle == pytest.approx(0.07, rel=0.15)
    assert response.curve.low == 0.0
    seen = placed(line_table(), response).energy_keV
    assert seen == pytest.approx(curve.straight(line_table().energy_keV), abs=0.012)
    assert "quadratic" not in {one.what for one in response.explanations}


def test_a_free_element_is_placed_where_it_stands():
    table = shifted("Pb", 0.06)
    response = learnt(spectrum(), table, Terms(free_elements=("Pb",)))
    off = placed(table, response).energy_keV - line_table().energy_keV
    assert off == pytest.approx(np.zeros(len(off)), abs=0.012)
    assert (response.free_shift[np.array(table.element) != "Pb"] == 0.0).all()


def test_what_is_told_is_large_and_significant():
    small = Explanation("Pb", 0.01, 0.001, 100.0)
    vague = Explanation("Pb", 0.2, 0.05, 16.0)
    sure = Explanation("quadratic", -0.066, 0.005, 180.0)
    assert told([small]) == told([vague]) == told([]) == ""
    assert "-0.066 ± 0.005 keV" in told([sure, small])
    assert "Pb" in told([sure, small])
    assert "Pb" not in told([sure, vague])


def test_elements_are_those_of_the_table():
    table = line_table()
    assert terms_of("both", ["Pb"], table) == Terms(False, True, True, ("Pb",))
    with pytest.raises(InputError, match=r"Bi is not in the line table; its elements are Cu, Cd"):
        terms_of("none", ["Bi"], table)
    with pytest.raises(InputError, match="two elements at least"):
        terms_of("none", sorted(set(table.element))[1:], table)


def response_with(value, err, nuisances=None):
    """A response whose lowest lines stand off as a bend at low energy would make them."""
    found = (Explanation("low", value, err, 1.0),)
    empty = empty_response(line_table(), EXPECTED)
    return replace(empty, explanations=found, nuisance_covariance=nuisances)


def test_a_bend_at_low_energy_is_uncertain_by_what_the_lowest_lines_say():
    """By quadrature over both explanations: no bend, or one of 0.3 keV; copper known to 20 eV."""
    for value, err in ((0.0, 0.001), (0.02, 0.001), (0.06, 0.003), (0.06, 0.03), (0.3, 0.01)):
        error = np.hypot(err, 0.02)
        bends = np.linspace(0.0, 1.5, 200_001)  # a bend has the sign that is found
        seen = np.exp(-0.5 * ((value - bends) / error) ** 2)
        prior = 2.0 * np.exp(-0.5 * (bends / 0.3) ** 2) / (0.3 * np.sqrt(2.0 * np.pi))
        step = bends[1]
        there, square = (seen * prior).sum() * step, (bends**2 * seen * prior).sum() * step
        expected = np.sqrt(square / (there + seen[0]))
        assert low_bend(response_with(value, err), line_table()) == pytest.approx(expected, rel=0.1)
    assert low_bend(empty_response(line_table(), EXPECTED), line_table()) == 0.0


def test_a_bend_at_low_energy_that_is_fitted_is_uncertain_by_its_error():
    elements = len(set(line_table().element))
    variances = np.arange(1.0, elements + 3) ** 2
    known = response_with(0.06, 0.003, np.diag(variances))
    assert low_bend(known, line_table()) == elements + 2
    fewer = response_with(0.3, 0.003, np.diag(variances[:-1]))
    assert low_bend(fewer, line_table()) == pytest.approx(0.3, rel=0.01)


def test_below_the_lines_energies_are_uncertain_by_a_bend_that_grows():
    """0.06 keV at copper is 0.17 keV at 4 keV, in quadrature with the allowance; no pixel has it by
    itself."""
    low = ENDS[0]
    known = Systematics(np.zeros((2, 3, 3)), None, ENDS, (0.02, 0.001), np.array([0.06, 0.0]))
    growing = 0.06 * np.exp((low - 4.0) / 4.0)
    allowance = 0.02 * (low - 4.0)
    expected = np.hypot(growing, allowance), allowance
    np.testing.assert_allclose(known.common_sigma(4.0), expected)
    np.testing.assert_allclose(known.sigma(4.0), expected)
    assert known.sigma(80.0)[0] < 1e-8
