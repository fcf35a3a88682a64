"""The report's view of the events: what became of those that were read, and their rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.events.tally import DEALT, WARN_FRACTION, lost_out_of
from pixelcal.energy.report.products import Products
from pixelcal.report.frame import packed
from pixelcal.report.numbers import percent

HEADINGS = ("What became of the events", "Events", "Of those read")


class Fate(NamedTuple):
    """What became of some of the events read.

    Attributes
    ----------
    text : str
        What became of them, in the words of the header.
    n : int
        How many they are.
    n_tested : int
        How many events came to this test: those that no setting left out before.
    is_lost : bool
        Whether no setting leaves them out, and more than WARN_FRACTION of `n_tested` are lost.
    """

    text: str
    n: int
    n_tested: int
    is_lost: bool


def fates(exposure: Products) -> list[Fate]:
    """What became of the events, from the header of the spectra: used, then each reason.

    Reasons without an event are left out. Empty where the spectra are older than these cards.
    """
    header = exposure.spectra.meta
    if "EVREAD" not in header or "EVUSED" not in header:
        return []
    n_read = header["EVREAD"]
    found = [Fate(header.comments["EVUSED"], header["EVUSED"], n_read, False)]
    tests = lost_out_of(header, n_read)
    for keyword in (keyword for keyword in header if keyword.startswith("REJ")):
        n, n_tested = header[keyword], tests.get(keyword, n_read)
        is_lost = keyword in tests and n > WARN_FRACTION * n_tested
        if n:
            found.append(Fate(header.comments[keyword], n, n_tested, is_lost))
    return found


def table(exposure: Products) -> list[dict]:
    """Rows of the table of one exposure: `cells` under HEADINGS, and whether it `is_lost`.

    The first row is of all events read; the others add up to it. A last one says that they were
    dealt to the pixels, where that is so. Empty for older spectra.
    """
    parts = fates(exposure)
    if not parts:
        return []
    n_read = exposure.spectra.meta["EVREAD"]
    first = Fate(exposure.spectra.meta.comments["EVREAD"], n_read, n_read, False)
    if "EVDEALT" in exposure.spectra.meta:
        n = exposure.spectra.meta["EVDEALT"]
        parts.append(Fate(f"{DEALT}: the files do not name the pixel", n, n_read, True))
    return [
        {"cells": (fate.text, f"{fate.n:,}", _of_read(fate.n, n_read)), "is_lost": fate.is_lost}
        for fate in (first, *parts)
    ]


def warnings(exposure: Products) -> list[str]:
    """A sentence for each reason for which too many events are lost, and for dealt ones."""
    dealt = (
        "The event files do not name the pixel: their events were dealt to the pixels at random,"
        " and no pixel has a spectrum that is its own."
    )
    return [dealt] * ("EVDEALT" in exposure.spectra.meta) + [
        f"{percent(fate.n / fate.n_tested, 1)} of the events are lost: {fate.n:,} of"
        f" {fate.n_tested:,} are {fate.text}."
        for fate in fates(exposure)
        if fate.is_lost
    ]


def losses(exposure: Products) -> tuple[int, int] | None:
    """Events that are lost, although no setting asks for it, and those read.

    None where the spectra do not say it: older ones, and ready spectra.
    """
    header = exposure.spectra.meta
    if "EVREAD" not in header:
        return None
    n_read = int(header["EVREAD"])
    return sum(int(header.get(keyword, 0)) for keyword in lost_out_of(header, n_read)), n_read


def _of_read(n: int, n_read: int) -> str:
    """A fraction in per cent; a few events among many are not 0."""
    text = percent(n / n_read, 2) if n_read else percent(0, 2)
    return "< 0.01 %" if n and text == percent(0, 2) else text


def rate(exposure: Products) -> dict | None:
    """The rate of the camera as the page draws it: `step` (s), `seconds` and `counts` (n_bins,).

    None where the spectra are older than their extension RATE.
    """
    if exposure.rate is None or len(exposure.rate) < 2:
        return None
    start = np.asarray(exposure.rate["TIME"], float)
    return {
        "step": float(start[-1] - start[0]) / (len(start) - 1),
        "seconds": packed(exposure.rate["SECONDS"], "f4"),
        "counts": packed(exposure.rate["COUNTS"], "i4"),
    }
