"""Fits of spectra with noise: truth put in, and noise that is not there left out."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_spectra

from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels

N_PIXELS, FLASHES = 12, 32_000
CLEAR = dict(sigma_ped=3.0, sigma_pe=2.0, flashes=FLASHES)


def fit(pixels, seed, options=None):
    counts, start, width = draw_spectra(np.random.default_rng(seed), pixels)
    return fit_pixels(counts, start, width, np.arange(len(counts)), options or SpeOptions())


@pytest.mark.parametrize(
    "noise",
    [dict(dark=0.2), dict(afterpulses=0.1), dict(dark=0.2, afterpulses=0.1)],
    ids=str,
)
def test_truth_is_recovered_with_noise(noise):
    """pe within 0.2 % and crosstalk within 4 % in the mean, each pixel within honest errors."""
    fits = fit([Sipm(trouble=late_avalanches(**noise), **CLEAR)] * N_PIXELS, 5)
    assert np.isfinite(fits["PE"]).all()
    assert np.isin(fits["STATUS"], [0, 16]).all()  # the crosstalk is known to 2 to 13 %
    assert (fits["STATUS"] == 0).all() or "afterpulses" in noise
    for name, true, relative in (("PE", 30.0, 0.002), ("OPCT", 0.15, 0.04)):
        value, error = fits[name], fits[f"{name}_ERR"]
        by_chance = 3 * error.mean() / math.sqrt(N_PIXELS)
        assert abs(value.mean() / true - 1) < relative + by_chance / true, name
        assert np.mean(((value - true) / error) ** 2) < 1 + 5 * math.sqrt(2 / N_PIXELS), name
    if "dark" in noise:
        pull = (fits["DARK"] - noise["dark"]) / fits["DARK_ERR"]
        assert np.mean(pull**2) < 1 + 5 * math.sqrt(2 / N_PIXELS)
    assert (fits["LATE"] > 0).all() == ("afterpulses" in noise)


def test_a_fit_without_noise_is_wrong_where_there_is_some():
    """What the noise in the model is good for: the same spectra without it."""
    pixels = [Sipm(trouble=late_avalanches(dark=0.2, afterpulses=0.1), **CLEAR)] * 2
    off = SpeOptions(dark_counts=False, afterpulses=False, delayed_crosstalk=False)
    without = fit(pixels, 6, off)
    assert (without["STATUS"] & 32 != 0).all() and (without["NOISE"] == 0).all()
    assert (np.abs(without["PE"] / 30.0 - 1) > 0.01).all()


def test_spectra_without_noise_are_fitted_without():
    """The score of noise stands out by chance in one of 1000 pixels."""
    fits = fit([Sipm()] * 60, 7)
    noisy = fits["NOISE"].any(axis=1)
    assert noisy.sum() <= 1
    assert (fits["DARK"][~noisy] == 0).all() and (fits["DARK_ERR"][~noisy] == 0).all()


def test_noise_that_is_asked_for_is_in_the_model():
    row = fit([Sipm(flashes=3000)], 8, SpeOptions(dark_counts=True))[0]
    assert row["DARK_ERR"] > 0 or row["DARK"] == 0
    assert row["NOISE"][1] > 0  # the decay of the pulse


def test_a_million_flashes_do_not_condemn_a_model_that_is_nearly_right():
    """A pedestal that is not quite normal: p-value 0, misfit of some per cent, pe within 0.6 %."""
    pixel = Sipm(flashes=1_000_000, light=(0.8,), trouble=_skewed)
    plain = dict(dark_counts=False, afterpulses=False, delayed_crosstalk=False)
    row = fit([pixel], 9, SpeOptions(misfit_limit=0.05, **plain))[0]
    strict = fit([pixel], 9, SpeOptions(misfit_limit=0.0, **plain))[0]
    assert row["PVALUE"] < 1e-4 and 0.0 < row["MISFIT"] < 0.05
    assert row["STATUS"] & 32 == 0 and strict["STATUS"] & 32 != 0
    assert row["PE"] == pytest.approx(30.0, rel=6e-3)


def _skewed(rng, charge, fired, pixel):
    """A tenth of a photoelectron of exponential noise."""
    return charge + 0.1 * pixel.pe * (rng.exponential(1.0, len(charge)) - 1.0)
