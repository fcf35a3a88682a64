"""The mission's calibration files of a history: each in force from its epoch to the next file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.io import fits

from pixelcal.energy.history.tables import EPOCHS, EXTENSION
from pixelcal.energy.results.mission_file import (
    calibration_hdus,
    camera_tables,
    mission_cards,
)
from pixelcal.io.tables import read_columns


class MissionFile(NamedTuple):
    """One file to be published.

    Attributes
    ----------
    name : str
        Without the ending.
    exposure : str
    start_s, stop_s : float, s of mission time
        Validity; None for the last, which has no end.
    calibration, status : structured arrays of `mission_file.MISSION_DTYPE`, `STATUS_DTYPE`
    """

    name: str
    exposure: str
    start_s: float
    stop_s: float | None
    calibration: np.ndarray
    status: np.ndarray


def mission_files(path, previous: tuple[np.ndarray, np.ndarray]) -> list[MissionFile]:
    """The files that a history publishes, by rising time.

    Parameters
    ----------
    path : path of history.fits
    previous : gain and offset (n_pixels,) of the whole camera before the first file
        What a pixel keeps that never had a valid fit before.
    """
    rows, epochs = read_columns(path, EXTENSION), read_columns(path, EPOCHS)
    chosen = np.flatnonzero(np.asarray(epochs["PUBLISH"]))
    starts = np.asarray(epochs["TSTART"], float)[chosen]
    stops = [*starts[1:].tolist(), None]
    gain, offset = (np.array(values, float) for values in previous)
    at = np.asarray(rows["EPOCH"])
    files = []
    for epoch, start, stop in zip(chosen.tolist(), starts.tolist(), stops, strict=True):
        part = rows[at == epoch]
        detnum = np.asarray(part["DETNUM"], int)
        new = np.isfinite(part["BEST_GAIN"]) & np.isfinite(part["BEST_OFFSET"])
        gain[detnum[new]], offset[detnum[new]] = part["BEST_GAIN"][new], part["BEST_OFFSET"][new]
        names = str(epochs["PUBLISHED"][epoch]), str(epochs["NAME"][epoch])
        made = camera_tables(gain, offset, detnum, part["STATUS"], new)
        files.append(MissionFile(*names, start, stop, *made))
    return files


def mission_hdus(file: MissionFile, cards: list[tuple]) -> list[fits.BinTableHDU]:
    """The two extensions of a file, as those of a single exposure have them.

    `cards` say where it comes from.
    """
    cards = [*cards, ("EXPNAME", file.exposure, "epoch whose best relation it is")]
    validity = mission_cards(file.start_s, file.stop_s)
    note = ("HISTORY", "best relation of the epoch, by all epochs of the history")
    return calibration_hdus(file.calibration, file.status, cards, validity, [note])
