"""Lines of alarms.txt: what moved or jumped in a history, the most serious first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

MOST_LINES = 200
"""Of one kind; the last of them says how many more there are."""


class Alarm(NamedTuple):
    """One line of alarms.txt.

    Attributes
    ----------
    date : str
        UTC of the first moment of the epoch.
    kind : str
    number : int
        Of the module or the pixel; -1 for the camera.
    size : float
        By which alarms of a kind are sorted, the largest first.
    text : str
    """

    date: str
    kind: str
    number: int
    size: float
    text: str

    def line(self) -> str:
        """Date, kind and text in columns."""
        return f"{self.date[:10]}  {self.kind:<12} {self.text}"


def in_words(value: float, sigma: float, unit: str, digits_without: int) -> str:
    """A signed change with its error, both to two digits of the error: "+0.403 ± 0.012 keV"."""
    digits = digits_without
    if sigma > 0:
        digits = int(np.clip(1 - np.floor(np.log10(sigma)), 1, 4))
    sign = "−" if value < 0 else "+"
    return f"{sign}{abs(value):.{digits}f} ± {sigma:.{digits}f} {unit}"


def whose(level: str, number: int) -> str:
    """How the text of an alarm begins: "pixel 5: ", nothing for the camera."""
    return "" if level == "camera" else f"{level} {number}: "


def most_serious_first(alarms: Iterable[Alarm], kinds: Sequence[str]) -> list[Alarm]:
    """Alarms in the order of their `kinds`, then of their size; at most MOST_LINES of a kind.

    The last of a kind says how many are left out.
    """
    rank = {kind: place for place, kind in enumerate(kinds)}
    alarms = sorted(alarms, key=lambda one: (rank[one.kind], -one.size, one.number, one.date))
    result: list[Alarm] = []
    for kind in kinds:
        same = [alarm for alarm in alarms if alarm.kind == kind]
        result += same[:MOST_LINES]
        if len(same) > MOST_LINES:
            last, more = result[-1], len(same) - MOST_LINES
            result[-1] = last._replace(text=f"{last.text}; and {more} more: see history.fits")
    return result
