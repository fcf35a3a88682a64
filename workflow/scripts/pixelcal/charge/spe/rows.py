"""How a fit of a pixel fills its row of the table of fits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.columns import CROSSTALK, KINDS_OF_NUMBERS, NOISE, PER_RUN
from pixelcal.charge.spe.noise.climb import crosstalk_total, noise_total
from pixelcal.charge.spe.noise.late_charges import (
    AFTERPULSE_DELAYS,
    late_charge,
    mean_delay,
)
from pixelcal.charge.spe.noise.priors import KINDS
from pixelcal.charge.spe.noise.spectrum import N_COMMON
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, OPCT, PE, V_PE, V_PED
from pixelcal.status import ChargeStatus


class LawErrors(NamedTuple):
    """Systematic uncertainties of all pixels, because real noise is not quite that of the model.

    Of prompt crosstalk, of delayed crosstalk, and of both together.
    """

    opct: float = 0.0
    delayed: float = 0.0
    crosstalk: float = 0.0


def fill_values(row, theta, covariance, systematic, law: LawErrors) -> None:
    """Values, errors and covariance of a fit, in widths instead of variances.

    Parameters
    ----------
    row : a row of `fit_dtype(R)`, written
    theta : (4 + 2 R,) float
        As in `likelihood`.
    covariance : (4 + 2 R, 4 + 2 R) float
    systematic : (4 + 2 R, 4 + 2 R) float
        From the noise of the camera.
    law : LawErrors
    """
    jacobian = np.ones(len(theta))
    for i in (V_PED, V_PE):
        # At the limit zero the width has no slope; its variance is fixed there anyway.
        jacobian[i] = 0.5 / math.sqrt(theta[i]) if theta[i] > 0 else 0.0
    covariance = covariance * np.outer(jacobian, jacobian)
    values = theta.copy()
    values[[V_PED, V_PE]] = np.sqrt(theta[[V_PED, V_PE]])
    spread = np.sqrt(np.diag(systematic)) * jacobian
    spread[OPCT] = math.hypot(spread[OPCT], law.opct)
    numbers = (values, np.sqrt(np.diag(covariance)), spread)
    for kind, number in zip(KINDS_OF_NUMBERS, numbers, strict=True):
        for name, i in (("SIGMA_PED", V_PED), ("PE", PE), ("SIGMA_PE", V_PE), ("OPCT", OPCT)):
            row[f"{name}{kind}"] = number[i]
        for i, name in enumerate(PER_RUN):
            row[f"{name}{kind}"] = number[N_SHARED + i :: N_PER_RUN]
    row["COVARIANCE"] = covariance


def begin_row(row, counts, min_flashes: int) -> bool:
    """NaN in all numbers, and the flashes of the runs, counts (R, n); whether they are enough."""
    for name in row.dtype.names:
        if row.dtype[name].base.kind == "f":
            row[name] = np.nan
    row["FLASHES"] = counts.sum(axis=1)
    if row["FLASHES"].min() >= max(min_flashes, 1):
        return True
    row["STATUS"] = int(ChargeStatus.TOO_FEW)
    return False


def fill_noise(row, noisy, systematic, law: LawErrors) -> None:
    """Noise per window and per avalanche, with errors: 0 where there is none in the model.

    All crosstalk, too, which is that of the flash alone where there is none.

    Parameters
    ----------
    row : a row of `fit_dtype(R)`, written
    noisy : NoisyMaximum, DarkRunFit, or None
    systematic : (p, p) float
        From the noise of the camera, in the parameters of `noisy`.
    law : LawErrors
        As for `fill_values`, which comes first.
    """
    row["NOISE"], row["LATE"] = 0.0, 0.0
    for name in NOISE:
        for kind in KINDS_OF_NUMBERS:
            row[f"{name}{kind}"] = 0.0
    for kind in KINDS_OF_NUMBERS:
        row[f"{CROSSTALK}{kind}"] = row[f"OPCT{kind}"]
    if noisy is None:
        return
    row[CROSSTALK], row[f"{CROSSTALK}_ERR"] = crosstalk_total(noisy.theta, noisy.covariance)
    _, common = crosstalk_total(noisy.theta, systematic)
    row[f"{CROSSTALK}_SYS"] = math.hypot(common, law.crosstalk)
    row["NOISE"] = noisy.theta[N_SHARED:N_COMMON]
    for name, kind in zip(NOISE, KINDS, strict=True):
        row[name], row[f"{name}_ERR"] = noise_total(kind, noisy.theta, noisy.covariance)
        _, row[f"{name}_SYS"] = noise_total(kind, noisy.theta, systematic)
    row["DELAYED_SYS"] = math.hypot(row["DELAYED_SYS"], law.delayed)
    row["LATE"] = late_charge(row["NOISE"], row["OPCT"])
    row["AP_DELAY"] = mean_delay(row["NOISE"][KINDS["afterpulses"]], AFTERPULSE_DELAYS)
