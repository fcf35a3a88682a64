"""Line groups that a pixel lacks, where pixels differ in the brightness of their lines."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import cameras
from helpers.nominal_stacks import learnt_from
from scipy import integrate, stats

from pixelcal.energy.fit.checks.missing_lines import deficit_sigma, is_missing
from pixelcal.energy.fit.joint import fit_joint
from pixelcal.energy.response.population import N_OF_SHAPE
from pixelcal.energy.response.tables import make_templates
from pixelcal.status import EnergyStatus

RELATION = cameras.NOMINAL_GAIN, cameras.NOMINAL_OFFSET
SECONDS, N, SCATTER = 100_000.0, 500, 0.3
MISSING = int(EnergyStatus.LINE_MISSING)


def density(a, line, error, scatter):
    """Of a pixel that is `a` standard deviations bright, with a line as faint as `line`."""
    return stats.norm.pdf(a) * stats.norm.cdf((line - np.exp(scatter * a)) / error)


@pytest.mark.parametrize("error", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("scatter", [0.02, 0.2, 0.4])
def test_the_sigma_is_the_probability_of_so_faint_a_line(error, scatter):
    """Against the integral over the strengths; to first order the sigma is right to a tenth.

    The integral is good to 7 sigma.
    """
    for line in (-0.2, 0.0, 0.15, 0.3):
        sigma = deficit_sigma(np.array([line]), np.array([error]), np.array([scatter]))[0]
        if sigma > 7.0:
            continue
        known = line, error, scatter
        probability = integrate.quad(density, -12.0, 12.0, known, limit=500, epsabs=1e-16)[0]
        assert abs(sigma / stats.norm.isf(probability) - 1.0) < 0.1, line


def test_without_scatter_counting_alone_decides():
    line, error = np.array([[0.0, 0.0, 0.25, 0.5]]), np.array([[0.2, 0.3, 0.04, 0.01]])
    np.testing.assert_array_equal(is_missing(line, error, 0.0), [[True, False, True, False]])
    # As good as no scatter.
    np.testing.assert_array_equal(is_missing(line, error, np.full(4, 1e-3)), [[1, 0, 1, 0]])


def spectra(strengths, element, rng):
    """Spectra (n, 1024) of pixels with factors (n,) on the lines of an element."""
    whole = cameras.expected_spectrum(*RELATION, SECONDS)
    lines = cameras.element_spectrum(element, *RELATION, 1.0, 1.0, SECONDS)
    return rng.poisson(whole + (strengths[:, None] - 1.0) * lines).astype(np.int32)


def missing(counts, scatter, options=cameras.OPTIONS):
    """Pixels that lack a line, by a prior of the scatter."""
    response = learnt_from(np.rint(cameras.expected_spectrum(*RELATION, 1e7))[None])
    templates = make_templates(response, cameras.line_table())
    scales = templates.population_scale.copy()
    scales[N_OF_SHAPE + cameras.line_table().n_blocks :] = scatter
    known = templates._replace(population_scale=scales), options
    rows, _ = fit_joint(counts, np.arange(len(counts)), *cameras.prior(len(counts)), *known)
    return (rows["STATUS"] & MISSING) != 0


def test_faint_copper_is_not_missing_and_none_is():
    """Strengths that scatter by 30 %, the smallest of 500 near 0.4: none is missing by chance."""
    rng = np.random.default_rng(3)
    strengths = np.exp(SCATTER * rng.standard_normal(N))
    assert strengths.min() < 0.5
    assert not missing(spectra(strengths, "Cu", rng), SCATTER).any()
    assert missing(spectra(np.zeros(100), "W", rng), SCATTER).all()
    # Copper is known to 0.13: where pixels are nearly alike, nearly as many lack it as by counting.
    gone = spectra(np.zeros(200), "Cu", rng)
    by_counting = missing(gone, 0.05, replace(cameras.OPTIONS, lines_scatter=False))
    found = missing(gone, 0.05)
    assert by_counting.mean() > 0.6 and found[by_counting].mean() > 0.9
    assert not found[~by_counting].any()
