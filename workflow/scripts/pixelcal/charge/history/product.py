"""history.fits of the SSTCAM: a row for each pixel and set; sets, camera, modules and pixels."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from pixelcal.charge.history.history import CROSSTALK, GAIN, History
from pixelcal.charge.runs.dates import utc_of_mjd
from pixelcal.charge.spe.merge import status_comments
from pixelcal.charge.spe.ready import charge_units
from pixelcal.io.tables import as_rows, table_hdu
from pixelcal.numerics.statistics import medians

EXTENSION, EPOCHS, CAMERA, MODULES, PIXELS = "HISTORY", "EPOCHS", "CAMERA", "MODULES", "PIXELS"
QUANTITIES = ("PE", "OPCT", "DARK", "EPED")
CHARGES = (
    "PE", "PE_ERR", "EPED", "EPED_ERR", "BEST_PE", "BEST_PE_ERR", "REF_PE", "MEDIAN_PE",
    "MEDIAN_EPED",
)  # fmt: skip
"""Columns in the unit of a charge."""
LONGEST_NAME = 64


def counted(history: History) -> np.ndarray:
    """Fits (n, t) that count: trusted, and not wild."""
    return history.used & ~history.drift.pixels.wild


def history_hdus(history: History, false_alarms: float, cards: list[tuple]) -> list:
    """The extensions of the product; `cards` are the header of the first one."""
    drift, unit = history.drift, history.epochs.unit
    model = [
        ("UNITSAMP", unit, "unit of a charge"),
        ("NEPOCHS", len(history.epochs), "number of sets of runs"),
        ("FALSEAL", false_alarms, "false jumps expected in all sets, at most"),
        ("NOISE", drift.pixels.walk.noise, "factor on the errors of single sets, learnt"),
    ]
    for key, series, what in (
        ("CAM", drift.camera, "camera"),
        ("MOD", drift.modules, "modules"),
        ("PIX", drift.pixels, "pixels"),
    ):
        step = float(np.sqrt(series.walk.base[0]))
        model.append((f"{key}WALK", step, f"[%/sqrt(d)] walk of the gain of {what}, learnt"))
        model.append((f"{key}JUMPS", int(series.opened.sum()), f"number of jumps of {what}"))
    head = [*cards, *model, *status_comments()]
    tables = (
        (EXTENSION, _pixel_rows(history), head),
        (EPOCHS, _epoch_rows(history), ()),
        (CAMERA, _camera_rows(history), ()),
        (MODULES, _module_rows(history), ()),
        (PIXELS, _properties(history), ()),
    )
    return [_hdu(rows, name, unit, of_table) for name, rows, of_table in tables]


def _hdu(rows: np.ndarray, name: str, unit: str, cards) -> fits.BinTableHDU:
    units = {column: "adu" for column in CHARGES if column in rows.dtype.names}
    units = charge_units(units, unit)
    units |= {column: "d" for column in ("MJD",) if column in rows.dtype.names}
    return table_hdu(rows, name, units, cards)


def _pixel_rows(history: History) -> np.ndarray:
    epochs = history.epochs
    n, n_epochs = epochs.status.shape
    each = lambda values: np.broadcast_to(values, (n, n_epochs)).ravel()  # noqa: E731
    columns = {
        "PIXEL": each(epochs.pixel[:, None]).astype("i2"),
        "EPOCH": each(np.arange(n_epochs)).astype("i2"),
        "MJD": each(epochs.middle),
    }
    for name in QUANTITIES:
        columns[name] = epochs.values[name].ravel()
        columns[f"{name}_ERR"] = epochs.errors[name].ravel()
    change, sigma = history.change("pixels")
    names = ("BEST_PE", "BEST_PE_ERR", "BEST_OPCT", "BEST_OPCT_ERR")
    columns |= {
        "STATUS": epochs.status.ravel().astype("i4"),
        "USED": counted(history).ravel().astype("u1"),
        "JUMP": history.drift.jumps().ravel(),
        **{name: v.ravel() for name, v in zip(names, history.best(), strict=True)},
        "CHANGE": change.ravel().astype("f4"),
        "SIGMA": sigma.ravel().astype("f4"),
    }
    return as_rows(**columns)


def _epoch_rows(history: History) -> np.ndarray:
    epochs, used = history.epochs, counted(history)
    text = lambda values, width: np.array(values, f"S{width}")  # noqa: E731
    columns = {
        "EPOCH": np.arange(len(epochs)).astype("i2"),
        "NAME": text([name.encode("ascii", "replace") for name in epochs.names], LONGEST_NAME),
        "FILE": text([path.encode("ascii", "replace")[-200:] for path in epochs.files], 200),
        "SHA256": text([checksum.encode() for checksum in epochs.checksums], 64),
        "DATE_OBS": text([utc_of_mjd(date).encode() for date in epochs.start], 19),
        "DATE_END": text([utc_of_mjd(date).encode() for date in epochs.stop], 19),
        "MJD": epochs.middle,
        "N_USED": used.sum(axis=0).astype("i4"),
        "N_JUMPS": history.drift.pixels.opened.sum(axis=0).astype("i4"),
    }
    for name in QUANTITIES:
        columns[f"MEDIAN_{name}"] = medians(np.where(used, epochs.values[name], np.nan))
    for number, values in enumerate(epochs.lab.values(), 1):
        columns[f"LAB{number}"] = values
    return as_rows(**columns)


def lab_cards(history: History) -> list[tuple]:
    """LABNAMn: what is in the columns LABn of EPOCHS."""
    return [
        (f"LABNAM{number}", name, f"column of table.csv, in LAB{number} of EPOCHS")
        for number, name in enumerate(history.epochs.lab, 1)
    ]


def _camera_rows(history: History) -> np.ndarray:
    """Change of gain and crosstalk of all pixels since the first set, in per cent."""
    n, drift = len(history.epochs), history.drift
    columns = {"EPOCH": np.arange(n).astype("i2"), "MJD": history.epochs.middle}
    for name, state in (("", GAIN), ("_OPCT", CROSSTALK)):
        change, sigma = history.change("camera", state)
        known = len(change) > 0
        columns[f"CHANGE{name}"] = change[0] if known else np.full(n, np.nan)
        columns[f"SIGMA{name}"] = sigma[0] if known else np.full(n, np.nan)
    columns["JUMP"] = drift.camera.jump[0] if len(drift.camera.jump) else np.zeros(n)
    return as_rows(**columns)


def _module_rows(history: History) -> np.ndarray:
    """The same of each module against the camera, a row for each set."""
    change, sigma = history.change("modules")
    g, n = len(history.modules), len(history.epochs)
    each = lambda values: np.broadcast_to(values, (g, n)).ravel()  # noqa: E731
    return as_rows(
        MODULE=each(history.modules[:, None]).astype("i2"),
        EPOCH=each(np.arange(n)).astype("i2"),
        MJD=each(history.epochs.middle).astype("f8"),
        CHANGE=np.asarray(change, float).reshape(-1),
        SIGMA=np.asarray(sigma, float).reshape(-1),
        JUMP=np.asarray(history.drift.modules.jump, float).reshape(-1),
    )


def _properties(history: History) -> np.ndarray:
    epochs, drift = history.epochs, history.drift
    return as_rows(
        PIXEL=epochs.pixel.astype("i2"),
        X=epochs.place[0],
        Y=epochs.place[1],
        MODULE=np.asarray(history.module, "i2"),
        N_USED=counted(history).sum(axis=1).astype("i4"),
        N_JUMPS=drift.pixels.opened.sum(axis=1).astype("i4"),
        REF_PE=history.typical[0],
        REF_OPCT=history.typical[1],
    )
