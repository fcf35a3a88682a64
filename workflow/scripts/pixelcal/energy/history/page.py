"""What history.html shows: camera, modules and every pixel against time, as small integers.

A pixel and epoch takes nine bytes: two best energies, how far the single epoch is from them in
units of its error, two errors, and flags. The page brings its plots with it and no library.
"""

from __future__ import annotations

from datetime import UTC

import numpy as np
from astropy.table import Table

from pixelcal.energy.events.clock import MISSION_EPOCH_UTC
from pixelcal.energy.history.tables import HistoryTables
from pixelcal.energy.relation import energy_sigma, position
from pixelcal.report.camera_map import broken_lines
from pixelcal.report.frame import compact_json, decimals, packed
from pixelcal.report.numbers import number
from pixelcal.status import ENERGY_WORDS, is_trusted

MOST_ROWS = 720_000
"""Pixels times epochs on a page, under 10 MB; of a longer history the last epochs are shown."""

STEP_KEV = 0.001
"""Of best energies."""

MODULE_STEP_KEV = 0.0001
"""Of the motion of modules, which is known better."""

NOTHING = -32768
"""A best energy that is not known."""

SIGMA_UNIT_KEV, SIGMA_STEP = 1e-4, 0.04
"""Errors are by their logarithm, right to 2 %; 0 is none."""

FAR_STEPS = 18.0
"""Steps of the inverse hyperbolic sine of a distance in errors: fine when near, never cut off."""

MILLISECONDS = 1000.0
EPOCH_MS = MILLISECONDS * MISSION_EPOCH_UTC.replace(tzinfo=UTC).timestamp()
"""Zero of mission time in ms since 1970 (UTC without leap seconds, as JavaScript has it)."""


def page_content(tables: HistoryTables, alarms: str, pixel_map: Table, title: str) -> dict:
    """What the template `history/history.html.j2` is filled with.

    Parameters
    ----------
    tables : HistoryTables
    alarms : str
        The text of alarms.txt.
    pixel_map : Table
    title : str
        Name of the instrument.
    """
    first = max(len(tables.epochs) - MOST_ROWS // max(len(tables.pixels), 1), 0)
    shown = slice(first, None)
    header = tables.rows.meta
    pivots = float(header["PIVOT1"]), float(header["PIVOT2"])
    epochs, camera = tables.epochs[shown], tables.camera[shown]
    data = {
        "pivots": pivots,
        "energies": tables.energies_keV,
        "epochs": {
            "name": [str(name) for name in epochs["NAME"]],
            "date": [str(date)[:10] for date in epochs["DATE_OBS"]],
            "ms": [round(s * MILLISECONDS + EPOCH_MS) for s in np.asarray(camera["TIME"]).tolist()],
            "published": [bool(flag) for flag in epochs["PUBLISH"]],
        },
        "camera": _camera(camera, tables.energies_keV),
        "modules": _modules(tables, shown, pivots),
        "pixels": _pixels(tables, shown, pivots),
        "map": _map(tables, pixel_map),
        "status": [label for label in ENERGY_WORDS.labels.values()],
        "step": STEP_KEV,
        "module_step": MODULE_STEP_KEV,
        "sigma": [SIGMA_UNIT_KEV, SIGMA_STEP],
        "far": FAR_STEPS,
    }
    return {
        "title": f"{title}: history",
        "instrument": title,
        "summary": _summary(tables, first),
        "alarms": alarm_rows(alarms),
        "learnt": _learnt(header),
        "data": compact_json(data),
    }


def alarm_rows(text: str) -> list[dict]:
    """Date, kind and text of each line of alarms.txt; what is no alarm has the kind "file"."""
    rows = []
    for line in text.splitlines():
        if line == "no alarm":
            continue
        rows.append({"date": line[:10], "kind": line[12:24].strip(), "text": line[25:]})
    return rows


def _summary(tables: HistoryTables, first: int) -> dict:
    epochs = tables.epochs
    return {
        "n_epochs": len(epochs),
        "n_pixels": len(tables.pixels),
        "n_shown": len(epochs) - first,
        "start": str(epochs["DATE_OBS"][0])[:10],
        "stop": str(epochs["DATE_END"][-1])[:10],
        "n_files": int(np.sum(epochs["PUBLISH"])),
        "file": str(epochs["PUBLISHED"][-1]),
    }


def _learnt(header) -> list[tuple[str, ...]]:
    """Rows of the table of what moves: level, walk at both pivots (eV in a week), jumps."""
    week = 1000.0 * np.sqrt(7.0)
    return [
        (
            name,
            *(number(week * header[f"{key}WALK{k}"], "{:.1f}") for k in (1, 2)),
            str(header[f"{key}JUMPS"]),
        )
        for key, name in (("CAM", "camera"), ("MOD", "a module"), ("PIX", "a pixel"))
    ]


def _camera(camera: Table, energies) -> dict:
    energy = [float(text) for text in energies]
    return {
        "change": [decimals(np.asarray(camera[f"MEAN_{e:g}"]) - e, 5) for e in energy],
        "sigma": [decimals(camera[f"SIGMA_{e:g}"], 5) for e in energy],
        "sys": [decimals(camera[f"SYS_{e:g}"], 4) for e in energy],
        "jump": decimals(camera["JUMP"], 0),
    }


def _modules(tables: HistoryTables, shown: slice, pivots) -> dict:
    modules, n_epochs = tables.modules, len(tables.epochs)
    if not len(modules):
        return {"number": []}
    column = lambda name: np.asarray(modules[name]).reshape(-1, n_epochs)[:, shown]  # noqa: E731
    change, sigma = (
        np.stack([column(f"{word}_{e:g}") for e in pivots], axis=2) for word in ("CHANGE", "SIGMA")
    )
    return {
        "number": column("MODULE")[:, 0].tolist(),
        "change": packed(_steps(change, MODULE_STEP_KEV), "i2"),
        "sigma": packed(_logarithms(sigma), "u1"),
        "jump": packed(column("JUMP") > 0, "u1"),
    }


def _pixels(tables: HistoryTables, shown: slice, pivots) -> dict:
    """The nine bytes of each pixel and epoch."""
    column = lambda name: tables.column(name)[:, shown]  # noqa: E731
    gain, offset = (np.asarray(tables.pixels[f"REF_{name}"]) for name in ("GAIN", "OFFSET"))
    best, far, sigmas = [], [], {"single": [], "best": []}
    # Of the relation of the reference, so that all epochs have the same place.
    for energy in pivots:
        place = position(energy, gain, offset)[:, None]
        given = column("GAIN") * place + column("OFFSET")
        found = column("BEST_GAIN") * place + column("BEST_OFFSET")
        for kind, prefix, cov in (("single", "", "GAIN_OFFSET_COV"), ("best", "BEST_", "BEST_COV")):
            values = (
                f"{prefix}GAIN",
                f"{prefix}OFFSET",
                f"{prefix}GAIN_ERR",
                f"{prefix}OFFSET_ERR",
            )
            with np.errstate(invalid="ignore"):
                sigmas[kind].append(
                    energy_sigma(energy, *(column(name).astype(float) for name in (*values, cov)))
                )
        with np.errstate(invalid="ignore"):
            far.append((given - found) / sigmas["single"][-1])
        best.append(found - energy)
    trusted = is_trusted(column("STATUS")) & np.isfinite(column("GAIN"))
    status = ENERGY_WORDS.dominant(column("STATUS").ravel()).reshape(trusted.shape)
    result = {
        "number": packed(tables.pixels["DETNUM"], "u4"),
        "module": packed(tables.pixels["MODULE"], "u4"),
        "best": packed(_steps(np.stack(best, axis=2)), "i2"),
        "far": packed(_distances(np.stack(far, axis=2)), "u1"),
        "flags": packed(column("JUMP") | status << 4, "u1"),
        "used": packed(_bits(np.asarray(column("USED")) > 0), "u1"),
    }
    for kind, (low, high) in sigmas.items():
        result[f"{kind}_sigma"] = packed(_logarithms(high), "u1")
        # The lower energy by the typical ratio of the pixel.
        result[f"{kind}_ratio"] = packed(_ratios(low, high), "f4")
    return result


def _bits(flags: np.ndarray) -> np.ndarray:
    """Flags (n, t), eight in a byte, the first in the lowest bit."""
    return np.packbits(flags.ravel(), bitorder="little")


def _steps(values: np.ndarray, step_keV: float = STEP_KEV) -> np.ndarray:
    """Energies in whole steps."""
    known = np.isfinite(values)
    steps = np.clip(np.round(np.where(known, values, 0.0) / step_keV), -32767, 32767)
    return np.where(known, steps, NOTHING)


def _logarithms(sigma: np.ndarray) -> np.ndarray:
    """Errors by their logarithm, from 1 on; 0 where there is none."""
    known = np.isfinite(sigma) & (sigma > 0)
    steps = np.log(np.where(known, sigma, 1.0) / SIGMA_UNIT_KEV) / SIGMA_STEP
    return np.where(known, np.clip(np.round(steps), 1, 255), 0)


def _distances(far: np.ndarray) -> np.ndarray:
    """Distances in errors around 128; 0 where there is none."""
    known = np.isfinite(far)
    steps = FAR_STEPS * np.arcsinh(np.where(known, far, 0.0))
    return np.where(known, np.clip(np.round(steps), -127, 127) + 128, 0)


def _ratios(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Median (n,) over the epochs of the ratio of two errors; 1 where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sort(low / high, axis=1)  # NaN last
    n_known = np.isfinite(ratio).sum(axis=1)
    middle = ratio[np.arange(len(ratio)), np.maximum(n_known - 1, 0) // 2]
    return np.where(n_known > 0, middle, 1.0)


def _map(tables: HistoryTables, pixel_map: Table) -> dict:
    x, y = (np.asarray(pixel_map[name]) for name in ("X", "Y"))
    return {
        "width": int(x.max()) + 1,
        "height": int(y.max()) + 1,
        "x": packed(tables.pixels["X"], "u4"),
        "y": packed(tables.pixels["Y"], "u4"),
        "borders": broken_lines(pixel_map, "MODULE"),
    }
