"""What the page about the gains of many dates shows: alarms, camera, modules and every pixel."""

from __future__ import annotations

from datetime import UTC

import numpy as np
from astropy.table import Table

from pixelcal.charge.history.alarms import CLEAR_SIGMA
from pixelcal.charge.history.history import CROSSTALK, GAIN, History
from pixelcal.charge.history.product import counted
from pixelcal.charge.runs.dates import DAY_S, ZERO, utc_of_mjd
from pixelcal.charge.runs.pixel_grid import PixelGrid
from pixelcal.numerics.motion.alarms import Alarm
from pixelcal.numerics.statistics import medians
from pixelcal.report.camera_map import broken_lines
from pixelcal.report.frame import compact_json, decimals, packed
from pixelcal.report.numbers import ABSENT, number, with_error
from pixelcal.status import CHARGE_WORDS

TITLE = "SSTCAM: gains against time"
MOST_ROWS = 100_000
"""Pixels times sets on a page, about 7 MB; of a longer history the last sets are shown."""
ZERO_MS = 1000.0 * ZERO.replace(tzinfo=UTC).timestamp()
"""Zero of MJD in ms since 1970, as JavaScript has it."""


def page_content(history: History, alarms: list[Alarm], grid: PixelGrid) -> dict:
    """What the template `charge/history.html.j2` is filled with.

    Parameters
    ----------
    history : History
    alarms : list of Alarm
    grid : PixelGrid of all pixels of the map
    """
    epochs = history.epochs
    first = max(len(epochs) - max(MOST_ROWS // max(len(epochs.pixel), 1), 1), 0)
    shown = slice(first, None)
    data = {
        "epochs": {
            "name": list(epochs.names[shown]),
            "date": [utc_of_mjd(date)[:10] for date in epochs.start[shown]],
            "ms": [round(mjd * DAY_S * 1000.0 + ZERO_MS) for mjd in epochs.middle[shown]],
            "published": [False] * (len(epochs) - first),
        },
        "unit": epochs.unit,
        "status": list(CHARGE_WORDS.labels.values()),
        "camera": _camera(history, shown),
        "modules": _modules(history, shown),
        "pixels": _pixels(history, shown),
        "lab": [[name, decimals(values[shown], 6)] for name, values in epochs.lab.items()],
        "map": _map(history, grid),
    }
    return {
        "title": TITLE,
        "summary": {
            "n_epochs": len(epochs),
            "n_shown": len(epochs) - first,
            "n_pixels": len(epochs.pixel),
            "start": utc_of_mjd(epochs.start[0])[:10],
            "stop": utc_of_mjd(epochs.stop[-1])[:10],
            "unit": epochs.unit,
        },
        "alarms": [{"date": one.date[:10], "kind": one.kind, "text": one.text} for one in alarms],
        "clear_sigma": CLEAR_SIGMA,
        "has_dark": bool((np.nan_to_num(epochs.values["DARK"]) > 0).any()),
        "labs": list(epochs.lab),
        "headings": _headings(history),
        "rows": _rows(history),
        "learnt": _learnt(history),
        "data": compact_json(data),
    }


def _headings(history: History) -> list[str]:
    names = ["Set", "Date (UTC)", "Pixels used", f"Gain ({history.epochs.unit}), median"]
    names += ["Gain since the first (%)", "Crosstalk, median", "Dark counts, median"]
    return [*names, f"Pedestal ({history.epochs.unit}), median", *history.epochs.lab]


def _rows(history: History) -> list[list[str]]:
    """A row of the table of sets for each of them."""
    epochs, used = history.epochs, counted(history)
    middle = {
        name: medians(np.where(used, values, np.nan)) for name, values in epochs.values.items()
    }
    change, sigma = history.change("camera")
    rows = []
    for t, name in enumerate(epochs.names):
        moved = with_error(change[0, t], sigma[0, t], "{:+.2f}") if len(change) else ABSENT
        dark = middle["DARK"][t]
        lab = [number(values[t], "{:.6g}") for values in epochs.lab.values()]
        cells = [utc_of_mjd(epochs.start[t]).replace("T", " "), str(int(used[:, t].sum()))]
        cells += [number(middle["PE"][t], "{:.5g}"), moved, number(middle["OPCT"][t], "{:.4f}")]
        cells += [number(dark, "{:.3g}") if dark > 0 else ABSENT]
        rows.append([name, *cells, number(middle["EPED"][t], "{:.6g}"), *lab])
    return rows


def _learnt(history: History) -> list[tuple[str, ...]]:
    """Rows of the table of what moves: level, walks in a month (%), jumps."""
    month = np.sqrt(30.0)
    drift = history.drift
    return [
        (
            name,
            *(number(month * np.sqrt(series.walk.base[place]), "{:.2f}") for place in (0, 2)),
            str(int(series.opened.sum())),
        )
        for name, series in (
            ("camera", drift.camera),
            ("a module", drift.modules),
            ("a pixel", drift.pixels),
        )
    ]


def _camera(history: History, shown: slice) -> dict:
    """Changes of the camera, and medians over its pixels of what has no best value."""
    epochs, used, drift = history.epochs, counted(history), history.drift
    content = {}
    for key, state in (("gain", GAIN), ("opct", CROSSTALK)):
        change, sigma = history.change("camera", state)
        known = len(change) > 0
        nothing = np.full(len(epochs), np.nan)
        content[key] = decimals((change[0] if known else nothing)[shown], 5)
        content[f"{key}_sigma"] = decimals((sigma[0] if known else nothing)[shown], 5)
    jump = drift.camera.opened[0] if len(drift.camera.jump) else np.zeros(len(epochs), bool)
    content["jump"] = jump[shown].tolist()
    moved = epochs.values["EPED"] - _first(epochs.values["EPED"])
    content["eped"] = decimals(medians(np.where(used, moved, np.nan))[shown], 5)
    content["dark"] = decimals(medians(np.where(used, epochs.values["DARK"], np.nan))[shown], 5)
    return content


def _first(values: np.ndarray) -> np.ndarray:
    """The first number (n, 1) of each row that is known."""
    place = np.isfinite(values).argmax(axis=1)[:, None]
    return np.take_along_axis(values, place, axis=1)


def _modules(history: History, shown: slice) -> dict:
    change, sigma = history.change("modules")
    if not len(change):
        return {"number": []}
    return {
        "number": history.modules.tolist(),
        "gain": packed(change[:, shown], "f4"),
        "sigma": packed(sigma[:, shown], "f4"),
        "jump": packed(history.drift.modules.opened[:, shown], "u1"),
    }


def _pixels(history: History, shown: slice) -> dict:
    """Every pixel: single fits, best values, STATUS, whether it counts, and jumps."""
    epochs = history.epochs
    best_pe, best_pe_err, best_opct, best_opct_err = history.best()
    columns = {
        "pe": epochs.values["PE"],
        "pe_err": epochs.errors["PE"],
        "best_pe": best_pe,
        "best_pe_err": best_pe_err,
        "opct": epochs.values["OPCT"],
        "opct_err": epochs.errors["OPCT"],
        "best_opct": best_opct,
        "best_opct_err": best_opct_err,
        "eped": epochs.values["EPED"],
        "eped_err": epochs.errors["EPED"],
    }
    if (np.nan_to_num(epochs.values["DARK"]) > 0).any():
        columns |= {"dark": epochs.values["DARK"], "dark_err": epochs.errors["DARK"]}
    content = {name: packed(values[:, shown], "f4") for name, values in columns.items()}
    status = CHARGE_WORDS.dominant(epochs.status.ravel()).reshape(epochs.status.shape)
    flags = {"status": status, "jump": history.drift.jumps(), "used": counted(history)}
    content |= {name: packed(values[:, shown], "u1") for name, values in flags.items()}
    content["number"] = packed(epochs.pixel, "u2")
    content["module"] = packed(history.module, "u2")
    return content


def _map(history: History, grid: PixelGrid) -> dict:
    pixel = history.epochs.pixel
    borders = {"x": [], "y": []}
    if not grid.scattered:
        whole = Table({"X": grid.x, "Y": grid.y, "MODULE": grid.module})
        borders = broken_lines(whole, "MODULE")
    x, y = grid.x[pixel], grid.y[pixel]
    return {
        "left": float(x.min()),
        "low": float(y.min()),
        "width": float(np.ptp(x)) + 1.0,
        "height": float(np.ptp(y)) + 1.0,
        "x": packed(x, "f4"),
        "y": packed(y, "f4"),
        "borders": borders,
    }
