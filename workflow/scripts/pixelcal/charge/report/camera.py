"""The camera map of the SSTCAM's report: places, borders, all values of the pixels."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from pixelcal.charge.report import checks
from pixelcal.charge.report.products import Products
from pixelcal.charge.spe.columns import PER_RUN, SHARED
from pixelcal.report import camera_map as report_map
from pixelcal.report.frame import decimals, packed
from pixelcal.status import ChargeStatus

MAP_WORDS = ("good", "in question", "without a valid fit", "masked by the user")
"""Classes of the small map of the verdict."""


NO_WAVEFORM = {"mean": [], "low": [], "high": [], "window": [0, 0]}


def camera(products: Products) -> dict:
    """Places (n,) of the pixels, and borders of modules as broken lines."""
    grid, row = products.grid, products.pixel
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
        "pixel": packed(products.pixel, "i2"),
        "x": packed(grid.x[row], kind),
        "y": packed(grid.y[row], kind),
        "x_m": packed(grid.x_m[row], "f4"),
        "y_m": packed(grid.y_m[row], "f4"),
        "module": packed(grid.module[row], "u2"),
        "borders": {"module": borders},
    }


def values(products: Products) -> dict:
    """What the page holds of each pixel, as packed arrays (n,); `_0`, `_1` ... are the runs."""
    content = {}
    for name in SHARED:
        for kind in ("", "_ERR"):
            content[f"{name}{kind}".lower()] = packed(products.column(f"{name}{kind}"), "f4")
    per_run = [(name, kind) for name in PER_RUN for kind in ("", "_ERR")]
    for name, kind in [*per_run, ("PEAK_VALLEY", "")]:
        for run, column in enumerate(products.column(f"{name}{kind}").T):
            content[f"{name}_{run}{kind}".lower()] = packed(column, "f4")
    with np.errstate(divide="ignore", invalid="ignore"):
        content["chi"] = packed(products.column("STAT") / products.column("DOF"), "f4")
    content |= checks.values(products)
    content["pvalue"] = packed(products.column("PVALUE"), "f4")
    content["status"] = packed(products.status, "u2")
    content["flashes"] = packed(np.asarray(products.spe["FLASHES"]).min(axis=1), "i4")
    content["peak"] = packed(_peaks_of(products), "f4")
    if products.truth is not None:
        for name in SHARED:
            content[f"{name.lower()}_true"] = packed(products.truth[name], "f4")
        for name in PER_RUN:
            for run, column in enumerate(np.asarray(products.truth[name]).T):
                content[f"{name.lower()}_{run}_true"] = packed(column, "f4")
    return content


def _peaks_of(products: Products) -> np.ndarray:
    """Sample (n,) of the peak of each pixel; NaN where there were no waveforms."""
    if products.peaks is None:
        return np.full(len(products.pixel), np.nan)
    peak = dict(zip(products.peaks.pixel.tolist(), products.peaks.peak.tolist(), strict=True))
    return np.array([peak.get(pixel, np.nan) for pixel in products.pixel.tolist()], float)


def classes(products: Products) -> np.ndarray:
    """Class (n,) of each pixel, an index into MAP_WORDS."""
    status = products.status
    result = np.where(status == 0, 0, 1)
    result[~products.has_valid_fit] = 2
    result[(status & int(ChargeStatus.MASKED)) != 0] = 3
    return result


def small_map(products: Products) -> dict:
    """The camera by what became of each pixel, as paths of an SVG of one unit per pixel."""
    grid, row = products.grid, products.pixel
    x = np.round(grid.x[row]).astype(int)
    y = np.round(grid.height - 1 - grid.y[row]).astype(int)
    parts = report_map.small_map(classes(products), MAP_WORDS, x, y)
    return {"view": report_map.view_of(x, y), "parts": parts}


def mean_waveform(products: Products) -> dict:
    """The mean waveform of the brightest run over the pixels that see light, around its level.

    `mean`, `low` and `high` (m,): median over the pixels, and where 68 % of them lie, each pixel
    relative to its own lowest sample; `window`, first and last sample of a typical pixel's.
    """
    if products.peaks is None:
        return NO_WAVEFORM
    live = products.peaks.live
    meta = products.spe.meta
    shown = products.peaks.mean_waveform[live if live.any() else slice(None)]
    shown = shown - np.nanmin(shown, axis=1, keepdims=True) if shown.size else shown
    known = shown[np.isfinite(shown).all(axis=1)]
    if not len(known):
        return NO_WAVEFORM
    low, middle, high = np.percentile(known, [16, 50, 84], axis=0)
    peak = products.peaks.peak[live] if live.any() else products.peaks.peak
    first = int(np.median(peak)) - meta["WINSHIFT"]
    return {
        "mean": decimals(middle, 3),
        "low": decimals(low, 3),
        "high": decimals(high, 3),
        "window": [first, first + meta["WINDOW"] - 1],
    }
