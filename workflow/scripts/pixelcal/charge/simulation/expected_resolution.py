"""The charge resolution that the truth of simulated flashes predicts, beside the measured one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pixelcal.charge.extraction.charges import Window
from pixelcal.charge.resolution.transfer import pedestal_of_fits
from pixelcal.charge.simulation.flashes import HIGHEST_ADC, Pulse, make_pulse
from pixelcal.charge.simulation.truth import true_parameters

STEPS_PER_SAMPLE = 32
"""Arrival times of the background that are tried within a sample."""

CLIPPED_SIGMA = 4.0
"""A run is clipped where a flash this many sigma above the mean reaches the end of the ADC."""


def expected_resolution(
    expected_pe: float | np.ndarray,
    light_pe: np.ndarray,
    truth: Mapping[str, np.ndarray | float],
    convention: str,
    conversion: tuple | None = None,
) -> tuple[float, float]:
    """Resolution and bias that the truth predicts, pooled over pixels: closed form.

    Photoelectrons are Poisson around `light_pe`; each avalanche starts a Poisson number of others,
    so their total follows a generalised Poisson law (Consul and Jain 1973) with the mean
    lambda / (1 - opct) and the variance lambda / (1 - opct)^3; k avalanches give a charge of mean
    pedestal + k pe and variance sigma_ped^2 + k sigma_pe^2, rounded to a step.

    Parameters
    ----------
    expected_pe : float or (n_pixels,)
        What the run is expected to give (lab); in the simulation convention `light_pe`.
    light_pe : (n_pixels,) float
        Mean photoelectrons of the flashes.
    truth : dict of float or (n_pixels,)
        pe, sigma_pe, sigma_ped, pedestal (ADC*sample), opct; optional: background_pe, mean charge
        of the background in the window beyond what the pedestal holds, as photoelectrons of the
        flash; background_square, the same of the squares of their charges, where the window does
        not hold them whole; jitter, relative fluctuation of the light from flash to flash; step
        (ADC*sample).
    convention : str
        `lab` or `simulation`.
    conversion : pedestal, pe, opct that charges are converted with, optional
        Those of the truth where not given.

    Returns
    -------
    resolution, bias : float
    """
    light = np.asarray(light_pe, float)
    mean, variance = _estimate_moments(light, truth, convention, conversion)
    if convention == "lab":
        expected, extra = np.asarray(expected_pe, float) + 0 * light, 0.0
    else:
        expected, extra = light, np.mean(light)
    q = np.mean(expected)
    off = mean - expected
    resolution = np.sqrt(np.mean(variance + off**2) + extra) / q
    return float(resolution), float(np.mean(off) / q)


def _estimate_moments(light, truth, convention, conversion) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (n_pixels,) of the extracted charge of a flash in p.e.

    In the simulation convention the variance is around what the true photoelectrons give.
    """
    pe, opct, pedestal = (np.asarray(truth[name], float) for name in ("pe", "opct", "pedestal"))
    used_pedestal, used_pe, used_opct = conversion or (pedestal, pe, opct)
    scale = (1 - used_opct) / used_pe
    background, jitter = truth.get("background_pe", 0.0), truth.get("jitter", 0.0)
    square = truth.get("background_square", background)
    avalanches = (light + background) / (1 - opct)
    noise = (
        np.asarray(truth["sigma_ped"], float) ** 2
        + (light + square) / (1 - opct) * np.asarray(truth["sigma_pe"], float) ** 2
        + truth.get("step", 0.0) ** 2 / 12
    )
    mean = scale * (pedestal + pe * avalanches - used_pedestal)
    worth = scale * pe / (1 - opct)  # p.e. that the estimate gives for one, 1 where it is right
    light_variance = light + (jitter * light) ** 2
    branching = (scale * pe) ** 2 * opct * light / (1 - opct) ** 3
    other = (scale * pe) ** 2 * square / (1 - opct) ** 3 + scale**2 * noise
    slope = worth if convention == "lab" else worth - 1
    return mean, slope**2 * light_variance + branching + other


def background_moments(
    pulse: Pulse, window: Window, peak: np.ndarray, time: np.ndarray, nsb_per_ns: float
) -> dict[str, np.ndarray]:
    """What night-sky background brings into the window, as photoelectrons of the flash.

    A photoelectron at a random time has the fraction S of its charge in the window, minus that of
    the baseline where one is subtracted; that of the flash has S_0. Campbell's theorem gives the
    mean and variance of their sum from the integrals of S and S^2 over time.

    Parameters
    ----------
    pulse : Pulse
    window : Window
    peak, time : (n,) float
        Sample at which the window is, and true time of the pulse (samples).
    nsb_per_ns : float
        Photoelectrons per sample (ns).

    Returns
    -------
    dict
        background_pe and background_square, (n,) each, as `expected_resolution` takes them.
    """
    reach = 5 * (pulse.rise_sigma + pulse.fall_sigma) + max(window.window, window.baseline_samples)
    times = np.arange(-reach, reach, 1 / STEPS_PER_SAMPLE)

    def fraction(n_samples: int, at: np.ndarray) -> np.ndarray:
        return pulse.at(np.arange(n_samples) - at[:, None]).sum(axis=1)

    inside = fraction(window.window, times)
    mean, square = inside.sum(), (inside**2).sum()
    if window.baseline_samples:
        lost = window.window / window.baseline_samples * fraction(window.baseline_samples, times)
        mean, square = mean - lost.sum(), square + (lost**2).sum()
    flash = fraction(window.window, np.asarray(time) - np.asarray(peak) + window.window_shift)
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
    """Measured and predicted resolution of each run, over the good pixels that are assessed.

    Parameters
    ----------
    camera, pixels : tables of resolution.fits
    spe : table SPE, in the order of the pixels
    simulated : table of `flashes.make_pixels`, in the same order
    light : a dict per run, with name, pe (mean photoelectrons of a pixel of efficiency 1) and
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
    known = {lit["name"]: lit for lit in light}
    rows = []
    for number, run in enumerate(camera):
        use = np.asarray(pixels["LEFT_OUT"])[np.asarray(pixels["RUN_ROW"]) == number] == 0
        lit = known[str(run["RUN"])]
        entry = _measured(run)
        entry["reason"] = _reason(run, simulated[use], shape, lit["pe"], settings)
        if not entry["reason"]:
            background = background_moments(
                shape, window, peak[use], np.asarray(simulated["TIME"])[use], lit["nsb_per_ns"]
            )
            entry |= _predicted(run, use, parameters, simulated, spe, lit, background, settings)
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
    """Why a run cannot be compared: it is not assessed, or the closed form does not hold for it."""
    if str(run["REASON"]):
        return str(run["REASON"])
    if settings["afterpulses"] > 0:
        return "afterpulses are not in the closed form"
    rest = 1 - np.asarray(simulated["OPCT"])
    light = light_pe * np.asarray(simulated["EFFICIENCY"])
    brightest = light / rest + CLIPPED_SIGMA * np.sqrt(light / rest**3)
    reach = np.asarray(simulated["BASELINE"]) + shape.height * simulated["GAIN"] * brightest
    return "the ADC clips" if (reach > HIGHEST_ADC).any() else ""


def _predicted(run, use, parameters, simulated, spe, lit, background, settings) -> dict:
    """Resolution and bias by the closed form: perfect conversion, and that of the SPE fits."""
    truth = {name.lower(): values[use] for name, values in parameters.items()}
    truth["pedestal"] = truth.pop("eped")
    light = lit["pe"] * np.asarray(simulated["EFFICIENCY"])[use]
    given = float(run["EXPECTED"]), light, truth | background, settings["convention"]
    predicted = {"truth": expected_resolution(*given)}
    if settings["conversion"] == "spe":
        pedestal = pedestal_of_fits(spe)
        used = tuple(v[use] for v in (pedestal, np.asarray(spe["PE"]), np.asarray(spe["OPCT"])))
        predicted["converted"] = expected_resolution(*given, used)
    return {
        name: {"resolution": resolution, "bias": bias}
        for name, (resolution, bias) in predicted.items()
    }
