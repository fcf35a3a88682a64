"""Columns and STATUS bits of the table of single-photoelectron fits."""

from __future__ import annotations

import numpy as np

SHARED = ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")
OWN = ("EPED", "LAMBDA")
CHARGE = "adu"
UNITS = {
    name: CHARGE
    for quantity in ("SIGMA_PED", "PE", "SIGMA_PE", "EPED")
    for name in (quantity, f"{quantity}_ERR")
}


def fit_dtype(n_runs: int) -> np.dtype:
    """Columns of the fit of one pixel with `n_runs` runs; PIXEL comes first."""
    n_parameters = len(SHARED) + len(OWN) * n_runs
    own = [(f"{name}{kind}", "f8", (n_runs,)) for name in OWN for kind in ("", "_ERR")]
    shared = [
        (f"{name}{kind}", "f8")
        for name in ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")
        for kind in ("", "_ERR")
    ]
    return np.dtype(
        [
            ("PIXEL", "i2"),
            *shared,
            *own,
            ("COVARIANCE", "f8", (n_parameters, n_parameters)),
            ("PEAK_VALLEY", "f8", (n_runs,)),
            ("FLASHES", "i4", (n_runs,)),
            ("STAT", "f8"),
            ("DOF", "i4"),
            ("PVALUE", "f8"),
            ("NITER", "i4"),
            ("STATUS", "i4"),
        ]
    )
