"""Gain and offset as two energies and back: what drifts, and how it is quoted.

The state of a pixel is what its relation says of two fixed places on the channel axis, those of the
two inner reference energies by the pixel's typical relation, minus these energies. It is linear in
gain and offset, nearly uncorrelated, and in keV. Any other energy follows from the two on a line.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from pixelcal.energy.relation import position
from pixelcal.status import EnergyStatus, has_valid_fit, is_trusted


class Reference(NamedTuple):
    """What energies are compared with.

    Attributes
    ----------
    pivots_keV : (low, high)
    gain, offset : (n,) float
        Typical relation of each pixel, the median of its epochs; NaN where it never had one.
    """

    pivots_keV: tuple[float, float]
    gain: np.ndarray
    offset: np.ndarray

    def places(self) -> np.ndarray:
        """Places (n, 2) of the pivots on the channel axis."""
        energies = np.array(self.pivots_keV)
        return position(energies, self.gain[:, None], self.offset[:, None])


def usable(status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measurements (n, t) that count for their pixel, and those that count for the common motion.

    Doubtful fits do not count. A fit that is no more than poor counts for a pixel most of whose
    fits are: its response is unlike the model, always in the same way. An outlier counts for its
    pixel, which may have jumped, but not for the camera and the module.
    """
    trusted = is_trusted(status)
    poor = (status & ~int(EnergyStatus.OUTLIER)) == int(EnergyStatus.POOR_FIT)
    n_valid = has_valid_fit(status).sum(axis=1)
    usually = 2 * poor.sum(axis=1) > n_valid
    counts = trusted | (poor & usually[:, None])
    return counts, counts & ((status & int(EnergyStatus.OUTLIER)) == 0)


def typical_relation(
    gain: np.ndarray, offset: np.ndarray, counts: np.ndarray, pivots_keV: tuple[float, float]
) -> Reference:
    """The reference of pixels from their relations (n, t) where they count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # medians of nothing
        middle = [
            np.nanmedian(np.where(counts, values, np.nan), axis=1).astype(float)
            for values in (gain, offset)
        ]
    return Reference(tuple(pivots_keV), *middle)


def to_energies(
    gain: np.ndarray, offset: np.ndarray, covariance: np.ndarray, reference: Reference
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n, t, 2) at the pivots, minus these, and their covariances (n, t, 3).

    In single precision: deviations are small, and a camera over years is many of them.

    `covariance` (n, t, 3) is that of gain and offset: variance of the gain, covariance, variance of
    the offset.
    """
    places = reference.places()
    y = np.empty((*gain.shape, 2), np.float32)
    r = np.empty((*gain.shape, 3), np.float32)
    low, high = (places[:, k, None] for k in range(2))
    for k, (x, energy) in enumerate(zip((low, high), reference.pivots_keV, strict=True)):
        y[:, :, k] = gain * x + offset - energy
    for k, (a, b) in enumerate(((low, low), (low, high), (high, high))):
        r[:, :, k] = (
            a * b * covariance[:, :, 0] + (a + b) * covariance[:, :, 1] + covariance[:, :, 2]
        )
    return y, r


def to_relation(
    y: np.ndarray, r: np.ndarray, reference: Reference
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain and offset (n, t) and their covariance (n, t, 3): the inverse of `to_energies`."""
    places = reference.places()
    low, high = (places[:, k, None] for k in range(2))
    apart = high - low
    more = (y[:, :, 1] - y[:, :, 0]) / apart
    gain = reference.gain[:, None] + more
    offset = reference.offset[:, None] + y[:, :, 0] - low * more
    # gain = sum g_k y_k, offset = sum o_k y_k
    g, o = (-1 / apart, 1 / apart), (high / apart, -low / apart)
    covariance = np.stack([_form(r, a, b) for a, b in ((g, g), (g, o), (o, o))], axis=2)
    return gain, offset, covariance


def weights(energy_keV: float, pivots_keV: tuple[float, float]) -> tuple[float, float]:
    """What the energies at the pivots count for at `energy_keV`; they add up to 1."""
    low, high = pivots_keV
    return (high - energy_keV) / (high - low), (energy_keV - low) / (high - low)


def at_energy(
    y: np.ndarray, r: np.ndarray, energy_keV: float, pivots_keV: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Deviation (...) at an energy (keV) and its standard deviation, from those at the pivots."""
    w = weights(energy_keV, pivots_keV)
    with np.errstate(invalid="ignore"):
        return w[0] * y[..., 0] + w[1] * y[..., 1], np.sqrt(np.maximum(_form(r, w, w), 0.0))


def _form(r: np.ndarray, a, b) -> np.ndarray:
    """a' C b of covariances (..., 3)."""
    return (
        a[0] * b[0] * r[..., 0] + (a[0] * b[1] + a[1] * b[0]) * r[..., 1] + a[1] * b[1] * r[..., 2]
    )
