"""Lines of radioactive nuclides under those of the table, as activation and sources make them.

Together they pull at the tail of the camera, and through it at the energies of all pixels. The
catalogue knows them, so that they are found in the residuals, and included where that is asked for.
"""

import numpy as np
from helpers import cameras
from helpers.instruments import EXPECTED, REFERENCE_ENERGIES_KEV, SEARCH
from helpers.paths import PROJECT
from scipy.special import ndtr

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.response.energy_scale import systematic_sigma
from pixelcal.energy.results.found_lines import include_lines
from pixelcal.energy.simulation.real_camera import make_real_camera

N = 160
GAMMAS = {59.5409: 0.35, 88.0336: 0.35}
"""Of Am-241 and Cd-109 (keV): counts over those within 1 keV around the place."""


def with_gammas(camera):
    """The spectra (n, 1024) with the lines, of the width that is expected of the camera."""
    rng, counts = np.random.default_rng(2), camera.counts.astype(float)
    for energy, part in GAMMAS.items():
        near = np.abs(camera.edges_keV[:, :-1] - energy) < 1.0
        total = part * (counts * near).sum(axis=1).mean()
        below = ndtr((camera.edges_keV - energy) / EXPECTED.sigma(energy))
        counts += rng.poisson(total * np.diff(below, axis=1))
    return counts.astype(np.int32)


def test_lines_of_nuclides_are_found_and_energies_are_right_with_them():
    """Without them, lines at 80 keV were 0.2 keV off."""
    camera, known = make_real_camera(N, 400e3, 1, "tails"), cameras.prior(N)
    counts, table = with_gammas(camera), cameras.line_table()
    catalogue = read_catalogue(PROJECT / "resources" / "lines" / "materials.csv")
    options = {"expected": EXPECTED, "search": SEARCH}

    def learn(table, chosen, **more):
        data = counts[chosen], *(values[chosen] for values in known), table, cameras.MIN_COUNTS
        return learn_camera(*data, **options, **more)

    given = counts, *known, table, catalogue, cameras.OPTIONS, EXPECTED
    table = include_lines(lambda *data: learn(*data, agreement=False), *given)
    assert {"Am-241", "Cd-109"} <= set(table.element)
    response = learn(table, np.arange(N))
    rows = fit_pixels(counts, np.arange(N), *known, table, response, cameras.OPTIONS)
    energies = np.array(REFERENCE_ENERGIES_KEV)
    error = camera.energy_error(energies, rows["GAIN"], rows["OFFSET"])[:, camera.healthy]
    sigma = systematic_sigma(energies, response.systematic_covariance)
    assert (np.abs(np.median(error, axis=1)) < 2.0 * sigma).all()
    assert sigma[energies == 80] < 0.05
