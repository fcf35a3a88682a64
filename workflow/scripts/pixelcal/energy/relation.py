"""The channel-energy relation of a pixel: E = GAIN * x + OFFSET.

`x` is the position on the channel axis: channel c covers x from c to c + 1, so its centre lies
at c + 0.5 and OFFSET is the energy of the lower edge of channel 0.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.curve import Curve
from pixelcal.status import has_valid_fit

RELATION_COLUMNS = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
"""A relation with its covariance, in the order in which `energy_sigma` takes them."""


CURVE_COLUMNS, CURVE_ENDS = ("CURVE_MID", "CURVE_LOW"), ("CURVE_E1", "CURVE_E2")
"""Columns of `curve.Curve`, where one was fitted, and keywords with its ends."""


def relation_columns(rows) -> list[np.ndarray]:
    """`RELATION_COLUMNS` of a table, structured array or row, as float."""
    return [np.asarray(rows[name], float) for name in RELATION_COLUMNS]


def position(energy_keV, gain, offset):
    """Position x on the channel axis of `energy_keV`; broadcasts (energies against pixels)."""
    return (energy_keV - offset) / gain


def curve_of(rows) -> Curve | None:
    """How the energies of a relation leave its straight lines; None where it has no such columns.

    `rows` is a table of a relation with its header in `meta`, or a row of one.
    """
    names = rows.colnames if hasattr(rows, "colnames") else (rows.dtype.names or ())
    if CURVE_COLUMNS[0] not in names:
        return None
    header = rows.meta if hasattr(rows, "meta") else rows.table.meta
    ends = tuple(float(header[keyword]) for keyword in CURVE_ENDS)
    return Curve(*(np.asarray(rows[name], float) for name in CURVE_COLUMNS), ends)


def energy_error(energy_keV, gain, offset, gain_true, offset_true, curve: Curve | None = None):
    """Signed error (keV) of the energy that the relation gives to a photon of `energy_keV`.

    The true relation gives the position of the photon; the error is the energy that the relation
    under test gives to that position, minus the true one. Arguments broadcast; NaN where there is
    no valid fit. `curve` is how the relation under test leaves a straight line.
    """
    seen = gain * position(energy_keV, gain_true, offset_true) + offset
    return (seen if curve is None else curve.energy(seen)) - energy_keV


def relation_covariance(rows) -> np.ndarray:
    """Covariance (n, 2, 2) of gain and offset from the columns of a relation."""
    names = (("GAIN_ERR", "GAIN_OFFSET_COV"), ("GAIN_OFFSET_COV", "OFFSET_ERR"))
    covariance = np.array([[np.asarray(rows[name], float) for name in pair] for pair in names])
    for k in range(2):
        covariance[k, k] **= 2
    return np.moveaxis(covariance, 2, 0)


def put_covariance(rows: np.ndarray, at: np.ndarray, covariance: np.ndarray) -> None:
    """Put covariances (m, 2, 2) of gain and offset in the columns of some rows `at` (m,)."""
    rows["GAIN_ERR"][at], rows["OFFSET_ERR"][at] = np.sqrt(np.diagonal(covariance, 0, 1, 2)).T
    rows["GAIN_OFFSET_COV"][at] = covariance[:, 0, 1]


def energy_sigma(energy_keV, gain, offset, gain_err, offset_err, gain_offset_cov):
    """Standard deviation (keV) of the energy at `energy_keV` from the full covariance.

    sigma(E)^2 = x^2 Var(gain) + 2 x Cov(gain, offset) + Var(offset), x the position of E.
    """
    x = position(energy_keV, gain, offset)
    return np.sqrt(x**2 * gain_err**2 + 2 * x * gain_offset_cov + offset_err**2)


def pivot_energy(gain, offset, gain_err, gain_offset_cov):
    """Energy (keV) at which gain and energy are uncorrelated, and sigma(E) is smallest."""
    return offset - gain * gain_offset_cov / gain_err**2


def agree_within_errors(one, other, energies_keV) -> bool:
    """Whether two relations of a pixel agree within twice the larger error at all energies (keV).

    Each is a fit, (1,) rows of a relation; one that is not valid agrees with none.
    """
    if not (has_valid_fit(one["STATUS"])[0] and has_valid_fit(other["STATUS"])[0]):
        return False
    a, b = relation_columns(one), relation_columns(other)
    return all(
        np.abs(energy_error(energy, *a[:2], *b[:2])[0])
        < 2.0 * max(energy_sigma(energy, *a)[0], energy_sigma(energy, *b)[0])
        for energy in energies_keV
    )
