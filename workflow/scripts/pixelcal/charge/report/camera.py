"""The camera map of the SSTCAM's report: places, borders, all values of the pixels."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from pixelcal.charge.report.products import Products
from pixelcal.charge.spe.columns import OWN, SHARED
from pixelcal.report import camera_map as report_map
from pixelcal.report.frame import decimals, packed
from pixelcal.status import ChargeStatus

MAP_WORDS = ("good", "in question", "without an answer", "masked by the user")
"""Classes of the small map of the verdict."""


def camera(own: Products) -> dict:
    """Places (n,) of the pixels, and borders of modules as broken lines."""
    grid, row = own.grid, own.pixel
    kind = "f4" if grid.scattered else "u2"
    borders = {"x": [], "y": []}
    if not grid.scattered:
        whole = Table({"X": grid.x, "Y": grid.y, "MODULE": grid.module})
        borders = report_map.broken_lines(whole, "MODULE")
    return {
        "width": grid.width,
        "height": grid.height,
        "axes": ["X (column of pixels)", "Y (row of pixels)"],
        "scattered": grid.scattered,
        "pixel": packed(own.pixel, "i2"),
        "x": packed(grid.x[row], kind),
        "y": packed(grid.y[row], kind),
        "x_m": packed(grid.x_m[row], "f4"),
        "y_m": packed(grid.y_m[row], "f4"),
        "module": packed(grid.module[row], "u2"),
        "borders": {"module": borders},
    }


def values(own: Products) -> dict:
    """What the page holds of each pixel, as packed arrays (n,); `_0`, `_1` ... are the runs."""
    content = {}
    for name in SHARED:
        for kind in ("", "_ERR"):
            content[f"{name}{kind}".lower()] = packed(own.column(f"{name}{kind}"), "f4")
    per_run = [(name, kind) for name in OWN for kind in ("", "_ERR")]
    for name, kind in [*per_run, ("PEAK_VALLEY", "")]:
        for run, column in enumerate(own.column(f"{name}{kind}").T):
            content[f"{name}_{run}{kind}".lower()] = packed(column, "f4")
    with np.errstate(divide="ignore", invalid="ignore"):
        content["chi"] = packed(own.column("STAT") / own.column("DOF"), "f4")
    content["pvalue"] = packed(own.column("PVALUE"), "f4")
    content["status"] = packed(own.status, "u1")
    content["flashes"] = packed(np.asarray(own.spe["FLASHES"]).min(axis=1), "i4")
    content["peak"] = packed(_peaks_of(own), "f4")
    if own.truth is not None:
        for name in SHARED:
            content[f"{name.lower()}_true"] = packed(own.truth[name], "f4")
        for name in OWN:
            for run, column in enumerate(own.truth[name].T):
                content[f"{name.lower()}_{run}_true"] = packed(column, "f4")
    return content


def _peaks_of(own: Products) -> np.ndarray:
    """Sample (n,) of the peak of each pixel."""
    peak = dict(zip(own.peaks.pixel.tolist(), own.peaks.peak.tolist(), strict=True))
    return np.array([peak.get(pixel, np.nan) for pixel in own.pixel.tolist()], float)


def classes(own: Products) -> np.ndarray:
    """Class (n,) of each pixel, an index into MAP_WORDS."""
    status = own.status
    result = np.where(status == 0, 0, 1)
    result[~own.has_valid_fit] = 2
    result[(status & int(ChargeStatus.MASKED)) != 0] = 3
    return result


def small_map(own: Products) -> dict:
    """The camera by what became of each pixel, as paths of an SVG of one unit a pixel."""
    grid, row = own.grid, own.pixel
    x = np.round(grid.x[row]).astype(int)
    y = np.round(grid.height - 1 - grid.y[row]).astype(int)
    parts = report_map.small_map(classes(own), MAP_WORDS, x, y)
    return {"width": grid.width, "height": grid.height, "parts": parts}


def mean_waveform(own: Products) -> dict:
    """The mean waveform of the brightest run over the pixels that see light, around its level.

    `mean`, `low` and `high` (m,): median over the pixels, and where 68 % of them lie, each pixel
    relative to its own lowest sample; `window`, first and last sample of a typical pixel's.
    """
    live = own.peaks.live
    meta = own.spe.meta
    shown = own.peaks.mean_waveform[live if live.any() else slice(None)]
    shown = shown - np.nanmin(shown, axis=1, keepdims=True) if shown.size else shown
    known = shown[np.isfinite(shown).all(axis=1)]
    if not len(known):
        return {"mean": [], "low": [], "high": [], "window": [0, 0]}
    low, middle, high = np.percentile(known, [16, 50, 84], axis=0)
    peak = own.peaks.peak[live] if live.any() else own.peaks.peak
    first = int(np.median(peak)) - meta["WINSHIFT"]
    return {
        "mean": decimals(middle, 3),
        "low": decimals(low, 3),
        "high": decimals(high, 3),
        "window": [first, first + meta["WINDOW"] - 1],
    }
