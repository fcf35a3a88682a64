"""The learnt response: its parts against integrals, the whole against the truth."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH
from scipy import integrate

from pixelcal.energy.fit.learning import MAX_EM_ITERATIONS, learn_camera
from pixelcal.energy.response.io import read_response, write_response
from pixelcal.energy.response.line_shape import (
    SIGMA_PER_FWHM,
    escape_peaks,
    line_cdf,
    line_pdf,
    profile_cdf,
)
from pixelcal.energy.response.model import continuum_functions, continuum_integrals, series_of_lines
from pixelcal.energy.response.stack import stack_edges, stack_spectra
from pixelcal.energy.simulation.detector import Detector
from pixelcal.errors import InputError

SHAPE = EXPECTED
BLOCK = (20.6, 33.4)


def test_resolution_at_its_two_energies():
    shape = replace(EXPECTED, fwhm_10=1.2, fwhm_60=1.7)
    np.testing.assert_allclose(shape.sigma([10.0, 60.0]) / SIGMA_PER_FWHM, [1.2, 1.7], rtol=1e-12)


def test_continuum_integrals_against_quad():
    edges = np.array([20.6, 22.0, 22.1, 26.711, 31.0, 33.4])
    fine = np.unique(
        np.concatenate([np.linspace(a, b, 60) for a, b in zip(edges, edges[1:], strict=False)])
    )
    integrals = continuum_integrals(BLOCK, fine, SHAPE)
    for k in range(len(integrals)):
        area, _ = integrate.quad(
            lambda e, k=k: continuum_functions(BLOCK, [e], SHAPE)[k, 0], *BLOCK, limit=200
        )
        assert integrals[k].sum() == pytest.approx(area, rel=1e-7, abs=1e-9)


def test_steps_only_for_edges_inside_the_block():
    assert not continuum_functions((6.6, 10.0), [8.0], SHAPE)[-2:].any()
    assert continuum_functions(BLOCK, [30.0], SHAPE)[-2, 0] == pytest.approx(1.0, abs=1e-5)


def test_escape_peaks_hold_their_fraction():
    shape = replace(EXPECTED, tail_60=0.0, escape=(0.04, 0.02))
    peaks = escape_peaks(shape, np.array([59.319, 8.0]), np.array([0.0, 80.0]))
    expected = 0.04 * 26.711 / 59.319 + 0.02 * 31.814 / 59.319
    np.testing.assert_allclose(np.diff(peaks, axis=1)[:, 0], [expected, 0.0], rtol=1e-9)


def test_escape_densities_are_the_derivative():
    at, h = np.linspace(28.0, 37.0, 7), 1e-4
    energy = np.array([59.319])
    rise = escape_peaks(SHAPE, energy, at + h) - escape_peaks(SHAPE, energy, at - h)
    np.testing.assert_allclose(
        rise / (2 * h), escape_peaks(SHAPE, energy, at, line_pdf), rtol=1e-5, atol=1e-9
    )


def test_resolution_and_extra_variance_widen_the_core():
    shape = replace(EXPECTED, tail_60=0.0)
    sigma = shape.sigma(60.0)
    wide = line_cdf(shape, [60.0], [60.0 - 2 * sigma], resolution=2.0)[0, 0]
    assert wide == pytest.approx(0.158655, abs=1e-6)
    more = line_cdf(shape, [60.0], [60.0 - np.hypot(sigma, 0.5)], extra_variance=0.25)[0, 0]
    assert more == pytest.approx(0.158655, abs=1e-6)


def test_series_join_what_keeps_its_ratio():
    names, index = series_of_lines(cameras.line_table())
    assert "W Ka" in names and "W Kb" in names and len(names) == 12
    table = cameras.line_table()
    for name, k in zip(table.transition, index, strict=True):
        assert names[k].endswith(name[:2])


def test_stack_conserves_counts_and_places_them():
    counts = np.zeros((2, 1024), int)
    counts[0, 100], counts[1, 101] = 30, 12
    gain, offset = np.array([0.1, 0.2]), np.array([1.0, 0.0])
    edges = np.array([10.0, 11.0, 11.05, 12.0, 20.0, 20.3, 21.0])
    stack = stack_spectra(counts, gain, offset, edges)
    np.testing.assert_allclose(stack, [0.0, 15.0, 15.0, 0.0, 12 * 0.5, 12 * 0.5], atol=1e-9)


def test_stack_over_possible_relations_has_their_variance():
    """A narrow line of one pixel: its variance on the energy axis is that of its energy."""
    gain, offset, channel = 0.145, 3.0, 400
    counts = np.zeros((1, 1024), int)
    counts[0, channel] = 1000
    covariance = np.array([[[2e-7, -3e-5], [-3e-5, 1e-2]]])
    edges = np.linspace(55, 67, 2401)
    relation = np.array([gain]), np.array([offset])
    plain, blurred = (stack_spectra(counts, *relation, edges, c) for c in (None, covariance))
    middle = (edges[1:] + edges[:-1]) / 2
    position = channel + 0.5
    h = np.array([position, 1.0])
    for stack in (plain, blurred):
        assert stack.sum() == pytest.approx(1000)
        assert stack @ middle / 1000 == pytest.approx(gain * position + offset, abs=1e-3)
    variances = [
        stack @ (middle - gain * position - offset) ** 2 / 1000 for stack in (plain, blurred)
    ]
    assert variances[1] - variances[0] == pytest.approx(h @ covariance[0] @ h, rel=1e-3)


@pytest.fixture(scope="module")
def learnt():
    """From 300 pixels of 30 ks with a detector unlike the default, all with one resolution."""
    detector = Detector(fwhm_0=1.25, fwhm_60=1.9, tail_60=0.2, tail_scale=0.03, escape=0.05)
    camera = cameras.make_camera(300, 30_000.0, 11, detector, resolutions=(1.0,))
    response = learn_camera(
        camera.counts,
        *cameras.prior(300),
        cameras.line_table(),
        cameras.MIN_COUNTS,
        expected=EXPECTED,
        search=SEARCH,
    )
    return detector, response


def test_learnt_resolution_is_the_true_one(learnt):
    """Within 2 %: the tail takes part of a width, and a fit of the pixel scales what is left."""
    detector, response = learnt
    for energy in (10.0, 60.0):
        assert response.shape.sigma(energy) == pytest.approx(detector.sigma(energy), rel=0.02)


def test_learnt_profile_is_the_true_one(learnt):
    """The cumulative profile that is left when tail and continuum have shared what is far off.

    Core and tail trade with each other; what places a line is the profile as a whole, within 2 %
    of its area everywhere from 3 keV below the line.
    """
    detector, response = learnt
    for energy in (8.05, 27.4, 59.3, 75.0):
        at = np.linspace(energy - 3, energy + 3, 61)
        true = profile_cdf(
            at,
            energy,
            detector.sigma(energy),
            detector.tail_fraction(energy),
            detector.tail_scale * energy,
        )
        found = line_cdf(response.shape, [energy], at)[0]
        found, true = found - found[0], true - true[0]
        assert np.abs(found / found[-1] - true / true[-1]).max() < 0.02


def test_learnt_strengths_are_the_true_ones(learnt):
    _, response = learnt
    table, background = cameras.line_table(), cameras.background()
    names = list(background.line_name)
    for line in ("Cu Ka1", "Te Ka1", "W Ka1", "Pb Ka1", "Pb Kb1"):
        k = [f"{e} {t}" for e, t in zip(table.element, table.transition, strict=True)].index(line)
        expected = background.line_per_s[names.index(line)] * 30_000.0
        assert response.line_strength[k] == pytest.approx(expected, rel=0.12)


def test_stack_is_described(learnt):
    """Spreading counts over bins correlates them: chi-square stays below its degrees of freedom."""
    _, response = learnt
    assert 0.2 < response.chi_square / response.dof < 1.2


def test_learning_that_converges_says_so(learnt):
    _, response = learnt
    assert response.converged and 3 <= response.iterations <= MAX_EM_ITERATIONS


def test_learning_that_does_not_converge_warns(caplog, tmp_path):
    """Two iterations are never enough: a warning, and T/F in the product."""
    camera, table = cameras.make_camera(60, 30_000.0, 12), cameras.line_table()
    calls = []
    response = learn_camera(
        camera.counts,
        *cameras.prior(60),
        table,
        cameras.MIN_COUNTS,
        progress=lambda *done: calls.append(done),
        max_iterations=2,
        expected=EXPECTED,
        search=SEARCH,
    )
    assert calls == [(1, 2), (2, 2)]
    assert response.converged is False and response.iterations == 2
    assert "not converged after 2 iterations" in caplog.text
    write_response(tmp_path / "response.fits", response, table, [], None)
    header = fits.getheader(tmp_path / "response.fits", "LINES")
    assert header["EMCONV"] is False and header["EMITER"] == 2
    again = read_response(tmp_path / "response.fits", table)
    assert again.converged is False and again.iterations == 2


def test_no_counts_teach_nothing():
    table = cameras.line_table()
    response = learn_camera(
        np.zeros((3, 1024), int),
        *cameras.prior(3),
        table,
        cameras.MIN_COUNTS,
        expected=EXPECTED,
        search=SEARCH,
    )
    assert not response.line_strength.any() and response.converged is False
    assert len(stack_edges(table)) == table.n_blocks


def test_response_file_reads_back(learnt, tmp_path):
    _, response = learnt
    path = tmp_path / "response.fits"
    write_response(path, response, cameras.line_table(), [("EXPNAME", "30ks", "")], None)
    again = read_response(path, cameras.line_table())
    # A card of a FITS header holds 20 characters.
    np.testing.assert_allclose(again.shape.vector, response.shape.vector, rtol=1e-12)
    assert again.shape.material == response.shape.material
    np.testing.assert_array_equal(again.continuum, response.continuum)
    np.testing.assert_array_equal(again.line_strength, response.line_strength)


def test_response_of_another_line_table_is_refused(learnt, tmp_path):
    from pixelcal.energy.lines import read_line_table

    _, response = learnt
    path = tmp_path / "response.fits"
    write_response(path, response, cameras.line_table(), [], None)
    other = read_line_table(cameras.LINE_TABLE.with_name("strongest.csv"))
    with pytest.raises(InputError, match="another line table"):
        read_response(path, other)
