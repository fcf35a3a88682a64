"""Pedestals of runs that differ by a photoelectron and more: each run has its own."""

import numpy as np
import pytest
from helpers.spe_flashes import Sipm, as_spectra, draw_charges

from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.status import ChargeStatus

N_PIXELS, PE = 24, 30.0
FEW_LOST = 2
"""Pixels of 24 that counting may leave unresolved."""


def fitted(light, flashes, shift):
    """Fits of pixels whose runs but the first have pedestals `shift` (adu) higher."""
    pixels = []
    for seed in range(N_PIXELS):
        first, *others = draw_charges(
            np.random.default_rng(seed), Sipm(pe=PE, light=light, flashes=flashes)
        )
        pixels.append([first, *(run + shift for run in others)])
    return fit_pixels(*as_spectra(pixels), np.arange(N_PIXELS), SpeOptions())


def is_off(fits, light):
    """Which pixels (n,) have another tooth as a pedestal: their light is off by 0.8 for each."""
    return (np.abs(fits["LAMBDA"] - light) > 0.6).any(axis=1)


@pytest.mark.parametrize("shift", [-60, -30, 16, 24, 30, 45, 60, 90])
@pytest.mark.parametrize(
    ("light", "flashes"), [((2.0, 3.0), 1000), ((1.2, 2.4), 600), ((0.6, 1.2, 2.4), 4000)]
)
def test_no_run_takes_the_tooth_of_another(light, flashes, shift):
    fits = fitted(light, flashes, shift)
    assert not is_off(fits, light).any()
    assert (fits["STATUS"] == 0).sum() >= N_PIXELS - FEW_LOST
    apart = np.diff(fits["EPED"], axis=1)[:, 0] - shift
    error = np.hypot(fits["EPED_ERR"][:, 0], fits["EPED_ERR"][:, 1])
    assert np.abs(apart).max() < 5.0 * error.max()


@pytest.mark.parametrize("shift", [-30, 30])
def test_without_a_dark_flash_the_shape_of_all_peaks_says_which(shift):
    """At 6 photoelectrons, 2000 flashes hold five without light: the nearest tooth is wrong."""
    fits = fitted((1.0, 6.0), 2000, shift)
    good = fits["STATUS"] == 0
    assert not (good & is_off(fits, (1.0, 6.0))).any()
    assert good.sum() > 0.7 * N_PIXELS


def test_same_pedestals_are_preferred_to_a_tooth_that_is_about_as_likely():
    """At 8 photoelectrons no flash is without light, and the next tooth often is."""
    fits = fitted((1.0, 8.0), 2000, 0)
    assert (fits["STATUS"] == 0).sum() >= N_PIXELS - FEW_LOST
    assert not is_off(fits, (1.0, 8.0)).any()


def test_what_no_flash_tells_is_unresolved():
    fits = fitted((1.0, 8.0), 2000, 30)
    unresolved = (fits["STATUS"] & int(ChargeStatus.UNRESOLVED)) != 0
    assert unresolved[is_off(fits, (1.0, 8.0))].mean() > 0.5
