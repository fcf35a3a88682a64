"""The spectrum with noise, against other ways to know it."""

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_charges

from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe import model
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.spectrum import N_COMMON, bin_probabilities, likelihood
from pixelcal.charge.spe.parameters import N_SHARED

SHARED = (36.0, 30.0, 9.0, 0.15)
BINS = Spectra(np.zeros((2, 700)), np.array([-40.5, -38.5]), 1.0)
RUNS = (0.3, 0.8, -0.2, 1.6)


def theta_with(dark=0.0, decay=0.25, after=(0.0, 0.0), delayed=0.0, delay=0.3, loss=1.0, spent=0.0):
    """Parameters of two runs with some noise."""
    return np.array([*SHARED, dark, decay, *after, delayed, delay, loss, spent, *RUNS])


def test_without_noise_it_is_the_sum_of_peaks():
    """Two implementations: a Fourier transform, and normal integrals of each peak."""
    found, gradient = bin_probabilities(theta_with(), BINS)
    n = BINS.counts.shape[1]
    for run in range(2):
        known, slope = np.empty(n), np.empty((model.N_PARAMETERS, n))
        parameters = np.array([*SHARED, *RUNS[2 * run :][:2]])
        model.bin_probabilities(parameters, BINS.start[run], BINS.width, known, slope)
        assert np.abs(found[run] - known).max() < 1e-8
        kept = np.r_[0:4, N_COMMON : N_COMMON + 2]
        scale = np.abs(slope).max(axis=1, keepdims=True)
        assert (np.abs(gradient[run][kept] - slope) / scale).max() < 1e-6


@pytest.mark.parametrize(
    "noise",
    [
        dict(dark=0.3),
        dict(after=(0.05, 0.1), loss=0.7),
        dict(delayed=0.1, decay=0.6, delay=0.1),
        dict(dark=0.2, decay=0.1, after=(0.03, 0.05), delayed=0.02),
        dict(dark=0.2, after=(0.04, 0.05), delayed=0.05, delay=0.15, loss=0.3, spent=0.125),
    ],
    ids=str,
)
def test_derivatives_are_those_of_differences(noise):
    theta = theta_with(**noise)
    probability, gradient = bin_probabilities(theta, BINS)
    assert np.abs(probability.sum(axis=1) - 1.0).max() < 1e-6
    for i in range(len(theta)):
        step = 1e-4 * max(abs(theta[i]), 0.1)
        moved = np.tile(theta, (2, 1))
        moved[:, i] += [step, -step]
        up, down = (bin_probabilities(each, BINS)[0] for each in moved)
        run = 0 if i < N_COMMON else (i - N_COMMON) // 2
        place = i if i < N_COMMON else N_COMMON + (i - N_COMMON) % 2
        difference = (up - down)[run] / (2 * step)
        scale = np.abs(difference).max()
        assert np.abs(gradient[run, place] - difference).max() <= 1e-4 * scale, i


@pytest.mark.parametrize(
    "drawn, noise, delay",
    [
        (dict(dark=0.4), dict(dark=0.4), None),
        (dict(afterpulses=0.2), dict(after=(0.0, 0.2)), 0.5),
        (dict(delayed=0.1), dict(delayed=0.1), 0.3),
        (dict(dark=0.3, afterpulses=0.1), dict(dark=0.3, after=(0.0, 0.1)), 0.5),
    ],
    ids=str,
)
def test_spectra_drawn_avalanche_by_avalanche_are_as_expected(drawn, noise, delay):
    """The deviance of a million flashes in wide bins is that of chance: below 5 sigma."""
    rng = np.random.default_rng(7)
    delays = {} if delay is None else {"delay": delay}
    late_ones = late_avalanches(**drawn, **delays)
    pixel = Sipm(light=(0.8, 1.6), flashes=1_000_000, trouble=late_ones)
    charges = draw_charges(rng, pixel)
    width, n = 5, 120
    edges = -40.5 + width * np.arange(n + 1)
    counts = np.array([np.histogram(np.clip(run, -40, edges[-1] - 1), edges)[0] for run in charges])
    theta = theta_with(**noise)
    if delay is not None:  # the parameters count what is within the window
        theta[N_SHARED + late.AFTERPULSE : N_SHARED + late.DELAY] *= -np.expm1(-1.0 / delay)
    theta[N_COMMON:] = 0.0, 0.8, 0.0, 1.6
    bins = Spectra(counts.astype(float), np.full(2, edges[0]), float(width))
    deviance = likelihood(theta, bins)[0]
    used = (counts.sum(axis=1)[:, None] * bin_probabilities(theta, bins)[0] > 1.0).sum()
    assert deviance < used + 5 * np.sqrt(2 * used)


@pytest.mark.parametrize("opct", [0.0, 0.1])
def test_the_charge_that_follows_an_avalanche_is_that_of_draws(opct):
    """Afterpulses with crosstalk and afterpulses of their own, and delayed crosstalk."""
    rng = np.random.default_rng(8)
    n, decay, delay = 400_000, 0.3, late.AFTERPULSE_DELAYS[1]
    noise, within = np.zeros(late.N_NOISE), -np.expm1(-1.0 / delay)
    noise[[late.DECAY, late.DELAY, late.LOSS]] = decay, delay, 1.0
    noise[[late.AFTERPULSE + 1, late.DELAYED]] = 0.1 * within, 0.03 * within
    drawn = late_avalanches(afterpulses=0.1, delayed=0.03, decay=decay, delay=delay)
    charge = drawn(rng, np.zeros(n), np.ones(n, int), Sipm(pe=1.0, sigma_pe=0.0, opct=opct))
    error = charge.std() / np.sqrt(n)
    assert late.late_charge(noise, opct) == pytest.approx(charge.mean(), abs=4 * error)


def test_delays_are_a_sum_of_exponentials():
    rng = np.random.default_rng(9)
    delay = rng.exponential(rng.choice(late.AFTERPULSE_DELAYS, 400_000, p=[0.2, 0.8]))
    # As many of each within the window: the weights count these.
    inside = -np.expm1(-1.0 / np.array(late.AFTERPULSE_DELAYS))
    weights = np.array([0.2, 0.8]) * inside
    known = delay[delay < 1.0]
    found = late.mean_delay(weights, late.AFTERPULSE_DELAYS)
    assert found == pytest.approx(known.mean(), abs=4 * known.std() / np.sqrt(len(known)))


def test_memory_that_is_used_again_changes_nothing():
    """The same bytes whatever was computed before, with more frequencies or with fewer."""
    theta = theta_with(dark=0.2, after=(0.04, 0.05), delayed=0.05, spent=0.125)
    first = bin_probabilities(theta, BINS)
    for n in (200, 2500):
        bin_probabilities(theta_with(dark=0.4), BINS._replace(counts=np.zeros((2, n))))
    for found, known in zip(bin_probabilities(theta, BINS), first, strict=True):
        assert found.tobytes() == known.tobytes()


@pytest.mark.parametrize(
    "noise, kinds",
    [
        (dict(dark=0.2), [late.DARK, late.DECAY]),
        (dict(after=(0.04, 0.05)), [late.AFTERPULSE, late.DECAY, late.LOSS]),
        (dict(delayed=0.05, spent=0.1), [late.DELAYED, late.DELAY, late.SPENT]),
        (dict(), [late.SPENT]),
    ],
    ids=str,
)
def test_derivatives_that_are_not_needed_change_no_other(noise, kinds):
    theta, fitted = theta_with(**noise), np.zeros(late.N_NOISE, bool)
    fitted[kinds] = True
    whole, part = bin_probabilities(theta, BINS), bin_probabilities(theta, BINS, fitted)
    assert part[0].tobytes() == whole[0].tobytes()
    needed = np.r_[0:4, 4 + np.array(kinds), N_COMMON : N_COMMON + 2]
    assert part[1][:, needed].tobytes() == whole[1][:, needed].tobytes()
