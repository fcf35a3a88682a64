"""Halves and blocks of a pixel against each other: the laws of the tests, and truth put in."""

from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy import stats

from pixelcal.energy.fit import likelihood, model
from pixelcal.energy.fit.checks.consistency import (
    NOT_CHECKED,
    Consistency,
    check_pixel,
    energies_at,
)
from pixelcal.energy.fit.checks.second_state import SecondState
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.response.tables import make_templates
from pixelcal.numerics.goodness_of_fit import moment_table

N, SECONDS = 400, 20_000.0
PIVOTS = np.array([model.PIVOT_LOW, model.PIVOT_HIGH])


@lru_cache
def camera():
    return cameras.make_camera(N, SECONDS, 31)


@lru_cache
def templates():
    response = learn_camera(
        camera().counts,
        *cameras.prior(N),
        cameras.line_table(),
        cameras.MIN_COUNTS,
        expected=EXPECTED,
        search=SEARCH,
    )
    return make_templates(response, cameras.line_table())


def check(counts, first_half):
    """Consistency of each pixel (n, 1024), fitted from the nominal relation."""
    moments, found = moment_table(), []
    unknown = np.full(len(templates().population_scale), np.nan)
    for whole, early in zip(counts, first_half, strict=True):
        wanted = NOT_CHECKED, False, likelihood.MAX_ITERATIONS, np.inf
        known = whole, early[:0], 0.145, 3.0, unknown, templates(), moments, 200.0, wanted
        fit = likelihood.PixelFit(*likelihood.fit_pixel(*known))
        assert fit.status == 0
        channels = model.choose_channels(fit.theta, templates(), len(whole))
        work = model.make_workspace(len(whole), templates())
        for b, (first, last) in enumerate(zip(*channels, strict=True)):
            rows = model.rows_of_block(work, first)
            model.block_model(fit.theta, b, first, last - first, fit.scale, templates(), rows)
        point = fit.theta, fit.covariance, fit.scale, templates(), work
        one = Consistency(*check_pixel(whole, early, *channels, *point))
        found.append(one._replace(second=SecondState(*one.second)))
    return found


@lru_cache
def halves(gain_step):
    """Counts of both halves of the camera's pixels; the gain is larger in the second."""
    random, early, late = np.random.default_rng(32), [], []
    for gain, offset, efficiency in zip(
        camera().gain_true, camera().offset_true, camera().efficiency, strict=True
    ):
        for part, factor in ((early, 1.0), (late, 1.0 + gain_step)):
            expected = cameras.expected_spectrum(gain * factor, offset, SECONDS / 2, efficiency)
            part.append(random.poisson(expected))
    return np.array(early, np.int32), np.array(late, np.int32)


def quadratic(found):
    """drift^T covariance^-1 drift of each pixel."""
    return np.array([one.drift @ np.linalg.solve(one.drift_covariance, one.drift) for one in found])


def test_without_a_change_the_drift_follows_its_covariance():
    early, late = halves(0.0)
    found = quadratic(check(early + late, early))
    assert stats.kstest(found, stats.chi2(2).cdf).pvalue > 1e-3


def test_a_gain_that_steps_is_measured():
    step = 0.002
    early, late = halves(step)
    found = check(early + late, early)
    drift = np.array([one.drift for one in found])
    error = np.sqrt([np.diag(one.drift_covariance) for one in found]).mean(axis=0) / np.sqrt(N)
    expected = -step * 0.145 * PIVOTS
    assert np.all(np.abs(drift.mean(axis=0) - expected) < 4 * error + 0.05 * np.abs(expected))


def test_a_step_of_one_per_cent_is_found_in_every_pixel_with_enough_counts():
    early, late = halves(0.04)
    assert np.all(stats.chi2.sf(quadratic(check((early + late)[:50], early[:50])), 2) < 1e-6)


def test_a_background_that_changes_is_no_drift():
    """Half of the continuum is gone in the second half, as with the Earth in the field of view."""
    random = np.random.default_rng(33)
    early, late = [], []
    for gain, offset in zip(camera().gain_true, camera().offset_true, strict=True):
        everything = cameras.expected_spectrum(gain, offset, SECONDS / 2)
        lines = everything - cameras.expected_spectrum(
            gain, offset, SECONDS / 2, without=tuple(cameras.LINE_RATES)
        )
        early.append(random.poisson(everything))
        late.append(random.poisson(everything - 0.5 * (everything - lines)))
    early, late = np.array(early, np.int32), np.array(late, np.int32)
    found = quadratic(check(early + late, early))
    assert (stats.chi2.sf(found, 2) < 1e-4).sum() <= 3
    assert np.all(np.array([one.first_fraction for one in check(early + late, early)]) > 0.55)


def test_blocks_that_agree_follow_their_errors():
    early, late = halves(0.0)
    found = check(early + late, early)
    pull = np.array([one.block_shift / one.block_shift_err for one in found])
    for block in pull.T:
        known = block[np.isfinite(block)]
        assert abs(known.std() - 1.0) < 4 / np.sqrt(2 * len(known)) + 0.05
        assert abs(known.mean()) < 4 / np.sqrt(len(known)) + 0.1


@pytest.mark.parametrize(("element", "block"), [("Cu", 0), ("Pb", 3)])
def test_lines_that_stand_elsewhere_are_seen_with_their_sign(element, block):
    """All lines of one element of the low or the high end stand 0.5 keV too high."""
    random, shift, counts = np.random.default_rng(34), 0.5, []
    for gain, offset in zip(camera().gain_true[:100], camera().offset_true[:100], strict=True):
        pixel = (gain, 1.0, 1.0, SECONDS)
        rest = cameras.expected_spectrum(gain, offset, SECONDS, without=(element,))
        moved = cameras.element_spectrum(element, pixel[0], offset - shift, *pixel[1:])
        counts.append(random.poisson(rest + moved))
    counts = np.array(counts, np.int32)
    found = check(counts, np.zeros((100, 0), np.int32))
    shifts = np.array([one.block_shift[block] for one in found])
    errors = np.array([one.block_shift_err[block] for one in found])
    assert np.mean(shifts) > 3 * np.mean(errors) / np.sqrt(len(shifts))
    assert np.mean(shifts / errors) > 1.0
    assert np.isnan([one.drift for one in found]).all()


def test_without_a_bend_or_a_second_state_their_numbers_are_chance():
    """A bend is normal; the largest of some twenty second states is small in nearly all pixels."""
    early, late = halves(0.0)
    found = check(early + late, early)
    pull = np.array([one.bend / one.bend_err for one in found])
    assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * N)
    assert abs(pull.mean()) < 4 / np.sqrt(N)
    sigma = np.array([one.second.sigma for one in found])
    # With 48 independent looks the median would be 2.2 and 3.9 be exceeded by 0.002 of the pixels.
    assert np.median(sigma) < 2.2
    assert (sigma > 3.9).sum() <= 4


def test_a_bend_is_measured_with_its_sign():
    """A parabola of 0.4 keV between 8 and 87 keV, put into the energies of the channels' edges."""
    height, random, counts = 0.4, np.random.default_rng(35), []
    low, high = cameras.line_table().energy_keV.min(), cameras.line_table().energy_keV.max()
    below = cameras.fine_cumulative(cameras.Detector(), 1.0)
    for gain, offset in zip(camera().gain_true[:100], camera().offset_true[:100], strict=True):
        edges = gain * np.arange(1025) + offset
        bent = edges - 4 * height * (edges - low) * (edges - high) / (high - low) ** 2
        bent = np.where((edges > low) & (edges < high), bent, edges)
        expected = np.diff(np.interp(bent, cameras.FINE_EDGES, below)) * SECONDS
        counts.append(random.poisson(expected))
    found = check(np.array(counts, np.int32), np.zeros((100, 0), np.int32))
    bend = np.mean([one.bend for one in found])
    error = np.mean([one.bend_err for one in found]) / 10
    # One step from a fit that the bend has moved: right within a fifth.
    assert abs(bend - height) < 4 * error + 0.2 * height


@pytest.mark.parametrize(("stretch", "part"), [(0.06, 1), (-0.06, 2)])
def test_a_short_step_is_found_in_the_half_that_it_is_in(stretch, part):
    """A tenth of the exposure at another gain, first or last."""
    random, counts, first = np.random.default_rng(36), [], []
    for gain, offset in zip(camera().gain_true[:50], camera().offset_true[:50], strict=True):
        usual = cameras.expected_spectrum(gain, offset, SECONDS)
        other = cameras.expected_spectrum(gain * (1 + stretch), offset, SECONDS)
        pure, mixed = random.poisson(0.5 * usual), random.poisson(0.4 * usual + 0.1 * other)
        counts.append(pure + mixed)
        first.append(mixed if part == 1 else pure)
    found = check(np.array(counts, np.int32), np.array(first, np.int32))
    sigma = np.array([one.second.sigma for one in found])
    assert np.mean(sigma > 3.9) > 0.9, np.sort(sigma)[:10]
    parts = np.array([one.second.part for one in found])
    assert np.mean(parts == part) > 0.75
    assert not (parts == 3 - part).any()  # at most taken for one in both halves
    assert abs(np.median([one.second.stretch for one in found]) - stretch) < 0.016


def test_a_late_step_that_the_fit_has_followed_is_found_with_its_mean_relation():
    """Half of the second half at another gain: the fit is then between both, the score is not."""
    random, counts, first = np.random.default_rng(37), [], []
    stretch, exposure, n = -0.05, 6_000.0, 50
    for gain, offset in zip(camera().gain_true[:n], camera().offset_true[:n], strict=True):
        usual = cameras.expected_spectrum(gain, offset, exposure)
        other = cameras.expected_spectrum(gain * (1 + stretch), offset, exposure)
        first.append(random.poisson(0.5 * usual))
        counts.append(first[-1] + random.poisson(0.25 * usual + 0.25 * other))
    found = check(np.array(counts, np.int32), np.array(first, np.int32))
    sigma = np.array([one.second.sigma for one in found])
    assert np.mean(sigma > 3.9) > 0.9, np.sort(sigma)[:10]
    clear = sigma > 3.9
    mean = np.array([one.second.gain for one in found])[clear] / camera().gain_true[:n][clear] - 1
    # The mean of a quarter at the other gain; a pixel knows it to some 0.003.
    error = 1.2533 * mean.std() / np.sqrt(clear.sum())
    assert abs(np.median(mean) - 0.25 * stretch) < 4 * error + 0.001
    assert np.isnan([one.second.gain for one in found])[sigma < 2.3].all()


def test_values_between_the_pivots_lie_on_a_straight_line():
    at = energies_at([model.PIVOT_LOW, 290.0, model.PIVOT_HIGH], [1.0, 3.0])
    assert np.allclose(at, [1.0, 2.0, 3.0])
