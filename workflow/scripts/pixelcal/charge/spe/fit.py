"""Gain of SiPM pixels from their single-photoelectron spectra: use `fit_pixels`.

All illuminations of a pixel are fitted together: they share the gain and the widths, each has a
pedestal and a light. See `model` for the model, `likelihood` for the climb to a maximum, `start`
for the points that it begins at and `search` for which of them. Where the spectra show dark counts,
afterpulses or delayed crosstalk, or the camera has them, `noise.fit` takes them into the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pixelcal.charge.spe.checks.cross_checks import disagree, gains_beside
from pixelcal.charge.spe.columns import fit_dtype
from pixelcal.charge.spe.likelihood import is_at_limit
from pixelcal.charge.spe.noise.climb import NoisyMaximum, noise_total, regrouped, without_noise
from pixelcal.charge.spe.noise.fit import (
    FirstFits,
    explain_at_once,
    explain_further,
    is_beyond_noise,
)
from pixelcal.charge.spe.noise.late_charges import DARK, DELAYED
from pixelcal.charge.spe.noise.priors import KINDS, NEIGHBOURS, NoisePrior, general_prior
from pixelcal.charge.spe.noise.spectrum import N_COMMON
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, OPCT
from pixelcal.charge.spe.rows import LawErrors, begin_row, fill_noise, fill_values
from pixelcal.charge.spe.search import (
    LIGHT_EVIDENCE,
    best_fit,
    first_fit,
    other_starts,
    peak_to_valley,
    with_pedestals,
)
from pixelcal.errors import InputError
from pixelcal.numerics.goodness_of_fit import moment_table, p_value
from pixelcal.status import ChargeStatus

PE_ERROR_LIMIT = 0.01
"""Larger relative errors of pe are flagged as unresolved: five of them are the 5 % by which a
pixel that is called good may be wrong at most."""
OPCT_ERROR_LIMIT, LEAST_OPCT_ERROR = 0.1, 0.01
"""Larger errors of the crosstalk from noise in the model, relative and absolute, are flagged as
unresolved: few flashes do not tell crosstalk from what comes late."""
SHAPE_ERROR = 0.15
"""Relative error of the crosstalk for each dark count in the window: by so much it is off where the
parts of dark counts in the window are uniform, and not those of an exponential pulse."""
FOLLOWING_ERROR = 0.2
"""The same for each afterpulse of an avalanche: by so much it was off in SimSiPM, where cells that
have not recovered are hit again."""
SPLIT_ERROR = 1.3
"""Uncertainty of what is delayed of the crosstalk, relative to it: in SimSiPM so much less is found
to be delayed than is, beside afterpulses and dark counts. It does not change the sum."""
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
    pulse_decay : decay time of the pulse (windows), where it is known; None: from the spectra
    crosstalk_neighbours : number of neighbours that an avalanche can fire, 0 where it is unlimited;
        None: where the spectra of the camera show that it is limited, from them
    """

    pe_guess: float = math.nan
    min_flashes: int = 500
    pvalue_limit: float = 1e-4
    peak_to_valley: float = 1.08
    misfit_limit: float = 0.01
    dark_counts: bool | None = None
    afterpulses: bool | None = None
    delayed_crosstalk: bool | None = None
    pulse_decay: float | None = None
    crosstalk_neighbours: float | None = None

    @property
    def allowed(self) -> dict[str, bool | None]:
        """For each of `KINDS`, and `NEIGHBOURS`, whether it is in the model, as `FirstFits`."""
        neighbours = self.crosstalk_neighbours
        return {kind: getattr(self, kind) for kind in KINDS} | {
            NEIGHBOURS: None if neighbours is None else neighbours > 0
        }

    @property
    def general(self) -> NoisePrior:
        """What is known of the noise of any SiPM, and by the user of this one."""
        return general_prior(self.pulse_decay, self.crosstalk_neighbours)


def options_of(settings: Mapping) -> SpeOptions:
    """The options of the keys of `sstcam.fit`, with None for no guess of pe."""
    guess = settings["pe_guess"]
    return SpeOptions(**{**settings, "pe_guess": math.nan if guess is None else guess})


def fit_pixels(
    counts, start, width, pixel, options: SpeOptions, progress=None, camera=None
) -> np.ndarray:
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
    camera : noise.priors.CameraNoise, optional
        Noise that all pixels have, as `noise.learn` finds it.

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
        raise InputError("SPE fit: there is no run; provide at least one low-illumination run")
    rows = np.zeros(n_pixels, fit_dtype(n_runs))
    moments = moment_table()
    for number in range(n_pixels):
        row = rows[number]
        row["PIXEL"] = pixel[number]
        _fit_row(row, counts[number], start[number], width[number], options, camera, moments)
        if progress is not None:
            progress(number + 1, n_pixels)
    return rows


def _fit_row(row, counts, start, width, options: SpeOptions, camera, moments) -> None:
    """Fit one pixel, counts (R, n) from `start` (R,) on, and fill its row."""
    if not begin_row(row, counts, options.min_flashes):
        return
    counts = counts.astype(float)
    given = counts, start, width
    allowed, general = options.allowed, options.general
    found, evidence, convincing = first_fit(*given, options.pe_guess, moments)
    open_pedestal = False
    if convincing:
        found, open_pedestal = with_pedestals(*given, options.pe_guess, moments, found)
    begun = FirstFits(*given, found.theta, moments, allowed, camera, general)
    # Where noise explains the spectra at once, the other starts need not be tried without it.
    noisy = None if convincing else explain_at_once(begun, found)
    if noisy is None and not convincing:
        first = found
        found, evidence = best_fit(*given, options.pe_guess, moments, found)
        found, open_pedestal = with_pedestals(*given, options.pe_guess, moments, found)
        begun = begun.moved_to(first, found)
    row["NITER"] = found.iterations
    if not evidence >= LIGHT_EVIDENCE:
        row["STATUS"] = int(ChargeStatus.TOO_FEW)
        return
    if noisy is None and not is_beyond_noise(found, counts):
        noisy = explain_further(begun, lambda: other_starts(*given, options.pe_guess))
    # A fit that knew nothing of the camera has nothing of its uncertainty either.
    knew = camera if noisy is not None and noisy is begun.usual else None
    common = None if noisy is None else noisy.systematic(knew)
    systematic = np.zeros_like(found.covariance)
    if noisy is not None:
        found, systematic = noisy.without_noise(), without_noise(common)
        row["NITER"] += found.iterations
    if not found.converged or not np.isfinite(found.covariance).all():
        row["STATUS"] = int(ChargeStatus.NOT_CONVERGED)
        return
    law = LawErrors() if noisy is None else _law_errors(noisy)
    fill_values(row, found.theta, found.covariance, systematic, law)
    fill_noise(row, noisy, common, law)
    row["STAT"], row["DOF"], row["PVALUE"], row["MISFIT"] = goodness(
        found, noisy, row["FLASHES"].sum()
    )
    if is_at_limit(found) or (noisy is not None and noisy.is_at_edge):
        row["STATUS"] |= int(ChargeStatus.AT_LIMIT)
    if noisy is None:
        ratio, excess = peak_to_valley(found.theta, row["FLASHES"])
    else:
        ratio, excess = begun.peak_to_valley(noisy)
    row["PEAK_VALLEY"] = ratio
    noise = None if noisy is None else noisy.theta[N_SHARED:N_COMMON]
    cross_check(row, regrouped(counts, start, width, found.theta), found, noise)
    apart = not open_pedestal if noisy is None else _noise_is_apart(noisy, systematic)
    row["STATUS"] |= quality(row, ratio, excess, apart, options)


def _law_errors(noisy: NoisyMaximum) -> LawErrors:
    """Uncertainty of the crosstalk, because real noise is not quite that of the model."""
    after, _ = noise_total("afterpulses", noisy.theta, noisy.covariance)
    opct, delayed = noisy.theta[[OPCT, N_SHARED + DELAYED]]
    relative = math.hypot(SHAPE_ERROR * noisy.theta[N_SHARED + DARK], FOLLOWING_ERROR * after)
    split = SPLIT_ERROR * delayed
    return LawErrors(math.hypot(relative * opct, split), split, relative * (opct + delayed))


def _noise_is_apart(noisy: NoisyMaximum, systematic) -> bool:
    """Whether the flashes tell the crosstalk from what comes late.

    `systematic` (4 + 2 R, 4 + 2 R) is what the noise of the camera leaves uncertain.
    """
    added = max(noisy.added_by_noise[OPCT, OPCT], 0.0)
    limit = max(OPCT_ERROR_LIMIT * noisy.theta[OPCT], LEAST_OPCT_ERROR)
    return math.sqrt(added + systematic[OPCT, OPCT]) <= limit


def quality(row, ratio, excess, apart: bool, options: SpeOptions) -> int:
    """Bits of a row with a valid fit: whether gain and peaks are resolved, and the fit is good.

    ratio, excess (R,) are those of `peak_to_valley` in the runs with light; `apart`, whether noise
    leaves the crosstalk known.
    """
    status = 0
    resolved = (ratio >= options.peak_to_valley).all() and excess.max() >= FEWEST_SIGMA
    if not (resolved and apart and row["PE_ERR"] <= PE_ERROR_LIMIT * row["PE"]):
        status |= ChargeStatus.UNRESOLVED
    if not (row["PVALUE"] >= options.pvalue_limit or row["MISFIT"] <= options.misfit_limit):
        status |= ChargeStatus.POOR_FIT
    return int(status)


def goodness(found, noisy, flashes: int) -> tuple[float, int, float, float]:
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


def cross_check(row, spectra, found, noise) -> None:
    """The gain from the distances of the peaks, and from mean and variance, beside the fit."""
    peaks, moments = gains_beside(spectra, found.theta, noise)
    for name, check in (("PE_PEAKS", peaks), ("PE_MOMENTS", moments)):
        row[name], row[f"{name}_ERR"] = row["PE"] * check.ratio, row["PE"] * check.error
    if disagree(peaks, moments):
        row["STATUS"] |= int(ChargeStatus.GAINS_DISAGREE)
