"""Words for the STATUS of a pixel of the SSTCAM, and for what is fitted: report and figures."""

from __future__ import annotations

import numpy as np

from pixelcal.sstcam.spe_table import NO_ANSWER, Status

STATUS_LABELS = {
    0: "good",
    Status.MASKED: "masked by the user",
    Status.TOO_FEW: "too few flashes",
    Status.NOT_CONVERGED: "not converged",
    Status.AT_LIMIT: "at a limit",
    Status.UNRESOLVED: "peaks not resolved",
    Status.POOR_FIT: "poor fit",
    Status.OUTLIER: "outlier",
}
"""Words for the bits of STATUS, in the order of the legend."""

GRAVEST_FIRST = (
    Status.MASKED,
    Status.TOO_FEW,
    Status.NOT_CONVERGED,
    Status.UNRESOLVED,
    Status.AT_LIMIT,
    Status.OUTLIER,
    Status.POOR_FIT,
)
"""Which bit a map shows where a pixel has several."""

PARAMETERS = {
    "PE": "Gain (pe)",
    "SIGMA_PED": "Width of the pedestal",
    "SIGMA_PE": "Width of a photoelectron",
    "OPCT": "Optical crosstalk",
    "EPED": "Pedestal",
    "LAMBDA": "Illumination λ",
}


def gravest_status(status: np.ndarray) -> np.ndarray:
    """Index (n,) into STATUS_LABELS of the one bit that says most about each pixel."""
    order = list(STATUS_LABELS)
    status = np.asarray(status)
    result = np.zeros(len(status), int)
    for bit in reversed(GRAVEST_FIRST):
        result[(status & bit) != 0] = order.index(bit)
    return result


def status_words(status: int) -> str:
    """All bits of one STATUS in words."""
    words = [label for bit, label in STATUS_LABELS.items() if bit and status & bit]
    return ", ".join(words) or STATUS_LABELS[0]


def answered(status: np.ndarray) -> np.ndarray:
    """Which pixels (n,) have an answer."""
    return (np.asarray(status) & int(NO_ANSWER)) == 0
