"""Camera maps of the reports of both cameras: borders, small maps, legends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.camera import module_borders
from pixelcal.plotting.colours import STATUS_COLOURS
from pixelcal.status import StatusWords


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


def unit_squares(x: np.ndarray, y: np.ndarray) -> str:
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


def small_map(index: np.ndarray, words: Sequence[str], x: np.ndarray, y: np.ndarray) -> list[dict]:
    """The camera by what became of each pixel, as paths of an SVG of one unit per pixel.

    A path for each of `words`, to which `index` (n,) points. The paths are part of the page itself:
    they need no script and print. `x` and `y` (n,) count from the upper left corner.
    """
    parts = []
    for number, text in enumerate(words):
        chosen = index == number
        path = unit_squares(x[chosen], y[chosen])
        parts.append({"index": number, "words": text, "n": int(chosen.sum()), "path": path})
    return parts


MOST_STRETCHED = 4.0
"""A map of a strip of pixels is drawn at most so many times as wide as high, or as high as wide."""
SMALL_PX = 124


def view_of(x: np.ndarray, y: np.ndarray) -> dict:
    """What a small map shows: the rectangle of its pixels, and nothing of the camera around them.

    Parameters
    ----------
    x, y : int (n,)
        As `small_map` takes them.

    Returns
    -------
    dict
        `box`, the viewBox of the SVG; `width` and `height` (px), by which a strip of pixels is not
        reduced to a line.
    """
    left, top = int(x.min()), int(y.min())
    columns, rows = int(x.max()) + 1 - left, int(y.max()) + 1 - top
    ratio = float(np.clip(columns / rows, 1.0 / MOST_STRETCHED, MOST_STRETCHED))
    return {
        "box": f"{left} {top} {columns} {rows}",
        "width": round(SMALL_PX * min(ratio, 1.0)),
        "height": round(SMALL_PX / max(ratio, 1.0)),
    }


def status_legend(words: StatusWords) -> list[dict]:
    """Bit, label and colour of good pixels and of each STATUS bit."""
    return [
        {"bit": int(bit), "label": label, "colour": colour}
        for (bit, label), colour in zip(words.labels.items(), STATUS_COLOURS, strict=False)
    ]


def most_serious_first(words: StatusWords) -> list[int]:
    """STATUS bits, the most serious first."""
    return [int(bit) for bit in words.most_serious_first]
