"""The imperfections of a simulated camera, each against a closed form or a truth put in."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table
from helpers import cameras
from helpers.paths import PROJECT
from scipy import integrate, stats

from pixelcal.energy.simulation.detector import Detector, FlightDetector
from pixelcal.energy.simulation.imperfections import FLIGHT, IDEAL, PRESETS, Imperfections, combine
from pixelcal.energy.simulation.real_camera import (
    cumulative_rate,
    make_real_camera,
    pixel_spectrum,
    true_energy,
)
from pixelcal.energy.simulation.real_pixels import ELEMENTS, draw_pixels, module_of
from pixelcal.energy.simulation.real_response import (
    MU_TAU_ELECTRON,
    MU_TAU_HOLE,
    collection,
    depth_weights,
    response_cdf,
    response_tables,
    shipped_attenuation,
    shoulder_cdf,
    true_lines,
)

CHANNELS = np.arange(1025)
NOMINAL_KEV = cameras.NOMINAL_GAIN * CHANNELS + cameras.NOMINAL_OFFSET


def nominal_spectrum(own, detnum=0, edges=NOMINAL_KEV):
    """Rates of one pixel on the nominal axis, without what displaces channels."""
    pixels = draw_pixels([detnum], own, 1)
    return pixel_spectrum(edges, cumulative_rate(pixels, 0, response_tables(own)), pixels, 0, own)


def test_the_ideal_preset_is_the_ideal_camera():
    """Against the exact density; the misfit in 10 Ms is far below that of counting."""
    pixels = draw_pixels(np.arange(6), IDEAL, 3)
    for i in range(6):
        resolution = cameras.RESOLUTIONS[int(3 * pixels.resolution_draw[i])]
        exact = cameras.expected_spectrum(
            cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET, 1.0, pixels.efficiency[i], resolution
        )
        cumulative = cumulative_rate(pixels, i, response_tables(IDEAL))
        found = pixel_spectrum(NOMINAL_KEV, cumulative, pixels, i, IDEAL)
        assert 1e7 * np.sum((found - exact) ** 2 / np.maximum(exact, 1e-9)) < 50


def test_laws_of_the_flight_camera():
    flight, ideal = FlightDetector(), Detector()
    energy = np.array([0.0, 8.0, 60.0, 120.0])
    np.testing.assert_allclose(flight.sigma(energy)[[0, 2]], ideal.sigma(energy)[[0, 2]])
    assert flight.sigma(120.0) / ideal.sigma(120.0) == pytest.approx(1.06, abs=0.005)
    np.testing.assert_allclose(flight.tail_fraction(energy), 0.04 + 0.1 * energy / 100)
    np.testing.assert_allclose(flight.tail_mean(energy), 0.15 + 0.012 * energy)


def test_charge_collection_is_that_of_two_exponential_losses():
    """The Hecht relation against the integral of what is left of the charge along its way."""
    d, field = 0.1, 3000.0
    electron, hole = MU_TAU_ELECTRON * field, MU_TAU_HOLE * field

    def collected(z):
        left = integrate.quad(lambda s: np.exp(-s / electron), 0.0, d - z)[0]
        return (left + integrate.quad(lambda s: np.exp(-s / hole), 0.0, z)[0]) / d

    depths = np.array([0.0, 0.006, 0.03, 0.1])
    best = max(collected(z) for z in np.linspace(0.0, 0.02, 201))
    np.testing.assert_allclose(collection(depths), [collected(z) / best for z in depths], rtol=1e-6)
    assert collection(0.1, factor=2.0) < collection(0.1) < 1.0
    np.testing.assert_allclose(collection(depths, factor=1e-6), 1.0, atol=0.012)  # electrons


def test_depths_follow_the_attenuation():
    edges = np.linspace(0.0, 0.1, 4001)
    weights = depth_weights(np.array([8.0, 80.0]), edges, shipped_attenuation())
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    mean = weights @ ((edges[:-1] + edges[1:]) / 2)
    for at, energy in zip(mean, (8.0, 80.0), strict=True):
        mu = 5.85 * np.exp(np.interp(np.log(energy), *np.log(shipped_attenuation())))
        # the mean of an exponential cut at 0.1 cm
        assert at == pytest.approx(1 / mu - 0.1 / np.expm1(0.1 * mu), rel=0.01)


def test_trapping_by_depth_lowers_the_mean():
    """The mean of the measured energies is that of the collection over the depths."""
    energy, measured = np.array([80.0]), np.arange(40.0, 95.0, 0.01)
    cdf = response_cdf(measured, energy, energy, np.zeros(1), PRESETS["hecht"], 1.0, 1.0)[0]
    mean = measured[-1] - np.sum(cdf) * 0.01 + 0.005
    edges = np.linspace(0.0, 0.1, 2001)
    weights = depth_weights(energy, edges, shipped_attenuation())[0]
    exact = 80.0 * weights @ collection((edges[:-1] + edges[1:]) / 2)
    assert mean == pytest.approx(exact, abs=0.01)


def test_the_shoulder_of_shared_charge():
    stream = np.random.default_rng(1)
    n = 200_000
    drawn = 60.0 - 4.0 * stream.random(n) + 0.7 * stream.standard_normal(n)
    result = stats.kstest(drawn, lambda x: shoulder_cdf(x, 60.0, 0.7, 4.0))
    assert result.pvalue > 1e-3


def test_bends_add_what_they_say():
    assert true_energy(80.0, 0.3, 0.0) == pytest.approx(80.3)
    assert true_energy(40.0, 0.3, 0.0) == pytest.approx(40.075)
    assert true_energy(4.0, 0.0, -0.2) == pytest.approx(3.8)
    assert true_energy(12.0, 0.0, -0.2) == pytest.approx(12.0 - 0.2 * np.exp(-2))


@pytest.mark.parametrize("name", ["bend", "bend_pixels", "bend_low", "inl", "modules", "ideal"])
def test_positions_of_true_energies(name):
    """The true energy at the true position of an energy is that energy."""
    camera = make_real_camera(4, 1.0, 5, name)
    energies = np.array([4.0, 15.0, 80.0, 150.0])
    position = camera.position_true(energies)
    for i in range(4):
        inside = (position[:, i] >= 0) & (position[:, i] <= 1024)
        back = np.interp(position[inside, i], CHANNELS, camera.edges_keV[i])
        np.testing.assert_allclose(back, energies[inside], atol=1e-9)
    error = camera.energy_error(energies, camera.gain_true, camera.offset_true)
    if name in ("ideal", "modules"):
        np.testing.assert_allclose(error, 0.0, atol=1e-9)
    if name == "bend":
        np.testing.assert_allclose(error[2], -0.3, atol=0.003)
    if name == "inl":
        shift = camera.pixels.edge_shift[0]
        at = np.interp(position[2, 0], CHANNELS, shift)
        assert error[2, 0] == pytest.approx(-camera.gain_true[0] * at)


def test_the_random_walk_of_channel_edges():
    pixels = draw_pixels(np.arange(0, 6400, 5), PRESETS["inl"], 2)
    assert np.abs(pixels.edge_shift[:, [0, -1]]).max() < 1e-9
    # a bridge of 1024 steps of 0.05: half of it the module's, so few are independent
    middle = pixels.edge_shift[:, 512].std()
    assert middle == pytest.approx(0.05 * np.sqrt(1024) / 2, rel=0.15)


def test_differential_non_linearity_makes_channels_wide_and_narrow_in_turn():
    own = PRESETS["dnl"]
    pixels = draw_pixels(np.arange(6400), own, 2)
    first = np.unique(pixels.module, return_index=True)[1]
    width = 1.0 + np.diff(pixels.width_shift[first], axis=1)
    ratio = width[:, 0::2].mean(axis=1) / width[:, 1::2].mean(axis=1)
    np.testing.assert_allclose(np.abs(np.log(ratio)), 0.1, atol=0.02)
    odd = np.where(ratio > 1, 1, -1)[:, None] * 0.05 * (-1.0) ** np.arange(1024)
    assert (width - 1.0 - odd).std() == pytest.approx(0.05, rel=0.02)


def test_a_drift_parts_the_halves():
    """A line stands higher in the first half, when the gain is lower, by half of the drift."""
    drift = 0.02
    camera = make_real_camera(64, 3e5, 1, Imperfections(drift=drift))
    second = camera.counts - camera.first_half

    def lead(counts):
        channels = slice(440, 540)
        return np.sum(counts[:, channels] @ (CHANNELS[channels] + 0.5)) / counts[:, channels].sum()

    ideal = make_real_camera(64, 3e5, 1, IDEAL)
    same = lead(ideal.first_half) - lead(ideal.counts - ideal.first_half)
    assert abs(same) < 0.5
    assert lead(camera.first_half) - lead(second) > 3.0


def test_halves_without_drift_are_binomial():
    camera = make_real_camera(100, 3e4, 4, IDEAL)
    total, first = camera.counts.sum(), camera.first_half.sum()
    assert abs(first - total / 2) < 4 * np.sqrt(total) / 2
    assert (camera.first_half <= camera.counts).all()


@pytest.mark.parametrize("name", ["all", "ideal"])
def test_counts_are_those_expected(name):
    own = PRESETS[name]
    camera, tables = make_real_camera(20, 1e5, 9, own), response_tables(own)
    for i in range(20):
        place = CHANNELS + camera.pixels.edge_shift[i] + camera.pixels.width_shift[i]
        edges = camera.gain_true[i] * place + camera.offset_true[i]
        cumulative = cumulative_rate(camera.pixels, i, tables)
        expected = 1e5 * pixel_spectrum(edges, cumulative, camera.pixels, i, own)
        many = expected > 20
        chi_square = np.sum((camera.counts[i] - expected)[many] ** 2 / expected[many])
        assert stats.chi2.sf(chi_square, many.sum()) > 1e-5


def test_lines_that_the_table_lacks():
    names = true_lines(FLIGHT).elements
    assert {"Bi", "In", "Pb L"} <= set(names) <= set(ELEMENTS)
    extra = nominal_spectrum(PRESETS["bi30"]) - nominal_spectrum(IDEAL)
    efficiency = draw_pixels([0], IDEAL, 1).efficiency[0]
    assert extra.sum() == pytest.approx(0.3 * 0.024 * efficiency, rel=0.01)
    assert NOMINAL_KEV[np.argmax(extra)] == pytest.approx(77.1, abs=0.5)


def test_k_beta_2_and_widths():
    complete, table = (true_lines(PRESETS[name]) for name in ("kb2", "ideal"))
    new = set(complete.energy_keV) - set(table.energy_keV)
    assert new == {26.644, 31.704}
    widths = true_lines(PRESETS["widths"])
    lead = np.array(widths.elements)[widths.element] == "Pb"
    assert (widths.width_keV[lead] > 0.05).all()  # Campbell & Papp 2001: 60 to 70 eV


def test_shifted_lead():
    lines, moved = true_lines(IDEAL), true_lines(PRESETS["pb40"])
    lead = np.array(lines.elements)[lines.element] == "Pb"
    np.testing.assert_allclose(moved.energy_keV - lines.energy_keV, 0.04 * lead, atol=1e-12)


def test_a_soft_threshold_lets_half_pass():
    own = PRESETS["thresholds"]
    pixels = draw_pixels([3], own, 1)
    threshold = pixels.threshold_keV[0]
    assert 4.0 < threshold < 7.0
    edges = threshold + np.array([-3.0, -0.01, 0.01, 3.0, 3.02])
    cumulative = cumulative_rate(pixels, 0, response_tables(own))
    free = dataclasses.replace(own, threshold_sigma=0.0)
    low = dataclasses.replace(pixels, threshold_keV=np.zeros(1))
    passed = pixel_spectrum(edges, cumulative, pixels, 0, own)
    everything = pixel_spectrum(edges, cumulative, low, 0, free)
    assert passed[1] / everything[1] == pytest.approx(0.5, abs=0.01)
    assert passed[3] / everything[3] == pytest.approx(1.0, abs=1e-6)


def test_noise_has_its_rate_above_4_keV():
    own = PRESETS["noise"]
    pixels = draw_pixels(np.arange(6400), own, 1)
    assert abs(pixels.noisy.mean() - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 6400)
    i = int(np.flatnonzero(pixels.noisy)[0])
    cumulative = cumulative_rate(pixels, i, response_tables(own))
    quiet = dataclasses.replace(pixels, noisy=np.zeros(6400, bool))
    noise = pixel_spectrum(NOMINAL_KEV, cumulative, pixels, i, own)
    noise -= pixel_spectrum(NOMINAL_KEV, cumulative, quiet, i, own)
    assert noise.sum() == pytest.approx(pixels.noise_per_s[i])
    above_8 = noise[NOMINAL_KEV[:-1] > 8.0].sum() / noise.sum()
    assert above_8 == pytest.approx(np.exp(-4.0 / pixels.noise_scale_keV[i]), rel=0.2)


def test_a_pixel_does_not_know_who_else_is_drawn():
    few, many = draw_pixels(np.arange(20), FLIGHT, 7), draw_pixels(np.arange(2000), FLIGHT, 7)
    for field in dataclasses.fields(few):
        np.testing.assert_array_equal(getattr(few, field.name), getattr(many, field.name)[:20])


def test_a_switch_changes_nothing_else():
    without = dataclasses.replace(FLIGHT, tail_spread=0.0, noisy_fraction=0.0)
    whole, part = (draw_pixels(np.arange(100), own, 7) for own in (FLIGHT, without))
    for name in ("threshold_keV", "strength", "edge_shift", "efficiency", "sick"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(part, name))
    assert not part.noisy.any()


def test_modules_are_those_of_the_pixel_map():
    table = Table.read(
        PROJECT / "resources" / "eclairs_pixels.csv", comment="#", format="ascii.csv"
    )
    pixels = draw_pixels(np.asarray(table["DETNUM"]), IDEAL, 1)
    for name in ("x", "y", "module"):
        np.testing.assert_array_equal(getattr(pixels, name), table[name.upper()])
    np.testing.assert_array_equal(module_of(pixels.x, pixels.y), pixels.module)


def test_pixels_differ_by_as_much_as_they_should():
    pixels = draw_pixels(np.arange(6400), FLIGHT, 1)
    assert abs(pixels.sick.mean() - 0.03) < 4 * np.sqrt(0.03 * 0.97 / 6400)
    well = ~pixels.sick
    centre = well & (np.abs(pixels.x - 39.5) < 4)
    assert np.log(pixels.tail_factor[centre]).std() == pytest.approx(0.3, rel=0.1)
    assert np.median(pixels.tail_factor[pixels.sick]) == pytest.approx(3.0, rel=0.15)
    spread = np.log(pixels.strength).std(axis=0)
    # modules are few: 200
    assert np.mean(spread) == pytest.approx(0.3, rel=0.1)


def test_presets_are_combined_by_name():
    both = combine("law+bend")
    assert both.law and both.bend_keV == PRESETS["bend"].bend_keV
    assert combine("ideal") == IDEAL
