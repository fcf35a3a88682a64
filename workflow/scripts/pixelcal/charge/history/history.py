"""The history of a camera of SiPM pixels: what gain and crosstalk did from date to date.

The state of a pixel is a pair, its gain relative to its typical one and its crosstalk, both in per
cent. Camera, modules and pixels walk at random; the walks, the best values and the jumps are those
of `pixelcal.numerics.motion`, as for the energies of ECLAIRs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from pixelcal.charge.history.epochs import Epochs
from pixelcal.numerics.motion.drift import Drift, analyse
from pixelcal.status import ChargeStatus, has_valid_fit

PERCENT = 100.0
GAIN, CROSSTALK = 0, 1
"""Places in the state."""


@dataclass(frozen=True)
class History:
    """Fits at t epochs with the drift that they show.

    Attributes
    ----------
    epochs : Epochs
    module : (n,) int
        Module of each pixel.
    used : (n, t) bool
        Fits that are trusted for their pixel.
    typical : (2, n) float
        Typical gain (unit of a charge) and crosstalk of each pixel, the median of its epochs; NaN
        where it never had one.
    drift : Drift
        Of the gain (%, relative to the typical one) and the crosstalk (%, minus the typical one).
    """

    epochs: Epochs
    module: np.ndarray
    used: np.ndarray
    typical: np.ndarray
    drift: Drift

    @property
    def modules(self) -> np.ndarray:
        """Numbers (g,) of the modules that have a motion of theirs."""
        return self.drift.numbers(self.module)

    def best(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Best gain (n, t) with its error, and best crosstalk with its error."""
        y, r = self.drift.best.astype(float), self.drift.covariance.astype(float)
        gain, opct = self.typical[:, :, None]
        with np.errstate(invalid="ignore"):
            return (
                gain * (1.0 + y[..., 0] / PERCENT),
                gain * np.sqrt(r[..., 0]) / PERCENT,
                opct + y[..., 1] / PERCENT,
                np.sqrt(r[..., 2]) / PERCENT,
            )

    def change(self, which: str, state: int = GAIN) -> tuple[np.ndarray, np.ndarray]:
        """Change (g, t) of "camera", "modules" (against the camera), "pixels" or "apart" (pixels
        against their module, or the camera) since the first epoch in which it is known, and its
        error, in per cent."""
        drift = self.drift
        series = {"pixels": drift, "apart": drift.pixels}.get(which) or getattr(drift, which)
        y, r = series.best[..., state].astype(float), series.covariance[..., 2 * state]
        if not len(y):
            return y, y
        first = np.take_along_axis(y, np.isfinite(y).argmax(axis=1)[:, None], axis=1)
        with np.errstate(invalid="ignore"):
            sigma = np.sqrt(r.astype(float))
            return (step_percent(first, y) if state == GAIN else y - first), sigma


def step_percent(before, after) -> np.ndarray:
    """Change (%) from one gain to another, both in per cent above the typical one."""
    return PERCENT * ((PERCENT + after) / (PERCENT + before) - 1.0)


def usable(status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fits (n, t) that count for their pixel, and those that count for what is in common.

    A good fit counts, and an outlier for its pixel alone, which may well have jumped. A poor fit
    counts for a pixel most of whose fits are poor. Any other STATUS does not count.
    """
    alone = status & ~int(ChargeStatus.OUTLIER)
    poor = alone == int(ChargeStatus.POOR_FIT)
    usually = 2 * poor.sum(axis=1) > has_valid_fit(status).sum(axis=1)
    counts = (alone == 0) | (poor & usually[:, None])
    return counts, counts & ((status & int(ChargeStatus.OUTLIER)) == 0)


def make_history(epochs: Epochs, module: np.ndarray, false_alarms: float) -> History:
    """Drift and jumps of a camera.

    Parameters
    ----------
    epochs : Epochs of n pixels
    module : (n,) int
    false_alarms : float
        As for `pixelcal.numerics.motion.drift.analyse`.
    """
    pe, opct = epochs.values["PE"], epochs.values["OPCT"]
    errors = epochs.errors["PE"], epochs.errors["OPCT"]
    counts, measures = usable(epochs.status)
    for value, error in zip((pe, opct), errors, strict=True):
        counts = counts & np.isfinite(value) & (error > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # medians of nothing
        typical = np.stack(
            [np.nanmedian(np.where(counts, values, np.nan), axis=1) for values in (pe, opct)]
        )
    scale = PERCENT / typical[0][:, None]
    y = np.stack([scale * pe - PERCENT, PERCENT * (opct - typical[1][:, None])], axis=2)
    r = np.stack(
        [
            (scale * errors[0]) ** 2,
            scale * PERCENT * epochs.covariance,
            (PERCENT * errors[1]) ** 2,
        ],
        axis=2,
    )
    drift = analyse(y, r, counts, measures, epochs.days, module, false_alarms)
    return History(epochs, module, counts, typical, drift)
