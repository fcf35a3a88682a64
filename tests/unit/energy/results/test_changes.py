"""Significant changes: found where they were put in, and hardly anywhere else."""

import numpy as np
import pytest
from astropy.stats import sigma_clip as astropy_sigma_clip
from helpers.synthetic import GAIN, OFFSET, make_fits, silence
from scipy.stats import norm

from pixelcal.energy.results.changes import (
    BOTH_CHANGED,
    GAIN_CHANGED,
    OFFSET_CHANGED,
    change_classes,
    find_changes,
    judge_change,
    sigma_clip,
)
from pixelcal.status import EnergyStatus

THRESHOLD = 5.0


def normal_changes(n, seed=3):
    """Changes of equal error 1."""
    return np.random.default_rng(seed).standard_normal(n), np.ones(n)


def test_clipping_agrees_with_astropy():
    values, _ = normal_changes(5000)
    values[:50] += 30.0
    clipped = astropy_sigma_clip(
        values, sigma=4.0, maxiters=None, cenfunc="mean", stdfunc="std", masked=False
    )
    centre, spread = sigma_clip(values, 4.0)
    assert (centre, spread) == (
        pytest.approx(clipped.mean(), abs=1e-12),
        pytest.approx(clipped.std(), abs=1e-12),
    )


def test_the_spread_is_that_of_the_unchanged():
    """A tenth of the pixels changed: the rest tells the spread to its statistical error."""
    n = 6400
    values, error = normal_changes(n)
    values[: n // 10] += 12.0
    change = judge_change(values, error, THRESHOLD)
    kept = 0.9 * n
    assert abs(change.centre) < 4 / np.sqrt(kept)
    assert abs(change.spread - 1) < 4 / np.sqrt(2 * kept)
    assert change.significant[: n // 10].all()


def test_few_false_alarms():
    """Without any change the fraction beyond the threshold is that of a normal distribution."""
    n, threshold = 200_000, 3.0
    change = judge_change(*normal_changes(n), threshold)
    fraction = 2 * norm.sf(threshold)
    # Clipping at 3 sigma takes 1.3 % off the spread.
    truncated = 2 * norm.sf(threshold * 0.985)
    assert fraction * n - 5 * np.sqrt(fraction * n) < change.significant.sum()
    assert change.significant.sum() < truncated * n + 5 * np.sqrt(fraction * n)


def test_a_common_shift_is_no_change_of_a_pixel():
    values, error = normal_changes(1000)
    shifted = judge_change(values + 100.0, error, THRESHOLD)
    assert not shifted.significant.any()
    assert shifted.centre == pytest.approx(100.0, abs=4 / np.sqrt(1000))


def test_a_large_error_excuses_a_large_change():
    values, error = normal_changes(1000)
    values[:2] = 12.0
    error[0] = 10.0
    assert judge_change(values, error, THRESHOLD).significant[:2].tolist() == [False, True]


def test_changes_smaller_than_the_errors_are_none():
    """The relation known before came from much the same data: hardly any spread, no change."""
    values, error = normal_changes(1000)
    values *= 1e-3
    values[0] = 0.5
    assert not judge_change(values, error, THRESHOLD).significant.any()


@pytest.mark.parametrize("n", [0, 1, 19])
def test_few_pixels_are_judged_by_their_errors(n):
    values, error = normal_changes(n)
    change = judge_change(values, error, THRESHOLD)
    assert np.allclose(change.deviation, values)
    assert np.isnan(change.spread) and not change.significant.any()
    assert judge_change(values + 20.0, error, THRESHOLD).significant.all()


def test_gain_and_offset_of_a_camera():
    rows, _ = make_fits()
    prior = np.full(len(rows), GAIN), np.full(len(rows), OFFSET)
    rows["GAIN"][[5, 7]] *= 1.2
    rows["OFFSET"][[6, 7]] += 6.0
    silence(rows, [8], EnergyStatus.NOT_CONVERGED)
    gain, offset = find_changes(rows, prior, THRESHOLD)
    classes = change_classes(gain, offset)
    assert classes[5:9].tolist() == [GAIN_CHANGED, OFFSET_CHANGED, BOTH_CHANGED, 0]
    assert gain.values[5] == rows["GAIN"][5] - GAIN
    assert np.isnan(gain.deviation[8])
