"""Kinds of pixels: those of one kind share a response, those of different kinds need not.

A pixel map with the column KIND names them; tables of pixels then have the column too. Without it
all pixels are of one kind, whose name is empty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
from astropy.table import Table

from pixelcal.camera import rows_of

logger = logging.getLogger("pixelcal")


def kinds_of(table) -> np.ndarray:
    """Kind (n,) of each row of a table of pixels, astropy Table or structured array."""
    names = table.colnames if hasattr(table, "colnames") else table.dtype.names
    if "KIND" not in names:
        return np.full(len(table), "")
    return np.array([_text(kind) for kind in table["KIND"]], dtype=str)


def kinds_of_pixels(detnum: np.ndarray, pixel_map: Table) -> np.ndarray | None:
    """Kind (n,) of the pixels `detnum` (n,); None where the pixel map has none."""
    if "KIND" not in pixel_map.colnames:
        return None
    return np.asarray(pixel_map["KIND"])[rows_of(detnum, pixel_map)]


def kind_of_row(row) -> str:
    """Kind of one row of a table of pixels, astropy Row or structured."""
    names = row.colnames if hasattr(row, "colnames") else row.dtype.names
    return _text(row["KIND"]) if "KIND" in names else ""


def rows_by_kind(kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of each kind, the most frequent first, then by name."""
    names, numbers = np.unique(kinds, return_counts=True)
    order = np.lexsort((names, -numbers))
    return {str(names[k]): np.flatnonzero(kinds == names[k]) for k in order}


def _text(kind) -> str:
    """Text of a FITS column, which may come as bytes."""
    return (kind.decode() if isinstance(kind, bytes) else str(kind)).strip()


FEWEST_PIXELS = 16
"""A kind with fewer pixels borrows the response of the most frequent kind."""

BORROWED = (
    "kind of pixel %s: %s; its %d pixels are fitted with the response of kind %s, of which the"
    " width alone can be their own"
)


def learn_by_kind(kinds: np.ndarray, learn: Callable) -> tuple[dict, dict[str, str]]:
    """The response of each kind of pixel.

    Parameters
    ----------
    kinds : (n,) str
    learn : function of rows (m,) to their Response

    Returns
    -------
    learnt : dict, kind -> Response
        The most frequent kind first.
    borrowed : dict, kind -> kind
        Kinds with too few pixels or counts, and what they borrow from; a warning says so.
    """
    rows = rows_by_kind(kinds)
    first = next(iter(rows))
    learnt, borrowed = {}, {}
    for kind, chosen in rows.items():
        why = ""
        if kind != first and len(chosen) < FEWEST_PIXELS:
            why = f"fewer than {FEWEST_PIXELS} pixels"
        else:
            learnt[kind] = learn(chosen)
            if kind != first and not learnt[kind].line_strength.any():
                why = "too few counts to learn from"
        if why:
            logger.warning(BORROWED, kind, why, len(chosen), first)
            learnt[kind], borrowed[kind] = learnt[first], first
    return learnt, borrowed


def of_kind(learnt: Mapping, kind: str):
    """What was learnt of a kind; of one that was not there, what the most frequent one has."""
    return learnt[kind] if kind in learnt else next(iter(learnt.values()))


def fit_by_kind(kinds: np.ndarray, fit: Callable) -> np.ndarray:
    """Rows (n,) of what `fit`, a function of kind and rows (m,), returns for those of each kind."""
    parts = [(rows, fit(kind, rows)) for kind, rows in rows_by_kind(kinds).items()]
    return in_order(parts, len(kinds))


def in_order(parts: list[tuple[np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    """All `n` rows, from pairs of where rows belong (m,) and the rows (m,)."""
    whole = np.empty(n, parts[0][1].dtype)
    for rows, part in parts:
        whole[rows] = part
    return whole
