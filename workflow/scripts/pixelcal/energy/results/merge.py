"""The fits of all chunks as one relation: the full product and the mission's three columns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from pixelcal.camera import rows_of
from pixelcal.energy.events.clock import MISSION_EPOCH_UTC, MISSION_TIME_CARDS
from pixelcal.energy.results.outliers import find_outliers
from pixelcal.energy.prior import read_prior, read_usable
from pixelcal.energy.relation import FIT_UNITS, N_PIXELS, NO_ANSWER, Status, relation_columns
from pixelcal.io.merge import placed_rows
from pixelcal.status import bit_comments, blank_unanswered

RELATION_EXTENSION = "RELATION"
MISSION_EXTENSION = "AUX-ECL-PIX-CAL"
STATUS_EXTENSION = "PIXEL-STATUS"

MISSION_DTYPE = np.dtype([("DETNUM", "i2"), ("GAIN", "f4"), ("OFFSET", "f4")])
STATUS_DTYPE = np.dtype([("DETNUM", "i2"), ("UPDATED", "?"), ("STATUS", "i4")])
RELATION_UNITS = {"X": "pixel", "Y": "pixel", **FIT_UNITS}

_logger = logging.getLogger(__name__)


def complete_status(rows: np.ndarray, x: np.ndarray, y: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """A copy of the fits (n,) with masked pixels, outliers, and NaN wherever there is no answer.

    Parameters
    ----------
    rows : (n,) structured array of FIT_DTYPE
    x, y : (n,) int
        Place of each pixel.
    bad : (m,) int
        DETNUM of the pixels that the user leaves out: they get STATUS bit 1 and no values, and are
        no neighbours to compare with.
    """
    rows = rows.copy()
    rows["STATUS"][np.isin(rows["DETNUM"], bad)] |= Status.MASKED
    blank_unanswered(rows, NO_ANSWER, ("GAIN", "OFFSET"))
    outlier = find_outliers(x, y, *relation_columns(rows))
    rows["STATUS"] |= np.where(outlier, Status.OUTLIER, 0).astype(np.int32)
    return rows


def relation_rows(rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows (n,) of the product: X and Y after DETNUM, then the columns of the fit."""
    return placed_rows(rows, x.astype(np.int16), y.astype(np.int16))


def place_of(detnum: np.ndarray, pixel_map) -> tuple[np.ndarray, np.ndarray]:
    """X and Y (n,) of the pixels `detnum` (n,) from the pixel map."""
    found = rows_of(detnum, pixel_map)
    return np.asarray(pixel_map["X"])[found], np.asarray(pixel_map["Y"])[found]


def previous_relation(path, detnum: np.ndarray, gain_keV: float, offset_keV: float):
    """Gain and offset of every pixel of the camera before the fit, (6400,) each.

    From the relation file; the nominal relation only for pixels outside of the run that the file
    has nothing usable for. A warning counts those.

    Raises
    ------
    InputError
        As `read_prior`, for the pixels `detnum` of the run.
    """
    gain, offset = read_prior(None, np.arange(N_PIXELS), gain_keV, offset_keV)
    if path is None:
        return gain, offset
    read_prior(path, detnum, gain_keV, offset_keV)  # every pixel of the run is usable
    usable, usable_gain, usable_offset = read_usable(path)
    inside = (usable >= 0) & (usable < N_PIXELS)
    gain[usable[inside]], offset[usable[inside]] = usable_gain[inside], usable_offset[inside]
    n_nominal = N_PIXELS - int(inside.sum())
    if n_nominal:
        _logger.warning(
            "relation file %s: has no usable GAIN and OFFSET for %d of the %d pixels, all outside"
            " of the run; they have the nominal relation in the mission's file",
            path,
            n_nominal,
            N_PIXELS,
        )
    return gain, offset


def mission_tables(rows: np.ndarray, previous) -> tuple[np.ndarray, np.ndarray]:
    """The mission's calibration of the whole camera, and what became of each pixel.

    Parameters
    ----------
    rows : (n,) structured array of FIT_DTYPE
    previous : gain and offset before the fit, (6400,) each

    Returns
    -------
    calibration : (6400,) DETNUM, GAIN, OFFSET
        Finite for every pixel: without an answer it keeps its previous value.
    status : (6400,) DETNUM, UPDATED, STATUS
        A pixel that the user did not choose has the STATUS of a masked one.
    """
    calibration, status = np.empty(N_PIXELS, MISSION_DTYPE), np.empty(N_PIXELS, STATUS_DTYPE)
    calibration["DETNUM"] = status["DETNUM"] = np.arange(N_PIXELS)
    calibration["GAIN"], calibration["OFFSET"] = previous
    status["UPDATED"], status["STATUS"] = False, Status.MASKED
    status["STATUS"][rows["DETNUM"]] = rows["STATUS"]
    answered = rows[(rows["STATUS"] & NO_ANSWER) == 0]
    for name in ("GAIN", "OFFSET"):
        calibration[name][answered["DETNUM"]] = answered[name]
    status["UPDATED"][answered["DETNUM"]] = True
    return calibration, status


def telescope_cards(carried: Sequence[tuple] = ()) -> list[tuple]:
    """TELESCOP, INSTRUME and ORIGIN; the first two as an earlier product has them."""
    known = {keyword: value for keyword, value, *_ in carried}
    return [
        ("TELESCOP", known.get("TELESCOP", "SVOM"), "mission"),
        ("INSTRUME", known.get("INSTRUME", "ECL"), "instrument"),
        ("ORIGIN", "pixelcal", "who made this file"),
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


def status_comments() -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean."""
    without = "GAIN and OFFSET are NaN with bit 1, 2 or 4: no answer."
    return bit_comments(Status, without)
