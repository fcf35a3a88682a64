"""The error that all pixels have in common, quoted by the stack: is it the one they have?"""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy.stats import chi2

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import energy_error
from pixelcal.energy.response.energy_scale import systematic_sigma

N, SECONDS, CAMERAS = 100, 300_000.0, 6


def test_mean_errors_of_cameras_scatter_as_quoted():
    """Six cameras, each with its own response: the square of mean error over quoted common error.

    The quoted one contains the scatter of the mean over the pixels. The sum over the cameras is
    chi-square; limits at probabilities of 1e-4 on both sides, and a tenth for what no model has.
    """
    table, prior = cameras.line_table(), cameras.prior(N)
    pulls = []
    for seed in range(CAMERAS):
        camera = cameras.make_camera(N, SECONDS, 100 + seed)
        response = learn_camera(
            camera.counts, *prior, table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
        )
        rows = fit_pixels(camera.counts, np.arange(N), *prior, table, response, cameras.OPTIONS)
        energies = np.array([4.0, 50.0, 150.0])
        relation = rows["GAIN"], rows["OFFSET"], camera.gain_true, camera.offset_true
        mean = [energy_error(energy, *relation).mean() for energy in energies]
        pulls.append(mean / systematic_sigma(energies, response.scale_covariance))
    squares = np.sum(np.square(pulls), axis=0)
    assert np.all(squares < 1.21 * chi2.isf(1e-4, CAMERAS))
    assert np.all(squares > chi2.ppf(1e-4, CAMERAS) / 1.21)
