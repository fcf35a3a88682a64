"""Natural widths and energy errors of lines, against scipy and against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED
from scipy.special import voigt_profile

from pixelcal.energy.fit.block_agreement import BlockAgreement, systematic_covariance
from pixelcal.energy.lines import elements_of, read_line_table
from pixelcal.energy.response.energy_scale import element_energy_sigma, systematic_sigma
from pixelcal.energy.response.io import read_response, write_response
from pixelcal.energy.response.line_shape import escape_peaks, line_cdf, line_pdf
from pixelcal.energy.response.misfit import no_misfit
from pixelcal.energy.response.model import empty_response, series_of_lines
from pixelcal.energy.response.tables import make_templates
from pixelcal.errors import InputError

CORE = replace(EXPECTED, tail_60=0.0)
SHAPE = EXPECTED


@pytest.mark.parametrize("width", [0.002, 0.015, 0.067, 0.106, 0.2])
def test_profile_is_voigt(width):
    energy, at = 75.0, np.linspace(69.0, 81.0, 2401)
    voigt = voigt_profile(at - energy, float(CORE.sigma(energy)), width / 2)
    density = line_pdf(CORE, [energy], at, width=[width])[0]
    assert np.abs(density - voigt).max() < 5e-4 * voigt.max()
    cumulative = line_cdf(CORE, [energy], at, width=[width])[0]
    exact = np.concatenate([[0.0], np.cumsum((voigt[1:] + voigt[:-1]) / 2) * (at[1] - at[0])])
    exact += 0.5 - exact[len(at) // 2]
    assert np.abs(cumulative - exact).max() < 3e-4


def test_width_matters():
    """Without it the wing of lead K 2.5 keV off the line is far too low."""
    at = np.array([77.5])
    sharp, wide = (line_pdf(CORE, [75.0], at, width=[w])[0, 0] for w in (0.0, 0.067))
    voigt = voigt_profile(2.5, float(CORE.sigma(75.0)), 0.0335)
    assert wide == pytest.approx(voigt, rel=0.1) and sharp < 0.5 * voigt


def test_area_is_one_with_a_tail():
    far = np.array([-1e5, 1e5])
    area = np.diff(line_cdf(SHAPE, [75.0, 8.0], far, width=[0.067, 0.0]), axis=1)
    np.testing.assert_allclose(area, 1.0, atol=1e-6)


def test_density_is_the_derivative():
    at, h = np.linspace(68.0, 80.0, 41), 1e-4
    rise = np.subtract(*(line_cdf(SHAPE, [75.0], at + s * h, width=[0.067]) for s in (1, -1)))
    np.testing.assert_allclose(
        rise / (2 * h), line_pdf(SHAPE, [75.0], at, width=[0.067]), rtol=1e-5, atol=1e-8
    )


def test_without_width_the_bits_are_the_same():
    at, energy = np.linspace(50.0, 90.0, 401), np.array([57.5, 75.0])
    for profile in (line_cdf, line_pdf, escape_peaks):
        plain = profile(SHAPE, energy, at)
        assert (profile(SHAPE, energy, at, width=np.zeros(2)) == plain).all()
        one = profile(SHAPE, energy, at, width=np.array([0.0, 0.067]))
        assert (one[0] == plain[0]).all() and (one[1] != plain[1]).any()


def test_templates_hold_the_width():
    table = cameras.line_table()
    response = replace(empty_response(table, shape=EXPECTED), line_strength=np.ones(table.n_lines))
    plain = make_templates(response, table)
    wide = make_templates(response, replace(table, width_keV=np.full(table.n_lines, 0.06)))
    moved = np.abs(wide.group - plain.group).max(axis=(1, 2, 3))
    assert np.all(moved > 1e-3)


def test_response_of_other_widths_is_refused(tmp_path):
    table = cameras.line_table()
    wide = replace(table, width_keV=np.full(table.n_lines, 0.06))
    path = tmp_path / "response.fits"
    write_response(path, empty_response(wide, shape=EXPECTED), wide, [], None)
    read_response(path, wide)
    with pytest.raises(InputError, match="other natural widths"):
        read_response(path, table)


# --- energy errors -------------------------------------------------------------------------------


def stated(table, **errors):
    """The table with the errors (keV) of the lines of some elements."""
    values = np.array([errors.get(element, np.nan) for element in table.element])
    return replace(table, energy_err_keV=values)


def test_sigma_of_an_element_is_the_weighted_mean_square():
    table = cameras.line_table()
    errors = np.full(table.n_lines, np.nan)
    lead = np.flatnonzero(np.array(table.element) == "Pb")
    errors[lead[:2]] = 0.04, 0.0  # the others: the default
    names, _ = elements_of(table)
    sigma = element_energy_sigma(replace(table, energy_err_keV=errors))
    squares = np.array([0.04**2, 0.0, *[0.02**2] * (len(lead) - 2)])
    weights = table.intensity[lead]
    expected = np.sqrt(weights @ squares / weights.sum())
    assert sigma[names.index("Pb")] == pytest.approx(expected, rel=1e-4)
    others = [k for k, name in enumerate(names) if name != "Pb"]
    assert (sigma[others] == 0.02).all()


def test_lead_known_to_40_eV_makes_80_keV_less_certain():
    """Lead fills its blocks alone: its energies move the relation by the levers of those blocks."""
    table = cameras.line_table()
    response = replace(
        empty_response(table, shape=EXPECTED),
        line_strength=table.intensity,
        scale_covariance=np.diag([1e-10, 1e-6]),
    )
    lever = np.array([[-4e-3, 0.5], [-8e-3, 0.6], [2e-3, -0.1], [6e-3, -0.3], [3e-3, -0.2]])
    agreement = BlockAgreement(np.zeros(5), np.ones(5), lever, no_misfit(5), *np.ones((2, 1, 5)))
    off_at_80 = {
        name: lever[[table.block_names.index(b) for b in blocks]].sum(axis=0) @ [80.0, 1.0]
        for name, blocks in {"Pb": ("lead-alpha", "lead-beta"), "Cu": ("copper",)}.items()
    }
    variance = {
        error: systematic_sigma(80.0, systematic_covariance(agreement, response, t)) ** 2
        for error, t in {0.02: table, 0.04: stated(table, Pb=0.04)}.items()
    }
    expected = off_at_80["Pb"] ** 2 * (0.04**2 - 0.02**2)
    assert variance[0.04] - variance[0.02] == pytest.approx(expected, rel=1e-9)
    both = stated(table, Pb=0.02, Cu=0.001)
    less = systematic_sigma(80.0, systematic_covariance(agreement, response, both)) ** 2
    change = off_at_80["Cu"] ** 2 * (0.001**2 - 0.02**2)
    assert less - variance[0.02] == pytest.approx(change, rel=1e-6)


# --- series --------------------------------------------------------------------------------------


def test_series_of_gammas_and_of_l_lines():
    table = read_line_table(cameras.LINE_TABLE.with_name("ba133.csv"))
    names, index = series_of_lines(table)
    series = [names[k] for k in index]
    assert series[:5] == ["Cs Ka", "Cs Ka", "Cs Kb", "Cs Kb", "Cs Kb"]
    assert series[5:] == ["Ba-133 g53", "Ba-133 ga", "Ba-133 ga"]
    table = read_line_table(cameras.LINE_TABLE.with_name("am241.csv"))
    names, index = series_of_lines(table)
    series = dict(zip(table.transition, (names[k] for k in index), strict=True))
    assert series["Ll"] == series["La1"] == series["Lb2,15"] == "Np L3"
    assert series["Ln"] == series["Lb1"] == series["Lg1"] == "Np L2"
    assert series["Lb3"] == series["Lg2"] == "Np L1" and series["g60"] == "Am-241 g60"
