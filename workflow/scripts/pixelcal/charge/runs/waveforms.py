"""What a run of flashes is to the chain: blocks of waveforms, with what is known of each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FLAGS = {"stale": 1, "incomplete": 2, "other": 4}
"""Bits of an event that is not used; the first that is set is the reason that is counted."""

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
    """

    pixel: np.ndarray
    n_samples: int
    dtype: np.dtype
    unit: str
    sample_ns: float
    adc_range: tuple[float, float] | None = None


class Block(NamedTuple):
    """Some events of a run, in its order.

    Attributes
    ----------
    waveforms : (n, n_pixels, n_samples)
    event_id : (n,) int64
    flags : (n,) uint8
        Bits of `FLAGS`; 0 is a good event.
    true_pe : (n, n_pixels) int32, or None
        Photoelectrons that the light itself set free, where that is known.
    """

    waveforms: np.ndarray
    event_id: np.ndarray
    flags: np.ndarray
    true_pe: np.ndarray | None


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
