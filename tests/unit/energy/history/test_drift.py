"""Drift and jumps of a simulated camera, against its truth and the best that can be known."""

import numpy as np
import pytest
from helpers.histories import (
    STEP_80_KEV,
    WEEK_D,
    energies_of,
    matrices,
    simulate_history,
    step_covariance,
)

from pixelcal.numerics.motion.drift import analyse

ENERGIES_KEV = (4, 15, 50, 80, 150)
PIXEL_JUMPS = ((100, 8, 1.0), (4000, 13, -1.2))
MODULE_JUMPS = ((5, 11, 0.3),)


def analysed(history, false_alarms=0.1):
    return analyse(
        history.y,
        history.r,
        history.used,
        history.used,
        history.days,
        history.module,
        false_alarms,
    )


@pytest.fixture(scope="module")
def mission():
    """20 epochs of 3 ks of the whole camera, two jumping pixels, a module that steps."""
    history = simulate_history(pixel_jumps=PIXEL_JUMPS, module_jumps=MODULE_JUMPS)
    return history, analysed(history)


def planted(jumps):
    return [[number, epoch] for number, epoch, _ in jumps]


def test_the_jumps_are_found_and_nothing_else(mission):
    _, drift = mission
    assert np.argwhere(drift.pixels.opened).tolist() == planted(PIXEL_JUMPS)
    assert np.argwhere(drift.modules.opened).tolist() == planted(MODULE_JUMPS)
    assert not drift.camera.opened.any() and not drift.pixels.wild.any()


@pytest.mark.parametrize("energy_keV", ENERGIES_KEV)
def test_pulls_are_one_wide_and_no_error_is_above_the_single_epoch(mission, energy_keV):
    history, drift = mission
    error, variance = energies_of(drift.best - history.truth, drift.covariance, energy_keV)
    # 6400 pixels x 20 epochs with a correlation over some ten epochs, and what a camera and its
    # modules have in common: the width is known to about 1 %.
    assert 0.95 < np.std(error / np.sqrt(variance)) < 1.05
    _, single = energies_of(history.y, history.r, energy_keV)
    assert (variance[history.used] <= single[history.used] * (1 + 1e-9)).all()
    measured, _ = energies_of(history.y - history.truth, history.r, energy_keV)
    rms = lambda values: np.sqrt(np.nanmean(values**2))  # noqa: E731
    assert rms(error) < 0.4 * rms(measured)


def dense_smoother(history, pixel):
    """The best of a pixel where all variances, and all common motions, are known."""
    n_epochs = len(history.days)
    number = np.arange(n_epochs)
    prior = np.kron(np.minimum.outer(number, number), step_covariance(STEP_80_KEV))
    prior += 1e4 * np.kron(np.ones((n_epochs, n_epochs)), np.eye(2))
    seen = np.repeat(history.used[pixel], 2)
    noise = np.kron(np.eye(n_epochs), matrices(history.r[pixel][history.used[pixel]][0]))
    common = history.camera + history.modules[history.module[pixel]]
    left = (history.y[pixel] - common).ravel()[seen]
    gain = prior[:, seen] @ np.linalg.inv((prior + noise)[np.ix_(seen, seen)])
    return (gain @ left).reshape(-1, 2)


def test_the_best_is_as_good_as_can_be(mission):
    """rms within 5 % of the optimum, at each energy."""
    history, drift = mission
    pixels = [number for number in range(0, 6400, 16) if number not in (100, 4000)]
    best = np.array([dense_smoother(history, number) for number in pixels])
    for energy_keV in ENERGIES_KEV:
        optimum, _ = energies_of(
            best - history.pixels[pixels], drift.covariance[pixels], energy_keV
        )
        error, _ = energies_of(
            drift.best[pixels] - history.truth[pixels], drift.covariance[pixels], energy_keV
        )
        assert np.sqrt(np.mean(error**2)) < 1.05 * np.sqrt(np.mean(optimum**2))


def test_what_moves_is_learnt(mission):
    _, drift = mission
    learnt = np.sqrt(drift.pixels.walk.base[2] * WEEK_D)
    typical = np.median(drift.pixels.walk.mobility)
    assert learnt * np.sqrt(typical) == pytest.approx(STEP_80_KEV, rel=0.1)
    assert drift.pixels.walk.noise == pytest.approx(1.0, abs=0.01)
    assert np.sqrt(drift.camera.walk.base[2] * WEEK_D) == pytest.approx(0.02, rel=0.5)  # 19 steps


@pytest.mark.parametrize("n_after", [1, 2])
def test_a_jump_is_found_as_soon_as_two_epochs_after_it(n_after):
    jumps = ((100, 10, 1.0), (4000, 10, -1.0), (77, 10, 1.5))
    history = simulate_history(
        n_epochs=10 + n_after,
        seed=5,
        missing=0.0,
        pixel_jumps=jumps,
        module_jumps=((5, 10, 0.3),),
        camera_jumps=((0, 10, 0.4),),
    )
    drift = analysed(history)
    found = np.argwhere(drift.pixels.opened).tolist()
    assert sorted(planted(jumps)) == found
    assert np.argwhere(drift.modules.opened).tolist() == [[5, 10]]
    assert np.argwhere(drift.camera.opened).tolist() == [[0, 10]]
    for pixel, epoch, _ in jumps:  # no lag
        error, variance = energies_of(drift.best - history.truth, drift.covariance, 80)
        assert (np.abs(error) / np.sqrt(variance))[pixel, epoch - 1 :].max() < 4


def test_false_alarms_are_as_rare_as_stated():
    """6400 pixels, 50 epochs, nothing changes: 20 are stated, as an upper bound.

    Half of the bound are for single wild epochs. Neighbouring tests are alike, so that fewer than
    the bound come, but not many fewer: a Poisson number around 12, between 4 and 20 in all but one
    of a hundred seeds.
    """
    history = simulate_history(n_epochs=50, seed=11)
    drift = analysed(history, false_alarms=20.0)
    series = (drift.camera, drift.modules, drift.pixels)
    assert 4 <= sum(one.opened.sum() + one.wild.sum() for one in series) <= 20
    quiet = analysed(history, false_alarms=0.1)
    assert not any(
        (one.opened | one.wild).any() for one in (quiet.camera, quiet.modules, quiet.pixels)
    )


def test_a_restless_pixel_is_followed_and_does_not_disturb_the_quiet_ones():
    history = simulate_history(n_epochs=30, seed=6, missing=0.0)
    restless = np.arange(0, 6400, 400)
    random = np.random.default_rng(8)
    steps = random.multivariate_normal(np.zeros(2), step_covariance(0.1), (len(restless), 30))
    more = np.cumsum(steps, axis=1)
    y, truth = history.y.copy(), history.truth.copy()
    y[restless] += more
    truth[restless] += more
    drift = analysed(history._replace(y=y, truth=truth))
    error, variance = energies_of(drift.best - truth, drift.covariance, 80)
    pull = error / np.sqrt(variance)
    assert np.median(drift.pixels.walk.mobility[restless]) > 20
    # 16 pixels x 30 epochs that are hardly correlated. One of them, by its large errors, passes for
    # a quiet one: the population of the others says so.
    assert 0.8 < np.median(np.std(pull[restless], axis=1)) < 1.2
    assert 0.95 < np.std(np.delete(pull, restless, axis=0)) < 1.05


def test_one_epoch_is_what_was_measured():
    history = simulate_history(640, 1, seed=9, missing=0.0)
    drift = analysed(history)
    assert np.allclose(drift.best, history.y)
    assert np.allclose(drift.covariance, history.r, rtol=0.1)


def test_missing_epochs_are_interpolated_with_a_larger_error():
    history = simulate_history(640, 20, seed=10, missing=0.0)
    used = history.used.copy()
    used[7, 5:9] = used[8, 15:] = False
    used[9] = False
    y = np.where(used[..., None], history.y, np.nan)
    drift = analysed(history._replace(y=y, used=used))
    assert np.isfinite(drift.best[7:9]).all() and np.isnan(drift.best[9]).all()
    assert drift.covariance[7, 6, 2] > drift.covariance[7, 12, 2]
    assert drift.covariance[8, 19, 2] > drift.covariance[8, 14, 2]


def test_a_measurement_that_is_not_trusted_pulls_nothing():
    history = simulate_history(640, 20, seed=12, missing=0.0)
    used = history.used.copy()
    used[20, 10] = False
    wild = history.y.copy()
    wild[20, 10] += 50.0
    spoilt = analysed(history._replace(y=wild, used=used))
    clean = analysed(history._replace(used=used))
    assert np.array_equal(spoilt.best, clean.best)


def test_a_pixel_that_jumps_once_is_not_restless():
    """Its jump is found in a short history of few pixels, as long as it is 6 sigma."""
    found = 0
    for seed in range(100, 110):
        history = simulate_history(320, 8, seed=seed, missing=0.0, pixel_jumps=[(40, 5, 1.0)])
        found += analysed(history).pixels.opened[40, 5]
    assert found == 10
