"""The report's camera map: places of the pixels, borders of modules and sectors, all values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.camera import rows_of
from pixelcal.energy.report.energies import pass_classes
from pixelcal.energy.report.products import Products
from pixelcal.report import camera_map as report_map
from pixelcal.report.camera_map import broken_lines, unit_squares
from pixelcal.report.frame import packed
from pixelcal.status import ENERGY_WORDS

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
    """Places (n,) of the pixels `detnum` (n,), and borders as broken lines in pixels."""
    rows = rows_of(detnum, pixel_map)
    place = {name: np.asarray(pixel_map[name])[rows] for name in ("X", "Y", "MODULE", "SECTOR")}
    return {
        "width": int(np.max(pixel_map["X"])) + 1,
        "height": int(np.max(pixel_map["Y"])) + 1,
        "axes": ["X (pixel)", "Y (pixel)"],
        "scattered": False,
        "pixel": packed(detnum, "i2"),
        "x": packed(place["X"], "u2"),
        "y": packed(place["Y"], "u2"),
        "module": packed(place["MODULE"], "u2"),
        "sector": packed(place["SECTOR"], "u2"),
        "borders": {name.lower(): broken_lines(pixel_map, name) for name in ("MODULE", "SECTOR")},
    }


def values(own: Products) -> dict:
    """What the page holds of each pixel of an exposure, as packed arrays (n,)."""
    content = {key: packed(own.column(name), "f4") for key, name in SHOWN.items()}
    content["counts"] = packed(own.relation["COUNTS"], "i4")
    content["status"] = packed(own.status, "u1")
    if own.truth is not None:
        content["gain_true"] = packed(own.truth[0], "f4")
        content["offset_true"] = packed(own.truth[1], "f4")
    return content


def status_legend() -> list[dict]:
    """Bit, words and colour of good pixels and of each STATUS bit."""
    return report_map.status_legend(ENERGY_WORDS.labels)


def dominant_bits() -> list[int]:
    """STATUS bits, the gravest first."""
    return [int(bit) for bit in ENERGY_WORDS.most_serious_first]


def pass_map(own: Products, words: Sequence[str]) -> list[dict]:
    """The camera by what became of each pixel, as paths of an SVG of one unit a pixel.

    A path for each of `words`, those for the classes of `report_energies.pass_classes`. Y rises
    upwards. It stands in the page as it is: it needs no script and prints.
    """
    classes = pass_classes(own)
    x, y = np.asarray(own.relation["X"]), 79 - np.asarray(own.relation["Y"])
    paths = []
    for index, text in enumerate(words):
        chosen = classes == index
        path = unit_squares(x[chosen], y[chosen])
        paths.append({"index": index, "words": text, "n": int(chosen.sum()), "path": path})
    return paths
