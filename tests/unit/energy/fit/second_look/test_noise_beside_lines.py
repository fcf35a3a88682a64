"""Noise beside lines that a second gain describes in part: the block is left out nonetheless."""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns

N, SECONDS, GAIN, OFFSET = 100, 10_000.0, 0.145, 3.0
ENERGIES_KEV = np.array([15.0, 50.0, 80.0])[:, None]


def fit(expected, seed):
    """Fits of pixels with these expected counts (n, n_channels), the same in both halves."""
    known = cameras.make_camera(500, SECONDS, 74).counts, *cameras.prior(500), cameras.line_table()
    response = learn_camera(*known, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH)
    rng = np.random.default_rng(seed)
    counts = rng.poisson(expected).astype(np.int32)
    first_half = rng.binomial(counts, 0.5).astype(np.int32)
    n = len(counts)
    known = np.arange(n), *cameras.prior(n), cameras.line_table(), response, cameras.OPTIONS
    return fit_pixels(counts, *known, first_half)


def test_noise_beside_lines_is_not_taken_for_a_second_gain():
    """A peak of 60 and 100 counts in 10 ks near tungsten's K beta lines, at 77 keV.

    A second gain is there by up to 9 sigma in the fits that follow it, and describes the peak in
    part. Without the block the relation is right: in 82 and 98 of 100 pixels.
    """
    plain = cameras.expected_spectrum(GAIN, OFFSET, SECONDS)
    energy = GAIN * (np.arange(len(plain)) + 0.5) + OFFSET
    peak = np.exp(-0.5 * ((energy - 77.0) / 0.3) ** 2)
    for counts_of_peak, least in ((60.0, 0.7), (100.0, 0.9)):
        rows = fit(np.tile(plain + counts_of_peak * peak / peak.sum(), (N, 1)), 6)
        mended = (rows["STATUS"] == 0) & (rows["BLOCKS_OUT"] != 0)
        error = energy_error(ENERGIES_KEV, rows["GAIN"], rows["OFFSET"], GAIN, OFFSET)
        pull = error / energy_sigma(ENERGIES_KEV, *relation_columns(rows))
        assert mended.mean() > least
        assert (np.abs(pull[:, mended]) < 5.0).all()
