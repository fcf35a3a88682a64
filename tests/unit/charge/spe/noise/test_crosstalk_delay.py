"""Delayed crosstalk: its time constant is learnt from the camera; its sum with the prompt one."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_spectra

from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.likelihood import Spectra, covariance_of
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.climb import ascend, crosstalk_total, fitted_parameters
from pixelcal.charge.spe.noise.learn import learn_camera_noise
from pixelcal.charge.spe.noise.population import climb_together
from pixelcal.charge.spe.noise.priors import LOSS_FIXED, LOSS_SPREAD, general_prior, no_noise
from pixelcal.charge.spe.noise.spectrum import bin_probabilities
from pixelcal.charge.spe.parameters import N_SHARED, OPCT

N_PIXELS, PROMPT, DELAYED = 24, 0.15, 0.05
CLEAR = dict(sigma_ped=3.0, sigma_pe=2.0, flashes=32_000, opct=PROMPT)


@pytest.fixture(scope="module", params=[0.1, 0.4])
def camera(request):
    """Time constant of delayed crosstalk; what is learnt; the fits of the pixels."""
    trouble = late_avalanches(delayed=DELAYED, delay=request.param)
    pixels = [Sipm(trouble=trouble, eped=4000.0 + i, **CLEAR) for i in range(N_PIXELS)]
    spectra = draw_spectra(np.random.default_rng(61), pixels)
    learnt = learn_camera_noise(*spectra, SpeOptions())
    fits = fit_pixels(*spectra, np.arange(N_PIXELS), SpeOptions(), camera=learnt.camera)
    return request.param, learnt.camera, fits


def test_the_time_constant_is_learnt_from_the_camera(camera):
    delay, known, fits = camera
    error = math.sqrt(known.systematic[late.DELAY, late.DELAY])
    assert abs(known.prior.centre[late.DELAY] - math.log(delay)) < 4 * error
    common, one = fits["OPCT_SYS"].mean(), fits["OPCT_ERR"].mean() / math.sqrt(N_PIXELS)
    assert abs(fits["OPCT"].mean() - PROMPT) < 4 * math.hypot(common, one)


def test_prompt_and_delayed_crosstalk_together_have_the_error_of_the_sum(camera):
    """What is put in comes out, and the pixels scatter as their errors say."""
    delay, _, fits = camera
    total, error, common = (fits[f"CROSSTALK{kind}"] for kind in ("", "_ERR", "_SYS"))
    assert total == pytest.approx(fits["OPCT"] + fits["DELAYED"], rel=1e-12)
    expected = PROMPT + DELAYED * -math.expm1(-1.0 / delay)
    by_chance = 4 * math.hypot(common.mean(), error.mean() / math.sqrt(N_PIXELS))
    assert abs(total.mean() - expected) < by_chance
    width = np.std((total - total.mean()) / error)
    assert abs(width - 1) < 4 / math.sqrt(2 * N_PIXELS)


def test_without_noise_all_crosstalk_is_prompt():
    spectra = draw_spectra(np.random.default_rng(62), [Sipm()])
    row = fit_pixels(*spectra, np.arange(1), SpeOptions())[0]
    for kind in ("", "_ERR", "_SYS"):
        assert row[f"CROSSTALK{kind}"] == row[f"OPCT{kind}"]


def expected_spectra(opct, flashes=4e6, dark=0.0, **noise):
    """The spectra that a model expects, and its parameters; pulses of 0.3 windows."""
    values = no_noise(0.3)
    for name, value in noise.items():
        values[getattr(late, name.upper())] = value
    runs = [each for light in (0.6, 1.2, 2.4) for each in (0.0, light)]
    theta = np.array([2.4**2, 30.0, 1.2**2, opct, *values, *runs])
    bins = Spectra(np.zeros((3, 600)), np.full(3, -24.0), 0.8)
    return theta, bins._replace(counts=flashes * bin_probabilities(theta, bins)[0])


def test_a_wrong_time_constant_makes_prompt_crosstalk_too_large():
    """Expected spectra of delays of 0.15, fitted with 0.3: why the time constant is free."""
    kinds = ("delayed_crosstalk",)
    theta, spectra = expected_spectra(0.1275, delayed=0.022, delay=0.15)
    prior = general_prior()
    found = ascend(theta, spectra, kinds, prior, 100)[0]
    assert found[OPCT] == pytest.approx(0.1275, rel=2e-3)
    prior.precision[late.DELAY, late.DELAY] = 1e12
    theta[N_SHARED + late.DELAY] = 0.3
    wrong = ascend(theta, spectra, kinds, prior, 100)[0]
    assert wrong[OPCT] / 0.1275 > 1.08
    assert wrong[OPCT] + wrong[N_SHARED + late.DELAYED] == pytest.approx(0.1495, rel=0.01)


def test_a_known_pulse_tells_prompt_from_delayed_crosstalk():
    """The error of OPCT is a quarter smaller; that of the sum is small anyway."""
    kinds = ("afterpulses", "delayed_crosstalk")
    theta, spectra = expected_spectra(0.1275, delayed=0.022, delay=0.15)
    errors = []
    for prior in (general_prior(), general_prior(0.3)):
        found, _, information, *_ = ascend(theta, spectra, kinds, prior, 100)
        assert found[OPCT] == pytest.approx(0.1275, rel=0.01)
        free = fitted_parameters(len(theta), kinds)
        covariance = covariance_of(information, free)
        errors.append([math.sqrt(covariance[OPCT, OPCT]), crosstalk_total(found, covariance)[1]])
    assert errors[1][0] < 0.75 * errors[0][0]
    assert errors[1][1] < errors[0][1] < 0.2 * errors[0][0]


def test_full_crosstalk_of_afterpulses_is_found_where_it_may_be():
    """Expected spectra with a loss of 0: OPCT is right with a free loss, else 2 % too large."""
    kinds = ("afterpulses", "delayed_crosstalk")
    theta, spectra = expected_spectra(0.15, afterpulse=0.03, loss=0.0)
    begin = theta.copy()
    begin[N_SHARED + late.LOSS] = 1.0
    clean = np.delete(begin, np.arange(N_SHARED, N_SHARED + late.N_NOISE))[None]
    noise = begin[N_SHARED : N_SHARED + late.N_NOISE]
    found = [
        climb_together([spectra], clean, noise, kinds, general=general_prior(loss_spread=spread))
        for spread in (LOSS_SPREAD, LOSS_FIXED)
    ]
    assert found[0].noise[late.LOSS] < 0.1 and found[1].noise[late.LOSS] > 0.99
    assert found[0].clean[0, OPCT] == pytest.approx(0.15, rel=5e-3)
    total = found[1].clean[0, OPCT] + found[1].noise[late.DELAYED]
    assert total / 0.15 > 1.02
    assert found[1].deviance - found[0].deviance > 100
