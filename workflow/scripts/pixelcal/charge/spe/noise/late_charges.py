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
times and interpolated (`Followers`), and with fewer times what follows these, which has none.
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
MISSING = (0.0, 0.25, 0.75, 1.0)
"""What the cell of an early dark count lacks when the window begins, at a few points (Chebyshev and
Lobatto). Its afterpulses are known at these and interpolated."""
N_EARLY = len(MISSING) * N_AFTERPULSE + 1
"""Kinds of followers of a dark count before the window (`Followers.fall`)."""
N_TIMES, N_LATER = 9, 6
N_PLACES = N_TIMES - 1
FIRST_TIMES, FIRST_LATER = 2, 3
"""Times at which is known what follows a late avalanche, and nodes of these integrals. The whole is
the product of two small numbers, but a camera tells delayed from prompt crosstalk by as little:
with 4 times and delays of 0.15 windows, prompt crosstalk was 8 % too large beside 0.2 dark counts,
with 6 it is 3.5 %, with 9 less than 1 %, and fits with noise take 1.2 times as long as with 4.
FIRST_... are those of what follows the followers: the product of three."""


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
    first : LateCharges, FIRST_LATER nodes for each of FIRST_TIMES times
    at_later : (N_TIMES N_LATER, FIRST_TIMES) float, interpolates from these to the nodes of `late`
    partly : LateCharges, at time 0 after early dark counts whose cells lack MISSING, without its
        ends: N_LATER nodes for each after one another
    fall, fall_by_decay : (n, N_EARLY) float, what is left of the followers of a dark count before
        the window, by its time: of afterpulses as after a flash, of delayed avalanches, and of
        afterpulses at the other points of MISSING, all of each after one another; and the
        derivative
    fall_by_delay : (n,) float, that of delayed avalanches by their time constant
    area, area_by_decay : (N_EARLY,) float, integral of `fall` by the time of the dark count
    earlier, earlier_by_decay, earlier_by_delay : (n,) float, what follows an avalanche before the
        window, for each of its progeny, as a number of early dark counts; and derivatives
    earlier_of : (n, N_AFTERPULSE + 1) float, its derivatives by the number of each kind
    former : LateCharges, of what follows an early dark count before the window: N_LATER nodes for
        each of N_PLACES times, where a pulse has fallen to `places()`
    former_by_decay : (k, N_AFTERPULSE + 1) float, derivatives of its fractions of each kind
    at_place : (n, N_PLACES) float, interpolates to the nodes before the window
    """

    late: LateCharges
    at_node: np.ndarray
    first: LateCharges
    at_later: np.ndarray
    partly: LateCharges
    fall: np.ndarray
    fall_by_decay: np.ndarray
    fall_by_delay: np.ndarray
    area: np.ndarray
    area_by_decay: np.ndarray
    earlier: np.ndarray
    earlier_by_decay: np.ndarray
    earlier_by_delay: np.ndarray
    earlier_of: np.ndarray
    former: LateCharges
    former_by_decay: np.ndarray
    at_place: np.ndarray


def late_charges(noise, n: int) -> LateCharges:
    """The relative charges that late avalanches leave, at `n` nodes (Gauss and Legendre).

    `noise` (N_NOISE,), of which the times and the loss enter.
    """
    return _charges_at(noise, nodes(n), (0.0,), 1.0)


def later_charges(noise, n: int, start, lacks: float | np.ndarray = 1.0) -> LateCharges:
    """The same of what follows avalanches at the times `start` (t,): n nodes for each.

    They are after one another, and denser where it begins: afterpulses of fast traps come there.
    `lacks` (t,), what the cell lacks at the start: 1 where it has just fired.
    """
    return _charges_at(noise, dense_nodes(n), start, lacks)


def _charges_at(noise, place_and_weight, start, lacks) -> LateCharges:
    decay, delay, loss = (float(noise[i]) for i in (DECAY, DELAY, LOSS))
    n, t = len(place_and_weight[0]), len(start)
    place, weight = (np.tile(each, t) for each in place_and_weight)
    rest = np.repeat(1.0 - np.asarray(start), n)
    age, weight = rest * place, rest * weight
    left = rest - age
    whole = -np.expm1(-1.0 / decay)
    fraction = np.exp(-left / decay)
    inside = (1.0 - fraction) / whole
    slope = np.exp(-1.0 / decay) / decay**2 / whole
    inside_by_decay = inside * slope - left / decay**2 * fraction / whole
    missing = np.repeat(np.broadcast_to(lacks, t), n) * np.exp(-age / decay)
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
    late = later_charges(noise, N_LATER, later_times()[:-1])
    first = later_charges(noise, FIRST_LATER, later_times(FIRST_TIMES)[:-1])
    decay, delay = float(noise[DECAY]), float(noise[DELAY])
    place, _ = nodes(n)
    constant = np.array([*AFTERPULSE_DELAYS, delay])
    ago = -np.log(place)[:, None] / constant  # of a dark count of which `place` is left, over decay
    left = np.exp(-decay * ago)
    by_decay, by_delay = -ago * left, decay * (ago * left)[:, -1] / delay
    # The cell of an earlier dark count has recovered further: `place` is missing of what was.
    powers = np.arange(len(MISSING))
    polynomial = np.linalg.inv(np.vander(MISSING, increasing=True))  # 1 at one of MISSING, by power
    each = place[:, None] ** powers @ polynomial
    fall, fall_by_decay = (_in_order(each[:, None, :] * of[:, :, None]) for of in (left, by_decay))
    whole = 1.0 / (1.0 / constant[:, None] + powers / decay)  # integral of left place^power
    slope = whole**2 * powers / decay**2
    area, area_by_decay = (_in_order((of @ polynomial)[None])[0] for of in (whole, slope))
    area[N_AFTERPULSE], area_by_decay[N_AFTERPULSE] = delay, 0.0
    fall[:, N_AFTERPULSE], fall_by_decay[:, N_AFTERPULSE] = left[:, -1], by_decay[:, -1]
    lacks = np.array(MISSING[1:-1])
    return Followers(
        late, at_nodes(n), first, at_later(),
        later_charges(noise, N_LATER, np.zeros(len(lacks)), lacks),
        fall, fall_by_decay, by_delay, area, area_by_decay,
        *_earlier(noise, place), *_former(noise), 
        at_places(n),
    )  # fmt: skip


def _in_order(values) -> np.ndarray:
    """Of each kind and point of MISSING (n, N_AFTERPULSE + 1, k), the order of `Followers.fall`."""
    after, n = values[:, :N_AFTERPULSE], len(values)
    others = np.swapaxes(after[:, :, :-1], 1, 2).reshape(n, -1)
    return np.concatenate([after[:, :, -1], np.zeros((n, 1)), others], axis=1)


def _earlier(noise, place) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`Followers.earlier` at the nodes `place` (n,), and its derivatives.

    Afterpulses of the charge q are those at exp(-u / decay) = q / c of cells that have recovered to
    c. The integral over u leaves the probability that c is above q, (1 - q)^(decay / constant).
    """
    decay, delay = float(noise[DECAY]), float(noise[DELAY])
    fast = np.asarray(AFTERPULSE_DELAYS)
    each = np.full((len(place), N_AFTERPULSE + 1), -1.0 / np.expm1(-1.0 / delay))
    power = np.log1p(-place)[:, None] / fast
    each[:, :-1] = np.exp(decay * power) / -np.expm1(-1.0 / fast)
    weights, delayed = noise[AFTERPULSE:DELAYED], noise[DELAYED]
    by_decay = (each[:, :-1] * power) @ weights
    by_delay = delayed * each[:, -1] ** 2 * math.exp(-1.0 / delay) / delay**2
    return each @ noise[AFTERPULSE : DELAYED + 1], by_decay, by_delay, each


def _former(noise) -> tuple[LateCharges, np.ndarray]:
    """`Followers.former` and `former_by_decay`: the age is that of the dark count at the time."""
    decay, delay, loss = (float(noise[i]) for i in (DECAY, DELAY, LOSS))
    part, weight = (np.tile(each, N_PLACES) for each in nodes(N_LATER))
    end = np.repeat(places(), N_LATER)
    inside, missing, nothing = end**part, end ** (1.0 - part), np.zeros(len(part))
    begun = -decay * np.log(end)
    age = begun * (1.0 - part)
    constants = (*AFTERPULSE_DELAYS, delay)
    fractions = delay_fractions(age, begun * weight, constants)
    by_decay = fractions * (1.0 - age[:, None] / np.asarray(constants)) / decay
    delayed = fractions[:, -1].copy()
    by_delay = (age - delay + 1.0 / np.expm1(1.0 / delay)) / delay**2
    late = LateCharges(
        inside,
        (1.0 - missing) * inside,
        nothing,
        1.0 - loss * missing,
        nothing,
        nothing,
        nothing,
        -missing,
        nothing,
        nothing,
        fractions[:, :-1].copy(),
        delayed,
        delayed * by_delay,
    )
    return late, by_decay


def places() -> np.ndarray:
    """What is left (N_PLACES,) of the pulses of dark counts before the window, at a few times.

    Denser where little is left: what follows has a long past.
    """
    return later_times()[1:-1] ** 2


def later_times(n: int = N_TIMES) -> np.ndarray:
    """Times (n + 1,) from 0 to 1, denser at the ends (Chebyshev and Lobatto)."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(n + 1) / n)


@cache
def at_nodes(n: int) -> np.ndarray:
    """Interpolates (n, N_TIMES) from `later_times` to the nodes: 0 at the end of the window."""
    return _polynomials(nodes(n)[0], later_times())[:, :-1].copy()


@cache
def at_later() -> np.ndarray:
    """`Followers.at_later`, 0 at the end of the window."""
    start = later_times()[:-1, None]
    time = start + (1.0 - start) * dense_nodes(N_LATER)[0]
    return _polynomials(time.ravel(), later_times(FIRST_TIMES))[:, :-1].copy()


@cache
def at_places(n: int) -> np.ndarray:
    """Interpolates (n, N_PLACES) from `places` to the nodes, with 0 at both ends.

    By polynomials of the root of what is left of a pulse.
    """
    return _polynomials(np.sqrt(nodes(n)[0]), later_times())[:, 1:-1].copy()


def _polynomials(x, time) -> np.ndarray:
    """Values (n, k) at x (n,) of the polynomials that are 1 at one of the times (k,)."""
    apart = time[:, None] - time + np.eye(len(time))
    factors = (x[:, None, None] - time) / apart
    factors[:, np.eye(len(time), dtype=bool)] = 1.0
    return factors.prod(axis=2)


@cache
def nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n,) and weights (n,) of the integral from 0 to 1."""
    place, weight = np.polynomial.legendre.leggauss(n)
    return 0.5 * (place + 1.0), 0.5 * weight


def dense_nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, denser at 0: nodes of the root."""
    root, weight = nodes(n)
    return root**2, 2.0 * root * weight


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
    each = _mean_charges(more.first, noise, opct, np.zeros(len(more.first.inside)))
    inner = more.at_later @ each.reshape(FIRST_TIMES, FIRST_LATER).sum(axis=1)
    each = _mean_charges(more.late, noise, opct, inner)
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
