"""STATUS, bits that say why a pixel is not to be trusted: what both cameras do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np


@dataclass(frozen=True)
class StatusWords:
    """What the bits are called, and which says most where a pixel has several.

    Attributes
    ----------
    labels : dict
        Words for 0 and for each bit, in the order of the legend.
    gravest_first : sequence
        All bits.
    """

    labels: Mapping[int, str]
    gravest_first: Sequence[int]

    def gravest(self, status: np.ndarray) -> np.ndarray:
        """Index (n,) into the labels of the one bit that says most about each pixel."""
        order = list(self.labels)
        status = np.asarray(status)
        result = np.zeros(len(status), int)
        for bit in reversed(self.gravest_first):
            result[(status & bit) != 0] = order.index(bit)
        return result

    def rank(self, status: np.ndarray) -> np.ndarray:
        """Place (n,) of each pixel's gravest bit: 0 for the gravest of all, last without any."""
        order = [*self.gravest_first, 0]
        place = np.array([order.index(bit) for bit in self.labels])
        return place[self.gravest(status)]

    def words(self, status: int) -> str:
        """All bits of one STATUS in words."""
        words = [label for bit, label in self.labels.items() if bit and status & bit]
        return ", ".join(words) or self.labels[0]


def bit_comments(bits: Iterable[IntFlag], without_answer: str) -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean; the last is `without_answer`."""
    named = [f"{bit.value} {bit.name}" for bit in bits]
    return [
        ("COMMENT", "STATUS bits: " + ", ".join(named[:4]) + ","),
        ("COMMENT", "  " + ", ".join(named[4:]) + "; 0 is good."),
        ("COMMENT", without_answer),
    ]


def blank_unanswered(rows: np.ndarray, no_answer: int, answers: Iterable[str]) -> None:
    """Put NaN into every float column of the rows (n,) whose STATUS says that there is no answer.

    Parameters
    ----------
    rows : (n,) structured array
        The number of a pixel in the first column, STATUS in another; changed in place.
    no_answer : int
        The bits that mean so.
    answers : names of columns
        Finite wherever there is an answer.

    Raises
    ------
    ValueError
        Where they are not, and STATUS does not say why: a fault of the fit.
    """
    unanswered = (rows["STATUS"] & no_answer) != 0
    for name in rows.dtype.names:
        if rows.dtype[name].base.kind == "f":
            rows[name][unanswered] = np.nan
    finite = np.all([np.isfinite(rows[name]) for name in answers], axis=0)
    silent = ~unanswered & ~finite
    if silent.any():
        number = rows[rows.dtype.names[0]][silent][0]
        raise ValueError(f"pixel {number}: no answer, and STATUS does not say why")
