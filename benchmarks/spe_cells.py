"""Crosstalk of sensors whose every avalanche has its cell, with all kinds of noise.

python benchmarks/spe_cells.py [--pixels 64] [--flashes 100000]

A cell recovers exponentially since it last fired, and all that an avalanche causes is in proportion
to its charge. Photons of crosstalk choose one of eight neighbours at random, on a square lattice
(`lattice`), or on a tree, in which no two cells have two common neighbours, as the fit assumes
(`tree`). Prompt crosstalk is 0.1275, delayed crosstalk 0.0225 after 0.15 windows, pulses decay
within 0.3 windows, dark counts are 0.2 in a window, and afterpulses 0.1 after 0.1 and 0.5 windows.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numba import njit

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal.charge.simulation.charges import as_spectra
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.noise.learn import learn_camera_noise

PROMPT, DELAYED, DELAY, DECAY = 0.1275, 0.0225, 0.15, 0.3
AFTERPULSE_DELAYS, DARK, PAST = (0.1, 0.5), 0.2, 4.0
PE, SIGMA_PED, SIGMA_PE = 30.0, 2.4, 0.1
LIGHT = (0.6, 1.2, 2.4)
MOST, SIDE, NEIGHBOURS = 300, 21, 8

CAMERAS = {  # lattice, dark counts, afterpulses
    "delayed, tree": (False, 0.01, 0.0),
    "delayed, lattice": (True, 0.01, 0.0),
    "and dark counts, tree": (False, DARK, 0.0),
    "and dark counts, lattice": (True, DARK, 0.0),
    "and afterpulses, tree": (False, DARK, 0.1),
    "and afterpulses, lattice": (True, DARK, 0.1),
}


@njit
def next_cell(cell, lattice, tree, n_cells, rng):
    """A neighbour of a cell, chosen at random, and how many cells there are then."""
    k = rng.integers(0, NEIGHBOURS)
    if lattice:
        k = k if k < NEIGHBOURS // 2 else k + 1
        return cell + (k // 3 - 1) * SIDE + k % 3 - 1, n_cells
    if tree[cell, k] < 0:
        tree[cell, k], tree[n_cells, 0] = n_cells, cell
        n_cells += 1
    return tree[cell, k], n_cells


@njit
def charge_of(begin, numbers, delays, lattice, rng):
    """Charge in the window of an avalanche at `begin` with all that follows it.

    `numbers` (4,) are the mean ones of prompt and delayed crosstalk and of two kinds of
    afterpulses, `delays` (4,) their delays.
    """
    time, cell = np.empty(MOST), np.empty(MOST, np.int64)
    done, fired = np.zeros(MOST, np.bool_), np.full(max(MOST, SIDE * SIDE) + 1, -1e9)
    tree, n_cells = np.full((MOST + 1, NEIGHBOURS), -1), 1
    time[0], cell[0], n, charge = begin, SIDE * SIDE // 2 if lattice else 0, 1, 0.0
    while True:
        first = -1
        for i in range(n):
            if not done[i] and (first < 0 or time[i] < time[first]):
                first = i
        if first < 0 or time[first] >= 1.0:
            return charge
        done[first], now, here = True, time[first], cell[first]
        if here < 0 or here >= len(fired):
            continue
        size = -np.expm1(-(now - fired[here]) / DECAY)
        if size <= 0.0:
            continue
        fired[here] = now
        inside = np.exp(min(now, 0.0) / DECAY) - np.exp(-(1.0 - now) / DECAY)
        charge += size * (1.0 + SIGMA_PE * rng.standard_normal()) * inside / -np.expm1(-1.0 / DECAY)
        for kind in range(4):
            for _ in range(rng.poisson(numbers[kind] * size)):
                later = now + delays[kind] * rng.exponential()
                if n == MOST or later >= 1.0:
                    continue
                time[n], cell[n] = later, here
                if kind < 2:
                    cell[n], n_cells = next_cell(here, lattice, tree, n_cells, rng)
                n += 1


@njit
def charges(flashes, light, dark, numbers, delays, lattice, rng):
    """Charges (flashes,) of a run in photoelectrons."""
    found = np.zeros(flashes)
    for i in range(flashes):
        for _ in range(rng.poisson(light)):
            found[i] += charge_of(0.0, numbers, delays, lattice, rng)
        for _ in range(rng.poisson(dark * (1.0 + PAST))):
            found[i] += charge_of(rng.uniform(-PAST, 1.0), numbers, delays, lattice, rng)
    return found


def draw(n_pixels, flashes, lattice, dark, afterpulses, seed):
    """Spectra of pixels, as `fit_pixels` takes them."""
    numbers = np.array([PROMPT, DELAYED, 0.5 * afterpulses, 0.5 * afterpulses])
    delays = np.array([0.0, DELAY, *AFTERPULSE_DELAYS])
    rng, pixels = np.random.default_rng(seed), []
    for _ in range(n_pixels):
        runs = []
        for light in LIGHT:
            given = light, dark, numbers, delays, lattice, rng
            noise = SIGMA_PED * rng.standard_normal(flashes)
            runs.append(np.rint(PE * charges(flashes, *given) + noise).astype(np.int64))
        pixels.append(runs)
    return as_spectra(pixels)


def main() -> None:
    """A table of all cameras."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--flashes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{given.pixels} pixels, 3 x {given.flashes} flashes\n")
    print(f"{'':26s} good  pe (%)  OPCT (%)  CROSSTALK (%)  DELAYED  DARK   chi-square     seconds")
    for name, settings in CAMERAS.items():
        begin = time.process_time()
        spectra, pixel = draw(given.pixels, given.flashes, *settings, given.seed), given.pixels
        drawn = time.process_time()
        learnt = learn_camera_noise(*spectra, SpeOptions())
        fits = fit_pixels(*spectra, np.arange(pixel), SpeOptions(), camera=learnt.camera)
        of, mean = learnt.adequacy, {key: fits[key].mean() for key in fits.dtype.names}
        total = PROMPT + DELAYED
        print(
            f"{name:26s} {(fits['STATUS'] == 0).sum():4d}  {100 * (mean['PE'] / PE - 1):+6.3f}"
            f"  {100 * (mean['OPCT'] / PROMPT - 1):+8.1f}"
            f"  {100 * (mean['CROSSTALK'] / total - 1):+13.1f}  {mean['DELAYED']:.4f}"
            f"   {mean['DARK']:.3f}  {of.chi_square:4.0f} of {of.dof}"
            f"  {drawn - begin:4.0f} + {time.process_time() - drawn:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
