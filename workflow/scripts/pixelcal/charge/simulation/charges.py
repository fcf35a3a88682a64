"""Charges of SiPM pixels drawn avalanche by avalanche, without waveforms.

For benchmarks, tests and notebooks. What can be wrong with a pixel is in `troubles`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Sipm:
    """One pixel; charges in adu, light in photoelectrons.

    `trouble` is called with (generator, charges, avalanches, pixel) of each run and gives the
    charges that are measured instead.
    """

    pe: float = 30.0
    sigma_ped: float = 6.0
    sigma_pe: float = 3.0
    opct: float = 0.15
    eped: float = 0.0
    light: tuple[float, ...] = (0.6, 1.2, 2.4)
    flashes: int = 10_000
    trouble: object = None

    def changed(self, **changes) -> Sipm:
        """The same pixel with other properties."""
        return replace(self, **changes)


def avalanches(rng, mean, opct, n):
    """Avalanches (n,) of flashes: Poisson light, each with Poisson offspring, and these again."""
    total = rng.poisson(mean, n)
    return total + offspring(rng, total, opct)


def offspring(rng, number, opct):
    """Avalanches (n,) by crosstalk of `number` (n,) of them, and of their offspring."""
    total = np.zeros(len(number), int)
    generation = number
    while generation.any():
        generation = rng.poisson(opct * generation)
        total += generation
    return total


def draw_charges(rng, pixel: Sipm) -> list[np.ndarray]:
    """Whole charges (n_flashes,) of each run."""
    runs = []
    for mean in pixel.light:
        fired = avalanches(rng, mean, pixel.opct, pixel.flashes)
        width = np.sqrt(pixel.sigma_ped**2 + fired * pixel.sigma_pe**2)
        charge = pixel.eped + pixel.pe * fired + width * rng.standard_normal(pixel.flashes)
        if pixel.trouble is not None:
            charge = pixel.trouble(rng, charge, fired, pixel)
        runs.append(np.rint(charge).astype(np.int64))
    return runs


def as_spectra(charges: list[list[np.ndarray]]):
    """Counts (n, R, m), start (n, R) and width (n,) of the charges of n pixels."""
    n_bins = max(int(run.max() - run.min()) + 1 for pixel in charges for run in pixel)
    counts = np.zeros((len(charges), len(charges[0]), n_bins), np.int32)
    start = np.empty(counts.shape[:2])
    for i, pixel in enumerate(charges):
        for j, run in enumerate(pixel):
            start[i, j] = run.min() - 0.5
            found = np.bincount(run - run.min())
            counts[i, j, : len(found)] = found
    return counts, start, np.ones(len(charges))


def draw_spectra(rng, pixels: list[Sipm]):
    """Spectra of n pixels, as `as_spectra`."""
    return as_spectra([draw_charges(rng, pixel) for pixel in pixels])
