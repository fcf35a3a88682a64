"""Delayed crosstalk: its time constant is learnt from the camera; its sum with the prompt one."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_spectra

from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.model import N_SHARED, OPCT
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.climb import ascend
from pixelcal.charge.spe.noise.learn import learn_camera_noise
from pixelcal.charge.spe.noise.priors import KINDS, general_prior
from pixelcal.charge.spe.noise.spectrum import bin_probabilities

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


def test_a_wrong_time_constant_makes_prompt_crosstalk_too_large():
    """Expected spectra of delays of 0.15, fitted with 0.3: why the time constant is free."""
    kinds = ("delayed_crosstalk",)
    noise = np.zeros(late.N_NOISE)
    noise[late.DECAY], noise[late.DELAYED], noise[late.DELAY] = 0.3, 0.022, 0.15
    runs = [each for light in (0.6, 1.2, 2.4) for each in (0.0, light)]
    theta = np.array([2.4**2, 30.0, 1.2**2, 0.1275, *noise, *runs])
    bins = Spectra(np.zeros((3, 600)), np.full(3, -24.0), 0.8)
    spectra = bins._replace(counts=4e6 * bin_probabilities(theta, bins)[0])
    prior = general_prior()
    found = ascend(theta, spectra, kinds, prior, 100)[0]
    assert found[OPCT] == pytest.approx(0.1275, rel=2e-3)
    prior.precision[late.DELAY, late.DELAY] = 1e12
    theta[N_SHARED + late.DELAY] = 0.3
    wrong = ascend(theta, spectra, kinds, prior, 100)[0]
    place = N_SHARED + np.array(KINDS["delayed_crosstalk"])
    assert wrong[OPCT] / 0.1275 > 1.08
    assert wrong[OPCT] + wrong[place].sum() == pytest.approx(0.1495, rel=0.01)
