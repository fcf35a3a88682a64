"""From waveforms to charges: each pixel's peak, then one compiled pass over the events.

The charge of a pixel in an event is the sum of `window` samples, of which the first is
`window_shift` before the peak of the pixel; with the baseline of the event, `window` times the mean
of its first samples is taken off. Where samples are integers, charges are exact integers too, in
units of a step (`charge_step`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.waveforms import FLAGS, Block, count_reasons
from pixelcal.errors import InputError
from pixelcal.numerics.jit import njit


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
    outside = np.flatnonzero((first < 0) | (first + window.window > n_samples))
    if len(outside):
        i = outside[0]
        raise InputError(
            f"{where}: the window of pixel {peaks.pixel[i]}, samples {first[i]} to"
            f" {first[i] + window.window - 1}, is not inside its waveform of {n_samples} samples"
            f" ({len(outside)} such pixels); change window or window_shift"
        )
    return first


def extract_block(
    block: Block,
    rows: np.ndarray,
    first: np.ndarray,
    window: Window,
    live: np.ndarray,
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
    live : (n_pixels,) bool
        Pixels whose charge must be finite.
    adc_range : (float, float), optional
        Lowest and highest value of a sample; `waveforms.RunProperties`.

    Returns
    -------
    charges : (n_pixels, n_good) int32 or float32
        Integers count steps (`charge_step`).
    flags : (n,) uint8
        Of the events; one in which the charge of a live pixel is not finite has become a bad one.
    clipped : (n_pixels,) int64
        Good events in which a sample of the window, or of the baseline that is taken off, stands at
        the lowest or highest value; 0 without `adc_range`.
    """
    flags = block.flags.copy()
    good = np.flatnonzero(flags == 0)
    whole = block.waveforms.dtype.kind != "f"
    n_window, n_baseline = window.window, window.baseline_samples
    shape = len(rows), len(good)
    if whole:
        charges = np.empty(shape, np.int64)
        a, b = map(np.int64, _factors(window))
    else:
        charges = np.empty(shape, np.float64)
        a, b = np.float64(1.0), np.float64(n_window / n_baseline if n_baseline else 0.0)
    clipped = np.zeros(shape, np.bool_)
    low, high = _limits(block.waveforms.dtype, adc_range)
    _sum_windows(
        block.waveforms, good, rows, first, n_window, n_baseline, a, b, low, high, charges, clipped
    )
    if whole:
        return _in_32_bits(charges), flags, clipped.sum(axis=1)
    finite = np.isfinite(charges[live]).all(axis=0)
    flags[good[~finite]] |= FLAGS["other"]
    return charges[:, finite].astype(np.float32), flags, clipped[:, finite].sum(axis=1)


def _limits(dtype: np.dtype, adc_range: tuple[float, float] | None) -> tuple:
    """Numbers of the kind of the samples that a clipped sample does not stand strictly between."""
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
    waveforms, events, rows, first, n_window, n_baseline, a, b, low, high, charges, clipped
):
    """Fill `charges` (n_pixels, n_events) with a times the window less b times the baseline.

    `clipped`, of the same shape, becomes true where one of the samples is not between low and high.
    """
    for k in range(events.shape[0]):
        for i in range(rows.shape[0]):
            # Sliced, the indices begin at 0: no test for negative ones in the inner loops.
            wave = waveforms[events[k], rows[i]]
            part, head = wave[first[i] : first[i] + n_window], wave[:n_baseline]
            total, before = 0 * a, 0 * b
            outside = 0
            for j in range(part.shape[0]):
                total += part[j]
                outside += (part[j] <= low) | (part[j] >= high)
            for j in range(head.shape[0]):
                before += head[j]
                outside += (head[j] <= low) | (head[j] >= high)
            charges[i, k] = a * total - b * before
            clipped[i, k] = outside > 0


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
        Events in which a sample stands at the end of the ADC; None where that is not known.
    """

    charges: np.ndarray
    event_id: np.ndarray
    true_pe: np.ndarray | None
    n_read: int
    bad: dict[str, int]
    clipped: np.ndarray | None = None


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

    `seen` is told how many events have been read.
    """
    parts, ids, truths, flags = [], [], [], []
    n_read, n_clipped = 0, np.zeros(len(rows), np.int64)
    for block in blocks:
        charges, block_flags, clipped = extract_block(block, rows, first, window, live, adc_range)
        n_clipped += clipped
        good = block_flags == 0
        parts.append(charges)
        ids.append(block.event_id[good])
        flags.append(block_flags)
        if block.true_pe is not None:
            truths.append(block.true_pe[good][:, rows].T)
        n_read += len(block_flags)
        seen(n_read)
    return Charges(
        charges=np.concatenate(parts, axis=1),
        event_id=np.concatenate(ids),
        true_pe=np.concatenate(truths, axis=1) if truths else None,
        n_read=n_read,
        bad=count_reasons(np.concatenate(flags)),
        clipped=None if adc_range is None else n_clipped,
    )
