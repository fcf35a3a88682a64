"""Tables of single-photoelectron spectra and fits: their names, columns and header cards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.charge.spe.noise.late_charges import N_NOISE

SPECTRA_EXTENSION, FIT_EXTENSION, SPE_EXTENSION = "SPECTRA", "FIT", "SPE"
"""Spectra of all pixels, fits of a chunk of them, fits of all."""

SHARED = ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")
NOISE = ("DARK", "AFTERPULSE", "DELAYED")
CROSS_CHECKS = ("PE_PEAKS", "PE_MOMENTS")
PER_RUN = ("EPED", "LAMBDA")
"""What is fitted: quantities that all runs of a pixel share, the noise that the spectra show, the
gain in two other ways, and the quantities of each run."""

CHARGE = "adu"
UNITS = {
    name: CHARGE
    for quantity in ("SIGMA_PED", "PE", "SIGMA_PE", "EPED", *CROSS_CHECKS)
    for name in (quantity, f"{quantity}_ERR")
}

CARRIED = (
    "WINDOW",
    "WINSHIFT",
    "TIMESKEW",
    "BASELINE",
    "NBASE",
    "SOLO",
    "MAXEV",
    "UNITSAMP",
    "SAMPLENS",
    "STEP",
    "NRUNS",
)
"""Cards of the charges that every later product repeats."""


def fit_dtype(n_runs: int) -> np.dtype:
    """Columns of the fit of one pixel with `n_runs` runs; PIXEL comes first."""
    n_parameters = len(SHARED) + len(PER_RUN) * n_runs
    shared = [
        (f"{name}{kind}", "f8")
        for name in ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")
        for kind in ("", "_ERR")
    ]
    per_run = [(f"{name}{kind}", "f8", (n_runs,)) for name in PER_RUN for kind in ("", "_ERR")]
    return np.dtype(
        [
            ("PIXEL", "i2"),
            *shared,
            *((f"{name}{kind}", "f8") for name in NOISE for kind in ("", "_ERR")),
            ("AP_DELAY", "f8"),
            ("LATE", "f8"),
            ("NOISE", "f8", (N_NOISE,)),
            *per_run,
            ("COVARIANCE", "f8", (n_parameters, n_parameters)),
            ("PEAK_VALLEY", "f8", (n_runs,)),
            *((f"{name}{kind}", "f8") for name in CROSS_CHECKS for kind in ("", "_ERR")),
            ("FLASHES", "i4", (n_runs,)),
            ("STAT", "f8"),
            ("DOF", "i4"),
            ("PVALUE", "f8"),
            ("MISFIT", "f8"),
            ("NITER", "i4"),
            ("STATUS", "i4"),
        ]
    )


def carried_options(header) -> list[tuple]:
    """The cards of an earlier product that say how charges were made, and of which runs."""
    return [
        (card.keyword, card.value, card.comment)
        for card in header.cards
        if card.keyword in CARRIED or _numbers_a_run(card.keyword)
    ]


def _numbers_a_run(keyword: str) -> bool:
    return keyword.startswith("RUN") and keyword[3:].isdigit()


def run_cards(names: Sequence[str]) -> list[tuple]:
    """NRUNS, and RUN0, RUN1, ... with the names of the runs in the order of the columns."""
    cards: list[tuple] = [("NRUNS", len(names), "runs, by rising light")]
    return [*cards, *((f"RUN{i}", name, "name of a run") for i, name in enumerate(names))]


def run_names(header) -> list[str]:
    """Names of the runs in the order of the columns, as `run_cards` says them."""
    return [str(header[f"RUN{i}"]) for i in range(int(header["NRUNS"]))]
