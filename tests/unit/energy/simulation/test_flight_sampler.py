"""Events of the flight camera against its exact density, and the truth that is kept of it."""

import dataclasses

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import GRID
from scipy import stats

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.simulation.detector import ESCAPES, FlightDetector
from pixelcal.energy.simulation.flight_sampler import (
    NOISE_PROCESS,
    ChannelAxis,
    FlightSampler,
    channel_of,
    displaced_position,
    nominal_axis,
)
from pixelcal.energy.simulation.imperfections import FLIGHT
from pixelcal.energy.simulation.orbit import Segment
from pixelcal.energy.simulation.real_camera import cumulative_rate, pixel_spectrum
from pixelcal.energy.simulation.real_pixels import draw_pixels
from pixelcal.energy.simulation.real_response import (
    response_cdf,
    response_tables,
    shipped_attenuation,
    true_lines,
)
from pixelcal.energy.simulation.sampler import PixelProperties, with_neighbours
from pixelcal.energy.simulation.simulated_camera import flight_camera
from pixelcal.io.resources import RESOURCES

SEGMENT = Segment(100.0, 5100.0, 0.0)
STEADY = dataclasses.replace(FLIGHT, drift=0.0)
N_PIXELS = 6400


def flight_background(own):
    lines = true_lines(own)
    background = dataclasses.replace(
        cameras.background(),
        line_energy_keV=lines.energy_keV,
        line_per_s=lines.rate_per_s,
        line_name=tuple(lines.elements[k] for k in lines.element),
    )
    return lines, background


def sampler(wanted, own=STEADY, axis=None, multiple_fraction=0.0, alive=None, seed=1):
    everyone = with_neighbours(wanted, grid=GRID)
    on = np.ones(len(everyone)) if alive is None else np.isin(everyone, alive).astype(float)
    pixels = PixelProperties(everyone, on, np.ones(len(everyone)))
    lines, background = flight_background(own)
    return FlightSampler(
        pixels, draw_pixels(everyone, own, seed), wanted, background, lines, FlightDetector(), own,
        axis or nominal_axis(N_PIXELS), multiple_fraction, seed, GRID, SEGMENT[:2],
    )  # fmt: skip


@pytest.fixture(scope="module")
def events():
    return sampler(np.arange(160)).sample(SEGMENT)


def expected_rates(i, special, energies, own=STEADY):
    """Rates of pixel `i` between energies that the straight relation gives."""
    special = dataclasses.replace(special, resolution_draw=np.full(len(special.x), 0.5))
    efficiency = dataclasses.replace(special, efficiency=np.ones(len(special.x)))
    x = (energies - cameras.NOMINAL_OFFSET) / cameras.NOMINAL_GAIN
    x = x + np.interp(x, np.arange(1025), special.edge_shift[i])
    edges = cameras.NOMINAL_GAIN * x + cameras.NOMINAL_OFFSET
    cumulative = cumulative_rate(special, i, response_tables(own))
    return pixel_spectrum(edges, cumulative, efficiency, i, own)


def test_events_follow_the_exact_density(events):
    """Photon by photon against the tables: lines, tails, thresholds, noise and the channel axis."""
    special = draw_pixels(np.arange(160), STEADY, 1)
    edges = np.arange(4.0, 146.0, 0.1)
    duration = SEGMENT.stop - SEGMENT.start
    expected = duration * sum(expected_rates(i, special, edges) for i in range(160))
    expected = np.add.reduceat(expected, np.arange(0, len(expected), 4))
    counts, _ = np.histogram(events["energy"], edges[::4])
    expected = expected[: len(counts)]
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert stats.chi2.sf(chi_square, len(counts)) > 1e-3
    assert counts.sum() > 200_000


def test_one_line_has_its_profile():
    """Half a million photons of one energy against the exact profile of their pixel."""
    own = dataclasses.replace(STEADY, inl_channels=0.0, noisy_fraction=0.0, natural_widths=False)
    lines, background = flight_background(own)
    lead = int(np.argmin(np.abs(lines.energy_keV - 74.97)))
    alone = np.where(np.arange(len(lines.energy_keV)) == lead, 1.0, 0.0)
    background = dataclasses.replace(
        background, continuum_per_s=0 * background.continuum_per_s, line_per_s=alone
    )
    special = draw_pixels([17], own, 1)
    pixels = PixelProperties(np.array([17]), np.full(1, 100.0), np.ones(1))
    camera = FlightSampler(
        pixels, special, [17], background, lines, FlightDetector(), own, nominal_axis(N_PIXELS),
        0.0, 1, GRID, SEGMENT[:2],
    )  # fmt: skip
    found = camera.sample(SEGMENT)["energy"].astype(float)
    energy = np.array([lines.energy_keV[lead]])
    fractions = FlightDetector().escape_fractions(energy)[:, 0]
    deposits = [(energy, 1.0 - fractions.sum())]
    deposits += [(energy - e.lost_keV, f) for e, f in zip(ESCAPES, fractions, strict=True)]

    def cdf(measured):
        nodes = np.arange(10.0, 85.0, 0.02)
        factor = special.tail_factor[0]
        below = sum(
            weight * response_cdf(nodes, energy, at, np.zeros(1), own, 1.0, factor)[0]
            for at, weight in deposits
        )
        return np.interp(measured, nodes, below)

    assert len(found) > 400_000
    assert stats.kstest(found, cdf).pvalue > 1e-3


def test_each_pixel_counts_what_it_should(events):
    """Its threshold, noise and strengths are its own."""
    special = draw_pixels(np.arange(160), STEADY, 1)
    edges = np.arange(1.5, 162.0, 0.02)
    counts = np.bincount(events["DETNUM"], minlength=160)
    for i in range(160):
        expected = 5000.0 * expected_rates(i, special, edges).sum()
        assert abs(counts[i] - expected) < 5 * np.sqrt(expected)


def test_noise_is_marked(events):
    special = draw_pixels(np.arange(160), STEADY, 1)
    noise = events[events["procID"] == NOISE_PROCESS + 1]
    assert set(np.unique(noise["DETNUM"])) <= set(np.flatnonzero(special.noisy))
    assert np.quantile(noise["energy"], 0.99) < 12.0


def test_a_pixel_does_not_know_who_else_is_simulated():
    among = sampler(np.arange(100), multiple_fraction=0.2).sample(SEGMENT)
    alone = sampler(np.array([17]), multiple_fraction=0.2).sample(SEGMENT)
    np.testing.assert_array_equal(alone, among[among["DETNUM"] == 17])


def test_a_part_below_the_threshold_leaves_a_single_event():
    """Shared photons of one pixel: the pair, or the part that passes; nothing else."""
    middle = 4040
    own = dataclasses.replace(STEADY, threshold=(7.0, 7.0), sharing=0.0, noisy_fraction=0.0)
    wanted = with_neighbours([middle], grid=GRID)
    found = sampler(wanted, own, multiple_fraction=0.999, alive=[middle]).sample(SEGMENT)
    beside = found[found["DETNUM"] != middle]
    assert (found["energy"] > 5.0).all()
    assert set(np.unique(beside["effMult"])) == {1, 2}
    pairs = found[found["effMult"] == 2]
    assert len(pairs) % 2 == 0
    times, number = np.unique(pairs["TIME"], return_counts=True)
    assert np.mean(number == 2) > 0.99


def test_a_drift_moves_a_line():
    """In the last fifth of the time the gain is higher than in the first: energies are lower."""
    own = dataclasses.replace(STEADY, drift=0.02)
    found = sampler(np.arange(160), own).sample(SEGMENT)
    energies, time = found["energy"].astype(float), found["TIME"]
    tungsten = np.abs(energies - 59.3) < 1.5
    first, last = time < 1100.0, time > 4100.0
    moved = np.median(energies[tungsten & first]) - np.median(energies[tungsten & last])
    # +-1.6 % of 56.3 keV above the offset, less for the edges of the window and the continuum
    assert 0.3 < moved < 1.9


def test_displaced_positions_are_the_inverse():
    stream = np.random.default_rng(1)
    shift = draw_pixels(np.arange(10), FLIGHT, 1).edge_shift
    x, row = 1024 * stream.random(1000), stream.integers(0, 10, 1000)
    straight = x + [np.interp(a, np.arange(1025), shift[r]) for a, r in zip(x, row, strict=True)]
    np.testing.assert_allclose(displaced_position(straight, row, shift), x, atol=1e-4)


def test_channels_with_displaced_edges():
    shift = draw_pixels(np.arange(10), dataclasses.replace(FLIGHT, dnl=0.05), 1).width_shift
    stream = np.random.default_rng(2)
    x, row = 1 + 1022 * stream.random(10_000), stream.integers(0, 10, 10_000)
    edges = np.arange(1025) + shift
    exact = [np.searchsorted(edges[r], a, side="right") - 1 for a, r in zip(x, row, strict=True)]
    np.testing.assert_array_equal(channel_of(x, row, shift), exact)


def test_a_channel_axis_gives_the_middle_of_channels():
    gain, offset = np.full(N_PIXELS, 0.15), np.full(N_PIXELS, 2.5)
    found = sampler(np.arange(5), axis=ChannelAxis(gain, offset, True)).sample(SEGMENT)
    channel = (found["energy"].astype(float) - 2.5) / 0.15
    np.testing.assert_allclose(channel % 1.0, 0.5, atol=1e-3)


def test_the_truth_of_each_pixel():
    settings = {
        "seed": 3,
        "line_rates_per_s": cameras.LINE_RATES,
        "continuum_rates_per_s": cameras.CONTINUUM_RATES,
        "fwhm_keV": {"at_0": 1.1, "at_60": 1.6},
        "tail": {"fraction_60": 0.12, "scale": 0.04},
        "escape_fraction": 0.03,
        "spread": {"efficiency": 0.05, "resolution": 0.05},
        "dead_fraction": 0.0,
        "multiple_fraction": 0.1,
    }
    wanted, axis = np.arange(80, 120), nominal_axis(N_PIXELS)
    catalogue = read_catalogue(RESOURCES / "lines" / "materials.csv")
    camera = flight_camera(
        settings, wanted, GRID, cameras.line_table(), shipped_attenuation(), catalogue, axis,
        (0.0, 1.0), (4.0, 80.0),
    )  # fmt: skip
    truth, special = camera.truth, draw_pixels(wanted, FLIGHT, 3)
    np.testing.assert_array_equal(truth["DETNUM"], wanted)
    np.testing.assert_array_equal(truth["THRESHOLD"], special.threshold_keV)
    np.testing.assert_array_equal(truth["NOISE_RATE"] > 0, special.noisy)
    np.testing.assert_array_equal(truth["STRENGTH_PB"], special.strength[:, 5])
    straight = (80.0 - cameras.NOMINAL_OFFSET) / cameras.NOMINAL_GAIN
    x = straight + np.asarray(truth["SHIFT_80"]) / cameras.NOMINAL_GAIN
    shift = [np.interp(a, np.arange(1025), b) for a, b in zip(x, special.edge_shift, strict=True)]
    np.testing.assert_allclose(x + shift, straight, atol=1e-4)
    assert camera.processes[-1] == "NOISE"
