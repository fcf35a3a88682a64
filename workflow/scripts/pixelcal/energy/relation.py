"""The channel-energy relation of a pixel: E = GAIN * x + OFFSET.

`x` is the position on the channel axis: channel c covers x from c to c + 1, so its centre lies
at c + 0.5 and OFFSET is the energy of the lower edge of channel 0.
"""

from __future__ import annotations

import enum

import numpy as np

from pixelcal.numerics.random import pixel_stream

N_CHANNELS = 1024
N_PIXELS = 6400

REFERENCE_ENERGIES_KEV = (4.0, 15.0, 50.0, 80.0, 150.0)
"""Energies (keV) at which a relation is judged."""

REQUIREMENT_BREAK_KEV = 80.0
REQUIREMENT_LOW_KEV = 0.3
REQUIREMENT_HIGH_KEV = 0.5


class Status(enum.IntFlag):
    """Why a pixel has no answer, or what is doubtful about the one it has. 0 is good."""

    MASKED = 1
    TOO_FEW_COUNTS = 2
    NOT_CONVERGED = 4
    AT_LIMIT = 8
    LINE_MISSING = 16
    POOR_FIT = 32
    OUTLIER = 64


NO_ANSWER = Status.MASKED | Status.TOO_FEW_COUNTS | Status.NOT_CONVERGED
"""With any of these bits GAIN and OFFSET are NaN."""

FIT_DTYPE = np.dtype(
    [
        ("DETNUM", "i2"),
        ("GAIN", "f8"),
        ("OFFSET", "f8"),
        ("GAIN_ERR", "f8"),
        ("OFFSET_ERR", "f8"),
        ("GAIN_OFFSET_COV", "f8"),
        ("FWHM_60", "f8"),
        ("COUNTS", "i4"),
        ("STAT", "f8"),
        ("DOF", "i4"),
        ("PVALUE", "f8"),
        ("NITER", "i2"),
        ("STATUS", "i4"),
    ]
)
"""One row a pixel: what every fit method returns. Units as in `FIT_UNITS`."""

FIT_UNITS = {
    "GAIN": "keV/chan",
    "OFFSET": "keV",
    "GAIN_ERR": "keV/chan",
    "OFFSET_ERR": "keV",
    "GAIN_OFFSET_COV": "keV**2/chan",
    "FWHM_60": "keV",
    "COUNTS": "count",
}

RELATION_COLUMNS = ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
"""A relation with its covariance, in the order in which `energy_sigma` takes them."""

LEAVE_OUT_EXTENSION = "LEAVEOUT"
LEAVE_OUT_UNITS = {name: FIT_UNITS[name] for name in RELATION_COLUMNS}
"""Extension of the fits without each of the blocks, see `leave_out.py`."""


def empty_fits(detnum: np.ndarray) -> np.ndarray:
    """Rows without an answer for the pixels `detnum` (n,): NaN everywhere, STATUS 0, counts 0."""
    rows = np.zeros(len(detnum), FIT_DTYPE)
    rows["DETNUM"] = detnum
    for name in FIT_DTYPE.names:
        if FIT_DTYPE[name].kind == "f":
            rows[name] = np.nan
    return rows


def relation_columns(rows) -> list[np.ndarray]:
    """`RELATION_COLUMNS` of a table, structured array or row, as float."""
    return [np.asarray(rows[name], float) for name in RELATION_COLUMNS]


def requirement_keV(energy_keV: np.ndarray) -> np.ndarray:
    """Largest allowed |energy error| (keV) at `energy_keV`: 0.3 up to 80 keV, 0.5 above."""
    energy_keV = np.asarray(energy_keV, float)
    return np.where(energy_keV <= REQUIREMENT_BREAK_KEV, REQUIREMENT_LOW_KEV, REQUIREMENT_HIGH_KEV)


def position(energy_keV, gain, offset):
    """Position x on the channel axis of `energy_keV`; broadcasts (energies against pixels)."""
    return (energy_keV - offset) / gain


def energy_error(energy_keV, gain, offset, gain_true, offset_true):
    """Signed error (keV) of the energy that the relation gives to a photon of `energy_keV`.

    The photon stands where the true relation puts it; the error is what the relation under test
    says there, less the energy. Arguments broadcast; NaN where there is no answer.
    """
    return gain * position(energy_keV, gain_true, offset_true) + offset - energy_keV


def relation_covariance(rows) -> np.ndarray:
    """Covariance (n, 2, 2) of gain and offset from the columns of a relation."""
    names = (("GAIN_ERR", "GAIN_OFFSET_COV"), ("GAIN_OFFSET_COV", "OFFSET_ERR"))
    covariance = np.array([[np.asarray(rows[name], float) for name in pair] for pair in names])
    for k in range(2):
        covariance[k, k] **= 2
    return np.moveaxis(covariance, 2, 0)


def energy_sigma(energy_keV, gain, offset, gain_err, offset_err, gain_offset_cov):
    """Standard deviation (keV) of the energy at `energy_keV` from the full covariance.

    sigma(E)^2 = x^2 Var(gain) + 2 x Cov(gain, offset) + Var(offset), x the position of E.
    """
    x = position(energy_keV, gain, offset)
    return np.sqrt(x**2 * gain_err**2 + 2 * x * gain_offset_cov + offset_err**2)


def pivot_energy(gain, offset, gain_err, gain_offset_cov):
    """Energy (keV) at which gain and energy are uncorrelated, and sigma(E) is smallest."""
    return offset - gain * gain_offset_cov / gain_err**2


def inject_errors(detnum, gain, offset, gain_sigma, offset_sigma_keV, seed, exposure):
    """True gain and offset of each pixel: the prior with seeded normal errors.

    Parameters
    ----------
    detnum : (n,) int
    gain, offset : (n,) float, keV/channel and keV
        What is known before.
    gain_sigma : float
        Standard deviation of the gain, as a share of it.
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
