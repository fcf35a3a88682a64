"""Delayed crosstalk into cells that fired before, against draws cell by cell on a tree of cells."""

import heapq

import numpy as np

from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise import late_charges as late
from pixelcal.charge.spe.noise.priors import no_noise
from pixelcal.charge.spe.noise.spectrum import bin_probabilities

OPCT, DELAYED, DECAY, DELAY, LIGHT, FLASHES = 0.2, 0.05, 0.3, 0.2, 0.7, 300_000
PE, SIGMA_PED, SIGMA_PE = 30.0, 2.4, 1.2
NEIGHBOURS = 4


def neighbour(rng, cell):
    """One of those of a cell, which is the way to it from the first: without closed loops."""
    number = int(rng.integers(NEIGHBOURS))
    return cell[:-1] if cell and number == 0 else (*cell, number)


def charges_of_avalanches(rng, n, recovers):
    """Charges (n,) of avalanches with all that they cause; each fires its cells in order of time.

    A cell that fires again has recovered since its last avalanche, as its pulse has decayed, and
    causes as much less. With `recovers` false it gives a whole pulse again.
    """
    whole = -np.expm1(-1.0 / DECAY)
    charges = np.zeros(n)
    for i in range(n):
        waiting, last = [(0.0, ())], {}
        while waiting:
            time, cell = heapq.heappop(waiting)
            part = 1.0
            if cell in last:
                since = time - last[cell]
                if since == 0.0:
                    continue
                part = -np.expm1(-since / DECAY) if recovers else 1.0
            last[cell] = time
            left = -np.expm1(-(1.0 - time) / DECAY) / whole
            charges[i] += PE * part * left + SIGMA_PE * part * left * rng.standard_normal()
            for mean, constant in ((OPCT, 0.0), (DELAYED, DELAY)):
                for _ in range(rng.poisson(mean * part)):
                    then = time + constant * rng.standard_exponential()
                    if then < 1.0:
                        heapq.heappush(waiting, (then, neighbour(rng, cell)))
    return charges


def excess(rng, recovers):
    """Chi-square of drawn spectra against the model, in standard deviations from its mean."""
    photons = rng.poisson(LIGHT, FLASHES)
    each = charges_of_avalanches(rng, photons.sum(), recovers)
    flash = np.repeat(np.arange(FLASHES), photons)
    charge = np.bincount(flash, each, FLASHES) + SIGMA_PED * rng.standard_normal(FLASHES)
    start, width, n = -22.5, 1.0, 390
    counts = np.bincount(np.clip((charge - start) / width, 0, n - 1).astype(int), minlength=n)
    noise = no_noise(DECAY)
    noise[[late.DELAYED, late.DELAY]] = DELAYED * -np.expm1(-1.0 / DELAY), DELAY
    noise[late.SPENT] = 1.0 / NEIGHBOURS
    theta = np.array([SIGMA_PED**2, PE, SIGMA_PE**2, OPCT, *noise, 0.0, LIGHT])
    bins = Spectra(np.zeros((1, n)), np.array([start]), width)
    mu = FLASHES * bin_probabilities(theta, bins)[0][0]
    used = mu > 20.0
    chi_square = np.sum((counts - mu)[used] ** 2 / mu[used])
    return (chi_square - used.sum()) / np.sqrt(2.0 * used.sum())


def test_cells_that_have_not_recovered_give_less():
    """The model is within chance of such draws (3.5 sigma), and not of cells that forget."""
    rng = np.random.default_rng(12)
    assert abs(excess(rng, recovers=True)) < 3.5
    assert excess(rng, recovers=False) > 10.0
