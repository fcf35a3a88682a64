"""The coarse start: its filters against their definition, its captures against truth put in."""

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.fit.start import find_starts, make_filters, outside_search_window
from pixelcal.energy.lines import line_groups
from pixelcal.energy.relation import energy_error
from pixelcal.status import EnergyStatus, has_valid_fit

GAIN, OFFSET = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
ENERGIES = np.array([[9.0], [50.0], [80.0]])


def spectra_of(gain, offset, seconds, seed):
    """Spectra (n, 1024) of pixels with these relations."""
    pairs = zip(gain, offset, strict=True)
    expected = np.array([cameras.expected_spectrum(*pair, seconds) for pair in pairs])
    return np.random.default_rng(seed).poisson(expected).astype(np.int32)


def far_relations(n, seed, gain_share=0.05, offset_keV=1.0):
    rng = np.random.default_rng(seed)
    gain = GAIN * (1 + rng.uniform(-gain_share, gain_share, n))
    return gain, OFFSET + rng.uniform(-offset_keV, offset_keV, n)


def start_of(counts, gain=GAIN, offset=OFFSET):
    """The start of one pixel from a prior."""
    found = find_starts(
        counts[None],
        np.array([gain]),
        np.array([offset]),
        cameras.line_table(),
        EXPECTED,
        search=SEARCH,
    )
    return found[0][0], found[1][0]


def test_filters_are_blind_to_a_parabola():
    filters = make_filters(cameras.line_table(), EXPECTED, GAIN)
    for taps, half in zip(filters.taps, filters.half_width, strict=True):
        x = np.arange(2 * half + 1.0)
        used = taps[: 2 * half + 1]
        for parabola in (np.ones_like(x), x, x**2):
            assert abs(used @ parabola) < 1e-9 * (np.abs(used) @ np.abs(parabola))
        assert not taps[2 * half + 1 :].any()


def test_a_filter_stands_for_each_line_group():
    table = cameras.line_table()
    filters = make_filters(table, EXPECTED, GAIN)
    element = np.array(table.element)
    for energy, (block, name) in zip(filters.energy, line_groups(table), strict=True):
        lines = table.energy_keV[(table.block == block) & (element == name)]
        assert lines.min() <= energy <= lines.max()


@pytest.mark.parametrize("gain_off", [-0.055, 0.0, 0.055])
@pytest.mark.parametrize("offset_off", [-2.3, 0.0, 2.3])
def test_expected_spectrum_is_found_within_the_range(gain_off, offset_off):
    """Without noise the start is within a line's width of the truth at all energies."""
    gain, offset = GAIN * (1 + gain_off), OFFSET + offset_off
    expected = cameras.expected_spectrum(gain, offset, 30_000.0)
    found = start_of(expected)
    assert np.all(np.abs(energy_error(ENERGIES, *found, gain, offset)) < 0.6)


def test_a_prior_that_is_right_is_kept():
    """What does not stand out more clearly elsewhere leaves the prior as it is."""
    camera = cameras.make_camera(50, 10_000.0, 3)
    gain, offset = camera.gain_true, camera.offset_true
    found = find_starts(camera.counts, gain, offset, cameras.line_table(), EXPECTED, search=SEARCH)
    np.testing.assert_array_equal(found, (gain, offset))


def test_an_empty_and_a_flat_pixel_keep_the_prior():
    flat = np.random.default_rng(1).poisson(5.0, 1024)
    for counts in (np.zeros(1024), flat):
        assert start_of(counts) == (GAIN, OFFSET)


def test_the_edge_of_the_threshold_is_no_line():
    """A steep edge without any line: the prior stays."""
    energy = GAIN * (np.arange(1024) + 0.5) + OFFSET
    smooth = 3000 * np.exp(-energy / 15) / (1 + np.exp(-(energy - 4.0) / 0.15))
    for seed in range(10):
        counts = np.random.default_rng(seed).poisson(smooth)
        assert start_of(counts) == (GAIN, OFFSET)


def test_no_pixel_gives_no_start():
    nothing = np.empty((0, 1024), np.int32)
    found = find_starts(
        nothing, np.empty(0), np.empty(0), cameras.line_table(), EXPECTED, search=SEARCH
    )
    assert len(found[0]) == len(found[1]) == 0


def test_a_start_does_not_know_its_neighbours():
    """A pixel's start is the same alone and beside others, for the same prior."""
    gain, offset = far_relations(20, 5)
    counts = spectra_of(gain, offset, 30_000.0, 6)
    together = find_starts(
        counts, *cameras.prior(20), cameras.line_table(), EXPECTED, search=SEARCH
    )
    for i in (0, 7, 19):
        assert start_of(counts[i]) == (together[0][i], together[1][i])


def test_far_pixels_are_recovered_with_a_response_learnt_from_them():
    """Gain within 5 %, offset within 1 keV: all of 300 pixels; a loss of 1 % would be 3."""
    n = 300
    gain, offset = far_relations(n, 7)
    counts = spectra_of(gain, offset, 30_000.0, 8)
    table, prior = cameras.line_table(), cameras.prior(n)
    response = learn_camera(
        counts, *prior, table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    rows = fit_pixels(counts, np.arange(n), *prior, table, response, cameras.OPTIONS)
    error = energy_error(ENERGIES, rows["GAIN"], rows["OFFSET"], gain, offset)
    assert np.all(np.abs(error) < 0.3)
    assert has_valid_fit(rows["STATUS"]).all()


def test_the_range_is_that_of_gain_and_offset():
    gain = GAIN * np.array([1.07, 0.93, 1.0, 1.0, 1.05])
    offset = OFFSET + np.array([0.0, 0.0, 3.0, -3.0, 1.0])
    assert outside_search_window(gain, offset, GAIN, OFFSET, search=SEARCH).tolist() == [
        True
    ] * 4 + [False]


def test_a_relation_beyond_the_range_says_so():
    """With priors 3.2 keV off no pixel passes for good, wherever its fit ended."""
    counts = cameras.make_camera(60, 30_000.0, 9).counts
    table, (gain, offset) = cameras.line_table(), cameras.prior(60)
    response = learn_camera(
        counts, gain, offset, table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    assert not fit_pixels(counts, np.arange(60), gain, offset, table, response, cameras.OPTIONS)[
        "STATUS"
    ].any()
    away = fit_pixels(counts, np.arange(60), gain, offset - 3.2, table, response, cameras.OPTIONS)
    assert away["STATUS"].all()
    assert np.any(away["STATUS"] & int(EnergyStatus.AT_LIMIT))
