"""Charges that are there twice: an event in a run or in two runs, a pixel that copies another.

Charges of all pixels together are as good as a name of their event. Two events are the same where
all are equal, and two pixels where they are equal in all events; how often chance does that follows
from how often two events of a pixel are equal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pixelcal.errors import InputError

SAME_FRACTION = 0.01
"""Fraction of the events of a run that may be the same as others."""
FEWEST_SAME = 10
ABOVE_CHANCE = 10.0
"""Equal events must be so many times those that are equal by chance."""
SOME_EVENTS = 500
"""What chance does is estimated from so many."""
FEWEST_EVENTS = 50
"""Pixels are compared over so many events at least."""
MOST_COPIES = 0.2
"""Above this fraction of the pixels the run is refused."""

LOGGER = logging.getLogger("pixelcal")


class Events(NamedTuple):
    """What tells the events of a run apart.

    Attributes
    ----------
    keys : (n_events,) uint64
        Equal where the charges of all pixels are.
    alike : (n_pixels,) float
        Probability that two events have the same charge in a pixel, estimated from the first ones.
    """

    keys: np.ndarray
    alike: np.ndarray


def events_of(charges: np.ndarray) -> Events:
    """What tells the events of charges (n_pixels, n_events) apart; NaN is equal to NaN."""
    n_pixels, n_events = charges.shape
    keys, alike = np.zeros(n_events, np.uint64), np.ones(n_pixels)
    n_some = min(n_events, SOME_EVENTS)
    for i, factor in enumerate(_factors(n_pixels)):
        row = _whole(charges[i])
        keys += row * factor
        number = np.unique(row[:n_some], return_counts=True)[1]
        if n_some > 1:
            alike[i] = (number * (number - 1)).sum() / (n_some * (n_some - 1))
    return Events(keys, alike)


def check_events_once(events: Events, run: str) -> None:
    """Raise InputError where a run holds events twice."""
    n = len(events.keys)
    n_again = n - len(np.unique(events.keys))
    if n_again > _limit(n, 0.5 * n * n, events.alike):
        raise InputError(
            f"run {run}: {n_again} of its {n} events are there before (all pixels have the same"
            " charges); give every event once"
        )


def check_different_runs(runs: Iterable[tuple[str, Events]]) -> None:
    """Raise InputError where two runs, by name, hold the same events."""
    before: list[tuple[str, Events]] = []
    for name, events in runs:
        for other, known in before:
            n_common = np.intersect1d(events.keys, known.keys).size
            n, m = len(events.keys), len(known.keys)
            if n_common > _limit(min(n, m), n * m, np.sqrt(events.alike * known.alike)):
                raise InputError(
                    f"runs {other} and {name}: hold the same events ({n_common} of {min(n, m)});"
                    " give each run its own file, and take one of them out of table.csv"
                )
        before.append((name, events))


def copied_pixels(charges: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Live pixels (n_pixels,) bool whose charges (n_pixels, n_events) are those of another one.

    Pixels whose charge never changes are no copies: they show no light.
    """
    n_pixels, n_events = charges.shape
    copies = np.zeros(n_pixels, bool)
    if n_events < FEWEST_EVENTS:
        return copies
    factors, keys = _factors(n_events), np.zeros(n_pixels, np.uint64)
    varies = np.zeros(n_pixels, bool)
    for i in np.flatnonzero(live):
        row = _whole(charges[i])
        varies[i] = (row != row[0]).any()
        keys[i] = (row * factors).sum(dtype=np.uint64)
    _, place, number = np.unique(keys[varies], return_inverse=True, return_counts=True)
    copies[np.flatnonzero(varies)] = number[place] > 1
    return copies


def check_copies(charges: np.ndarray, live: np.ndarray, pixel: np.ndarray, run: str) -> np.ndarray:
    """The `copied_pixels` (n,) bool of the charges of a run, which are told.

    Raises
    ------
    InputError
        Where they are more than `MOST_COPIES` of the live ones, or events are there twice.
    """
    copies = copied_pixels(charges, live)
    tell_copies(copies, live, pixel, run)
    check_events_once(events_of(charges), run)
    return copies


def tell_copies(copies: np.ndarray, live: np.ndarray, pixel: np.ndarray, run: str) -> None:
    """Warn of the pixels `copies` (n,) bool.

    Raises
    ------
    InputError
        Where they are more than `MOST_COPIES` of the live ones.
    """
    if not copies.any():
        return
    named = ", ".join(map(str, pixel[copies][:4])) + (", ..." if copies.sum() > 4 else "")
    line = (
        f"run {run}: {copies.sum()} pixels have the same charges as another one in every event"
        f" (pixels {named})"
    )
    if copies.sum() > MOST_COPIES * live.sum():
        raise InputError(f"{line}; check how the file was written")
    LOGGER.warning("%s; the run is not used for them; check their read-out", line)


def _limit(n_events: int, n_pairs: float, alike: np.ndarray) -> float:
    """How many events may be equal."""
    chance = n_pairs * float(np.prod(alike))
    return max(FEWEST_SAME, SAME_FRACTION * n_events, ABOVE_CHANCE * chance)


def _whole(charges: np.ndarray) -> np.ndarray:
    """The charges (n,) as whole numbers (n,) uint64 that are equal where the charges are."""
    if charges.dtype.kind == "f":
        return (charges.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    return charges.astype(np.int64).view(np.uint64)


def _factors(n: int) -> np.ndarray:
    """Odd random numbers (n,) uint64, the same ones always."""
    return np.random.Generator(np.random.Philox(17)).integers(0, 2**64, n, np.uint64) | np.uint64(1)
