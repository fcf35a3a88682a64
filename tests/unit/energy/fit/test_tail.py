"""The factor on the low-energy tail of a pixel: its derivatives, and whether it is found."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.exact_model import ExactPixel
from helpers.instruments import EXPECTED, SEARCH
from helpers.nominal_stacks import learnt_from

from pixelcal.energy.fit import model
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.response.tables import make_templates
from pixelcal.energy.simulation.detector import Detector
from pixelcal.energy.simulation.imperfections import combine
from pixelcal.energy.simulation.real_camera import make_real_camera
from pixelcal.numerics.statistics import MEDIAN_ERROR

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
SECONDS, LONG_S, N = 100_000.0, 1e8, 100
STEP = 1e-4


@lru_cache
def response():
    """Learnt from the expectation itself."""
    return learnt_from(np.rint(cameras.expected_spectrum(*RELATION, LONG_S))[None])


@lru_cache
def templates(losses=False):
    return make_templates(replace(response(), losses_differ=losses), cameras.line_table())


def parameters():
    """Parameters off from the camera's in all that matters."""
    theta = np.ones(model.N_SHARED + 12)
    theta[:2] = np.array([model.PIVOT_LOW, model.PIVOT_HIGH]) * RELATION[0] + RELATION[1]
    theta[2:4] = 0.13, 1.4
    theta[4:] += 0.1 * np.sin(np.arange(12))
    return theta


def of_block(theta, block, losses=False):
    """Counts (n,), first derivatives (n, n_local) and second ones, mixed and bent, of a block."""
    known = templates(losses)
    first, last = model.choose_channels(parameters(), known, 1024)
    work = model.make_workspace(1024, known)
    n = last[block] - first[block]
    n_local, _ = model.block_model(theta, block, first[block], n, 2000.0, known, work)
    return work.mu[:n], work.jacobian[:n, :n_local], work.mixed[:n, :n_local], work.bend[:n]


def differences(theta, block, parameter, losses, step=STEP):
    """Central differences of counts and first derivatives against a shared parameter."""
    up, down = theta.copy(), theta.copy()
    up[parameter] += step
    down[parameter] -= step
    pairs = zip(of_block(up, block, losses)[:2], of_block(down, block, losses)[:2], strict=True)
    return [(high - low) / (2 * step) for high, low in pairs]


@pytest.mark.parametrize("block", range(5))
@pytest.mark.parametrize(("losses", "tail"), [(False, 1.4), (True, 1.4), (True, 0.4)])
def test_derivatives_against_the_tail(block, losses, tail):
    """First and second ones, to 1e-5 of the largest: what differences leave."""
    theta = parameters()
    theta[model.TAIL] = tail
    _, jacobian, mixed, bend = of_block(theta, block, losses)
    slope, second = differences(theta, block, model.TAIL, losses)
    np.testing.assert_allclose(jacobian[:, model.TAIL], slope, atol=1e-6 * np.abs(slope).max())
    with_shared = zip((0, 1, model.RESOLUTION), (6, 7, 8), strict=True)
    for parameter, place in with_shared:
        size = np.abs(second[:, parameter]).max()
        np.testing.assert_allclose(bend[:, place], second[:, parameter], atol=1e-5 * size)
    norms = slice(model.N_SHARED, None)
    size = np.abs(second[:, norms]).max()
    np.testing.assert_allclose(mixed[:, norms, model.TAIL], second[:, norms], atol=1e-5 * size)
    twice, size = second[:, model.TAIL], np.abs(slope).max()
    if losses:
        np.testing.assert_allclose(bend[:, 9], twice, atol=1e-5 * np.abs(twice).max())
        assert np.abs(twice).max() > 0.01 * size
    else:  # the model is linear in the tail
        assert np.abs(twice).max() < 1e-6 * size and not bend[:, 9].any()


def fitted(counts):
    """Fits of pixels near the nominal relation, with a prior that is flat in the tail."""
    scale = templates().population_scale.copy()
    scale[1] = 30.0
    flat, n = templates()._replace(population_scale=scale), len(counts)
    return fit_joint(counts, np.arange(n), *cameras.prior(n), flat, cameras.OPTIONS)[0]


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_factor_put_in_is_found(factor):
    """Spectra of the model by scipy: means and widths of the pulls within 4 standard errors."""
    exact = ExactPixel(response(), cameras.line_table(), *RELATION)
    expected = exact.counts(SECONDS / LONG_S, factor)
    rows = fitted(np.random.default_rng(14).poisson(expected, (N, 1024)).astype(np.int32))
    pull = (rows["TAIL"] - factor) / rows["TAIL_ERR"]
    assert abs(pull.mean()) < 4 / np.sqrt(N)
    assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * N)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_tails_of_a_detector_are_found(factor):
    """Of a simulated one: the median within 4 standard errors. What tails leave in the block below
    is part of them; were it taken for continuum, a third of the difference would be lost."""
    detector = Detector(tail_60=factor * Detector().tail_60)
    rows = fitted(cameras.make_camera(N, SECONDS, 12, detector).counts)
    error = MEDIAN_ERROR * np.median(rows["TAIL_ERR"]) / np.sqrt(N)
    assert abs(np.median(rows["TAIL"]) - factor) < 4 * error


@pytest.mark.parametrize("losses", [False, True])
def test_what_the_factors_are_on_is_told_by_the_pixels(losses):
    """Tails that differ by 30 %: in strength alone by scipy, or with the mean loss as simulated."""
    if losses:
        counts = make_real_camera(120, SECONDS, 22, combine("tails")).counts
    else:
        factors = np.exp(0.3 * np.random.default_rng(21).standard_normal(120))
        exact = ExactPixel(response(), cameras.line_table(), *RELATION)
        expected = [exact.counts(SECONDS / LONG_S, factor) for factor in factors]
        counts = np.random.default_rng(22).poisson(expected).astype(np.int32)
    data = counts, *cameras.prior(len(counts)), cameras.line_table(), cameras.MIN_COUNTS
    learnt = learn_camera(*data, expected=EXPECTED, search=SEARCH, agreement=False)
    assert learnt.losses_differ == losses


def test_the_population_prior_draws_a_few_counts_to_the_camera():
    """Pixels of a tail twice as strong: with few counts hardly any of it is found."""
    camera = cameras.make_camera(40, 3000.0, 13, Detector(tail_60=2 * Detector().tail_60))
    rows = fit_joint(camera.counts, np.arange(40), *cameras.prior(40), templates(), cameras.OPTIONS)
    assert 0.9 < np.median(rows[0]["TAIL"]) < 1.3
