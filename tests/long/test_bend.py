"""Relations that all bend alike: no error of a pixel says so, the systematic uncertainty must.

One row for each bend, after the fault E5. A channel whose straight relation gives e holds photons
of e + bend(e), in all pixels.
"""

from functools import lru_cache

import numpy as np
import pytest
from helpers.cameras import MIN_COUNTS, OPTIONS, expected_spectrum, line_table, make_camera, prior
from helpers.instruments import EXPECTED, N_CHANNELS, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.response.stack_fit import Terms
from pixelcal.energy.results.systematics import Systematics
from pixelcal.status import has_valid_fit

N_PIXELS = 640
SECONDS = 10_000
AT_KEV = np.array([4.0, 15.0, 50.0, 80.0, 150.0])
FINE_KEV = np.linspace(0.0, 160.0, 16_001)

BENDS = {
    "none": lambda e: 0.0 * e,
    "parabola": lambda e: 0.5 * 4.0 * e * (160.0 - e) / 160.0**2,
    "quadratic": lambda e: 0.3 * (e / 80.0) ** 2,
    "low energies": lambda e: 0.2 * np.exp((4.0 - e) / 6.0),
}
"""keV, of an energy in keV: 0.5 keV in the middle; 0.3 keV at 80 keV; 0.2 keV at 4 keV."""

MOST_SIGMA = 2.5


@lru_cache
def calibrated(name, terms=Terms()):  # noqa: B008, a tuple
    """The response of a camera, and the median error (5,) of its pixels at `AT_KEV`, keV."""
    bend = BENDS[name]
    camera = make_camera(N_PIXELS, SECONDS, seed=5, resolutions=(1.0,))
    counts = _bent_spectra(camera, bend, np.random.default_rng(6))
    table, known = line_table(), prior(N_PIXELS)
    asked = {"expected": EXPECTED, "search": SEARCH, "terms": terms}
    response = learn_camera(counts, *known, table, MIN_COUNTS, **asked)
    fits = fit_pixels(counts, np.arange(N_PIXELS), *known, table, response, OPTIONS)
    valid = has_valid_fit(fits["STATUS"])
    assert valid.sum() > 0.99 * N_PIXELS
    straight = np.interp(AT_KEV, FINE_KEV + bend(FINE_KEV), FINE_KEV)
    places = (straight - camera.offset_true[valid, None]) / camera.gain_true[valid, None]
    found = fits["GAIN"][valid, None] * places + fits["OFFSET"][valid, None]
    found = found if response.curve is None else response.curve.energy(found)
    return response, np.median(found - AT_KEV, axis=0)


def _bent_spectra(camera, bend, rng):
    """Counts (n, 1024) of pixels with the relations of a camera, bent."""
    edges = np.arange(N_CHANNELS + 1)
    counts = []
    for pixel in zip(camera.gain_true, camera.offset_true, camera.efficiency, strict=True):
        gain, offset, efficiency = pixel
        below = np.append(0.0, np.cumsum(expected_spectrum(gain, offset, SECONDS, efficiency)))
        straight = gain * edges + offset
        bent = np.interp((straight + bend(straight) - offset) / gain, edges, below)
        counts.append(rng.poisson(np.diff(bent)))
    return np.array(counts, np.int32)


def sigma_of(response):
    """Systematic uncertainty (5,) at `AT_KEV`, keV."""
    known = response.systematic_covariance[None], None, line_ends(line_table())
    systematics = Systematics(*known, low_bend=response.low_bend)
    return np.array([systematics.common_sigma(energy)[0] for energy in AT_KEV])


ABOVE_COPPER = slice(1, None)
"""Energies with lines on both sides; 4 keV is below the lowest line, which is at 8 keV."""


@pytest.mark.parametrize("name", BENDS)
def test_the_systematic_uncertainty_holds_the_error_of_all_pixels(name):
    response, error = calibrated(name)
    sigma = sigma_of(response)
    assert (np.abs(error) < MOST_SIGMA * sigma).all(), (error, sigma)


def test_a_bend_is_found_with_its_sign():
    """In the middle of the lines, over a straight relation through the outermost ones."""
    low, high = (end(line_table().energy_keV) for end in (np.min, np.max))
    parabola, quadratic = (calibrated(name)[0] for name in ("parabola", "quadratic"))
    for name, response in (("parabola", parabola), ("quadratic", quadratic)):
        bend = BENDS[name]
        sag = bend((low + high) / 2) - (bend(low) + bend(high)) / 2
        assert abs(response.bend) > 2.5 * response.bend_err
        assert abs(response.bend / 4 - sag) < 3.0 * response.bend_err / 4
    assert np.sign(parabola.bend) == -np.sign(quadratic.bend) == 1


def test_no_bend_is_found_where_there_is_none():
    response, _ = calibrated("none")
    assert abs(response.bend) < 3.0 * response.bend_err
    # Of 5 such cameras 0.17 to 0.24 keV at 150 keV.
    assert (sigma_of(response) < np.array([0.06, 0.06, 0.06, 0.06, 0.25])).all()


KEYS = {"parabola": Terms(quadratic=True), "quadratic": Terms(quadratic=True),
        "low energies": Terms(low=True)}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_with_its_key_a_bend_is_corrected(name):
    """From 15 to 80 keV within 40 eV; element energies are known to 20 eV, and so the bend is."""
    response, error = calibrated(name, KEYS[name])
    sigma = sigma_of(response)
    among_lines = slice(1, 4)
    assert (np.abs(error[among_lines]) < 0.04).all(), error
    assert (np.abs(error[ABOVE_COPPER]) < MOST_SIGMA * sigma[ABOVE_COPPER]).all(), (error, sigma)
    if name != "low energies":
        straight = calibrated(name)[1]
        assert abs(error[-1]) < 0.5 * abs(straight[-1]), (error, straight)
