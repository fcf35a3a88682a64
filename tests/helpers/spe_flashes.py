"""Charges of SiPM pixels drawn avalanche by avalanche, healthy and in trouble."""

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
    generation = total.copy()
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


# --- troubles -------------------------------------------------------------------------------------


def afterpulses(probability):
    """Each avalanche may have a delayed one, of which the window sees a random part."""

    def measured(rng, charge, fired, pixel):
        delayed = rng.binomial(fired, probability)
        return charge + pixel.pe * _random_parts(rng, delayed)

    return measured


def night_sky(mean):
    """Photoelectrons at random times: the window sees a part of each."""

    def measured(rng, charge, fired, pixel):
        return charge + pixel.pe * _random_parts(rng, rng.poisson(mean, len(charge)))

    return measured


def _random_parts(rng, number):
    """Sum of `number` (n,) uniform parts of one each."""
    owner = np.repeat(np.arange(len(number)), number)
    return np.bincount(owner, rng.random(len(owner)), len(number))


def drifting_pedestal(share):
    """The pedestal moves by `share` of pe over the run."""
    return lambda rng, charge, fired, pixel: (
        charge + share * pixel.pe * np.linspace(-0.5, 0.5, len(charge))
    )


def jumping_pedestal(share):
    """The pedestal jumps by `share` of pe in the middle of the run."""
    return lambda rng, charge, fired, pixel: (
        charge + share * pixel.pe * (np.arange(len(charge)) > len(charge) / 2)
    )


def drifting_gain(share):
    """The gain moves by `share` over the run; its mean stays."""
    return lambda rng, charge, fired, pixel: (
        pixel.eped + (charge - pixel.eped) * (1.0 + share * np.linspace(-0.5, 0.5, len(charge)))
    )


def saturated(highest):
    """Charges above `highest` photoelectrons read as that."""
    return lambda rng, charge, fired, pixel: np.minimum(charge, pixel.eped + highest * pixel.pe)


def compressed(share):
    """Charges grow less than in proportion, by `share` for each photoelectron."""

    def measured(rng, charge, fired, pixel):
        above = (charge - pixel.eped) / pixel.pe
        return pixel.eped + pixel.pe * above / (1.0 + share * np.maximum(above, 0.0))

    return measured


def stray_events(share):
    """Some flashes have a charge anywhere in the range of 40 photoelectrons."""

    def measured(rng, charge, fired, pixel):
        stray = rng.random(len(charge)) < share
        anywhere = pixel.eped + pixel.pe * rng.uniform(-2.0, 40.0, len(charge))
        return np.where(stray, anywhere, charge)

    return measured


def missed_window(share):
    """In some flashes the window holds a random part of the pulse only."""

    def measured(rng, charge, fired, pixel):
        part = np.where(rng.random(len(charge)) < share, rng.random(len(charge)), 1.0)
        return pixel.eped + (charge - pixel.eped) * part

    return measured


TROUBLES = {
    "crosstalk 0.5": dict(opct=0.5),
    "crosstalk 0.7": dict(opct=0.7),
    "half gain": dict(pe=15.0, sigma_pe=1.5),
    "quarter gain": dict(pe=7.5, sigma_pe=0.75),
    "noise x 2": dict(sigma_ped=12.0),
    "noise x 3": dict(sigma_ped=18.0),
    "sigma_pe 0.3 pe": dict(sigma_pe=9.0),
    "sigma_pe 0.5 pe": dict(sigma_pe=15.0),
    "dark": dict(light=(0.001, 0.002, 0.004)),
    "dim": dict(light=(0.02, 0.04, 0.08)),
    "bright": dict(light=(5.0, 10.0, 20.0)),
    "very bright": dict(light=(15.0, 30.0, 60.0)),
    "few flashes": dict(flashes=600),
    "afterpulses 0.05": dict(trouble=afterpulses(0.05)),
    "afterpulses 0.3": dict(trouble=afterpulses(0.3)),
    "night sky 0.2": dict(trouble=night_sky(0.2)),
    "night sky 1": dict(trouble=night_sky(1.0)),
    "night sky 5": dict(trouble=night_sky(5.0)),
    "pedestal drifts 0.5 pe": dict(trouble=drifting_pedestal(0.5)),
    "pedestal drifts 1 pe": dict(trouble=drifting_pedestal(1.0)),
    "pedestal jumps 0.5 pe": dict(trouble=jumping_pedestal(0.5)),
    "pedestal jumps 1 pe": dict(trouble=jumping_pedestal(1.0)),
    "gain drifts 0.1": dict(trouble=drifting_gain(0.1)),
    "gain drifts 0.4": dict(trouble=drifting_gain(0.4)),
    "saturates at 3 pe": dict(trouble=saturated(3.0)),
    "saturates at 1.2 pe": dict(trouble=saturated(1.2)),
    "compressed": dict(trouble=compressed(0.03)),
    "stray events": dict(trouble=stray_events(0.01)),
    "window misses": dict(trouble=missed_window(0.3)),
}
"""Changes of `Sipm` that make a pixel hard or its model wrong."""
