"""Words for the STATUS of a pixel of the SSTCAM, and for what is fitted: report and figures."""

from __future__ import annotations

import numpy as np

from pixelcal.charge.spe.columns import NO_ANSWER, Status
from pixelcal.status import StatusWords

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

_WORDS = StatusWords(STATUS_LABELS, GRAVEST_FIRST)
gravest_status, rank_of_status, status_words = _WORDS.gravest, _WORDS.rank, _WORDS.words

PARAMETERS = {
    "PE": "Gain (pe)",
    "SIGMA_PED": "Width of the pedestal",
    "SIGMA_PE": "Width of a photoelectron",
    "OPCT": "Optical crosstalk",
    "EPED": "Pedestal",
    "LAMBDA": "Illumination λ",
}


def answered(status: np.ndarray) -> np.ndarray:
    """Which pixels (n,) have an answer."""
    return (np.asarray(status) & int(NO_ANSWER)) == 0
