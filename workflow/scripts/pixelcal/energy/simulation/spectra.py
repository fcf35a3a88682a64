"""Spectra of a simulated camera, drawn from their exact expectation, without events.

For benchmarks, tests and notebooks: `make_camera` gives spectra with a known truth in one call. The
background and the detector are those of the event sampler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from pixelcal.energy.lines import LineTable, read_line_table
from pixelcal.energy.simulation.background import Background, make_background, read_attenuation
from pixelcal.energy.simulation.detector import Detector, expected_counts
from pixelcal.io.resources import RESOURCES

LINE_TABLE = RESOURCES / "lines" / "all_blocks.csv"
LINE_RATES = {"Cu": 0.010, "Cd": 0.009, "Te": 0.011, "Ta": 0.007, "W": 0.018, "Pb": 0.024}
CONTINUUM_RATES = {"cxb": 0.315, "internal": 0.045, "albedo": 0.08}
"""Rates (1/s) of a pixel, see `make_background`."""

N_CHANNELS = 1024
NOMINAL_GAIN, NOMINAL_OFFSET = 0.145, 3.0
"""Channels of ECLAIRs, and its relation without errors, keV/channel and keV."""

RESOLUTIONS = (0.95, 1.0, 1.05)
"""Factors on the resolution that pixels have by default, a third of them each."""

FINE_EDGES = np.arange(3.0, 156.0, 0.02)


@dataclass(frozen=True)
class Camera:
    """Spectra of pixels with the truth behind them.

    Attributes
    ----------
    counts : (n, 1024) int
    gain_true, offset_true : (n,) float, keV/channel and keV
    efficiency : (n,) float
        Relative to a nominal pixel.
    """

    counts: np.ndarray
    gain_true: np.ndarray
    offset_true: np.ndarray
    efficiency: np.ndarray


@lru_cache
def line_table() -> LineTable:
    """The line table that the spectra are made with: all blocks."""
    return read_line_table(LINE_TABLE)


@lru_cache
def background() -> Background:
    """The background of a pixel of nominal efficiency."""
    attenuation = read_attenuation(RESOURCES / "attenuation" / "cdte.csv")
    return make_background(line_table(), LINE_RATES, CONTINUUM_RATES, attenuation)


@lru_cache
def fine_cumulative(
    detector: Detector, resolution: float, without: tuple[str, ...] = ()
) -> np.ndarray:
    """Cumulative expected counts/s below each of FINE_EDGES, some elements' lines left out.

    Exact at nodes a fifth of the narrowest sigma apart; a spline between them is within 1e-5 of a
    line, for a fifth of the time.
    """
    source = background()
    kept = np.array([name.split()[0] not in without for name in source.line_name])
    source = replace(source, line_per_s=source.line_per_s * kept)
    low, high = detector.threshold, FINE_EDGES[-1]
    step = detector.sigma(low) * resolution / 5
    nodes = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
    rate = expected_counts(nodes, source, detector, 1.0, resolution=resolution)
    below = CubicSpline(nodes, np.concatenate([[0.0], np.cumsum(rate)]))
    return below(np.maximum(FINE_EDGES, low))


def expected_spectrum(
    gain, offset, seconds, efficiency=1.0, resolution=1.0, detector=None, without=()
):
    """Expected counts of a pixel of the simulated camera: draw from a Poisson law with them.

    Parameters
    ----------
    gain, offset : float, keV/channel and keV
        The true relation.
    seconds : float
        Exposure (s).
    efficiency, resolution : float
        Relative to a nominal pixel.
    detector : Detector, optional
    without : tuple of str
        Elements whose lines are left out, as ("Cu",).

    Returns
    -------
    (1024,) float
    """
    cumulative = fine_cumulative(detector or Detector(), resolution, without)
    edges = gain * np.arange(N_CHANNELS + 1) + offset
    return np.diff(np.interp(edges, FINE_EDGES, cumulative)) * seconds * efficiency


def element_spectrum(element, gain, offset, efficiency, resolution, seconds, detector=None):
    """Expected counts (1024,) of the lines of one element."""
    pixel = (gain, offset, seconds, efficiency, resolution, detector)
    return expected_spectrum(*pixel) - expected_spectrum(*pixel, without=(element,))


def make_camera(
    n: int,
    seconds: float,
    seed: int,
    detector: Detector | None = None,
    gain_sigma: float = 0.003,
    offset_sigma: float = 0.1,
    resolutions: Sequence[float] = RESOLUTIONS,
    line_spread: float = 0.0,
) -> Camera:
    """Draw the spectra of `n` pixels with injected errors and scatter between the pixels.

    Parameters
    ----------
    n : int
        Pixels.
    seconds : float
        Exposure (s) of each.
    seed : int
    detector : Detector, optional
    gain_sigma, offset_sigma : float
        Standard deviations of the injected errors: of the gain relative to the nominal one, and of
        the offset in keV.
    resolutions : sequence of float
        Factors on the resolution, one drawn for each pixel.
    line_spread : float
        Standard deviation of the logarithm of a factor on the lines of each element in each pixel.

    Returns
    -------
    Camera
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
        for spectrum, *pixel in zip(expected, gain, offset, efficiency, resolution, strict=True):
            for element in LINE_RATES:
                factor = np.exp(line_spread * rng.standard_normal())
                spectrum += (factor - 1.0) * element_spectrum(element, *pixel, seconds, detector)
    counts = np.array([rng.poisson(spectrum) for spectrum in expected])
    return Camera(counts.astype(np.int32), gain, offset, efficiency)


def prior(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The nominal relation of `n` pixels: gain and offset, (n,) each."""
    return np.full(n, NOMINAL_GAIN), np.full(n, NOMINAL_OFFSET)
