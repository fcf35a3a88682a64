"""Orbits of the simulation: when the Earth is in the field of view, and the good time intervals.

An orbit is a fixed pattern, an assumption that is simple and has every case the flight data have:
free of the Earth, Earth coming in, Earth filling the field, Earth going out; every third orbit
crosses the South Atlantic anomaly, where the camera is off; the first minutes are a slew.
"""

from __future__ import annotations

import itertools
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pixelcal.instrument import SIMULATED_CRITERIA

ORBIT_S = 5830.0
"""Period (s) of SVOM's orbit, 625 km high."""

SAA_EVERY = 3
SAA_START_FRACTION = 0.2
SAA_S = 600.0
SLEW_S = 120.0
LONGEST_SEGMENT_S = 1000.0
"""Events are made and sorted a segment at a time: this bounds the memory."""

MARGIN_S = 1.0
"""Good time beyond what was asked, so that rounding never leaves an exposure short."""


class Segment(NamedTuple):
    """A stretch of time (s) with a constant fraction of the field behind the Earth."""

    start: float
    stop: float
    earth_fraction: float


def make_orbits(
    good_seconds: float, criteria: list[str], earth_free_fraction: float
) -> tuple[list[Segment], dict[str, np.ndarray]]:
    """Segments in which the camera counts, and the intervals of each criterion.

    Parameters
    ----------
    good_seconds : float
        The simulation ends when this much time, and a margin, fulfils all `criteria`.
    criteria : list of str
        Of `SIMULATED_CRITERIA`.
    earth_free_fraction : float
        Fraction of an orbit without the Earth in the field of view.

    Returns
    -------
    segments : list of Segment, in order, none longer than `LONGEST_SEGMENT_S`
    intervals : dict of (n, 2) float, s
        Good time intervals by criterion.
    """
    partial = (1.0 - earth_free_fraction) / 7.0
    phases = (
        ("GTICAL-NEO", 0.0, earth_free_fraction),
        ("GTICAL-PEO", 0.5, partial),
        ("GTICAL-TEO", 1.0, 5.0 * partial),
        ("GTICAL-PEO", 0.5, partial),
    )
    segments: list[Segment] = []
    intervals: dict[str, list[list[float]]] = {name: [] for name in SIMULATED_CRITERIA}
    good, now = 0.0, 0.0
    for name, earth_fraction, fraction in itertools.cycle(phases):
        if good >= good_seconds + MARGIN_S:
            break
        for start, stop, saa, slew in _pieces(now, now + fraction * ORBIT_S):
            if good >= good_seconds + MARGIN_S:
                break
            held = {name, "GTICAL-TLM"}
            held |= set() if saa else {"GTICAL-NSA"}
            held |= set() if slew else {"GTICAL-STA"}
            if held.issuperset(criteria):
                stop = min(stop, start + good_seconds + MARGIN_S - good)
                good += stop - start
            for criterion in sorted(held):
                intervals[criterion].append([start, stop])
            if not saa:
                segments += _split(start, stop, earth_fraction)
            now = stop
    return segments, {name: _merge(rows) for name, rows in intervals.items()}


def _pieces(start: float, stop: float):
    """A phase cut at anomaly and slew: (start, stop, in anomaly, slewing)."""
    orbit = int((start + stop) / 2 / ORBIT_S)
    saa_start = orbit * ORBIT_S + SAA_START_FRACTION * ORBIT_S
    saa = (saa_start, saa_start + SAA_S) if orbit % SAA_EVERY == 0 else (np.inf, np.inf)
    cuts = sorted({start, stop, *(c for c in (*saa, SLEW_S) if start < c < stop)})
    for low, high in pairwise(cuts):
        middle = (low + high) / 2
        yield low, high, saa[0] < middle < saa[1], middle < SLEW_S


def _split(start: float, stop: float, earth_fraction: float) -> list[Segment]:
    """Segments of equal length, none longer than `LONGEST_SEGMENT_S`."""
    n = max(1, int(np.ceil((stop - start) / LONGEST_SEGMENT_S)))
    cuts = np.linspace(start, stop, n + 1)
    return [Segment(float(a), float(b), earth_fraction) for a, b in pairwise(cuts)]


def _merge(rows: list[list[float]]) -> np.ndarray:
    """Join intervals that touch; (n, 2), s."""
    merged: list[list[float]] = []
    for start, stop in rows:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = stop
        else:
            merged.append([start, stop])
    return np.array(merged).reshape(-1, 2)
