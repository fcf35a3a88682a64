"""Spectra of a pixel beside its fit: what figures and report draw of single photoelectrons.

The model is that of the fit, integrated over the same bins; see `model`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.dark_run.pedestal import Pedestal
from pixelcal.charge.spe.dark_run.spectrum import DarkNoise, model_runs
from pixelcal.charge.spe.likelihood import LOWEST_LAMBDA, Spectra, group_bins
from pixelcal.charge.spe.model import MAX_AVALANCHES, avalanche_terms
from pixelcal.charge.spe.noise.late_charges import N_NOISE
from pixelcal.charge.spe.parameters import EPED, LAMBDA, N_PARAMETERS, OPCT, PE, V_PE, V_PED

BINS_PER_PE = 15
"""Bins that are drawn in one photoelectron: enough for a pedestal of 0.1 photoelectrons."""
BINS_WITHOUT_FIT = 120
"""Bins of the whole spectrum of a pixel without a gain."""
MARGIN_BINS = 2
LEAST_FRACTION = 1e-3
"""Peaks with a smaller fraction of the flashes are not drawn as curves."""


class RunView(NamedTuple):
    """One run of one pixel.

    start : lower edge of the first bin; width : of all bins (adu); counts (m,); model (m,), flashes
    that the fit expects in each bin, NaN without a valid fit.
    """

    start: float
    width: float
    counts: np.ndarray
    model: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """Edges (m + 1,) of the bins, adu."""
        return self.start + self.width * np.arange(len(self.counts) + 1)

    @property
    def residuals(self) -> np.ndarray:
        """Signed roots (m,) of the Poisson deviance of each bin."""
        return signed_deviance(self.counts, self.model)


def signed_deviance(counts: np.ndarray, model: np.ndarray) -> np.ndarray:
    """sign(n - m) sqrt(2 (n ln(n / m) - n + m)) of counts n and expected counts m."""
    n, m = np.asarray(counts, float), np.asarray(model, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(n > 0, n * np.log(n / m), 0.0)
    deviance = np.where(m > 0, np.maximum(2.0 * (log - n + m), 0.0), np.nan)
    return np.sign(n - m) * np.sqrt(deviance)


def run_parameters(rows) -> np.ndarray:
    """The six parameters of `model` of every run, (n, R, 6); of one row of SPE, (R, 6)."""
    eped = np.asarray(rows["EPED"], float)
    parameters = np.empty((*eped.shape, N_PARAMETERS))
    # As fitted, where a lamp that fluctuates was taken off afterwards: the spectra have it.
    names = rows.dtype.names
    opct, light = (f"{name}_FIT" if f"{name}_FIT" in names else name for name in ("OPCT", "LAMBDA"))
    for place, name in ((V_PED, "SIGMA_PED"), (PE, "PE"), (V_PE, "SIGMA_PE"), (OPCT, opct)):
        parameters[..., place] = np.asarray(rows[name], float)[..., np.newaxis]
    parameters[..., [V_PED, V_PE]] **= 2  # variances, as the model has them
    parameters[..., EPED], parameters[..., LAMBDA] = eped, np.asarray(rows[light], float)
    # A dark run has none; the law of the avalanches needs some.
    parameters[..., LAMBDA] = np.maximum(parameters[..., LAMBDA], LOWEST_LAMBDA)
    return parameters


def noise_of(row) -> np.ndarray | DarkNoise | None:
    """The noise (N_NOISE,) in the model of a row of SPE; None where there is none.

    With the pedestal of a dark run a DarkNoise.
    """
    noise = np.asarray(row["NOISE"], float)
    if stands_on_dark_run(row):
        return DarkNoise(noise, pedestal_of(row))
    return noise if np.isfinite(noise).all() and noise.any() else None


def stands_on_dark_run(row) -> bool:
    """Whether a row of SPE was fitted with the pedestal of a dark run."""
    return "PED_RATE" in row.dtype.names and bool(np.isfinite(row["PED_NOISE"]))


def pedestal_of(row) -> Pedestal:
    """The law of the pedestal of a row of SPE that was fitted with a dark run."""
    node, rate = (np.asarray(row[name], float) for name in ("PED_NODE", "PED_RATE"))
    return Pedestal(node[rate > 0], float(row["PED_NOISE"]) ** 2, rate[rate > 0])


def expected_counts(
    parameters, start: float, width: float, n: int, flashes: float, noise=None
) -> np.ndarray:
    """Flashes (n,) that the model expects in each bin; the ends hold all that lies beyond.

    `parameters` (6,) are those of `run_parameters`, `noise` (N_NOISE,) that of `noise_of`.
    """
    bins = Spectra(np.zeros((1, n)), np.array([float(start)]), float(width))
    probability, _ = model_runs(np.asarray(parameters, float)[None], noise, bins)
    return flashes * probability[0]


def pixel_views(spectrum, row, bins_per_pe: int = BINS_PER_PE) -> list[RunView]:
    """All runs of a pixel, in bins that suit its gain.

    Parameters
    ----------
    spectrum : row of the table SPECTRA
    row : row of the table SPE, of the same pixel
    bins_per_pe : int
        About how many bins a photoelectron is drawn with; they are whole bins of the spectrum.
    """
    counts = np.asarray(spectrum["COUNTS"], float)
    start, width = np.asarray(spectrum["START"], float), float(spectrum["WIDTH"])
    if not counts.any():
        return [RunView(float(edge), width, np.zeros(1), np.full(1, np.nan)) for edge in start]
    pe = float(row["PE"])
    if np.isfinite(pe):
        group = max(round(pe / (bins_per_pe * width)), 1)
    else:
        used = np.flatnonzero(counts.any(axis=0))
        group = max(int((used[-1] - used[0]) / BINS_WITHOUT_FIT), 1)
    # All runs get as many bins as the longest: those that are empty in data and model go.
    grouped = group_bins(counts, start, width, group, MARGIN_BINS, MARGIN_BINS)
    parameters = run_parameters(row)
    views = []
    for run, flashes in enumerate(grouped.counts):
        n = int(np.flatnonzero(flashes)[-1]) + 1 + MARGIN_BINS if flashes.any() else 1
        first, size = float(grouped.start[run]), float(grouped.width)
        model = np.full(n, np.nan)
        if np.isfinite(pe):
            model = expected_counts(parameters[run], first, size, n, flashes.sum(), noise_of(row))
        views.append(RunView(first, size, flashes[:n], model))
    return views


def peak_curves(row, run: int, charges: np.ndarray) -> np.ndarray:
    """Density (k, m) of each number of avalanches at `charges` (m,), 1/adu.

    `charges` are evenly spaced. Peaks with less than LEAST_FRACTION of the flashes are left out at
    the far end.
    """
    charges = np.asarray(charges, float)
    v_ped, pe, v_pe, _, eped, _ = run_parameters(row)[run]
    weight = peak_fractions(row, run)
    k = np.arange(len(weight))
    if stands_on_dark_run(row):
        shapes = [_shifted(pedestal_of(row), eped + i * pe, i * v_pe, charges) for i in k]
        return weight[:, None] * np.array(shapes)
    variance = (v_ped + k * v_pe)[:, None]
    z2 = (charges - (eped + k * pe)[:, None]) ** 2 / variance
    return weight[:, None] * np.exp(-0.5 * z2) / np.sqrt(2 * np.pi * variance)


def _shifted(pedestal: Pedestal, mean: float, added: float, charges) -> np.ndarray:
    """Density (m,) of a pedestal with another mean and a normal law of variance `added` on it."""
    width = charges[1] - charges[0]
    # The transform is periodic: a peak beyond the last charge must have its place there.
    n = len(charges) + max(int((mean - charges[-1]) / width), 0) + MARGIN_BINS
    bins = Spectra(np.zeros((1, n + 1)), charges[:1] - 1.5 * width, width)
    wider = pedestal._replace(variance_of_noise=pedestal.variance_of_noise + added)
    parameters = np.zeros((1, N_PARAMETERS))
    parameters[0, [PE, EPED]] = width, mean
    probability, _ = model_runs(parameters, DarkNoise(np.zeros(N_NOISE), wider), bins)
    return probability[0, 1 : len(charges) + 1] / width


def peak_fractions(row, run: int) -> np.ndarray:
    """Fraction (k,) of the flashes with 0, 1, 2, ... avalanches, down to LEAST_FRACTION."""
    *_, opct, _, mean = run_parameters(row)[run]
    weight, unused = np.zeros(MAX_AVALANCHES), np.empty((2, MAX_AVALANCHES))
    n = avalanche_terms(mean, opct, MAX_AVALANCHES, weight, *unused)
    kept = np.flatnonzero(weight[:n] >= LEAST_FRACTION)
    return weight[: kept[-1] + 1] if len(kept) else weight[:1]
