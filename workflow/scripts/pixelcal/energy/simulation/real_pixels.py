"""How the pixels of a camera with imperfections differ: drawn pixel by pixel and module by module.

A pixel has a random stream of its own, and so has a module: pixel 17 is the same pixel in a camera
of 64 and in one of 6400. All numbers are drawn whether their imperfection is on or not: a switch
changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.simulation.imperfections import Imperfections
from pixelcal.energy.simulation.spectra import N_CHANNELS
from pixelcal.numerics.random import pixel_stream

N_COLUMNS = 80
MODULE_COLUMNS, MODULE_ROWS = 8, 4
"""A module (XRDPIX) of ECLAIRs is 8 x 4 pixels, with an ASIC of its own; see the pixel map."""

ELEMENTS = (
    *("Cu", "Cd", "Te", "Ta", "W", "Pb", "Bi"),
    *("In", "Sn", "Cs", "Zn", "Ga", "Pb L", "U", "Ag", "Mo"),
)
N_ELEMENTS = len(ELEMENTS)
"""Elements whose strengths are drawn, whether a camera has them or not."""

SICK_FACTOR, HOT_FACTOR = 3.0, 100.0
SIDE_COLUMNS, SIDE_PREFERENCE = 8, 3.0
"""Noise is that of the heat pipes, at two sides of the plane (Xie et al. 2024, arXiv:2401.13619):
this many columns at each have it this many times as often as the average."""

NOISE_PER_S = 0.03, 3.0
NOISE_SCALE_KEV = 0.5, 0.9
"""Rate above 4 keV (log-uniform; a pixel counts 0.4 per s) and scale of the exponential: noise ends
at about 8 keV."""


@dataclass(frozen=True)
class RealPixels:
    """What is special to each pixel of a camera with imperfections.

    Attributes
    ----------
    detnum, x, y, module : (n,) int
        `x` and `y` are the place in the plane as in the pixel map.
    efficiency : (n,) float
    resolution_draw : (n,) float
        Uniform from 0 to 1: what the resolution is chosen with.
    tail_factor : (n,) float
        On fraction and mean loss of the tail together; on the inverse of the mobility-lifetime
        product of holes where the depth decides (Hecht).
    threshold_keV : (n,) float
    noise_per_s, noise_scale_keV : (n,) float
        Rate above 4 keV of the noise, and the scale of its exponential.
    strength : (n, N_ELEMENTS) float
        Factors on the lines of each of `ELEMENTS`.
    bend_keV : (n,) float
        At 80 keV.
    edge_shift, width_shift : (n, 1025) float, channels
        Displacement of channel edges: smooth (integral) and local (differential non-linearity). The
        truth of an energy is that of the smooth one.
    gain_factor, offset_shift_keV : (n,) float
        Of the module.
    noisy, sick, hot : (n,) bool
        Noise at low energy; a tail three times as large; 100 times the counts.
    """

    detnum: np.ndarray
    x: np.ndarray
    y: np.ndarray
    module: np.ndarray
    efficiency: np.ndarray
    resolution_draw: np.ndarray
    tail_factor: np.ndarray
    threshold_keV: np.ndarray
    noise_per_s: np.ndarray
    noise_scale_keV: np.ndarray
    strength: np.ndarray
    bend_keV: np.ndarray
    edge_shift: np.ndarray
    width_shift: np.ndarray
    gain_factor: np.ndarray
    offset_shift_keV: np.ndarray
    noisy: np.ndarray
    sick: np.ndarray
    hot: np.ndarray

    def strengths_of(self, elements) -> np.ndarray:
        """Factors (n, k) on the lines of `elements` (k,)."""
        return self.strength[:, [ELEMENTS.index(element) for element in elements]]


def module_of(x, y):
    """Module of the pixels at `x`, `y`, counted row by row."""
    return y // MODULE_ROWS * (N_COLUMNS // MODULE_COLUMNS) + x // MODULE_COLUMNS


def draw_pixels(detnum, imperfections: Imperfections, seed: int) -> RealPixels:
    """Draw the pixels `detnum` (n,), which count along rows: DETNUM = 80 row + column."""
    detnum = np.asarray(detnum)
    y, column = np.divmod(detnum, N_COLUMNS)
    x = N_COLUMNS - 1 - column
    module = module_of(x, y)
    normal, uniform, walk = _pixel_draws(detnum, seed)
    modules, of_pixel = np.unique(module, return_inverse=True)
    m_normal, m_uniform, m_walk = (
        values[of_pixel] for values in _pixel_draws(modules, seed, "module properties")
    )
    sick, hot = (
        uniform[:, 1] < imperfections.sick_fraction,
        uniform[:, 2] < imperfections.hot_fraction,
    )
    noisy = uniform[:, 3] < imperfections.noisy_fraction * _noise_preference(x)
    gradient = 1.0 + imperfections.tail_gradient * (x - (N_COLUMNS - 1) / 2) / (N_COLUMNS / 2)
    low, high = np.log(NOISE_PER_S)
    on = m_uniform[:, 1] >= imperfections.dead_modules
    return RealPixels(
        detnum=detnum,
        x=x,
        y=y,
        module=module,
        efficiency=np.exp(imperfections.efficiency_spread * normal[:, 0])
        * np.where(hot, HOT_FACTOR, 1.0)
        * on,
        resolution_draw=uniform[:, 0],
        tail_factor=np.exp(imperfections.tail_spread * normal[:, 1])
        * gradient
        * np.where(sick, SICK_FACTOR, 1.0),
        threshold_keV=imperfections.threshold[0]
        + (imperfections.threshold[1] - imperfections.threshold[0]) * uniform[:, 4],
        noise_per_s=np.where(noisy, np.exp(low + (high - low) * uniform[:, 5]), 0.0),
        noise_scale_keV=NOISE_SCALE_KEV[0] + np.diff(NOISE_SCALE_KEV) * uniform[:, 6],
        strength=_strengths(imperfections.strengths, normal[:, 4:], m_normal[:, 4:], x, y),
        bend_keV=imperfections.bend_keV + imperfections.bend_pixels_keV * normal[:, 2],
        edge_shift=imperfections.inl_channels * (_bridge(walk) + _bridge(m_walk)) / np.sqrt(2.0),
        width_shift=_width_shift(imperfections.dnl, m_normal, m_walk),
        gain_factor=1.0 + imperfections.module_gain * (2.0 * m_uniform[:, 2] - 1.0),
        offset_shift_keV=imperfections.module_offset_keV * (2.0 * m_uniform[:, 3] - 1.0),
        noisy=noisy,
        sick=sick,
        hot=hot,
    )


def _pixel_draws(numbers, seed: int, label: str = "imperfections"):
    """Normal (n, 4 + N_ELEMENTS) and uniform (n, 8) numbers, and normal steps (n, 1024)."""
    normal, uniform = np.empty((len(numbers), 4 + N_ELEMENTS)), np.empty((len(numbers), 8))
    walk = np.empty((len(numbers), N_CHANNELS), np.float32)
    for i, number in enumerate(numbers):
        stream = pixel_stream(seed, label, int(number))
        normal[i], uniform[i] = stream.standard_normal(normal.shape[1]), stream.random(8)
        stream.standard_normal(out=walk[i], dtype=np.float32)
    return normal, uniform, walk


def _noise_preference(x):
    """How much more often than the average a pixel at `x` has noise; its mean over x is 1."""
    side = np.minimum(x, N_COLUMNS - 1 - x) < SIDE_COLUMNS
    share = 2 * SIDE_COLUMNS / N_COLUMNS
    return np.where(side, SIDE_PREFERENCE, (1.0 - share * SIDE_PREFERENCE) / (1.0 - share))


def _strengths(spread: float, of_pixel, of_module, x, y):
    """Factors (n, N_ELEMENTS): of the pixel, the module and a gradient in a direction, in equal
    parts of the variance of the logarithm."""
    angle = np.arange(N_ELEMENTS) * 2.4
    half = N_COLUMNS / 2
    along = np.outer(x / half - 1.0, np.cos(angle)) + np.outer(y / half - 1.0, np.sin(angle))
    # a coordinate is uniform from -1 to 1, of variance 1/3
    return np.exp(spread * (of_pixel + of_module + np.sqrt(3.0) * along) / np.sqrt(3.0))


def _bridge(steps):
    """A random walk of the `steps` (n, m) over m + 1 edges that ends where it begins, at 0."""
    n, m = steps.shape
    walk = np.concatenate([np.zeros((n, 1)), np.cumsum(steps, axis=1, dtype=float)], axis=1)
    return walk - walk[:, -1:] * np.arange(m + 1) / m


def _width_shift(dnl: float, normal, walk):
    """Displacement (n, 1025) of edges: channels `dnl` wider and narrower in turn, and as much at
    random; an analogue-to-digital converter serves a module."""
    sign = np.where(normal[:, 3:4] > 0, 0.5, -0.5)
    alternating = sign * (-1.0) ** np.arange(N_CHANNELS + 1)
    at_random = np.concatenate([walk, np.zeros((len(walk), 1))], axis=1) / np.sqrt(2.0)
    return dnl * (alternating + at_random)
