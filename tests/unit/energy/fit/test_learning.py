"""Learning the response by alternation: where it ends, and from where its fits start."""

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.energy.fit import learning
from pixelcal.energy.fit.joint import fit_joint, near_of
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.line_shape import prior_sigma
from pixelcal.energy.response.tables import make_templates
from pixelcal.energy.simulation.spectra import make_camera

N = 1400
"""More than `learning.FIRST_PIXELS`: the iterations begin with a part of them."""


@pytest.fixture(scope="module")
def camera():
    return make_camera(N, 3_000.0, 11)


def learn(camera, most=learning.MAX_EM_ITERATIONS):
    data = camera.counts, *cameras.prior(N), cameras.line_table(), cameras.MIN_COUNTS
    known = {"expected": EXPECTED, "search": SEARCH}
    return learning.learn_camera(*data, max_iterations=most, agreement=False, **known)


def test_iterations_end_near_their_limit(camera, monkeypatch):
    found = learn(camera)
    assert found.converged and found.iterations < 10
    # Three times the iterations, all of them by all pixels.
    monkeypatch.setattr(learning, "FIRST_PIXELS", N)
    monkeypatch.setattr(learning, "CONVERGENCE_TOLERANCE", 0.0)
    limit = learn(camera, 20)
    # The tolerance is 0.02 of a prior or 0.1 of a standard error, which is below 1 prior: 0.1.
    off = np.abs(found.shape.vector - limit.shape.vector) / prior_sigma(EXPECTED.material)
    assert off.max() < 0.1


def test_a_fit_from_near_ends_where_the_others_do(camera):
    table = cameras.line_table()
    templates = make_templates(learn(camera), table)
    counts, detnum = camera.counts[:60], np.arange(60)
    options = cameras.OPTIONS
    first, found = fit_joint(counts, detnum, *cameras.prior(60), templates, options)
    at = first["GAIN"], first["OFFSET"]
    again, _ = fit_joint(counts, detnum, *at, templates, options, near=near_of(found))
    assert again["NITER"].mean() < 0.6 * first["NITER"].mean()
    for energy in (15.0, 80.0):
        sigma = energy_sigma(energy, *relation_columns(first))
        moved = energy_error(energy, again["GAIN"], again["OFFSET"], *at)
        assert np.abs(moved / sigma).max() < 0.05
