"""From relations to the products of a history: what the workflow and the command line share."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table

from pixelcal.camera import rows_of
from pixelcal.energy.history.alarms import find_alarms
from pixelcal.energy.history.epochs import Epochs
from pixelcal.energy.history.history import History, make_history, without_measurements
from pixelcal.energy.history.housekeeping import of_epochs, read_housekeeping, respond
from pixelcal.energy.history.product import history_hdus, housekeeping_hdu
from pixelcal.energy.history.publication import file_names, publish
from pixelcal.errors import InputError
from pixelcal.instrument import UNKNOWN, Instrument
from pixelcal.io.provenance import provenance_cards
from pixelcal.numerics.motion.alarms import Alarm

LOGGER = logging.getLogger("pixelcal")


class Assembled(NamedTuple):
    """What a history is written from."""

    history: History
    hdus: list[fits.BinTableHDU]
    alarms: list[Alarm]


def assemble(
    epochs: Epochs,
    instrument: Instrument,
    pixel_map: Table,
    settings: Mapping,
    creator: str,
    *,
    regressor: tuple[str, np.ndarray] | None = None,
    known_before: tuple[str, np.ndarray, np.ndarray] | None = None,
    code: str | None = None,
) -> Assembled:
    """Drift, jumps, alarms and the tables of history.fits.

    Parameters
    ----------
    epochs : Epochs
    instrument : Instrument
    pixel_map : Table
    settings : dict
        `history` of the configuration: false_alarms, alarms, publication.
    creator : str
        The rule or command that asks.
    regressor : name and (t,) float, optional
        A number of the housekeeping at each epoch.
    known_before : name, gain (n,) and offset (n,), optional
        As `alarms.find_alarms` takes it.
    code : str, optional
        Hash of the code behind the history.
    """
    rows = pixel_map[rows_of(epochs.detnum, pixel_map)]
    requirement, publication = instrument.requirement, settings["publication"]
    history = make_history(
        epochs, np.asarray(rows["MODULE"]), requirement, settings["false_alarms"]
    )
    found = None
    if regressor is not None:
        found = respond(history.drift, epochs.days, regressor[1])
    in_force = publish(
        history, requirement, publication["requirement_fraction"], publication["pixels"]
    )
    names = file_names(history, in_force, instrument.mission_file or "relation")
    limits = {what.removesuffix("_keV"): value for what, value in settings["alarms"].items()}
    alarms = find_alarms(history, in_force, names, limits, requirement, known_before)
    history = without_measurements(history)
    cards = [
        ("TELESCOP", epochs.card.get("TELESCOP", UNKNOWN), "mission"),
        ("INSTRUME", epochs.card.get("INSTRUME", UNKNOWN), "instrument"),
        ("ORIGIN", "pixelcal", "who made this file"),
        *provenance_cards(creator, settings=settings, code=code),
        *((key, epochs.card[key]) for key in ("LINETAB", "LINESHA") if key in epochs.card),
    ]
    places = np.stack([rows["X"], rows["Y"]], axis=1)
    hdus = history_hdus(history, places, in_force, names, settings["false_alarms"], cards)
    if found is not None:
        hdus.append(housekeeping_hdu(history, *regressor, found))
    return Assembled(history, hdus, alarms)


def regressor_of(epochs: Epochs, settings: Mapping) -> tuple[str, np.ndarray] | None:
    """Name and values (t,) of the configured housekeeping; None where there is none.

    Raises
    ------
    InputError
        As `housekeeping.read_housekeeping`; where no epoch has a value.
    """
    if settings["file"] is None:
        return None
    column = settings["column"]
    seconds, values = read_housekeeping(settings["file"], column, settings["time"])
    found = of_epochs(seconds, values, epochs.start_s, epochs.stop_s)
    n_known = np.count_nonzero(np.isfinite(found))
    if not n_known:
        raise InputError(
            f"{settings['file']}: column {column} has no value at the time of any epoch; check the"
            f" unit and the epoch of column {settings['time']}"
        )
    if n_known < len(found):
        LOGGER.warning(
            "%s: column %s has no value at the time of %d of %d epochs",
            settings["file"], column, len(found) - n_known, len(found),
        )  # fmt: skip
    return column, found
