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

N_PIXELS = 400
SECONDS = 100_000


@pytest.mark.parametrize("preset", ["hecht", "ideal"])
def test_trapping_is_fitted_where_it_is(preset):
    camera, known = make_real_camera(N_PIXELS, SECONDS, 4, combine(preset)), prior(N_PIXELS)
    table = line_table()
    asked = {"expected": EXPECTED, "search": SEARCH}
    response = learn_camera(camera.counts, *known, table, MIN_COUNTS, **asked)
    fits = fit_pixels(camera.counts, np.arange(N_PIXELS), *known, table, response, OPTIONS)
    energies = np.array(REFERENCE_ENERGIES_KEV)
    error = camera.energy_error(energies, fits["GAIN"], fits["OFFSET"])[:, fits["STATUS"] == 0]
    sigma = systematic_sigma(energies, response.systematic_covariance)
    if preset == "ideal":
        assert response.shape.trapping == 0.0
    else:
        # Holes have 6 thicknesses to go in the simulated crystal.
        assert response.shape.trapping == pytest.approx(1 / 12, rel=0.2)
    assert (fits["STATUS"] == 0).mean() > 0.98
    assert (np.abs(error.mean(axis=1)) < 2.5 * sigma).all()
    assert (np.abs(error.mean(axis=1)[:4]) < 0.04).all()
