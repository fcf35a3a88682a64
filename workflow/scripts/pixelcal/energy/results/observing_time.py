"""How long to observe: what the information in one exposure says about any other.

Expected counts grow with the exposure, and so does the Fisher information in them. For each pixel
the covariance of the relation is predicted from the learnt response, the pixel's counts and its
resolution; from the covariance follow the error of each energy and the chance to meet the
requirement. `docs/observing-time.md` has the formulae.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import gammaincc, ndtr

from pixelcal.energy.kinds import kinds_of, of_kind, rows_by_kind
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import energy_sigma, relation_columns
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.response.model import Response
from pixelcal.energy.response.population import population_weight
from pixelcal.energy.results.fisher import PIVOT_KEV, InformationTable, tabulate_information
from pixelcal.instrument import Instrument, Requirement
from pixelcal.numerics.statistics import robust_std
from pixelcal.report.numbers import duration
from pixelcal.status import EnergyStatus, has_valid_fit

SECONDS = np.logspace(3, 6, 61)
"""Exposures that are predicted: 1 ks to 1 Ms, 20 a decade."""

FRACTIONS = (0.95, 0.99, 0.999)
"""Fractions of the pixels for which the shortest exposure is looked for."""

ALIVE_FRACTION = 0.3
"""A pixel that is short of counts, yet has this fraction of the camera's median, waits for more."""

LARGEST_SHIFT = 2.0
"""Shrinking moves an estimate by at most so many of its standard errors (Efron & Morris 1972)."""

N_QUADRATURE = 24

BASIS_JOINT = (
    "Fisher information of the learnt response with each pixel's counts and resolution, all else"
    " free as in the fit; normal errors at the bound, the same background per second"
)
BASIS_TWO_STEP = (
    "covariance of each pixel's two-step fit, scaled with one over the exposure; it is known to be"
    " too small, and a wrong line shape does not average out"
)


class Pixels(NamedTuple):
    """The pixels of an exposure that may have a valid fit in another one, and how many there are.

    Attributes
    ----------
    counts : (n,) float
        Expected counts in the blocks in `seconds`.
    covariance : (n, 3) float or None
        Variance of the energy at `fisher.PIVOT_KEV`, its covariance with the slope and the
        slope's variance, at `seconds`; None where the information says it.
    log_resolution : (n,) float
    n_wanted : int
        All pixels that are not masked.
    seconds : float
    """

    counts: np.ndarray
    covariance: np.ndarray | None
    log_resolution: np.ndarray
    n_wanted: int
    seconds: float


def predict_observing_time(
    rows: Mapping,
    seconds: float,
    min_counts: int,
    table: LineTable | None = None,
    response: Mapping[str, Response] | None = None,
    grid_seconds: np.ndarray = SECONDS,
    *,
    instrument: Instrument,
) -> dict:
    """Predicted errors and pass fractions against exposure.

    Parameters
    ----------
    rows : table or structured array, (n,) in each column
        A relation: GAIN, OFFSET, their errors and covariance, FWHM_60, COUNTS, STATUS.
    seconds : float, s
        Exposure that it was fitted in.
    min_counts : int
        Pixels with fewer counts in the blocks get no valid fit.
    table, response : LineTable and dict of kind to Response, optional
        Those of the joint fit. Without them the covariances of the fits are scaled.
    grid_seconds : (n_times,) float, s, increasing
    instrument : Instrument

    Returns
    -------
    dict
        As in `docs/products.md` under `observing_time.json`; None where nothing is known.
    """
    wanted, valid = _wanted_and_valid(rows)
    if response is None:
        groups = [(_two_step_pixels(rows, wanted, valid, seconds), None)]
    else:
        groups = [
            _joint_group(rows, wanted & chosen, valid & chosen, seconds, table, one, instrument)
            for chosen, one in _by_kind(rows, response)
        ]
    predicted = _predict(groups, min_counts, grid_seconds, instrument.requirement)
    passing, fitted = predicted["pass_fraction_all"], predicted["answer_fraction"]
    shortest = {f"{f:g}": shortest_seconds(grid_seconds, passing, f) for f in FRACTIONS}
    return {
        **predicted,
        "shortest_seconds": shortest,
        "why": {
            fraction: _reason(grid_seconds, passing, fitted, float(fraction))
            for fraction, found in shortest.items()
            if found is None
        },
        "measured": measured_numbers(rows, wanted, valid, seconds, instrument.requirement),
        "basis": BASIS_JOINT if response is not None else BASIS_TWO_STEP,
    }


def _by_kind(rows, response: Mapping[str, Response]):
    """Which pixels (n,) are of each kind, and the response of that kind."""
    kinds = kinds_of(rows)
    for kind in rows_by_kind(kinds):
        yield kinds == kind, of_kind(response, kind)


def _joint_group(rows, wanted, valid, seconds, table, response, instrument: Instrument):
    """Pixels of the joint fit that share a response, and the information in their spectra."""
    relation = _middle_relation(rows, valid, instrument)
    information = tabulate_information(response, table, *relation, instrument.n_channels)
    return _joint_pixels(rows, wanted, valid, seconds, information, response), information


def _predict(groups, min_counts: int, grid_seconds, requirement: Requirement) -> dict:
    """Errors and pass fractions at each exposure; without pixels NaN and 0.

    `groups` are pixels that share a response, and the information in their spectra or None.
    """
    energies = np.array(requirement.energies_keV)
    limits = requirement_keV(energies, requirement)
    n_energies, n_times = len(energies), len(grid_seconds)
    sigma = {name: np.full((n_energies, n_times), np.nan) for name in ("median", "p90", "rms")}
    passing = np.zeros((n_energies, n_times))
    passing_all, fitted = np.zeros(n_times), np.zeros(n_times)
    n_wanted = sum(pixels.n_wanted for pixels, _ in groups)
    used = [group for group in groups if len(group[0].counts)]
    for t, target in enumerate(grid_seconds if used else ()):
        covariance = np.concatenate([covariance_at(one, target, known) for one, known in used])
        errors = sigma_at(covariance, energies)
        sigma["median"][:, t] = np.median(errors, axis=1)
        sigma["p90"][:, t] = np.quantile(errors, 0.9, axis=1)
        sigma["rms"][:, t] = np.sqrt(np.mean(errors**2, axis=1))
        counts = np.concatenate([one.counts * target / one.seconds for one, _ in used])
        weight = enough_counts(counts, min_counts) / n_wanted
        fitted[t] = weight.sum()
        passing[:, t] = pass_probability(errors, limits[:, None]) @ weight
        passing_all[t] = pass_all_probability(covariance, energies, requirement) @ weight
    return {
        "seconds": grid_seconds,
        "energies_keV": energies,
        "requirement_keV": limits,
        "sigma_keV": sigma,
        "pass_fraction": passing,
        "pass_fraction_all": passing_all,
        "answer_fraction": fitted,
    }


def measured_numbers(
    rows: Mapping, wanted, valid, seconds: float, requirement: Requirement
) -> dict:
    """The errors that the fits of this exposure quote, at the same energies."""
    columns = [column[valid] for column in relation_columns(rows)]
    sigma = np.array([energy_sigma(energy, *columns) for energy in requirement.energies_keV])
    some = bool(valid.any())
    return {
        "seconds": float(seconds),
        "n_pixels": int(wanted.sum()),
        "n_answers": int(valid.sum()),
        "sigma_median_keV": np.median(sigma, axis=1) if some else [None] * len(sigma),
        "sigma_rms_keV": np.sqrt(np.mean(sigma**2, axis=1)) if some else [None] * len(sigma),
    }


def covariance_at(pixels: Pixels, seconds: float, information: InformationTable | None):
    """Covariance (n, 3) of each pixel's relation after `seconds`, as in `Pixels.covariance`."""
    if information is None:
        return pixels.covariance * (pixels.seconds / seconds)
    scale = pixels.counts * (seconds / pixels.seconds) / information.counts
    return information.covariance(scale, pixels.log_resolution)


def sigma_at(covariance: np.ndarray, energies_keV) -> np.ndarray:
    """Standard deviation (n_energies, n) of the energy from covariances (n, 3)."""
    d = np.asarray(energies_keV, float)[:, None] - PIVOT_KEV
    variance, mixed, slope = covariance.T
    return np.sqrt(np.maximum(variance + 2 * d * mixed + d**2 * slope, 0.0))


def pass_probability(sigma_keV, limit_keV):
    """Probability that a normal error of standard deviation `sigma_keV` is within the limit."""
    with np.errstate(divide="ignore"):
        return 1.0 - 2.0 * ndtr(-limit_keV / sigma_keV)


def pass_all_probability(
    covariance: np.ndarray, energies_keV, requirement: Requirement
) -> np.ndarray:
    """Probability (n,) that the errors at all energies are within the requirement together.

    The errors at all energies follow from two normal numbers, error at the pivot and slope: given
    the first, each requirement is an interval of the second. Gauss-Legendre quadrature over the
    first within the widest requirement.
    """
    variance, mixed, slope = covariance.T
    limits = requirement_keV(energies_keV, requirement)
    distance = np.asarray(energies_keV, float) - PIVOT_KEV
    spread = np.sqrt(variance)
    # No error at the pivot beyond these has a slope that suits the energies on both sides.
    reach = np.minimum(8.0 * spread, _reach(distance, limits))
    nodes, weights = np.polynomial.legendre.leggauss(N_QUADRATURE)
    rest = np.sqrt(np.maximum(slope - mixed**2 / variance, 1e-300))
    total = np.zeros(len(covariance))
    for node, weight in zip(nodes, weights, strict=True):
        error = node * reach
        low, high = np.full(len(error), -np.inf), np.full(len(error), np.inf)
        for d, limit in zip(distance, limits, strict=True):
            if d == 0.0:
                high = np.where(np.abs(error) <= limit, high, -np.inf)
                continue
            ends = (-limit - error) / d, (limit - error) / d
            low, high = np.maximum(low, np.minimum(*ends)), np.minimum(high, np.maximum(*ends))
        middle = mixed / variance * error
        inside = ndtr((high - middle) / rest) - ndtr((low - middle) / rest)
        density = np.exp(-0.5 * (error / spread) ** 2) / (np.sqrt(2 * np.pi) * spread)
        total += weight * reach * density * np.maximum(inside, 0.0)
    return np.minimum(total, 1.0)


def _reach(distance: np.ndarray, limits: np.ndarray) -> float:
    """The largest error at the pivot with which some slope meets every requirement (keV).

    Between an energy below and one above the pivot the error is a straight line: at the pivot it
    is at most the line through both limits.
    """
    below, above = distance < 0, distance >= 0
    if not (below.any() and above.any()):
        return np.inf
    d0, l0 = distance[below][:, None], limits[below][:, None]
    d1, l1 = distance[above], limits[above]
    return float(np.min((l0 * d1 - l1 * d0) / (d1 - d0)))


def enough_counts(expected: np.ndarray, min_counts: int) -> np.ndarray:
    """Probability (n,) that a Poisson count of mean `expected` is at least `min_counts`."""
    if min_counts <= 0:
        return np.ones(len(expected))
    return 1.0 - gammaincc(min_counts, np.maximum(expected, 0.0))


def shortest_seconds(seconds: np.ndarray, passing: np.ndarray, fraction: float) -> float | None:
    """The first exposure at which `passing` reaches `fraction`; None where it does not.

    Between two exposures of the grid the logarithm of what is missing is a straight line against
    that of the exposure.
    """
    reached = np.flatnonzero(passing >= fraction)
    if not len(reached):
        return None
    i = int(reached[0])
    if i == 0:
        return float(seconds[0])
    missing = np.log(np.maximum(1.0 - passing[i - 1 : i + 1], 1e-300))
    part = (np.log(1.0 - fraction) - missing[0]) / (missing[1] - missing[0])
    return float(seconds[i - 1] * (seconds[i] / seconds[i - 1]) ** part)


def _reason(seconds, passing, fitted, fraction: float) -> str:
    """Why a fraction of the pixels is not reached at any exposure."""
    if not fitted.any():
        return "no pixel has a valid fit to predict from"
    most = fitted.max()
    if most < fraction:
        return f"only {100 * most:.2f} % of the pixels have a valid fit"
    return f"{100 * passing[-1]:.2f} % at {duration(seconds[-1])}, the longest exposure predicted"


def _wanted_and_valid(rows: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that are not masked, and those of them that have a valid fit, (n,) bool."""
    status = np.asarray(rows["STATUS"])
    wanted = (status & int(EnergyStatus.MASKED)) == 0
    known = np.isfinite(np.asarray(rows["GAIN"], float))
    return wanted, wanted & known & has_valid_fit(status)


def _middle_relation(rows: Mapping, valid, instrument: Instrument) -> tuple[float, float]:
    """Median gain and offset of the valid fits; the nominal relation where there is none."""
    if not valid.any():
        return instrument.gain_keV, instrument.offset_keV
    return tuple(float(np.median(np.asarray(rows[n])[valid])) for n in ("GAIN", "OFFSET"))


def _joint_pixels(rows, wanted, valid, seconds, information, response) -> Pixels:
    """Counts and resolution of the pixels, freed from the noise of this exposure."""
    counts = np.asarray(rows["COUNTS"], float)
    short = (np.asarray(rows["STATUS"]) & int(EnergyStatus.TOO_FEW_COUNTS)) != 0
    some = counts[wanted & (counts > 0)]
    alive = short & (counts >= ALIVE_FRACTION * np.median(some)) if len(some) else short & False
    used = (valid | (wanted & alive)) & (counts > 0)
    if information is None:
        used[:] = False
    counts = counts[used]
    n_wanted = max(int(wanted.sum()), 1)
    if not len(counts):
        return Pixels(counts, None, counts, n_wanted, seconds)
    counts = shrink(counts, np.full(len(counts), counts.mean()))
    fitted = valid[used]
    log_resolution = np.zeros(len(counts))
    if fitted.any():
        raw = np.log(np.asarray(rows["FWHM_60"], float)[used][fitted] / response.shape.fwhm_60)
        scale = counts[fitted] / information.counts
        variance = information.log_resolution_variance(scale, np.median(raw))
        # How little pixels differ pulls towards the camera's resolution: taken out here, because it
        # is no knowledge about the spread of the pixels.
        prior = response.population_scale[0]
        data = np.maximum(1.0 / variance - population_weight(0.0, prior) / prior**2, 1e-3)
        raw = raw / (data * variance)
        # Around that of the camera: the mean pixel is better known from all together.
        log_resolution[fitted] = shrink(raw - np.median(raw), 1.0 / data)
    return Pixels(counts, None, log_resolution, n_wanted, seconds)


def _two_step_pixels(rows, wanted, valid, seconds) -> Pixels:
    """The covariances that the fits quote, about the pivot; pixels without a valid fit left out."""
    gain, offset, gain_err, offset_err, mixed = (column[valid] for column in relation_columns(rows))
    # An energy E is at x = (E - offset) / gain, so its error is x dgain + doffset.
    x = (PIVOT_KEV - offset) / gain
    variance = x**2 * gain_err**2 + 2 * x * mixed + offset_err**2
    covariance = np.array([variance, (x * gain_err**2 + mixed) / gain, (gain_err / gain) ** 2]).T
    counts = np.asarray(rows["COUNTS"], float)[valid]
    return Pixels(counts, covariance, np.zeros(len(counts)), max(int(wanted.sum()), 1), seconds)


def shrink(estimates: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Estimates (n,) moved to their mean so that their spread is that of the true values.

    Constrained empirical Bayes (Louis 1984): with the spread of the truth
    tau^2 = max(0, spread^2 - mean variance), an estimate x of variance v becomes
    m + sqrt(tau^2 / (tau^2 + v)) (x - m). The spread is that of the middle of the distribution
    (median absolute deviation), and no estimate moves by more than LARGEST_SHIFT of its errors:
    a pixel that is truly different stays so.
    """
    middle = np.median(estimates)
    spread = robust_std(estimates)
    tau2 = max(0.0, spread**2 - np.mean(variances))
    moved = middle + np.sqrt(tau2 / (tau2 + variances)) * (estimates - middle)
    largest = LARGEST_SHIFT * np.sqrt(variances)
    return np.clip(moved, estimates - largest, estimates + largest)
