"""The channel-energy relation against closed forms and against sampling."""

import re

import numpy as np
import pytest
from helpers.instruments import REQUIREMENT
from helpers.paths import PROJECT
from scipy.stats import kstest

from pixelcal.energy import relation
from pixelcal.energy.fit.columns import FIT_DTYPE, FIT_UNITS, empty_fits
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.truth import inject_errors
from pixelcal.numerics.random import pixel_stream
from pixelcal.status import EnergyStatus, has_valid_fit

GAIN, OFFSET = 0.145, 3.0
ENERGIES = np.array(REQUIREMENT.energies_keV)
COVARIANCE = np.array([[1.0e-8, -0.92 * 1.0e-4 * 0.04], [-0.92 * 1.0e-4 * 0.04, 0.04**2]])
"""Of (gain, offset), correlated as an extrapolation to channel 0 makes them."""


def errors_of(covariance):
    return np.sqrt(covariance[0, 0]), np.sqrt(covariance[1, 1]), covariance[0, 1]


# --- closed forms --------------------------------------------------------------------------------


def test_offset_is_the_lower_edge_of_channel_0():
    assert relation.position(OFFSET, GAIN, OFFSET) == 0
    assert relation.position(OFFSET + 0.5 * GAIN, GAIN, OFFSET) == pytest.approx(0.5)
    assert relation.position(OFFSET + 1024 * GAIN, GAIN, OFFSET) == pytest.approx(1024)


def test_position_broadcasts_energies_against_pixels():
    gain = np.array([0.14, 0.145, 0.15])
    x = relation.position(ENERGIES[:, None], gain, OFFSET)
    assert x.shape == (5, 3)
    np.testing.assert_allclose(x * gain + OFFSET, np.repeat(ENERGIES[:, None], 3, axis=1))


def test_energy_error_of_an_offset_alone_is_the_same_everywhere():
    error = relation.energy_error(ENERGIES, GAIN, OFFSET + 0.2, GAIN, OFFSET)
    np.testing.assert_allclose(error, 0.2)


def test_energy_error_of_a_gain_alone_grows_from_channel_0():
    error = relation.energy_error(ENERGIES, GAIN * 1.01, OFFSET, GAIN, OFFSET)
    np.testing.assert_allclose(error, 0.01 * (ENERGIES - OFFSET))


def test_energy_error_keeps_its_sign_where_gain_and_offset_compensate():
    """A line that turns about 50 keV: no error there, opposite signs on the two sides."""
    gain = GAIN * 1.004
    offset = 50.0 - gain * relation.position(50.0, GAIN, OFFSET)
    below, pivot, above = relation.energy_error(
        np.array([20.0, 50.0, 80.0]), gain, offset, GAIN, OFFSET
    )
    assert pivot == pytest.approx(0, abs=1e-12)
    assert below == pytest.approx(-0.004 * 30) and above == pytest.approx(0.004 * 30)


def test_no_answer_has_no_error():
    assert np.isnan(relation.energy_error(50.0, np.nan, np.nan, GAIN, OFFSET))


def test_requirement_changes_above_80_keV():
    np.testing.assert_array_equal(
        requirement_keV([4.0, 79.9, 80.0, 80.1, 150.0], requirement=REQUIREMENT),
        [0.3, 0.3, 0.3, 0.5, 0.5],
    )


def test_pivot_energy_is_where_sigma_is_smallest_and_gain_uncorrelated():
    gain_err, offset_err, cov = errors_of(COVARIANCE)
    pivot = relation.pivot_energy(GAIN, OFFSET, gain_err, cov)
    at = relation.energy_sigma(pivot, GAIN, OFFSET, gain_err, offset_err, cov)
    # The variance of what the gain does not explain.
    assert at == pytest.approx(offset_err * np.sqrt(1 - 0.92**2))
    away = pivot + np.array([-30.0, -1.0, 1.0, 30.0])
    assert np.all(relation.energy_sigma(away, GAIN, OFFSET, gain_err, offset_err, cov) > at)
    x = relation.position(pivot, GAIN, OFFSET)
    assert x * gain_err**2 + cov == pytest.approx(0, abs=1e-12)


def test_sigma_without_correlation_adds_in_quadrature():
    sigma = relation.energy_sigma(OFFSET + 300 * GAIN, GAIN, OFFSET, 1e-4, 0.04, 0.0)
    assert sigma == pytest.approx(np.hypot(300 * 1e-4, 0.04))


# --- sampling ------------------------------------------------------------------------------------


def test_sigma_is_the_scatter_of_sampled_relations():
    n = 200_000
    rng = np.random.default_rng(20)
    gain, offset = rng.multivariate_normal([GAIN, OFFSET], COVARIANCE, n).T
    scatter = relation.energy_error(ENERGIES[:, None], gain, offset, GAIN, OFFSET).std(axis=1)
    sigma = relation.energy_sigma(ENERGIES, GAIN, OFFSET, *errors_of(COVARIANCE))
    np.testing.assert_allclose(scatter, sigma, rtol=4 / np.sqrt(2 * n))


# --- rows of a fit -------------------------------------------------------------------------------


def test_status_bits_are_those_that_the_docs_promise():
    """Numbers, names, and which of them mean that there is no relation."""
    page = (PROJECT / "docs" / "products.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|.*\| (yes|no) \|$", page, re.MULTILINE)
    assert {name: int(bit) for bit, name, _ in rows} == {bit.name: bit for bit in EnergyStatus}
    valid = has_valid_fit([int(bit) for bit, *_ in rows])
    assert valid.tolist() == [answer == "yes" for *_, answer in rows]
    assert has_valid_fit(0)


def test_empty_fits_have_no_answer():
    rows = empty_fits(np.array([5, 6399]))
    assert rows.dtype == FIT_DTYPE and list(rows["DETNUM"]) == [5, 6399]
    for name in FIT_DTYPE.names:
        if FIT_DTYPE[name].kind == "f":
            assert np.all(np.isnan(rows[name]))
        elif name != "DETNUM":
            assert not np.any(rows[name])
    assert set(FIT_UNITS) <= set(FIT_DTYPE.names)
    assert len(empty_fits([])) == 0


# --- random streams ------------------------------------------------------------------------------


def test_a_stream_belongs_to_seed_label_and_pixel():
    def draw(*key):
        return tuple(pixel_stream(*key).integers(0, 2**63, 4))

    keys = [(1, "10ks", 17), (2, "10ks", 17), (1, "3ks", 17), (1, "10ks", 18), (17, "10ks", 1)]
    assert draw(*keys[0]) == draw(*keys[0])
    assert len({draw(*key) for key in keys}) == len(keys)


def inject(detnum, exposure="10ks", seed=1):
    return inject_errors(detnum, GAIN, OFFSET, 0.003, 0.1, seed, exposure)


@pytest.mark.parametrize("detnum", [[17], range(64), [6399, 17, 0], np.arange(10, 20, dtype="i2")])
def test_pixel_17_is_the_same_in_any_selection(detnum):
    everything = inject(np.arange(6400))
    some = inject(detnum)
    for whole, part in zip(everything, some, strict=True):
        np.testing.assert_array_equal(part, whole[list(detnum)])


def test_no_pixels_no_errors():
    gain, offset = inject([])
    assert gain.shape == offset.shape == (0,)


def test_exposures_and_seeds_are_drawn_apart():
    n = 2000
    first = inject(range(n))[0]
    for other in (inject(range(n), exposure="3ks")[0], inject(range(n), seed=2)[0]):
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(n)


def test_injected_errors_are_normal_and_independent():
    n = 6400
    prior_gain = np.linspace(0.14, 0.15, n)
    gain, offset = inject_errors(range(n), prior_gain, OFFSET, 0.003, 0.1, 1, "10ks")
    draws = (gain / prior_gain - 1) / 0.003, (offset - OFFSET) / 0.1
    for draw in draws:
        assert abs(draw.mean()) < 4 / np.sqrt(n)
        assert abs(draw.std() - 1) < 4 / np.sqrt(2 * n)
        assert kstest(draw, "norm").pvalue > 1e-3
    # Gain and offset of a pixel, and pixels next to each other, know nothing of each other.
    assert abs(np.corrcoef(*draws)[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(draws[0][1:], draws[0][:-1])[0, 1]) < 4 / np.sqrt(n)


def test_nothing_to_inject_leaves_the_prior():
    gain, offset = inject_errors([3, 4], GAIN, OFFSET, 0.0, 0.0, 1, "10ks")
    np.testing.assert_array_equal(gain, GAIN)
    np.testing.assert_array_equal(offset, OFFSET)
