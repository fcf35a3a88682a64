"""The simulated background against the papers' formulae and closed forms."""

import numpy as np
import pytest
from helpers.paths import RESOURCES
from scipy import integrate

from pixelcal.energy.lines import read_line_table
from pixelcal.energy.simulation.background import (
    ENERGY_GRID_KEV,
    cdte_efficiency,
    cosmic_background,
    earth_albedo,
    make_background,
    read_attenuation,
    spectrum_table,
)

RATES = {"cxb": 0.3, "internal": 0.05, "albedo": 0.1}
LINE_RATES = {"Cu": 0.01, "W": 0.02}


@pytest.fixture(scope="module")
def attenuation():
    return read_attenuation(RESOURCES / "attenuation" / "cdte.csv")


@pytest.fixture(scope="module")
def background(attenuation):
    table = read_line_table(RESOURCES / "lines" / "all_blocks.csv")
    return make_background(table, LINE_RATES, RATES, attenuation)


def test_cosmic_background_energy_flux():
    """The 20 to 50 keV flux is the HEAO-1 value that later missions compare with.

    Churazov et al. 2007 (A&A 467, 529, table 2) quote 6.06e-8 erg/(cm2 s sr) for this formula.
    """
    per_keV, _ = integrate.quad(lambda e: e * cosmic_background(e), 20, 50)
    assert per_keV * 1.602177e-9 == pytest.approx(6.06e-8, rel=0.01)


def test_cosmic_background_is_continuous_at_60_keV():
    below, above = cosmic_background(np.array([59.999, 60.001]))
    assert below == pytest.approx(above, rel=0.01)


def test_earth_albedo_slopes():
    """Power laws of index +5 and -1.4 far from the bend at 44 keV."""
    for energy, slope in ((2.0, 5.0), (2000.0, -1.4)):
        pair = earth_albedo(np.array([energy, 1.01 * energy]))
        assert np.log(pair[1] / pair[0]) / np.log(1.01) == pytest.approx(slope, abs=0.01)


def test_efficiency_of_one_millimetre(attenuation):
    """Opaque at 20 keV; at 100 keV the absorption length is about 1 mm."""
    efficiency = cdte_efficiency(np.array([20.0, 60.0, 100.0, 150.0]), attenuation)
    assert efficiency[0] > 0.999
    assert np.all(np.diff(efficiency) < 0)
    assert efficiency[2] == pytest.approx(0.6, abs=0.05)


def test_rates_are_those_asked_for(background):
    centres = (ENERGY_GRID_KEV[:-1] + ENERGY_GRID_KEV[1:]) / 2
    band = (centres > 4) & (centres < 150)
    np.testing.assert_allclose(
        background.continuum_per_s[:, band].sum(axis=1), list(RATES.values()), rtol=1e-12
    )
    for element, rate in LINE_RATES.items():
        lines = [name.startswith(element + " ") for name in background.line_name]
        assert background.line_per_s[lines].sum() == pytest.approx(rate, rel=1e-12)
    assert not any(name.startswith("Pb") for name in background.line_name)


def test_line_ratios_carry_the_efficiency(background, attenuation):
    at = {name: i for i, name in enumerate(background.line_name)}
    alpha, beta = at["W Ka1"], at["W Kb1"]
    efficiency = cdte_efficiency(background.line_energy_keV[[alpha, beta]], attenuation)
    expected = 0.109 / 0.501 * efficiency[1] / efficiency[0]
    assert background.line_per_s[beta] / background.line_per_s[alpha] == pytest.approx(expected)


def test_earth_in_the_field_takes_the_sky_away(background):
    free, full = background.rates_per_s(0.0), background.rates_per_s(1.0)
    assert free[0] > 0 and free[3] == 0
    assert full[0] == 0 and full[3] > 0
    assert free[1] == full[1]
    assert full[2] == pytest.approx(free[2] / 2)


def test_undistributed_spectrum_sums_up(background):
    rows, name, units, cards = spectrum_table(background, 100.0)
    assert name == "UNDISTRIBUTED" and units["E_MIN"] == "keV"
    np.testing.assert_allclose(
        rows["COUNTS"], rows["CXB"] + rows["INTERNAL"] + rows["LINES"], rtol=1e-12
    )
    assert rows["LINES"].sum() == pytest.approx(100.0 * sum(LINE_RATES.values()))
    peak = rows["E_MIN"][np.argmax(rows["LINES"])]
    assert peak < 59.319 < peak + 0.021 or peak < 8.0478 < peak + 0.021
