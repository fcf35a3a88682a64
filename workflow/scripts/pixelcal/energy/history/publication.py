"""Which epochs get a calibration file, and whether the file in force still meets the requirement.

A file is in force from the first moment of its epoch to that of the next file; the last has no end.
There are neither gaps nor overlaps. Where nothing changed, the file before stays in force.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.history.energies import at_energy
from pixelcal.energy.history.epochs import utc
from pixelcal.energy.history.history import History
from pixelcal.energy.requirement import requirement_keV
from pixelcal.instrument import Requirement

CLEAR_SIGMA = 5.0
"""A change is one where it is larger than so many of its errors as well: by chance one pixel of
6400 passes that in a hundred epochs; 3 sigma would make a new file of noise every week."""

SURE_SIGMA = 2.0
"""A pixel misses the requirement where it does so by more than this many of its errors."""


def changed_pixels(
    history: History, epoch: int, file_epoch: int, limits_keV: np.ndarray
) -> np.ndarray:
    """Whether (n,) a pixel is off by more than the limit of a reference energy (m,) in a file.

    The file has the best relation of `file_epoch`. A pixel that has none there, and has one now, is
    a changed one.
    """
    drift, pivots = history.drift, history.reference.pivots_keV
    difference = drift.best[:, epoch] - drift.best[:, file_epoch]
    new = np.isfinite(drift.best[:, epoch, 0]) & ~np.isfinite(drift.best[:, file_epoch, 0])
    changed = new & (epoch != file_epoch)
    for energy, limit in zip(history.energies_keV, limits_keV, strict=True):
        off, sigma = at_energy(difference, drift.covariance[:, epoch], energy, pivots)
        changed |= np.abs(off) > np.maximum(limit, CLEAR_SIGMA * sigma)
    return changed


def publish(
    history: History, requirement: Requirement, fraction: float, least_pixels: int
) -> np.ndarray:
    """Epoch (t,) of the file in force at each epoch; an epoch that is its own gets a file.

    Parameters
    ----------
    history : History
    requirement : Requirement
    fraction : float
        Changes up to this fraction of it are no reason for a new file.
    least_pixels : int
        So many pixels with a larger change are one.
    """
    in_force = np.zeros(len(history.epochs), int)
    limits = fraction * requirement_keV(np.array(history.energies_keV), requirement)
    for epoch in range(1, len(in_force)):
        before = in_force[epoch - 1]
        n_changed = changed_pixels(history, epoch, before, limits).sum()
        in_force[epoch] = epoch if n_changed >= least_pixels else before
    return in_force


def file_names(history: History, in_force: np.ndarray, stem: str) -> dict[int, str]:
    """Epoch -> name of its file, without the ending; the second of a day has -02 at its end."""
    names: dict[int, str] = {}
    for epoch in np.unique(in_force).tolist():
        date = utc(history.epochs.start_s[epoch])[:10].replace("-", "")
        same = sum(name.startswith(f"{stem}-{date}") for name in names.values())
        names[epoch] = f"{stem}-{date}" + (f"-{same + 1:02d}" if same else "")
    return names


def misses_requirement(
    history: History, gain: np.ndarray, offset: np.ndarray, requirement: Requirement
) -> np.ndarray:
    """Whether (n, t) a relation (n,) misses the requirement of each pixel, at each epoch.

    By more than `SURE_SIGMA` of the error of the best relation. False where one of the two is NaN.
    """
    places = history.reference.places()
    low, high = history.reference.pivots_keV
    given = np.stack(
        [gain * places[:, 0] + offset - low, gain * places[:, 1] + offset - high], axis=1
    )
    drift = history.drift
    missed = np.zeros(drift.best.shape[:2], bool)
    for energy in history.energies_keV:
        limit = float(requirement_keV(np.array([energy]), requirement)[0])
        for epoch in range(missed.shape[1]):
            off, sigma = at_energy(
                drift.best[:, epoch] - given,
                drift.covariance[:, epoch],
                energy,
                history.reference.pivots_keV,
            )
            missed[:, epoch] |= np.abs(off) - SURE_SIGMA * sigma > limit
    return missed


def since(missed: np.ndarray) -> np.ndarray:
    """First epoch (n,) of the unbroken stretch of `missed` (n, t) up to the last; -1 for none."""
    unbroken = np.logical_and.accumulate(missed[:, ::-1], axis=1).sum(axis=1)
    return np.where(unbroken > 0, missed.shape[1] - unbroken, -1)
