"""Spectra of flashes on the pedestal of a dark run, bin by bin, with their derivatives.

The characteristic function of a flash is that of the pedestal times exp(lambda (B(phi) - 1)), where
B(phi) is that of an avalanche with its crosstalk and what follows it (`noise.exponents`). One
Fourier transform gives the probability of every bin. A dark run has lambda = 0.

Parameters of a pixel with R runs and M nodes, N_COMMON + M + 2 R: those of `noise.spectrum` that
runs have in common, where V_PED is the variance of the noise and DARK is 0; the rates of the nodes;
then the pedestal without any pulse, and lambda, of each run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, rfftfreq
from scipy.special import xlogy

from pixelcal.charge.spe.dark_run.pedestal import Pedestal
from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.noise.late_charges import DARK, DECAY, DELAY, N_NOISE
from pixelcal.charge.spe.noise.spectrum import (
    BINS_PER_PE,
    FLOOR,
    N_COMMON,
    NODES,
    RADIANS_PER_NODE,
    SMALL,
    avalanche_exponents,
    goodness_of,
    transform_length,
)
from pixelcal.charge.spe.noise.spectrum import model_runs as plain_model_runs
from pixelcal.charge.spe.parameters import N_PARAMETERS, N_PER_RUN, N_SHARED, PE, V_PED

FEWEST_PER_WIDTH = 1.6
"""Bins in the width of the noise; with fewer one would see what the transform leaves out."""


class Frequencies(NamedTuple):
    """What does not change during a fit.

    frequency : (m,) float, radians per unit of charge
    pulses : (M, m) complex, exp(i s x) - 1 of each node
    length : of the transform
    """

    frequency: np.ndarray
    pulses: np.ndarray
    length: int


def frequencies(spectra: Spectra, pedestal: Pedestal) -> Frequencies:
    """All frequencies of the transform, and what a pulse of each node is at them."""
    length = transform_length(spectra.counts.shape[1])
    frequency = 2.0 * np.pi * rfftfreq(length, d=spectra.width)
    return Frequencies(frequency, np.expm1(1j * np.outer(pedestal.node, frequency)), length)


def bin_probabilities(
    theta, spectra: Spectra, at: Frequencies, followed: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each bin of all runs, and its derivatives.

    Parameters
    ----------
    theta : (N_COMMON + M + 2 R,) float
    spectra : Spectra
        R runs of n bins; the ends hold all that lies beyond them.
    at : Frequencies
    followed : bool
        Whether the derivatives with respect to what follows an avalanche are needed; without them
        it is much faster where nothing follows.

    Returns
    -------
    probability : (R, n) float
    gradient : (R, N_COMMON + M + 2, n) float
        With respect to what the runs share, and to eped and lambda of the run.
    """
    n_runs, n = spectra.counts.shape
    n_nodes = len(at.pulses)
    common, rate = theta[:N_COMMON], theta[N_COMMON : N_COMMON + n_nodes]
    per_run = theta[N_COMMON + n_nodes :].reshape(n_runs, N_PER_RUN)
    size = int((0.5 * at.frequency**2 * theta[V_PED] < SMALL).sum())
    frequency, pulses = at.frequency[:size], at.pulses[:, :size]
    nodes = (NODES, RADIANS_PER_NODE) if followed else (1, np.inf)
    needed = np.full(N_NOISE, followed)
    needed[DARK] = False  # they are part of the pedestal
    flash, flash_by, _, _ = avalanche_exponents(common, frequency, *nodes, needed)
    middle = 0.5 * spectra.width
    dark = np.exp(rate @ pulses - 0.5 * frequency**2 * theta[V_PED])
    dark *= np.sinc(frequency * middle / np.pi)
    probability = np.empty((n_runs, n))
    gradient = np.empty((n_runs, N_COMMON + n_nodes + N_PER_RUN, n))
    for run, (eped, mean) in enumerate(per_run):
        transform = np.zeros((1 + gradient.shape[1], at.length // 2 + 1), complex)
        shift = 1j * frequency * (eped - spectra.start[run] - middle)
        whole = dark * np.exp(shift + mean * flash)
        transform[0, :size] = whole
        if mean > 0.0:
            transform[1 : 1 + N_COMMON, :size] = mean * flash_by * whole
        transform[1 + V_PED, :size] = -0.5 * frequency**2 * whole
        transform[1 + N_COMMON : -N_PER_RUN, :size] = pulses * whole
        transform[-2, :size] = 1j * frequency * whole
        transform[-1, :size] = flash * whole
        # The transform has exp(+ i s q); numpy's inverse takes exp(- i s q) with the conjugate.
        found = irfft(np.conj(transform), n=at.length, axis=1)[:, :n]
        found[0, -1] = 1.0 - found[0, :-1].sum()
        found[1:, -1] = -found[1:, :-1].sum(axis=1)
        probability[run], gradient[run] = np.maximum(found[0], 0.0) + FLOOR, found[1:]
    return probability, gradient


def places_of(run: int, n_nodes: int) -> np.ndarray:
    """Places (N_COMMON + M + 2,) in theta of the parameters of one run."""
    first = N_COMMON + n_nodes
    return np.r_[0:first, first + N_PER_RUN * run : first + N_PER_RUN * (run + 1)]


def likelihood(
    theta, spectra: Spectra, at: Frequencies, followed: bool = True
) -> tuple[float, np.ndarray, np.ndarray]:
    """Deviance, score (p,) and expected information (p, p) of all runs, as in `spe.likelihood`."""
    probability, gradient = bin_probabilities(theta, spectra, at, followed)
    counts = spectra.counts
    flashes = counts.sum(axis=1)
    deviance = 2.0 * xlogy(counts, counts / (flashes[:, None] * probability)).sum()
    score, information = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    for run, total in enumerate(flashes):
        place = places_of(run, len(at.pulses))
        slope = gradient[run] / probability[run]
        score[place] += slope @ counts[run]
        information[np.ix_(place, place)] += total * (slope @ gradient[run].T)
    return float(deviance), score, information


def goodness_of_fit(
    theta, spectra: Spectra, at: Frequencies, group: int, moments
) -> tuple[float, float, float, int]:
    """Deviance in bins of `group` bins, its mean and variance by Poisson counts, number of bins.

    As `spe.likelihood.goodness_of_fit`.
    """
    probability, _ = bin_probabilities(theta, spectra, at)
    return goodness_of(probability, spectra.counts, group, moments)


class DarkNoise(NamedTuple):
    """What `model_runs` needs beside the parameters of a run, for a fit with a dark run.

    late : (N_NOISE,) float, what follows an avalanche
    pedestal : Pedestal
    """

    late: np.ndarray
    pedestal: Pedestal


def model_runs(parameters, noise, spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each bin of all runs and its derivatives, as `noise.spectrum.model_runs`.

    `noise` may also be a DarkNoise. EPED is then the mean pedestal, and the derivative with respect
    to V_PED that with respect to the variance of the noise.
    """
    if not isinstance(noise, DarkNoise):
        return plain_model_runs(parameters, noise, spectra)
    pedestal, (n_runs, n) = noise.pedestal, spectra.counts.shape
    sigma = np.sqrt(pedestal.variance_of_noise)
    # The transform needs bins that are narrower than the noise; they are added up again.
    finer = max(int(np.ceil(FEWEST_PER_WIDTH * spectra.width / sigma)), 1)
    bins = Spectra(np.zeros((n_runs, n * finer)), spectra.start, spectra.width / finer)
    shared, per_run = parameters[0, :N_SHARED].copy(), parameters[:, N_SHARED:].copy()
    shared[V_PED] = pedestal.variance_of_noise
    per_run[:, 0] -= pedestal.mean
    late = np.array(noise.late, float)
    for time in (DECAY, DELAY):
        late[time] = late[time] or 1.0  # of no use without late avalanches, but a time
    theta = np.concatenate([shared, late, pedestal.rate, per_run.ravel()])
    followed = bool(np.any(noise.late))
    probability, gradient = bin_probabilities(theta, bins, frequencies(bins, pedestal), followed)
    kept = np.r_[0:N_SHARED, gradient.shape[1] - N_PER_RUN : gradient.shape[1]]
    gradient = gradient[:, kept].reshape(n_runs, N_PARAMETERS, n, finer).sum(axis=3)
    return probability.reshape(n_runs, n, finer).sum(axis=2), gradient


def peak_to_valley(theta, noise: DarkNoise, flashes, dark) -> tuple[np.ndarray, np.ndarray]:
    """How the first two peaks stand over the valley: `fit.peak_to_valley` on this pedestal.

    Peaks are sought at multiples of pe from where the pedestal is highest.

    Parameters
    ----------
    theta : (4 + 2 R,) float
        As in `likelihood`; the pedestal is its mean and its variance.
    noise : DarkNoise
    flashes : (R,) int
    dark : (R,) bool

    Returns
    -------
    ratio, excess : (R,) float
        NaN in dark runs.
    """
    pe, sigma = theta[PE], np.sqrt(theta[V_PED])
    width = pe / BINS_PER_PE
    below = int((3.0 * pe + 5.0 * sigma) / width)
    n = below + int((12.0 * pe + 5.0 * sigma) / width)
    per_run = theta[N_SHARED:].reshape(-1, N_PER_RUN)
    start = per_run[:, 0] - below * width
    shared = np.broadcast_to(theta[:N_SHARED], (len(per_run), N_SHARED))
    bins = Spectra(np.zeros((len(per_run), n)), start, width)
    density = model_runs(np.hstack([shared, per_run]), noise, bins)[0] / width
    unlit = np.hstack([shared, per_run * [1.0, 0.0]])[:1]
    first = Spectra(np.zeros((1, n)), start[:1], width)
    mode = int(np.argmax(model_runs(unlit, noise, first)[0][0, 1:-1])) + 1
    at = mode + np.array([1.0, 1.5, 2.0]) * BINS_PER_PE
    found = np.array([np.interp(at, np.arange(n), run) for run in density])
    peaks, valley = 0.5 * (found[:, 0] + found[:, 2]), found[:, 1]
    counts = np.asarray(flashes) * 0.5 * pe
    excess = counts * (peaks - valley) / np.sqrt(counts * (0.5 * peaks + valley))
    return np.where(dark, np.nan, peaks / valley), np.where(dark, np.nan, excess)
