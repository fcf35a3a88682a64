"""Gain of SiPM pixels from their single-photoelectron spectra: use `fit_pixels`.

All illuminations of a pixel are fitted together: they share the gain and the widths, each has a
pedestal and a light. See `model` for the model, `likelihood` for the climb to a maximum and `start`
for the points that the search begins at. Where the spectra show dark counts, afterpulses or delayed
crosstalk, `noise.fit` takes them into the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pixelcal.charge.spe.checks.cross_checks import disagree, gains_beside
from pixelcal.charge.spe.columns import NOISE, fit_dtype
from pixelcal.charge.spe.likelihood import (
    MARGIN_ABOVE,
    MARGIN_BELOW,
    climb,
    copy_parameters,
    group_bins,
    maximise,
    pedestal_deviance,
)
from pixelcal.charge.spe.model import (
    EPED,
    N_PARAMETERS,
    N_PER_RUN,
    N_SHARED,
    OPCT,
    PE,
    V_PE,
    V_PED,
    density,
)
from pixelcal.charge.spe.noise.fit import KINDS, explain, regrouped
from pixelcal.charge.spe.noise.late_charges import AFTERPULSE_DELAYS, late_charge, mean_delay
from pixelcal.charge.spe.noise.spectrum import N_COMMON
from pixelcal.charge.spe.noise.spectrum import peak_to_valley as noisy_peak_to_valley
from pixelcal.charge.spe.start import (
    SHIFTS,
    WIDTHS_WITHOUT_COMB,
    all_starts,
    dark_spread,
    propose_spacings,
    start_at,
)
from pixelcal.errors import InputError
from pixelcal.numerics.goodness_of_fit import moment_table, p_value
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import any_of, copy_into
from pixelcal.status import ChargeStatus

BINS_PER_WIDTH = 4.0
"""Bins in a width of the pedestal: grouping then loses half a per cent of the information."""

BINS_TO_SEARCH = 40.0
"""Bins in the standard deviation of the darkest run that the search for the start needs."""

DOUBTFUL_SIGMA = 3.1
"""A first fit whose deviance is larger than expected by more (p < 0.001) is doubtful, ..."""
DOUBTFUL_PEAK_VALLEY = 1.5
"""... and so is one with hardly any valley: both are checked against all other starts."""
SEMIFINALISTS, TRIAL_ITERATIONS, FINALISTS = 8, 8, 3
"""Of all starts those with the least deviance go some steps, of these the best to the end."""
SAME = 0.01
"""Difference of deviance, a tenth of an error, within which two are at the same maximum."""

PE_ERROR_LIMIT = 0.01
"""Larger relative errors of pe are flagged as unresolved: five of them are the 5 % by which a
pixel that is called good may be wrong at most."""
OPCT_ERROR_LIMIT, LEAST_OPCT_ERROR = 0.1, 0.01
"""With noise in the model, larger errors of the crosstalk, relative and absolute, are flagged as
unresolved: few flashes do not tell crosstalk from what comes late."""
SHAPE_ERROR = 0.15
"""Relative error of the crosstalk for each dark count in the window: by so much it is off where the
parts of dark counts in the window are uniform, and not those of an exponential pulse."""
LIGHT_EVIDENCE = 30.0
"""By which the deviance must be lower than that of a pedestal alone: 5 parameters more lower it by
5 where there is no light, and by 30 once in 100 000 pixels."""
FEWEST_SIGMA = 5.0
"""By which the first peaks must stand over the valley in some run. Where they do not, a gain can
still be had from mean and variance of the charges, but nothing shows that it is right."""


@dataclass(frozen=True)
class SpeOptions:
    """What the user chooses.

    pe_guess : charge of a photoelectron to begin with, NaN: from the data alone
    min_flashes : fewer in any run give no valid fit
    pvalue_limit : below it the fit is flagged as poor
    peak_to_valley : below it the peaks count as unresolved
    misfit_limit : a fit whose MISFIT is smaller is not poor, however small its p-value
    dark_counts, afterpulses, delayed_crosstalk : whether they are in the model; None: where the
        spectra show them
    """

    pe_guess: float = math.nan
    min_flashes: int = 500
    pvalue_limit: float = 1e-4
    peak_to_valley: float = 1.08
    misfit_limit: float = 0.01
    dark_counts: bool | None = None
    afterpulses: bool | None = None
    delayed_crosstalk: bool | None = None


def fit_pixels(counts, start, width, pixel, options: SpeOptions, progress=None) -> np.ndarray:
    """Fit the spectra of pixels, all runs of a pixel together.

    Parameters
    ----------
    counts : (n_pixels, n_runs, n_bins) int
        Flashes by charge; the ends hold all that lies beyond them.
    start : (n_pixels, n_runs) float
        Lower edge of the first bin, in units of charge.
    width : (n_pixels,) float
        Of the bins. Where charges are multiples of a step, bins must be aligned with them, as those
        of `spectra` are.
    pixel : (n_pixels,) int
        Number of each pixel.
    progress : callable (done, total), optional

    Returns
    -------
    (n_pixels,) structured array of `columns.fit_dtype(n_runs)`
        NaN and a STATUS that says why where there is no valid fit.

    Raises
    ------
    InputError
        Where there is no run.
    """
    n_pixels, n_runs, _ = counts.shape
    if n_runs == 0:
        raise InputError("SPE fit: there is no run; give at least one low-illumination run")
    rows = np.zeros(n_pixels, fit_dtype(n_runs))
    moments = moment_table()
    for number in range(n_pixels):
        row = rows[number]
        row["PIXEL"] = pixel[number]
        _fit_row(row, counts[number], start[number], width[number], options, moments)
        if progress is not None:
            progress(number + 1, n_pixels)
    return rows


def _fit_row(row, counts, start, width, options: SpeOptions, moments) -> None:
    """Fit one pixel, counts (R, n) from `start` (R,) on, and fill its row."""
    for name in row.dtype.names:
        if row.dtype[name].base.kind == "f":
            row[name] = np.nan
    row["FLASHES"] = counts.sum(axis=1)
    if row["FLASHES"].min() < max(options.min_flashes, 1):
        row["STATUS"] = int(ChargeStatus.TOO_FEW)
        return
    counts = counts.astype(float)
    found, evidence = fit_pixel(counts, start, width, options.pe_guess, moments)
    row["NITER"] = found.iterations
    if not evidence >= LIGHT_EVIDENCE:
        row["STATUS"] = int(ChargeStatus.TOO_FEW)
        return
    noisy = explain(
        counts, start, width, found.theta,
        lambda: other_starts(counts, start, width, options.pe_guess), moments,
        {kind: getattr(options, kind) for kind in KINDS},
    )  # fmt: skip
    if noisy is not None:
        found = noisy.without_noise()
        row["NITER"] += found.iterations
    if not found.converged or not np.isfinite(found.covariance).all():
        row["STATUS"] = int(ChargeStatus.NOT_CONVERGED)
        return
    _fill_values(row, found.theta, found.covariance)
    _fill_noise(row, noisy)
    row["STAT"], row["DOF"], row["PVALUE"], row["MISFIT"] = _goodness(
        found, noisy, row["FLASHES"].sum()
    )
    if found.at_limit[:N_SHARED].any() or (noisy is not None and noisy.is_at_edge):
        row["STATUS"] |= int(ChargeStatus.AT_LIMIT)
    if noisy is None:
        ratio, excess = peak_to_valley(found.theta, row["FLASHES"])
    else:
        ratio, excess = noisy_peak_to_valley(noisy.theta, row["FLASHES"])
    row["PEAK_VALLEY"] = ratio
    _cross_check(row, regrouped(counts, start, width, found.theta), found, noisy)
    resolved = (ratio >= options.peak_to_valley).all() and excess.max() >= FEWEST_SIGMA
    apart = noisy is None or row["OPCT_ERR"] <= max(
        OPCT_ERROR_LIMIT * row["OPCT"], LEAST_OPCT_ERROR
    )
    if not (resolved and apart and row["PE_ERR"] <= PE_ERROR_LIMIT * row["PE"]):
        row["STATUS"] |= int(ChargeStatus.UNRESOLVED)
    if not (row["PVALUE"] >= options.pvalue_limit or row["MISFIT"] <= options.misfit_limit):
        row["STATUS"] |= int(ChargeStatus.POOR_FIT)


def _goodness(found, noisy, flashes: int) -> tuple[float, int, float, float]:
    """Deviance, degrees of freedom, p-value and misfit of a maximum.

    The misfit is the relative deviation of the spectra from the model, as rms over the flashes,
    beyond that of counting: sqrt((deviance - expected deviance) / flashes).
    """
    deviance, mean, variance, n_bins = found.goodness
    n_runs = (len(found.theta) - N_SHARED) // N_PER_RUN
    # The parameters, and the fixed number of flashes of each run, take one each.
    taken = int((~found.at_limit).sum()) + n_runs + (0 if noisy is None else noisy.n_noise)
    left = max(1.0 - taken / mean, 0.05)
    misfit = math.sqrt(max(deviance - mean * left, 0.0) / flashes)
    return (
        deviance,
        n_bins - taken,
        float(p_value(deviance, mean * left, variance * left)),
        misfit,
    )


def _cross_check(row, spectra, found, noisy) -> None:
    """The gain from the distances of the peaks, and from mean and variance, beside the fit."""
    peaks, moments = gains_beside(spectra, found.theta, None if noisy is None else noisy.theta)
    for name, check in (("PE_PEAKS", peaks), ("PE_MOMENTS", moments)):
        row[name], row[f"{name}_ERR"] = row["PE"] * check.ratio, row["PE"] * check.error
    if disagree(peaks, moments):
        row["STATUS"] |= int(ChargeStatus.GAINS_DISAGREE)


def _fill_noise(row, noisy) -> None:
    """Noise per window and per avalanche, with errors: 0 where the spectra show none."""
    row["NOISE"], row["LATE"] = 0.0, 0.0
    for name in NOISE:
        row[name], row[f"{name}_ERR"] = 0.0, 0.0
    if noisy is None:
        return
    row["NOISE"] = noisy.theta[N_SHARED:N_COMMON]
    for name, kind in zip(NOISE, KINDS, strict=True):
        row[name], row[f"{name}_ERR"] = noisy.total(kind)
    row["LATE"] = late_charge(row["NOISE"], row["OPCT"])
    row["OPCT_ERR"] = math.hypot(row["OPCT_ERR"], SHAPE_ERROR * row["DARK"] * row["OPCT"])
    row["AP_DELAY"] = mean_delay(row["NOISE"][KINDS["afterpulses"]], AFTERPULSE_DELAYS)


def _fill_values(row, theta, covariance) -> None:
    """Values, errors and covariance in widths instead of variances."""
    jacobian = np.ones(len(theta))
    for i in (V_PED, V_PE):
        # At the limit zero the width has no slope; its variance is fixed there anyway.
        jacobian[i] = 0.5 / math.sqrt(theta[i]) if theta[i] > 0 else 0.0
    covariance = covariance * np.outer(jacobian, jacobian)
    error = np.sqrt(np.diag(covariance))
    values = theta.copy()
    values[[V_PED, V_PE]] = np.sqrt(theta[[V_PED, V_PE]])
    for name, i in (("SIGMA_PED", V_PED), ("PE", PE), ("SIGMA_PE", V_PE), ("OPCT", OPCT)):
        row[name], row[f"{name}_ERR"] = values[i], error[i]
    for i, name in enumerate(("EPED", "LAMBDA")):
        row[name] = values[N_SHARED + i :: N_PER_RUN]
        row[f"{name}_ERR"] = error[N_SHARED + i :: N_PER_RUN]
    row["COVARIANCE"] = covariance


@njit
def peak_to_valley(theta, flashes):
    """How the first two photoelectron peaks of a fit stand over the valley between them.

    Parameters
    ----------
    theta : (p,) float
        As in `likelihood`.
    flashes : (R,) int

    Returns
    -------
    ratio : (R,) float
        (f(eped + pe) + f(eped + 2 pe)) / 2 / f(eped + 1.5 pe) of the density f.
    excess : (R,) float
        Mean of the counts of a run in the two peaks minus those in the valley, each over half a
        photoelectron, in standard deviations of Poisson counts.
    """
    n_runs = (theta.shape[0] - N_SHARED) // N_PER_RUN
    parameters, ratio, excess = np.empty(N_PARAMETERS), np.empty(n_runs), np.empty(n_runs)
    for run in range(n_runs):
        copy_parameters(theta, run, parameters)
        eped, pe = parameters[EPED], parameters[PE]
        peaks = 0.5 * (density(eped + pe, parameters) + density(eped + 2.0 * pe, parameters))
        valley = density(eped + 1.5 * pe, parameters)
        ratio[run] = peaks / valley
        counts = flashes[run] * 0.5 * pe
        excess[run] = counts * (peaks - valley) / math.sqrt(counts * (0.5 * peaks + valley))
    return ratio, excess


@njit
def bins_to_search(counts, start, width):
    """The spectra in bins that are fine enough for the search for a start."""
    fine = group_bins(counts, start, width, 1, 1, 1)
    coarse = int(dark_spread(fine) / (BINS_TO_SEARCH * width))
    if coarse > 1:
        return group_bins(counts, start, width, coarse, 1, 1)
    return fine


@njit
def other_starts(counts, start, width, guess):
    """A start (m, p) for each spacing of peaks seen in the spectra (R, n), and for the guess."""
    fine = bins_to_search(counts, start, width)
    spacings = propose_spacings(fine, guess)
    return all_starts(fine, spacings[: len(spacings) - len(WIDTHS_WITHOUT_COMB)])[:: len(SHIFTS)]


@njit
def fit_pixel(counts, start, width, guess, moments):
    """The best maximum over all starts, a `likelihood.Maximum`, and the evidence for any light.

    The evidence is how much lower its deviance is than that of a pedestal alone.

    Parameters
    ----------
    counts : (R, n) float
    start : (R,) float
        Lower edge of the first bin of each run.
    width : float
        Of the bins.
    guess : float
        Of pe; NaN for none.
    moments : (m, 2) float
        `goodness_of_fit.moment_table()`.
    """
    fine = bins_to_search(counts, start, width)
    spacings = propose_spacings(fine, guess)
    theta = start_at(fine, spacings[0], 0.0)
    pedestal = math.sqrt(theta[V_PED])
    grouping = max(int(pedestal / (BINS_PER_WIDTH * width)), 1)
    below = int(MARGIN_BELOW * pedestal / (width * grouping)) + 1
    above = int(MARGIN_ABOVE * theta[PE] / (width * grouping)) + 1
    spectra = group_bins(counts, start, width, grouping, below, above)
    grouped = max(int(pedestal / spectra.width), 1)  # bins that are one for the goodness of fit
    best = maximise(theta, spectra, grouped, moments)
    dark = pedestal_deviance(spectra)
    if _convincing(best):
        return best, dark - best.deviance
    best = _search(all_starts(spectra, spacings), best, spectra, grouped, moments)
    return best, dark - best.deviance


@njit
def _search(starts, best, spectra, grouped, moments):
    """The best of `best` and of where the starts (m, p) lead to; the starts are used up."""
    deviance = np.empty(len(starts))
    n = len(starts)
    for iterations in (0, TRIAL_ITERATIONS):
        for i in range(n):
            reached = climb(starts[i], spectra, iterations)
            copy_into(starts[i], reached[0])
            deviance[i] = reached[1]
        _sort(starts, deviance, n)
        n = min(n, SEMIFINALISTS)
    before = -math.inf
    for i in range(min(FINALISTS, n)):
        # Those that came as far as another one are on their way to the same maximum.
        known = abs(deviance[i] - before) < SAME or abs(deviance[i] - best.deviance) < SAME
        before = deviance[i]
        if known and best.converged:
            continue
        trial = maximise(starts[i], spectra, grouped, moments)
        if trial.deviance < best.deviance or not best.converged:
            best = trial
    return best


@njit
def _sort(starts, deviance, n):
    """Put the first `n` starts (m, p) in the order of their deviance.

    By insertion: there are few, and numpy's sorting compiles for seconds.
    """
    for i in range(1, n):
        least, start = deviance[i], starts[i].copy()
        j = i
        while j > 0 and deviance[j - 1] > least:
            deviance[j] = deviance[j - 1]
            copy_into(starts[j], starts[j - 1])
            j -= 1
        deviance[j] = least
        copy_into(starts[j], start)


@njit
def _convincing(found):
    """Whether no other start needs to be tried: a normal approximation of the p-value will do."""
    if not found.converged or any_of(found.at_limit):
        return False
    deviance, mean, variance, _ = found.goodness
    if deviance > mean + DOUBTFUL_SIGMA * math.sqrt(variance):
        return False
    ratio, _ = peak_to_valley(found.theta, np.ones((len(found.theta) - N_SHARED) // N_PER_RUN))
    return ratio.min() >= DOUBTFUL_PEAK_VALLEY
