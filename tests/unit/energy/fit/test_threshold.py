"""Thresholds within the lowest block: channels that they take counts from are left out."""

from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.nominal_stacks import learnt_from
from scipy.special import ndtr

from pixelcal.energy.fit import model
from pixelcal.energy.fit.checks import threshold
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import make_templates

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
CENTRES_KEV = RELATION[0] * (np.arange(1024) + 0.5) + RELATION[1]
SECONDS, N = 100_000.0, 400


@lru_cache
def templates():
    """Of the response that is learnt from the expectation itself."""
    response = learnt_from(np.rint(cameras.expected_spectrum(*RELATION, 1e7))[None])
    return make_templates(response, cameras.line_table())


def spectra(n, seconds=SECONDS, part=1.0, seed=2):
    """Poisson spectra (n, 1024) of equal pixels that keep `part` of their counts."""
    expected = part * cameras.expected_spectrum(*RELATION, seconds)
    return np.random.default_rng(seed).poisson(expected, (n, 1024)).astype(np.int32)


def behind_threshold(at_keV, sigma_keV):
    """Part of the counts that a soft threshold leaves."""
    return ndtr((CENTRES_KEV - at_keV) / sigma_keV)


def fit(counts):
    n = len(counts)
    return fit_joint(counts, np.arange(n), *cameras.prior(n), templates(), cameras.OPTIONS)[0]


def lowest_block(counts):
    """First channel of the lowest block, its size, and a workspace with its model."""
    theta = np.ones(model.N_SHARED + 12)
    theta[:2] = np.array([model.PIVOT_LOW, model.PIVOT_HIGH]) * RELATION[0] + RELATION[1]
    theta[model.RESOLUTION] = 0.0
    first, last = model.choose_channels(theta, templates(), 1024)
    work = model.make_workspace(1024, templates())
    expected = model.expected_total(first, last, theta, templates(), work)
    used = sum(counts[a:b].sum() for a, b in zip(first, last, strict=True))
    start, n = first[0], last[0] - first[0]
    model.block_model(theta, 0, start, n, used / expected, templates(), work)
    return start, n, work


@pytest.mark.parametrize("at_keV", [6.9, 7.1, 7.3])
def test_relation_is_unbiased_behind_a_soft_threshold(at_keV):
    """At the lowest line and at 4 keV: means and widths of the pulls within 4 standard errors.

    The response is known; 0.1 sigma are for what rounding of its stack and the prior leave.
    """
    rows = fit(spectra(N, part=behind_threshold(at_keV, 0.2)))
    assert np.mean(rows["STATUS"] == 0) > 0.98
    lowest = rows["LOWEST_CHANNEL"]
    assert np.mean(lowest > 0) > 0.98
    # The block, from channel 25 to 47, is not thrown away: it keeps its line, at channel 35.
    assert np.mean(lowest < 35) > 0.9
    for energy in (4.0, 8.0, 60.0):
        relation = relation_columns(rows)
        pull = energy_error(energy, *relation[:2], *RELATION) / energy_sigma(energy, *relation)
        assert abs(pull.mean()) < 4 / np.sqrt(N) + 0.1, energy
        assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * N), energy


def test_channels_that_lack_counts_are_left_out():
    """All where less than nine tenths are left."""
    part = behind_threshold(7.1, 0.2)
    lacking = np.flatnonzero((part < 0.9) & (np.arange(1024) >= 25)).max()
    assert np.median(fit(spectra(40, part=part))["LOWEST_CHANNEL"]) > lacking


@pytest.mark.parametrize("seconds", [3e3, 30e3, 300e3])
def test_without_a_threshold_no_channel_is_left_out(seconds):
    """A hypothesis of 20 places of a threshold at 4 sigma, one-sided: less than 6 in 10 000."""
    rows = fit(spectra(2000, seconds, seed=3))
    assert np.sum(rows["LOWEST_CHANNEL"] > 0) <= 5


def test_a_threshold_below_the_block_takes_nothing():
    rows = fit(spectra(200, part=behind_threshold(4.5, 0.3)))
    assert not rows["LOWEST_CHANNEL"].any()


def test_a_line_that_is_missing_is_no_threshold():
    """Without copper counts are missing in the middle, and not at the edge of the block."""
    gone = cameras.element_spectrum("Cu", *RELATION, 1.0, 1.0, SECONDS)
    part = 1.0 - gone / np.maximum(cameras.expected_spectrum(*RELATION, SECONDS), 1e-9)
    assert not fit(spectra(200, part=part))["LOWEST_CHANNEL"].any()


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("at_keV", [6.5, 6.75, 6.95])
def test_a_soft_threshold_spoils_no_fit_however_bright_the_line(at_keV, factor):
    """Its flank takes a part of few channels, and where the block begins the fit has to find."""
    copper = cameras.element_spectrum("Cu", *RELATION, 1.0, 1.0, SECONDS)
    whole = cameras.expected_spectrum(*RELATION, SECONDS)
    part = behind_threshold(at_keV, 0.3) * (1.0 + (factor - 1.0) * copper / np.maximum(whole, 1e-9))
    rng = np.random.default_rng(8)
    counts = rng.poisson(part * whole, (N, 1024)).astype(np.int32)
    start = RELATION[0] * (1.0 + 0.003 * rng.standard_normal(N)), np.full(N, RELATION[1] - 0.2)
    wide = templates().population_scale.copy()
    wide[N_OF_SHAPE:] = 0.3
    known = templates()._replace(population_scale=wide)
    rows = fit_joint(counts, np.arange(N), *start, known, cameras.OPTIONS)[0]
    # Of p-values one in 10 000 is below the limit.
    assert np.sum(rows["STATUS"] != 0) <= 1
    pull = energy_error(8.0, rows["GAIN"], rows["OFFSET"], *RELATION)
    pull /= energy_sigma(8.0, *relation_columns(rows))
    assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * N) + 0.05
    # What is left of the threshold pulls by a fraction of an error.
    assert abs(pull.mean()) < 4 / np.sqrt(N) + 0.2


@pytest.mark.parametrize("n_cut", [1, 4, 11])
def test_a_hard_threshold_is_where_it_is(n_cut):
    """Counts as expected, none below the threshold; the pixel has twice the camera's level."""
    n_local = model.N_SHARED + 1
    level = np.full((20, n_local), 1000.0)

    def cut(seen):
        return threshold.cut_by_threshold(seen.astype(np.int32), level[:, 0], level, n_local)

    expected = np.full(20, 2000)
    seen = np.where(np.arange(20) < n_cut, 0, expected)
    assert cut(seen) == n_cut
    assert cut(expected) == 0
    # Two counts in each channel are lost in the noise.
    level /= 1000.0
    assert cut(seen // 1000) == 0


def test_noise_that_rises_at_the_edge_is_seen():
    """As bright as the continuum at the edge, and falling; and none by chance in 2000 pixels."""
    noise = 1.0 + np.exp(-(CENTRES_KEV - 6.6) / 0.5)
    for part, least, most in ((noise, 0.95, 1.0), (1.0, 0.0, 0.0)):
        counts = spectra(2000, part=part, seed=6)
        start, n, work = lowest_block(counts[0])
        sigma = [threshold.excess_at_edge(one, start, n, work) for one in counts]
        assert least <= np.mean(np.array(sigma) > 5.0) <= most
