"""The single-photoelectron model against closed forms, quadrature and numerical differences."""

import numpy as np
import pytest
from scipy import integrate, stats

from pixelcal.charge.spe.model import avalanche_terms, bin_probabilities, density
from pixelcal.charge.spe.parameters import LAMBDA, N_PARAMETERS

#                      sigma_ped^2, pe, sigma_pe^2, opct, eped, lambda
PARAMETERS = np.array([36.0, 30.0, 9.0, 0.2, 12.5, 1.7])


def terms(mean, opct, n=400):
    weight, by_mean, by_opct = np.zeros(n), np.zeros(n), np.zeros(n)
    used = avalanche_terms(mean, opct, n, weight, by_mean, by_opct)
    return weight[:used], by_mean[:used], by_opct[:used]


def bins(parameters, start, width, n):
    probability, gradient = np.empty(n), np.empty((N_PARAMETERS, n))
    bin_probabilities(parameters, start, width, probability, gradient)
    return probability, gradient


@pytest.mark.parametrize("mean", [1e-3, 0.6, 2.4, 20.0])
@pytest.mark.parametrize("opct", [0.0, 0.15, 0.5])
def test_avalanches_have_the_moments_of_the_branching_process(mean, opct):
    """Consul and Jain: mean lambda / (1 - opct), variance lambda / (1 - opct)^3."""
    weight, *_ = terms(mean, opct)
    k = np.arange(len(weight))
    average = k @ weight
    assert weight.sum() == pytest.approx(1.0, abs=2e-9)
    assert average == pytest.approx(mean / (1 - opct), rel=1e-7)
    assert (k - average) ** 2 @ weight == pytest.approx(mean / (1 - opct) ** 3, rel=1e-5)


def test_without_crosstalk_the_law_is_poisson():
    weight, *_ = terms(2.4, 0.0)
    assert weight == pytest.approx(stats.poisson.pmf(np.arange(len(weight)), 2.4), rel=1e-12)


@pytest.mark.parametrize("which", [0, 1])
def test_derivatives_of_the_law(which):
    at, step = np.array([1.3, 0.25]), 1e-6
    up, down = at.copy(), at.copy()
    up[which] += step
    down[which] -= step
    n = min(len(terms(*up)[0]), len(terms(*down)[0]))
    slope = (terms(*up)[0][:n] - terms(*down)[0][:n]) / (2 * step)
    assert terms(*at)[1 + which][:n] == pytest.approx(slope, abs=2e-9)


def test_bins_are_integrals_of_the_density():
    probability, _ = bins(PARAMETERS, -40.0, 3.0, 120)
    for j in (3, 14, 17, 40, 80):
        edge = -40.0 + 3.0 * j
        whole, _ = integrate.quad(lambda x: density(x, PARAMETERS), edge, edge + 3.0, epsrel=1e-10)
        assert probability[j] == pytest.approx(whole, rel=1e-8)


def test_density_is_a_sum_of_normal_peaks():
    weight, *_ = terms(PARAMETERS[LAMBDA], 0.2)
    k = np.arange(len(weight))
    for charge in (-5.0, 12.5, 60.0, 200.0):
        peaks = stats.norm.pdf(charge, 12.5 + 30.0 * k, np.sqrt(36.0 + 9.0 * k))
        assert density(charge, PARAMETERS) == pytest.approx(weight @ peaks, rel=1e-9)


def test_the_end_bins_hold_what_is_beyond_them():
    narrow, narrow_slope = bins(PARAMETERS, 20.0, 2.0, 30)
    wide, wide_slope = bins(PARAMETERS, -100.0, 2.0, 1000)
    assert narrow.sum() == pytest.approx(1.0, abs=2e-9)
    assert narrow[1:-1] == pytest.approx(wide[61:89], rel=1e-9)
    assert narrow[0] == pytest.approx(wide[:61].sum(), abs=2e-9)
    assert narrow[-1] == pytest.approx(wide[89:].sum(), abs=2e-9)
    assert narrow_slope[:, -1] == pytest.approx(wide_slope[:, 89:].sum(axis=1), abs=2e-9)
    assert narrow_slope.sum(axis=1) == pytest.approx(0.0, abs=2e-9)


@pytest.mark.parametrize("which", range(N_PARAMETERS))
def test_derivatives_of_the_bins(which):
    # The range cuts into the spectrum at both sides, so that the end bins are tested too.
    step = 1e-5 * PARAMETERS[which]
    up, down = PARAMETERS.copy(), PARAMETERS.copy()
    up[which] += step
    down[which] -= step
    slope = (bins(up, 0.0, 3.0, 40)[0] - bins(down, 0.0, 3.0, 40)[0]) / (2 * step)
    assert bins(PARAMETERS, 0.0, 3.0, 40)[1][which] == pytest.approx(slope, abs=2e-9)
