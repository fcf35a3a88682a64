"""The report's camera map: places of the pixels, borders of modules and sectors, all values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.camera import module_borders, rows_of
from pixelcal.eclairs.quantities import GRAVEST_FIRST, STATUS_LABELS
from pixelcal.eclairs.report_energies import pass_classes
from pixelcal.eclairs.report_products import Products
from pixelcal.labels import STATUS_COLOURS
from pixelcal.report import packed

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
        "detnum": packed(detnum, "i2"),
        "x": packed(place["X"], "u2"),
        "y": packed(place["Y"], "u2"),
        "module": packed(place["MODULE"], "u2"),
        "sector": packed(place["SECTOR"], "u2"),
        "borders": {name.lower(): broken_lines(pixel_map, name) for name in ("MODULE", "SECTOR")},
    }


def broken_lines(pixel_map: Table, column: str) -> dict[str, list]:
    """Borders between pixels that differ in `column`, as x and y with None between the lines.

    Pieces of one pixel's length that lie in a row become one line.
    """
    same = Table({"X": pixel_map["X"], "Y": pixel_map["Y"], "MODULE": pixel_map[column]})
    x, y = module_borders(same)
    lines: list[list[float]] = []
    pieces = np.stack([x[0], y[0], x[1], y[1]], axis=1)
    upright = pieces[:, 0] == pieces[:, 2]
    # Rising along the line, one row or column of the camera after the other.
    order = np.lexsort(
        (
            np.where(upright, pieces[:, 1], pieces[:, 0]),
            np.where(upright, pieces[:, 0], pieces[:, 1]),
            upright,
        )
    )
    for x0, y0, x1, y1 in pieces[order].tolist():
        if lines and lines[-1][2:] == [x0, y0] and (lines[-1][0] == x1 or lines[-1][1] == y1):
            lines[-1][2:] = [x1, y1]
        else:
            lines.append([x0, y0, x1, y1])
    return {
        "x": [value for line in lines for value in (line[0], line[2], None)],
        "y": [value for line in lines for value in (line[1], line[3], None)],
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
    return [
        {"bit": int(bit), "label": label, "colour": colour}
        for (bit, label), colour in zip(STATUS_LABELS.items(), STATUS_COLOURS, strict=True)
    ]


def gravest_bits() -> list[int]:
    """STATUS bits, the gravest first."""
    return [int(bit) for bit in GRAVEST_FIRST]


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
        path = _runs(x[chosen], y[chosen])
        paths.append({"index": index, "words": text, "n": int(chosen.sum()), "path": path})
    return paths


def _runs(x: np.ndarray, y: np.ndarray) -> str:
    """SVG path of unit squares; neighbours in a row become one rectangle."""
    pieces = []
    order = np.lexsort((x, y))
    start = length = row = None
    for column, line in zip(x[order].tolist(), y[order].tolist(), strict=True):
        if row == line and column == start + length:
            length += 1
            continue
        if row is not None:
            pieces.append(f"M{start} {row}h{length}v1h-{length}z")
        start, length, row = column, 1, line
    if row is not None:
        pieces.append(f"M{start} {row}h{length}v1h-{length}z")
    return "".join(pieces)
