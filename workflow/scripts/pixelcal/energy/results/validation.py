"""How good a calibration is: signed energy errors against truth, or what the errors predict.

Use `validate` with the truth where it was injected; without it (flight data) the same table holds
what the covariance of the fits predicts, and null where only the truth could tell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.energy.relation import curve_of, energy_error, energy_sigma, relation_columns
from pixelcal.energy.requirement import (
    pass_fraction,
    predicted_pass_fraction,
    requirement_keV,
)
from pixelcal.energy.results.systematics import Systematics, unknown_systematics
from pixelcal.energy.truth import Truth
from pixelcal.instrument import Requirement
from pixelcal.numerics import statistics
from pixelcal.status import EnergyStatus, has_valid_fit, is_trusted

PASS_FRACTIONS = ("pass_fraction", "predicted_pass_fraction", "predicted_pass_fraction_total")


def validate(
    rows: Mapping,
    prior: tuple[np.ndarray, np.ndarray],
    truth: Truth | None = None,
    systematics: Systematics | None = None,
    *,
    requirement: Requirement,
) -> dict:
    """Numbers of one exposure.

    Parameters
    ----------
    rows : table or structured array, (n,) in each column
        Columns of a relation: GAIN, OFFSET, GAIN_ERR, OFFSET_ERR, GAIN_OFFSET_COV, STATUS.
    prior : gain and offset before the fit, (n,) each, keV/channel and keV
    truth : Truth, or None
    systematics : Systematics, optional
    requirement : Requirement

    Returns
    -------
    dict
        `n_pixels`, `n_masked` (by the user), `n_no_answer` (others without a valid fit),
        `n_answers` (with one), `n_good` (STATUS 0), `n_doubtful` (`status.DOUBTFUL`), `truth`
        (bool), `status_counts` (pixels with each bit), and `energies`: for each energy, written as
        "4", the numbers of `energy_numbers` over all valid fits, over the good pixels under `good`,
        pass fractions without doubtful fits under `trusted`, and `common_sigma_keV`, the systematic
        uncertainty common to all pixels, `own_sigma_keV`, that of each pixel alone.
    """
    status = np.asarray(rows["STATUS"])
    wanted = (status & EnergyStatus.MASKED) == 0
    valid, good = wanted & has_valid_fit(status), status == 0
    gain, offset, *covariance = (np.where(valid, of, np.nan) for of in relation_columns(rows))
    trusted, curve = valid & is_trusted(status), curve_of(rows)
    known = systematics or unknown_systematics(len(status))
    energies = {}
    for energy in requirement.energies_keV:
        sigma = energy_sigma(energy, gain, offset, *covariance)
        change = energy_error(energy, gain, offset, *prior, curve)
        error = None if truth is None else truth.error(energy, gain, offset, curve)
        systematic = known.sigma(energy)
        data = sigma, change, float(requirement_keV(energy, requirement))
        of_trusted = energy_numbers(*data, trusted | (wanted & ~valid), error, systematic)
        energies[f"{energy:g}"] = energy_numbers(*data, wanted, error, systematic) | {
            "trusted": {key: of_trusted[key] for key in PASS_FRACTIONS},
            "good": energy_numbers(*data, good, error, systematic),
            "common_sigma_keV": _typical(known.common_sigma(energy)),
            "own_sigma_keV": _typical(known.own_sigma(energy)),
        }
    return {
        "n_pixels": len(status),
        "n_masked": int((~wanted).sum()),
        "n_no_answer": int((wanted & ~valid).sum()),
        "n_answers": int(valid.sum()),
        "n_good": int(good.sum()),
        "n_doubtful": int((valid & ~trusted).sum()),
        "truth": truth is not None,
        "status_counts": {bit.name: int(((status & bit) != 0).sum()) for bit in EnergyStatus},
        "energies": energies,
    }


def _typical(sigma: np.ndarray) -> float:
    """Root mean square of the systematic uncertainties of the pixels (n,)."""
    if not len(sigma):
        return np.nan
    return float(sigma[0]) if (sigma == sigma[0]).all() else statistics.rms(sigma)


def energy_numbers(sigma, change, requirement, wanted, error, systematic) -> dict:
    """Statistics at one energy over the pixels `wanted`.

    Parameters
    ----------
    sigma, change, error : (n,) float, keV
        Predicted standard deviation from the covariance of the fit, change against the prior, and
        signed error against the truth (None without one); NaN without a valid fit.
    requirement : float, keV
        Largest allowed |error|.
    wanted : (n,) bool
        The pixels that count. Pixels masked by the user are not the fit's fault and should not be
        among them; pixels without a valid fit should, and do not pass.
    systematic : (n,) float, keV
        Systematic uncertainty; NaN where it is not known.

    Returns
    -------
    dict of float, energies in keV; NaN where it cannot be told
        - `requirement_keV`, `n` (pixels with a valid fit), `sigma_median_keV`
        - `rms_bound_keV`: root mean square of sigma. The covariance is the inverse of the Fisher
          information of the fit, so this is the Cramer-Rao bound on the rms of the error.
        - `predicted_pass_fraction`, as `requirement.predicted_pass_fraction`, and
          `predicted_pass_fraction_total` with the systematic uncertainty as well
        - `change_mean_keV`, `change_rms_keV`: against the prior
        - `bias_keV` (mean error), `rms_keV`, `rms_over_bound`
        - `pull_mean`, `pull_std` of error / sigma
        - `coverage_68`: fraction of |error| <= sigma; 0.6827 where sigma is right
        - `pull_std_total`, `coverage_68_total`: the same with the systematic uncertainty as well
        - `pass_fraction`, as `requirement.pass_fraction`
        - standard errors of the above as `..._err`, of pull_std and coverage_68 for normal pulls.
    """
    n_wanted = int(wanted.sum())
    sigma, change = sigma[wanted], change[wanted]
    total = np.hypot(sigma, np.nan_to_num(systematic[wanted]))
    known = np.isfinite(sigma)
    numbers = {
        "requirement_keV": requirement,
        "n": int(np.isfinite(change).sum()),
        "sigma_median_keV": statistics.median(sigma[known]),
        "rms_bound_keV": statistics.rms(sigma[known]),
        "predicted_pass_fraction": predicted_pass_fraction(sigma, requirement),
        "predicted_pass_fraction_total": predicted_pass_fraction(total, requirement),
        "change_mean_keV": statistics.mean(change),
        "change_rms_keV": statistics.rms(change),
    }
    error = np.full(len(sigma), np.nan) if error is None else error[wanted]
    has_truth = np.isfinite(error)
    numbers |= {
        "bias_keV": statistics.mean(error),
        "bias_err_keV": statistics.mean_err(error),
        "rms_keV": statistics.rms(error),
        "rms_over_bound": statistics.rms(error) / statistics.rms(sigma[known & has_truth]),
        **statistics.pull_numbers(error, sigma),
    }
    of_total = statistics.pull_numbers(error, total)
    numbers |= {f"{key}_total": of_total[key] for key in ("pull_std", "coverage_68")}
    passed = pass_fraction(error, requirement)
    of_passed = statistics.fraction_err(passed, n_wanted)
    return numbers | {"pass_fraction": passed, "pass_fraction_err": of_passed}
