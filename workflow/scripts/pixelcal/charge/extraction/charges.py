"""From waveforms to charges: each pixel's peak, then one compiled pass over the events.

The charge of a pixel in an event is the sum of `window` samples, of which the first is
`window_shift` before the peak of the pixel; with the baseline of the event, `window` times the mean
of its first samples is taken off. Where samples are integers, charges are exact integers too, in
units of a step (`charge_step`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.waveforms import FLAGS, Block, count_reasons
from pixelcal.errors import InputError
from pixelcal.numerics.jit import njit

PILED_UP = 10
"""So many flashes whose highest sample is the same, the highest of all, ..."""
PILED_UP_RATIO, PILED_UP_SIGMA = 2.0, 4.0
"""... so many times the events at a value below it, and more by so many standard deviations, are
at an end of the ADC and not of a tail."""
BELOW_THE_TOP = 3
"""Values below the highest that are compared with it."""
UNKNOWN = -1
"""Clipped events where the end of the ADC is not known."""

FEW_NOT_FINITE, MANY_NOT_FINITE = 10, 0.01
"""More events, and a larger fraction of them, without a finite charge: it is the pixel's fault."""
FEWEST_PIXELS, MOST_PIXELS = 4, 0.5
"""Of so many pixels a larger fraction has no finite charge in an event: it is the event's fault."""
MOST_OUTSIDE = 0.2
"""Fraction of the pixels whose windows may not fit: beyond it the window is at fault."""


@dataclass(frozen=True)
class Window:
    """What of a waveform is summed; the keys of `sstcam.charges`.

    Attributes
    ----------
    window : int
        Samples that are summed.
    window_shift : int
        Samples from the first of them to the peak.
    baseline_samples : int
        Samples at the beginning of the waveform whose mean is the baseline of the event; 0: none is
        subtracted.
    """

    window: int
    window_shift: int
    baseline_samples: int = 0


def window_of(settings: Mapping) -> Window:
    """The window of `sstcam.charges`."""
    baseline = settings["baseline_samples"] if settings["baseline"] == "event" else 0
    return Window(settings["window"], settings["window_shift"], baseline)


# --- charges --------------------------------------------------------------------------------------


def charge_step(dtype: np.dtype, window: Window) -> float:
    """The unit (sample units) in which charges of samples of `dtype` are whole numbers.

    1 without a baseline. With the mean of nb samples as baseline of each of w samples, a charge is
    S_w - (w / nb) S_b with whole sums S: a whole multiple of gcd(w, nb) / nb. 0 for float samples.
    """
    if np.dtype(dtype).kind == "f":
        return 0.0
    return 1.0 / _factors(window)[0]


def _factors(window: Window) -> tuple[int, int]:
    """Whole a and b with charge / step = a S_w - b S_b."""
    if not window.baseline_samples:
        return 1, 0
    common = math.gcd(window.window, window.baseline_samples)
    return window.baseline_samples // common, window.window // common


def first_samples(peaks: Peaks, n_samples: int, window: Window) -> np.ndarray:
    """First sample (n,) of each pixel's window.

    A window that is not inside the waveform is moved into it where few pixels have one
    (`outside_waveform`): those are of no use, the camera is.

    Raises
    ------
    InputError
        Where the window or the baseline does not fit into the waveform.
    """
    where = "sstcam.charges"
    if window.window > n_samples:
        raise InputError(
            f"{where}.window: {window.window} samples are asked for, but a waveform has"
            f" {n_samples}; lower it"
        )
    if window.baseline_samples > n_samples:
        raise InputError(
            f"{where}.baseline_samples: {window.baseline_samples} are asked for, but a waveform has"
            f" {n_samples} samples; lower it"
        )
    first = peaks.peak - window.window_shift
    outside = np.flatnonzero(outside_waveform(peaks, n_samples, window))
    if len(outside) > MOST_OUTSIDE * len(first):
        i = outside[0]
        raise InputError(
            f"{where}: the window of pixel {peaks.pixel[i]}, samples {first[i]} to"
            f" {first[i] + window.window - 1}, is not inside its waveform of {n_samples} samples"
            f" ({len(outside)} such pixels); change window or window_shift"
        )
    return np.clip(first, 0, n_samples - window.window)


def outside_waveform(peaks: Peaks, n_samples: int, window: Window) -> np.ndarray:
    """Pixels (n,) whose window is not inside their waveform."""
    first = peaks.peak - window.window_shift
    return (first < 0) | (first + window.window > n_samples)


def extract_block(
    block: Block,
    rows: np.ndarray,
    first: np.ndarray,
    window: Window,
    adc_range: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charges of the good events of a block.

    Parameters
    ----------
    block : Block
    rows : (n_pixels,) int
        Rows of the waveforms of the pixels.
    first : (n_pixels,) int
        First sample of each window; see `first_samples`.
    window : Window
    adc_range : (float, float), optional
        Lowest and highest value of a sample; `waveforms.RunProperties`.

    Returns
    -------
    charges : (n_pixels, n_good) int32 or float32
        Integers count steps (`charge_step`).
    clipped : (n_pixels, n_good) bool
        Whether a sample of the window, or of the baseline that is subtracted, is at the lowest
        or highest value; false without `adc_range`.
    highest : (n_pixels, n_good)
        Highest sample of the window.
    """
    good = np.flatnonzero(block.flags == 0)
    whole = block.waveforms.dtype.kind != "f"
    n_window, n_baseline = window.window, window.baseline_samples
    shape = len(rows), len(good)
    if whole:
        charges = np.empty(shape, np.int64)
        a, b = map(np.int64, _factors(window))
    else:
        charges = np.empty(shape, np.float64)
        a, b = np.float64(1.0), np.float64(n_window / n_baseline if n_baseline else 0.0)
    clipped, highest = np.zeros(shape, np.bool_), np.zeros(shape, block.waveforms.dtype)
    low, high = _limits(block.waveforms.dtype, adc_range)
    _sum_windows(
        block.waveforms, good, rows, first, n_window, n_baseline, a, b, low, high,
        charges, clipped, highest,
    )  # fmt: skip
    return _in_32_bits(charges) if whole else charges.astype(np.float32), clipped, highest


def _limits(dtype: np.dtype, adc_range: tuple[float, float] | None) -> tuple:
    """Numbers of the kind of the samples of which a clipped sample is not strictly between two."""
    low, high = adc_range or (-math.inf, math.inf)
    if dtype.kind == "f":
        return np.float64(low), np.float64(high)
    reach = 2.0**40  # beyond 32 bits
    return np.int64(math.floor(max(low, -reach))), np.int64(math.ceil(min(high, reach)))


def _in_32_bits(charges: np.ndarray) -> np.ndarray:
    """Whole charges as int32; those of 12-bit samples fit by far."""
    limit = np.iinfo(np.int32).max
    if charges.size and max(charges.max(), -charges.min()) > limit:
        raise InputError(
            "sstcam.charges: a charge has more steps than 32 bits hold; take a shorter window, or"
            " baseline_samples that divide it"
        )
    return charges.astype(np.int32)


@njit
def _sum_windows(
    waveforms, events, rows, first, n_window, n_baseline, a, b, low, high, charges, clipped, highest
):
    """Fill `charges` (n_pixels, n_events) with a times the window less b times the baseline.

    `clipped`, of the same shape, becomes true where one of the samples is not between low and high;
    `highest` is the largest of the window.
    """
    for k in range(events.shape[0]):
        for i in range(rows.shape[0]):
            # Sliced, the indices begin at 0: no test for negative ones in the inner loops.
            wave = waveforms[events[k], rows[i]]
            part, head = wave[first[i] : first[i] + n_window], wave[:n_baseline]
            total, before = 0 * a, 0 * b
            outside, largest = 0, part[0]
            for j in range(part.shape[0]):
                total += part[j]
                largest = max(largest, part[j])
                outside += (part[j] <= low) | (part[j] >= high)
            for j in range(head.shape[0]):
                before += head[j]
                outside += (head[j] <= low) | (head[j] >= high)
            charges[i, k] = a * total - b * before
            clipped[i, k] = outside > 0
            highest[i, k] = largest


@dataclass(frozen=True)
class Charges:
    """Charges of a run.

    Attributes
    ----------
    charges : (n_pixels, n_good) int32 or float32
        Integers count steps.
    event_id : (n_good,) int64
    true_pe : (n_pixels, n_good) int32, or None
    n_read : int
        Events read, good and bad ones.
    bad : dict
        Bad events by reason.
    clipped : (n_pixels,) int, or None
        Events in which a sample is at the end of the ADC. Where its range is not known,
        `UNKNOWN`, or the events at a highest value that many share (`piled_up`); None: unknown for
        all pixels.
    not_finite : (n_pixels,) int
        Events in which the charge is not finite, of those that are not bad for another reason.
    """

    charges: np.ndarray
    event_id: np.ndarray
    true_pe: np.ndarray | None
    n_read: int
    bad: dict[str, int]
    clipped: np.ndarray | None = None
    not_finite: np.ndarray | None = None


def extract_charges(
    blocks: Iterable[Block],
    rows: np.ndarray,
    first: np.ndarray,
    window: Window,
    live: np.ndarray,
    seen: Callable[[int], None] = lambda n_read: None,
    adc_range: tuple[float, float] | None = None,
) -> Charges:
    """Charges of a run, block by block; the other arguments as for `extract_block`.

    `seen` is told how many events have been read. `live` (n_pixels,): pixels whose charges must be
    finite. An event in which one is not becomes a bad one; a pixel of which many are not loses all
    of its charges instead (NaN), so that it does not cost the others their events.
    """
    parts, ids, truths, flags = [], [], [], []
    n_read = 0
    for block in blocks:
        good = block.flags == 0
        parts.append(extract_block(block, rows, first, window, adc_range))
        ids.append(block.event_id[good])
        flags.append(block.flags)
        if block.true_pe is not None:
            truths.append(block.true_pe[good][:, rows].T)
        n_read += len(good)
        seen(n_read)
    charges, clipped, highest = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    flags = np.concatenate(flags)
    finite = np.isfinite(charges)
    whole = ~spoilt_events(finite, live)
    not_finite = (~finite[:, whole]).sum(axis=1)
    lost = not_finite > many_not_finite(np.count_nonzero(whole))
    events = finite[live & ~lost].all(axis=0) & whole
    if lost.any():
        charges[lost] = np.nan
    flags = flags.copy()
    flags[np.flatnonzero(flags == 0)[~events]] |= FLAGS["other"]
    n_clipped = _clipped(clipped[:, events], highest[:, events], adc_range)
    return Charges(
        charges=charges[:, events],
        event_id=np.concatenate(ids)[events],
        true_pe=np.concatenate(truths, axis=1)[:, events] if truths else None,
        n_read=n_read,
        bad=count_reasons(flags),
        clipped=n_clipped,
        not_finite=not_finite,
    )


def _clipped(clipped: np.ndarray, highest: np.ndarray, adc_range) -> np.ndarray | None:
    """Clipped events (n_pixels,) by the range of the ADC, and where it is not known by the pile.

    Samples beyond the range show that it is not the range of their pixel.
    """
    if adc_range is None:
        return piled_up(highest)
    found = clipped.sum(axis=1)
    beyond = (highest > adc_range[1]).any(axis=1)
    if beyond.any():
        piled = piled_up(highest[beyond])
        found[beyond] = UNKNOWN if piled is None else piled
    return found


def spoilt_events(finite: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Events (n_events,) bool in which most live pixels (n_pixels,) bool have no charge: the fault
    is the event's, and is not to cost the pixels their run. `finite` (n_pixels, n_events)."""
    n_live = np.count_nonzero(live)
    if n_live < FEWEST_PIXELS:
        return np.zeros(finite.shape[1], bool)
    spoilt = (~finite[live]).sum(axis=0) > MOST_PIXELS * n_live
    return spoilt & ~spoilt.all()


def many_not_finite(n_events: int) -> float:
    """Events without a finite charge of a pixel from which on the fault is the pixel's."""
    return max(MANY_NOT_FINITE * n_events, min(FEW_NOT_FINITE, n_events / 2))


def piled_up(highest: np.ndarray) -> np.ndarray | None:
    """Events (n_pixels,) at the highest value, where so many share it that it is an end.

    In a tail that ends naturally few events are at the highest value, and more below it. What is
    cut off is at one value: more than at the ones below. Where that is so of all pixels
    together, their highest value is the end of each; else each pixel is examined alone.
    Nothing can be said (`UNKNOWN`) of a pixel that it is not so of.

    Parameters
    ----------
    highest : (n_pixels, n_events)
        Highest sample of each window.

    Returns
    -------
    (n_pixels,) int, or None where nothing can be said of any pixel
    """
    found = np.full(len(highest), UNKNOWN, np.int64)
    tops = []
    for i, samples in enumerate(highest):
        values, counts = np.unique(samples[np.isfinite(samples)], return_counts=True)
        tops.append((values[-2 - BELOW_THE_TOP :], counts[-2 - BELOW_THE_TOP :]))
        if _is_an_end(values, counts):
            found[i] = counts[-1]
    values, place = np.unique(np.concatenate([top for top, _ in tops]), return_inverse=True)
    if len(values):
        counts = np.bincount(place, np.concatenate([number for _, number in tops]))
        if _is_an_end(values, counts):
            return (highest == values[-1]).sum(axis=1)
    return found if (found >= 0).any() else None


def _is_an_end(values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether too many events (n,) are at the highest of the rising values (n,).

    A few values only are the noise of a coarse ADC.
    """
    if len(values) <= BELOW_THE_TOP + 1 or counts[-1] < PILED_UP:
        return False
    below = counts[-1 - BELOW_THE_TOP : -1].mean()
    sigma = np.sqrt(below + below / BELOW_THE_TOP)
    return bool(counts[-1] > max(PILED_UP_RATIO * below, below + PILED_UP_SIGMA * sigma))


def blanked(charges: Charges, which: np.ndarray) -> Charges:
    """The charges with zeros in some pixels (n_pixels,) bool: masked ones, or without a window."""
    values = charges.charges.copy()
    values[which] = 0
    clipped = None if charges.clipped is None else np.where(which, 0, charges.clipped)
    return replace(charges, charges=values, clipped=clipped)


def unknown(charges: Charges, which: np.ndarray) -> Charges:
    """The charges with NaN in some pixels (n_pixels,) bool, which did not work in this run."""
    if not which.any():
        return charges
    values = charges.charges.astype(np.float32)
    values[which] = np.nan
    return replace(charges, charges=values)
