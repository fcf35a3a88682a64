"""How good the single-photoelectron fits are: errors against truth, or what they predict.

The covariance of a fit is the inverse of its Fisher information, so the root mean square of its
errors is the Cramer-Rao bound that the rms of the deviations from truth is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.spe.columns import PER_RUN, SHARED
from pixelcal.numerics import statistics
from pixelcal.status import ChargeStatus, has_valid_fit

WRONG_PE = 0.05
"""Relative error of pe from which on a pixel is wrong."""


def validate(rows: np.ndarray, truth: Mapping | None = None) -> dict:
    """Numbers of the table of fits.

    Parameters
    ----------
    rows : (n,) structured array or table
        Columns of the table SPE.
    truth : table, optional
        SIGMA_PED, PE, SIGMA_PE, OPCT (n,) and EPED, LAMBDA (n, R) as simulated.

    Returns
    -------
    dict
        `n_pixels`, `n_masked`, `n_no_answer`, `n_good`, `status_counts`, `truth` (bool) and
        `quantities`: for SIGMA_PED, PE, SIGMA_PE, OPCT, and EPED_r, LAMBDA_r of each run, the
        numbers of `quantity_numbers` over the good pixels. With truth also `n_wrong`, pixels with
        a valid fit whose pe is wrong by more than 5 %, and `n_wrong_good`, those among them that
        are called good.
    """
    if truth is not None:
        truth = {name: np.asarray(truth[name]) for name in (*SHARED, *PER_RUN)}
    status = np.asarray(rows["STATUS"])
    masked = (status & ChargeStatus.MASKED) != 0
    valid = has_valid_fit(status)
    good = status == 0
    numbers = {
        "n_pixels": len(status),
        "n_masked": int(masked.sum()),
        "n_no_answer": int((~valid & ~masked).sum()),
        "n_good": int(good.sum()),
        "truth": truth is not None,
        "status_counts": {bit.name: int(((status & bit) != 0).sum()) for bit in ChargeStatus},
    }
    quantities = {}
    for name in SHARED:
        true = None if truth is None else truth[name][good]
        quantities[name] = quantity_numbers(
            np.asarray(rows[name])[good], np.asarray(rows[f"{name}_ERR"])[good], true
        )
    n_runs = np.asarray(rows["EPED"]).shape[1]
    for name in PER_RUN:
        for run in range(n_runs):
            true = None if truth is None else truth[name][good, run]
            quantities[f"{name}_{run}"] = quantity_numbers(
                np.asarray(rows[name])[good, run],
                np.asarray(rows[f"{name}_ERR"])[good, run],
                true,
            )
    numbers["quantities"] = quantities
    if truth is not None:
        wrong = valid & ~(np.abs(np.asarray(rows["PE"]) / truth["PE"] - 1.0) <= WRONG_PE)
        numbers["n_wrong"] = int(wrong.sum())
        numbers["n_wrong_good"] = int((wrong & good).sum())
    return numbers


def quantity_numbers(value: np.ndarray, sigma: np.ndarray, truth: np.ndarray | None) -> dict:
    """Statistics of one quantity over pixels (n,).

    Returns
    -------
    dict of float; NaN where it cannot be told
        `median`, `spread` (robust, over the pixels), `sigma_median`, `rms_bound` (rms of sigma);
        with truth `bias` and `bias_err`, `relative_bias` of the mean over the mean truth, `rms`,
        `rms_over_bound`, and the pulls of `statistics.pull_numbers`.
    """
    numbers = {
        "n": len(value),
        "median": statistics.median(value),
        "spread": statistics.robust_std(value),
        "sigma_median": statistics.median(sigma),
        "rms_bound": statistics.rms(sigma),
    }
    if truth is None:
        return numbers
    error = value - truth
    bias, bias_err = statistics.mean(error), statistics.mean_err(error)
    scale, bound = abs(statistics.mean(truth)), numbers["rms_bound"]
    return numbers | {
        "bias": bias,
        "bias_err": bias_err,
        "relative_bias": bias / scale if scale else np.nan,
        "relative_bias_err": bias_err / scale if scale else np.nan,
        "rms": statistics.rms(error),
        "rms_over_bound": statistics.rms(error) / bound if bound else np.nan,
        **statistics.pull_numbers(error, sigma),
    }
