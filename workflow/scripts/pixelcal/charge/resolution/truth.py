"""The charge resolution that the truth of simulated flashes predicts, beside the measured one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.resolution.estimator import expected_resolution
from pixelcal.charge.resolution.transfer import mean_pedestal
from pixelcal.charge.simulation.flashes import HIGHEST_ADC, Pulse, make_pulse, true_parameters

STEPS_PER_SAMPLE = 32
"""Arrival times of the background that are tried within a sample."""

CLIPPED_SIGMA = 4.0
"""A run is clipped where a flash this many sigma above the mean reaches the end of the ADC."""


def background_moments(
    pulse: Pulse, window: Window, peak: np.ndarray, time: np.ndarray, nsb_per_ns: float
) -> dict[str, np.ndarray]:
    """What night-sky background brings into the window, as photoelectrons of the flash.

    A photoelectron at a random time has the share S of its charge in the window, less that of the
    baseline where one is subtracted; that of the flash has S_0. Campbell's theorem gives the mean
    and variance of their sum from the integrals of S and S^2 over time.

    Parameters
    ----------
    pulse : Pulse
    window : Window
    peak, time : (n,) float
        Sample that the window stands at, and true time of the pulse (samples).
    nsb_per_ns : float
        Photoelectrons per sample (ns).

    Returns
    -------
    dict
        background_pe and background_square, (n,) each, as `expected_resolution` takes them.
    """
    reach = 5 * (pulse.rise_sigma + pulse.fall_sigma) + max(window.window, window.baseline_samples)
    times = np.arange(-reach, reach, 1 / STEPS_PER_SAMPLE)

    def share(n_samples: int, at: np.ndarray) -> np.ndarray:
        return pulse.at(np.arange(n_samples) - at[:, None]).sum(axis=1)

    own = share(window.window, times)
    mean, square = own.sum(), (own**2).sum()
    if window.baseline_samples:
        lost = window.window / window.baseline_samples * share(window.baseline_samples, times)
        mean, square = mean - lost.sum(), square + (lost**2).sum()
    flash = share(window.window, np.asarray(time) - np.asarray(peak) + window.window_shift)
    per_step = nsb_per_ns / STEPS_PER_SAMPLE
    return {
        "background_pe": per_step * mean / flash,
        "background_square": per_step * square / flash**2,
    }


def compare_with_truth(
    camera: np.ndarray,
    pixels: np.ndarray,
    spe: Mapping,
    simulated: Mapping,
    light: Sequence[Mapping],
    peak: np.ndarray,
    window: Window,
    settings: Mapping,
) -> dict:
    """Measured and predicted resolution of each run, over the good pixels that judge.

    Parameters
    ----------
    camera, pixels : tables of resolution.fits
    spe : table SPE, in the order of the pixels
    simulated : table of `flash_simulation.make_pixels`, in the same order
    light : a dict for each run, with name, pe (mean photoelectrons of a pixel of efficiency 1) and
        nsb_per_ns
    peak : (n_pixels,) int
    window : Window
    settings : dict
        conversion, convention, pde; fwhm_ns and afterpulses (their probability) of the simulation.

    Returns
    -------
    dict
        `runs`: for each, name, expected, resolution, its error, bias; `truth` with resolution and
        bias for a perfect conversion; `converted`, the same for the SPE fits' values (conversion
        spe); `ratio`, measured over truth; `reason`, where there is nothing to compare.
        `largest_deviation` of the ratio from 1, and the largest `deviation_sigma`.
    """
    shape = make_pulse(settings["fwhm_ns"])
    parameters = true_parameters(simulated, peak, window, settings["fwhm_ns"])
    known = {own["name"]: own for own in light}
    rows = []
    for number, run in enumerate(camera):
        use = np.asarray(pixels["LEFT_OUT"])[np.asarray(pixels["RUN_ROW"]) == number] == 0
        own = known[str(run["RUN"])]
        entry = _measured(run)
        entry["reason"] = _reason(run, simulated[use], shape, own["pe"], settings)
        if not entry["reason"]:
            background = background_moments(
                shape, window, peak[use], np.asarray(simulated["TIME"])[use], own["nsb_per_ns"]
            )
            entry |= _predicted(run, use, parameters, simulated, spe, own, background, settings)
            entry["ratio"] = entry["resolution"] / entry["truth"]["resolution"]
        rows.append(entry)
    ratios = [entry for entry in rows if "ratio" in entry]
    off = [abs(entry["ratio"] - 1) for entry in ratios]
    pulls = [
        abs(entry["resolution"] - entry["truth"]["resolution"]) / entry["resolution_err"]
        for entry in ratios
    ]
    return {
        "runs": rows,
        "n_compared": len(ratios),
        "largest_deviation": max(off, default=np.nan),
        "largest_deviation_sigma": max(pulls, default=np.nan),
    }


def _measured(run) -> dict:
    """What was measured of a run."""
    names = ("EXPECTED", "RESOLUTION", "RESOLUTION_ERR", "BIAS", "BIAS_ERR")
    return {"name": str(run["RUN"])} | {name.lower(): float(run[name]) for name in names}


def _reason(run, simulated, shape: Pulse, light_pe: float, settings) -> str:
    """Why a run cannot be compared: it does not judge, or the closed form does not hold for it."""
    if str(run["REASON"]):
        return str(run["REASON"])
    if settings["afterpulses"] > 0:
        return "afterpulses are not in the closed form"
    rest = 1 - np.asarray(simulated["OPCT"])
    light = light_pe * np.asarray(simulated["EFFICIENCY"])
    brightest = light / rest + CLIPPED_SIGMA * np.sqrt(light / rest**3)
    reach = np.asarray(simulated["BASELINE"]) + shape.height * simulated["GAIN"] * brightest
    return "the ADC clips" if (reach > HIGHEST_ADC).any() else ""


def _predicted(run, use, parameters, simulated, spe, own, background, settings) -> dict:
    """Resolution and bias by the closed form: perfect conversion, and that of the SPE fits."""
    truth = {name.lower(): values[use] for name, values in parameters.items()}
    truth["pedestal"] = truth.pop("eped")
    light = own["pe"] * np.asarray(simulated["EFFICIENCY"])[use]
    given = float(run["EXPECTED"]), light, truth | background, settings["convention"]
    answers = {"truth": expected_resolution(*given)}
    if settings["conversion"] == "spe":
        pedestal = mean_pedestal(np.asarray(spe["EPED"]), np.asarray(spe["EPED_ERR"]))
        used = tuple(v[use] for v in (pedestal, np.asarray(spe["PE"]), np.asarray(spe["OPCT"])))
        answers["converted"] = expected_resolution(*given, used)
    return {
        name: {"resolution": resolution, "bias": bias}
        for name, (resolution, bias) in answers.items()
    }
