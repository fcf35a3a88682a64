"""Spectra of a camera with imperfections, without events: fast, and with the truth behind them.

`make_real_camera` is what benchmarks and tests call. A spectrum is the sum of the tables of
`real_response.py` at the energies of the channel edges, of which `real_pixels.py` says what is
special to a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pixelcal.energy.simulation import spectra
from pixelcal.energy.simulation.imperfections import PRESETS, Imperfections
from pixelcal.energy.simulation.real_pixels import ELEMENTS, RealPixels, draw_pixels
from pixelcal.energy.simulation.real_response import FINE_KEV, ResponseTables, response_tables

LOW_ENERGY_SCALE_KEV = 4.0
"""A bend at low energy falls with this scale."""

DRIFT_STEPS = 4
"""Steps of the drift in each half of the exposure."""


@dataclass(frozen=True)
class RealCamera:
    """Spectra of pixels with the truth behind them.

    Attributes
    ----------
    counts, first_half : (n, 1024) int32
        Of the exposure, and of its first half.
    gain_true, offset_true : (n,) float, keV/channel and keV
        The straight part of the relation, a drift averaged.
    edges_keV : (n, 1025) float
        The true energies at the channel positions 0, 1, ..., with all that bends the relation.
    pixels : RealPixels
    """

    counts: np.ndarray
    first_half: np.ndarray
    gain_true: np.ndarray
    offset_true: np.ndarray
    edges_keV: np.ndarray
    pixels: RealPixels

    @property
    def module(self) -> np.ndarray:
        """Module of each pixel, (n,)."""
        return self.pixels.module

    @property
    def x(self) -> np.ndarray:
        """Place of each pixel, (n,)."""
        return self.pixels.x

    @property
    def y(self) -> np.ndarray:
        """Place of each pixel, (n,)."""
        return self.pixels.y

    @property
    def noisy(self) -> np.ndarray:
        """Pixels with noise at low energy, (n,) bool."""
        return self.pixels.noisy

    @property
    def sick(self) -> np.ndarray:
        """Pixels with a tail three times as large, (n,) bool."""
        return self.pixels.sick

    @property
    def healthy(self) -> np.ndarray:
        """Pixels that count, and are not noisy, sick or hot, (n,) bool."""
        pixels = self.pixels
        return (pixels.efficiency > 0) & ~(pixels.noisy | pixels.sick | pixels.hot)

    def position_true(self, energy_keV) -> np.ndarray:
        """Channel positions (k, n) at which the true energy is `energy_keV` (k,); it extends the
        relation beyond the channels as it is at the last of them."""
        return np.array([_position(energy_keV, edges) for edges in self.edges_keV]).T

    def energy_error(self, energy_keV, gain, offset) -> np.ndarray:
        """Errors (k, n), keV, of the relations `gain`, `offset` (n,) at true energies (k,).

        The energy which the relation gives to the place of that energy, minus the energy.
        """
        at = np.asarray(energy_keV, float)[:, None]
        return gain * self.position_true(energy_keV) + offset - at


def _position(energy, edges):
    """Positions (k,) of energies (k,) on rising `edges` (m,), straight beyond them."""
    energy, n = np.asarray(energy, float), len(edges) - 1
    position = np.interp(energy, edges, np.arange(n + 1))
    low, high = edges[1] - edges[0], edges[-1] - edges[-2]
    position = np.where(energy < edges[0], (energy - edges[0]) / low, position)
    return np.where(energy > edges[-1], n + (energy - edges[-1]) / high, position)


def true_energy(straight_keV, bend_keV, bend_low_keV):
    """The true energy (keV) where a straight relation gives `straight_keV`; broadcasts.

    `bend_keV` (E/80)^2 + `bend_low_keV` exp(-(E - 4)/4) is added, both zero in the ideal camera.
    """
    straight = np.asarray(straight_keV, float)
    low = np.exp(-(np.maximum(straight, 0.0) - 4.0) / LOW_ENERGY_SCALE_KEV)
    return straight + bend_keV * (straight / 80.0) ** 2 + bend_low_keV * low


def make_real_camera(
    n: int,
    seconds: float,
    seed: int,
    imperfections: Imperfections | str = "all",
    gain_sigma: float = 0.003,
    offset_sigma: float = 0.1,
) -> RealCamera:
    """Draw the spectra of the first `n` pixels of a camera with imperfections.

    Parameters
    ----------
    n : int
        Pixels, in the order of DETNUM.
    seconds : float
        Exposure (s) of each.
    seed : int
    imperfections : Imperfections, or name of one of `PRESETS`
    gain_sigma, offset_sigma : float
        Standard deviations of the injected errors: of the gain relative to the nominal one, and of
        the offset in keV. What modules are off by comes on top.
    """
    if isinstance(imperfections, str):
        imperfections = PRESETS[imperfections]
    rng = np.random.default_rng(seed)
    pixels, tables = draw_pixels(np.arange(n), imperfections, seed), response_tables(imperfections)
    gain = spectra.NOMINAL_GAIN * (1 + gain_sigma * rng.standard_normal(n)) * pixels.gain_factor
    offset = spectra.NOMINAL_OFFSET + offset_sigma * rng.standard_normal(n)
    offset += pixels.offset_shift_keV
    channel = np.arange(spectra.N_CHANNELS + 1)
    counts = np.empty((2, n, spectra.N_CHANNELS), np.int32)
    true_edges = np.empty((n, len(channel)))
    for i in range(n):
        bend = pixels.bend_keV[i], imperfections.bend_low_keV
        place = channel + pixels.edge_shift[i]
        true_edges[i] = true_energy(gain[i] * place + offset[i], *bend)
        place = place + pixels.width_shift[i]
        cumulative = cumulative_rate(pixels, i, tables)
        for half, factors in enumerate(_gain_factors(imperfections.drift)):
            expected = 0.0
            for factor in factors:
                edges = true_energy(gain[i] * factor * place + offset[i], *bend)
                expected = expected + pixel_spectrum(edges, cumulative, pixels, i, imperfections)
            counts[half, i] = rng.poisson(expected * (0.5 * seconds / len(factors)))
    total = counts.sum(axis=0, dtype=np.int32)
    return RealCamera(total, counts[0], gain, offset, true_edges, pixels)


def _gain_factors(drift: float):
    """Factors on the gain in the first and in the second half of the exposure."""
    if drift == 0.0:
        return np.ones((2, 1))
    middle = (np.arange(2 * DRIFT_STEPS) + 0.5) / (2 * DRIFT_STEPS)
    return 1.0 + drift * (2.0 * middle.reshape(2, DRIFT_STEPS) - 1.0)


def pixel_spectrum(
    edges_keV, cumulative, pixels: RealPixels, i: int, imperfections: Imperfections
) -> np.ndarray:
    """Expected rates (m,), 1/s, of pixel `i` between the true energies `edges_keV` (m + 1,).

    `cumulative` is the `cumulative_rate` of the pixel.
    """
    threshold = pixels.threshold_keV[i]
    if imperfections.threshold_sigma == 0.0:
        edges_keV = np.maximum(edges_keV, threshold)
    rate = np.diff(np.interp(edges_keV, FINE_KEV, cumulative)) * pixels.efficiency[i]
    if pixels.noisy[i]:
        above = np.maximum(edges_keV, 1.0) - 4.0
        rate -= pixels.noise_per_s[i] * np.diff(np.exp(-above / pixels.noise_scale_keV[i]))
    if imperfections.threshold_sigma > 0.0:
        centres = (edges_keV[:-1] + edges_keV[1:]) / 2
        rate *= ndtr((centres - threshold) / imperfections.threshold_sigma)
    return np.maximum(rate, 0.0)


def cumulative_rate(pixels: RealPixels, i: int, tables: ResponseTables) -> np.ndarray:
    """Rates (1/s) of pixel `i` below each of `FINE_KEV`, of efficiency 1, before its threshold."""
    resolution = int(pixels.resolution_draw[i] * len(tables.resolutions))
    columns = [ELEMENTS.index(element) for element in tables.elements]
    weights = np.concatenate([[1.0], pixels.strength[i, columns]])
    if len(tables.factors) == 1:
        return weights @ tables.below[0, resolution]
    logs = np.log(tables.factors)
    at = np.clip(np.log(pixels.tail_factor[i]), logs[0], logs[-1])
    k = min(int(np.searchsorted(logs, at, side="right")) - 1, len(logs) - 2)
    upper = (at - logs[k]) / (logs[k + 1] - logs[k])
    below = tables.below[:, resolution]
    return (1.0 - upper) * (weights @ below[k]) + upper * (weights @ below[k + 1])
