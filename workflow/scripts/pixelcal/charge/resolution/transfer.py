"""Charge to photoelectrons, two ways: by the SPE fit of the pixel, or by a transfer function.

`SpeConversion` takes gain, pedestal and crosstalk of each pixel from single photoelectrons: the
scan has no say in it, so every run of the scan may be assessed. `Transfer` is measured from runs of
the scan itself, so it follows a response that is not linear; those runs are excluded from the
assessment.

Both have `to_pe(rows, charge)`: `rows` a slice of the pixels, `charge` (n_rows, n) in ADC*sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.optimize import isotonic_regression

from pixelcal.charge.spe.noise.late_charges import DECAY, SPENT
from pixelcal.charge.spe.noise.progeny import opct_of_same_mean

LEAST_SLOPE = 0.05
"""Of the transfer function at a knot, as a fraction of the gentler of its neighbouring secants."""


# --- single photoelectrons ------------------------------------------------------------------------


@dataclass(frozen=True)
class SpeConversion:
    """p.e. = (charge - pedestal) / pe * (1 - opct).

    The mean charge of Q photoelectrons is pedestal + pe Q / (1 - opct): the estimate has the mean
    Q. `pedestal`, `pe` (ADC*sample) and `opct` are (n_pixels,), NaN without a valid fit.
    """

    pedestal: np.ndarray
    pe: np.ndarray
    opct: np.ndarray

    def to_pe(self, rows: slice, charge: np.ndarray) -> np.ndarray:
        """Photoelectrons (n_rows, n) of the charges of some pixels."""
        scale = (1 - self.opct[rows]) / self.pe[rows]
        return (charge - self.pedestal[rows, None]) * scale[:, None]

    def range_pe(self) -> np.ndarray:
        """Lowest and highest p.e. (n_pixels, 2) that the conversion was measured at: no limits."""
        return np.tile([-np.inf, np.inf], (len(self.pe), 1))


def mean_pedestal(eped: np.ndarray, eped_err: np.ndarray) -> np.ndarray:
    """One pedestal a pixel (n,) from those of the SPE runs, (n, n_runs) with their errors.

    The mean, weighted with one over the squared errors. Runs without a finite pedestal and error
    are left out; NaN where none is left.
    """
    known = np.isfinite(eped) & np.isfinite(eped_err) & (np.asarray(eped_err) > 0)
    weight = np.where(known, np.divide(1.0, eped_err, where=known, out=np.zeros(eped.shape)), 0)
    weight = weight**2
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            total > 0, (weight * np.where(known, eped, 0.0)).sum(axis=1) / total, np.nan
        )


def pedestal_of_fits(spe) -> np.ndarray:
    """Mean charge without light (n,) of the SPE runs: `mean_pedestal`, and what dark counts add.

    EPED of a fit with dark counts is where the charge would be without any; a dark count that
    begins at any time adds PE / (1 - OPCT) / (1 - exp(-1 / decay)) for each that begins in the
    window (`noise.late_charges`, whose integral over all times this is). With a dark run EPED is
    the mean already, and DARK is 0.

    Parameters
    ----------
    spe : table of n rows
        PE, OPCT, EPED, EPED_ERR, DARK, NOISE.
    """
    pedestal = mean_pedestal(np.asarray(spe["EPED"]), np.asarray(spe["EPED_ERR"]))
    dark = np.asarray(spe["DARK"], float)
    noisy = dark > 0
    if not noisy.any():
        return pedestal
    pe, opct = (np.asarray(spe[name], float)[noisy] for name in ("PE", "OPCT"))
    noise = np.asarray(spe["NOISE"], float)[noisy]
    decay, opct = noise[:, DECAY], opct_of_same_mean(opct, noise[:, SPENT])
    pedestal[noisy] += dark[noisy] * pe / (1 - opct) / -np.expm1(-1 / decay)
    return pedestal


# --- transfer function ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A strictly rising function from charge to p.e. through knots.

    Between the knots a cubic spline whose slopes at the knots are limited so that it rises (Hyman
    1983), beyond them straight lines with the slope of the last two knots. The spline runs on axes
    that are linear below 1 p.e. and logarithmic above (asinh): the runs of a scan lie evenly there,
    and a response that is linear is met exactly.

    `charge`, `pe` (n_knots,): both strictly rising, two knots at least.
    """

    charge: np.ndarray
    pe: np.ndarray

    def __post_init__(self) -> None:
        gain = (self.charge[-1] - self.charge[0]) / (self.pe[-1] - self.pe[0])
        zero = self.charge[0] - gain * self.pe[0]
        places = np.arcsinh((self.charge - zero) / gain)
        values = np.arcsinh(self.pe)
        secant = np.diff(values) / np.diff(places)
        gentler = np.minimum(np.append(secant[0], secant), np.append(secant, secant[-1]))
        slopes = CubicSpline(places, values)(places, 1)
        slopes = np.clip(slopes, LEAST_SLOPE * gentler, 3 * gentler)
        object.__setattr__(self, "_axis", (zero, gain))
        object.__setattr__(self, "_cubic", CubicHermiteSpline(places, values, slopes))

    def _inside(self, charge: np.ndarray) -> np.ndarray:
        zero, gain = self._axis
        return np.sinh(self._cubic(np.arcsinh((charge - zero) / gain)))

    def to_pe(self, charge: np.ndarray) -> np.ndarray:
        """p.e. of charges, any shape."""
        charge = np.asarray(charge, float)
        low, high = self._slopes()
        below = np.minimum(charge - self.charge[0], 0.0)
        above = np.maximum(charge - self.charge[-1], 0.0)
        inside = self._inside(np.clip(charge, self.charge[0], self.charge[-1]))
        return inside + low * below + high * above

    def _slopes(self) -> tuple[float, float]:
        first = (self.pe[1] - self.pe[0]) / (self.charge[1] - self.charge[0])
        last = (self.pe[-1] - self.pe[-2]) / (self.charge[-1] - self.charge[-2])
        return first, last


@dataclass(frozen=True)
class Transfer:
    """Transfer function of each pixel; None where too few runs tell one.

    `curves` has an entry for each of `n_pixels` pixels, or a single one for all of them.
    """

    curves: Sequence[Curve | None]
    n_pixels: int

    def curve(self, row: int) -> Curve | None:
        """The function of the pixel in `row`."""
        return self.curves[row if len(self.curves) > 1 else 0]

    def to_pe(self, rows: slice, charge: np.ndarray) -> np.ndarray:
        """Photoelectrons (n_rows, n) of the charges of some pixels; NaN without a function."""
        out = np.full(np.shape(charge), np.nan)
        for place, row in enumerate(range(self.n_pixels)[rows]):
            curve = self.curve(row)
            if curve is not None:
                out[place] = curve.to_pe(charge[place])
        return out

    def range_pe(self) -> np.ndarray:
        """Lowest and highest p.e. (n_pixels, 2) that the runs reach; NaN without a function."""
        curves = (self.curve(row) for row in range(self.n_pixels))
        return np.array(
            [[np.nan, np.nan] if curve is None else curve.pe[[0, -1]] for curve in curves]
        ).reshape(-1, 2)


def measure_transfer(
    expected_pe: np.ndarray, mean_charge: np.ndarray, error: np.ndarray, n_pixels: int
) -> Transfer:
    """Transfer functions from runs that calibrate.

    The runs are taken in order of light, whatever their names. Where the mean charge does not rise
    with the light (noise of dark runs), neighbours are pooled into one knot (isotonic regression).

    Parameters
    ----------
    expected_pe : (n_pixels or 1, n_runs) float
        Expected charge of each run (p.e.).
    mean_charge, error : (n_pixels or 1, n_runs) float, ADC*sample
        Mean charge and its standard error; NaN where a run has none. One row for the whole camera.
    n_pixels : int
        Pixels of the camera.

    Returns
    -------
    Transfer
    """
    light = np.broadcast_to(expected_pe, mean_charge.shape)
    rows = zip(light, mean_charge, error, strict=True)
    return Transfer([_measure_curve(*row) for row in rows], n_pixels)


def _measure_curve(light: np.ndarray, charge: np.ndarray, error: np.ndarray) -> Curve | None:
    """The curve of one pixel; None where fewer than two knots are left."""
    known = np.isfinite(light) & np.isfinite(charge) & np.isfinite(error) & (error > 0)
    order = np.flatnonzero(known)[np.argsort(light[known], kind="stable")]
    if len(order) < 2:
        return None
    light, charge, weight = light[order], charge[order], error[order] ** -2.0
    level = isotonic_regression(charge, weights=weight)
    edges = level.blocks
    pooled = np.add.reduceat(weight * light, edges[:-1]) / np.add.reduceat(weight, edges[:-1])
    knots, places = level.x[edges[:-1]], pooled
    rising = np.concatenate([[True], np.diff(places) > 0])  # two runs of the same light
    if rising.sum() < 2:
        return None
    return Curve(knots[rising], places[rising])
