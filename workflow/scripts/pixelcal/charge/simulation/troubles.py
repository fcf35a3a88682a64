"""What makes a SiPM pixel hard, or its model wrong: charges that are measured instead."""

from __future__ import annotations

import numpy as np

from pixelcal.charge.simulation.charges import offspring


def afterpulses(probability):
    """Each avalanche may have a delayed one, of which the window sees a random part."""

    def measured(rng, charge, fired, pixel):
        delayed = rng.binomial(fired, probability)
        return charge + pixel.pe * _random_parts(rng, delayed)

    return measured


def night_sky(mean):
    """Photoelectrons at random times: the window sees a part of each."""

    def measured(rng, charge, fired, pixel):
        return charge + pixel.pe * _random_parts(rng, rng.poisson(mean, len(charge)))

    return measured


def _random_parts(rng, number):
    """Sum of `number` (n,) uniform parts of one each."""
    owner = np.repeat(np.arange(len(number)), number)
    return np.bincount(owner, rng.random(len(owner)), len(number))


def late_avalanches(dark=0.0, afterpulses=0.0, delayed=0.0, decay=0.25, delay=0.3):
    """Dark counts, afterpulses and delayed crosstalk, each at its time.

    Pulses are exponential with the time constant `decay`, in units of the window, which begins with
    the flash. Every late avalanche has prompt crosstalk, afterpulses and delayed crosstalk of its
    own, an afterpulse as far as its cell has recovered.

    Parameters
    ----------
    dark : float
        Mean number of dark counts that begin in a window.
    afterpulses, delayed : float
        Mean number that follows an avalanche, within the window or after it.
    decay, delay : float
        Time constants of the pulse, and of what follows.
    """

    def measured(rng, charge, fired, pixel):
        n, before = len(charge), 10.0 * decay + 5.0 * delay * (afterpulses + delayed > 0.0)
        # Of a generation: flash, time, number with prompt crosstalk, charge of the first.
        owner = np.repeat(np.arange(n), rng.poisson(dark * (1.0 + before), n))
        time = rng.uniform(-before, 1.0, len(owner))
        number = 1 + offspring(rng, np.ones(len(owner), int), pixel.opct)
        generation = [(owner, time, number, np.ones(len(owner)))]
        total = charge + _charge(rng, *generation[0], n, decay, pixel)
        generation.append((np.arange(n), np.zeros(n), fired, np.ones(n)))
        while generation:
            owner, time, number, first = map(np.concatenate, zip(*generation, strict=True))
            # What causes others: whole avalanches, and as much of the first as has recovered.
            cause = np.maximum(number - 1 + first, 0.0)
            generation = []
            for mean, recovers in ((afterpulses, True), (delayed, False)):
                of = np.repeat(np.arange(len(owner)), rng.poisson(mean * cause))
                wait = rng.exponential(delay, len(of))
                part = -np.expm1(-wait / decay) if recovers else np.ones(len(of))
                # The crosstalk of an afterpulse is full avalanches, but fewer carriers cause it.
                caused = rng.poisson(pixel.opct * part)
                caused += offspring(rng, caused, pixel.opct)
                late = owner[of], time[of] + wait, 1 + caused, part
                kept = late[1] < 1.0
                if kept.any():
                    generation.append(tuple(each[kept] for each in late))
                    total += _charge(rng, *generation[-1], n, decay, pixel)
        return total

    return measured


def _charge(rng, owner, time, number, first, n, decay, pixel):
    """Charge (n,) in the window of avalanches with their crosstalk, the first of them a part."""
    whole = number - 1 + first
    spread = np.sqrt(number - 1 + first**2) * pixel.sigma_pe
    charge = whole * pixel.pe + spread * rng.standard_normal(len(owner))
    return np.bincount(owner, _part_in_window(time, decay) * charge, n)


def _part_in_window(time, decay):
    """Charge in the window of pulses that begin at `time` (n,), over that of one at 0."""
    inside = np.expm1(-np.maximum(1.0 - time, 0.0) / decay) / np.expm1(-1.0 / decay)
    return np.where(time < 0.0, np.exp(np.minimum(time, 0.0) / decay), inside)


def drifting_pedestal(fraction):
    """The pedestal moves by `fraction` of pe over the run."""
    return lambda rng, charge, fired, pixel: (
        charge + fraction * pixel.pe * np.linspace(-0.5, 0.5, len(charge))
    )


def jumping_pedestal(fraction):
    """The pedestal jumps by `fraction` of pe in the middle of the run."""
    return lambda rng, charge, fired, pixel: (
        charge + fraction * pixel.pe * (np.arange(len(charge)) > len(charge) / 2)
    )


def drifting_gain(fraction):
    """The gain moves by `fraction` over the run; its mean stays."""
    return lambda rng, charge, fired, pixel: (
        pixel.eped + (charge - pixel.eped) * (1.0 + fraction * np.linspace(-0.5, 0.5, len(charge)))
    )


def saturated(highest):
    """Charges above `highest` photoelectrons read as that."""
    return lambda rng, charge, fired, pixel: np.minimum(charge, pixel.eped + highest * pixel.pe)


def compressed(fraction):
    """Charges grow less than in proportion, by `fraction` for each photoelectron."""

    def measured(rng, charge, fired, pixel):
        above = (charge - pixel.eped) / pixel.pe
        return pixel.eped + pixel.pe * above / (1.0 + fraction * np.maximum(above, 0.0))

    return measured


def stray_events(fraction):
    """Some flashes have a charge anywhere in the range of 40 photoelectrons."""

    def measured(rng, charge, fired, pixel):
        stray = rng.random(len(charge)) < fraction
        anywhere = pixel.eped + pixel.pe * rng.uniform(-2.0, 40.0, len(charge))
        return np.where(stray, anywhere, charge)

    return measured


def missed_window(fraction):
    """In some flashes the window holds a random part of the pulse only."""

    def measured(rng, charge, fired, pixel):
        part = np.where(rng.random(len(charge)) < fraction, rng.random(len(charge)), 1.0)
        return pixel.eped + (charge - pixel.eped) * part

    return measured


TROUBLES = {
    "crosstalk 0.5": dict(opct=0.5),
    "crosstalk 0.7": dict(opct=0.7),
    "half gain": dict(pe=15.0, sigma_pe=1.5),
    "quarter gain": dict(pe=7.5, sigma_pe=0.75),
    "noise x 2": dict(sigma_ped=12.0),
    "noise x 3": dict(sigma_ped=18.0),
    "sigma_pe 0.3 pe": dict(sigma_pe=9.0),
    "sigma_pe 0.5 pe": dict(sigma_pe=15.0),
    "dark": dict(light=(0.001, 0.002, 0.004)),
    "dim": dict(light=(0.02, 0.04, 0.08)),
    "bright": dict(light=(5.0, 10.0, 20.0)),
    "very bright": dict(light=(15.0, 30.0, 60.0)),
    "few flashes": dict(flashes=600),
    "afterpulses 0.05": dict(trouble=afterpulses(0.05)),
    "afterpulses 0.3": dict(trouble=afterpulses(0.3)),
    "dark counts 0.2": dict(trouble=late_avalanches(dark=0.2)),
    "afterpulses 0.1, in time": dict(trouble=late_avalanches(afterpulses=0.1)),
    "delayed crosstalk 0.1": dict(trouble=late_avalanches(delayed=0.1)),
    "all three": dict(trouble=late_avalanches(dark=0.2, afterpulses=0.1, delayed=0.05)),
    "night sky 0.2": dict(trouble=night_sky(0.2)),
    "night sky 1": dict(trouble=night_sky(1.0)),
    "night sky 5": dict(trouble=night_sky(5.0)),
    "pedestal drifts 0.5 pe": dict(trouble=drifting_pedestal(0.5)),
    "pedestal drifts 1 pe": dict(trouble=drifting_pedestal(1.0)),
    "pedestal jumps 0.5 pe": dict(trouble=jumping_pedestal(0.5)),
    "pedestal jumps 1 pe": dict(trouble=jumping_pedestal(1.0)),
    "gain drifts 0.1": dict(trouble=drifting_gain(0.1)),
    "gain drifts 0.4": dict(trouble=drifting_gain(0.4)),
    "saturates at 3 pe": dict(trouble=saturated(3.0)),
    "saturates at 1.2 pe": dict(trouble=saturated(1.2)),
    "compressed": dict(trouble=compressed(0.03)),
    "stray events": dict(trouble=stray_events(0.01)),
    "window misses": dict(trouble=missed_window(0.3)),
}
"""Changes of `Sipm` that make a pixel hard or its model wrong."""
