"""Events to spectra: counts per pixel and channel, added up block by block.

An event is counted where it passes, in this order: its time lies in the good time, its
multiplicity is the one asked for, its pixel is one of the camera's and one of those wanted, its
energy is a number, and its channel is one of the camera's. The first test it fails names the
reason it is rejected for, so the events used and rejected add up to the events read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pixelcal.energy.events.good_times import header_limits, total_exposure
from pixelcal.energy.events.intervals import intersect, time_after, total_seconds
from pixelcal.energy.events.numbering import Ranges, add_numbers
from pixelcal.energy.events.order import Repeats, add_repeats, check_repeats
from pixelcal.energy.events.reader import BLOCK_BYTES, EventFile, stream
from pixelcal.energy.events.tally import ADVICE, STAGES, TALLY, meaning
from pixelcal.errors import InputError
from pixelcal.instrument import Instrument
from pixelcal.numerics.jit import njit

RATE_BINS = 200
"""Bins of the rate of the camera against time."""

MULTIPLICITIES = {"single": (1, 1), "multiple": (2, 2**31 - 1), "all": (-(2**31), 2**31 - 1)}
"""Smallest and largest multiplicity of the events that are counted."""

USED, TIME, MULTIPLICITY, NO_PIXEL, UNWANTED, NOT_FINITE, BELOW, ABOVE = range(8)
"""What becomes of an event: places in the tally that `add_events` keeps."""


class Selection(NamedTuple):
    """What events are tested by, as arrays that compiled code reads.

    Attributes
    ----------
    row_of_pixel : (n_pixels,) int32
        Row of the counts for a DETNUM; -1 for a pixel that is not wanted.
    gain, offset : (n_rows,) float64, keV/channel and keV
        An event is counted in channel floor((value - offset) / gain).
    lowest, highest : int
        Limits of the multiplicity, both included.
    starts, stops : (n_intervals + 2,) and (n_intervals + 1,) float64, from `interval_limits`
    middle : float, s
        Time at which half of the good time is over: earlier events are of the first half.
    rate_start, rate_step : float, s
        Where the first bin of the rate of the camera begins, and its length.
    """

    row_of_pixel: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    lowest: int
    highest: int
    starts: np.ndarray
    stops: np.ndarray
    middle: float
    rate_start: float
    rate_step: float


@njit
def add_events(counts, rate, tally, value, pixel, multiplicity, time, selection, interval):
    """Add a block of n events to `counts`.

    Parameters
    ----------
    counts : (2, n_rows, n_channels) int32, changed
        Of the first and of the second half of the good time.
    rate : (n_bins,) int64, changed
        Events counted, by time.
    tally : (8,) int64, changed
        Events by what became of them.
    value : (n,) float64
        Energy (keV), or the channel where gain is 1 and offset 0.
    pixel : (n,) int32, DETNUM
    multiplicity : (n,) int32
        Or (0,): every event is taken.
    time : (n,) float64, s
    selection : Selection
    interval : int
        Where in its `starts` the search for the first event begins.

    Returns
    -------
    interval : int
        Where the last event was; the next block begins there.
    """
    # Two passes: with the selection out of the way the scattered increments, each of them a cache
    # miss, overlap; in one loop they take three times as long.
    places = np.empty(len(value), np.int32)
    n_used, interval = _find_places(
        places, rate, tally, value, pixel, multiplicity, time, selection, interval, counts.shape
    )
    flat = counts.reshape(-1)
    for place in places[:n_used]:
        flat[place] += 1
    return interval


@njit
def _find_places(places, rate, tally, value, pixel, multiplicity, time, selection, interval, shape):
    """Test each event; write where those that count belong in the flat counts of a `shape`.

    Returns how many there are, and the interval of the last event.
    """
    row_of_pixel, gain, offset, lowest, highest, starts, stops, middle, start, step = selection
    _, n_rows, n_channels = shape
    n_used, last_bin = 0, len(rate) - 1
    any_multiplicity = len(multiplicity) == 0
    for i in range(len(value)):
        # Times rise but for small steps back: nearly always the interval of the last event.
        t = time[i]
        if not (starts[interval] <= t < starts[interval + 1]):
            interval = max(np.searchsorted(starts, t, side="right") - 1, 0)
            interval = min(interval, len(stops) - 1)
        if not t < stops[interval]:
            tally[TIME] += 1
            continue
        if not (any_multiplicity or lowest <= multiplicity[i] <= highest):
            tally[MULTIPLICITY] += 1
            continue
        if not 0 <= pixel[i] < len(row_of_pixel):
            tally[NO_PIXEL] += 1
            continue
        row = row_of_pixel[pixel[i]]
        if row < 0:
            tally[UNWANTED] += 1
            continue
        position = (value[i] - offset[row]) / gain[row]
        if not np.isfinite(position):
            tally[NOT_FINITE] += 1
        elif position < 0:
            tally[BELOW] += 1
        elif position >= n_channels:
            tally[ABOVE] += 1
        else:
            late = n_rows if t >= middle else 0
            places[n_used] = (late + row) * n_channels + int(position)
            n_used += 1
            rate[min(max(int((t - start) / step), 0), last_bin)] += 1
    tally[USED] += n_used
    return n_used, interval


def interval_limits(good_time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Good time (n, 2) as `starts` (n + 2,) and `stops` (n + 1,) that cover all times.

    Piece k runs from starts[k] to starts[k + 1] and is good up to stops[k]; the first piece, before
    all good time, is good nowhere.
    """
    starts = np.concatenate([[-np.inf], good_time[:, 0], [np.inf]])
    stops = np.concatenate([[-np.inf], good_time[:, 1]])
    return starts, stops


def rows_of_pixels(detnum: np.ndarray, n_pixels: int) -> np.ndarray:
    """Row (n_pixels,) int32 that each pixel of the camera has among `detnum`; -1 for none."""
    rows = np.full(n_pixels, -1, np.int32)
    rows[detnum] = np.arange(len(detnum), dtype=np.int32)
    return rows


class Rate(NamedTuple):
    """The rate of the camera against time.

    Attributes
    ----------
    edges : (n_bins + 1,) float, s
    seconds : (n_bins,) float, s
        Good time in each bin.
    counts : (n_bins,) int64
        Events counted in each bin.
    """

    edges: np.ndarray
    seconds: np.ndarray
    counts: np.ndarray


def empty_rate(good_time: np.ndarray) -> Rate:
    """Bins of equal length from the first to the last good time (n, 2), without a count."""
    first, last = (good_time[0, 0], good_time[-1, 1]) if len(good_time) else (0.0, 1.0)
    edges = np.linspace(first, last, RATE_BINS + 1)
    bins = np.column_stack([edges[:-1], edges[1:]])
    seconds = [total_seconds(intersect(good_time, one[None])) for one in bins]
    return Rate(edges, np.array(seconds), np.zeros(RATE_BINS, np.int64))


@dataclass(frozen=True)
class Spectra:
    """Counts of n pixels, and the events by what became of them.

    Attributes
    ----------
    halves : (2, n, n_channels) int32
        Counts of the first and of the second half of the good time.
    rate : Rate
    tally : dict
        With the keys of `TALLY`; its values add up to the number of events read.
    n_untimed : int
        Events without a finite time; they are among those of REJTIME.
    n_outside : list of int
        Events of each file outside of TSTART to TSTOP of its header.
    n_multiplicity_0, n_no_multiplicity : int
        Events whose multiplicity is 0, and negative or none; 0 where it does not matter.
    spans : list of (first, last), s
        Times of the first and the last event of each file; inf and -inf where there is none.
    numbers : list of Ranges
        Least and largest number of a pixel in each file.
    """

    halves: np.ndarray
    rate: Rate
    tally: dict[str, int]
    n_untimed: int = 0
    n_outside: list[int] = field(default_factory=list)
    n_multiplicity_0: int = 0
    n_no_multiplicity: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    numbers: list[Ranges] = field(default_factory=list)

    @property
    def counts(self) -> np.ndarray:
        """Counts (n, n_channels) int32 of the whole exposure."""
        return self.halves[0] + self.halves[1]

    @property
    def n_read(self) -> int:
        """Number of events read."""
        return sum(self.tally.values())


def bin_events(
    files: list[EventFile],
    detnum: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    good_time: np.ndarray,
    multiplicity: str,
    seed: int,
    detnum_of_position: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
    *,
    instrument: Instrument,
) -> Spectra:
    """Spectra of the pixels `detnum` from event files, read one after the other.

    Long because it names all that it keeps of a block.

    Parameters
    ----------
    files : list of EventFile
    detnum : (n,) int
        The pixels wanted.
    gain, offset : (n,) float, keV/channel and keV
        Relation of each pixel; 1 and 0 where the files hold channels.
    good_time : (m, 2) float, s
        Intervals that are used, rising and apart.
    multiplicity : "single", "multiple" or "all"
    seed : int
        Deals the events of files that name no pixel to all pixels of the camera, and those of files
        without times to the time from 0 to the sum of the EXPOSURE. There is a draw for
        every event, in the order of the files, so the result depends neither on the size of the
        blocks nor on the choice of pixels, and a shorter exposure is a part of a longer one.
    detnum_of_position : (n_rows * n_columns,) int, optional
        As for `reader.stream`.
    progress : function of (events done, events in all), optional
    block_bytes : int, optional
        Size of the blocks in the files.
    instrument : Instrument
    """
    rate, of_pixel = empty_rate(good_time), rows_of_pixels(detnum, instrument.n_pixels)
    selection = _selection(of_pixel, gain, offset, good_time, multiplicity, rate)
    asked = ("multiplicity",) if multiplicity != "all" else ()
    keys = ("value", "pixel", "row", "column", "time", *asked)
    halves = np.zeros((2, len(detnum), instrument.n_channels), np.int32)
    tally = np.zeros(len(TALLY), np.int64)
    n_done, n_all, interval = 0, sum(file.n_events for file in files), 0
    n_untimed, n_outside, spans = 0, [0] * len(files), [(np.inf, -np.inf)] * len(files)
    limits = [header_limits(file) for file in files]
    numbers: list[Ranges] = [{} for _ in files]
    multiplicities = np.zeros(2, np.int64)
    for number, block in _complete_blocks(
        files, keys, seed, instrument, detnum_of_position, block_bytes
    ):
        events = (block[key] for key in ("value", "pixel", "multiplicity", "time"))
        interval = add_events(halves, rate.counts, tally, *events, selection, interval)
        n_done += len(block["value"])
        spans[number], n_infinite, n_beyond = _wider(spans[number], block["time"], *limits[number])
        n_untimed += n_infinite
        n_outside[number] += n_beyond
        multiplicities += _without_multiplicity(block["multiplicity"])
        add_numbers(numbers[number], block, files[number])
        if progress is not None:
            progress(n_done, n_all)
    by_reason = dict(zip(TALLY, tally.tolist(), strict=True))
    return Spectra(
        halves, rate, by_reason, n_untimed, n_outside, *multiplicities.tolist(), spans, numbers
    )


def _selection(of_pixel, gain, offset, good_time, multiplicity, rate) -> Selection:
    """What events are tested by: `of_pixel` are the rows of pixels, `rate` has the bins."""
    return Selection(
        of_pixel,
        np.ascontiguousarray(gain, np.float64),
        np.ascontiguousarray(offset, np.float64),
        *MULTIPLICITIES[multiplicity],
        *interval_limits(good_time),
        time_after(good_time, 0.5 * total_seconds(good_time)),
        float(rate.edges[0]),
        float(rate.edges[1] - rate.edges[0]),
    )


@njit
def _wider(span, time, low, high):
    """A span (first, last) with the finite times of a block in it; how many are not finite, and how
    many are not between the times `low` and `high`."""
    first, last = span
    n_infinite, n_beyond = 0, 0
    for t in time:
        if np.isfinite(t):
            first, last = min(first, t), max(last, t)
            n_beyond += not low <= t <= high
        else:
            n_infinite += 1
    return (first, last), n_infinite, n_beyond


@njit
def _without_multiplicity(multiplicity):
    """How many of the multiplicities of a block are 0, and how many are negative, (2,)."""
    n_zero, n_negative = 0, 0
    for number in multiplicity:
        n_zero += number == 0
        n_negative += number < 0
    return np.array([n_zero, n_negative])


def _complete_blocks(
    files, keys, seed, instrument, *how
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Number of the file and block, the pixel and the time drawn where a file does not have them.

    `how` goes to `stream`.
    """
    pixel_draws = np.random.Generator(np.random.Philox(seed))
    time_draws = np.random.Generator(np.random.Philox(seed).jumped())
    seconds = None if all(file.has_times for file in files) else total_exposure(files)
    not_asked = {"multiplicity": np.empty(0, np.int32)}
    for number, file in enumerate(files):
        repeats = Repeats()
        for block in stream(file, keys, *how):
            n = len(block["value"])
            if block["time"] is not None:
                repeats = add_repeats(repeats, block)
            if block["pixel"] is None:
                block["pixel"] = (pixel_draws.random(n) * instrument.n_pixels).astype(np.int32)
            if block["time"] is None:
                block["time"] = time_draws.random(n) * seconds
            yield number, not_asked | block
        check_repeats(repeats, file.path)


def summary(spectra: Spectra) -> str:
    """What became of the events, in one line."""
    n_channels = spectra.halves.shape[2]
    parts = [f"{n} {meaning(word, n_channels)}" for word, n in spectra.tally.items() if n]
    return ", ".join([f"{spectra.n_read} events read", *parts])


def check_counted(spectra: Spectra, files: list[EventFile]) -> None:
    """Raise InputError where no event at all is counted: then something is not as configured.

    What to do goes by the last of the tests that events came to, in the order of the tests.
    """
    if spectra.tally["EVUSED"]:
        return
    reached = [stage for stage in STAGES if any(spectra.tally[word] for word in stage)]
    word = max(reached[-1], key=spectra.tally.get)
    advice = ADVICE[word].format(files[0].columns["value"].name)
    raise InputError(
        f"event file {files[0].path}: no event is counted ({summary(spectra)}); {advice}"
    )
