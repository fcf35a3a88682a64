"""What the fits of simulated pixels should find, in the window that charges are summed in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.simulation.flashes import make_pulse


def true_parameters(
    pixels: Table, peak: np.ndarray, window: Window, fwhm: float
) -> dict[str, np.ndarray]:
    """What the charges of simulated pixels have in truth, without NSB and afterpulses.

    Parameters
    ----------
    pixels : Table
        Of `flashes.make_pixels`, n rows.
    peak : (n,) int
        Sample of the peak at which the window is.
    window : Window
    fwhm : float
        Of the pulse (samples).

    Returns
    -------
    dict of (n,) arrays
        EPED, SIGMA_PED, PE, SIGMA_PE (adu), OPCT. A sample is rounded to a whole number, which adds
        1/12 to its variance; the baseline of the event, w times the mean of nb samples, adds w^2/nb
        of those of a sample.
    """
    n_window, n_baseline = window.window, window.baseline_samples
    first = np.asarray(peak) - window.window_shift
    time = (first - np.asarray(pixels["TIME"]))[:, np.newaxis] + np.arange(n_window)
    fraction = make_pulse(fwhm).at(time).sum(axis=1)
    samples = n_window + (n_window**2 / n_baseline if n_baseline else 0.0)
    pe = np.asarray(pixels["GAIN"]) * fraction
    eped = 0.0 if n_baseline else n_window * np.asarray(pixels["BASELINE"])
    return {
        "EPED": eped + np.zeros(len(pixels)),
        "SIGMA_PED": np.sqrt(samples * (np.asarray(pixels["NOISE"]) ** 2 + 1.0 / 12.0)),
        "PE": pe,
        "SIGMA_PE": pe * np.asarray(pixels["SIGMA_PE"]),
        "OPCT": np.asarray(pixels["OPCT"]).copy(),
    }


def truth_table(
    pixels: Table, peak: np.ndarray, window: Window, light: Sequence[float], fwhm: float
) -> Table:
    """The true values of the quantities that are fitted, under the names of the fits' columns.

    Parameters
    ----------
    pixels, peak, window, fwhm
        As for `true_parameters`, n pixels.
    light : (R,) float
        Mean photoelectrons of each run in a pixel of efficiency 1.

    Returns
    -------
    Table, a row per pixel
        PIXEL; SIGMA_PED, PE, SIGMA_PE (adu), OPCT; of each run EPED (adu) and LAMBDA, (n, R).
    """
    truth = true_parameters(pixels, peak, window, fwhm)
    light = np.asarray(light, float)
    per_run = {
        "EPED": np.repeat(truth.pop("EPED")[:, np.newaxis], len(light), axis=1),
        "LAMBDA": np.asarray(pixels["EFFICIENCY"])[:, np.newaxis] * light,
    }
    return Table({"PIXEL": np.asarray(pixels["PIXEL"])} | truth | per_run)
