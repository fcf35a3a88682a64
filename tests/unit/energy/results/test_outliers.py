"""Outliers against the neighbours."""

import numpy as np
import pytest
from astropy.stats import mad_std
from helpers.instruments import JUDGED_KEV
from helpers.synthetic import make_fits

from pixelcal.energy.results.outliers import (
    camera_drift,
    drifts_as_the_camera,
    find_bent,
    find_outliers,
    find_second_states,
    second_matters,
)

NAMES = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")


def place(rows):
    return 79 - rows["DETNUM"] % 80, rows["DETNUM"] // 80


def flags(rows):
    return find_outliers(*place(rows), *(rows[name] for name in NAMES), judged_keV=JUDGED_KEV)


@pytest.mark.parametrize("seed", range(5))
def test_honest_scatter_is_not_flagged(seed):
    # At most 6400 * 2 energies * 6e-5 flags, 0.8: more than 6 have a probability of 1.4e-5.
    rows, _ = make_fits(seed=seed)
    assert flags(rows).sum() <= 6


def with_one_off(n, by):
    """Fits of `n` pixels, one of which is off by so many spreads at 80 keV, and its index."""
    rows, _ = make_fits(n, seed=6)
    one = n // 2
    for name in NAMES:
        rows[name][one] = np.median(rows[name])
    place_80 = (80.0 - rows["OFFSET"][one]) / rows["GAIN"][one]
    rows["GAIN"][one] += by * mad_std(rows["GAIN"] * place_80 + rows["OFFSET"]) / place_80
    return rows, one


def test_relations_that_scatter_may_have_heavy_tails_and_counts_may_not():
    rows, one = with_one_off(6400, 5.0)
    assert flags(rows)[one]
    for name in NAMES[2:]:
        rows[name] *= 0.1 if name.endswith("ERR") else 0.01
    assert not flags(rows)[one]  # counting makes a hundredth of the variance, not all of it
    rows, one = with_one_off(640, 5.0)
    assert not flags(rows)[one]  # the spread of few pixels is not known well enough


def test_a_small_run_of_honest_pixels_is_not_flagged():
    # 64 pixels in one row: few neighbours, a spread that is 15 % uncertain. At most 7e-6 a pixel:
    # 0.09 expected in 200 runs, more than 2 of them have a probability of 1e-4.
    assert sum(flags(make_fits(64, seed=seed)[0]).sum() for seed in range(200)) <= 2


def test_smooth_differences_over_the_camera_are_not_flagged():
    rows, _ = make_fits(seed=3)
    x, y = place(rows)
    rows["OFFSET"] += 0.2 * np.sin(x / 12) * np.cos(y / 12)  # much more than what one pixel may
    assert flags(rows).sum() == 0


def test_pixels_moved_by_hand_are_found_and_hardly_anything_else():
    rows, _ = make_fits(seed=4)
    moved = np.array([0, 79, 1234, 4000, 4001, 6399])  # corners, the middle, two side by side
    rows["OFFSET"][moved[:3]] += 5.0
    rows["GAIN"][moved[3:]] *= 1.08  # 6 keV at 80 keV, 1 keV at 15 keV
    found = flags(rows)
    assert found[moved].all() and found.sum() <= len(moved) + 6  # as of honest scatter


def test_a_pixel_may_be_as_far_out_as_its_own_error_allows():
    rows, _ = make_fits(seed=5)
    rows["OFFSET"][[100, 3000]] += 5.0
    rows["OFFSET_ERR"][3000] = 5.0
    rows["GAIN_OFFSET_COV"][3000] = 0.0
    assert np.flatnonzero(flags(rows)).tolist() == [100]


def test_pixels_without_a_valid_fit_are_left_out():
    rows, _ = make_fits(seed=6)
    rows["GAIN"][::3] = rows["OFFSET"][::3] = np.nan
    rows["OFFSET"][1234] += 5.0
    assert np.flatnonzero(flags(rows)).tolist() == [1234]


def test_too_few_pixels_give_no_verdict():
    rows, _ = make_fits(10)
    rows["OFFSET"][5] += 50
    assert flags(rows).sum() == 0
    rows["GAIN"] = np.nan
    assert flags(rows).sum() == 0


def test_a_bend_is_one_of_a_pixel_only_where_the_others_do_not_have_it():
    random = np.random.default_rng(7)
    bend = 0.4 + 0.06 * random.standard_normal(2000)
    bend[:5] -= 0.4
    found = find_bent(bend, np.full(2000, 0.06))
    assert found[:5].all()
    assert found[5:].sum() <= 5  # 1 expected beyond 3.5 sigma
    assert not find_bent(bend[:19], np.full(19, 0.06)).any()


def test_a_small_bend_does_not_matter_and_an_unknown_one_is_none():
    bend, error = np.zeros(100), np.full(100, 0.01)
    bend[0], bend[1], bend[2] = 0.14, 0.16, np.nan
    assert np.flatnonzero(find_bent(bend, error)).tolist() == [1]


def test_a_bend_within_the_scatter_of_the_cameras_pixels_is_none():
    """Beyond 5 sigma of a normal scatter: 0.004 of 6400 pixels, where 3.5 sigma of it are 3."""
    random = np.random.default_rng(11)
    bend, error = 0.08 * random.standard_normal(6400), np.full(6400, 0.02)
    bend[:2] = 0.5, 0.35
    error[1] = 0.15  # its counts do not tell it from those of the others
    assert (np.abs(bend) > 3.5 * 0.083).sum() > 2
    assert np.flatnonzero(find_bent(bend, error)).tolist() == [0]


def second_states(sigma, tail, error=0.01):
    return find_second_states(sigma, tail, np.full(len(tail), error))


def test_second_states_that_the_whole_camera_shows_are_the_fault_of_the_response():
    sigma = np.full(100, 1.5)
    sigma[:2] = 4.2, np.nan
    tail = np.ones(100)
    assert np.flatnonzero(second_states(sigma, tail)).tolist() == [0]
    assert not second_states(sigma + 3.0, tail)[1:].any()
    assert not second_states(sigma[:10], tail[:10]).any()


def test_what_longer_tails_look_like_is_no_second_state():
    """Where tails scatter and the significance rises with them; a sick pixel is beyond that, and
    where tails do not scatter a strong one excuses nothing."""
    rng = np.random.default_rng(8)
    tail = np.exp(0.25 * rng.standard_normal(2000))
    z = (tail - np.median(tail)) / 0.25
    sigma = 1.6 + 0.7 * np.abs(rng.standard_normal(2000)) + 1.5 * np.clip(z - 1.0, 0.0, None)
    longer = z > 2.0
    assert second_states(sigma, np.ones(2000))[longer].mean() > 0.3
    found = second_states(sigma, tail)
    assert found[longer].mean() < 0.1
    sigma[0], tail[0] = 12.0, 1.8
    assert second_states(sigma, tail)[0]
    alike = 1.0 + 0.02 * rng.standard_normal(2000)
    alike[:100], sigma = 1.6, np.full(2000, 1.6)
    sigma[:100] = 4.5
    assert second_states(sigma, alike)[:100].all()


def test_with_many_counts_pixels_differ_by_more_than_chance():
    """A camera whose response is not quite right at 1 Ms: all pixels seem to have a second gain,
    those with longer tails more and more differently so. Two clear ones are found."""
    rng = np.random.default_rng(12)
    tail = np.exp(0.2 * rng.standard_normal(6400))
    longer = np.maximum(np.log(tail) / 0.2 - 1.5, 0.0)
    sigma = 5.5 + 1.3 * rng.standard_normal(6400)
    sigma += longer * (5.0 + 2.0 * rng.standard_normal(6400))
    assert second_states(sigma, np.ones(6400)).mean() > 0.003
    sigma[:2], tail[:2] = (15.0, 35.0), (1.0, 1.8)
    found = second_states(sigma, tail)
    assert found[:2].all() and found[2:].mean() < 0.001


def test_a_tail_that_is_none_of_the_cameras_excuses_no_second_state():
    """Significances rise with the tail by chance, 0.35 for each of its standard deviations, as in
    6400 pixels of the ideal camera. Few pixels are flagged; two gains, which look like a tail, are;
    and a pixel well within the scatter of the tails is allowed no more than the others there."""
    rng = np.random.default_rng(9)
    tail = np.exp(0.05 * rng.standard_normal(6400))
    z = np.log(tail) / 0.05
    sigma = 1.6 + 0.35 * z + 0.6 * rng.standard_normal(6400)
    error = np.full(6400, 0.01)
    assert find_second_states(sigma, tail, error).sum() <= 6  # 4 sigma of 6400: 0.2 expected
    sigma[:3], tail[:3], error[:2] = (4.4, 4.4, 5.6), (3.5, 1.0, np.exp(0.15)), (0.5, 0.01)
    assert find_second_states(sigma, tail, error)[:3].all()


def test_a_longer_tail_that_counts_cannot_tell_or_that_few_pixels_have_excuses_nothing():
    """Tails known worse than they scatter; and 2 % of sick pixels that alone have longer ones."""
    rng = np.random.default_rng(10)
    sigma = 1.6 + 0.6 * rng.standard_normal(4000)
    tail = 1.0 + 0.05 * rng.standard_normal(4000)
    sigma += 0.35 * (tail - 1.0) / 0.05
    sigma[0], tail[0] = 4.6, 1.16
    assert second_states(sigma, tail, 0.3)[0]
    assert not second_states(sigma, tail, 0.001)[0]
    sigma, tail = 1.6 + 0.6 * rng.standard_normal(4000), 1.0 + 0.05 * rng.standard_normal(4000)
    tail[:80], sigma[:80] = 1.15, 5.0
    tail[80:] = np.minimum(tail[80:], 1.05)
    assert second_states(sigma, tail)[:80].all()


def test_a_drift_that_all_pixels_have_is_that_of_the_camera():
    """Within four standard errors of a median; a tenth of the pixels changes on its own."""
    n, rng = 1000, np.random.default_rng(4)
    drift = 0.3 + 0.04 * rng.standard_normal(n)
    drift[:100] += rng.choice([-1.0, 1.0], 100)
    drift[-5:] = np.nan
    # A tenth of the pixels to either side moves no median by more than its error.
    assert abs(camera_drift(drift) - 0.3) < 4 * 1.25 * 0.04 / np.sqrt(n)
    as_all = drifts_as_the_camera(drift)
    assert not as_all[:100].any() and not as_all[-5:].any()
    # Changes of 0.15 keV matter: 3.75 of these sigma.
    assert as_all[100:-5].mean() > 0.999


def test_a_steady_camera_has_no_drift():
    """6 sigma of a median: none in 2000 cameras, whose pixels that change stay as they are."""
    rng = np.random.default_rng(5)
    for n in (20, 200):
        for _ in range(1000):
            drift = 0.1 * rng.standard_normal(n)
            drift[: n // 10] += 0.5
            assert camera_drift(drift) == 0.0 and not drifts_as_the_camera(drift).any()


def test_few_pixels_have_no_common_drift():
    assert camera_drift(np.full(19, 0.5)) == 0.0


def two_gains(fraction, stretch, moved):
    """Fits with a `fraction` of the counts at a gain larger by `stretch`, and a mean of both that
    is larger by `moved`."""
    rows, _ = make_fits(len(fraction), seed=3)
    rows["SECOND_FRACTION"], rows["SECOND_STRETCH"] = fraction, stretch
    rows["SECOND_GAIN"], rows["SECOND_OFFSET"] = rows["GAIN"] * (1.0 + moved), rows["OFFSET"]
    return rows


def test_a_second_gain_of_few_counts_that_moves_nothing_does_not_matter():
    """A stretch of 1e-3 moves 80 keV by 0.08 keV; the offset takes a little of that."""
    fraction = np.array([0.03, 0.03, 0.03, 0.08, 0.03, np.nan])
    moved = np.array([1e-3, -1e-3, 2e-3, 1e-3, np.nan, 1e-3])
    rows = two_gains(fraction, -0.028, moved)
    assert second_matters(rows, [15.0, 80.0]).tolist() == [False, False, True, True, True, True]
    assert second_matters(rows, [15.0]).tolist() == [False, False, False, True, True, True]
