"""Noise that all pixels have in common: truth put in, pixels unlike the others, no noise at all."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, draw_spectra

from pixelcal.charge.simulation.troubles import late_avalanches
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.io import read_noise, write_noise
from pixelcal.charge.spe.noise.learn import choose_teachers, learn_camera_noise
from pixelcal.charge.spe.noise.population import climb_together, unusual
from pixelcal.charge.spe.noise.priors import (
    CameraNoise,
    NoisePrior,
    general_prior,
    linear,
    logarithmic,
    no_noise,
)
from pixelcal.charge.spe.noise.spectrum import bin_probabilities
from pixelcal.numerics.goodness_of_fit import moment_table
from pixelcal.status import ChargeStatus

N_PIXELS = 48
FAINT = dict(afterpulses=0.05)
"""At 3 x 10 000 flashes most pixels do not show it; without it OPCT is 10 % too large."""


def pixels_with(noise, n=N_PIXELS, **changes):
    trouble = late_avalanches(**noise) if noise else None
    return [Sipm(trouble=trouble, eped=4000.0 + i, **changes) for i in range(n)]


def fit(spectra, camera):
    return fit_pixels(*spectra, np.arange(len(spectra[0])), SpeOptions(), camera=camera)


@pytest.fixture(scope="module")
def faint():
    """Spectra of a camera with faint noise, and what is learnt of it."""
    spectra = draw_spectra(np.random.default_rng(21), pixels_with(FAINT))
    return spectra, learn_camera_noise(*spectra, SpeOptions())


def test_noise_that_no_pixel_shows_is_learnt_from_all(faint):
    """OPCT is right within its common uncertainty, and every pixel within its own."""
    spectra, learnt = faint
    assert learnt.n_teachers >= N_PIXELS - 4
    assert learnt.camera.kinds == ("afterpulses", "delayed_crosstalk")
    fits = fit(spectra, learnt.camera)
    # So few flashes do not tell prompt from delayed crosstalk, which have the same afterpulses.
    assert (fits["STATUS"] & ~int(ChargeStatus.UNRESOLVED) == 0).mean() > 0.9
    for name, true in (("PE", 30.0), ("OPCT", 0.15)):
        value, error, common = fits[name], fits[f"{name}_ERR"], fits[f"{name}_SYS"]
        off = value.mean() - true
        assert (common > 0).all()
        assert abs(off) < 3 * math.hypot(error.mean() / math.sqrt(N_PIXELS), common.mean()), name
        width = np.std((value - value.mean()) / error)
        assert abs(width - 1) < 4 / math.sqrt(2 * N_PIXELS), name
    alone = fit(spectra, None)
    assert np.abs(fits["CROSSTALK"] / 0.15 - 1).max() < np.abs(alone["OPCT"] / 0.15 - 1).max()


def test_pulls_of_pixels_that_differ_as_the_camera_says_have_a_width_of_one():
    """Noise drawn from the prior of the camera, counts from the model."""
    rng, n, places = np.random.default_rng(31), 120, [late.DARK, late.DECAY, late.AFTERPULSE + 1]
    centre, spread = logarithmic(no_noise(0.3)), np.zeros(late.N_NOISE)
    centre[places], spread[places] = (0.2, math.log(0.3), 0.08), (0.02, 0.05, 0.01)
    precision = np.diag(general_prior().precision).copy()
    precision[places] = spread[places] ** -2
    kinds = ("dark_counts", "afterpulses")
    prior = NoisePrior(centre, np.diag(precision))
    camera = CameraNoise(kinds, prior, np.zeros((late.N_NOISE, late.N_NOISE)))
    noise = linear(centre + spread * rng.standard_normal((n, late.N_NOISE)))
    shared, runs = (2.4**2, 30.0, 1.2**2, 0.15), (0.0, 0.6, 0.0, 1.2, 0.0, 2.4)
    bins = Spectra(np.zeros((3, 800)), np.full(3, -60.5), 1.0)
    counts = np.empty((n, 3, 800), int)
    for i in range(n):
        probability, _ = bin_probabilities(np.array([*shared, *noise[i], *runs]), bins)
        for run in range(3):
            counts[i, run] = rng.multinomial(20_000, probability[run] / probability[run].sum())
    options = SpeOptions(delayed_crosstalk=False)
    start, width = np.tile(bins.start, (n, 1)), np.ones(n)
    fits = fit_pixels(counts, start, width, np.arange(n), options, camera=camera)
    dark = noise[:, late.DARK]
    for name, true in (("PE", 30.0), ("OPCT", 0.15), ("SIGMA_PED", 2.4), ("DARK", dark)):
        pull = (fits[name] - true) / fits[f"{name}_ERR"]
        assert abs(pull.std() - 1.0) < 4 / math.sqrt(2 * n), name
        assert abs(pull.mean()) < 4 / math.sqrt(n), name


def test_without_delayed_crosstalk_pixels_with_faint_afterpulses_are_good(faint):
    """The user may know that there is none: OPCT is then known, and right within its errors."""
    spectra, _ = faint
    options = SpeOptions(delayed_crosstalk=False)
    learnt = learn_camera_noise(*spectra, options)
    assert learnt.camera.kinds == ("afterpulses",)
    fits = fit_pixels(*spectra, np.arange(N_PIXELS), options, camera=learnt.camera)
    assert (fits["STATUS"] == 0).mean() > 0.9
    value, error, common = (fits[f"OPCT{kind}"] for kind in ("", "_ERR", "_SYS"))
    assert abs(value.mean() - 0.15) < 3 * math.hypot(error.mean() / N_PIXELS**0.5, common.mean())
    assert common.mean() < 0.07 * 0.15


def test_all_kinds_are_recovered():
    truth = dict(dark=0.2, afterpulses=0.1)
    spectra = draw_spectra(
        np.random.default_rng(22),
        pixels_with(truth, 16, sigma_ped=3.0, sigma_pe=2.0, flashes=32_000),
    )
    camera = learn_camera_noise(*spectra, SpeOptions()).camera
    noise = linear(camera.prior.centre)
    error = np.sqrt(np.diag(camera.systematic))
    assert abs(noise[late.DARK] - 0.2) < 4 * error[late.DARK]
    assert abs(np.log(noise[late.DECAY] / 0.25)) < 4 * error[late.DECAY]
    after = slice(late.AFTERPULSE, late.DELAYED)
    # Within the window there are 1 - exp(-1 / 0.3) of the afterpulses.
    within = 0.1 * -math.expm1(-1 / 0.3)
    total = math.sqrt(camera.systematic[after, after].sum())
    assert abs(noise[after].sum() - within) < 4 * total + 0.05 * within  # delays are not a sum


def test_a_camera_without_noise_has_none():
    spectra = draw_spectra(np.random.default_rng(23), pixels_with({}, 24))
    learnt = learn_camera_noise(*spectra, SpeOptions())
    assert learnt.camera is None and learnt.n_teachers == 24


def test_a_pixel_unlike_the_others_does_not_teach_and_has_its_noise():
    """One pixel has 0.5 dark counts where the others have 0.05: DARK is right in both."""
    rng = np.random.default_rng(24)
    pixels = pixels_with(dict(dark=0.05), 24, sigma_ped=3.0, sigma_pe=2.0)
    pixels[7] = pixels[7].changed(trouble=late_avalanches(dark=0.5))
    spectra = draw_spectra(rng, pixels)
    camera = learn_camera_noise(*spectra, SpeOptions()).camera
    centre = camera.prior.centre[late.DARK]
    assert abs(centre - 0.05) < 4 * math.sqrt(camera.systematic[late.DARK, late.DARK]) + 0.005
    fits = fit(spectra, camera)
    assert abs(fits["DARK"][7] - 0.5) < 5 * fits["DARK_ERR"][7]
    assert abs(fits["PE"][7] / 30.0 - 1) < 0.01


def test_the_scatter_of_the_pixels_is_learnt():
    """Dark counts that differ by 30 %: found within four standard errors of a scatter."""
    rng = np.random.default_rng(25)
    rates = 0.2 * (1 + 0.3 * rng.standard_normal(32))
    pixels = [
        Sipm(trouble=late_avalanches(dark=rate), sigma_ped=3.0, sigma_pe=2.0) for rate in rates
    ]
    camera = learn_camera_noise(*draw_spectra(rng, pixels), SpeOptions()).camera
    spread = camera.prior.precision[late.DARK, late.DARK] ** -0.5
    assert abs(spread / np.std(rates) - 1) < 4 / math.sqrt(2 * len(rates))


def test_the_shared_noise_is_at_the_maximum(faint):
    """No parameter of the noise lowers the deviance, whatever the other parameters do."""
    spectra, learnt = faint
    some = tuple(each[:12] for each in spectra)
    teachers = choose_teachers(*some, SpeOptions(), moment_table())
    begin = np.array([teacher.clean for teacher in teachers])
    given = [teacher.spectra for teacher in teachers]
    kinds = ("afterpulses",)
    shared = climb_together(given, begin, linear(learnt.camera.prior.centre), kinds)
    assert shared.converged and not unusual(shared, kinds).any()
    for place, step in ((late.DECAY, 0.05), (late.AFTERPULSE + 1, 0.01)):
        for sign in (-1, 1):
            moved = shared.noise.copy()
            moved[place] += sign * step
            # Everything but the noise is free: a climb whose noise cannot move.
            there = climb_together(given, shared.clean, moved, kinds, frozen=True)
            assert there.deviance > shared.deviance


def test_what_is_written_is_read(faint, tmp_path):
    _, learnt = faint
    write_noise(tmp_path / "noise.fits", learnt, [], None)
    read = read_noise(tmp_path / "noise.fits")
    assert read.kinds == learnt.camera.kinds
    for one, other in (
        (read.prior, learnt.camera.prior),
        ((read.systematic,), (learnt.camera.systematic,)),
    ):
        for a, b in zip(one, other, strict=True):
            assert a == pytest.approx(b, rel=1e-12)
    write_noise(tmp_path / "none.fits", learnt._replace(camera=None), [], None)
    assert read_noise(tmp_path / "none.fits") is None
