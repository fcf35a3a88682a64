"""Where the pulse of each pixel is, and which pixels see the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcal.charge.runs.waveforms import Block
from pixelcal.errors import InputError
from pixelcal.numerics.jit import njit

DEAD_FRACTION = 0.2
"""A pixel with less than this fraction of the camera's median amplitude sees no light."""

SOLO_FRACTION = 0.5
"""With one live pixel per ASIC: the fraction of a full signal below which a pixel is ignored."""

SOLO_RANK = 3
"""The full signal is the third highest amplitude: a hot pixel or two do not set it."""

CLEAR_SIGMA = 6.0
"""A pulse exceeds the noise of the mean waveform by so many standard errors: of a million
samples of noise one does by chance in a thousand runs."""
DEEPER = 2.0
"""A pulse that is so many times deeper than high goes downward; an undershoot is not."""


@dataclass(frozen=True)
class Peaks:
    """Where the pulses are, and which pixels see them.

    Attributes
    ----------
    pixel : (n,) int32
    peak : (n,) int32
        Sample of the peak.
    dead : (n,) bool
        No signal in a run of which all pixels see the light.
    off : (n,) bool
        Ignored, as one pixel per ASIC is switched on.
    mean_waveform : (n, n_samples) float64
    places : (2, n) float64, or None
        x and y (m) as the run has them, NaN where it does not have a pixel.
    """

    pixel: np.ndarray
    peak: np.ndarray
    dead: np.ndarray
    off: np.ndarray
    mean_waveform: np.ndarray
    places: np.ndarray | None = None

    @property
    def live(self) -> np.ndarray:
        """Pixels (n,) that see the light."""
        return ~(self.dead | self.off)


class MeanWaveform:
    """The mean waveform of each pixel over the good events of a run.

    Events are added one after the other, so the result does not depend on the size of the blocks. A
    waveform with a sample that is not finite does not count.

    Attributes
    ----------
    flags : (n,) uint8
        Flags of all events that were read.
    """

    def __init__(self, n_pixels: int, n_samples: int) -> None:
        self._sum = np.zeros((n_pixels, n_samples))
        self._square = np.zeros(n_pixels)
        self._n = np.zeros(n_pixels, np.int64)
        self.flags = np.zeros(0, np.uint8)

    def add(self, block: Block, rows: np.ndarray) -> None:
        """Add the good events of a block; `rows` (n_pixels,) of its pixels."""
        good = np.flatnonzero(block.flags == 0)
        _add_waveforms(block.waveforms, good, rows, self._sum, self._square, self._n)
        self.flags = np.concatenate([self.flags, block.flags])

    def mean(self) -> np.ndarray:
        """The mean waveforms (n_pixels, n_samples); NaN for a pixel without any."""
        return self._sum / np.where(self._n > 0, self._n, np.nan)[:, np.newaxis]

    def error(self) -> np.ndarray:
        """Standard error (n_pixels,) of a sample of the mean waveforms; NaN below two events."""
        n = np.where(self._n > 1, self._n, np.nan)
        mean = self.mean()
        variance = self._square / (n * mean.shape[1]) - (mean**2).mean(axis=1)
        return np.sqrt(np.maximum(variance, 0.0) / (n - 1))


@njit
def _add_waveforms(waveforms, events, rows, total, square, n_added):
    """Add the waveforms of some events and pixels to `total` (n_pixels, n_samples).

    `square` (n_pixels,) takes the squares of all samples.
    """
    n_samples = waveforms.shape[2]
    for event in events:
        for i in range(rows.shape[0]):
            row, finite = rows[i], True
            for j in range(n_samples):
                finite &= np.isfinite(waveforms[event, row, j])
            if finite:
                n_added[i] += 1
                for j in range(n_samples):
                    value = np.float64(waveforms[event, row, j])
                    total[i, j] += value
                    square[i] += value * value


def find_peaks(
    pixel: np.ndarray,
    mean_waveform: np.ndarray,
    *,
    time_skew: bool,
    solo_pixels: bool,
    error: np.ndarray | None = None,
) -> Peaks:
    """Peak of each pixel from its mean waveform, and the pixels without a signal.

    The amplitude of a pixel is the highest sample of its mean waveform over the median one. With
    all pixels lit, one below `DEAD_FRACTION` of the median amplitude is dead. With one live pixel
    per ASIC, one below `SOLO_FRACTION` of a full signal is ignored.

    Parameters
    ----------
    pixel : (n,) int
    mean_waveform : (n, n_samples) float
        NaN for a pixel that has none.
    time_skew : bool
        True: the peak of each pixel, and for one without a signal that of the camera. False: all
        have that of the camera, the median of the pixels with a signal.
    solo_pixels : bool
        Whether one pixel per ASIC is switched on.
    error : (n,) float, optional
        Standard error of a sample of the mean waveform.

    Raises
    ------
    InputError
        In the words of the situation, where no pixel shows a pulse that goes upwards.
    """
    known = np.isfinite(mean_waveform).all(axis=1)
    filled = np.where(known[:, np.newaxis], mean_waveform, 0.0)
    amplitude = filled.max(axis=1) - np.median(filled, axis=1)
    _check_pulses(filled[known], amplitude[known], None if error is None else error[known])
    if solo_pixels:
        full = np.sort(amplitude)[-min(SOLO_RANK, len(amplitude))]
        off = amplitude < SOLO_FRACTION * full
        dead = np.zeros(len(pixel), bool)
    else:
        off = np.zeros(len(pixel), bool)
        dead = ~known | (amplitude < DEAD_FRACTION * np.median(amplitude[known]))
    live = ~(dead | off)
    highest = np.argmax(filled, axis=1)
    common = int(np.median(highest[live]))
    peak = np.where(live, highest, common) if time_skew else np.full(len(pixel), common)
    return Peaks(np.asarray(pixel), peak.astype(np.int32), dead, off, mean_waveform)


def _check_pulses(mean: np.ndarray, amplitude: np.ndarray, error: np.ndarray | None) -> None:
    """Raise InputError where the mean waveforms (n, n_samples) of no pixel have a pulse.

    A pulse downwards is deeper than it is high in most pixels, and counting does not explain it.
    """
    run = "the brightest run"
    if not len(mean):
        raise InputError(
            f"no pixel has a complete waveform in {run}: its samples are NaN or infinite; obtain a"
            " fresh copy, or check sstcam.pixels and sstcam.bad_pixels"
        )
    if mean.shape[1] == 1:
        raise InputError(
            f"a waveform of {run} has 1 sample, in which no pulse can be found; give waveforms of"
            " several samples, not charges"
        )
    noise = np.zeros(len(mean)) if error is None else np.nan_to_num(error)
    depth = np.median(mean, axis=1) - mean.min(axis=1)
    downward = (depth > DEEPER * amplitude) & (depth > CLEAR_SIGMA * noise)
    if downward.mean() > 0.5:
        raise InputError(
            f"the pulses of {run} go downward (negative polarity) in {downward.sum()} of"
            f" {len(mean)} pixels; give inverted waveforms"
        )
    if not (amplitude > CLEAR_SIGMA * noise).any():
        raise InputError(
            f"no pixel has a pulse in the mean waveform of {run}: there is no light, or none"
            " above the noise; check the lamp, or sstcam.pixels"
        )
