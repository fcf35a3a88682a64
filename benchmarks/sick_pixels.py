"""Kinds of sick ECLAIRs pixels: what they are expected to count in each half of an exposure.

A kind is a function of (rng, gain, offset, seconds) that returns a `Sick`; `troubles.py` plants
them in a camera. Strengths are drawn anew for each pixel, within the limits that the docstrings
give.
"""

from typing import NamedTuple

import numpy as np

from pixelcal.energy.response.energy_scale import bend_function
from pixelcal.energy.simulation import spectra as cameras
from pixelcal.energy.simulation.detector import Detector

CHANNELS = np.arange(cameras.N_CHANNELS)
DRIFT_STEPS = 40
"""A drift is made of so many steps, half of them in each half of the exposure."""


class Sick(NamedTuple):
    """A sick pixel.

    Attributes
    ----------
    early, late : (1024,) float
        Expected counts of the two halves of the exposure.
    gain, offset : float, keV/channel and keV
        Truth; where the gain changes, its mean over the exposure.
    bend_keV : float
        By how much its energies lie above the straight relation, midway between the lines.
    """

    early: np.ndarray
    late: np.ndarray
    gain: float
    offset: float
    bend_keV: float = 0.0


def steady(spectrum, gain, offset, bend_keV=0.0) -> Sick:
    """A pixel that is the same in both halves."""
    return Sick(spectrum / 2, spectrum / 2, gain, offset, bend_keV)


def bend(energy_keV, middle_keV):
    """A parabola of height `middle_keV` between the lowest and the highest line, 0 beyond."""
    return -4.0 * middle_keV * np.minimum(bend_function(energy_keV, cameras.line_table()), 0.0)


# --- kinds ----------------------------------------------------------------------------------------


def dead(rng, gain, offset, seconds):
    """No event at all."""
    return steady(np.zeros(cameras.N_CHANNELS), gain, offset)


def noisy(rng, gain, offset, seconds):
    """Electronic noise of ten times the counts, falling steeply from the threshold."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds)
    return steady(spectrum + spectrum.sum() * np.exp(-CHANNELS / 10.0), gain, offset)


def faint(rng, gain, offset, seconds):
    """2 % of the efficiency."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds, efficiency=0.02)
    return steady(spectrum, gain, offset)


def wide(rng, gain, offset, seconds):
    """3.5 keV FWHM at 60 keV."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds, resolution=3.5 / 1.6)
    return steady(spectrum, gain, offset)


def lineless(rng, gain, offset, seconds):
    """Without the tungsten lines."""
    spectrum = cameras.expected_spectrum(gain, offset, seconds, without=("W",))
    return steady(spectrum, gain, offset)


def jumping(rng, gain, offset, seconds):
    """A gain that is 2 % larger in the second half."""
    halves = [cameras.expected_spectrum(gain * f, offset, seconds / 2) for f in (0.99, 1.01)]
    return Sick(*halves, gain, offset)


def shifted(rng, gain, offset, seconds):
    """An offset that is 2 keV off, either way."""
    offset = offset + rng.choice([-2.0, 2.0])
    return steady(cameras.expected_spectrum(gain, offset, seconds), gain, offset)


def bump(rng, gain, offset, seconds):
    """A noise bump at 5 to 80 keV, 1 channel to 0.5 keV wide (sigma), 1 to 20 times copper."""
    middle = rng.uniform(5.0, 80.0)
    sigma = rng.uniform(gain, 0.5)
    counts = 20.0 ** rng.random() * cameras.LINE_RATES["Cu"] * seconds
    density = np.exp(-0.5 * ((gain * (CHANNELS + 0.5) + offset - middle) / sigma) ** 2)
    spectrum = cameras.expected_spectrum(gain, offset, seconds)
    return steady(spectrum + counts * density / density.sum(), gain, offset)


def stepping(rng, gain, offset, seconds):
    """A gain step of 1 to 8 %, up or down, at any time."""
    at, step = rng.random(), rng.choice([-1, 1]) * rng.uniform(0.01, 0.08)
    before, after = (cameras.expected_spectrum(g, offset, 1) for g in (gain, gain * (1 + step)))
    early, late = min(at, 0.5), max(at - 0.5, 0.0)
    return Sick(
        seconds * (early * before + (0.5 - early) * after),
        seconds * (late * before + (0.5 - late) * after),
        gain * (1 + step * (1 - at)),
        offset,
    )


def drifting(rng, gain, offset, seconds):
    """A gain that drifts linearly by 1 to 5 %, up or down."""
    drift = rng.choice([-1, 1]) * rng.uniform(0.01, 0.05)
    times = (np.arange(DRIFT_STEPS) + 0.5) / DRIFT_STEPS - 0.5
    parts = [cameras.expected_spectrum(gain * (1 + drift * t), offset, 1) for t in times]
    early, late = np.reshape(parts, (2, -1, cameras.N_CHANNELS)).sum(axis=1) * seconds / DRIFT_STEPS
    return Sick(early, late, gain, offset)


def two_gains(rng, gain, offset, seconds):
    """Two gains 3 to 10 % apart, half of the events each; the truth is their mean."""
    apart = rng.uniform(0.03, 0.10)
    gains = gain * (1 - apart / 2), gain * (1 + apart / 2)
    spectrum = sum(cameras.expected_spectrum(g, offset, seconds / 2) for g in gains)
    return steady(spectrum, gain, offset)


def bent(rng, gain, offset, seconds):
    """A relation bent by 0.3 to 0.5 keV, either way: a parabola between the lines, else straight.

    The energies at channels are those of the straight relation plus the bend.
    """
    bend_keV = rng.choice([-1, 1]) * rng.uniform(0.3, 0.5)
    edges = gain * np.arange(cameras.N_CHANNELS + 1) + offset
    below = cameras.fine_cumulative(Detector(), 1.0)
    at = np.interp(edges + bend(edges, bend_keV), cameras.FINE_EDGES, below)
    return steady(np.diff(at) * seconds, gain, offset, bend_keV)


def far_off(rng, gain, offset, seconds):
    """A gain that is off from the prior by 8 to 40 %, either way."""
    gain = gain * (1 + rng.choice([-1, 1]) * rng.uniform(0.08, 0.40))
    return steady(cameras.expected_spectrum(gain, offset, seconds), gain, offset)


KINDS = (
    dead, noisy, faint, wide, lineless, jumping, shifted,
    bump, stepping, drifting, two_gains, bent, far_off,
)  # fmt: skip
