"""Channels of unequal width told from lines: sums of known models, and cameras with the truth."""

from functools import lru_cache

import numpy as np
import pytest
from astropy.table import Table
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy.stats import norm

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.columns import residual_rows
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_with_residuals
from pixelcal.energy.results import adequacy
from pixelcal.energy.results.adequacy_files import adequacy_numbers, residual_hdus
from pixelcal.energy.results.channels.widths import compare_channels
from pixelcal.energy.simulation.imperfections import combine
from pixelcal.energy.simulation.real_camera import make_real_camera
from pixelcal.io.resources import RESOURCES

TABLE = cameras.line_table()
BINS = adequacy.bins_of(TABLE.block_limits_keV)
CATALOGUE = read_catalogue(RESOURCES / "lines" / "materials.csv")
N, N_CHANNELS, N_MODULES = 160, 1024, 5
MODULE = np.arange(N) % N_MODULES
ENERGIES_KEV = (4.0, 15.0, 50.0, 80.0, 150.0)


@lru_cache
def model(counts_per_channel=20.0):
    """Relations that differ, and expected counts (N, 1024): a flat continuum in the blocks."""
    rng = np.random.default_rng(1)
    gain = cameras.NOMINAL_GAIN * (1.0 + 0.003 * rng.standard_normal(N))
    offset = cameras.NOMINAL_OFFSET + 0.1 * rng.standard_normal(N)
    energy = gain[:, None] * (np.arange(N_CHANNELS) + 0.5) + offset[:, None]
    inside = np.zeros(energy.shape, bool)
    for low, high in TABLE.block_limits_keV:
        inside |= (energy > low + 0.2) & (energy < high - 0.2)
    return gain, offset, energy, np.where(inside, counts_per_channel, 0.0)


def compared(factor, seed, brighter=1.0):
    """What is found where the truth is `factor` (N, 1024) times the model, of brighter pixels."""
    gain, offset, _, known = model()
    expected = brighter * known
    counts = np.random.default_rng(seed).poisson(expected * factor)
    return compare_channels(counts, expected, gain, offset, MODULE, BINS)


def test_a_right_model_has_no_unequal_channels():
    """Of 400 models none, where 4 sigma pass 3 of 100 000; their sigma is a normal one or less."""
    found = [compared(1.0, seed) for seed in range(400)]
    for which in ("camera", "modules"):
        sigma = np.array([getattr(one, which).sigma for one in found])
        assert not any(getattr(one, which).is_clear for one in found)
        assert abs(sigma.mean()) < 4.0 / np.sqrt(len(sigma))
        assert sigma.std() < 1.0 + 4.0 / np.sqrt(2 * len(sigma))


@pytest.mark.parametrize("size", [0.03, 0.1])
def test_widths_of_all_pixels_are_found_with_their_size(size):
    """Random widths; their rms to what 340 of them and the counts leave of it."""
    widths = size * np.random.default_rng(2).standard_normal(N_CHANNELS)
    found = compared(1.0 + widths, 3)
    assert found.camera.is_clear and not found.modules.is_clear
    noise = 1.0 / np.sqrt(20.0 * N)
    error = (size**2 + noise**2) / size / np.sqrt(2 * 340)
    assert abs(found.camera.width - size) < 4.0 * error + 0.05 * size
    worst = np.argmax(np.abs(found.pull))
    assert found.pull[worst] * widths[worst] > 0 and abs(widths[worst]) > 1.5 * size


def test_widths_of_modules_are_found():
    """Every module with its own: the camera as a whole has less of them."""
    widths = 0.1 * np.random.default_rng(4).standard_normal((N_MODULES, N_CHANNELS))
    found = compared(1.0 + widths[MODULE], 5)
    assert found.modules.is_clear and found.modules.sigma > found.camera.sigma
    # What differs between five modules is four fifths of the variance.
    assert abs(found.modules.width / (0.1 * np.sqrt(0.8)) - 1.0) < 0.1


@pytest.mark.parametrize("energy_keV", [28.4, 62.0, 75.0])
@pytest.mark.parametrize("part", [0.05, 0.5])
def test_a_line_is_no_channel_width(energy_keV, part):
    """The same energy in all pixels, as wide as a line and narrower, faint and strong."""
    for fwhm in (0.8, 1.5):
        line = norm.pdf((model()[2] - energy_keV) / (fwhm / 2.355)) / norm.pdf(0.0)
        found = compared(1.0 + part * line, 6)
        assert not found.are_unequal and not found.covariance.any()
        assert found.camera.by_energy > found.camera.by_channel or part < 0.1


def test_a_strong_line_is_no_difference_between_modules():
    """Modules have different mean gains: a line of all pixels is at other channels in each."""
    line = norm.pdf((model()[2] - 75.0) / 0.64) / norm.pdf(0.0)
    found = compared(1.0 + 0.3 * line, 6, brighter=100.0)
    assert found.camera.by_energy > 1e4 and not found.are_unequal
    assert abs(found.modules.sigma) < 3.0


def test_the_covariance_is_that_of_random_widths():
    """Against bins of 300 cameras without noise, whose widths are drawn; to their own scatter."""
    gain, offset, energy, expected = model()
    widths = 0.05 * np.random.default_rng(7).standard_normal(N_CHANNELS)
    found = compared(1.0 + widths, 8)
    place = np.searchsorted(BINS.high, energy)
    drawn = 0.05 * np.random.default_rng(9).standard_normal((300, N_CHANNELS))
    inside = expected > 0
    sums = [
        np.bincount(place[inside], (expected * one)[inside], minlength=len(BINS.low))
        for one in drawn
    ]
    seen, said = np.cov(np.transpose(sums)), found.covariance * (0.05 / found.camera.width) ** 2
    for bins in (np.s_[40:41], np.s_[40:43], np.s_[60:65]):
        ratio = seen[bins, bins].sum() / said[bins, bins].sum()
        assert abs(ratio - 1.0) < 4.0 * np.sqrt(2.0 / 300)


# --- cameras --------------------------------------------------------------------------------------


@lru_cache
def judged(preset, seconds, seed=1, n=320):
    """What validation.json has of a camera."""
    camera, prior = make_real_camera(n, seconds, seed, combine(preset)), cameras.prior(n)
    known = {"expected": EXPECTED, "search": SEARCH}
    response = learn_camera(
        camera.counts, *prior, TABLE, cameras.MIN_COUNTS, agreement=False, **known
    )
    data = camera.counts, np.arange(n), *prior, TABLE, response, cameras.OPTIONS
    fits, binned, expected = fit_with_residuals(*data)
    rows = residual_rows(np.arange(n), binned)
    channels = camera.counts, expected.astype("f4"), fits["GAIN"], fits["OFFSET"]
    hdus = residual_hdus(rows, fits["STATUS"], camera.module, TABLE, channels)
    tables = [Table(hdu.data) for hdu in hdus]
    for table, hdu in zip(tables, hdus, strict=True):
        table.meta.update(hdu.header)
    whole, modules, of_channels = tables
    return adequacy_numbers(whole, modules, TABLE, CATALOGUE, EXPECTED, ENERGIES_KEV, of_channels)


def test_widths_of_a_camera_are_named_and_no_line_is():
    """5 % of odd against even, and at random, of each of ten modules."""
    found = judged("dnl", 100_000.0)
    widths = found["channel_widths"]
    assert widths["unequal"] and widths["modules"]["sigma"] > 10.0
    # 7 % in all, alternating widths being more than what the bins of energy leave of random ones.
    assert 0.05 < widths["modules"]["width"] < 0.09
    assert not found["candidates"]
    assert any(words.startswith("Channel widths differ") for words in found["warnings"])
    assert widths["channels"] or widths["modules"]["channels"]


def test_a_line_is_named_beside_unequal_channels():
    """Bismuth at 30 % of the lead, in channels of unequal width."""
    found = judged("dnl+bi30", 100_000.0)
    assert found["channel_widths"]["unequal"]
    assert found["candidates"][0]["name"] == "Bi K"


@pytest.mark.parametrize("preset", ["ideal", "bi30", "law"])
def test_other_cameras_have_equal_channels(preset):
    found = judged(preset, 100_000.0)
    assert not found["channel_widths"]["unequal"]
    assert not any("hannel widths" in words for words in found["warnings"])
