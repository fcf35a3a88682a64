"""Events of the flight camera: as `sampler.py`, with the imperfections of `imperfections.py`.

A pixel has a tail, a threshold, line strengths and a noise of its own. A photon that leaves less
than the threshold in one of two pixels is a single event of the other. The channel axis is not
straight, and the gain drifts: what is measured is put on the axis of the relation, displaced there,
and read back with the straight relation. An event list of energies, which knows no relation, is
displaced on the nominal axis; only channels have a differential non-linearity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.energy.simulation import spectra
from pixelcal.energy.simulation.background import PROCESSES, Background
from pixelcal.energy.simulation.detector import SHARING_MINIMUM_KEV, Detector
from pixelcal.energy.simulation.imperfections import Imperfections
from pixelcal.energy.simulation.orbit import Segment
from pixelcal.energy.simulation.real_pixels import RealPixels
from pixelcal.energy.simulation.real_response import LARGEST_FRACTION, SHARED_KEV, Lines
from pixelcal.energy.simulation.sampler import (
    EVENT_DTYPE,
    TICK_S,
    PixelProperties,
    law,
    neighbour,
    photon,
    record,
    sampling_tables,
    without_escape,
)
from pixelcal.numerics.jit import njit
from pixelcal.numerics.random import pixel_stream

NOISE_PROCESS = len(PROCESSES)
"""Process of an event that is noise: its process id is this plus one."""

NOISE_FROM_SIGMA = 4.0
"""Noise is drawn from so many widths of the threshold below it: less is never recorded."""

DISPLACEMENT_STEPS = 7
"""Steps of the fixed-point iteration, each of which gains an order of magnitude."""

FLUORESCENCE = PROCESSES.index("FLUORESCENCE")


@dataclass(frozen=True)
class ChannelAxis:
    """What turns energies into channels; by DETNUM, the pixels that are not simulated are zero.

    Attributes
    ----------
    gain, offset : (n_pixels,) float, keV/channel and keV
        The straight relation.
    in_channels : bool
        The camera writes channels, and not energies.
    """

    gain: np.ndarray
    offset: np.ndarray
    in_channels: bool


def nominal_axis(n_pixels: int) -> ChannelAxis:
    """The axis of an event list of energies."""
    gain = np.full(n_pixels, spectra.NOMINAL_GAIN)
    return ChannelAxis(gain, np.full(n_pixels, spectra.NOMINAL_OFFSET), in_channels=False)


class FlightSampler:
    """Makes the events of a list of pixels of the flight camera, a segment after the other.

    Parameters
    ----------
    pixels : PixelProperties
        Of `with_neighbours(wanted)`.
    special : RealPixels
        What is special to the same pixels, in the same order.
    wanted : (n,) int
        DETNUM whose events are returned.
    background : Background
        With the lines of `lines`.
    lines : Lines
    detector : Detector
    imperfections : Imperfections
    axis : ChannelAxis
    multiple_fraction : float
        Fraction of the photons, of those with energy enough, that fire two pixels.
    seed : int
    grid : (rows, columns) of the camera
    span : (start, stop), s
        Time in which the gain drifts from one end to the other.
    """

    def __init__(
        self, pixels: PixelProperties, special: RealPixels, wanted, background: Background,
        lines: Lines, detector: Detector, imperfections: Imperfections, axis: ChannelAxis,
        multiple_fraction: float, seed: int, grid: tuple[int, int], span: tuple[float, float],
    ):  # fmt: skip
        self._pixels, self._special, self._imperfections = pixels, special, imperfections
        self._background, self._lines, self._axis = background, lines, axis
        self._grid, self._span, self._multiple_fraction = grid, span, multiple_fraction
        self._wanted = np.zeros(grid[0] * grid[1], bool)
        self._wanted[wanted] = True
        self._thresholds = np.full(grid[0] * grid[1], imperfections.threshold[0])
        self._thresholds[special.detnum] = special.threshold_keV
        self._streams = [pixel_stream(seed, "events", int(d)) for d in pixels.detnum]
        self._strength = special.strengths_of(lines.elements)[:, lines.element]
        self._tables = sampling_tables(background, detector)

    def sample(self, segment: Segment) -> np.ndarray:
        """Events (n,) of `EVENT_DTYPE` in a segment, in the order of time; energies in keV.

        Segments are to be asked for in order: each takes the streams further.
        """
        rows = [self._sample_pixel(i, segment) for i in range(len(self._streams))]
        events = np.concatenate(rows)
        events = events[self._wanted[events["DETNUM"]]]
        self._displace(events)
        return events[np.argsort(events["TIME"], kind="stable")]

    def _sample_pixel(self, i: int, segment: Segment) -> np.ndarray:
        """Events of the photons, and of the noise, of one pixel."""
        stream, pixels, special = self._streams[i], self._pixels, self._special
        soft, sharing = self._imperfections.threshold_sigma, self._imperfections.sharing
        duration = segment.stop - segment.start
        rates = self._background.rates_per_s(segment.earth_fraction)
        strength = self._background.line_per_s * self._strength[i]
        rates[FLUORESCENCE] *= strength.sum() / self._background.line_per_s.sum()
        lines = np.cumsum(strength) / strength.sum()
        n = stream.poisson(rates.sum() * duration * pixels.efficiency[i])
        out = np.empty(2 * n, EVENT_DTYPE)
        used = _sample_photons(
            stream, n, int(pixels.detnum[i]), segment.start, segment.stop,
            np.cumsum(rates) / rates.sum(),
            (pixels.resolution[i], special.tail_factor[i], soft, sharing),
            self._thresholds, self._multiple_fraction, lines, self._lines.width_keV,
            self._tables, self._grid, out,
        )  # fmt: skip
        alive = pixels.efficiency[i] > 0 and special.noisy[i]
        noise = self._noise(i, segment) if alive else out[:0]
        return np.concatenate([out[:used], noise])

    def _noise(self, i: int, segment: Segment) -> np.ndarray:
        """Events of the noise of one pixel: exponential in energy, even in time."""
        stream, special, soft = self._streams[i], self._special, self._imperfections.threshold_sigma
        threshold, scale = special.threshold_keV[i], special.noise_scale_keV[i]
        lowest = threshold - NOISE_FROM_SIGMA * soft
        duration = segment.stop - segment.start
        n = stream.poisson(special.noise_per_s[i] * np.exp((4.0 - lowest) / scale) * duration)
        events = np.zeros(n, EVENT_DTYPE)
        time = segment.start + duration * stream.random(n)
        events["TIME"] = np.floor(time / TICK_S) * TICK_S
        events["DETNUM"] = special.detnum[i]
        events["energy"] = lowest + scale * stream.standard_exponential(n)
        events["effMult"], events["procID"] = 1, NOISE_PROCESS + 1
        return events[events["energy"] >= threshold + soft * stream.standard_normal(n)]

    def _displace(self, events: np.ndarray) -> None:
        """Move the energies of events by the drift and the non-linearity of the channel axis."""
        detnum, (start, stop) = events["DETNUM"], self._span
        gain, offset = self._axis.gain[detnum], self._axis.offset[detnum]
        phase = 2.0 * (events["TIME"] - start) / (stop - start) - 1.0
        straight = (events["energy"] - offset) / (gain * (1.0 + self._imperfections.drift * phase))
        row = np.searchsorted(self._special.detnum, detnum)
        x = displaced_position(straight, row, self._special.edge_shift)
        if self._axis.in_channels:
            x = channel_of(x, row, self._special.width_shift) + 0.5
        events["energy"] = gain * x + offset


@njit
def displaced_position(straight, row, shift):
    """Channel positions (n,) whose undisplaced positions are `straight` (n,).

    A position x of the pixel at `row` (n,) is x + shift(x) on the straight axis; `shift` (m, 1025)
    is straight between channel edges, 0 at both ends and small against their distance.
    """
    last, out = shift.shape[1] - 1, np.empty(straight.shape[0])
    for i in range(straight.shape[0]):
        x = straight[i]
        for _ in range(DISPLACEMENT_STEPS):
            inside = min(max(x, 0.0), float(last))
            k = min(int(inside), last - 1)
            low, high = shift[row[i], k], shift[row[i], k + 1]
            x = straight[i] - low - (inside - k) * (high - low)
        out[i] = x
    return out


def channel_of(x, row, shift):
    """Channels (n,) of positions `x` (n,) with edge k of the pixel at `row` (n,) at k + shift[k].

    `shift` (m, 1025) is less than half a channel.
    """
    channel = np.floor(x)
    last = shift.shape[1] - 1
    lower, upper = (shift[row, np.clip(channel + k, 0, last).astype(int)] for k in (0, 1))
    return channel + (x >= channel + 1 + upper) - (x < channel + lower)


@njit
def _measured(stream, energy, pixel, laws, lost, edges):
    """The measured energy of a deposit: escape, hole tail or loss to a neighbour, Gaussian."""
    resolution, tail_factor, _, sharing = pixel
    energy = without_escape(stream, energy, laws, lost, edges)
    measured = energy
    u = stream.random()
    if u < sharing:
        measured -= stream.random() * min(SHARED_KEV, 0.5 * energy)
    else:
        u = (u - sharing) / (1.0 - sharing)
        if u < min(tail_factor * law(laws, 1, energy, edges), LARGEST_FRACTION):
            measured -= stream.standard_exponential() * tail_factor * law(laws, 2, energy, edges)
    return measured + stream.standard_normal() * resolution * law(laws, 0, energy, edges)


@njit
def _sample_photons(
    stream, n, detnum, start, stop, processes, pixel, thresholds, multiple_fraction, lines, widths,
    tables, grid, out,
):  # fmt: skip
    """Fill `out` with the events of `n` photons in a pixel; returns how many rows there are."""
    continuum, _, line_energy, edges, laws, lost, _ = tables
    resolution, _, threshold_sigma, _ = pixel
    used = 0
    for _ in range(n):
        time = np.floor((start + stream.random() * (stop - start)) / TICK_S) * TICK_S
        process, energy = photon(stream, processes, continuum, lines, line_energy, edges)
        if process == FLUORESCENCE:
            width = widths[np.argmin(np.abs(line_energy - energy))]
            energy += 0.5 * width * np.tan(np.pi * (stream.random() - 0.5))
            energy = min(max(energy, edges[0]), edges[-1])
        threshold = thresholds[detnum] + threshold_sigma * stream.standard_normal()
        divisible = energy > 2.0 * SHARING_MINIMUM_KEV
        if divisible and stream.random() < multiple_fraction:
            partner = neighbour(detnum, int(4.0 * stream.random()), grid)
            part = SHARING_MINIMUM_KEV + stream.random() * (energy - 2.0 * SHARING_MINIMUM_KEV)
            first = part + stream.standard_normal() * resolution * law(laws, 0, part, edges)
            rest = energy - part
            second = rest + stream.standard_normal() * resolution * law(laws, 0, rest, edges)
            theirs = threshold_sigma * stream.standard_normal()
            if partner < 0:
                continue
            first_seen, second_seen = first >= threshold, second >= thresholds[partner] + theirs
            multiplicity = 2 if first_seen and second_seen else 1
            if first_seen:
                record(out, used, time, detnum, first, multiplicity, process)
                used += 1
            if second_seen:
                record(out, used, time, partner, second, multiplicity, process)
                used += 1
            continue
        measured = _measured(stream, energy, pixel, laws, lost, edges)
        if measured >= threshold:
            record(out, used, time, detnum, measured, 1, process)
            used += 1
    return used
