"""The gain of each run by itself, from one step at the joint fit."""

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, as_spectra, draw_charges

from pixelcal.charge.spe.checks.run_gains import run_gains
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels

N_PIXELS, LIGHT = 40, (0.6, 1.2, 2.4)


def found_gains(factors, seed=1, flashes=3000, odd=None):
    """Gains of runs whose own are `factors` of a mean, in all pixels, or in `odd` alone."""
    rng, charges = np.random.default_rng(seed), []
    for number in range(N_PIXELS):
        runs = []
        for light, factor in zip(LIGHT, factors, strict=True):
            if odd is not None and number != odd:
                factor = 1.0
            pixel = Sipm(pe=30.0 * factor, sigma_pe=3.0 * factor, light=(light,), flashes=flashes)
            runs += draw_charges(rng, pixel)
        charges.append(runs)
    counts, start, width = as_spectra(charges)
    rows = fit_pixels(counts, start, width, np.arange(N_PIXELS), SpeOptions())
    return run_gains(counts, start, width, rows, np.ones(N_PIXELS, bool))


def test_gains_that_agree():
    """Each relative gain is 0 within its error, and pulls have the width one within 12 %."""
    found = found_gains((1.0, 1.0, 1.0))
    assert not found.camera_changes and not found.pixel_changes.any()
    assert (np.abs(found.camera) < 4 * found.camera_err).all()
    spread = (found.gain / found.gain_err).std(axis=0)
    assert (spread < 1.4).all()  # the joint fit takes a part of it: below one is right
    assert (found.gain_err < 0.02).all()


@pytest.mark.parametrize("factor", [1.03, 1.08, 0.94])
def test_gains_of_the_camera_that_differ(factor):
    found = found_gains((1.0, 1.0, factor))
    assert found.camera_changes and not found.pixel_changes.any()
    difference = found.camera[2] - (found.camera[0] + found.camera[1]) / 2
    assert difference == pytest.approx(factor - 1, abs=0.3 * abs(factor - 1))


def test_the_gain_of_one_pixel_that_differs():
    found = found_gains((1.0, 1.0, 1.1), odd=7)
    assert not found.camera_changes
    assert np.flatnonzero(found.pixel_changes).tolist() == [7]


def test_nothing_is_said_of_pixels_that_are_not_used():
    rng = np.random.default_rng(2)
    counts, start, width = as_spectra([draw_charges(rng, Sipm(flashes=2000)) for _ in range(3)])
    rows = fit_pixels(counts, start, width, np.arange(3), SpeOptions())
    found = run_gains(counts, start, width, rows, np.zeros(3, bool))
    assert np.isnan(found.gain).all() and np.isnan(found.camera).all()
    assert not found.camera_changes and not found.pixel_changes.any()


def test_few_pixels_that_scatter_little_by_chance_are_no_alarm():
    """The error of the camera's gain is that of its pixels at least: 30 cameras of 16 pixels."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        pixel = Sipm(pe=30.0, light=(1.2, 2.4), flashes=1000)
        spectra = as_spectra([draw_charges(rng, pixel) for _ in range(16)])
        rows = fit_pixels(*spectra, np.arange(16), SpeOptions())
        found = run_gains(*spectra, rows, rows["STATUS"] == 0)
        assert not found.camera_changes
        least = np.sqrt(np.pi / 2) * np.nanmedian(found.gain_err, axis=0) / np.sqrt(16)
        assert (found.camera_err >= 0.99 * least).all()
