"""The picture of a pixel's fit against the fit itself, scipy, and what a minimum has to fulfil."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy import integrate, optimize, special, stats

from pixelcal.energy.curve import Curve
from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.fit.fitted_blocks import two_step_blocks
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.model import N_SHARED
from pixelcal.energy.fit.model_spectra import LOWEST_CONTINUUM as OWN_LOWEST_CONTINUUM
from pixelcal.energy.fit.model_spectra import fit_normalisations, pixel_blocks
from pixelcal.energy.fit.two_step import fit_two_step
from pixelcal.energy.lines import line_groups
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.response.line_shape import escape_peaks, line_pdf
from pixelcal.energy.response.population import LOWEST_CONTINUUM
from pixelcal.energy.response.tables import make_templates
from pixelcal.status import EnergyStatus

N, SECONDS = 60, 20_000.0
RELATION = (cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET)


@lru_cache
def fitted():
    """(counts, response, templates, rows, normalisations) of a small camera."""
    counts = cameras.make_camera(N, SECONDS, 31).counts
    table = cameras.line_table()
    response = learn_camera(
        counts, *cameras.prior(N), table, cameras.MIN_COUNTS, expected=EXPECTED, search=SEARCH
    )
    templates = make_templates(response, table)
    rows, deviations = fit_joint(
        counts, np.arange(N), *cameras.prior(N), templates, cameras.OPTIONS
    )
    return counts, response, templates, rows, deviations.normalisation


def views(i):
    counts, response, templates, rows, _ = fitted()
    return pixel_blocks(counts[i], rows[i], cameras.line_table(), response, templates=templates)


def test_limit_is_that_of_the_fit():
    assert LOWEST_CONTINUUM == OWN_LOWEST_CONTINUUM


@pytest.mark.parametrize("i", [0, 17, 42])
def test_model_is_that_of_the_fit(i):
    """Its deviance is the STAT of the product, its counts and channels those of the fit.

    Not to more digits: scales of the prior refer to the counts in the channels of the start. Where
    a block's limit falls on the edge of a channel, the view may have one channel more or less.
    """
    row, blocks = fitted()[3][i], views(i)
    counts = np.concatenate([block.counts for block in blocks])
    model = np.concatenate([block.model for block in blocks])
    assert counts.sum() == row["COUNTS"]
    assert len(counts) - (N_SHARED + 12) == row["DOF"]
    seen = counts > 0
    deviance = 2 * np.sum(model - counts)
    deviance += 2 * np.sum(counts[seen] * np.log(counts[seen] / model[seen]))
    assert deviance == pytest.approx(row["STAT"], abs=0.1)


def test_lines_are_drawn_where_they_stand_beside_straight_relations():
    """The deviance is again that of the fit where 0.3 keV bend the relations, by 5 of 1000."""
    counts, response, _, _, _ = fitted()
    table = cameras.line_table()
    bent = replace(response, curve=Curve(0.3, 0.0, line_ends(table)))
    templates = make_templates(bent, table)
    rows, _ = fit_joint(counts[:5], np.arange(5), *cameras.prior(5), templates, cameras.OPTIONS)
    for pixel, row in zip(counts[:5], rows, strict=True):
        blocks = pixel_blocks(pixel, row, table, bent)
        seen, model = (
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("counts", "model")
        )
        deviance = 2 * np.sum(model - seen + special.xlogy(seen, seen / model))
        assert deviance == pytest.approx(row["STAT"], rel=0.005)
        energy = dict(blocks[2].lines)["W Ka1"]
        assert energy == pytest.approx(bent.curve.straight(59.318), abs=0.01)


@pytest.mark.parametrize("i", [3, 42])
def test_lines_are_integrals_of_their_densities(i):
    """Quadrature of the profile at the fit's normalisations, channel by channel."""
    _, response, _, rows, norms = fitted()
    table, row = cameras.line_table(), rows[i]
    form = row["FWHM_60"] / response.shape.fwhm_60, None, row["TAIL"]
    groups = line_groups(table)
    for b, view in enumerate(views(i)):
        expected = np.zeros(len(view.counts))
        for k, (index, element) in enumerate(groups):
            if index != b:
                continue
            lines = (table.block == b) & (np.array(table.element) == element)
            strength = norms[i, table.n_blocks + k] * response.line_strength[lines]
            for c, (low, high) in enumerate(
                zip(view.edges_keV[:-1], view.edges_keV[1:], strict=True)
            ):
                expected[c] += integrate.fixed_quad(
                    lambda e, lines=lines, s=strength: (
                        s @ line_pdf(response.shape, table.energy_keV[lines], e, *form)
                    ),
                    low,
                    high,
                )[0]
        lines = view.model - view.continuum
        assert np.abs(lines - expected).max() < 2e-3 * expected.max()


def test_continuum_holds_the_escapes():
    """Without the escape peaks of tungsten its counts are missing below the lines of lead."""
    _, response, _, _, _ = fitted()
    table = cameras.line_table()
    view = views(0)[1]
    middles = (view.edges_keV[1:] + view.edges_keV[:-1]) / 2
    escapes = response.line_strength @ escape_peaks(
        response.shape, table.energy_keV, middles, line_pdf
    )
    assert np.all(view.continuum > 0.5 * escapes * np.diff(view.edges_keV))


def test_counts_of_the_model_are_those_of_the_data_without_a_prior():
    """At the optimum of free normalisations the sums agree; a prior pulls by what it says."""
    rng = np.random.default_rng(5)
    design = np.array([np.full(60, 20.0), 300 * np.diff(stats.norm.cdf(np.arange(61), 30, 4))])
    counts = rng.poisson([0.9, 1.2] @ design)
    free = fit_normalisations(counts, design, np.full(2, 1e6))
    assert free @ design.sum(axis=1) == pytest.approx(counts.sum(), rel=1e-6)
    scale = np.full(2, 0.05)
    held = fit_normalisations(counts, design, scale)
    # stationary: norm @ gradient is the sum rule, with the part of the prior
    prior = 5.0 / (4.0 + ((held - 1) / scale) ** 2) / scale**2
    assert held @ design.sum(axis=1) - counts.sum() == pytest.approx(
        -held @ (prior * (held - 1)), abs=1e-3
    )


def test_a_component_of_which_nothing_is_known_keeps_its_normalisation():
    """No line where the block is, and no prior: the step along it is 0."""
    counts = np.random.default_rng(5).poisson(18.0, 60)
    design = np.array([np.full(60, 20.0), np.zeros(60)])
    found = fit_normalisations(counts, design, np.full(2, np.inf))
    assert found == pytest.approx([counts.sum() / 1200.0, 1.0], rel=1e-6)


def test_normalisations_are_the_minimum_that_scipy_finds():
    """A simplex search without gradients, from elsewhere, on the likelihood by scipy.stats."""
    rng = np.random.default_rng(6)
    design = np.array(
        [np.full(80, 8.0), *(90 * np.diff(stats.norm.cdf(np.arange(81), [[30], [36]], 4)))]
    )
    counts = rng.poisson([1.1, 0.7, 1.4] @ design)

    def minus_log_posterior(norms):
        return -np.sum(stats.poisson.logpmf(counts, norms @ design)) - np.sum(
            stats.t.logpdf(norms, 4.0, 1.0, 0.5)
        )

    found = optimize.minimize(
        minus_log_posterior,
        [0.8, 1.0, 1.0],
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000},
    )
    np.testing.assert_allclose(
        fit_normalisations(counts, design, np.full(3, 0.5)), found.x, atol=1e-4
    )


def test_a_line_that_is_not_there_is_not_negative():
    design = np.array([np.full(60, 20.0), 300 * np.diff(stats.norm.cdf(np.arange(61), 30, 4))])
    counts = np.where(np.abs(np.arange(60) - 30) < 8, 5, 20)
    assert fit_normalisations(counts, design, np.full(2, 0.5))[1] == 0.0


def test_lines_are_labelled_in_their_blocks():
    table = cameras.line_table()
    blocks = views(0)
    assert [block.name for block in blocks] == list(table.block_names)
    assert sum(len(block.lines) for block in blocks) == table.n_lines
    assert ("W Ka1", 59.319) in blocks[2].lines
    for block, (low, high) in zip(blocks, table.block_limits_keV, strict=True):
        assert low <= block.edges_keV[0] and block.edges_keV[-1] <= high
        assert all(low < energy < high for _, energy in block.lines)


def test_residuals_are_pearson_residuals():
    """Mean square 1 minus the fraction of the free parameters, within 5 standard errors."""
    squares = np.concatenate([b.residuals for i in range(N) for b in views(i)]) ** 2
    error = np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(1 - (N_SHARED + 12) / 345, abs=5 * error)


def test_pixel_without_answer_has_data_in_the_prior_relation():
    counts, response, *_ = fitted()
    row = empty_fits(np.array([0]))[0]
    row["STATUS"] = int(EnergyStatus.TOO_FEW_COUNTS)
    table = cameras.line_table()
    blocks = pixel_blocks(counts[0], row, table, response, prior=RELATION)
    assert len(blocks) == table.n_blocks
    for block in blocks:
        assert np.isnan(block.model).all() and np.isnan(block.continuum).all()
        first = block.first
        assert np.array_equal(block.counts, counts[0, first : first + len(block.counts)])
        assert block.edges_keV[0] == pytest.approx(RELATION[0] * first + RELATION[1])
    assert pixel_blocks(counts[0], row, table, response) == []


def test_templates_are_made_where_none_are_given():
    counts, response, _, rows, _ = fitted()
    again = pixel_blocks(counts[5], rows[5], cameras.line_table(), response)
    for view, other in zip(views(5), again, strict=True):
        assert np.array_equal(view.model, other.model)


def test_two_step_views_are_its_fit():
    """Their chi-square over the blocks is the STAT of the product."""
    counts = fitted()[0][:2]
    table, options = cameras.line_table(), cameras.TWO_STEP_OPTIONS
    rows = fit_two_step(counts, np.arange(2), *RELATION, table, options)
    for pixel, row in zip(counts, rows, strict=True):
        blocks = two_step_blocks(pixel, row, table, RELATION, options)
        statistic = sum(np.sum((b.counts - b.model) ** 2 / np.maximum(b.counts, 1)) for b in blocks)
        assert statistic == pytest.approx(row["STAT"], rel=1e-9)
        assert all(np.all(b.continuum <= b.model + 1e-9) for b in blocks)


def test_two_step_without_valid_fit_has_data_only():
    counts = np.zeros(1024, int)
    table, options = cameras.line_table(), cameras.TWO_STEP_OPTIONS
    row = fit_two_step(counts[None], np.arange(1), *RELATION, table, options)[0]
    blocks = two_step_blocks(counts, row, table, RELATION, options)
    assert len(blocks) == table.n_blocks
    assert all(np.isnan(block.model).all() for block in blocks)
