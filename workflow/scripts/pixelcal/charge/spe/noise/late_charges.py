"""What avalanches outside the flash leave in the window.

Times are in units of the window, which ends at 1; the flash is at 0. A pulse that decays with the
time constant `decay` and begins at t leaves, relative to a pulse of the flash,

    A(t) = (1 - exp(-(1 - t) / decay)) / (1 - exp(-1 / decay)),    0 < t < 1
    A(t) = exp(t / decay),                                            t < 0

(charges of an exponential pulse in a gate; for SiPM charge spectra Rolph et al. 2023). Dark counts
come at any time. Afterpulses follow an avalanche of the flash by a delay whose density is a sum of
exponentials of fixed time constants, each with its weight: however the delays are distributed,
some sum is near, and the likelihood is smooth in all that is fitted. The cell of an afterpulse has
recovered by 1 - exp(-delay / decay): it recharges as its pulse decays. Its charge is that fraction,
and so may be its crosstalk, which grows with the carriers: 1 - loss exp(-delay / decay) of that of
an avalanche, where the loss is between 0 (all of it) and 1 (as its charge).

Delayed crosstalk has one exponential, whose time constant is fitted: with a wrong one, half of the
delayed crosstalk would pass for prompt.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

AFTERPULSE_DELAYS = (0.1, 0.5)
"""Time constants of afterpulses: of fast and slow traps, against windows of different length."""
N_AFTERPULSE = len(AFTERPULSE_DELAYS)

DARK, DECAY = 0, 1
AFTERPULSE = 2
DELAYED = AFTERPULSE + N_AFTERPULSE
DELAY, LOSS = DELAYED + 1, DELAYED + 2
N_NOISE = LOSS + 1
"""Parameters of the noise, in this order: mean number of dark counts that begin in a window; decay
of the pulse; mean number of afterpulses that an avalanche has within the window, one for each time
constant; mean number of delayed avalanches, and their time constant; what the crosstalk of an
afterpulse lacks, of what its charge does."""

N_NODES = 64
"""Of integrals of the relative charge itself."""


class LateCharges(NamedTuple):
    """Nodes of the integrals over the time at which a pulse begins, n of them.

    inside, recovered, before : (n,) float, relative charge of a pulse that begins in the window, of
        an afterpulse, and of a pulse that began before the window
    crosstalk : (n,) float, crosstalk of an afterpulse, over that of an avalanche
    inside_by_decay, recovered_by_decay, crosstalk_by_decay, crosstalk_by_loss : (n,) float,
        derivatives
    dwell : (n,) float, time in the window that a node stands for
    dwell_before : (n,) float, time before it, in units of `decay`
    afterpulses : (n, N_AFTERPULSE) float, fraction of the afterpulses of each time constant
    delayed, delayed_by_delay : (n,) float, fraction of the delayed avalanches, and its derivative
    """

    inside: np.ndarray
    recovered: np.ndarray
    before: np.ndarray
    crosstalk: np.ndarray
    inside_by_decay: np.ndarray
    recovered_by_decay: np.ndarray
    crosstalk_by_decay: np.ndarray
    crosstalk_by_loss: np.ndarray
    dwell: np.ndarray
    dwell_before: np.ndarray
    afterpulses: np.ndarray
    delayed: np.ndarray
    delayed_by_delay: np.ndarray


def late_charges(noise, n: int) -> LateCharges:
    """The relative charges that late avalanches leave, at `n` nodes (Gauss and Legendre).

    `noise` (N_NOISE,), of which the times and the loss enter.
    """
    decay, delay, loss = (float(noise[i]) for i in (DECAY, DELAY, LOSS))
    time, weight = nodes(n)
    whole = -np.expm1(-1.0 / decay)
    fraction = np.exp(-(1.0 - time) / decay)
    inside = (1.0 - fraction) / whole
    slope = np.exp(-1.0 / decay) / decay**2 / whole
    inside_by_decay = inside * slope - (1.0 - time) / decay**2 * fraction / whole
    missing = np.exp(-time / decay)
    recovered = (1.0 - missing) * inside
    recovered_by_decay = (1.0 - missing) * inside_by_decay - missing * time / decay**2 * inside
    delayed = delay_fractions(time, weight, (delay,))[:, 0]
    by_delay = (time - delay + 1.0 / np.expm1(1.0 / delay)) / delay**2
    return LateCharges(
        inside,
        recovered,
        time,
        1.0 - loss * missing,
        inside_by_decay,
        recovered_by_decay,
        -loss * missing * time / decay**2,
        -missing,
        weight,
        weight / time,
        delay_fractions(time, weight, AFTERPULSE_DELAYS),
        delayed,
        delayed * by_delay,
    )


@cache
def nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n,) and weights (n,) of the integral from 0 to 1."""
    place, weight = np.polynomial.legendre.leggauss(n)
    return 0.5 * (place + 1.0), 0.5 * weight


def delay_fractions(time, weight, constants) -> np.ndarray:
    """Fractions (n, m) of the delays within the window, for exponentials of m time constants."""
    constant = np.asarray(constants)
    density = np.exp(-time[:, None] / constant) / constant / -np.expm1(-1.0 / constant)
    return weight[:, None] * density


def mean_delay(weights, constants) -> np.ndarray:
    """Mean delay (...) of those within the window, in windows; NaN where there are none.

    Parameters
    ----------
    weights : (..., m) float
        Mean numbers of avalanches with each of the `constants` (m,).
    """
    constant = np.asarray(constants)
    mean = constant - 1.0 / np.expm1(1.0 / constant)
    total = np.sum(weights, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, np.sum(weights * mean, axis=-1) / total, np.nan)


def late_charge(noise, opct: float) -> float:
    """Mean charge of the afterpulses and delayed crosstalk of an avalanche, over its own."""
    late = late_charges(noise, N_NODES)
    after = late.afterpulses @ noise[AFTERPULSE:DELAYED]
    delayed = late.delayed * noise[DELAYED]
    whole = late.inside / (1.0 - opct)
    return float(after @ (late.recovered + opct * late.crosstalk * whole) + delayed @ whole)
