"""The line profile against numerical convolution and integration."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.instruments import EXPECTED
from scipy import integrate, optimize, stats

from pixelcal.energy.response.line_shape import (
    SIGMA_PER_FWHM,
    line_cdf,
    line_pdf,
    profile_cdf,
    profile_pdf,
    tail_law,
    tail_terms,
)

CASES = [
    (8.0, 0.5, 0.02, 0.3),
    (59.3, 0.68, 0.12, 2.4),
    (75.0, 0.74, 0.5, 12.0),
    (30.0, 0.6, 0.3, 0.05),
]


def folded(measured, energy, sigma, fraction, mean):
    """Density by brute force: the Gaussian folded with the exponential loss."""
    core = stats.norm.pdf(measured, energy, sigma)
    # the integrand lives where the Gaussian of the shifted line is
    peak = max(energy - measured, 0.0)
    tail, _ = integrate.quad(
        lambda loss: (
            stats.expon.pdf(loss, scale=mean) * stats.norm.pdf(measured, energy - loss, sigma)
        ),
        max(0.0, peak - 12 * sigma),
        peak + 12 * sigma,
        points=[peak] if peak > 0 else None,
        limit=400,
    )
    return (1 - fraction) * core + fraction * tail


@pytest.mark.parametrize("energy, sigma, fraction, mean", CASES)
def test_density_is_the_convolution(energy, sigma, fraction, mean):
    for measured in energy + sigma * np.array([-9.0, -3.0, -1.0, 0.0, 0.5, 2.0, 4.0]):
        expected = folded(measured, energy, sigma, fraction, mean)
        assert profile_pdf(measured, energy, sigma, fraction, mean) == pytest.approx(
            expected, rel=1e-6
        )


@pytest.mark.parametrize("energy, sigma, fraction, mean", CASES)
def test_cumulative_is_the_integral_of_the_density(energy, sigma, fraction, mean):
    for low, high in ((-6, -1), (-1, 0.3), (0.3, 5)):
        a, b = energy + low * sigma, energy + high * sigma
        area, _ = integrate.quad(lambda e: profile_pdf(e, energy, sigma, fraction, mean), a, b)
        difference = np.diff(profile_cdf(np.array([a, b]), energy, sigma, fraction, mean))[0]
        assert difference == pytest.approx(area, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("energy, sigma, fraction, mean", CASES)
def test_limits_and_no_overflow(energy, sigma, fraction, mean):
    far = np.array([energy - 1e4, energy + 1e4])
    np.testing.assert_allclose(
        profile_cdf(far, energy, sigma, fraction, mean), [0.0, 1.0], rtol=0, atol=1e-12
    )
    grid = np.linspace(energy - 100 * mean, energy + 50, 4001)
    cdf = profile_cdf(grid, energy, sigma, fraction, mean)
    assert np.all(np.isfinite(cdf))
    assert np.all(np.diff(cdf) >= -1e-15)


def test_mean_of_the_profile_is_lowered_by_the_tail():
    energy, sigma, fraction, mean = 59.3, 0.68, 0.12, 2.4
    grid = np.linspace(-40, 80, 240001)
    density = profile_pdf(grid, energy, sigma, fraction, mean)
    first = integrate.trapezoid(grid * density, grid)
    assert first == pytest.approx(energy - fraction * mean, abs=1e-6)


def test_sigma_per_fwhm_is_the_half_maximum():
    assert stats.norm.pdf(0.5, scale=SIGMA_PER_FWHM) == pytest.approx(
        0.5 * stats.norm.pdf(0, scale=SIGMA_PER_FWHM), rel=1e-12
    )


# --- trapping by depth ----------------------------------------------------------------------------

ENERGY = np.array([8.0, 31.0, 59.3, 84.9])


def parts(shape):
    """Energy, sigma, fraction and mean loss (n, 1) of the tail, as `profile_cdf` takes them."""
    laws = ENERGY, shape.sigma(ENERGY), shape.tail_fraction(ENERGY), shape.tail_mean(ENERGY)
    return [values[:, None] for values in laws]


@pytest.mark.parametrize(("trapping", "exact_to"), [(0.01, 5e-5), (0.05, 3e-4), (0.2, 2e-2)])
@pytest.mark.parametrize(("line", "profile"), [(line_cdf, profile_cdf), (line_pdf, profile_pdf)])
def test_trapping_is_the_integral_over_the_depth(trapping, exact_to, line, profile):
    """Quadrature over the depth of absorption, whose density falls exponentially, after Hecht.

    Sixteen nodes are the less exact the more sigma the lost energy is spread over: 17 with 0.2.
    """
    shape = replace(EXPECTED, trapping=trapping)
    energy, *laws = parts(shape)
    thickness = shape.thickness(ENERGY)[:, None]
    at = np.array([[-8.0], [-3.0], [-1.0], [0.0], [1.5]]) * shape.sigma(ENERGY) + ENERGY
    holes = 1.0 / (2.0 * trapping)
    electrons = shape.material.electron_path * holes

    def hecht(depth):
        of_electrons = electrons * (1.0 - np.exp(-(1.0 - depth) / electrons))
        return of_electrons + holes * (1.0 - np.exp(-depth / holes))

    best = -optimize.minimize_scalar(lambda u: -hecht(u), bounds=(0, 1), method="bounded").fun
    for k, place in enumerate(at):
        sigma, fraction, loss = (values[:, 0] for values in laws)

        def at_depth(depth, place=place, sigma=sigma, fraction=fraction, loss=loss):
            t = thickness[:, 0]
            density = t * np.exp(-t * depth) / -np.expm1(-t)
            left = ENERGY * hecht(depth) / best
            return density * profile(place, left, sigma, fraction, loss)

        expected, _ = integrate.quad_vec(at_depth, 0.0, 1.0, epsabs=1e-10)
        found = np.diag(line(shape, ENERGY, place))
        np.testing.assert_allclose(found, expected, atol=exact_to, err_msg=str(k))


@pytest.mark.parametrize(("line", "profile"), [(line_cdf, profile_cdf), (line_pdf, profile_pdf)])
def test_without_trapping_the_profile_is_the_plain_one_bit_by_bit(line, profile):
    at = np.linspace(2.0, 90.0, 881)
    found = line(replace(EXPECTED, trapping=0.0), ENERGY, at)
    assert found.tobytes() == profile(at, *parts(EXPECTED)).tobytes()


def test_the_strength_of_all_that_loses_energy_is_linear():
    """Half of it is the mean of all of it and of none, which is the Gaussian core."""
    shape, at = replace(EXPECTED, trapping=0.05), np.linspace(2.0, 90.0, 881)
    none, half, whole = (line_cdf(shape, ENERGY, at, tail=tail) for tail in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half, (none + whole) / 2, atol=1e-14)
    core = stats.norm.cdf(at, ENERGY[:, None], shape.sigma(ENERGY)[:, None])
    np.testing.assert_allclose(none, core, atol=1e-14)


def with_factor(shape, factor, at):
    """Cumulative lines of `tail_terms` at a factor on their losses, and the exact ones."""
    weights = np.array([1.0, *tail_law(factor)[:2]])
    terms = tail_terms(line_cdf, shape, ENERGY, at, losses=True)
    return np.tensordot(weights, terms, 1), line_cdf(shape.with_tail(factor), ENERGY, at)


@pytest.mark.parametrize("trapping", [0.0, 0.06])
def test_a_factor_on_the_losses_is_a_curve_through_exact_lines(trapping):
    """Exact at its nodes, to 1 % of a line between, and the more lost the larger the factor."""
    shape, at = replace(EXPECTED, trapping=trapping), np.linspace(2.0, 90.0, 881)
    for factor in (0.6, 1.0, 1.0 / 0.6):
        found, exact = with_factor(shape, factor, at)
        np.testing.assert_allclose(found, exact, atol=1e-14)
    for factor in (0.75, 0.85, 1.2, 1.4):
        found, exact = with_factor(shape, factor, at)
        difference = np.abs(with_factor(shape, 1.0, at)[0] - exact).max()
        assert np.abs(found - exact).max() < min(0.01, 0.15 * difference)
    lost = [np.sum(with_factor(shape, factor, at)[0]) for factor in np.linspace(0.0, 5.0, 51)]
    assert np.all(np.diff(lost) > 0.0)


def test_the_law_of_the_factor_has_the_derivatives_that_it_says():
    for factor in (0.0, 0.3, 0.59, 0.61, 1.0, 3.0, 5.0):
        step = 1e-5
        up, down = tail_law(factor + step), tail_law(factor - step)
        slopes = (np.array(up[:4]) - np.array(down[:4])) / (2 * step)
        np.testing.assert_allclose(tail_law(factor)[2:], slopes, atol=1e-7)
    assert tail_law(0.6)[:2] == pytest.approx((-0.5, 0.25))
    below, above = tail_law(0.6 - 1e-12), tail_law(0.6 + 1e-12)
    assert below[:4] == pytest.approx(above[:4], abs=1e-9)
