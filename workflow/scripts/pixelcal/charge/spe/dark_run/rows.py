"""Fits of the pixels of a set that has dark runs, as rows of the table of fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelcal.charge.spe.columns import fit_dtype
from pixelcal.charge.spe.dark_run.fit import FOLLOWING, DarkRunFit, explain_with_dark_run
from pixelcal.charge.spe.dark_run.pedestal import MOST_NODES
from pixelcal.charge.spe.dark_run.spectrum import peak_to_valley
from pixelcal.charge.spe.fit import (
    LEAST_OPCT_ERROR,
    OPCT_ERROR_LIMIT,
    SpeOptions,
    cross_check,
    fit_pixels,
    goodness,
    quality,
)
from pixelcal.charge.spe.likelihood import is_at_limit
from pixelcal.charge.spe.noise.climb import regrouped
from pixelcal.charge.spe.noise.priors import general_prior
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, V_PED
from pixelcal.charge.spe.rows import LawErrors, begin_row, fill_noise, fill_values
from pixelcal.charge.spe.search import LIGHT_EVIDENCE, fit_pixel
from pixelcal.errors import InputError
from pixelcal.numerics.goodness_of_fit import moment_table
from pixelcal.status import ChargeStatus

PEDESTAL_NODES = MOST_NODES
"""Length of PED_NODE and PED_RATE; what a pixel does not use is 0."""


def check_dark_flashes(
    flashes: np.ndarray, dark: np.ndarray, names: Sequence[str], min_flashes: int
) -> None:
    """Raise InputError where a dark run alone would leave every pixel without a valid fit.

    Parameters
    ----------
    flashes : (n_pixels, n_runs) int
    dark : (n_runs,) bool
    names : n_runs names
    min_flashes : int
    """
    most = flashes.max(axis=0, initial=0)
    for number in np.flatnonzero(dark & (most < min_flashes)):
        raise InputError(
            f"run {names[number]}: this dark run has {most[number]} events, fewer than"
            f" sstcam.fit.min_flashes ({min_flashes}), and no pixel would have a valid fit; take"
            " more, or leave the run out of table.csv"
        )


def fit_pixels_with_dark_runs(
    counts, start, width, pixel, dark, options: SpeOptions, progress=None, camera=None
) -> np.ndarray:
    """Fit the spectra of pixels, as `fit.fit_pixels`; some runs may be dark.

    Parameters
    ----------
    counts, start, width, pixel, options, progress, camera : as `fit.fit_pixels` takes them
    dark : (n_runs,) bool
        Runs without light. Without any the fits are those of `fit.fit_pixels`, to the byte.

    Returns
    -------
    (n_pixels,) structured array of `columns.fit_dtype(n_runs, PEDESTAL_NODES)`
        EPED and SIGMA_PED are mean and standard deviation of the charge without light.

    Raises
    ------
    InputError
        Where there is no run with light.
    """
    dark = np.asarray(dark, bool)
    if not dark.any():
        return fit_pixels(counts, start, width, pixel, options, progress, camera)
    if dark.all():
        raise InputError(
            "SPE fit: every run is dark (n_ph is 0); give at least one run with light, n_ph above 0"
        )
    n_pixels, n_runs, _ = counts.shape
    rows = np.zeros(n_pixels, fit_dtype(n_runs, PEDESTAL_NODES))
    moments = moment_table()
    for number, row in enumerate(rows):
        row["PIXEL"] = pixel[number]
        _fit_row(row, counts[number], start[number], width[number], dark, options, moments)
        if progress is not None:
            progress(number + 1, n_pixels)
    return rows


def _fit_row(row, counts, start, width, dark, options: SpeOptions, moments) -> None:
    """Fit one pixel, counts (R, n) from `start` (R,) on, and fill its row."""
    if not begin_row(row, counts, options.min_flashes):
        return
    counts = counts.astype(float)
    plain, _ = fit_pixel(counts[~dark], start[~dark], width, options.pe_guess, moments)
    fitted = explain_with_dark_run(
        counts, start, width, dark, moments,
        {kind: getattr(options, kind) for kind in FOLLOWING},
        [plain.theta] if plain.converged else [],
        general_prior(options.pulse_decay),
    )  # fmt: skip
    found = fitted.maximum()
    row["NITER"] = plain.iterations + found.iterations
    if not fitted.dark_deviance - fitted.deviance >= LIGHT_EVIDENCE:
        row["STATUS"] = int(ChargeStatus.TOO_FEW)
        return
    if not found.converged or not np.isfinite(found.covariance).all():
        row["STATUS"] = int(ChargeStatus.NOT_CONVERGED)
        return
    fill_values(row, found.theta, found.covariance, np.zeros_like(found.covariance), LawErrors())
    fill_noise(row, fitted if fitted.kinds else None, np.zeros_like(fitted.covariance), LawErrors())
    _fill_pedestal(row, fitted)
    row["STAT"], row["DOF"], row["PVALUE"], row["MISFIT"] = goodness(
        found, fitted, row["FLASHES"].sum()
    )
    row["STATUS"] |= _status(row, fitted, counts, start, width, dark, options)


def _fill_pedestal(row, fitted: DarkRunFit) -> None:
    """The law of the pedestal, in its columns."""
    node = fitted.pedestal.node
    row["PED_NOISE"] = np.sqrt(fitted.pedestal.variance_of_noise)
    row["PED_NODE"], row["PED_RATE"] = 0.0, 0.0
    row["PED_NODE"][: len(node)], row["PED_RATE"][: len(node)] = node, fitted.pedestal.rate


def _status(row, fitted: DarkRunFit, counts, start, width, dark, options: SpeOptions) -> int:
    """Bits of a valid fit; fills PEAK_VALLEY and the gains beside."""
    status, found = 0, fitted.maximum()
    if is_at_limit(found) or fitted.is_at_edge:
        status |= ChargeStatus.AT_LIMIT
    ratio, excess = peak_to_valley(found.theta, fitted.shape, row["FLASHES"], dark)
    row["PEAK_VALLEY"] = ratio
    lit = np.r_[np.arange(N_SHARED), N_SHARED + np.flatnonzero(np.repeat(~dark, N_PER_RUN))]
    light_only = found._replace(theta=found.theta[lit])
    narrow = light_only.theta.copy()  # peaks are as narrow as the noise
    narrow[V_PED] = fitted.pedestal.variance_of_noise
    spectra = regrouped(counts[~dark], start[~dark], width, narrow)
    cross_check(row, spectra, light_only, fitted.shape)
    apart = row["OPCT_ERR"] <= max(OPCT_ERROR_LIMIT * row["OPCT"], LEAST_OPCT_ERROR)
    status |= quality(row, ratio[~dark], excess[~dark], apart, options)
    return int(status) | int(row["STATUS"])
