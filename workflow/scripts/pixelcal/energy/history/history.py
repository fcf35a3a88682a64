"""The history of a camera: relations at many epochs, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pixelcal.energy.history.energies import (
    Reference,
    at_energy,
    to_energies,
    to_relation,
    typical_relation,
    usable,
)
from pixelcal.energy.history.epochs import Epochs
from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.instrument import Requirement
from pixelcal.numerics.motion.drift import Drift, analyse


@dataclass(frozen=True)
class History:
    """Relations at t epochs with the drift that they show.

    Attributes
    ----------
    epochs : Epochs
    module : (n,) int
        Module of each pixel.
    counts : (n, t) bool
        Measurements that are trusted.
    reference : Reference
    drift : Drift
    energies_keV : (m,) reference energies
    """

    epochs: Epochs
    module: np.ndarray
    counts: np.ndarray
    reference: Reference
    drift: Drift
    energies_keV: tuple[float, ...]

    @property
    def modules(self) -> np.ndarray:
        """Numbers (g,) of the modules that have a motion of theirs."""
        return self.drift.numbers(self.module)

    def best(self, energy_keV: float, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Best energy (n,) at the place of `energy_keV`, minus that, and its error, keV."""
        best, covariance = self.drift.best[:, epoch], self.drift.covariance[:, epoch]
        return at_energy(best, covariance, energy_keV, self.reference.pivots_keV)

    def motion(self, which: str, energy_keV: float) -> tuple[np.ndarray, np.ndarray]:
        """Motion (g, t) of "camera" or "modules" since the first epoch, and its error, keV."""
        series = getattr(self.drift, which)
        y, sigma = at_energy(series.best, series.covariance, energy_keV, self.reference.pivots_keV)
        return y - y[:, :1], sigma

    def relation(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Best gain, offset (n, 1) and their covariance (n, 1, 3) at an epoch."""
        chosen = slice(epoch, epoch + 1)
        drift = self.drift
        return to_relation(
            drift.best[:, chosen].astype(float),
            drift.covariance[:, chosen].astype(float),
            self.reference,
        )


def make_history(
    epochs: Epochs, module: np.ndarray, requirement: Requirement, false_alarms: float
) -> History:
    """Drift, jumps and the best relations of a camera.

    Parameters
    ----------
    epochs : Epochs of n pixels
    module : (n,) int
    requirement : Requirement
        With the reference energies; the inner two are those that drift.
    false_alarms : float
        As for `drift.analyse`.
    """
    counts, measures = usable(epochs.status)
    counts = counts & np.isfinite(epochs.gain)
    reference = typical_relation(
        epochs.gain, epochs.offset, counts, inner_energies_keV(requirement)
    )
    energies = to_energies(epochs.gain, epochs.offset, epochs.covariance, reference)
    drift = analyse(*energies, counts, measures, epochs.days, module, false_alarms)
    return History(epochs, module, counts, reference, drift, requirement.energies_keV)


def without_measurements(history: History) -> History:
    """The same in less memory: without what pixels do against their modules, and its origin."""
    drift = history.drift
    lighter = drift.pixels._replace(best=None, covariance=None, measured=None)
    return replace(history, drift=drift._replace(pixels=lighter))
