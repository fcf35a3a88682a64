"""The report's test of the model: all good pixels together against what their fits expect.

A single pixel has too few flashes to show that the model is a little wrong; the camera has enough.
Every bin of every pixel is put where its middle lies in photoelectrons, (charge - eped) / pe, data
and model alike, so that residuals of the pooled bins are those of counts.

The noise that a fit has taken into its model is part of it here. What the model lacks shows in the
valleys. Light that comes at any time (night sky, dark counts) leaves part of a pulse in the window:
charges between the peaks, most of all between the pedestal and the first photoelectron of the
darkest run. An afterpulse follows an avalanche: it fills the valleys above the first peak, never
the one below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from pixelcal.charge.spe.likelihood import MARGIN_ABOVE, MARGIN_BELOW, occupied
from pixelcal.charge.spe.model import bin_probabilities
from pixelcal.charge.spe.model_spectra import expected_counts, noise_of, run_parameters
from pixelcal.charge.spe.parameters import EPED, N_PARAMETERS, PE, V_PED
from pixelcal.numerics.jit import njit
from pixelcal.report.frame import decimals
from pixelcal.report.numbers import number
from pixelcal.status import ChargeStatus

BIN_PE = 0.05
LOWEST_PE, HIGHEST_PE = -3.0, 20.0
"""Range of the pooled spectra; what lies beyond counts into the ends."""
N_BINS = round((HIGHEST_PE - LOWEST_PE) / BIN_PE)

LEAST_COUNTS = 25.0
"""Neighbouring bins are added up until the model expects so many: their residuals are normal."""

RELEVANT = 0.001
"""Of the flashes of a run: what fewer are missing, or too many, does not make a model wrong."""

MISFIT_LIMIT = 0.01
"""From this misfit on the model is called wrong, ..."""
SIGNIFICANT = 5.0
"""... provided that counting does not explain it: chi-square is beyond its mean by so many of its
standard deviations."""

FIRST_VALLEY = (0.4, 0.75)
NEXT_VALLEYS = ((1.4, 1.75), (2.4, 2.75))
"""Charges (photoelectrons) where nothing but the flanks of the peaks is expected."""
CLEAR_SIGMA = 4.0
"""The first valley has too much or too little in it from here on, once in 16 000 by chance."""
SUPPORTING_SIGMA = 2.0
"""What the next valleys must have in excess where the first has too little."""


class Cause(Enum):
    """What the model misses, by the pattern that it leaves in the valleys."""

    LIGHT_AT_ANY_TIME = auto()
    AFTERPULSES = auto()
    UNKNOWN = auto()


class Pooled(NamedTuple):
    """One run of all good pixels.

    edges (m + 1,) in photoelectrons, counts and model (m,), n_pixels and n_flashes; chi_square over
    the m bins, and `misfit`, sqrt((chi_square - m) / n_flashes): the relative distance of data and
    model, whatever the number of flashes (0 where counting explains all).
    """

    edges: np.ndarray
    counts: np.ndarray
    model: np.ndarray
    n_pixels: int
    n_flashes: int
    chi_square: float
    misfit: float

    @property
    def residuals(self) -> np.ndarray:
        """(data - model) / sqrt(model), (m,)."""
        return (self.counts - self.model) / np.sqrt(self.model)

    @property
    def is_wrong(self) -> bool:
        """Whether the model is wrong by more than it may be, and more than counting explains."""
        n = len(self.counts)
        clear = self.chi_square > n + SIGNIFICANT * np.sqrt(2 * n)
        return bool(self.misfit > MISFIT_LIMIT and clear)


def _excess(run: Pooled, ranges) -> tuple[float, float]:
    """Flashes beyond the model in some ranges of charge, and those of the model."""
    middle = (run.edges[1:] + run.edges[:-1]) / 2
    inside = np.any([(middle >= low) & (middle < high) for low, high in ranges], axis=0)
    expected = run.model[inside].sum()
    return float(run.counts[inside].sum() - expected), float(expected)


def in_valleys(run: Pooled) -> tuple[float, float]:
    """(data - model) / sqrt(model) in the first valley, and in the next two together."""
    found = [_excess(run, ranges) for ranges in ((FIRST_VALLEY,), NEXT_VALLEYS)]
    first, later = (
        excess / np.sqrt(expected) if expected > 0 else 0.0 for excess, expected in found
    )
    return float(first), float(later)


def likely_cause(pooled: Sequence[Pooled]) -> Cause | None:
    """What the pattern of the darkest run points to; None where the model holds.

    Patterns of fewer flashes than `RELEVANT` are none: with enough flashes all is significant.
    """
    if not pooled:
        return None
    first, later = in_valleys(pooled[0])
    most = max(abs(_excess(pooled[0], each)[0]) for each in ((FIRST_VALLEY,), NEXT_VALLEYS))
    if most > RELEVANT * pooled[0].n_flashes:
        if first > CLEAR_SIGMA:
            return Cause.LIGHT_AT_ANY_TIME
        if first < -CLEAR_SIGMA and later > SUPPORTING_SIGMA:
            return Cause.AFTERPULSES
    return Cause.UNKNOWN if any(run.is_wrong for run in pooled) else None


def chosen_pixels(status: np.ndarray) -> np.ndarray:
    """Which pixels (n,) are added up: the good ones; with many poor fits these too.

    Where more fits are poor than good, the model is wrong and not the pixels.
    """
    good, poor = status == 0, status == int(ChargeStatus.POOR_FIT)
    return good | poor if poor.sum() > good.sum() else good


def pool(spectra, rows) -> list[Pooled]:
    """Pooled spectra of the `chosen_pixels`, run by run; empty without any.

    Parameters
    ----------
    spectra : table SPECTRA, n rows
    rows : table SPE, the same pixels
    """
    good = np.flatnonzero(chosen_pixels(np.asarray(rows["STATUS"])))
    if not len(good):
        return []
    parameters = run_parameters(rows[good])
    noise = [noise_of(rows[row]) for row in good]
    counts, model = np.zeros((2, parameters.shape[1], N_BINS))
    of_pixels = (
        np.asarray(spectra["COUNTS"])[good].astype(np.int32),
        np.asarray(spectra["START"])[good].astype(float),
        np.asarray(spectra["WIDTH"])[good].astype(float),
        parameters,
    )
    quiet = np.array([found is None for found in noise])
    _add_pixels(*(values[quiet] for values in of_pixels), counts, model)
    for i in np.flatnonzero(~quiet):
        _add_pixel(*(values[i] for values in of_pixels), noise[i], counts, model)
    return [_pooled(*part, len(good)) for part in zip(counts, model, strict=True)]


def _pooled(counts: np.ndarray, model: np.ndarray, n_pixels: int) -> Pooled:
    """Merge bins until each expects enough, and say how far apart data and model are."""
    edges, starts, waiting = LOWEST_PE + BIN_PE * np.arange(N_BINS + 1), [], 0.0
    for i, expected in enumerate(model):
        if not starts or waiting >= LEAST_COUNTS:
            starts.append(i)
            waiting = 0.0
        waiting += expected
    if waiting < LEAST_COUNTS and len(starts) > 1:
        starts.pop()
    merged = np.add.reduceat(counts, starts), np.add.reduceat(model, starts)
    chi_square = float(((merged[0] - merged[1]) ** 2 / merged[1]).sum())
    n = int(counts.sum())
    # The ends hold what lies beyond: they are drawn as wide as they need to be seen.
    shown = np.append(edges[starts], edges[-1])
    shown[0] = max(shown[0], shown[1] - 1.0)
    if len(shown) > 2:
        shown[-1] = min(shown[-1], shown[-2] + 1.0)
    misfit = float(np.sqrt(max(chi_square - len(starts), 0.0) / max(n, 1)))
    return Pooled(shown, *merged, n_pixels, n, chi_square, misfit)


def _add_pixel(counts, start, width, parameters, noise, pooled, expected) -> None:
    """Add data and model of one pixel, counts (R, n), whose model has `noise`; as `_add_pixels`."""
    for run, fitted in enumerate(parameters):
        low, high = occupied(counts[run])
        below = int(MARGIN_BELOW * np.sqrt(fitted[V_PED]) / width) + 1
        above = int(MARGIN_ABOVE * fitted[PE] / width) + 1
        flashes = np.pad(counts[run, low:high], (below, above))
        first = start[run] + (low - below) * width
        total = counts[run].sum()
        model = expected_counts(fitted, first, width, len(flashes), total, noise)
        model *= total / model.sum()  # there is a floor under each bin
        place = (first + (np.arange(len(flashes)) + 0.5) * width - fitted[EPED]) / fitted[PE]
        k = np.clip(np.floor((place - LOWEST_PE) / BIN_PE).astype(int), 0, N_BINS - 1)
        np.add.at(pooled[run], k, flashes)
        np.add.at(expected[run], k, model)


@njit
def _add_pixels(counts, start, width, parameters, pooled, expected):
    """Add data and model of pixels, counts (n, R, m), to the pooled bins (R, N_BINS)."""
    n_pixels, n_runs, n = counts.shape
    for i in range(n_pixels):
        for run in range(n_runs):
            fitted = parameters[i, run]
            low, high = occupied(counts[i, run])
            low -= int(MARGIN_BELOW * np.sqrt(fitted[V_PED]) / width[i]) + 1
            high += int(MARGIN_ABOVE * fitted[PE] / width[i]) + 1
            first = start[i, run] + low * width[i]
            probability, unused = np.empty(high - low), np.empty((N_PARAMETERS, high - low))
            bin_probabilities(fitted, first, width[i], probability, unused)
            total = 0
            for j in range(n):
                total += counts[i, run, j]
            for j in range(high - low):
                k = _pooled_bin(first + (j + 0.5) * width[i], fitted)
                expected[run, k] += total * probability[j]
                if 0 <= low + j < n:
                    pooled[run, k] += counts[i, run, low + j]


@njit
def _pooled_bin(charge, fitted):
    """Number of the pooled bin of a charge; the ends hold what lies beyond them."""
    place = (charge - fitted[EPED]) / fitted[PE]
    return min(max(int(np.floor((place - LOWEST_PE) / BIN_PE)), 0), N_BINS - 1)


@njit
def _place(start, width, fitted, values, pooled):
    """Add values (m,) of bins from `start` on to the pooled bins (N_BINS,)."""
    for j in range(len(values)):
        pooled[_pooled_bin(start + (j + 0.5) * width, fitted)] += values[j]


def content(run: Pooled, name: str) -> dict:
    """What the page draws of one run; flashes per BIN_PE, as bins are of different widths."""
    scale = BIN_PE / np.diff(run.edges)
    return {
        "name": name,
        "edges": decimals(run.edges, 3),
        "counts": decimals(run.counts * scale, 2),
        "model": decimals(run.model * scale, 2),
        "residuals": decimals(run.residuals, 2),
    }


HEADINGS = (
    "Flashes",
    "χ² / bins",
    "Misfit",
    "First valley (σ)",
    "Next valleys (σ)",
)


def table(pooled: Sequence[Pooled], names: Sequence[str]) -> list[list[str]]:
    """Name of each run, then the cells under HEADINGS."""
    rows = []
    for run, name in zip(pooled, names, strict=True):
        first, later = in_valleys(run)
        cells = f"{run.chi_square:.0f} / {len(run.counts)}", f"{100 * run.misfit:.2f} %"
        valleys = (number(value, "{:+.1f}") for value in (first, later))
        rows.append([name, f"{run.n_flashes:,}", *cells, *valleys])
    return rows
