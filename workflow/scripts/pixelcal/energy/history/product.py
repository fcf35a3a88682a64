"""history.fits: a row for each pixel and epoch, and what epochs, camera and modules did."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.io import fits

from pixelcal.energy.events.clock import MISSION_TIME_CARDS
from pixelcal.energy.history.epochs import utc
from pixelcal.energy.history.history import History
from pixelcal.energy.history.tables import (
    CAMERA,
    EPOCHS,
    EXTENSION,
    HOUSEKEEPING,
    MODULES,
    PIXELS,
    energy_columns,
)
from pixelcal.energy.results.merge import status_comments
from pixelcal.io.tables import as_rows, table_hdu
from pixelcal.numerics.motion.drift import CAMERA_JUMP, MODULE_JUMP, PIXEL_JUMP, WILD
from pixelcal.numerics.statistics import medians

RELATION_UNITS = {
    "GAIN": "keV/chan", "OFFSET": "keV", "GAIN_ERR": "keV/chan", "OFFSET_ERR": "keV",
    "GAIN_OFFSET_COV": "keV**2/chan", "BEST_GAIN": "keV/chan", "BEST_OFFSET": "keV",
    "BEST_GAIN_ERR": "keV/chan", "BEST_OFFSET_ERR": "keV", "BEST_COV": "keV**2/chan",
}  # fmt: skip

LONGEST_NAME = 64


def history_hdus(
    history: History,
    places: np.ndarray,
    in_force: np.ndarray,
    names: Mapping[int, str],
    false_alarms: float,
    cards: list[tuple],
) -> list[fits.BinTableHDU]:
    """The extensions of the product.

    Parameters
    ----------
    history : History
    places : (n, 2) int
        X and Y of each pixel.
    in_force, names : as `publication.publish` and `publication.file_names` give them
    false_alarms : float
        As it was configured.
    cards : list
        Header of the first extension: telescope and provenance.
    """
    return [
        _pixel_rows(history, [*cards, *_model_cards(history, false_alarms)]),
        _epoch_rows(history, in_force, names),
        _camera_rows(history),
        _module_rows(history),
        _properties(history, places),
    ]


def _model_cards(history: History, false_alarms: float) -> list[tuple]:
    """Header: time, and what was learnt."""
    drift, high = history.drift, history.reference.pivots_keV[1]
    low = history.reference.pivots_keV[0]
    cards = [
        *MISSION_TIME_CARDS,
        ("NEPOCHS", len(history.epochs), "number of epochs"),
        ("PIVOT1", low, "[keV] first of the two energies that drift"),
        ("PIVOT2", high, "[keV] second of them"),
        ("FALSEAL", false_alarms, "false jumps expected in all epochs, at most"),
        ("NOISE", drift.pixels.walk.noise, "factor on the errors of single epochs, learnt"),
    ]
    for key, series, what in (
        ("CAM", drift.camera, "camera"),
        ("MOD", drift.modules, "modules"),
        ("PIX", drift.pixels, "pixels"),
    ):
        for number, place in ((1, 0), (2, 2)):
            step = float(np.sqrt(series.walk.base[place]))
            cards.append(
                (f"{key}WALK{number}", step, f"[keV/sqrt(d)] walk of {what} at PIVOT{number}")
            )
        cards.append((f"{key}JUMPS", int(series.opened.sum()), f"number of jumps of {what}"))
    return cards


def _big(fields: list[tuple]) -> np.dtype:
    """Types in the byte order of FITS: a large table is written as it is, without a copy."""
    return np.dtype([(name, f">{form}") for name, form in fields])


def _pixel_rows(history: History, cards) -> fits.BinTableHDU:
    epochs, energies = history.epochs, history.energies_keV
    n, n_epochs = epochs.status.shape
    number = "i2" if epochs.detnum.max(initial=0) < 2**15 else "i4"
    fields = [("DETNUM", number), ("EPOCH", "i2"), ("TIME", "f8")]
    fields += [(name, "f4") for name in list(RELATION_UNITS)[:5]]
    fields += [("STATUS", "i2"), ("USED", "u1"), ("JUMP", "u1")]
    fields += [(name, "f4") for name in list(RELATION_UNITS)[5:]]
    of_energy = {word: energy_columns(word, energies) for word in ("CHANGE", "SIGMA", "SYS")}
    fields += [(name, "f4") for names in of_energy.values() for name in names]
    rows = np.empty((n, n_epochs), _big(fields))
    rows["DETNUM"], rows["EPOCH"] = epochs.detnum[:, None], np.arange(n_epochs)
    rows["TIME"] = epochs.middle_s
    rows["GAIN"], rows["OFFSET"] = epochs.gain, epochs.offset
    rows["GAIN_ERR"] = np.sqrt(epochs.covariance[:, :, 0])
    rows["OFFSET_ERR"] = np.sqrt(epochs.covariance[:, :, 2])
    rows["GAIN_OFFSET_COV"] = epochs.covariance[:, :, 1]
    rows["STATUS"] = epochs.status
    rows["USED"] = history.counts & ~history.drift.pixels.wild
    rows["JUMP"] = history.drift.jumps()
    for epoch in range(n_epochs):
        part = rows[:, epoch]
        gain, offset, covariance = (values[:, 0] for values in history.relation(epoch))
        part["BEST_GAIN"], part["BEST_OFFSET"] = gain, offset
        part["BEST_GAIN_ERR"] = np.sqrt(covariance[:, 0])
        part["BEST_OFFSET_ERR"] = np.sqrt(covariance[:, 2])
        part["BEST_COV"] = covariance[:, 1]
        for place, energy in enumerate(energies):
            best, sigma = history.best(energy, epoch)
            part[of_energy["CHANGE"][place]] = best - history.best(energy, 0)[0]
            part[of_energy["SIGMA"][place]] = sigma
            part[of_energy["SYS"][place]] = epochs.systematic[:, epoch, place]
    units = {"TIME": "s", **RELATION_UNITS}
    units |= {name: "keV" for names in of_energy.values() for name in names}
    comments = [
        ("COMMENT", "A row for each pixel and epoch; BEST_ by all epochs together."),
        ("COMMENT", "CHANGE_: best energy minus that of the first epoch; SIGMA_: its"),
        ("COMMENT", "statistical error in the epoch; SYS_: systematic uncertainty."),
        ("COMMENT", "USED: 1 where the fit is trusted and not wild."),
        ("COMMENT", f"JUMP bits: {PIXEL_JUMP} pixel, {MODULE_JUMP} module, {CAMERA_JUMP} camera,"),
        ("COMMENT", f"  {WILD} a single epoch that fits neither those before nor after."),
    ]
    rows = rows.ravel().view(fits.FITS_rec)
    return table_hdu(rows, EXTENSION, units, [*cards, *comments, *status_comments()])


def _text(values) -> np.ndarray:
    """Texts in ASCII, of the length of the longest."""
    plain = [str(value).encode("ascii", "backslashreplace")[:LONGEST_NAME] for value in values]
    return np.array(plain, f"S{max(map(len, plain), default=1) or 1}")


def _epoch_rows(history: History, in_force, names) -> fits.BinTableHDU:
    epochs, n_epochs = history.epochs, len(history.epochs)
    columns = {
        "EPOCH": np.arange(n_epochs, dtype="i2"),
        "NAME": _text(epochs.names),
        "FILE": _text(epochs.files),
        "SHA256": _text(epochs.checksums),
        "TSTART": epochs.start_s,
        "TSTOP": epochs.stop_s,
        "DATE_OBS": _text(map(utc, epochs.start_s)),
        "DATE_END": _text(map(utc, epochs.stop_s)),
        "N_VALID": np.isfinite(epochs.gain).sum(axis=0).astype("i4"),
        "N_USED": (history.counts & ~history.drift.pixels.wild).sum(axis=0).astype("i4"),
        "N_JUMPS": history.drift.pixels.opened.sum(axis=0).astype("i4"),
        "PUBLISH": in_force == np.arange(n_epochs),
        "IN_FORCE": in_force.astype("i2"),
        "PUBLISHED": _text(names[epoch] for epoch in in_force.tolist()),
    }
    cards = [
        *MISSION_TIME_CARDS,
        ("COMMENT", "IN_FORCE: epoch whose file is in force; PUBLISHED: its name."),
    ]
    return table_hdu(as_rows(**columns), EPOCHS, {"TSTART": "s", "TSTOP": "s"}, cards)


def _camera_rows(history: History) -> fits.BinTableHDU:
    epochs, energies = history.epochs, history.energies_keV
    n_epochs = len(epochs)
    nothing = np.full((1, n_epochs), np.nan)
    columns = {"EPOCH": np.arange(n_epochs, dtype="i2"), "TIME": epochs.middle_s}
    has = len(history.drift.camera.best) > 0
    for energy in energies:
        change, sigma = history.motion("camera", energy) if has else (nothing, nothing)
        columns[f"MEAN_{energy:g}"] = energy + change[0]
        columns[f"SIGMA_{energy:g}"] = sigma[0]
    for place, energy in enumerate(energies):
        columns[f"SYS_{energy:g}"] = medians(epochs.systematic[:, :, place])
    columns["JUMP"] = history.drift.camera.jump[0] if has else np.zeros(n_epochs)
    units = {name: "keV" for name in columns if name not in ("EPOCH", "TIME", "JUMP")}
    comments = [
        ("COMMENT", "MEAN_: mean energy at the place of that energy in the first epoch."),
        ("COMMENT", "SIGMA_: statistical error of its change; SYS_: systematic uncertainty of a"),
        ("COMMENT", "typical pixel, which does not average down. JUMP: chi-square, 0 where none."),
    ]
    return table_hdu(
        as_rows(**columns), CAMERA, units | {"TIME": "s"}, [*MISSION_TIME_CARDS, *comments]
    )


def _module_rows(history: History) -> fits.BinTableHDU:
    epochs, energies, number = history.epochs, history.energies_keV, history.modules
    shape = (len(number), len(epochs))
    columns = {
        "MODULE": np.broadcast_to(number[:, None].astype("i4"), shape),
        "EPOCH": np.broadcast_to(np.arange(len(epochs), dtype="i2"), shape),
        "TIME": np.broadcast_to(epochs.middle_s, shape),
    }
    for energy in energies:
        change, sigma = history.motion("modules", energy)
        columns[f"CHANGE_{energy:g}"], columns[f"SIGMA_{energy:g}"] = change, sigma
    columns["JUMP"] = history.drift.modules.jump
    units = {name: "keV" for name in columns if "_" in name} | {"TIME": "s"}
    comment = ("COMMENT", "CHANGE_: change against the camera since the first epoch.")
    rows = as_rows(**{name: values.ravel() for name, values in columns.items()})
    return table_hdu(rows, MODULES, units, [*MISSION_TIME_CARDS, comment])


def _properties(history: History, places: np.ndarray) -> fits.BinTableHDU:
    drift = history.drift
    walk = drift.pixels.walk
    columns = {
        "DETNUM": history.epochs.detnum.astype("i4"),
        "X": places[:, 0].astype("i4"),
        "Y": places[:, 1].astype("i4"),
        "MODULE": history.module.astype("i4"),
        "N_USED": (history.counts & ~drift.pixels.wild).sum(axis=1).astype("i4"),
        "N_JUMPS": drift.pixels.opened.sum(axis=1).astype("i4"),
        "WALK": np.sqrt(walk.mobility * walk.base[2]),
        "REF_GAIN": history.reference.gain,
        "REF_OFFSET": history.reference.offset,
    }
    units = {"X": "pixel", "Y": "pixel", "WALK": "keV/d**(1/2)"}
    units |= {"REF_GAIN": "keV/chan", "REF_OFFSET": "keV"}
    comments = [
        ("COMMENT", "WALK: random walk of the energy at PIVOT2, learnt from the pixel's epochs."),
        ("COMMENT", "REF_: typical relation, by which the places of the energies go."),
    ]
    return table_hdu(as_rows(**columns), PIXELS, units, comments)


def housekeeping_hdu(history: History, name: str, values, found) -> fits.BinTableHDU:
    """How the energies of camera, modules and pixels respond to a number of the housekeeping.

    `values` (t,) are those of the epochs, `found` is what `housekeeping.respond` gives.
    """
    numbers = {
        "camera": np.full(len(found["camera"].value), -1),
        "modules": history.modules,
        "pixels": history.epochs.detnum,
    }
    levels = {"camera": "CAMERA", "modules": "MODULE", "pixels": "PIXEL"}
    low, high = (f"{energy:g}" for energy in history.reference.pivots_keV)
    whole = {
        key: np.concatenate([getattr(one, key) for one in found.values()])
        for key in ("value", "sigma")
    }
    columns = {
        "LEVEL": np.concatenate([np.full(len(numbers[key]), levels[key], "S6") for key in found]),
        "NUMBER": np.concatenate([numbers[key] for key in found]).astype("i4"),
        f"COEF_{low}": whole["value"][:, 0],
        f"SIGMA_{low}": whole["sigma"][:, 0],
        f"COEF_{high}": whole["value"][:, 1],
        f"SIGMA_{high}": whole["sigma"][:, 1],
    }
    known = values[np.isfinite(values)]
    cards = [
        ("HKNAME", name, "column of the housekeeping"),
        ("HKEPOCHS", len(known), "epochs with a known value"),
    ]
    if len(known):
        cards += [("HKLEAST", known.min(), "smallest"), ("HKMOST", known.max(), "largest")]
    cards += [
        ("COMMENT", "COEF_: change of the energy in keV per unit of the housekeeping; modules"),
        ("COMMENT", "against the camera, pixels against their module (NUMBER)."),
    ]
    return table_hdu(as_rows(**columns), HOUSEKEEPING, None, cards)
