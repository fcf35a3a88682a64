"""The report's camera map: positions of the pixels, borders of modules and sectors, all values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.camera import rows_of
from pixelcal.energy.relation import CURVE_COLUMNS, CURVE_ENDS
from pixelcal.energy.report.energies import pass_classes
from pixelcal.energy.report.products import Products
from pixelcal.report.camera_map import broken_lines, small_map, view_of
from pixelcal.report.frame import packed, scaled

SHOWN = {
    "gain": "GAIN",
    "offset": "OFFSET",
    "gain_err": "GAIN_ERR",
    "offset_err": "OFFSET_ERR",
    "covariance": "GAIN_OFFSET_COV",
    "fwhm": "FWHM_60",
    "pvalue": "PVALUE",
}
"""Columns of the relation that the page holds; the page derives sigma(E) and errors from them."""


def camera(pixel_map: Table, detnum: np.ndarray) -> dict:
    """Positions (n,) of the pixels `detnum` (n,), and borders as broken lines in pixels."""
    rows = rows_of(detnum, pixel_map)
    position = {name: np.asarray(pixel_map[name])[rows] for name in ("X", "Y", "MODULE", "SECTOR")}
    return {
        "width": int(np.max(pixel_map["X"])) + 1,
        "height": int(np.max(pixel_map["Y"])) + 1,
        "axes": ["X (pixel)", "Y (pixel)"],
        "scattered": False,
        "pixel": packed(detnum, "i4"),
        "x": packed(position["X"], "u2"),
        "y": packed(position["Y"], "u2"),
        "module": packed(position["MODULE"], "u2"),
        "sector": packed(position["SECTOR"], "u2"),
        "borders": {name.lower(): broken_lines(pixel_map, name) for name in ("MODULE", "SECTOR")},
    }


def values(exposure: Products) -> dict:
    """What the page holds of each pixel of an exposure, as packed arrays (n,)."""
    content = {key: packed(exposure.column(name), "f4") for key, name in SHOWN.items()}
    content["counts"] = packed(exposure.relation["COUNTS"], "i4")
    content["status"] = packed(exposure.status, "u2")
    content |= _systematics(exposure)
    if CURVE_COLUMNS[0] in exposure.relation.dtype.names:
        content |= {name.lower(): packed(exposure.column(name), "f4") for name in CURVE_COLUMNS}
    if exposure.truth is not None:
        content["gain_true"] = packed(exposure.truth.gain, "f4")
        content["offset_true"] = packed(exposure.truth.offset, "f4")
        for k, displaced in enumerate(exposure.truth.at(exposure.energies_keV[:, None])):
            if displaced.any():
                content[f"displaced_{k}"] = packed(displaced, "f4")
    return content


def _systematics(exposure: Products) -> dict:
    """`sys_0`, `sys_1` ...: systematic uncertainty at each reference energy, as `scaled` (n,).

    0 without a valid fit. Nothing where the method knows none, or the relation is older.
    """
    names = [f"SYS_{energy:g}" for energy in exposure.energies_keV]
    if not set(names) <= set(exposure.relation.dtype.names):
        return {}
    values = [exposure.column(name) for name in names]
    if not np.isfinite(values).any():
        return {}
    return {f"sys_{i}": scaled(np.nan_to_num(one)) for i, one in enumerate(values)}


def curve_ends(exposure: Products) -> list[float] | None:
    """Ends (keV) of the curve of bent relations; None where they are straight."""
    if CURVE_COLUMNS[0] not in exposure.relation.dtype.names:
        return None
    return [float(exposure.relation.meta[keyword]) for keyword in CURVE_ENDS]


def small_view(exposure: Products, highest: int) -> dict:
    """What the small maps of an exposure show, as `view_of` gives it; Y rises to `highest`."""
    return view_of(np.asarray(exposure.relation["X"]), highest - np.asarray(exposure.relation["Y"]))


def pass_map(exposure: Products, words: Sequence[str], highest: int) -> list[dict]:
    """The camera by what became of each pixel: `words` for the classes of `energies.pass_classes`.

    Y rises upwards, to `highest`.
    """
    x, y = np.asarray(exposure.relation["X"]), np.asarray(exposure.relation["Y"])
    return small_map(pass_classes(exposure), words, x, highest - y)
