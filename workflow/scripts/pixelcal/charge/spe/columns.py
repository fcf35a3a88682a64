"""Tables of single-photoelectron spectra and fits: their names, columns and header cards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.charge.spe.noise.late_charges import N_NOISE

SPECTRA_EXTENSION, FIT_EXTENSION, SPE_EXTENSION = "SPECTRA", "FIT", "SPE"
"""Spectra of all pixels, fits of a chunk of them, fits of all."""

SHARED = ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")
NOISE = ("DARK", "AFTERPULSE", "DELAYED")
CROSSTALK = "CROSSTALK"
"""Prompt and delayed crosstalk together, which spectra tell better than either."""
CROSS_CHECKS = ("PE_PEAKS", "PE_MOMENTS")
PER_RUN = ("EPED", "LAMBDA")
"""What is fitted: quantities that all runs of a pixel share, the noise that the spectra show, the
gain in two other ways, and the quantities of each run."""

KINDS_OF_NUMBERS = ("", "_ERR", "_SYS")
"""Value, statistical error, and systematic uncertainty of what the noise of the camera is."""

CHARGE = "adu"
UNITS = {
    f"{quantity}{kind}": CHARGE
    for quantity in ("SIGMA_PED", "PE", "SIGMA_PE", "EPED")
    for kind in KINDS_OF_NUMBERS
} | {f"{quantity}{kind}": CHARGE for quantity in CROSS_CHECKS for kind in ("", "_ERR")}
PEDESTAL_UNITS = {"PED_NOISE": CHARGE, "PED_NODE": CHARGE}
"""Of the columns that fits with dark runs have beside the others."""

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


def fit_dtype(n_runs: int, pedestal_nodes: int = 0) -> np.dtype:
    """Columns of the fit of one pixel with `n_runs` runs; PIXEL comes first.

    With dark runs the law of the pedestal has `pedestal_nodes` nodes.
    """
    n_parameters = len(SHARED) + len(PER_RUN) * n_runs
    shared = [
        (f"{name}{kind}", "f8")
        for name in ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")
        for kind in KINDS_OF_NUMBERS
    ]
    per_run = [(f"{name}{kind}", "f8", (n_runs,)) for name in PER_RUN for kind in KINDS_OF_NUMBERS]
    return np.dtype(
        [
            ("PIXEL", "i2"),
            *shared,
            *((f"{name}{kind}", "f8") for name in (*NOISE, CROSSTALK) for kind in KINDS_OF_NUMBERS),
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
            *(_pedestal_columns(pedestal_nodes) if pedestal_nodes else []),
        ]
    )


def units_of(rows: np.ndarray) -> dict[str, str]:
    """Units of the columns of fits."""
    return UNITS | {name: u for name, u in PEDESTAL_UNITS.items() if name in rows.dtype.names}


def _pedestal_columns(n_nodes: int) -> list[tuple]:
    """Noise of the electronics; charges of pulses, and the rate of each; 0 what is not used."""
    return [
        ("PED_NOISE", "f8"),
        ("PED_NODE", "f8", (n_nodes,)),
        ("PED_RATE", "f8", (n_nodes,)),
    ]


def carried_options(header) -> list[tuple]:
    """The cards of an earlier product that say how charges were made, and of which runs."""
    return [
        (card.keyword, card.value, card.comment)
        for card in header.cards
        if card.keyword in CARRIED or _numbers_a_run(card.keyword)
    ]


def _numbers_a_run(keyword: str) -> bool:
    return any(keyword.startswith(of) and keyword[len(of) :].isdigit() for of in ("RUN", "DARK"))


def run_cards(names: Sequence[str], dark: Sequence[bool] = ()) -> list[tuple]:
    """NRUNS, and RUN0, RUN1, ... with the names of the runs in the order of the columns.

    DARK0, ... mark the runs without light, for which `dark` is true.
    """
    cards: list[tuple] = [("NRUNS", len(names), "runs, by rising light")]
    cards += [(f"RUN{i}", name, "name of a run") for i, name in enumerate(names)]
    return cards + [(f"DARK{i}", True, "a dark run: n_ph is 0") for i, of in enumerate(dark) if of]


def dark_runs(header) -> np.ndarray:
    """Which runs (n_runs,) bool have no light, as `run_cards` says it."""
    return np.array([bool(header.get(f"DARK{i}", False)) for i in range(int(header["NRUNS"]))])


def run_names(header) -> list[str]:
    """Names of the runs in the order of the columns, as `run_cards` says them."""
    return [str(header[f"RUN{i}"]) for i in range(int(header["NRUNS"]))]
