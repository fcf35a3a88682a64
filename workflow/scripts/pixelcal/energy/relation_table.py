"""The relations of a camera as one object: energies of channels, and their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from pixelcal.energy.curve import Curve
from pixelcal.energy.relation import curve_of, energy_sigma, relation_covariance
from pixelcal.energy.relation_columns import checked_relation
from pixelcal.errors import InputError


@dataclass(frozen=True)
class Relation:
    """Channel-energy relations of pixels: E = gain x + offset, with their errors.

    Where a curve was fitted too (columns CURVE_MID, CURVE_LOW), `energy` adds it.

    x is the position on the channel axis. Channel c covers x from c to c + 1, so its centre is at
    c + 0.5, and the offset is the energy of the lower edge of channel 0.

    Attributes
    ----------
    table : astropy Table, n rows
        Everything there is: DETNUM, GAIN, OFFSET, and after a fit their errors and covariance, the
        resolution, counts, p-value and STATUS (see docs/products.md). Columns in other units, also
        those of a QTable, are converted; without a unit they are in keV/channel and keV.

    Raises
    ------
    InputError
        As `relation_columns.checked_relation`.
    """

    table: Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", checked_relation(self.table))

    @property
    def pixel(self) -> np.ndarray:
        """Numbers (n,) of the pixels, DETNUM."""
        return np.asarray(self.table["DETNUM"], int)

    @property
    def gain(self) -> np.ndarray:
        """Gains (n,) in keV/channel; NaN where there is no valid fit."""
        return self._column("GAIN")

    @property
    def offset(self) -> np.ndarray:
        """Offsets (n,) in keV; NaN where there is no valid fit."""
        return self._column("OFFSET")

    @property
    def gain_err(self) -> np.ndarray:
        """Statistical errors (n,) of the gains; NaN where the table has none."""
        return self._column("GAIN_ERR")

    @property
    def offset_err(self) -> np.ndarray:
        """Statistical errors (n,) of the offsets; NaN where the table has none."""
        return self._column("OFFSET_ERR")

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (n, 2, 2) of gain and offset; NaN where the table has none."""
        names = ("GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
        return relation_covariance({name: self._column(name) for name in names})

    @property
    def status(self) -> np.ndarray:
        """STATUS (n,), bits of `pixelcal.status.EnergyStatus`; 0 is good.

        Raises
        ------
        InputError
            Where the table has none: 0 would call every pixel good.
        """
        if "STATUS" not in self.table.colnames:
            raise InputError(
                "status: the relation has no column STATUS; read a relation.fits, which has it"
            )
        return np.asarray(self.table["STATUS"], int)

    def energy(self, pixel, channel=None, *, position=None) -> np.ndarray:
        """Energy of a channel, or of a position on the channel axis.

        Parameters
        ----------
        pixel : int or array of int
            Numbers of pixels, DETNUM.
        channel : int or array of int
            Channels from 0 on. A channel means its centre, the position channel + 0.5.
        position : float or array of float
            In place of `channel`: positions on the channel axis.

        Returns
        -------
        float array, keV
            `pixel` and `channel` broadcast against each other.

        Raises
        ------
        InputError
            Where a pixel is not in the table, `channel` is not a whole number, shapes do not
            broadcast, or a value is masked.

        Examples
        --------
        >>> from astropy.table import Table
        >>> relation = Relation(Table({"DETNUM": [7], "GAIN": [0.15], "OFFSET": [3.0]}))
        >>> print(relation.energy(7, 100))
        18.075
        >>> print(relation.energy(7, position=[0.0, 100.0]))
        [ 3. 18.]
        """
        if (channel is None) == (position is None):
            raise InputError("energy: give either a channel or, by its keyword, a position")
        if position is None:
            masked, channel = np.ma.is_masked(channel), np.asarray(channel)
            if masked or channel.dtype.kind not in "iu":
                raise InputError(
                    "energy: a channel is a whole number; give position=... for a place on the"
                    " channel axis"
                )
            position = channel + 0.5
        row, position = _together("energy", self._rows(pixel), position)
        straight = self.gain[row] * position + self.offset[row]
        curve = curve_of(self.table)
        if curve is None:
            return straight
        return Curve(curve.middle[row], curve.low[row], curve.ends).energy(straight)

    def sigma(self, pixel, energy) -> np.ndarray:
        """Statistical standard deviation of the energy, from the covariance of gain and offset.

        Parameters
        ----------
        pixel : int or array of int
            Numbers of pixels, DETNUM.
        energy : float or array of float, keV

        Returns
        -------
        float array, keV
            `pixel` and `energy` broadcast against each other. NaN without a valid fit. What all
            pixels share, such as errors of the line energies, is not in it.

        Raises
        ------
        InputError
            Where a pixel is not in the table, shapes do not broadcast, or a value is masked.

        Examples
        --------
        >>> from astropy.table import Table
        >>> relation = Relation(Table({"DETNUM": [7], "GAIN": [0.15], "OFFSET": [3.0],
        ...     "GAIN_ERR": [1e-4], "OFFSET_ERR": [0.03], "GAIN_OFFSET_COV": [-2e-6]}))
        >>> print(relation.sigma(7, [18.0, 78.0]).round(4))
        [0.0245 0.0374]
        """
        row, energy = _together("sigma", self._rows(pixel), energy)
        names = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
        return energy_sigma(energy, *(self._column(name)[row] for name in names))

    def _column(self, name: str) -> np.ndarray:
        if name not in self.table.colnames:
            return np.full(len(self.table), np.nan)
        return np.asarray(self.table[name], float)

    def _rows(self, pixel) -> np.ndarray:
        """Rows of the table that hold the pixels."""
        if np.ma.is_masked(pixel) or np.asarray(pixel).dtype.kind not in "iuf":
            raise InputError(
                f"pixel must be numbers of pixels, none of them masked, and is {pixel!r}"
            )
        pixel = np.asarray(pixel)
        order = np.argsort(self.pixel, kind="stable")
        place = np.searchsorted(self.pixel, pixel, sorter=order)
        row = order[np.minimum(place, len(order) - 1)]
        missing = self.pixel[row] != pixel
        if np.any(missing):
            raise InputError(f"pixel {pixel[missing].flat[0]} is not in the relation")
        return row


def _together(where: str, row: np.ndarray, values) -> tuple[np.ndarray, np.ndarray]:
    """Rows and values as arrays of one shape; InputError where they have none, or one is masked."""
    if np.ma.is_masked(values):
        raise InputError(f"{where}: has masked values; leave them out")
    try:
        return np.broadcast_arrays(row, np.asarray(values, float))
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: give numbers, as many as pixels, or one for all; there are"
            f" {np.size(row)} pixels"
        ) from None
