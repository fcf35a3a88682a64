"""The spectra of a pixel with dark runs, in the bins that its fit needs, and where a fit begins."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe import likelihood as without_noise
from pixelcal.charge.spe.dark_run.pedestal import Pedestal
from pixelcal.charge.spe.dark_run.spectrum import FEWEST_PER_WIDTH, Frequencies, frequencies
from pixelcal.charge.spe.likelihood import Spectra, group_bins, moments_of
from pixelcal.charge.spe.noise.climb import noise_limits
from pixelcal.charge.spe.noise.priors import fitted_noise, no_noise
from pixelcal.charge.spe.noise.spectrum import N_COMMON
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, OPCT, PE, V_PE, V_PED

BINS_PER_WIDTH = 2.0
"""Bins in the width of the noise: its transform is then e^-20 at the last frequency."""
MARGIN_BELOW, MARGIN_ABOVE = 8.0, 3.0
"""Empty bins around the data, in widths of the noise and in photoelectrons."""
WIDEST_DISTANCE = 1.7
"""Of the nodes, in widths of the noise of the fit; further apart they would be seen one by one."""
FIRST_OPCT = (0.03, 0.15, 0.4)
"""Crosstalk of the starts; gain and light follow from mean and variance beyond the dark run's."""
FIRST_WIDTH = 0.1
"""Of a photoelectron, relative, in the starts."""


class Problem(NamedTuple):
    """The spectra of a pixel, which of its runs (R,) are dark, and the pedestal to begin with.

    eped : (R,) float, where the pedestals begin
    """

    spectra: Spectra
    dark: np.ndarray
    pedestal: Pedestal
    eped: np.ndarray
    at: Frequencies

    @property
    def rates(self) -> slice:
        """Places of the rates of the nodes."""
        return slice(N_COMMON, N_COMMON + len(self.pedestal.node))

    def fitted(self, kinds) -> np.ndarray:
        """Which parameters (p,) are fitted, with some kinds of noise."""
        fitted = np.ones(self.rates.stop + N_PER_RUN * len(self.dark), bool)
        fitted[N_SHARED:N_COMMON] = fitted_noise(kinds)
        fitted[self.rates.stop + 1 :: N_PER_RUN][self.dark] = False
        if self.dark.all():
            fitted[[PE, V_PE, OPCT]] = False
        return fitted

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value (p,) of every parameter."""
        plain_low, plain_high = without_noise.limits(self.spectra)
        low, high = noise_limits()
        none = np.zeros(len(self.pedestal.node))
        lowest = np.r_[plain_low[:N_SHARED], low, none, plain_low[N_SHARED:]]
        highest = np.r_[plain_high[:N_SHARED], high, none + np.inf, plain_high[N_SHARED:]]
        distance = np.diff(self.pedestal.node).min() / WIDEST_DISTANCE
        lowest[V_PED] = max(FEWEST_PER_WIDTH * self.spectra.width, distance) ** 2
        lowest[self.rates.stop + 1 :: N_PER_RUN][self.dark] = 0.0
        return lowest, highest


def binned(counts, start, width, dark, pedestal, eped, more_starts):
    """What a `Problem` is made of."""
    noise = math.sqrt(pedestal.variance_of_noise)
    group = max(int(noise / (BINS_PER_WIDTH * width)), 1)
    below = int(MARGIN_BELOW * noise / (width * group)) + 1
    spectra = group_bins(counts, start, width, group, below, 1)
    pe = max([moment_start(spectra, dark, FIRST_OPCT[0])[0], *(s[PE] for s in more_starts)])
    above = int(min(MARGIN_ABOVE * pe / (width * group), spectra.counts.shape[1])) + 1
    spectra = group_bins(counts, start, width, group, below, above)
    return spectra, dark, pedestal, np.full(len(dark), eped), frequencies(spectra, pedestal)


def moment_start(spectra: Spectra, dark, opct: float) -> tuple[float, np.ndarray]:
    """Gain and light (R,) for some crosstalk, from what mean and variance have beyond the dark run.

    A flash of lambda photoelectrons has the mean pe lambda / (1 - opct) and the variance
    lambda (pe^2 / (1 - opct)^3 + sigma_pe^2 / (1 - opct)).
    """
    moments = np.array(
        [moments_of(run, at, spectra.width)[1:] for run, at in zip(*spectra[:2], strict=True)]
    )
    mean, variance = moments[:, 0], moments[:, 1] ** 2
    first = np.flatnonzero(dark)[0]
    mean, variance = mean - mean[first], variance - variance[first]
    step = 2.0 * spectra.width
    if dark.all():
        return step, np.zeros(len(dark))
    factor = max(variance[~dark].sum(), step**2) / max(mean[~dark].sum(), step)
    pe = max(factor / (1.0 / (1.0 - opct) ** 2 + FIRST_WIDTH**2), step)
    return pe, np.where(dark, 0.0, np.maximum(mean * (1.0 - opct) / pe, 0.01))


def starts(problem: Problem) -> list[np.ndarray]:
    """A start (p,) for each crosstalk of `FIRST_OPCT`."""
    found = []
    for opct in FIRST_OPCT:
        pe, light = moment_start(problem.spectra, problem.dark, opct)
        found.append(theta_of(problem, (pe, (FIRST_WIDTH * pe) ** 2, opct), light))
    return found


def start_of(problem: Problem, plain) -> np.ndarray:
    """A start (p,) at a fit (4 + 2 L,) of the runs with light without noise.

    Its pedestals are those of the fit: they may have shifted since the dark run.
    """
    light, eped = np.zeros(len(problem.dark)), problem.eped.copy()
    light[~problem.dark] = plain[N_SHARED + 1 :: N_PER_RUN]
    eped[~problem.dark] = plain[N_SHARED::N_PER_RUN]
    return theta_of(problem._replace(eped=eped), plain[[PE, V_PE, OPCT]], light)


def theta_of(problem: Problem, shared, light) -> np.ndarray:
    common = np.zeros(N_COMMON)
    common[V_PED] = problem.pedestal.variance_of_noise
    common[[PE, V_PE, OPCT]] = shared
    common[N_SHARED:] = no_noise()
    per_run = np.column_stack([problem.eped, np.broadcast_to(light, len(problem.eped))])
    return np.concatenate([common, problem.pedestal.rate, per_run.ravel()])
