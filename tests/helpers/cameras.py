"""A small simulated camera for tests: spectra drawn from the exact density, truths known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from helpers.paths import PROJECT
from pixelcal.energy.fit.joint import JointOptions
from pixelcal.energy.fit.two_step import TwoStepOptions
from pixelcal.energy.lines import LineTable, read_line_table
from pixelcal.energy.simulation.background import Background, make_background, read_attenuation
from pixelcal.energy.simulation.detector import Detector, expected_counts

LINE_TABLE = PROJECT / "resources" / "lines" / "all_blocks.csv"
LINE_RATES = {"Cu": 0.010, "Cd": 0.009, "Te": 0.011, "Ta": 0.007, "W": 0.018, "Pb": 0.024}
CONTINUUM_RATES = {"cxb": 0.315, "internal": 0.045, "albedo": 0.08}
NOMINAL_GAIN, NOMINAL_OFFSET = 0.145, 3.0
MIN_COUNTS = 200
OPTIONS = JointOptions(min_counts=MIN_COUNTS, pvalue_limit=1e-4)
TWO_STEP_OPTIONS = TwoStepOptions(
    line_fwhm_keV=1.4,
    tolerance_sigma=4.0,
    block_chi_square_limit=2.0,
    min_counts=MIN_COUNTS,
    pvalue_limit=1e-4,
)
RESOLUTIONS = (0.95, 1.0, 1.05)
"""Factors on the resolution that pixels have by default, a third of them each."""

FINE_EDGES = np.arange(3.0, 156.0, 0.02)


@dataclass(frozen=True)
class Camera:
    """Spectra (n, 1024) with the relation they were made with."""

    counts: np.ndarray
    gain_true: np.ndarray
    offset_true: np.ndarray
    efficiency: np.ndarray


@lru_cache
def line_table() -> LineTable:
    return read_line_table(LINE_TABLE)


@lru_cache
def background() -> Background:
    attenuation = read_attenuation(PROJECT / "resources" / "attenuation" / "cdte.csv")
    return make_background(line_table(), LINE_RATES, CONTINUUM_RATES, attenuation)


@lru_cache
def fine_cumulative(
    detector: Detector, resolution: float, without: tuple[str, ...] = ()
) -> np.ndarray:
    """Cumulative expected counts/s below each of FINE_EDGES, some elements' lines left out.

    Exact at nodes a fifth of the narrowest sigma apart; a spline between them is within 1e-5 of a
    line, for a fifth of the time.
    """
    own = background()
    kept = np.array([name.split()[0] not in without for name in own.line_name])
    own = replace(own, line_per_s=own.line_per_s * kept)
    low, high = detector.threshold, FINE_EDGES[-1]
    step = detector.sigma(low) * resolution / 5
    nodes = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
    rate = expected_counts(nodes, own, detector, 1.0, resolution=resolution)
    below = CubicSpline(nodes, np.concatenate([[0.0], np.cumsum(rate)]))
    return below(np.maximum(FINE_EDGES, low))


def expected_spectrum(
    gain, offset, seconds, efficiency=1.0, resolution=1.0, detector=None, without=()
):
    """Expected counts (1024,) of a pixel."""
    cumulative = fine_cumulative(detector or Detector(), resolution, without)
    edges = gain * np.arange(1025) + offset
    return np.diff(np.interp(edges, FINE_EDGES, cumulative)) * seconds * efficiency


def element_spectrum(element, gain, offset, efficiency, resolution, seconds, detector=None):
    """Expected counts (1024,) of the lines of one element."""
    pixel = (gain, offset, seconds, efficiency, resolution, detector)
    return expected_spectrum(*pixel) - expected_spectrum(*pixel, without=(element,))


def make_camera(
    n,
    seconds,
    seed,
    detector=None,
    gain_sigma=0.003,
    offset_sigma=0.1,
    resolutions=RESOLUTIONS,
    line_spread=0.0,
) -> Camera:
    """Draw the spectra of `n` pixels with injected errors and spread.

    With `line_spread` the lines of each element are stronger or weaker in each pixel by so much
    (standard deviation of the logarithm).
    """
    rng = np.random.default_rng(seed)
    gain = NOMINAL_GAIN * (1 + gain_sigma * rng.standard_normal(n))
    offset = NOMINAL_OFFSET + offset_sigma * rng.standard_normal(n)
    efficiency = np.exp(0.05 * rng.standard_normal(n))
    resolution = rng.choice(resolutions, n)
    expected = [
        expected_spectrum(g, o, seconds, e, r, detector)
        for g, o, e, r in zip(gain, offset, efficiency, resolution, strict=True)
    ]
    if line_spread > 0.0:
        for own, *pixel in zip(expected, gain, offset, efficiency, resolution, strict=True):
            for element in LINE_RATES:
                factor = np.exp(line_spread * rng.standard_normal())
                own += (factor - 1.0) * element_spectrum(element, *pixel, seconds, detector)
    counts = np.array([rng.poisson(own) for own in expected])
    return Camera(counts.astype(np.int32), gain, offset, efficiency)


def prior(n):
    """The nominal relation for `n` pixels."""
    return np.full(n, NOMINAL_GAIN), np.full(n, NOMINAL_OFFSET)
