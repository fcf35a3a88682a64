"""No SiPM pixel whose gain is wrong by more than 5 % is called good: 2000 pixels in trouble."""

import math

import numpy as np
import pytest
from helpers.spe_flashes import TROUBLES, Sipm, draw_spectra

from pixelcal.charge.spe.fit import SpeOptions, fit_pixels

N_PIXELS = 2000
EACH = math.ceil(N_PIXELS / len(TROUBLES))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_none_is_wrong_and_called_good(trouble):
    rng = np.random.default_rng(11)
    pixels = [Sipm(**TROUBLES[trouble]).changed(eped=rng.uniform(4000, 5000)) for _ in range(EACH)]
    counts, start, width = draw_spectra(rng, pixels)
    fits = fit_pixels(counts, start, width, np.arange(EACH), SpeOptions())
    good = fits["STATUS"] == 0
    assert (np.abs(fits["PE"][good] / pixels[0].pe - 1) < 0.05).all()
