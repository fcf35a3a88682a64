"""What the fits of simulated pixels should find, in the window that charges are summed in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.simulation.flashes import make_pulse

PULSE_REACH = 5.0
"""FWHMs of a pulse, to both sides, beyond which nothing is left of it."""
TIME_STEP = 0.02
"""Of the integrals over time, in samples."""


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


def night_sky_charge(
    pixels: Table, peak: np.ndarray, window: Window, fwhm: float, nsb: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (n,) of the charge (adu, adu^2) that night sky leaves in the window.

    A Poisson process of photoelectrons has the mean rate * E(q) * integral of W and the variance
    rate * E(q^2) * integral of W^2 (Campbell), where W(t) is what a pulse at t leaves, and q its
    charge with the crosstalk that it has (a photoelectron causes 1 / (1 - opct) avalanches of
    variance opct / (1 - opct)^3).

    Parameters
    ----------
    pixels, peak, window, fwhm
        As for `true_parameters`, n pixels.
    nsb : float
        Photoelectrons per sample.
    """
    first = np.asarray(peak) - window.window_shift
    of_first = {int(sample): _left_in_window(int(sample), window, fwhm) for sample in set(first)}
    left, left_squared = np.array([of_first[int(sample)] for sample in first]).T
    opct, gain = np.asarray(pixels["OPCT"]), np.asarray(pixels["GAIN"])
    avalanches = 1.0 / (1.0 - opct)
    square = opct * avalanches**3 + avalanches**2 + np.asarray(pixels["SIGMA_PE"]) ** 2 * avalanches
    rate = nsb * (np.asarray(pixels["EFFICIENCY"]) > 0)
    return rate * gain * avalanches * left, rate * gain**2 * square * left_squared


def _left_in_window(first: int, window: Window, fwhm: float) -> tuple[float, float]:
    """Integrals over time (samples) of W and W^2, for a window that begins at sample `first`."""
    weight = np.zeros(max(first + window.window, window.baseline_samples))
    weight[first : first + window.window] = 1.0
    if window.baseline_samples:
        weight[: window.baseline_samples] -= window.window / window.baseline_samples
    reach = int(np.ceil(PULSE_REACH * fwhm))
    time = np.arange(-reach, len(weight) + reach, TIME_STEP)
    left = make_pulse(fwhm).at(np.arange(len(weight)) - time[:, np.newaxis]) @ weight
    return float(left.sum() * TIME_STEP), float((left**2).sum() * TIME_STEP)


def truth_table(
    pixels: Table,
    peak: np.ndarray,
    window: Window,
    light: Sequence[float],
    fwhm: float,
    nsb: float = 0.0,
) -> Table:
    """The true values of the quantities that are fitted, under the names of the fits' columns.

    With a dark run among the runs, EPED and SIGMA_PED are mean and standard deviation of the charge
    without light, night sky included; without one those of the pedestal peak.

    Parameters
    ----------
    pixels, peak, window, fwhm
        As for `true_parameters`, n pixels.
    light : (R,) float
        Mean photoelectrons of each run in a pixel of efficiency 1; 0 is a dark run.
    nsb : float
        Photoelectrons per sample from the night sky.

    Returns
    -------
    Table, a row per pixel
        PIXEL; SIGMA_PED, PE, SIGMA_PE (adu), OPCT; of each run EPED (adu) and LAMBDA, (n, R).
    """
    truth = true_parameters(pixels, peak, window, fwhm)
    light = np.asarray(light, float)
    if (light == 0).any():
        mean, variance = night_sky_charge(pixels, peak, window, fwhm, nsb)
        truth["EPED"] = truth["EPED"] + mean
        truth["SIGMA_PED"] = np.sqrt(truth["SIGMA_PED"] ** 2 + variance)
    per_run = {
        "EPED": np.repeat(truth.pop("EPED")[:, np.newaxis], len(light), axis=1),
        "LAMBDA": np.asarray(pixels["EFFICIENCY"])[:, np.newaxis] * light,
    }
    return Table({"PIXEL": np.asarray(pixels["PIXEL"])} | truth | per_run)
