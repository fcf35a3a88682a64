"""Spectra that no noise explains: their fits end after few steps, and all others are unchanged."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_charges, draw_spectra

from pixelcal.charge.simulation.charges import as_spectra
from pixelcal.charge.simulation.troubles import TROUBLES, late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.noise import climb
from pixelcal.charge.spe.noise import fit as noise_fit
from pixelcal.charge.spe.noise.climb import Patience, climb_within
from pixelcal.charge.spe.noise.learn import choose_teachers, learn_camera_noise
from pixelcal.charge.spe.search import fit_pixel
from pixelcal.numerics.goodness_of_fit import moment_table
from pixelcal.status import ChargeStatus

N_PIXELS = 3
ALONE = SpeOptions(dark_counts=False, afterpulses=False, delayed_crosstalk=False)
MISFIT, N_BINS, N_STEPS = 1e4, 100, 200


def fit(spectra, options=None):
    return fit_pixels(*spectra, np.arange(len(spectra[0])), options or SpeOptions())


def trouble(name):
    rng = np.random.default_rng(4)
    pixels = [Sipm(**TROUBLES[name]).changed(eped=rng.uniform(4000, 5000)) for _ in range(N_PIXELS)]
    return draw_spectra(rng, pixels)


def with_missing(value):
    """A tenth of the charges are a number that stands for none."""
    rng = np.random.default_rng(5)
    charges = np.array([draw_charges(rng, Sipm()) for _ in range(2 * N_PIXELS)])
    charges[rng.random(charges.shape) < 0.1] = value
    return as_spectra(charges)


def counted(monkeypatch, module, name):
    """The calls of a function, as they are made."""
    calls, function = [], getattr(module, name)

    def count(*arguments, **named):
        calls.append(arguments)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, count)
    return calls


def climb_of(slope, steps, patience):
    """A climb of one parameter whose deviance falls by `slope` (at x) at each of `steps` calls."""

    def slopes(theta):
        steps.append(theta[0])
        deviance, score = slope(theta[0])
        return deviance, np.array([score]), np.eye(1)

    every = np.ones(1, bool)
    limits = np.full(1, -1e9), np.full(1, 1e9)
    return climb_within(np.array([1.0]), slopes, every, limits, N_STEPS, 1e-3, patience)


@pytest.mark.parametrize("gain", [0.001, 0.2])
def test_a_climb_is_given_up_where_its_steps_gain_nothing_against_the_misfit(gain):
    """The misfit falls as (1 - gain)^x: given up by the first steps, or as without patience."""
    rate = -math.log1p(-gain)

    def slope(x):
        deviance = MISFIT * math.exp(-rate * x)
        return N_BINS + deviance, math.sqrt(rate * deviance)

    patient, given_up = [], []
    climb_of(slope, patient, None)
    found = climb_of(slope, given_up, Patience(N_BINS, 0.01 * MISFIT))
    if gain < climb.STALLED_GAIN / climb.STALLED_STEPS:
        assert len(given_up) == 1 + climb.STALLED_STEPS < len(patient)
        assert not found[5]
    else:
        assert given_up == patient


@pytest.mark.parametrize("name", ["saturates at 1.2 pe", "saturates at 3 pe", "window misses"])
def test_a_hopeless_pixel_is_poor_after_few_steps(monkeypatch, name):
    """Before, a pixel took 80 to 200 likelihoods; two short climbs take 40."""
    calls = counted(monkeypatch, climb, "bin_probabilities")
    fits = fit(trouble(name))
    assert len(calls) < 60 * N_PIXELS
    assert (fits["STATUS"] & int(ChargeStatus.POOR_FIT) != 0).all()


@pytest.mark.parametrize("value", [0.0, -999.0])
def test_charges_that_are_none_end_after_few_likelihoods(monkeypatch, value):
    """A pixel of -999 took 200 likelihoods, of spectra of 4500 bins, and learning did not end."""
    spectra = with_missing(value)
    calls = counted(monkeypatch, climb, "bin_probabilities")
    fits = fit(spectra)
    assert len(calls) < 60 * len(fits)
    assert max((each[1].counts.shape[1] for each in calls), default=0) < 1000
    assert (fits["STATUS"] & int(ChargeStatus.POOR_FIT) != 0).all()
    learn_camera_noise(*spectra, SpeOptions())
    assert len(calls) < 60 * len(fits) + 3000


def test_what_is_beyond_noise_has_the_fit_without_it_and_does_not_teach():
    counts, start, width = with_missing(-999.0)
    moments = moment_table()
    beyond = []
    for pixel in range(len(counts)):
        found, _ = fit_pixel(
            counts[pixel].astype(float), start[pixel], width[pixel], np.nan, moments
        )
        excess = (found.goodness[0] - found.goodness[1]) / counts[pixel].sum()
        beyond.append(math.sqrt(excess) > noise_fit.BEYOND_NOISE)
    assert 0 < sum(beyond) < len(beyond)
    beyond = np.array(beyond)
    assert fit((counts, start, width))[beyond].tobytes() == (
        fit((counts, start, width), ALONE)[beyond].tobytes()
    )
    teachers = choose_teachers(counts, start, width, SpeOptions(), moments)
    assert len(teachers) == (~beyond).sum()


NARROW = dict(sigma_ped=1.0, sigma_pe=1.0)


@pytest.mark.parametrize(
    "changes",
    [
        dict(trouble=late_avalanches(afterpulses=0.3), **NARROW),
        dict(trouble=late_avalanches(dark=1.0), sigma_ped=2.0, sigma_pe=2.0),
        TROUBLES["night sky 1"],
        TROUBLES["all three"],
    ],
    ids=["narrow, afterpulses 0.3", "dark 1", "night sky 1", "all three"],
)
def test_noise_that_explains_the_spectra_is_found_as_by_climbs_without_end(monkeypatch, changes):
    """To the byte, where the first climbs end far from the spectra and another start is right."""
    spectra = draw_spectra(np.random.default_rng(4), [Sipm(**changes)] * N_PIXELS)
    fits = fit(spectra)
    monkeypatch.setattr(climb, "HOPELESS_MISFIT", math.inf)
    monkeypatch.setattr(noise_fit, "HOPELESS_MISFIT", math.inf)
    monkeypatch.setattr(noise_fit, "POOR_MISFIT", math.inf)
    monkeypatch.setattr(noise_fit, "BEYOND_NOISE", math.inf)
    monkeypatch.setattr(noise_fit, "SAME", -1.0)
    assert fits.tobytes() == fit(spectra).tobytes()
    assert (fits["STATUS"] & ~int(ChargeStatus.UNRESOLVED) == 0).all()


def test_a_poor_fit_is_not_made_again_at_the_same_maximum(monkeypatch):
    """A pedestal that jumps: the same climb from starts that agree within a tenth of an error."""
    spectra = trouble("pedestal jumps 0.5 pe")
    calls = counted(monkeypatch, noise_fit, "maximise")
    fits = fit(spectra)
    once = len(calls)
    monkeypatch.setattr(noise_fit, "SAME", -1.0)
    again = fit(spectra)
    assert once < len(calls) - once
    assert (fits["STATUS"] == again["STATUS"]).all()
    assert (np.abs(fits["PE"] - again["PE"]) < 0.1 * again["PE_ERR"]).all()
