"""Single-photoelectron spectra with dark counts, afterpulses and delayed crosstalk, bin by bin.

The characteristic function of the charge is known in closed form (`exponents`), so the probability
of every bin is one Fourier transform of it times that of the bin. The pedestal peak is narrower
than the others and would need the highest frequencies: it is added as a normal integral instead.

Parameters of a pixel with R runs, 4 + N_NOISE + 2 R: those that `model` shares, the noise, then
eped and lambda of each run.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq
from scipy.special import ndtr, xlogy

from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.model import N_PARAMETERS, N_PER_RUN, N_SHARED, PE, V_PED
from pixelcal.charge.spe.model import bin_probabilities as sum_of_peaks
from pixelcal.charge.spe.noise.exponents import exponents
from pixelcal.charge.spe.noise.late_charges import DARK, DECAY, N_NOISE, late_charges
from pixelcal.numerics.goodness_of_fit import LOG_MU_START, LOG_MU_STEP

N_COMMON = N_SHARED + N_NOISE

SMALL = 18.0
"""Frequencies are followed until the pedestal has damped them by exp(-18)."""
NODES, RADIANS_PER_NODE = 24, 3.0
"""Of the integrals over time: so many, and one more for each 3 radians that the phase of an
avalanche turns at the highest frequency. One set for all frequencies, so that what is left of an
error is smooth: 1e-7 of a unit of deviance."""
SMALL_OF_SLOPES, NODES_OF_SLOPES = 6.0, 8
"""The same for the derivatives that only tell whether there is noise."""
ROOM = 1.3
"""Length of the transform, in spectra: what lies beyond the last bin must not come round again."""
BINS_PER_PE, BELOW_PE, ABOVE_PE = 40, 3, 12
"""Of the spectrum in which peaks are held against the valley, and its reach around the pedestal."""
FLOOR = 1e-10
"""Added to the probability of each bin: above the rounding of the transform."""


def bin_probabilities(theta, spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each bin of all runs, and its derivatives.

    Parameters
    ----------
    theta : (N_COMMON + 2 R,) float
    spectra : Spectra
        R runs of n bins; the ends hold all that lies beyond them.

    Returns
    -------
    probability : (R, n) float
    gradient : (R, N_COMMON + 2, n) float
        With respect to the common parameters, and to eped and lambda of the run.
    """
    n_runs, n = spectra.counts.shape
    length = transform_length(n)
    frequency = 2.0 * np.pi * rfftfreq(length, d=spectra.width)
    frequency = frequency[0.5 * frequency**2 * theta[V_PED] < SMALL]
    n_nodes = NODES + int(frequency[-1] * theta[PE] / RADIANS_PER_NODE)
    avalanches = avalanche_exponents(theta, frequency, n_nodes)
    probability = np.empty((n_runs, n))
    gradient = np.empty((n_runs, N_COMMON + N_PER_RUN, n))
    for run in range(n_runs):
        at = parameters_of(run)
        found = _run_bins(
            theta[at], frequency, avalanches, spectra.start[run], spectra.width, n, length
        )
        probability[run], gradient[run] = np.maximum(found[0], 0.0) + FLOOR, found[1:]
    return probability, gradient


def noise_slopes(theta, decay: float, spectra: Spectra) -> np.ndarray:
    """Derivatives (R, N_NOISE, n) of the bin probabilities by the noise, where there is none.

    Good within some per cent, for a test of whether there is any: with fewer frequencies and nodes
    than the probabilities need.

    Parameters
    ----------
    theta : (4 + 2 R,) float
        A fit without noise, in the parameters of `spe.likelihood`.
    decay : float
        Of the pulse, in windows.
    """
    n_runs, n = spectra.counts.shape
    length = transform_length(n)
    frequency = 2.0 * np.pi * rfftfreq(length, d=spectra.width)
    frequency = frequency[0.5 * frequency**2 * theta[V_PED] < SMALL_OF_SLOPES]
    noise = np.zeros(N_NOISE)
    noise[DECAY] = decay
    common = np.concatenate([theta[:N_SHARED], noise])
    n_nodes = NODES_OF_SLOPES + int(frequency[-1] * theta[PE] / RADIANS_PER_NODE / 2.0)
    flash, flash_by, _, dark_by = avalanche_exponents(common, frequency, n_nodes)
    transform = np.zeros((n_runs, N_NOISE, length // 2 + 1), complex)
    for run in range(n_runs):
        eped, mean = theta[N_SHARED + N_PER_RUN * run :][:N_PER_RUN]
        phase = 1j * frequency * (eped - spectra.start[run] - 0.5 * spectra.width)
        whole = np.exp(phase - 0.5 * frequency**2 * theta[V_PED] + mean * flash)
        transform[run, :, : len(frequency)] = whole * (mean * flash_by + dark_by)[N_SHARED:]
    return irfft(np.conj(transform), n=length, axis=2)[:, :, :n]


def avalanche_exponents(theta, frequency, n_nodes: int):
    """What `exponents` gives at the frequencies (m,): flash, flash_by, dark, dark_by."""
    m = len(frequency)
    flash, dark = np.empty((2, m), complex)
    flash_by, dark_by = np.empty((2, N_COMMON, m), complex)
    late = late_charges(float(theta[N_SHARED + DECAY]), n_nodes)
    exponents(
        theta[:N_SHARED], theta[N_SHARED:N_COMMON], late, frequency,
        flash, flash_by, dark, dark_by,
    )  # fmt: skip
    return flash, flash_by, dark, dark_by


def _run_bins(theta, frequency, avalanches, start, width, n, length) -> np.ndarray:
    """Probability of n bins of a run, and its derivatives by theta, in rows (1 + p, n).

    `theta` (p,) holds the common parameters, eped and lambda of the run.
    """
    flash, flash_by, dark, dark_by = avalanches
    m, (eped, mean) = len(frequency), theta[N_COMMON:]
    phase = 1j * frequency * (eped - start - 0.5 * width)
    bin_factor = np.sinc(0.5 * frequency * width / np.pi)
    pedestal = bin_factor * np.exp(phase - 0.5 * frequency**2 * theta[V_PED])
    whole = np.exp(mean * flash + dark)
    empty = np.exp(-mean - theta[N_SHARED + DARK])
    others = pedestal * (whole - empty)
    transform = np.zeros((1 + len(theta), length // 2 + 1), complex)
    transform[0, :m] = others
    transform[1 : 1 + N_COMMON, :m] = (mean * flash_by + dark_by) * (whole * pedestal)
    transform[1 + V_PED, :m] = -0.5 * frequency**2 * others
    transform[1 + N_SHARED + DARK, :m] += empty * pedestal
    transform[1 + N_COMMON, :m] = 1j * frequency * others
    transform[2 + N_COMMON, :m] = (flash * whole + empty) * pedestal
    # The transform has exp(+ i s q); numpy's inverse takes exp(- i s q) with the conjugate.
    found = irfft(np.conj(transform), n=length, axis=1)[:, :n]
    spread = np.sqrt(theta[V_PED])
    z = (start + width * np.arange(n + 1) - eped) / spread
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    peak = empty * np.diff(ndtr(z))
    found[0] += peak
    found[1 + V_PED] -= empty * np.diff(z * density) / (2.0 * theta[V_PED])
    found[1 + N_SHARED + DARK] -= peak
    found[1 + N_COMMON] -= empty * np.diff(density) / spread
    found[2 + N_COMMON] -= peak
    found[0, -1] = 1.0 - found[0, :-1].sum()
    found[1:, -1] = -found[1:, :-1].sum(axis=1)
    return found


def model_runs(parameters, noise, spectra: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each bin of all runs, with noise or without, and its derivatives.

    Parameters
    ----------
    parameters : (R, N_PARAMETERS) float
        Those of `model` for each run; the shared ones are the same in all.
    noise : (N_NOISE,) float or None
        None: without noise, as sums of peaks.
    spectra : Spectra
        R runs of n bins; the ends hold all that lies beyond them.

    Returns
    -------
    probability : (R, n) float
    gradient : (R, N_PARAMETERS, n) float
        At fixed noise.
    """
    n_runs, n = spectra.counts.shape
    if noise is not None:
        theta = np.concatenate([parameters[0, :N_SHARED], noise, parameters[:, N_SHARED:].ravel()])
        probability, gradient = bin_probabilities(theta, spectra)
        return probability, gradient[:, np.r_[0:N_SHARED, N_COMMON : N_COMMON + N_PER_RUN]]
    probability, gradient = np.empty((n_runs, n)), np.empty((n_runs, N_PARAMETERS, n))
    for run in range(n_runs):
        sum_of_peaks(
            parameters[run], float(spectra.start[run]), float(spectra.width),
            probability[run], gradient[run],
        )  # fmt: skip
    return probability, gradient


@cache
def transform_length(n: int) -> int:
    """Length of the Fourier transform for `n` bins."""
    return next_fast_len(int(ROOM * n) + 64, real=True)


def likelihood(theta, spectra: Spectra) -> tuple[float, np.ndarray, np.ndarray]:
    """Deviance, score (p,) and expected information (p, p) of all runs, as in `spe.likelihood`."""
    probability, gradient = bin_probabilities(theta, spectra)
    counts = spectra.counts
    flashes = counts.sum(axis=1)
    deviance = 2.0 * xlogy(counts, counts / (flashes[:, None] * probability)).sum()
    score, information = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    for run, total in enumerate(flashes):
        at = parameters_of(run)
        slope = gradient[run] / probability[run]
        score[at] += slope @ counts[run]
        information[np.ix_(at, at)] += total * (slope @ gradient[run].T)
    return float(deviance), score, information


def parameters_of(run: int) -> np.ndarray:
    """Places (N_COMMON + 2,) in theta of the parameters of one run."""
    first = N_COMMON + N_PER_RUN * run
    return np.r_[0:N_COMMON, first : first + N_PER_RUN]


def goodness_of_fit(
    theta, spectra: Spectra, group: int, moments
) -> tuple[float, float, float, int]:
    """Deviance in bins of `group` bins, its mean and variance by Poisson counts, number of bins.

    As `spe.likelihood.goodness_of_fit`.
    """
    probability, _ = bin_probabilities(theta, spectra)
    return goodness_of(probability, spectra.counts, group, moments)


def goodness_of(probability, counts, group: int, moments) -> tuple[float, float, float, int]:
    """`goodness_of_fit` of the probabilities (R, n) of bins with counts (R, n)."""
    flashes = counts.sum(axis=1, keepdims=True)
    first = np.arange(0, counts.shape[1], group)
    counts = np.add.reduceat(counts, first, axis=1)
    mu = flashes * np.add.reduceat(probability, first, axis=1)
    deviance = 2.0 * (mu - counts + xlogy(counts, counts / mu)).sum()
    place = (np.log(mu) - LOG_MU_START) / LOG_MU_STEP
    mean, variance = (
        np.interp(place, np.arange(len(moments)), moments[:, i]).sum() for i in (0, 1)
    )
    return float(deviance), float(mean), float(variance), counts.size


def peak_to_valley(theta, flashes) -> tuple[np.ndarray, np.ndarray]:
    """How the first two peaks stand over the valley: `fit.peak_to_valley` with noise."""
    pe = theta[PE]
    n_runs = len(flashes)
    width = pe / BINS_PER_PE
    n = int((BELOW_PE + ABOVE_PE) * BINS_PER_PE)
    eped = theta[N_COMMON::N_PER_RUN]
    start = eped - BELOW_PE * pe
    probability, _ = bin_probabilities(theta, Spectra(np.zeros((n_runs, n)), start, width))
    at = (BELOW_PE + np.array([1.0, 1.5, 2.0])) * BINS_PER_PE - 0.5
    centre = np.arange(n)
    density = np.array([np.interp(at, centre, run) for run in probability]) / width
    peaks, valley = 0.5 * (density[:, 0] + density[:, 2]), density[:, 1]
    counts = np.asarray(flashes) * 0.5 * pe
    return peaks / valley, counts * (peaks - valley) / np.sqrt(counts * (0.5 * peaks + valley))
