"""The detector's density against closed forms and plain sampling."""

import numpy as np
import pytest
from helpers import cameras
from scipy import stats

from pixelcal.energy.simulation.detector import Detector, expected_counts, redistributed_cdf

QUIET = Detector(tail_60=0.0, escape=0.0, threshold=0.0)


def test_resolution_at_its_two_energies():
    sigma = Detector(fwhm_0=1.1, fwhm_60=1.6).sigma([0.0, 60.0])
    np.testing.assert_allclose(sigma * np.sqrt(8 * np.log(2)), [1.1, 1.6], rtol=1e-12)


def test_without_tail_and_escape_a_line_is_a_gaussian():
    edges = np.linspace(50, 70, 41)
    cdf = redistributed_cdf(edges, np.array([59.3]), np.array([1000.0]), QUIET)
    expected = 1000.0 * stats.norm.cdf(edges, 59.3, QUIET.sigma(59.3))
    np.testing.assert_allclose(cdf, expected, rtol=1e-10, atol=1e-10)


def test_escape_peaks_stand_where_they_should_and_take_their_fraction():
    detector = Detector(tail_60=0.0, escape=0.05, threshold=0.0)
    edges = np.array([0.0, 34.7, 42.0, 55.0, 65.0])
    counts = np.diff(redistributed_cdf(edges, np.array([60.0]), np.array([1.0]), detector))
    cd, te = 0.05 * 26.711 / 60, 0.05 * 31.814 / 60
    np.testing.assert_allclose(counts, [te, cd, 0.0, 1 - cd - te], atol=2e-5)


def test_below_the_edge_nothing_escapes():
    assert np.all(Detector().escape_fractions(np.array([10.0, 26.0])) == 0)


def test_threshold_cuts():
    counts = expected_counts(np.array([3.0, 3.9, 4.1]), cameras.background(), Detector(), 1e4)
    assert counts[0] == 0 and counts[1] > 0


def test_density_against_sampling():
    """Escapes, tails and widths drawn photon by photon with numpy, from 75 keV."""
    detector, n, energy = Detector(), 1_000_000, 75.0
    rng = np.random.default_rng(4)
    lost = np.zeros(n)
    u, fractions = rng.random(n), detector.escape_fractions(energy)
    lost[u < fractions.sum()] = 27.473
    lost[u < fractions[0]] = 23.174
    at = energy - lost
    tail = rng.random(n) < detector.tail_fraction(at)
    measured = at - tail * rng.exponential(detector.tail_scale * at)
    measured += rng.standard_normal(n) * detector.sigma(at)
    edges = np.array([40.0, 45.0, 49.0, 60.0, 70.0, 74.0, 75.0, 76.0, 80.0])
    counts, _ = np.histogram(measured, edges)
    expected = np.diff(redistributed_cdf(edges, np.array([energy]), np.array([float(n)]), detector))
    pulls = (counts - expected) / np.sqrt(expected)
    assert stats.chi2.sf(np.sum(pulls**2), len(pulls)) > 1e-3


def test_multiples_are_missing_above_twice_the_smallest_share():
    edges = np.array([4.0, 6.0, 40.0, 42.0])
    full = expected_counts(edges, cameras.background(), QUIET, 1.0)
    single = expected_counts(edges, cameras.background(), QUIET, 1.0, multiple_fraction=0.25)
    assert single[0] / full[0] == pytest.approx(1.0, abs=1e-6)
    assert single[2] / full[2] == pytest.approx(0.75, rel=1e-6)
