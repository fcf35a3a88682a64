"""Relations that bend alike: the columns of their curve, and the straight lines nearest to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import recfunctions

from pixelcal.energy.curve import Curve
from pixelcal.energy.kinds import of_kind
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import CURVE_COLUMNS, CURVE_ENDS
from pixelcal.energy.response.energy_scale import line_ends
from pixelcal.energy.response.extensions import curves
from pixelcal.status import has_valid_fit

NEAREST = "GAIN and OFFSET are the straight line nearest to a curve, off by up to %.3f keV"


def curve_of_pixels(response: str | Path, kinds: np.ndarray, table: LineTable) -> Curve | None:
    """The curve of pixels of some kinds (n,), by the learnt `response`; None without one."""
    known = curves(response, line_ends(table))
    if not known:
        return None
    of_pixels = [of_kind(known, str(kind)) for kind in kinds]
    middle, low = (
        np.array([getattr(one, name) for one in of_pixels]) for name in ("middle", "low")
    )
    return Curve(middle, low, line_ends(table))


def with_curve(rows: np.ndarray, curve: Curve | None) -> tuple[np.ndarray, list[tuple]]:
    """The rows (n,) of a relation with the columns of a curve, NaN without a valid fit, and header
    cards with its ends; as they are, and none, without a curve."""
    if curve is None:
        return rows, []
    valid = has_valid_fit(rows["STATUS"])
    columns = [np.where(valid, values, np.nan) for values in (curve.middle, curve.low)]
    named = zip(CURVE_ENDS, curve.ends, ("lowest", "highest"), strict=True)
    cards = [(keyword, end, f"[keV] {which} line, of the curve") for keyword, end, which in named]
    return recfunctions.append_fields(rows, CURVE_COLUMNS, columns, usemask=False), cards


def nearest_lines(rows: np.ndarray, curve: Curve | None) -> tuple[np.ndarray, list[tuple]]:
    """The rows (n,) with the straight relations nearest to curved ones, and a card that says so.

    For formats that know straight relations alone.
    """
    if curve is None:
        return rows, []
    rows = rows.copy()
    rows["GAIN"], rows["OFFSET"], largest = straightened(rows["GAIN"], rows["OFFSET"], curve)
    return rows, [("HISTORY", NEAREST % largest)]


def straightened(gain, offset, curve: Curve) -> tuple[np.ndarray, np.ndarray, float]:
    """Gain and offset (n,) of the straight lines nearest to curved relations, and how far (keV)
    these are off at most; NaN where the curve is."""
    pairs = np.column_stack([curve.middle, curve.low])
    known, kind = np.unique(pairs, axis=0, return_inverse=True)
    lines = [
        Curve(*pair, curve.ends).best_line() if np.isfinite(pair).all() else (np.nan,) * 3
        for pair in known.tolist()
    ]
    factor, shift, off = np.array(lines)[kind.ravel()].T
    return factor * gain, factor * offset + shift, float(np.nanmax(off, initial=0.0))
