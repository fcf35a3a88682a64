"""Characteristic functions of an avalanche with all that follows it, compiled.

For a frequency s, psi(a) = exp(i s a pe - s^2 a^2 sigma_pe^2 / 2) is that of an avalanche of the
relative charge a. With its prompt crosstalk, and the crosstalk of that, it becomes B(psi), where

    B = z exp(opct (B - 1))

generates the Borel law (the total progeny of a Poisson branching process; Consul and Jain 1973 for
the law of the flash that follows). Dark counts add up to exp(D), a Poisson process in time; an
avalanche of the flash has afterpulses and delayed avalanches, so that its own function is

    phi = psi(1) exp(afterpulses + delayed),    a flash: exp(lambda (B(phi) - 1) + D)

An afterpulse has a fraction r of the crosstalk of an avalanche, since its cell has not recovered:
exp(opct r (B - 1)) with the B of an avalanche at that time.
"""

from __future__ import annotations

import math

import numpy as np

from pixelcal.charge.spe.model import OPCT, PE, V_PE
from pixelcal.charge.spe.noise.late_charges import AFTERPULSE, DARK, DECAY, DELAY, DELAYED, LOSS
from pixelcal.numerics.jit import njit

ROUNDS, SMALL_STEP = 12, 1e-13
"""Newton steps for B, until they are smaller."""
MOST_TERMS, SMALL_TERM = 90, 1e-11
"""The power series of B is faster where that many terms do: crosstalk up to 0.5."""


@njit
def borel_terms(opct):
    """Probabilities (k,) of 1, 2, ... avalanches by crosstalk from one; none where k is large."""
    terms, log_factorial = np.empty(MOST_TERMS), 0.0
    for i in range(MOST_TERMS):
        k = i + 1.0
        log_factorial += math.log(k)
        terms[i] = 1.0 if i == 0 else 0.0
        if opct > 0.0:
            terms[i] = math.exp((k - 1.0) * math.log(k * opct) - k * opct - log_factorial)
        if terms[i] < SMALL_TERM:
            return terms[: i + 1]
    return terms[:0]


@njit
def borel(z, opct, terms):
    """B(z) of |z| <= 1: generates the number of avalanches that one becomes by crosstalk."""
    if terms.shape[0] > 0:
        total = 0j
        for i in range(terms.shape[0] - 1, -1, -1):
            total = (total + terms[i]) * z
        return total
    value = z * np.exp(opct * (z - 1.0))
    for _ in range(ROUNDS):
        right = z * np.exp(opct * (value - 1.0))
        step = (right - value) / (1.0 - opct * right)
        value += step
        if abs(step.real) + abs(step.imag) < SMALL_STEP:
            break
    return value


@njit
def borel_of_parts(part, mean, variance, opct, terms, value):
    """B of avalanches of the relative charges `part` (n,), into `value` (n,).

    Parameters
    ----------
    mean : complex
        i s pe of a whole avalanche.
    variance : float
        -s^2 sigma_pe^2 / 2 of it.
    """
    n, n_terms = len(part), len(terms)
    z = np.exp(mean * part + variance * part * part)
    if n_terms == 0:
        for j in range(n):
            value[j] = borel(z[j], opct, terms)
        return
    # Term by term for all of them: a processor works at several at once, as none waits for another.
    value[:] = terms[n_terms - 1] * z
    for i in range(n_terms - 2, -1, -1):
        for j in range(n):
            value[j] = (value[j] + terms[i]) * z[j]


@njit
def exponents(theta, noise, late, frequency, flash, flash_by, dark, dark_by):
    """What a flash and the dark counts add to the logarithm of the characteristic function.

    Long because each node gives the value and all derivatives of three kinds of late charges at
    once: the exponentials, which take the time, are shared.

    Parameters
    ----------
    theta : (4,) float
        The shared parameters of `model`.
    noise : (N_NOISE,) float
    late : LateCharges
    frequency : (m,) float
        In radians per unit of charge.
    flash : (m,) complex, written
        B(phi) - 1 of an avalanche of the flash.
    flash_by : (4 + N_NOISE, m) complex, written
        Its derivatives with respect to theta and noise.
    dark : (m,) complex, written
    dark_by : (4 + N_NOISE, m) complex, written
    """
    pe, v_pe, opct = theta[PE], theta[V_PE], theta[OPCT]
    n_shared = theta.shape[0]
    rate, decay = noise[DARK], noise[DECAY]
    delayed = late.delayed * noise[DELAYED]
    delayed_by_delay = late.delayed_by_delay * noise[DELAYED]
    after = late.afterpulses @ noise[AFTERPULSE : AFTERPULSE + late.afterpulses.shape[1]]
    terms = borel_terms(opct)
    of_inside, of_before = np.empty((2, late.dwell.shape[0]), np.complex128)
    flash_by[:] = 0.0
    dark_by[:] = 0.0
    for k in range(frequency.shape[0]):
        s = frequency[k]
        mean, blur = 1j * s * pe, -0.5 * s * s
        borel_of_parts(late.inside, mean, blur * v_pe, opct, terms, of_inside)
        borel_of_parts(late.before, mean, blur * v_pe, opct, terms, of_before)
        per_dwell, exponent = 0j, 0j
        for j in range(late.dwell.shape[0]):
            # A pulse that begins in the window: a dark count, or a delayed avalanche.
            a, value = late.inside[j], of_inside[j]
            gain = 1.0 / (1.0 - opct * value)
            slope = value * gain
            fall = value - 1.0
            by_pe, by_v_pe = slope * 1j * s * a, slope * blur * a * a
            by_opct = slope * fall
            by_decay = slope * (mean + 2.0 * blur * v_pe * a) * late.inside_by_decay[j]
            inner, inner_by_opct, inner_by_decay = fall, by_opct, by_decay
            inner_by_pe, inner_by_v_pe = by_pe, by_v_pe
            weight = rate * late.dwell[j]
            per_dwell += late.dwell[j] * fall
            dark_by[PE, k] += weight * by_pe
            dark_by[V_PE, k] += weight * by_v_pe
            dark_by[OPCT, k] += weight * by_opct
            dark_by[n_shared + DECAY, k] += weight * by_decay
            weight = delayed[j]
            exponent += weight * fall
            flash_by[PE, k] += weight * by_pe
            flash_by[V_PE, k] += weight * by_v_pe
            flash_by[OPCT, k] += weight * by_opct
            flash_by[n_shared + DECAY, k] += weight * by_decay
            flash_by[n_shared + DELAYED, k] += late.delayed[j] * fall
            flash_by[n_shared + DELAY, k] += delayed_by_delay[j] * fall
            # A dark count that began before the window.
            a, value = late.before[j], of_before[j]
            slope = value / (1.0 - opct * value)
            fall = value - 1.0
            weight = rate * decay * late.dwell_before[j]
            per_dwell += decay * late.dwell_before[j] * fall
            dark_by[PE, k] += weight * slope * 1j * s * a
            dark_by[V_PE, k] += weight * slope * blur * a * a
            dark_by[OPCT, k] += weight * slope * fall
            dark_by[n_shared + DECAY, k] += rate * late.dwell_before[j] * fall
            # An afterpulse.
            a, r = late.recovered[j], late.crosstalk[j]
            value = np.exp(mean * a + blur * v_pe * a * a + opct * r * inner)
            weight = after[j]
            exponent += weight * (value - 1.0)
            weight = weight * value
            flash_by[PE, k] += weight * (1j * s * a + opct * r * inner_by_pe)
            flash_by[V_PE, k] += weight * (blur * a * a + opct * r * inner_by_v_pe)
            flash_by[OPCT, k] += weight * r * (inner + opct * inner_by_opct)
            flash_by[n_shared + DECAY, k] += weight * (
                (mean + 2.0 * blur * v_pe * a) * late.recovered_by_decay[j]
                + opct * (r * inner_by_decay + late.crosstalk_by_decay[j] * inner)
            )
            flash_by[n_shared + LOSS, k] += weight * opct * late.crosstalk_by_loss[j] * inner
            for i in range(late.afterpulses.shape[1]):
                flash_by[n_shared + AFTERPULSE + i, k] += late.afterpulses[j, i] * (value - 1.0)
        dark[k] = rate * per_dwell
        dark_by[n_shared + DARK, k] = per_dwell
        flash_by[PE, k] += 1j * s
        flash_by[V_PE, k] += blur
        value = borel(np.exp(mean + blur * v_pe + exponent), opct, terms)
        slope = value / (1.0 - opct * value)
        for i in range(flash_by.shape[0]):
            flash_by[i, k] *= slope
        flash_by[OPCT, k] += slope * (value - 1.0)
        flash[k] = value - 1.0
