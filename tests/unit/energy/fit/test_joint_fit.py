"""The joint fit against scipy, numerical derivatives, truth, and itself in other company."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from helpers import cameras
from helpers.exact_model import ExactPixel
from helpers.instruments import EXPECTED, SEARCH
from scipy import optimize, stats

from pixelcal.energy.fit import likelihood as kernel
from pixelcal.energy.fit import model
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.lines import line_groups
from pixelcal.energy.relation import energy_error, energy_sigma
from pixelcal.energy.response.line_shape import line_cdf
from pixelcal.energy.response.tables import GRID_STEP_KEV, make_templates
from pixelcal.status import EnergyStatus

N, SECONDS = 200, 20_000.0
RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET


@lru_cache
def camera():
    return cameras.make_camera(N, SECONDS, 21)


@lru_cache
def response():
    return learn_camera(
        camera().counts,
        *cameras.prior(N),
        cameras.line_table(),
        cameras.MIN_COUNTS,
        expected=EXPECTED,
        search=SEARCH,
    )


@lru_cache
def templates():
    return make_templates(response(), cameras.line_table())


def fit(counts, gain=None, offset=None, options=None):
    n = len(counts)
    start = cameras.prior(n)
    return fit_joint(
        counts,
        np.arange(n),
        start[0] if gain is None else gain,
        start[1] if offset is None else offset,
        templates(),
        options or cameras.OPTIONS,
    )


@lru_cache
def fits():
    return fit(camera().counts)[0]


def poisson_spectra(expected, n):
    """Poisson spectra (n, 1024) of equal pixels."""
    return np.random.default_rng(8).poisson(expected, (n, len(expected))).astype(np.int32)


def spectrum_of(counts):
    """A pixel's data in the channels that the nominal relation chooses, and a start for `theta`."""
    theta = np.ones(model.N_SHARED + 12)
    theta[:2] = 0.145 * np.array([model.PIVOT_LOW, model.PIVOT_HIGH]) + 3.0
    theta[2] = 0.0
    first, last = model.choose_channels(theta, templates(), 1024)
    counts = np.ascontiguousarray(counts, np.int32)
    work = model.make_workspace(1024, templates())
    expected = model.expected_total(first, last, theta, templates(), work)
    used = sum(counts[a:b].sum() for a, b in zip(first, last, strict=True))
    return model.Spectrum(counts, first, last, used / expected, 0), theta


def minus_log_likelihood(spectrum, theta, observed=1.0, templates=templates):
    work = model.make_workspace(1024, templates())
    out = kernel.empty_likelihood(len(theta), 1024)
    value = kernel.likelihood(spectrum, theta, templates(), observed, work, out)
    return value, out


def test_total_is_the_sum_of_the_channels():
    spectrum, theta = spectrum_of(camera().counts[0])
    theta[2:4] = 0.1, 1.4
    work = model.make_workspace(1024, templates())
    total = model.expected_total(spectrum.first, spectrum.last, theta, templates(), work)
    _, out = minus_log_likelihood(spectrum._replace(scale=1.0), theta)
    assert total == pytest.approx(out.mu.sum(), rel=1e-12)


@pytest.mark.parametrize(("resolution", "tail"), [(0.6, 1.0), (1.234, 0.3), (2.5, 2.2)])
def test_expected_counts_are_the_integrated_profiles(resolution, tail):
    """The tables against the profile itself, channel by channel, at resolutions between nodes.

    Towards the limits of what a pixel may have, 0.47 and 3.5, the tables are less exact.
    """
    spectrum, theta = spectrum_of(camera().counts[0])
    theta[2:4] = np.log(resolution), tail
    theta[:2] += (0.123, -0.217)
    gain, offset = model.relation_of(theta)
    work = model.make_workspace(1024, templates())
    table = cameras.line_table()
    for block, (group, element) in enumerate([(0, "Cu"), (3, "W")]):
        index = line_groups(table).index((0 if element == "Cu" else 2, element))
        b = templates().group_block[index]
        only = theta.copy()
        only[model.N_SHARED :] = 0.0
        only[model.N_SHARED + 5 + index] = 1.0
        first, n = spectrum.first[b], spectrum.last[b] - spectrum.first[b]
        model.block_model(only, b, first, n, spectrum.scale, templates(), work)
        edges = gain * np.arange(spectrum.first[b], spectrum.last[b] + 1) + offset
        lines = (table.block == b) & (np.array(table.element) == element)
        exact = response().line_strength[lines] @ line_cdf(
            response().shape, table.energy_keV[lines], edges, resolution=resolution, tail=tail
        )
        n = len(edges) - 1
        difference = work.mu[:n] - np.diff(exact) * spectrum.scale
        assert np.abs(difference).max() < 2e-5 * work.mu[:n].sum(), (block, group)


def with_wide_prior():
    """Templates with a flat population prior, whose curvature is not its second derivative."""
    return templates()._replace(population_scale=np.full(14, 30.0))


def test_derivatives_are_numerical_derivatives():
    spectrum, theta = spectrum_of(camera().counts[1])
    theta[:4] += (0.02, -0.03, 0.05, 0.2)
    _, out = minus_log_likelihood(spectrum, theta, templates=with_wide_prior)
    for p in range(len(theta)):
        h = 1e-5
        up, down = theta.copy(), theta.copy()
        up[p] += h
        down[p] -= h
        (value_up, out_up), (value_down, out_down) = (
            minus_log_likelihood(spectrum, t, templates=with_wide_prior) for t in (up, down)
        )
        assert (value_up - value_down) / (2 * h) == pytest.approx(out.gradient[p], abs=1e-4)
        row = (out_up.gradient - out_down.gradient) / (2 * h)
        np.testing.assert_allclose(row, out.curvature[p], atol=2e-3 * np.abs(out.curvature).max())


def test_expected_curvature_is_the_mean_of_the_observed_one():
    """Over Poisson spectra of the same expectation; the threshold is 5 standard errors."""
    spectrum, theta = spectrum_of(camera().counts[0])
    theta[2:4] = 0.05, 0.8
    _, out = minus_log_likelihood(spectrum, theta, observed=0.0)
    draws = np.random.default_rng(5).poisson(out.mu, (400, 1024)).astype(np.int32)
    observed = np.array(
        [minus_log_likelihood(spectrum._replace(counts=c), theta)[1].curvature for c in draws]
    )
    error = observed.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(observed.mean(axis=0) - out.curvature) <= 5 * error + 1e-9)


def test_minimum_is_the_one_scipy_finds():
    """BFGS of scipy on the same likelihood, from another start, lands on the same relation."""
    counts = camera().counts[2]
    row = fits()[2]
    gain, offset = row["GAIN"], row["OFFSET"]
    theta = np.ones(model.N_SHARED + 12)
    theta[:2] = gain * np.array([model.PIVOT_LOW, model.PIVOT_HIGH]) + offset
    theta[2] = 0.0
    spectrum, start = spectrum_of(counts)
    first, last = model.choose_channels(theta, templates(), 1024)
    spectrum = spectrum._replace(first=first, last=last)
    start[:2] += (0.15, -0.2)
    shared = [(None, None)] * 3 + [(0.0, templates().most_tail)]
    bounds = shared + [(0.02, None)] * 5 + [(0.0, None)] * 7
    found = optimize.minimize(
        lambda t: (lambda v, o: (v, o.gradient.copy()))(*minus_log_likelihood(spectrum, t)),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 2000},
    )
    np.testing.assert_allclose(found.x[:2], theta[:2], atol=0.01 * row["GAIN_ERR"] * 480)
    assert found.x[model.TAIL] == pytest.approx(row["TAIL"], abs=0.02 * row["TAIL_ERR"])


def test_pulls_at_five_energies():
    """Truth put in: means within 4 and widths within 4 standard errors of what they should be.

    The mean has a common part, because all pixels have one learnt response: as large again as the
    scatter of the mean of 200 pixels.
    """
    rows, truth = fits(), camera()
    assert not rows["STATUS"].any()
    for energy in (4.0, 15.0, 50.0, 80.0, 150.0):
        error = energy_error(
            energy, rows["GAIN"], rows["OFFSET"], truth.gain_true, truth.offset_true
        )
        sigma = energy_sigma(
            energy,
            *(rows[k] for k in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")),
        )
        pull = error / sigma
        assert abs(pull.mean()) < 4 * np.sqrt(2 / N)
        # 3 % for the low counts, whose likelihood is not quite a parabola
        assert abs(pull.std() - 1.03) < 4 / np.sqrt(2 * N)


def test_p_values_are_uniform():
    assert stats.kstest(fits()["PVALUE"], "uniform").pvalue > 1e-3


def test_a_pixel_does_not_know_its_neighbours():
    """The same bytes alone, in another order, and twice in a batch."""
    order = np.array([7, 3, 7, 150])
    again = fit_joint(
        camera().counts[order],
        order,
        *(v[order] for v in cameras.prior(N)),
        templates(),
        cameras.OPTIONS,
    )[0]
    assert again.tobytes() == fits()[order].tobytes()


def test_result_does_not_depend_on_a_near_start():
    """Starts 1 % and 0.3 keV off end on the same relation.

    Where a block's limit falls on the edge of a channel, the fit with that channel and the fit
    without it both stand; they differ by what one channel of 300 can tell, a quarter of an error
    at most. That happens to few pixels; all others agree.
    """
    gain, offset = cameras.prior(N)
    other = fit(camera().counts, gain * 1.01, offset - 0.3)[0]
    distance = np.abs(other["GAIN"] - fits()["GAIN"]) / fits()["GAIN_ERR"]
    assert np.all(distance < 0.25)
    assert np.quantile(distance, 0.95) < 0.02
    assert np.median(distance) < 0.002


# --- the information limit ------------------------------------------------------------------------

N_EQUAL, LONG_S = 4000, 300_000.0
"""Pixels that are all the same; long enough that no line or continuum is within 6 sigma of zero."""


@lru_cache
def equal_pixels():
    """Fits of equal pixels, each free in all, and the inverse of the exact Fisher information.

    Both for gain, offset and the logarithm of the resolution, as deviations from the truth (3, n)
    and covariance (3, 3) with all normalisations free.
    """
    exact, scale = ExactPixel(response(), cameras.line_table(), *RELATION), LONG_S / SECONDS
    covariance = np.linalg.inv(exact.information(scale))
    assert np.sqrt(np.diag(covariance)[3:].max()) < 1 / 6
    counts = poisson_spectra(exact.counts(scale), N_EQUAL)
    start = cameras.prior(N_EQUAL)
    rows = fit_joint(counts, np.arange(N_EQUAL), *start, with_wide_prior(), cameras.OPTIONS)[0]
    assert np.all(rows["STATUS"] == 0)
    width = np.log(rows["FWHM_60"] / response().shape.fwhm_60)
    deviations = np.array([rows["GAIN"] - RELATION[0], rows["OFFSET"] - RELATION[1], width])
    return rows, deviations, covariance[:3, :3]


def test_exact_counts_are_those_of_the_tables():
    """The other model is the same model, in every channel of the blocks."""
    spectrum, theta = spectrum_of(camera().counts[0])
    exact = ExactPixel(response(), cameras.line_table(), *RELATION)
    assert exact.channels == list(zip(spectrum.first, spectrum.last, strict=True))
    _, out = minus_log_likelihood(spectrum._replace(scale=1.0), theta)
    for channels in exact.channels:
        block = slice(*channels)
        np.testing.assert_allclose(out.mu[block], exact.counts()[block], rtol=1e-4)


def test_scatter_is_at_the_information_limit():
    """Whitened by the exact information, the fits are standard normal: 4 standard errors.

    Those of a mean are 1/sqrt(n), of a variance sqrt(2/n), of a covariance 1/sqrt(n).
    """
    _, deviations, covariance = equal_pixels()
    white = np.linalg.solve(np.linalg.cholesky(covariance), deviations)
    assert np.all(np.abs(white.mean(axis=1)) < 4 / np.sqrt(N_EQUAL))
    error = np.sqrt((1 + np.eye(3)) / N_EQUAL)
    assert np.all(np.abs(np.cov(white) - np.eye(3)) < 4 * error)


def test_quoted_covariance_is_the_information_limit():
    """Mean of the quoted ones, whitened: 4 standard errors, and 1 % for what is of second order.

    A fit quotes the inverse of the curvature at its own place. The relative bias of that falls as
    one over the counts; the faintest group is known here as 180 counts alone would be.
    """
    rows, _, covariance = equal_pixels()
    quoted = np.array(
        [
            [rows["GAIN_ERR"] ** 2, rows["GAIN_OFFSET_COV"]],
            [rows["GAIN_OFFSET_COV"], rows["OFFSET_ERR"] ** 2],
        ]
    )
    whiten = np.linalg.inv(np.linalg.cholesky(covariance[:2, :2]))
    white = np.einsum("ab,bcn,dc->nad", whiten, quoted, whiten)
    error = white.std(axis=0) / np.sqrt(N_EQUAL)
    assert np.all(np.abs(white.mean(axis=0) - np.eye(2)) < 4 * error + 0.01)


# --- pixels in trouble ----------------------------------------------------------------------------


def test_empty_pixel_has_too_few_counts():
    counts = np.zeros((1, 1024), np.int32)
    row = fit(counts)[0][0]
    assert row["STATUS"] == EnergyStatus.TOO_FEW_COUNTS
    assert np.isnan(row["GAIN"]) and np.isnan(row["OFFSET_ERR"])


def test_flat_noise_is_a_poor_fit():
    counts = np.random.default_rng(1).poisson(8.0, (5, 1024)).astype(np.int32)
    assert np.all(fit(counts)[0]["STATUS"] != 0)


@pytest.mark.parametrize("element", cameras.LINE_RATES)
def test_missing_line_is_flagged(element):
    """Pixels without the lines of an element: the group is gone, and bit 16 of STATUS says so."""
    table = cameras.line_table()
    present = np.array(table.element) != element
    without = replace(response(), line_strength=response().line_strength * present)
    counts = poisson_spectra(ExactPixel(without, table, *RELATION).counts(LONG_S / SECONDS), 20)
    assert np.all(fit(counts)[0]["STATUS"] & EnergyStatus.LINE_MISSING)


def test_wide_pixel_reports_its_width():
    """A resolution 1.8 times the camera's is measured, within 5 % and 4 errors."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(
        [cameras.expected_spectrum(0.145, 3.0, 60_000.0, resolution=1.8) for _ in range(20)]
    ).astype(np.int32)
    rows = fit(counts)[0]
    assert np.median(rows["FWHM_60"]) == pytest.approx(1.6 * 1.8, rel=0.05)


def test_too_few_counts_follow_the_option():
    counts = camera().counts[:3]
    many = int(counts.sum(axis=1).max()) + 1
    assert np.all(
        fit(counts, options=replace(cameras.OPTIONS, min_counts=many))[0]["STATUS"]
        == EnergyStatus.TOO_FEW_COUNTS
    )


@pytest.mark.parametrize(("fwhm", "promised"), [(0.5, 5e-6), (0.75, 1e-6)])
def test_grid_is_fine_enough_for_its_promise(fwhm, promised):
    """A Gaussian line between the nodes: as far from its distribution as theory says, no farther.

    The error of a cubic Hermite interpolation is h^4/384 times the fourth derivative, which is at
    most 0.5506/sigma^4 here.
    """
    sigma = fwhm / np.sqrt(8 * np.log(2))
    nodes = GRID_STEP_KEV * np.arange(-100, 101)
    values, slopes = stats.norm.cdf(nodes, scale=sigma), stats.norm.pdf(nodes, scale=sigma)
    at = np.random.default_rng(4).uniform(0, 199, 20_000)
    found = np.array([model.hermite(values, slopes, int(u), u % 1)[0] for u in at])
    error = np.abs(found - stats.norm.cdf(nodes[0] + GRID_STEP_KEV * at, scale=sigma)).max()
    theory = 0.5506 / 384 * (GRID_STEP_KEV / sigma) ** 4
    assert 0.9 * theory < error < theory
    assert error < promised
