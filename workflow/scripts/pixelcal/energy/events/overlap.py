"""Event files that hold the same events: each event is to be counted once.

Files may follow each other within seconds, and files of different pixels may run side by side; what
may not be is an event in two of them. So it is events that are compared, not headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import combinations

import numpy as np

from pixelcal.energy.events.good_times import SLACK_S
from pixelcal.energy.events.reader import EventFile, stream
from pixelcal.errors import InputError
from pixelcal.io.time_keywords import epoch, time_system
from pixelcal.numerics.common_counts import common_fraction

TIME_STEP_S = 1e-5
"""Times that differ by less are equal: two clocks of one camera round differently."""

MOST_COMPARED = 2**22
"""Events of a file that are held against those of another, about: a random part of a longer one."""

FEWEST_WITHOUT_TIMES = 20
"""Events without times that are equal by chance, at most: a few channels may well repeat."""

ROWS_AT_ONCE = 2**16

ODD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: the multiplier of Fibonacci hashing (Knuth, TAOCP 3, 6.4)."""

SEAM_S = 60.0
"""Files that follow each other may overlap by this with different events."""

FEWEST_BINS = 20
"""Counts of fewer pixels and channels may be multiples of others by chance."""


def check_different(files: list[EventFile]) -> None:
    """Raise InputError where two files hold the same events in the same order.

    Whatever their names, headers and compression. Files of different lengths are not read.
    """
    for a, b in combinations(files, 2):
        enough = a.n_events if a.has_times else a.n_events // FEWEST_WITHOUT_TIMES
        if enough and a.n_events == b.n_events and _same_events(a, b):
            raise InputError(
                f"event files {a.path} and {b.path}: hold the same {a.n_events} events; leave one"
                " of them out"
            )


def check_overlap(files: list[EventFile], spans: list[tuple[float, float]]) -> list[str]:
    """What to warn of where files overlap in time, though no event is in two of them.

    Parameters
    ----------
    files : list of EventFile
        With times.
    spans : list of (first, last), s
        Finite times of the first and the last event of each file; inf and -inf where there is none.

    Raises
    ------
    InputError
        With the stretch of time, where two events or more are in two files.
    """
    told = []
    for (a, span_a), (b, span_b) in combinations(zip(files, spans, strict=True), 2):
        first, last = max(span_a[0], span_b[0]), min(span_a[1], span_b[1])
        if not first <= last:
            continue
        keys_a, pixels_a = _events_between(a, first, last)
        keys_b, pixels_b = _events_between(b, first, last)
        stretch = f"overlap in time from {first:.6f} to {last:.6f} s"
        n_common = np.intersect1d(keys_a, keys_b).size
        if n_common > 1:
            fraction = 100 * n_common / min(len(np.unique(keys)) for keys in (keys_a, keys_b))
            raise InputError(
                f"event files {a.path} and {b.path}: {stretch}, where {fraction:.3g} % of the"
                " events of one are in the other too; give every event once"
            )
        if last - first > SEAM_S and _share(pixels_a, pixels_b):
            told.append(
                f"event files {a.path} and {b.path}: {stretch} and share pixels, but no event: the"
                " stretch counts once as good time; check whether their clocks are the same"
            )
    return told


def check_ready_apart(parts: list[tuple[str, object]]) -> list[str]:
    """What to warn of where ready spectra overlap in time; their events cannot be compared.

    Parameters
    ----------
    parts : list of (name, ReadySpectra)
        TSTART and TSTOP (s), or DATE-OBS and DATE-END, are its limits where it has both.

    Raises
    ------
    InputError
        Where the common pixels of two files have the same counts, or multiples of them, or
        fluctuate together as only common events do, or where the exposures add up to more than the
        time that two files cover together.
    """
    told = []
    for (name_a, a), (name_b, b) in combinations(parts, 2):
        if np.array_equal(a.detnum, b.detnum) and np.array_equal(a.counts, b.counts):
            raise InputError(
                f"spectra {name_b}: holds the same counts as {name_a}; leave one of them out"
            )
        pixel, at_a, at_b = np.intersect1d(a.detnum, b.detnum, return_indices=True)
        counts = a.counts[at_a], b.counts[at_b]
        if not len(pixel) or not all(one.any() for one in counts):
            continue
        if _is_multiple(*counts):
            raise InputError(
                f"spectra {name_b}: holds the same counts as {name_a}, or a multiple of them, in"
                f" {len(pixel)} pixels; leave one of them out"
            )
        if fraction := common_fraction(*counts):
            raise InputError(
                f"spectra {name_a} and {name_b}: their counts fluctuate together, as where"
                f" {fraction:.0%} of the events of one are in the other too (a sum of several"
                " files, or an exposure that went on); give every event once"
            )
        if ((counts[0] > 0).any(axis=1) & (counts[1] > 0).any(axis=1)).any():
            told.append(_check_times(f"spectra {name_a} and {name_b}", a, b))
    return [line for line in told if line]


def _check_times(where: str, a, b) -> str:
    """What to warn of in the times of two ready spectra that share pixels; "" for nothing."""
    spans = _spans(a, b)
    if spans is None:
        return ""
    common = min(last for _, last in spans) - max(first for first, _ in spans)
    covered = max(last for _, last in spans) - min(first for first, _ in spans)
    line = f"{where}: overlap in time by {common:.6g} s and share pixels"
    if common > SLACK_S and a.seconds + b.seconds > covered + 2 * SLACK_S:
        raise InputError(
            f"{line}, and their EXPOSURE adds up to {a.seconds + b.seconds:.6g} s in"
            f" {covered:.6g} s: events count twice; give every event once"
        )
    return f"{line}; check that no event is in both" if common > SEAM_S else ""


def _is_multiple(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether counts (n, n_channels) are the others times a number, in enough bins to tell."""
    if np.count_nonzero(a) < FEWEST_BINS or not np.array_equal(a > 0, b > 0):
        return False
    sums = int(a.sum()), int(b.sum())
    return bool(np.array_equal(a.astype(float) * sums[1], b.astype(float) * sums[0]))


def _spans(a, b) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Begin and end (s) of two ready spectra, from one epoch; None where a file does not say.

    A file that lasts shorter than its exposure is in another unit, and says nothing.
    """
    words = a.keywords, b.keywords
    if all({"TSTART", "TSTOP"} <= one.keys() for one in words):
        if epoch(words[0]) != epoch(words[1]):
            return None
        if len({time_system(one.get("TIMESYS", "")) for one in words}) > 1:
            return None
        spans = [_numbers(one, "TSTART", "TSTOP") for one in words]
    else:
        spans = [_dates(one) for one in words]
    for span, part in zip(spans, (a, b), strict=True):
        if span is None or span[1] - span[0] < part.seconds - SLACK_S:
            return None
    return tuple(spans)


def _numbers(words: Mapping, *names: str) -> tuple[float, float] | None:
    values = [words[name] for name in names]
    return tuple(map(float, values)) if all(isinstance(v, int | float) for v in values) else None


def _dates(words: Mapping) -> tuple[float, float] | None:
    """DATE-OBS and DATE-END (s); None where they are no dates with a time of day."""
    try:
        texts = [str(words[name]).strip().rstrip("Z") for name in ("DATE-OBS", "DATE-END")]
        return tuple((datetime.fromisoformat(text) - datetime(2000, 1, 1)).total_seconds()
                     for text in texts)  # fmt: skip
    except (KeyError, ValueError, TypeError):
        return None


def _same_events(a: EventFile, b: EventFile) -> bool:
    """Whether all that both files say of their events is equal, event by event."""
    keys = tuple(key for key in ("value", "pixel", "time") if _has(a, key) and _has(b, key))
    blocks = (stream(file, keys, None, ROWS_AT_ONCE * file.row_dtype.itemsize) for file in (a, b))
    return all(
        np.array_equal(one[key], other[key], equal_nan=key != "pixel")
        for one, other in zip(*blocks, strict=True)
        for key in keys
    )


def _has(file: EventFile, key: str) -> bool:
    return key in file.columns or (key == "pixel" and "row" in file.columns)


def _share(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two files have events of the same pixel; None means all pixels."""
    if one is None or other is None:
        return True
    return bool(np.intersect1d(one, other).size)


def _events_between(file: EventFile, first: float, last: float):
    """Events of a stretch of time: keys (n,) uint64, and the pixels (m,) with one, None for all.

    The key of an event is a hash of its time, pixel and energy. Of a long file a random part is
    kept: the same part of equal events, because the key selects it.
    """
    one_of = np.uint64(1 + file.n_events // MOST_COMPARED)
    keys, pixels = [np.empty(0, np.uint64)], np.empty(0, np.int32)
    for block in stream(file, ("value", "pixel", "time")):
        inside = (block["time"] >= first - TIME_STEP_S) & (block["time"] <= last + TIME_STEP_S)
        if block["pixel"] is None:
            pixel = np.zeros(np.count_nonzero(inside), np.int32)
            pixels = None
        else:
            pixel = block["pixel"][inside]
            pixels = np.union1d(pixels, pixel[pixel >= 0])
        made = _keys(block["time"][inside], pixel, block["value"][inside])
        keys.append(made[made % one_of == 0])
    return np.concatenate(keys), pixels


def _keys(time: np.ndarray, pixel: np.ndarray, value: np.ndarray) -> np.ndarray:
    """A well mixed number (n,) uint64 for each event: times are rounded, energies of 32 bits."""
    words = (
        np.rint(time / TIME_STEP_S).astype(np.int64).view(np.uint64),
        pixel.astype(np.int64).view(np.uint64),
        value.astype(np.float32).view(np.uint32).astype(np.uint64),
    )
    key = np.zeros(len(time), np.uint64)
    for word in words:
        key = (key ^ word) * ODD
        key ^= key >> np.uint64(32)
    return key
