"""Events of a simulated camera in orbit, sampled photon by photon.

A photon comes from a process (`background.py`), brings an energy, may share it with a neighbour
pixel, loses some to the hole tail or an escape, is blurred by the electronics (`detector.py`), and
is recorded above the threshold. Every pixel has one random stream: pixel 17 is the same pixel in a
run of 64 and in a run of 6400. DETNUM = columns x row + column is an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from pixelcal.energy.simulation.background import ENERGY_GRID_KEV, Background
from pixelcal.energy.simulation.detector import ESCAPES, SHARING_MINIMUM_KEV, Detector
from pixelcal.energy.simulation.orbit import Segment
from pixelcal.numerics.jit import njit
from pixelcal.numerics.random import pixel_stream

TICK_S = 20e-6
"""Time resolution of the camera."""

EVENT_DTYPE = np.dtype(
    [("TIME", "f8"), ("DETNUM", "i2"), ("energy", "f4"), ("effMult", "u1"), ("procID", "u1")]
)


@dataclass(frozen=True)
class PixelProperties:
    """How the simulated pixels differ.

    Attributes
    ----------
    detnum : (n,) int
    efficiency : (n,) float
        Factor on all rates; 0 for a dead pixel.
    resolution : (n,) float
        Factor on the width of the Gaussian.
    """

    detnum: np.ndarray
    efficiency: np.ndarray
    resolution: np.ndarray

    def table(self, wanted) -> Table:
        """Columns DETNUM, EFFICIENCY and RESOLUTION of the pixels `wanted` (m,)."""
        rows = np.isin(self.detnum, wanted)
        columns = [self.detnum, self.efficiency, self.resolution]
        names = ("DETNUM", "EFFICIENCY", "RESOLUTION")
        return Table([column[rows] for column in columns], names=names)


def make_pixels(
    detnum, efficiency_spread: float, resolution_spread: float, dead_fraction: float, seed: int
) -> PixelProperties:
    """Draw the properties of the pixels `detnum` (n,): log-normal, a fraction of them dead."""
    efficiency, resolution = np.empty(len(detnum)), np.empty(len(detnum))
    for i, number in enumerate(detnum):
        stream = pixel_stream(seed, "pixel properties", int(number))
        normal, dead = stream.standard_normal(2), stream.random() < dead_fraction
        efficiency[i] = 0.0 if dead else np.exp(efficiency_spread * normal[0])
        resolution[i] = np.exp(resolution_spread * normal[1])
    return PixelProperties(np.asarray(detnum), efficiency, resolution)


def with_neighbours(detnum, grid: tuple[int, int]) -> np.ndarray:
    """The pixels `detnum` and all that can share an event with one of them, rising.

    `grid` are the rows and columns of the camera.
    """
    wanted = np.zeros((grid[0] + 2, grid[1] + 2), bool)
    row, column = np.divmod(np.asarray(detnum), grid[1])
    for d_row, d_column in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        wanted[1 + row + d_row, 1 + column + d_column] = True
    return np.flatnonzero(wanted[1:-1, 1:-1])


class EventSampler:
    """Makes the events of a list of pixels, a segment of time after the other.

    Parameters
    ----------
    pixels : PixelProperties
        Of `with_neighbours(wanted)`, as these share events with the wanted pixels.
    wanted : (n,) int
        DETNUM whose events are returned.
    background : Background
    detector : Detector
    multiple_fraction : float
        Fraction of the photons, of those with energy enough, that fire two pixels.
    seed : int
    grid : (rows, columns) of the camera
    """

    def __init__(self, pixels, wanted, background, detector, multiple_fraction, seed, grid):
        self._pixels = pixels
        self._grid = grid
        self._wanted = np.zeros(grid[0] * grid[1], bool)
        self._wanted[wanted] = True
        self._background = background
        self._multiple_fraction = multiple_fraction
        self._streams = [pixel_stream(seed, "events", int(d)) for d in pixels.detnum]
        self._tables = sampling_tables(background, detector)

    def sample(self, segment: Segment) -> np.ndarray:
        """Events (n,) of `EVENT_DTYPE` in a segment, in the order of time; energies in keV.

        Segments are to be asked for in order: each takes the streams further.
        """
        rates = self._background.rates_per_s(segment.earth_fraction)
        processes = np.cumsum(rates) / rates.sum()
        mean = rates.sum() * (segment.stop - segment.start)
        rows = []
        for stream, number, efficiency, resolution in zip(
            self._streams,
            self._pixels.detnum,
            self._pixels.efficiency,
            self._pixels.resolution,
            strict=True,
        ):
            n = stream.poisson(mean * efficiency)
            out = np.empty(2 * n, EVENT_DTYPE)
            used = _sample_pixel(
                stream, n, int(number), resolution, segment.start, segment.stop,
                processes, self._multiple_fraction, self._tables, self._grid, out,
            )  # fmt: skip
            rows.append(out[:used])
        events = np.concatenate(rows)
        events = events[self._wanted[events["DETNUM"]]]
        return events[np.argsort(events["TIME"], kind="stable")]


def sampling_tables(background: Background, detector: Detector) -> tuple[np.ndarray, ...]:
    """Cumulative distributions and laws of the response on the energy grid, for compiled code."""
    edges = ENERGY_GRID_KEV
    continuum = np.zeros((3, len(edges)))
    np.cumsum(background.continuum_per_s, axis=1, out=continuum[:, 1:])
    continuum /= np.maximum(continuum[:, -1:], 1e-300)
    lines = np.cumsum(background.line_per_s)
    lines /= max(lines[-1], 1e-300) if len(lines) else 1.0
    laws = np.array(
        [
            detector.sigma(edges),
            detector.tail_fraction(edges),
            detector.tail_mean(edges),
            *detector.escape_fractions(edges),
        ]
    )
    lost = np.array([escape.lost_keV for escape in ESCAPES])
    return continuum, lines, background.line_energy_keV, edges, laws, lost, detector.threshold


@njit
def law(laws, which, energy, edges):
    """A law of the response at `energy`, linear between the nodes of the grid."""
    u = (energy - edges[0]) / (edges[1] - edges[0])
    i = min(max(int(u), 0), edges.shape[0] - 2)
    return laws[which, i] + (u - i) * (laws[which, i + 1] - laws[which, i])


@njit
def without_escape(stream, energy, laws, lost, edges):
    """The energy of a photon that stays in the crystal: one of its own may leave it."""
    u = stream.random()
    for k in range(lost.shape[0]):
        fraction = law(laws, 3 + k, energy, edges)
        if u < fraction:
            return energy - lost[k]
        u -= fraction
    return energy


@njit
def _measured(stream, energy, resolution, laws, lost, edges):
    """The measured energy of a deposit: escape, hole tail, Gaussian."""
    energy = without_escape(stream, energy, laws, lost, edges)
    measured = energy
    if stream.random() < law(laws, 1, energy, edges):
        measured -= stream.standard_exponential() * law(laws, 2, energy, edges)
    return measured + stream.standard_normal() * resolution * law(laws, 0, energy, edges)


@njit
def photon(stream, processes, continuum, lines, line_energy, edges):
    """Process (0 to 3, as `background.PROCESSES`) and energy of a photon."""
    process = min(np.searchsorted(processes, stream.random()), processes.shape[0] - 1)
    u = stream.random()
    if process == 2:
        return process, line_energy[min(np.searchsorted(lines, u), lines.shape[0] - 1)]
    cumulative = continuum[2 if process == 3 else process]
    i = min(max(np.searchsorted(cumulative, u, side="right") - 1, 0), edges.shape[0] - 2)
    inside = (u - cumulative[i]) / max(cumulative[i + 1] - cumulative[i], 1e-300)
    return process, edges[i] + inside * (edges[i + 1] - edges[i])


@njit
def neighbour(detnum, direction, grid):
    """The pixel above, below, right or left; -1 beyond the side of the camera."""
    row, column = detnum // grid[1], detnum % grid[1]
    row += (direction == 0) - (direction == 1)
    column += (direction == 2) - (direction == 3)
    inside = 0 <= row < grid[0] and 0 <= column < grid[1]
    return grid[1] * row + column if inside else -1


@njit
def _sample_pixel(
    stream, n, detnum, resolution, start, stop, processes, multiple_fraction, tables, grid, out
):
    """Fill `out` with the events of `n` photons in a pixel; returns how many rows there are."""
    continuum, lines, line_energy, edges, laws, lost, threshold = tables
    used = 0
    for _ in range(n):
        time = np.floor((start + stream.random() * (stop - start)) / TICK_S) * TICK_S
        process, energy = photon(stream, processes, continuum, lines, line_energy, edges)
        divisible = energy > 2.0 * SHARING_MINIMUM_KEV
        if divisible and stream.random() < multiple_fraction:
            partner = neighbour(detnum, int(4.0 * stream.random()), grid)
            part = SHARING_MINIMUM_KEV + stream.random() * (energy - 2.0 * SHARING_MINIMUM_KEV)
            first = part + stream.standard_normal() * resolution * law(laws, 0, part, edges)
            rest = energy - part
            second = rest + stream.standard_normal() * resolution * law(laws, 0, rest, edges)
            if partner < 0 or first < threshold or second < threshold:
                continue
            record(out, used, time, detnum, first, 2, process)
            record(out, used + 1, time, partner, second, 2, process)
            used += 2
            continue
        measured = _measured(stream, energy, resolution, laws, lost, edges)
        if measured >= threshold:
            record(out, used, time, detnum, measured, 1, process)
            used += 1
    return used


@njit
def record(out, row, time, detnum, energy, multiplicity, process):
    """Write an event; process ids count from 1."""
    out[row]["TIME"] = time
    out[row]["DETNUM"] = detnum
    out[row]["energy"] = energy
    out[row]["effMult"] = multiplicity
    out[row]["procID"] = process + 1
