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

Late avalanches and dark counts are followed by others in the same way, an afterpulse by as much
less as it has less crosstalk. What follows in the exponent an avalanche at t is computed at a few
times and interpolated (`Followers`); what follows these has none.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.noise.progeny import chances

AFTERPULSE_DELAYS = (0.1, 0.5)
"""Time constants of afterpulses: of fast and slow traps, against windows of different length."""
N_AFTERPULSE = len(AFTERPULSE_DELAYS)

DARK, DECAY = 0, 1
AFTERPULSE = 2
DELAYED = AFTERPULSE + N_AFTERPULSE
DELAY, LOSS, SPENT = DELAYED + 1, DELAYED + 2, DELAYED + 3
N_NOISE = SPENT + 1
"""Parameters of the noise, in this order: mean number of dark counts that begin in a window; decay
of the pulse; mean number of afterpulses that an avalanche has within the window, one for each time
constant; mean number of delayed avalanches, and their time constant; what the crosstalk of an
afterpulse lacks, of what its charge does; one over the number of neighbours that a cell can fire
(`progeny`), which is no noise but is known as the others are: from the whole camera."""

N_NODES = 64
"""Of integrals of the relative charge itself."""
N_EARLY = 2 * N_AFTERPULSE + 1
"""Kinds of followers of a dark count before the window (`Followers.fall`)."""
N_TIMES, N_LATER = 4, 6
"""Times at which is known what follows a late avalanche, and nodes of these integrals. The whole is
the product of two small numbers: what is left of an error is 0.1 of a unit of deviance for 0.2 dark
counts, 0.1 afterpulses and 3 x 31 667 flashes."""


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


class Followers(NamedTuple):
    """What is needed for what follows late avalanches, at N_TIMES times from 0 on.

    late : LateCharges, N_LATER nodes for each time after one another
    at_node : (n, N_TIMES) float, interpolates to the nodes of the flash; 0 at the end of the window
    fall, fall_by_decay : (n, N_EARLY) float, what is left of the followers of a dark count before
        the window, by its time: of afterpulses as after a flash, of delayed avalanches, and of
        afterpulses of cells that have recovered; and the derivative
    fall_by_delay : (n,) float, that of delayed avalanches by their time constant
    area, area_by_decay : (N_EARLY,) float, integral of `fall` by the time of the dark count
    earlier : (1,) float, what follows an avalanche before the window, for each of its progeny, as a
        number of whole pulses; `earlier_by` (N_NOISE,), its derivatives
    """

    late: LateCharges
    at_node: np.ndarray
    fall: np.ndarray
    fall_by_decay: np.ndarray
    fall_by_delay: np.ndarray
    area: np.ndarray
    area_by_decay: np.ndarray
    earlier: np.ndarray
    earlier_by: np.ndarray


def late_charges(noise, n: int, start=(0.0,)) -> LateCharges:
    """The relative charges that late avalanches leave, at `n` nodes (Gauss and Legendre).

    `noise` (N_NOISE,), of which the times and the loss enter; `start` (t,), when the avalanche
    fired that afterpulses and delayed crosstalk follow: n nodes for each, after one another.
    """
    decay, delay, loss = (float(noise[i]) for i in (DECAY, DELAY, LOSS))
    place, weight = (np.tile(each, len(start)) for each in nodes(n))
    rest = np.repeat(1.0 - np.asarray(start), n)
    age, weight = rest * place, rest * weight
    left = rest - age
    whole = -np.expm1(-1.0 / decay)
    fraction = np.exp(-left / decay)
    inside = (1.0 - fraction) / whole
    slope = np.exp(-1.0 / decay) / decay**2 / whole
    inside_by_decay = inside * slope - left / decay**2 * fraction / whole
    missing = np.exp(-age / decay)
    recovered = (1.0 - missing) * inside
    recovered_by_decay = (1.0 - missing) * inside_by_decay - missing * age / decay**2 * inside
    delayed = delay_fractions(age, weight, (delay,))[:, 0]
    by_delay = (age - delay + 1.0 / np.expm1(1.0 / delay)) / delay**2
    return LateCharges(
        inside,
        recovered,
        place,
        1.0 - loss * missing,
        inside_by_decay,
        recovered_by_decay,
        -loss * missing * age / decay**2,
        -missing,
        weight,
        weight / place,
        delay_fractions(age, weight, AFTERPULSE_DELAYS),
        delayed,
        delayed * by_delay,
    )


def followers(noise, n: int) -> Followers:
    """What is needed for what follows late avalanches, with `n` nodes of the flash."""
    late = late_charges(noise, N_LATER, later_times()[:-1])
    decay, delay = float(noise[DECAY]), float(noise[DELAY])
    place, _ = nodes(n)
    constant = np.array([*AFTERPULSE_DELAYS, delay])
    ago = -np.log(place)[:, None] / constant  # of a dark count of which `place` is left, over decay
    fall, after = np.exp(-decay * ago), slice(0, N_AFTERPULSE)
    by_decay, by_delay = -ago * fall, decay * (ago * fall)[:, -1] / delay
    # The cell of an earlier dark count has recovered further: `place` is missing of what was.
    part = np.ones((n, N_AFTERPULSE + 1))
    part[:, after] = place[:, None]
    early, early_by_decay = (
        np.concatenate([part * each, (1.0 - part[:, after]) * each[:, after]], axis=1)
        for each in (fall, by_decay)
    )
    short = 1.0 / (1.0 / constant[after] + 1.0 / decay)
    area = np.concatenate([short, [delay], constant[after] - short])
    area_by_decay = np.concatenate([(short / decay) ** 2, [0.0], -((short / decay) ** 2)])
    return Followers(
        late, interpolation(n), early, early_by_decay, by_delay, area, area_by_decay,
        *_earlier(noise),
    )  # fmt: skip


def _earlier(noise) -> tuple[np.ndarray, np.ndarray]:
    """`Followers.earlier` and its derivatives: afterpulses count as their cell has recovered."""
    decay, delay = float(noise[DECAY]), float(noise[DELAY])
    fast = np.asarray(AFTERPULSE_DELAYS)
    each = np.zeros(N_NOISE)
    each[AFTERPULSE:DELAYED] = fast / (fast + decay) / -np.expm1(-1.0 / fast)
    each[DELAYED] = -1.0 / np.expm1(-1.0 / delay)
    by = each.copy()
    by[DECAY] = -noise[AFTERPULSE:DELAYED] @ (each[AFTERPULSE:DELAYED] / (fast + decay))
    by[DELAY] = noise[DELAYED] * each[DELAYED] ** 2 * math.exp(-1.0 / delay) / delay**2
    return np.array([each @ noise]), by


def later_times() -> np.ndarray:
    """Times (N_TIMES + 1,) from 0 to 1, denser at the ends (Chebyshev and Lobatto)."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(N_TIMES + 1) / N_TIMES)


@cache
def interpolation(n: int) -> np.ndarray:
    """Values (n, N_TIMES) of the polynomials that are 1 at one time and 0 at the others."""
    time, (place, _) = later_times(), nodes(n)
    apart = time[:, None] - time + np.eye(len(time))
    factors = (place[:, None, None] - time) / apart
    factors[:, np.eye(len(time), dtype=bool)] = 1.0
    return np.ascontiguousarray(factors.prod(axis=2)[:, :-1])


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
    """Mean charge of what follows an avalanche (the late ones with crosstalk), over its own."""
    more = followers(noise, N_NODES)
    each = _mean_charges(more.late, noise, opct, np.zeros(len(more.late.inside)))
    inner = more.at_node @ each.reshape(N_TIMES, N_LATER).sum(axis=1)
    return float(_mean_charges(late_charges(noise, N_NODES), noise, opct, inner).sum())


def _mean_charges(late: LateCharges, noise, opct: float, inner) -> np.ndarray:
    """Mean charges (n,) of what begins at each node; each is followed by `inner` (n,)."""
    p, several = chances(opct, noise[SPENT])
    whole = (late.inside + inner) / (1.0 - several)  # an avalanche by crosstalk with its progeny
    after = late.recovered + late.crosstalk * (opct * whole + inner)
    return late.afterpulses @ noise[AFTERPULSE:DELAYED] * after + (
        late.delayed * noise[DELAYED] * (1.0 + p) * whole
    )
