"""The calibration file of the mission: three columns, usable for every pixel, with a validity.

Beside it, in the same file, a table says of each pixel whether its values are new, and its STATUS.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from astropy.io import fits

from pixelcal.energy.events.clock import MISSION_EPOCH_UTC, MISSION_TIME_CARDS, mission_start
from pixelcal.energy.prior import read_prior, read_usable
from pixelcal.energy.results.merge import status_comments
from pixelcal.instrument import Instrument
from pixelcal.io.tables import table_hdu
from pixelcal.status import EnergyStatus, is_published

MISSION_EXTENSION = "AUX-ECL-PIX-CAL"
MISSION_DTYPE = np.dtype([("DETNUM", "i2"), ("GAIN", "f4"), ("OFFSET", "f4")])
"""As the mission has them: ECLAIRs' pixels need no more than two bytes."""
MISSION_UNITS = {"GAIN": "keV/chan", "OFFSET": "keV"}

STATUS_EXTENSION = "PIXEL-STATUS"
STATUS_DTYPE = np.dtype([("DETNUM", "i2"), ("UPDATED", "?"), ("STATUS", "i4")])

_logger = logging.getLogger(__name__)


def previous_relation(
    path, detnum: np.ndarray, gain_keV: float, offset_keV: float, instrument: Instrument
):
    """Gain and offset of every pixel of the camera before the fit, (n_pixels,) each.

    From the relation file; the nominal relation only for pixels outside of the run that the file
    has nothing usable for. A warning counts those.

    Raises
    ------
    InputError
        As `read_prior`, for the pixels `detnum` of the run.
    """
    n_pixels = instrument.n_pixels
    nominal = gain_keV, offset_keV
    gain, offset = read_prior(None, np.arange(n_pixels), *nominal, instrument=instrument)
    if path is None:
        return gain, offset
    read_prior(path, detnum, *nominal, instrument=instrument)  # every pixel of the run is usable
    usable, usable_gain, usable_offset = read_usable(path, instrument)
    inside = (usable >= 0) & (usable < n_pixels)
    gain[usable[inside]], offset[usable[inside]] = usable_gain[inside], usable_offset[inside]
    n_nominal = n_pixels - int(inside.sum())
    if n_nominal:
        _logger.warning(
            "relation file %s: has no usable GAIN and OFFSET for %d of the %d pixels, all outside"
            " of the run; they have the nominal relation in the mission's file",
            path,
            n_nominal,
            n_pixels,
        )
    return gain, offset


def mission_tables(rows: np.ndarray, previous) -> tuple[np.ndarray, np.ndarray]:
    """The mission's calibration of the whole camera, and what became of each pixel.

    Parameters
    ----------
    rows : (n,) structured array of FIT_DTYPE
    previous : gain and offset before the fit, (n_pixels,) each

    Returns
    -------
    calibration : (n_pixels,) DETNUM, GAIN, OFFSET
        Finite for every pixel: without a fit to be published (`status.is_published`) it keeps its
        previous value.
    status : (n_pixels,) DETNUM, UPDATED, STATUS
        A pixel that the user did not choose has the STATUS of a masked one.
    """
    new = is_published(rows["STATUS"])
    gain, offset = (np.array(values) for values in previous)
    for values, name in ((gain, "GAIN"), (offset, "OFFSET")):
        values[rows["DETNUM"][new]] = rows[name][new]
    return camera_tables(gain, offset, rows["DETNUM"], rows["STATUS"], new)


def camera_tables(gain, offset, detnum, fit_status, new) -> tuple[np.ndarray, np.ndarray]:
    """The two tables of the camera, as `mission_tables` returns them.

    Parameters
    ----------
    gain, offset : (n_pixels,) float
        Of every pixel.
    detnum, fit_status, new : (n,) int, int, bool
        Pixels that were fitted, their STATUS, and whether their values are new.
    """
    n_pixels = len(gain)
    calibration, status = np.empty(n_pixels, MISSION_DTYPE), np.empty(n_pixels, STATUS_DTYPE)
    calibration["DETNUM"] = status["DETNUM"] = np.arange(n_pixels)
    calibration["GAIN"], calibration["OFFSET"] = gain, offset
    status["UPDATED"], status["STATUS"] = False, EnergyStatus.MASKED
    status["STATUS"][detnum] = fit_status
    status["UPDATED"][detnum[new]] = True
    return calibration, status


def mission_hdus(
    rows: np.ndarray, previous, cards: list[tuple], spectra: Mapping
) -> list[fits.BinTableHDU]:
    """The two extensions of the file, as `mission_tables` makes them.

    `cards` are those of the relation, `spectra` is the header of the spectra: the validity begins
    with their first event and has no end.
    """
    calibration, status = mission_tables(rows, previous)
    start, remark = mission_start(spectra)
    validity = [*mission_cards(start, None), *([("HISTORY", remark)] if remark else [])]
    return calibration_hdus(calibration, status, cards, validity)


def calibration_hdus(
    calibration: np.ndarray,
    status: np.ndarray,
    cards: list[tuple],
    validity: list[tuple],
    notes: Sequence[tuple] = (),
) -> list[fits.BinTableHDU]:
    """The two extensions of a file from the tables of the camera.

    `cards` and `notes` are of both, with how many pixels keep their value; `validity` of the first.
    """
    kept = f"{(~status['UPDATED']).sum()} pixels keep their previous value"
    notes = [*notes, ("HISTORY", kept)]
    return [
        table_hdu(calibration, MISSION_EXTENSION, MISSION_UNITS, [*cards, *validity, *notes]),
        table_hdu(status, STATUS_EXTENSION, None, [*cards, *notes, *status_comments()]),
    ]


def mission_cards(start_s: float, stop_s: float | None) -> list[tuple]:
    """Header of the mission's calibration file: validity and calibration data base keywords.

    Parameters
    ----------
    start_s, stop_s : float, s of mission time
        Validity; without a stop it is open.
    """
    valid_from = MISSION_EPOCH_UTC + timedelta(seconds=start_s)
    cards = [
        ("CARD", MISSION_EXTENSION, "name of the calibration product"),
        *MISSION_TIME_CARDS,
        ("TSTART", start_s, "[s] start of validity"),
    ]
    if stop_s is not None:
        cards.append(("TSTOP", stop_s, "[s] end of validity"))
    return [
        *cards,
        ("CCLS0001", "CPF", "calibration product file"),
        ("CDTP0001", "DATA", "holds data"),
        ("CCNM0001", "GAIN_OFFSET", "content"),
        ("CBD10001", "NONE", "no parameter limits"),
        ("CVSD0001", valid_from.strftime("%Y-%m-%d"), "UTC date of the start of validity"),
        ("CVST0001", valid_from.strftime("%H:%M:%S"), "UTC time of the start of validity"),
        ("CDES0001", "Gain and offset of the ECLAIRs pixels", "description"),
    ]
