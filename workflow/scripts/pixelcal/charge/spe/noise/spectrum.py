"""Single-photoelectron spectra with dark counts, afterpulses and delayed crosstalk, bin by bin.

The characteristic function of the charge is known in closed form (`exponents`), so the probability
of every bin is one Fourier transform of it times that of the bin. The pedestal peak is narrower
than the others and would need the highest frequencies: it is added as a normal integral instead.

Parameters of a pixel with R runs, 4 + N_NOISE + 2 R: those that `model` shares, the noise, then
eped and lambda of each run.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq
from scipy.special import xlogy

from pixelcal.charge.spe.likelihood import Spectra
from pixelcal.charge.spe.model import bin_probabilities as sum_of_peaks
from pixelcal.charge.spe.noise.exponents import exponents, room_for
from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE,
    DARK,
    DELAYED,
    N_NOISE,
    Followers,
    followers,
    late_charges,
)
from pixelcal.charge.spe.noise.priors import no_noise
from pixelcal.charge.spe.parameters import N_PARAMETERS, N_PER_RUN, N_SHARED, PE, V_PED
from pixelcal.numerics.goodness_of_fit import LOG_MU_START, LOG_MU_STEP
from pixelcal.numerics.jit import njit
from pixelcal.numerics.normal import normal_above

N_COMMON = N_SHARED + N_NOISE

SMALL = 18.0
"""Frequencies are followed until the pedestal has damped them by exp(-18)."""
NODES, RADIANS_PER_NODE = 24, 3.0
"""Of the integrals over time: so many, and one more for each 3 radians that the phase of an
avalanche turns at the highest frequency. One set for all frequencies, so that what is left of an
error is smooth: 1e-7 of a unit of deviance."""
SMALL_OF_SLOPES, NODES_OF_SLOPES = 6.0, 8
"""The same for the derivatives that only tell whether there is noise."""
LARGEST_DARK = 1.0
"""Of the real part of what dark counts add to the logarithm of the characteristic function."""
ROOM = 1.3
"""Length of the transform, in spectra: what lies beyond the last bin must not come round again."""
BINS_PER_PE, BELOW_PE, ABOVE_PE = 40, 3, 12
"""Of the spectrum in which peaks are held against the valley, and its reach around the pedestal."""
NO_NOISE_FITTED = np.zeros(N_NOISE, bool)
"""For `bin_probabilities` where no derivative by the noise is needed."""
FLOOR = 1e-10
"""Added to the probability of each bin: above the rounding of the transform."""


def bin_probabilities(theta, spectra: Spectra, fitted=None) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each bin of all runs, and its derivatives.

    Parameters
    ----------
    theta : (N_COMMON + 2 R,) float
    spectra : Spectra
        R runs of n bins; the ends hold all that lies beyond them.
    fitted : (N_NOISE,) bool, optional
        Noise whose derivatives are needed; others may be 0. Without it all are.

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
    avalanches = avalanche_exponents(theta, frequency, fitted=fitted)
    transform = np.zeros((n_runs, 1 + N_COMMON + N_PER_RUN, length // 2 + 1), complex)
    for run in range(n_runs):
        _transform_run(
            theta[parameters_of(run)], frequency, *avalanches, spectra.start[run], spectra.width,
            transform[run],
        )  # fmt: skip
    found = irfft(transform, n=length, axis=2)
    for run in range(n_runs):
        _add_pedestal_peak(
            theta[parameters_of(run)], spectra.start[run], spectra.width, n, found[run]
        )
    return np.maximum(found[:, 0, :n], 0.0) + FLOOR, found[:, 1:, :n]


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
    common = np.concatenate([theta[:N_SHARED], no_noise(decay)])
    flash, flash_by, _, dark_by = avalanche_exponents(
        common, frequency, NODES_OF_SLOPES, 2.0 * RADIANS_PER_NODE
    )
    transform = np.zeros((n_runs, N_NOISE, length // 2 + 1), complex)
    for run in range(n_runs):
        eped, mean = theta[N_SHARED + N_PER_RUN * run :][:N_PER_RUN]
        phase = 1j * frequency * (eped - spectra.start[run] - 0.5 * spectra.width)
        whole = np.exp(phase - 0.5 * frequency**2 * theta[V_PED] + mean * flash)
        transform[run, :, : len(frequency)] = whole * (mean * flash_by + dark_by)[N_SHARED:]
    return irfft(np.conj(transform), n=length, axis=2)[:, :, :n]


def avalanche_exponents(
    theta, frequency, least: int = NODES, radians_per_node: float = RADIANS_PER_NODE, fitted=None
):
    """What `exponents` gives at the frequencies (m,): flash, flash_by, dark, dark_by.

    `least` nodes of the integrals over time, and one more for each `radians_per_node`. `fitted` is
    that of `bin_probabilities`.
    """
    m = len(frequency)
    flash, dark = np.empty((2, m), complex)
    flash_by, dark_by = np.empty((2, N_COMMON, m), complex)
    noise, n = theta[N_SHARED:N_COMMON], least + int(frequency[-1] * theta[PE] / radians_per_node)
    # Where there is some noise its derivatives are needed for those by the others.
    wanted = noise != 0.0 if fitted is None else fitted | (noise != 0.0)
    followed = fitted is None or wanted[AFTERPULSE : DELAYED + 1].any()
    with_dark = fitted is None or wanted[DARK]
    none = not (noise[DARK] > 0.0 or noise[AFTERPULSE : DELAYED + 1].any())
    more = unused_followers(n) if none else followers(noise, n)
    exponents(
        theta[:N_SHARED], noise, late_charges(noise, n), more, frequency,
        room_for(n, len(more.late.dwell), m), bool(followed), bool(with_dark),
        flash, flash_by, dark, dark_by,
    )  # fmt: skip
    # It cannot be above 0: but the long past of the dark counts is an approximation, which fails
    # where an avalanche has more followers than one. There it must not overflow.
    return flash, flash_by, np.minimum(dark.real, LARGEST_DARK) + 1j * dark.imag, dark_by


@cache
def unused_followers(n: int) -> Followers:
    """Some, for `n` nodes, where there is nothing that they could follow."""
    return followers(no_noise(), n)


@njit
def _transform_run(theta, frequency, flash, flash_by, dark, dark_by, start, width, transform):
    """What gives the bins of a run and their derivatives, without the pedestal peak.

    Parameters
    ----------
    theta : (N_COMMON + 2,) float
        The common parameters, eped and lambda of the run.
    frequency : (m,) float
    flash, flash_by, dark, dark_by
        As `exponents` gives them.
    start, width : float
        Lower edge of the first bin, and the width of all.
    transform : (1 + N_COMMON + 2, length // 2 + 1) complex, its first m columns written
        Conjugate, as the transform has exp(+ i s q) and numpy's inverse takes exp(- i s q).
    """
    eped, mean = theta[N_COMMON], theta[N_COMMON + 1]
    empty = math.exp(-mean - theta[N_SHARED + DARK])
    for k in range(frequency.shape[0]):
        s = frequency[k]
        half = 0.5 * s * width
        pedestal = np.exp(1j * s * (eped - start - 0.5 * width) - 0.5 * s * s * theta[V_PED])
        if half > 0.0:
            pedestal *= math.sin(half) / half
        whole = np.exp(mean * flash[k] + dark[k])
        others, all_charges = pedestal * (whole - empty), pedestal * whole
        transform[0, k] = others.conjugate()
        for i in range(N_COMMON):
            by = (mean * flash_by[i, k] + dark_by[i, k]) * all_charges
            if i == V_PED:
                by = -0.5 * s * s * others
            if i == N_SHARED + DARK:
                by += empty * pedestal
            transform[1 + i, k] = by.conjugate()
        transform[1 + N_COMMON, k] = (1j * s * others).conjugate()
        transform[2 + N_COMMON, k] = ((flash[k] * whole + empty) * pedestal).conjugate()


@njit
def _add_pedestal_peak(theta, start, width, n, found):
    """Add the flashes without an avalanche to n bins of a run; the last has all that is left.

    `found` (1 + N_COMMON + 2, n or more) holds the probabilities, and their derivatives by theta,
    of all other flashes.
    """
    eped, spread = theta[N_COMMON], math.sqrt(theta[V_PED])
    empty = math.exp(-theta[N_COMMON + 1] - theta[N_SHARED + DARK])
    z = (start - eped) / spread
    above, density = normal_above(abs(z))
    for j in range(n):
        z_before, above_before, density_before = z, above, density
        z = (start + (j + 1) * width - eped) / spread
        above, density = normal_above(abs(z))
        if z < 0.0:
            peak = empty * (above - above_before)
        elif z_before >= 0.0:
            peak = empty * (above_before - above)
        else:
            peak = empty * (1.0 - above - above_before)
        by_variance = (z_before * density_before - z * density) / (2.0 * theta[V_PED])
        found[0, j] += peak
        found[1 + V_PED, j] += empty * by_variance
        found[1 + N_SHARED + DARK, j] -= peak
        found[1 + N_COMMON, j] += empty * (density_before - density) / spread
        found[2 + N_COMMON, j] -= peak
    for i in range(found.shape[0]):
        total = 0.0
        for j in range(n - 1):
            total += found[i, j]
        found[i, n - 1] = (1.0 if i == 0 else 0.0) - total


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
        probability, gradient = bin_probabilities(theta, spectra, NO_NOISE_FITTED)
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


def likelihood(theta, spectra: Spectra, fitted=None) -> tuple[float, np.ndarray, np.ndarray]:
    """Deviance, score (p,) and expected information (p, p) of all runs, as in `spe.likelihood`.

    `fitted` is that of `bin_probabilities`.
    """
    return likelihood_of(*bin_probabilities(theta, spectra, fitted), spectra)


def likelihood_of(probability, gradient, spectra: Spectra) -> tuple[float, np.ndarray, np.ndarray]:
    """`likelihood` of the bins, with what `bin_probabilities` gives."""
    counts = spectra.counts
    flashes = counts.sum(axis=1)
    deviance = 2.0 * xlogy(counts, counts / (flashes[:, None] * probability)).sum()
    n_theta = N_COMMON + N_PER_RUN * len(counts)
    score, information = np.zeros(n_theta), np.zeros((n_theta, n_theta))
    for run, total in enumerate(flashes):
        at = parameters_of(run)
        slope = gradient[run] / probability[run]
        score[at] += slope @ counts[run]
        information[at[:, None], at] += total * (slope @ gradient[run].T)
    return float(deviance), score, information


@cache
def parameters_of(run: int) -> np.ndarray:
    """Places (N_COMMON + 2,) in theta of the parameters of one run; not to be changed."""
    first = N_COMMON + N_PER_RUN * run
    return np.r_[0:N_COMMON, first : first + N_PER_RUN]


def goodness_of_fit(
    theta, spectra: Spectra, group: int, moments
) -> tuple[float, float, float, int]:
    """Deviance in bins of `group` bins, its mean and variance by Poisson counts, number of bins.

    As `spe.likelihood.goodness_of_fit`.
    """
    probability, _ = bin_probabilities(theta, spectra, NO_NOISE_FITTED)
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
    bins = Spectra(np.zeros((n_runs, n)), start, width)
    probability, _ = bin_probabilities(theta, bins, NO_NOISE_FITTED)
    at = (BELOW_PE + np.array([1.0, 1.5, 2.0])) * BINS_PER_PE - 0.5
    centre = np.arange(n)
    density = np.array([np.interp(at, centre, run) for run in probability]) / width
    peaks, valley = 0.5 * (density[:, 0] + density[:, 2]), density[:, 1]
    counts = np.asarray(flashes) * 0.5 * pe
    return peaks / valley, counts * (peaks - valley) / np.sqrt(counts * (0.5 * peaks + valley))
