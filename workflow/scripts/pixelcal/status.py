"""STATUS: bits that say why a pixel has no valid fit, or what is doubtful about the one it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np


class EnergyStatus(IntFlag):
    """Bits of a relation; 0 is good."""

    MASKED = 1
    TOO_FEW_COUNTS = 2
    NOT_CONVERGED = 4
    AT_LIMIT = 8
    LINE_MISSING = 16
    POOR_FIT = 32
    OUTLIER = 64
    CHANGED = 128
    WIDTH = 256


class ChargeStatus(IntFlag):
    """Bits of a fit of single photoelectrons; 0 is good."""

    MASKED = 1
    TOO_FEW = 2
    NOT_CONVERGED = 4
    AT_LIMIT = 8
    UNRESOLVED = 16
    POOR_FIT = 32
    OUTLIER = 64
    CHANGES = 128
    CLIPPED = 256
    GAINS_DISAGREE = 512


NO_VALID_FIT = 1 | 2 | 4
"""With any of these bits, the same for both cameras, there is no valid fit: values are NaN."""


KEEPS_PREVIOUS = (
    NO_VALID_FIT
    | EnergyStatus.AT_LIMIT
    | EnergyStatus.LINE_MISSING
    | EnergyStatus.CHANGED
    | EnergyStatus.WIDTH
)
"""With any of these bits the mission's file keeps the previous values of a pixel: there is no fit,
or it may be at the wrong place. POOR_FIT and OUTLIER alone doubt the model or single the pixel out;
its values are new nonetheless."""
DOUBTFUL = (
    EnergyStatus.AT_LIMIT
    | EnergyStatus.LINE_MISSING
    | EnergyStatus.POOR_FIT
    | EnergyStatus.CHANGED
    | EnergyStatus.WIDTH
)
"""With any of these bits a valid fit or its errors cannot be trusted: no verdict counts it."""


def is_published(status) -> np.ndarray:
    """Whether new values replace those in the mission's file, for STATUS of any shape."""
    return (np.asarray(status) & int(KEEPS_PREVIOUS)) == 0


def is_trusted(status) -> np.ndarray:
    """Whether there is a valid fit without any doubt of `DOUBTFUL`, for STATUS of any shape."""
    return (np.asarray(status) & (NO_VALID_FIT | int(DOUBTFUL))) == 0


def has_valid_fit(status) -> np.ndarray:
    """Whether there is a valid fit, for STATUS of any shape."""
    return (np.asarray(status) & NO_VALID_FIT) == 0


@dataclass(frozen=True)
class StatusWords:
    """What the bits are called, and which says most where a pixel has several.

    Attributes
    ----------
    labels : dict
        Words for 0 and for each bit, in the order of the legend.
    most_serious_first : sequence
        All bits.
    """

    labels: Mapping[int, str]
    most_serious_first: Sequence[int]

    def dominant(self, status: np.ndarray) -> np.ndarray:
        """Index (n,) into the labels of the one bit that says most about each pixel."""
        order = list(self.labels)
        status = np.asarray(status)
        result = np.zeros(len(status), int)
        for bit in reversed(self.most_serious_first):
            result[(status & bit) != 0] = order.index(bit)
        return result

    def rank(self, status: np.ndarray) -> np.ndarray:
        """Rank (n,) of the most serious bit of each pixel; the last rank is none."""
        order = [*self.most_serious_first, 0]
        rank = np.array([order.index(bit) for bit in self.labels])
        return rank[self.dominant(status)]

    def words(self, status: int) -> str:
        """All bits of one STATUS in words."""
        words = [label for bit, label in self.labels.items() if bit and status & bit]
        return ", ".join(words) or self.labels[0]


ENERGY_WORDS = StatusWords(
    labels={
        0: "good fit",
        EnergyStatus.MASKED: "masked by the user",
        EnergyStatus.TOO_FEW_COUNTS: "too few counts",
        EnergyStatus.NOT_CONVERGED: "not converged",
        EnergyStatus.AT_LIMIT: "at a limit",
        EnergyStatus.LINE_MISSING: "line group missing",
        EnergyStatus.POOR_FIT: "poor fit",
        EnergyStatus.OUTLIER: "outlier",
        EnergyStatus.CHANGED: "changes within the exposure",
        EnergyStatus.WIDTH: "width unlike the camera's",
    },
    most_serious_first=(
        EnergyStatus.MASKED,
        EnergyStatus.TOO_FEW_COUNTS,
        EnergyStatus.NOT_CONVERGED,
        EnergyStatus.CHANGED,
        EnergyStatus.OUTLIER,
        EnergyStatus.WIDTH,
        EnergyStatus.AT_LIMIT,
        EnergyStatus.LINE_MISSING,
        EnergyStatus.POOR_FIT,
    ),
)

CHARGE_WORDS = StatusWords(
    labels={
        0: "good",
        ChargeStatus.MASKED: "masked by the user",
        ChargeStatus.TOO_FEW: "too few flashes",
        ChargeStatus.NOT_CONVERGED: "not converged",
        ChargeStatus.AT_LIMIT: "at a limit",
        ChargeStatus.UNRESOLVED: "peaks not resolved",
        ChargeStatus.POOR_FIT: "poor fit",
        ChargeStatus.OUTLIER: "outlier",
        ChargeStatus.CHANGES: "changes within or between runs",
        ChargeStatus.CLIPPED: "charges clipped",
        ChargeStatus.GAINS_DISAGREE: "gains disagree",
    },
    most_serious_first=(
        ChargeStatus.MASKED,
        ChargeStatus.TOO_FEW,
        ChargeStatus.NOT_CONVERGED,
        ChargeStatus.CLIPPED,
        ChargeStatus.GAINS_DISAGREE,
        ChargeStatus.CHANGES,
        ChargeStatus.UNRESOLVED,
        ChargeStatus.AT_LIMIT,
        ChargeStatus.OUTLIER,
        ChargeStatus.POOR_FIT,
    ),
)


def bit_comments(bits: Iterable[IntFlag], without_valid_fit: str) -> list[tuple]:
    """COMMENT cards that say what the bits of STATUS mean; the last is `without_valid_fit`."""
    named = [f"{bit.value} {bit.name}" for bit in bits]
    return [
        ("COMMENT", "STATUS bits: " + ", ".join(named[:4]) + ","),
        ("COMMENT", "  " + ", ".join(named[4:]) + "; 0 is good."),
        ("COMMENT", without_valid_fit),
    ]


def blank_invalid(rows: np.ndarray, names: Iterable[str]) -> None:
    """Put NaN into every float column of the rows (n,) whose STATUS says that the fit is not valid.

    Parameters
    ----------
    rows : (n,) structured array
        The number of a pixel in the first column, STATUS in another; changed in place.
    names : names of columns
        Finite wherever there is a valid fit.

    Raises
    ------
    ValueError
        Where they are not, and STATUS does not say why: a fault of the fit.
    """
    valid = has_valid_fit(rows["STATUS"])
    for name in rows.dtype.names:
        if rows.dtype[name].base.kind == "f":
            rows[name][~valid] = np.nan
    finite = np.all([np.isfinite(rows[name]) for name in names], axis=0)
    silent = valid & ~finite
    if silent.any():
        number = rows[rows.dtype.names[0]][silent][0]
        raise ValueError(f"pixel {number}: no valid fit, and STATUS does not say why")
