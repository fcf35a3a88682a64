"""What lines that may be wider than the camera's do to the error of a relation."""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels

RESOLUTION, N_WIDE = 3.5 / 1.6, 400


def fit(counts, response, seed):
    """Fits of pixels near the prior, with random halves."""
    first_half = np.random.default_rng(seed).binomial(counts, 0.5).astype(np.int32)
    n = len(counts)
    known = np.arange(n), *cameras.prior(n), cameras.line_table(), response, cameras.OPTIONS
    return fit_pixels(counts, *known, first_half)


def learn(counts):
    known = counts, *cameras.prior(len(counts)), cameras.line_table(), cameras.MIN_COUNTS
    return learn_camera(*known, expected=EXPECTED, search=SEARCH)


def test_the_error_of_a_pixel_whose_lines_may_be_wide_contains_that():
    """2.2 times the width at 3 ks: many are not told, and the prior holds them at a narrow one.

    By the fit with the prior alone the rms of energy errors over quoted ones is 1.65 at 15 keV. For
    400 normal ones it is 1.00 with a standard deviation of 0.035. What is left (1.17) are the
    pixels whose counts do not ask for wide lines.
    """
    response = learn(cameras.make_camera(500, 3_000.0, 73).counts)
    spectrum = cameras.expected_spectrum(0.145, 3.0, 3_000.0, resolution=RESOLUTION)
    counts = np.random.default_rng(74).poisson(spectrum, (N_WIDE, len(spectrum))).astype(np.int32)
    rows = fit(counts, response, 75)
    place = (15.0 - 3.0) / 0.145
    error = place * rows["GAIN"] + rows["OFFSET"] - 15.0
    covariance = 2.0 * place * rows["GAIN_OFFSET_COV"]
    sigma = np.sqrt((place * rows["GAIN_ERR"]) ** 2 + covariance + rows["OFFSET_ERR"] ** 2)
    assert 0.9 < np.sqrt(np.mean((error / sigma) ** 2)) < 1.3
