"""The lamp's fluctuations: found from covariances between pixels, and taken out of the fits."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.flashes import draw_charges, draw_photoelectrons
from helpers.spe_flashes import as_spectra

from pixelcal.charge.spe.checks import lamp
from pixelcal.charge.spe.checks.run_checks import RunChecks, with_checks
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.status import ChargeStatus, has_valid_fit

TRUTH = {"pe": 30.0, "sigma_pe": 3.0, "sigma_ped": 6.0, "opct": 0.15, "pedestal": 200.0}
N_PIXELS, N_FLASHES = 16, 2000


def draw(seed, light, jitter, n_pixels=N_PIXELS, n_flashes=N_FLASHES):
    """Charges (n_pixels, n_flashes) of one run, and the mean of each pixel above its pedestal."""
    random = np.random.default_rng([seed, round(100 * light)])
    each = light * np.exp(0.1 * random.standard_normal(n_pixels))
    charges = draw_charges(random, draw_photoelectrons(random, each, n_flashes, jitter), TRUTH)
    return charges, TRUTH["pe"] * each / (1 - TRUTH["opct"])


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.2, 0.4])
def test_the_jitter_that_was_put_in(jitter):
    found = lamp.lamp_of(*draw(1, 1.2, jitter))
    assert abs(found.variance - jitter**2) < 4 * found.variance_err
    assert abs(found.jitter - jitter) < 4 * found.jitter_err
    assert found.variance_err < 0.012 and found.n_pixels >= N_PIXELS - 1


@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_no_bias_and_the_right_error(jitter):
    """Over 200 runs the mean is right within 4 standard errors, the width of the pulls is one."""
    found = [lamp.lamp_of(*draw(seed, 1.2, jitter, n_flashes=500)) for seed in range(200)]
    error = np.array([own.variance for own in found]) - jitter**2
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(200)
    pull = error / [own.variance_err for own in found]
    # An error from 500 flashes is small where the variance is by chance: pulls have a tail.
    assert 0.85 < pull.std() < 1.2


def test_a_few_bad_pixels_change_nothing():
    charges, signal = draw(2, 1.2, 0.2)
    right = lamp.lamp_of(charges[4:], signal[4:])
    noise = np.random.default_rng(3).normal(0, 200, (4, N_FLASHES))
    bad = charges.astype(float)
    bad[0] = np.linspace(-400, 400, N_FLASHES) + noise[0]
    bad[1] = np.nan
    bad[2] = 300.0
    bad[3] = bad[4] * 3 + noise[3]
    signal = signal.copy()
    for spoilt in (signal[3], 0.0, -5.0, np.nan):
        signal[3] = spoilt
        found = lamp.lamp_of(bad, signal)
        assert abs(found.variance - right.variance) < right.variance_err
        assert found.n_pixels >= N_PIXELS - 4


def test_events_without_light_among_the_flashes():
    """A fraction f of them has the relative variance f / (1 - f)."""
    charges, signal = draw(4, 1.2, 0.0)
    dark, _ = draw(5, 1e-9, 0.0)
    mixed = np.where(np.arange(N_FLASHES) % 10 < 3, dark, charges)
    found = lamp.lamp_of(mixed, 0.7 * signal)
    assert abs(found.variance - 0.3 / 0.7) < 4 * found.variance_err


@pytest.mark.parametrize("jitter", [0.0, 0.2])
@pytest.mark.parametrize("noise", [0.0, 3.0, 6.0])
def test_noise_that_all_pixels_share_is_not_the_lamp(jitter, noise):
    """Found in flashes without an avalanche, and taken off."""
    charges, signal = draw(9, 0.7, jitter, n_flashes=8000)
    charges = charges + noise * np.random.default_rng(9).standard_normal(8000)
    fit = (TRUTH["pedestal"], TRUTH["pe"], np.hypot(TRUTH["sigma_ped"], noise))
    fit = [np.full(N_PIXELS, own) for own in fit]
    covariance, error = lamp.common_noise(charges, *fit)
    assert abs(covariance - noise**2) < 4 * error + 0.2 * noise**2
    raw, found = (lamp.lamp_of(charges, signal, own) for own in (0.0, covariance))
    added = (noise / signal.mean()) ** 2
    assert abs(found.variance - jitter**2) < 4 * found.variance_err + 0.2 * added
    assert noise == 0 or raw.variance > found.variance + 0.7 * added
    assert np.isnan(lamp.common_noise(charges[:3], *(own[:3] for own in fit))).all()


def test_too_little_gives_no_number():
    charges, signal = draw(6, 1.2, 0.2)
    for own in (
        lamp.lamp_of(charges[:3], signal[:3]),
        lamp.lamp_of(charges[:, :99], signal),
        lamp.lamp_of(charges, np.full(N_PIXELS, np.nan)),
        lamp.lamp_of(charges[:, :0], signal),
    ):
        assert np.isnan(own[:4]).all()


# --- crosstalk and light --------------------------------------------------------------------------


def fitted(jitter, light=(0.6, 1.2, 2.4), n_pixels=24, n_flashes=10_000):
    """Fits of the usual kind to flashes of a lamp that fluctuates."""
    runs = []
    for number, own in enumerate(light):
        random = np.random.default_rng([7, number])
        photoelectrons = draw_photoelectrons(random, np.full(n_pixels, own), n_flashes, jitter)
        runs.append(draw_charges(random, photoelectrons, TRUTH))
    spectra = as_spectra([[run[pixel] for run in runs] for pixel in range(n_pixels)])
    rows = fit_pixels(*spectra, np.arange(n_pixels), SpeOptions())
    found = [
        lamp.lamp_of(charges, charges.mean(axis=1) - rows["EPED"][:, i])
        for i, charges in enumerate(runs)
    ]
    return rows, found


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.2, 0.4])
def test_the_fits_without_the_lamp(jitter):
    """Fit, jitter from the same charges, correction: crosstalk within 3 % of the truth."""
    rows, found = fitted(jitter)
    variance = np.array([own.variance for own in found])
    assert all(abs(own.variance - jitter**2) < 4 * own.variance_err for own in found)
    opct, light = lamp.without_lamp(rows["OPCT"], rows["LAMBDA"], variance)
    assert abs(opct.mean() / TRUTH["opct"] - 1) < 0.03
    assert np.allclose(light.mean(axis=0) / [0.6, 1.2, 2.4], 1, atol=0.03)
    before = rows["OPCT"].mean() / TRUTH["opct"] - 1
    assert {0.0: abs(before) < 0.02, 0.1: before > 0.02, 0.2: before > 0.1, 0.4: before > 0.4}[
        jitter
    ]


def test_one_run_is_exact():
    """Against the maximum of the expected likelihood, found by brute force."""
    k, chi = np.arange(200.0), 0.15
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 200)))])

    def law(light, chi):
        rate = light + k * chi
        return np.exp(np.log(light) + (k - 1) * np.log(rate) - rate - log_factorial)

    for light, variance in ((0.5, 0.04), (1.2, 0.16), (5.0, 0.04), (5.0, 0.16)):
        bright = np.random.default_rng(8).gamma(1 / variance, variance, 20_000)
        bright = np.quantile(bright, (np.arange(400) + 0.5) / 400)
        bright /= bright.mean()
        mixed = np.mean([law(light * own, chi) for own in bright], axis=0)
        mean = (mixed * k).sum()
        tried = np.linspace(0.05, 0.6, 5501)
        log = [np.log(np.maximum(law(mean * (1 - own), own), 1e-300)) @ mixed for own in tried]
        best = np.array([tried[int(np.argmax(log))]])
        own = np.array([[mean * (1 - best[0])]])
        opct, corrected = lamp.without_lamp(best, own, [np.var(bright)])
        assert opct[0] == pytest.approx(chi, rel=0.01)
        assert corrected[0, 0] == pytest.approx(light, rel=0.01)
        closed = lamp.by_moments(best, own, np.array([np.var(bright)]))
        assert closed[0] == pytest.approx(chi, rel=0.02 if variance < 0.1 else 0.12)


def test_without_fluctuations_nothing_changes():
    opct, light = np.array([0.2, np.nan, 0.0]), np.ones((3, 2))
    for variance in (0.0, -0.01):
        same = lamp.without_lamp(opct, light, variance)
        assert np.array_equal(same[0], opct, equal_nan=True)
        assert np.array_equal(same[1], light)
    found, _ = lamp.without_lamp(opct, light, 0.04)
    assert found[0] < 0.2 and np.isnan(found[1]) and found[2] == 0


def test_a_lamp_that_explains_all_crosstalk_leaves_a_number():
    """Also where its variance is larger than all that the fit saw: 0, and the light is the mean."""
    opct, light = np.array([0.1, 0.3, np.nan, 0.0]), np.full((4, 3), 2.0)
    for variance in (0.5, 2.0, 20.0):
        for found in (
            lamp.by_moments(opct, light, np.full(3, variance)),
            lamp.without_lamp(opct, light, np.full(3, variance))[0],
        ):
            assert np.isfinite(found[[0, 1, 3]]).all() and np.isnan(found[2])
            assert (found[[0, 1, 3]] >= 0).all() and (found[[0, 1, 3]] <= opct[[0, 1, 3]]).all()
    assert lamp.by_moments(opct, light, np.full(3, 20.0))[0] == 0


def test_no_crosstalk_that_a_lamp_leaves_nothing_of_is_called_good():
    """70 % of the events without light: every STATUS 0 has a finite OPCT above 0."""
    random, runs = np.random.default_rng(3), []
    for light in (0.6, 1.2, 2.4):
        photoelectrons = draw_photoelectrons(random, np.full(6, light), 3000)
        photoelectrons[:, random.random(3000) < 0.7] = 0
        runs.append(draw_charges(random, photoelectrons, TRUTH))
    spectra = as_spectra([[run[pixel] for run in runs] for pixel in range(6)])
    rows = fit_pixels(*spectra, np.arange(6), SpeOptions())
    found = RunChecks(np.zeros(6, bool), np.zeros(3, bool))
    for charges in runs:
        run = SimpleNamespace(charges=charges, step=1.0, saturated=np.zeros(6, bool))
        found.add(run, rows, spectra[2])
    done = with_checks(rows, found, SimpleNamespace(pixel_changes=np.zeros(6, bool)))
    valid = has_valid_fit(done["STATUS"])
    assert valid.any()
    for name in ("OPCT", "OPCT_ERR", "LAMBDA", "LAMBDA_ERR", "CROSSTALK_ERR"):
        assert np.isfinite(done[name][valid]).all()
    taken = valid & (done["OPCT"] == 0) & (done["OPCT_FIT"] > 0)
    assert (done["STATUS"][taken] & ChargeStatus.AT_LIMIT > 0).all()
