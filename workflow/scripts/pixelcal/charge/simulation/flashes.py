"""Flashes seen by the simulated SSTCAM, event by event: photoelectrons, avalanches, waveforms.

Light sets a Poisson number of photoelectrons free; each starts an avalanche, and each avalanche
Poisson(opct) others at once (a branching process, so the total is a generalised Poisson number). An
avalanche brings a normal charge, as a pulse on the waveform; white noise, 12-bit digitisation. The
law that is fitted to the charges is not used here.

Every pixel draws from its random streams in the order of the events: the waveforms do not depend on
the other pixels, nor on how the events are cut into blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from pixelcal.charge.runs.waveforms import FLAGS, Block
from pixelcal.numerics.jit import njit
from pixelcal.numerics.random import pixel_stream

HIGHEST_ADC = 4095
ADC_DTYPE = np.uint16
REFERENCE_WINDOW, REFERENCE_SHIFT = 16, 6
"""Samples, and those before the peak, in which a photoelectron has the charge GAIN."""

RISE_FRACTION = 0.4
"""Fraction of the FWHM of the pulse that lies before its peak."""

MODULE_PIXELS = 64
N_MODULES = 32
FIRST_EVENT_ID = 1


@dataclass(frozen=True)
class Pulse:
    """The pulse of an avalanche: two half Gaussians of different widths that meet at the peak.

    `height` is such that with the peak on a sample the reference window sums to 1.
    """

    rise_sigma: float
    fall_sigma: float
    height: float

    def at(self, time: np.ndarray) -> np.ndarray:
        """The pulse at times (samples) after its peak."""
        sigma = np.where(np.asarray(time) < 0, self.rise_sigma, self.fall_sigma)
        return self.height * np.exp(-0.5 * (time / sigma) ** 2)


def make_pulse(fwhm: float) -> Pulse:
    """The pulse with a FWHM in samples, which are 1 ns."""
    half_width = math.sqrt(2 * math.log(2))
    rise, fall = RISE_FRACTION * fwhm / half_width, (1 - RISE_FRACTION) * fwhm / half_width
    shape = Pulse(rise, fall, 1.0)
    samples = np.arange(REFERENCE_WINDOW) - REFERENCE_SHIFT
    return Pulse(rise, fall, 1.0 / shape.at(samples).sum())


# --- pixels ---------------------------------------------------------------------------------------


def make_pixels(pixel, settings: dict) -> Table:
    """Properties of the simulated pixels.

    Parameters
    ----------
    pixel : (n,) int
    settings : dict
        `sstcam.simulation` of the configuration.

    Returns
    -------
    Table, a row per pixel
        PIXEL; EFFICIENCY, factor on the light, 0 for a dead pixel; GAIN, charge of a photoelectron
        in the reference window (adu); SIGMA_PE, its relative width; OPCT; NOISE, of a sample (adu);
        BASELINE (adu); TIME, of the peak (samples).
    """
    spread = settings["spread"]
    drawn = np.empty((len(pixel), 6))
    dead = np.empty(len(pixel), bool)
    for i, number in enumerate(pixel):
        stream = pixel_stream(settings["seed"], "SSTCAM pixel", int(number))
        drawn[i] = stream.standard_normal(6)
        dead[i] = stream.random() < settings["dead_fraction"]
    noise = np.sqrt(max(settings["sigma_ped_adu"] ** 2 / REFERENCE_WINDOW - 1.0 / 12.0, 0.0))
    return Table(
        {
            "PIXEL": np.asarray(pixel, np.int32),
            "EFFICIENCY": np.where(dead, 0.0, np.exp(spread["efficiency"] * drawn[:, 0])),
            "GAIN": settings["pe_adu"] * np.exp(spread["gain"] * drawn[:, 1]),
            "SIGMA_PE": np.full(len(pixel), settings["sigma_pe_adu"] / settings["pe_adu"]),
            "OPCT": np.minimum(settings["opct"] * np.exp(spread["opct"] * drawn[:, 2]), 0.9),
            "NOISE": noise * np.exp(spread["noise"] * drawn[:, 3]),
            "BASELINE": settings["baseline_adu"] + spread["baseline_adu"] * drawn[:, 4],
            "TIME": settings["peak_sample"] + spread["time_ns"] * drawn[:, 5],
        }
    )


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Light:
    """What shines on a pixel, and what it does beside.

    Attributes
    ----------
    pe : float
        Mean number of photoelectrons of a flash in a pixel of efficiency 1.
    nsb : float
        Photoelectrons a sample from the night-sky background.
    afterpulse_probability : float
        Mean number of afterpulses of an avalanche.
    afterpulse_time : float
        Their mean delay (samples).
    """

    pe: float
    nsb: float = 0.0
    afterpulse_probability: float = 0.0
    afterpulse_time: float = 1.0


def flash_blocks(
    pixels: Table,
    light: Light,
    settings: dict,
    run: str,
    n_events: int,
    block_events: int,
) -> Iterator[Block]:
    """The events of a run, block by block.

    Parameters
    ----------
    pixels : Table
        Of `make_pixels`.
    light : Light
    settings : dict
        `sstcam.simulation`: seed, samples, fwhm_ns, stale_fraction, incomplete_fraction.
    run : str
        Name of the run, part of the random streams.
    n_events : int
    block_events : int
        Events of a block; changes nothing.
    """
    seed, n_samples = settings["seed"], settings["samples"]
    numbers = np.asarray(pixels["PIXEL"])
    light_streams = [pixel_stream(seed, f"{run} light", int(number)) for number in numbers]
    noise_streams = [pixel_stream(seed, f"{run} noise", int(number)) for number in numbers]
    flags, lost_module = _bad_events(settings, run, n_events)
    pulse = make_pulse(settings["fwhm_ns"])
    shape = pulse.rise_sigma, pulse.fall_sigma, pulse.height
    noise = np.empty((block_events, n_samples), np.float32)
    for start in range(0, n_events, block_events):
        stop = min(start + block_events, n_events)
        n, rows = stop - start, slice(start, stop)
        waveforms = np.empty((n, len(numbers), n_samples), ADC_DTYPE)
        true_pe = np.empty((n, len(numbers)), np.int32)
        lit = (flags[rows] & FLAGS["stale"]) == 0
        for i, row in enumerate(pixels):
            noise_streams[i].standard_normal(out=noise[:n], dtype=np.float32)
            _pixel_events(
                light_streams[i], noise[:n], lit,
                light.pe * row["EFFICIENCY"], light.nsb * (row["EFFICIENCY"] > 0),
                light.afterpulse_probability, light.afterpulse_time,
                row["GAIN"], row["SIGMA_PE"], row["OPCT"], row["NOISE"], row["BASELINE"],
                row["TIME"], shape, waveforms[:, i], true_pe[:, i],
            )  # fmt: skip
        _lose_modules(waveforms, numbers, flags[rows], lost_module[rows])
        yield Block(
            waveforms, np.arange(start, stop, dtype=np.int64) + FIRST_EVENT_ID, flags[rows], true_pe
        )


def _bad_events(settings: dict, run: str, n_events: int) -> tuple[np.ndarray, np.ndarray]:
    """Flags (n,) of the events, and the module (n,) that an incomplete one has lost."""
    stream = np.random.default_rng([settings["seed"], *f"{run} events".encode()])
    stale = stream.random(n_events) < settings["stale_fraction"]
    incomplete = stream.random(n_events) < settings["incomplete_fraction"]
    flags = FLAGS["stale"] * stale + FLAGS["incomplete"] * incomplete
    return flags.astype(np.uint8), stream.integers(0, N_MODULES, n_events)


def _lose_modules(waveforms, numbers, flags, lost_module) -> None:
    """Put zeros where the module of an incomplete event is missing."""
    for event in np.flatnonzero(flags & FLAGS["incomplete"]):
        waveforms[event, numbers // MODULE_PIXELS == lost_module[event]] = 0


@njit
def _avalanches(stream, n, opct):
    """All avalanches that `n` photoelectrons lead to, generation after generation."""
    total = n
    while n > 0:
        n = stream.poisson(opct * n)
        total += n
    return total


@njit
def _charge(stream, n, sigma):
    """Charge of `n` avalanches at the same time: the sum of n normal numbers of mean 1."""
    return n + sigma * math.sqrt(n) * stream.standard_normal()


@njit
def _add_pulse(wave, time, charge, rise, fall, height):
    """Add a pulse whose peak is at `time` (samples) to a waveform, out to 5 sigma."""
    first = max(int(math.ceil(time - 5.0 * rise)), 0)
    last = min(int(math.floor(time + 5.0 * fall)), wave.shape[0] - 1)
    for j in range(first, last + 1):
        sigma = rise if j < time else fall
        u = (j - time) / sigma
        wave[j] += charge * height * math.exp(-0.5 * u * u)


@njit
def _pixel_events(
    stream, noise, lit, mean_pe, nsb, afterpulse_probability, afterpulse_time,
    gain, sigma_pe, opct, noise_adu, baseline, time, shape, waveforms, true_pe,
):  # fmt: skip
    """Waveforms (n, n_samples) and photoelectrons (n,) of one pixel; `noise` is standard normal."""
    rise, fall, height = shape
    n_events, n_samples = noise.shape
    before = 5.0 * fall  # light that comes this long before the first sample still shows in it
    span = before + n_samples + 5.0 * rise
    pulse, wave = np.zeros(n_samples), np.empty(n_samples)
    _add_pulse(pulse, time, 1.0, rise, fall, height)
    for event in range(n_events):
        n_pe = stream.poisson(mean_pe) if mean_pe > 0.0 else 0
        if not lit[event]:
            n_pe = 0
        true_pe[event] = n_pe
        n = _avalanches(stream, n_pe, opct)
        charge = gain * _charge(stream, n, sigma_pe) if n > 0 else 0.0
        for j in range(n_samples):
            wave[j] = baseline + noise_adu * noise[event, j] + charge * pulse[j]
        if nsb > 0.0:
            for _ in range(stream.poisson(nsb * span)):
                at = stream.random() * span - before
                late = gain * _charge(stream, _avalanches(stream, 1, opct), sigma_pe)
                _add_pulse(wave, at, late, rise, fall, height)
        if afterpulse_probability > 0.0 and n > 0:
            for _ in range(stream.poisson(afterpulse_probability * n)):
                at = time + afterpulse_time * stream.standard_exponential()
                late = gain * _charge(stream, _avalanches(stream, 1, opct), sigma_pe)
                _add_pulse(wave, at, late, rise, fall, height)
        for j in range(n_samples):
            waveforms[event, j] = np.uint16(min(max(math.floor(wave[j] + 0.5), 0.0), HIGHEST_ADC))
