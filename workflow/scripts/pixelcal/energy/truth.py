"""The truth of an exposure: the relations that were injected into its spectra.

A simulated camera whose channels are not linear, or whose gain drifts, displaces energies before
the injected relation, which is straight, applies. By how much is part of the truth: what a photon
of some energy is given is compared with that energy.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from pixelcal.energy.curve import Curve
from pixelcal.energy.relation import energy_error
from pixelcal.errors import InputError
from pixelcal.io.tables import read_table
from pixelcal.numerics.random import pixel_stream

LOGGER = logging.getLogger(__name__)


DISPLACED = "SHIFT_"
"""Columns with what displaces energies, named after the energy, as SHIFT_80."""

DISPLACED_DIGITS = 5
"""Of them in keV: hundredths of an eV."""


class Truth(NamedTuple):
    """What is true of pixels.

    Attributes
    ----------
    gain, offset : (n,) float, keV/channel and keV
        The injected relation.
    energies_keV : (m,) float
        Rising; none where nothing is displaced.
    displaced : (m, n) float, keV
        What the injected relation gives to a photon of these energies, minus its energy.
    """

    gain: np.ndarray
    offset: np.ndarray
    energies_keV: np.ndarray = np.empty(0)
    displaced: np.ndarray = np.empty((0, 0))

    def at(self, energy_keV) -> np.ndarray:
        """How energies are displaced, keV: (n,) at one, (k, n) at energies (k, 1).

        Linear between the energies that are known, and constant beyond.
        """
        energy = np.asarray(energy_keV, float)
        if not len(self.energies_keV):
            return np.zeros((*energy.shape[:-1], len(self.gain)))
        known = [np.interp(energy.ravel(), self.energies_keV, of) for of in self.displaced.T]
        return np.array(known).T.reshape(*energy.shape[:-1], len(self.gain))

    def error(self, energy_keV, gain, offset, curve: Curve | None = None) -> np.ndarray:
        """Signed error (keV) of the energy that a relation gives to photons of `energy_keV`.

        As `relation.energy_error`, at one energy or at energies (k, 1).
        """
        displaced = self.at(energy_keV)
        nominal = energy_keV + displaced
        return energy_error(nominal, gain, offset, self.gain, self.offset, curve) + displaced


def displaced_by_camera(
    pixels: Table, detnum: np.ndarray, good_time: np.ndarray
) -> dict[str, np.ndarray]:
    """What displaces energies of a simulated camera, keV: arrays (n,) by the name of their column.

    Parameters
    ----------
    pixels : Table
        Properties of the simulated pixels. What the channels do is in its columns SHIFT_*; how the
        gain drifts is under `drift` in its `meta`: `start` and `stop` (s), `first` and `last`, the
        factors on the gain at them, and `offset_keV`, the energy that does not move.
    detnum : (n,) int
    good_time : (k, 2) float, s
        Within which counts were taken.
    """
    rows = np.searchsorted(np.asarray(pixels["DETNUM"]), detnum)
    names = [name for name in pixels.colnames if name.startswith(DISPLACED)]
    factor, offset = 1.0, 0.0
    drift = pixels.meta.get("drift")
    if drift and len(good_time):
        middle = np.average(good_time.mean(axis=1), weights=np.ptp(good_time, axis=1))
        part = (middle - drift["start"]) / (drift["stop"] - drift["start"])
        factor = drift["first"] + part * (drift["last"] - drift["first"])
        offset = drift["offset_keV"]
    return {
        name: np.asarray(pixels[name], float)[rows]
        + (float(name.removeprefix(DISPLACED)) - offset) * (1.0 / factor - 1.0)
        for name in names
    }


def truth_table(
    detnum: np.ndarray,
    relation: tuple[np.ndarray, np.ndarray] | None,
    displaced: Mapping[str, np.ndarray] | None = None,
) -> Table:
    """DETNUM, GAIN and OFFSET (n,) as injected; NaN, and TRUTH false in `meta`, without a truth.

    `displaced` is what `displaced_by_camera` gives.
    """
    n = len(detnum)
    gain, offset = (np.full(n, np.nan), np.full(n, np.nan)) if relation is None else relation
    table = Table([detnum, gain, offset], names=("DETNUM", "GAIN", "OFFSET"))
    for name, values in (displaced or {}).items():
        table[name] = np.round(values, DISPLACED_DIGITS)
        table[name].unit = "keV"
    if relation is None:
        table.meta["TRUTH"] = False
    return table


def read_truth(path: str | Path, detnum: np.ndarray) -> Truth | None:
    """The truth of the pixels `detnum` (n,); None where the file says that there is none.

    Raises
    ------
    InputError
        Where the file cannot be read or lacks a pixel.
    """
    table = read_table(path, ["DETNUM", "GAIN", "OFFSET"])
    if not table.meta.get("TRUTH", True):
        return None
    table.sort("DETNUM")
    given = np.asarray(table["DETNUM"])
    absent = np.setdiff1d(detnum, given)
    if len(absent):
        raise InputError(
            f"truth {path}: lacks the pixel DETNUM {absent[0]}; remove the file and run again"
        )
    rows = np.searchsorted(given, detnum)
    straight = (np.asarray(table[name], float)[rows] for name in ("GAIN", "OFFSET"))
    names = [name for name in table.colnames if name.startswith(DISPLACED)]
    energies = np.array([float(name.removeprefix(DISPLACED)) for name in names])
    order = np.argsort(energies)
    displaced = np.array([np.asarray(table[names[k]], float)[rows] for k in order])
    return Truth(*straight, energies[order], displaced.reshape(len(names), len(detnum)))


def inject_errors(detnum, gain, offset, gain_sigma, offset_sigma_keV, seed, exposure):
    """True gain and offset of each pixel: the prior with seeded normal errors.

    Parameters
    ----------
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        The prior relation.
    gain_sigma : float
        Standard deviation of the gain, as a fraction of it.
    offset_sigma_keV : float
    seed : int
    exposure : str
        Name of the exposure, part of the random stream.

    Returns
    -------
    gain_true, offset_true : (n,) float, keV/channel and keV
    """
    draws = np.array(
        [pixel_stream(seed, exposure, int(d)).standard_normal(2) for d in detnum]
    ).reshape(-1, 2)
    return gain * (1 + gain_sigma * draws[:, 0]), offset + offset_sigma_keV * draws[:, 1]


def tell_beyond_search(injection: Mapping, gain_range: float, offset_range_keV: float) -> None:
    """Warn where three standard deviations of an injected error are more than the fit searches."""
    for key, reach, unit in (
        ("gain_sigma", gain_range, ""),
        ("offset_sigma_keV", offset_range_keV, " keV"),
    ):
        if 3.0 * injection[key] > reach:
            LOGGER.warning(
                "injection.%s: %g%s puts pixels outside of the %g%s around the prior relation"
                " that the fit searches; choose at most %.2g%s",
                key, injection[key], unit, reach, unit, reach / 3.0, unit,
            )  # fmt: skip
