"""Trapping by depth, as strong as in typical CdTe: chosen by the data, and energies are right."""

import numpy as np
import pytest
from helpers.cameras import MIN_COUNTS, OPTIONS, line_table, prior
from helpers.instruments import EXPECTED, REFERENCE_ENERGIES_KEV, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.response.energy_scale import systematic_sigma
from pixelcal.energy.simulation.imperfections import combine
from pixelcal.energy.simulation.real_camera import make_real_camera

ENERGIES = np.array(REFERENCE_ENERGIES_KEV)


def fitted(preset, n_pixels, seconds, seed):
    """A camera, its response as it is learnt, and the fits of its pixels."""
    camera, known = make_real_camera(n_pixels, seconds, seed, combine(preset)), prior(n_pixels)
    asked = {"expected": EXPECTED, "search": SEARCH}
    table = line_table()
    response = learn_camera(camera.counts, *known, table, MIN_COUNTS, **asked)
    fits = fit_pixels(camera.counts, np.arange(n_pixels), *known, table, response, OPTIONS)
    return camera, response, fits


@pytest.mark.parametrize("preset", ["hecht", "hecht+bi10"])
def test_strong_trapping_is_found_with_few_counts(preset):
    """A tail that stands in for it puts lines at 80 keV 0.1 keV off, and nothing looks wrong.

    Bismuth, which the line table lacks, makes the tail look better than it is.
    """
    n_pixels = 640
    camera, response, fits = fitted(preset, n_pixels, 10_000, 2)
    assert response.shape.trapping == pytest.approx(1 / 12, rel=0.2)
    error = camera.energy_error(ENERGIES, fits["GAIN"], fits["OFFSET"])[:, fits["STATUS"] == 0]
    sigma = systematic_sigma(ENERGIES, response.systematic_covariance)
    assert (np.abs(error.mean(axis=1)) < 2.0 * sigma).all()
    assert sigma[ENERGIES == 80] < 0.04


def test_trapping_is_found_from_where_a_tail_stood_in_for_it():
    """With very many counts a score test asks for trapping. A fit that went on from the tail stayed
    there: 34 % of the events in a tail, trapping 0.012, lines at 80 keV 0.07 keV off.

    Pixels differ by 20 % in their trapping: the mean of their lines is described by several shapes
    with strong trapping, and all of these put the lines where they are.
    """
    camera, response, fits = fitted("hecht_pixels", 200, 8_000_000, 1)
    assert response.shape.trapping > 0.5 / 12
    error = camera.energy_error(ENERGIES, fits["GAIN"], fits["OFFSET"])[:, fits["STATUS"] == 0]
    sigma = systematic_sigma(ENERGIES, response.systematic_covariance)
    assert (np.abs(error.mean(axis=1)) < 2.0 * sigma).all()
    assert (np.abs(error.mean(axis=1)[:4]) < 0.03).all()


@pytest.mark.parametrize("preset", ["hecht", "ideal"])
def test_trapping_is_fitted_where_it_is(preset):
    camera, response, fits = fitted(preset, 400, 100_000, 4)
    error = camera.energy_error(ENERGIES, fits["GAIN"], fits["OFFSET"])[:, fits["STATUS"] == 0]
    sigma = systematic_sigma(ENERGIES, response.systematic_covariance)
    if preset == "ideal":
        assert response.shape.trapping == 0.0
    else:
        # Holes have 6 thicknesses to go in the simulated crystal.
        assert response.shape.trapping == pytest.approx(1 / 12, rel=0.2)
    assert (fits["STATUS"] == 0).mean() > 0.98
    assert (np.abs(error.mean(axis=1)) < 2.5 * sigma).all()
    assert (np.abs(error.mean(axis=1)[:4]) < 0.04).all()
