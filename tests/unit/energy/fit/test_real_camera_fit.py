"""The fit of a camera with all imperfections together: it is calibrated, not given up.

With a response of which no real pixel is worthy, every pixel was flagged from some exposure on and
the response was learnt from none.
"""

from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED, REFERENCE_ENERGIES_KEV, REQUIREMENT, SEARCH

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.results.merge import complete_status
from pixelcal.energy.simulation.real_camera import make_real_camera
from pixelcal.status import EnergyStatus

N = 256
PASS_FRACTION = {100e3: 0.98, 1e6: 0.95}


@lru_cache
def calibrated(seconds):
    """The camera, its response, and its fits with STATUS completed."""
    camera = make_real_camera(N, seconds, 1, "all")
    table = read_line_table(cameras.LINE_TABLE.with_name("complete.csv"))
    known = *cameras.prior(N), table
    response = learn_camera(
        camera.counts, *known, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    data = camera.counts, np.arange(N), *known
    rows = fit_pixels(*data, response, cameras.OPTIONS, camera.first_half)
    return camera, response, complete_status(rows, camera.x, camera.y, np.zeros(0), REQUIREMENT)


def test_healthy_pixels_are_not_flagged():
    """At most 2 %, within three binomial errors of so few pixels."""
    camera, _, rows = calibrated(100e3)
    flagged = rows["STATUS"][camera.healthy] != 0
    assert flagged.mean() <= 0.02 + 3 * np.sqrt(0.02 * 0.98 / len(flagged))


@pytest.mark.parametrize("seconds", PASS_FRACTION)
def test_the_response_is_learnt(seconds):
    """From the pixels: the width to 5 %, and a shape that is not that of the start."""
    _, response, _ = calibrated(seconds)
    assert response.converged and response.line_strength.sum() > 0
    assert response.shape.fwhm_60 == pytest.approx(1.6, rel=0.05)
    assert response.shape != EXPECTED


@pytest.mark.parametrize("seconds", PASS_FRACTION)
def test_healthy_pixels_meet_the_requirement(seconds):
    camera, _, rows = calibrated(seconds)
    energies = np.array(REFERENCE_ENERGIES_KEV)
    error = camera.energy_error(energies, rows["GAIN"], rows["OFFSET"])
    passed = np.abs(error) <= requirement_keV(energies, REQUIREMENT)[:, None]
    assert passed[:, camera.healthy].mean(axis=1).min() >= PASS_FRACTION[seconds]


def test_more_counts_do_not_make_every_pixel_a_poor_fit():
    camera, response, rows = calibrated(1e6)
    poor = (rows["STATUS"] & EnergyStatus.POOR_FIT) != 0
    assert poor[camera.healthy].mean() < 0.1
    assert (response.misfit.excess > 0).any(), "the camera is unlike the model, and it is known"
