"""What a run of flashes is to the chain: blocks of waveforms, with what is known of each event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FLAGS = {"stale": 1, "incomplete": 2, "other": 4, "empty": 8, "type": 16, "gain": 32}
"""Bits of an event that is not used; the first that is set is the reason that is counted.

empty: every sample is the same; type: of a type that is not asked for; gain: of another gain
channel in some pixel.
"""

REASONS = {
    "stale": "stale",
    "incomplete": "incomplete",
    "other": "other (flagged, or a charge that is not finite)",
    "empty": "empty, every sample zero or another constant",
    "type": "of another type than sstcam.source.event_types asks for",
    "gain": "with another gain in some pixel",
}
"""Words for each of `FLAGS`."""

EVENT_TYPES = {
    "FLATFIELD": 0,
    "SINGLE_PE": 1,
    "PEDESTAL": 2,
    "DARK_PEDESTAL": 3,
    "ELECTRONIC_PEDESTAL": 4,
    "OTHER_CALIBRATION": 5,
    "MUON": 16,
    "SUBARRAY": 32,
    "UNKNOWN": 255,
}
"""Numbers of the types of events in the open layout."""

UNITS = ("adu", "mV", "pe")
"""Units that samples may have."""


@dataclass(frozen=True)
class RunProperties:
    """What one run has throughout.

    Attributes
    ----------
    pixel : (n_pixels,) int32
        Numbers of the pixels, each once, in the order of the waveforms.
    n_samples : int
        Samples of a waveform.
    dtype : numpy dtype
        Of a sample: an integer, where the electronics give one, or float32.
    unit : str
        Of a sample, of `UNITS`.
    sample_ns : float
        Time between samples (ns).
    adc_range : (float, float) or None
        Lowest and highest value that the ADC gives; a sample there may have been beyond. None where
        that is not known.
    places : (2, n_pixels) float64 or None
        x and y (m) of the pixels in the plane of the camera, NaN where one is not known; None where
        the run does not bring them.
    failing : (n_pixels,) bool or None
        Pixels that do not work, as the run says; None where it does not say it.
    """

    pixel: np.ndarray
    n_samples: int
    dtype: np.dtype
    unit: str
    sample_ns: float
    adc_range: tuple[float, float] | None = None
    places: np.ndarray | None = None
    failing: np.ndarray | None = None


class Block(NamedTuple):
    """Some events of a run, in its order.

    Attributes
    ----------
    waveforms : (n, n_pixels, n_samples)
    event_id : (n,) int64
    flags : (n,) uint8
        Bits of `FLAGS`; 0 is a good event.
    true_pe : (n, n_pixels) int32, or None
        Photoelectrons that the light itself set free, where that is known; negative: not known.
    event_type : (n,) uint8, or None
        Numbers of `EVENT_TYPES`, where that is known.
    """

    waveforms: np.ndarray
    event_id: np.ndarray
    flags: np.ndarray
    true_pe: np.ndarray | None
    event_type: np.ndarray | None = None


def type_number(name: str) -> int:
    """Number of a type of events by its name; names of pedestals differ from source to source."""
    if name in EVENT_TYPES:
        return EVENT_TYPES[name]
    return EVENT_TYPES["PEDESTAL" if "PEDESTAL" in name else "UNKNOWN"]


def wanted_types(names: Sequence[str] | None, of_dark_run: np.ndarray | None = None) -> np.ndarray:
    """Which numbers of types (256,) bool are used: those named; without names all but pedestals.

    Of a dark run, whose types (n,) are given, the pedestals, whatever the names, if it has any.
    """
    known = {number: name for name, number in EVENT_TYPES.items()}
    wanted = [known.get(number, "UNKNOWN") for number in range(256)]
    pedestals = np.array(["PEDESTAL" in name for name in wanted])
    if of_dark_run is not None and pedestals[np.clip(of_dark_run, 0, 255)].any():
        return pedestals
    if names is None:
        return ~pedestals
    return np.array([name in names for name in wanted])


def empty_events(waveforms: np.ndarray) -> np.ndarray:
    """Events (n,) of which every sample is the same; waveforms (n, n_pixels, n_samples)."""
    found = (waveforms[:, 0] == waveforms[:, 0, :1]).all(axis=1)
    which = np.flatnonzero(found)
    if len(which) and waveforms[0].size > 1:
        found[which] = (waveforms[which] == waveforms[which, :1, :1]).all(axis=(1, 2))
    return found & (waveforms[0].size > 1)


def event_flags(flags: np.ndarray, types: np.ndarray | None, wanted: np.ndarray) -> np.ndarray:
    """Bits of `FLAGS` (n,) uint8 by the flags (n,) of a file and the types of its events.

    Bits that a file has no meaning for are those of another reason. `types` (n,) are numbers of
    `EVENT_TYPES`, `wanted` (256,) which of them are used.
    """
    known = FLAGS["stale"] | FLAGS["incomplete"] | FLAGS["other"] | FLAGS["gain"]
    flags = (flags & known) | np.where(flags & ~known, FLAGS["other"], 0)
    if types is not None:
        flags[~wanted[np.clip(types, 0, 255)]] |= FLAGS["type"]
    return flags.astype(np.uint8)


def reason_of(flags: np.ndarray) -> np.ndarray:
    """The one flag (n,) that each event is counted by; 0 where it is good.

    An event may be stale and incomplete at once: it is counted once, by the lowest bit.
    """
    flags = flags.astype(np.int16)
    return (flags & -flags).astype(np.uint8)


def count_reasons(flags: np.ndarray) -> dict[str, int]:
    """Number of bad events for each reason of `FLAGS`; `flags` (n,)."""
    reasons = reason_of(np.asarray(flags))
    return {name: int(np.count_nonzero(reasons == bit)) for name, bit in FLAGS.items()}
