"""Charge resolution of a whole scan: conversion, run by run, rows of the product, the verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pixelcal.charge.resolution.estimator import BLOCK_PIXELS, QUANTITIES, charge_edges, measure_run
from pixelcal.charge.resolution.levels import (
    LevelConversion,
    grouped_levels,
    level_conversions,
    levels_summary,
)
from pixelcal.charge.resolution.requirement import (
    levels_of,
    of_level,
    poisson_limit,
    verdict,
)
from pixelcal.charge.resolution.scan import Left, ScanRun, calibrating_runs, left_out, reason
from pixelcal.charge.resolution.transfer import (
    SpeConversion,
    Transfer,
    measure_transfer,
    pedestal_of_fits,
)
from pixelcal.charge.spe.noise.late_charges import SPENT
from pixelcal.charge.spe.noise.progeny import opct_of_same_mean
from pixelcal.errors import InputError
from pixelcal.numerics import statistics
from pixelcal.status import has_valid_fit

LOGGER = logging.getLogger("pixelcal")

NUMBERS = (
    "EXPECTED",
    "MEAN_PE",
    *(f"{name}{kind}" for name in QUANTITIES for kind in ("", "_ERR")),
)
PIXEL_NUMBERS = tuple(name for name in NUMBERS if not name.startswith(("WITHIN", "BETWEEN")))
VALID = "_ANSWER"
"""Suffix of the columns over all pixels with a valid fit; the others are over the good ones."""

SATURATED_LIMIT = 0.02
"""Fraction of the good pixels that may saturate in a run that is assessed; they are left out."""

N_EXTRACTED = len(charge_edges()) - 1
CAMERA_DTYPE = np.dtype(
    [
        ("RUN", "U100"),
        ("N_PH", "f8"),
        ("N_PH_MEAS", "f8"),
        ("LIGHT", "U9"),
        ("PEDESTAL", "U100"),
        ("GAIN", "f8"),
        ("GAIN_ERR", "f8"),
        ("GAIN_FROM", "U16"),
        ("NSB", "f8"),
        ("NSB_MEAS", "f8"),
        ("USE", "U10"),
        ("REASON", "U64"),
        ("FLASHES", "i4"),
        ("N_SATURATED", "i4"),
        ("POISSON", "f8"),
        *(
            (f"{name}{suffix}", "i4" if name == "N_PIXELS" else "f8")
            for suffix in ("", VALID)
            for name in ("N_PIXELS", *NUMBERS)
        ),
        ("EXTRACTED", "i4", (N_EXTRACTED,)),
    ]
)
PIXELS_DTYPE = np.dtype(
    [
        ("RUN_ROW", "i2"),
        ("PIXEL", "i2"),
        ("STATUS", "i4"),
        ("LEFT_OUT", "i4"),
        *((name, "f8") for name in PIXEL_NUMBERS),
    ]
)


class ScanCharges(NamedTuple):
    """Charges of one run: `charge` (n_pixels, n_flashes) times `step` is ADC*sample.

    `dead`, `saturated` (n_pixels,) bool: no signal, or ignored on purpose; a flash reaches the end
    of the ADC. `true_pe` (n_pixels, n_flashes): photoelectrons before crosstalk, or None.
    `calibrated`: the SPE fits were made from this run.
    """

    charge: np.ndarray
    step: float
    dead: np.ndarray
    saturated: np.ndarray
    true_pe: np.ndarray | None
    calibrated: bool = False


class Settings(NamedTuple):
    """How charges become p.e. and what they are held against; keys of the configuration.

    `conversion` spe or transfer; `convention` lab or simulation; `transfer` pixel or camera, what
    has a transfer function.
    """

    conversion: str
    convention: str
    pde: float
    nsb_per_ns: Sequence[float]
    calibrating_runs: Sequence[str] | None = None
    transfer: str = "pixel"


class ScanResolution(NamedTuple):
    """Rows of CAMERA_DTYPE and PIXELS_DTYPE; what the JSON says of pedestal and verdict."""

    camera: np.ndarray
    pixels: np.ndarray
    summary: dict


def measure_scan(
    runs: Sequence[ScanRun],
    load: Callable[[str], ScanCharges],
    spe: Mapping,
    settings: Settings,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> ScanResolution:
    """Measure every run of a scan.

    Parameters
    ----------
    runs : sequence of ScanRun
        In order of light.
    load : function of a run's name
        Gives its charges; called again for a run that is needed again, so only one is in memory.
    spe : table of n_pixels rows
        PIXEL, PE, OPCT, LATE, DARK, NOISE, EPED, EPED_ERR, STATUS, in the order of the pixels of
        the charges.
    settings : Settings
    progress : function of (done, total)

    Raises
    ------
    InputError
        As `calibrating_runs`; where the simulation convention has no true photoelectrons.
    """
    load = _with_known_truth(load, settings)
    calibrate = calibrating_runs(runs, settings.conversion, settings.calibrating_runs)
    total = len(runs) + len(calibrate)
    conversion = _conversion(runs, calibrate, load, spe, settings, lambda n: progress(n, total))
    levels = _levels(runs, load, spe, conversion)
    camera = np.zeros(len(runs), CAMERA_DTYPE)
    camera["GAIN"], camera["GAIN_ERR"] = np.nan, np.nan
    pixels = []
    for row, run in enumerate(runs):
        of_run = conversion
        if run.name in levels:
            of_run = levels[run.name].conversion
            _say_level(camera[row], levels[run.name])
        measured = _measure_one(camera[row], run, load, spe, of_run, calibrate, settings)
        measured["RUN_ROW"] = row
        pixels.append(measured)
        progress(len(calibrate) + row + 1, total)
    summary = {
        "pedestal": _pedestal_check(runs, pixels, spe, settings),
        "levels": levels_summary(runs, levels) if levels else [],
        "verdicts": _verdicts(camera, settings),
        "calibrating_runs": sorted(calibrate),
    }
    return ScanResolution(camera, np.concatenate(pixels), summary)


def _measure_one(row, run, load, spe, conversion, calibrate, settings) -> np.ndarray:
    """Fill the row of a run; returns the rows of its pixels."""
    status = np.asarray(spe["STATUS"])
    charges = load(run.name)
    true = _true(charges, run, settings)
    each = np.broadcast_to(np.mean(true, axis=1) if np.ndim(true) else true, len(status))
    expected = float(statistics.mean(each))
    finite = np.isfinite(charges.charge).all(axis=1)
    calibrates = run.name in calibrate or charges.calibrated
    flags = left_out(
        status, charges.dead, charges.saturated, finite, each, conversion.range_pe(), calibrates
    )
    seen = flags & ~int(Left.NO_LIGHT)  # a dark run has a mean charge, and no resolution
    valid = (seen & ~int(Left.NOT_GOOD)) == 0
    why_not = reason(flags) or _too_many_saturate(status == 0, charges.saturated)
    pooled = not why_not or not expected > 0
    selections = {"": (seen == 0) & pooled, VALID: valid & pooled}
    measured = measure_run(
        lambda rows: conversion.to_pe(rows, charges.charge[rows] * charges.step),
        true,
        settings.convention,
        selections,
    )
    row["RUN"], row["USE"] = run.name, "calibrates" if calibrates else "judges"
    row["N_PH"], row["N_PH_MEAS"], row["LIGHT"] = run.n_ph, run.n_ph_meas, run.photons_are
    row["NSB"], row["NSB_MEAS"] = run.nsb, run.nsb_meas
    row["REASON"] = why_not
    row["FLASHES"] = charges.charge.shape[1]
    row["N_SATURATED"] = (charges.saturated & (has_valid_fit(status))).sum()
    row["EXTRACTED"] = measured.histogram
    for suffix, numbers in measured.cameras.items():
        for name, value in numbers.items():
            row[f"{name}{suffix}"] = value
        row[f"EXPECTED{suffix}"] = numbers["EXPECTED"] if numbers["N_PIXELS"] else expected
    row["POISSON"] = poisson_limit(row["EXPECTED"])
    out = np.zeros(len(status), PIXELS_DTYPE)
    out["PIXEL"], out["STATUS"], out["LEFT_OUT"] = spe["PIXEL"], status, flags
    for name in PIXEL_NUMBERS:
        out[name] = np.where(valid, measured.pixels[name], np.nan)
    return out


def _too_many_saturate(good: np.ndarray, saturated: np.ndarray) -> str:
    """Why a run is not assessed where more than `SATURATED_LIMIT` of the good pixels saturate.

    Those that do not are the ones with low charges: a resolution of them alone would flatter.
    """
    fraction = (good & saturated).sum() / max(good.sum(), 1)
    return (
        f"{100 * fraction:.0f} % of the good pixels saturate" if fraction > SATURATED_LIMIT else ""
    )


def _with_known_truth(
    load: Callable[[str], ScanCharges], settings: Settings
) -> Callable[[str], ScanCharges]:
    """`load`, in the simulation convention without flashes whose true photoelectrons are missing.

    A negative number or NaN is missing. A pixel of which more than half are missing loses all, so
    that it does not cost the others their flashes; a run without any has none.
    """

    def known(name: str) -> ScanCharges:
        charges = load(name)
        if settings.convention == "lab" or charges.true_pe is None:
            return charges
        there = charges.true_pe >= 0
        if there.all():
            return charges
        pixels = there.mean(axis=1) > 0.5
        if not pixels.any():
            return charges._replace(true_pe=None)
        flashes = there[pixels].all(axis=0)
        LOGGER.warning(
            "run %s: true photoelectrons are missing in %d of %d flashes and %d of %d pixels, which"
            " are left out",
            name, (~flashes).sum(), len(flashes), (~pixels).sum(), len(pixels),
        )  # fmt: skip
        true = np.where(pixels[:, None], charges.true_pe[:, flashes], np.nan)
        return charges._replace(charge=charges.charge[:, flashes], true_pe=true)

    return known


def _true(charges: ScanCharges, run: ScanRun, settings: Settings) -> float | np.ndarray:
    """The expected charge of a run (p.e.): one number, or true photoelectrons."""
    if settings.convention == "lab":
        return run.photons * settings.pde
    if charges.true_pe is None:
        raise InputError(
            f"run {run.name}: has no true photoelectrons, which"
            " sstcam.charge_resolution.convention: simulation needs; set lab"
        )
    return charges.true_pe


# --- conversion -----------------------------------------------------------------------------------


def _conversion(runs, calibrate, load, spe, settings, progress) -> SpeConversion | Transfer:
    """The conversion of the settings, measured where it has to be."""
    if settings.conversion == "spe":
        valid = has_valid_fit(spe["STATUS"])
        pedestal = pedestal_of_fits(spe)
        pe, opct, late = (
            np.where(valid, np.asarray(spe[name]), np.nan) for name in ("PE", "OPCT", "LATE")
        )
        opct = opct_of_same_mean(opct, np.asarray(spe["NOISE"], float)[:, SPENT])
        # Afterpulses and delayed crosstalk make a photoelectron larger on average.
        return SpeConversion(np.where(valid, pedestal, np.nan), pe * (1 + late), opct)
    good = np.asarray(spe["STATUS"]) == 0
    columns = []
    for run in runs:
        if run.name in calibrate:
            columns.append(_mean_charge(load(run.name), run, settings, good))
            progress(len(columns))
    light, charge, error = (np.stack(column, axis=1) for column in zip(*columns, strict=True))
    return measure_transfer(light, charge, error, len(good))


def _levels(runs, load, spe, conversion) -> dict[str, LevelConversion]:
    """What each run is converted with, by the SPE fits; none with a transfer function."""
    if not isinstance(conversion, SpeConversion):
        if len(grouped_levels(runs)) > 1:
            LOGGER.warning(
                "the scan has several levels of background, but conversion transfer makes one"
                " function of all; set sstcam.charge_resolution.conversion to spe, or give runs of"
                " one level"
            )
        return {}
    status = np.asarray(spe["STATUS"])
    compared = status == 0 if (status == 0).any() else has_valid_fit(status)
    return level_conversions(runs, load, conversion, compared)


def _say_level(row, level: LevelConversion) -> None:
    row["PEDESTAL"], row["GAIN_FROM"] = level.pedestal_from, level.gain_from
    row["GAIN"], row["GAIN_ERR"] = level.gain, level.gain_err


def _mean_charge(charges: ScanCharges, run: ScanRun, settings: Settings, good) -> tuple:
    """Expected charge, mean charge and its error of each pixel, or of the good ones together."""
    true = _true(charges, run, settings)
    n_pixels, n_flashes = charges.charge.shape
    true = np.broadcast_to(np.mean(true, axis=1) if np.ndim(true) else true, n_pixels)
    if settings.transfer == "camera":
        use = good & ~charges.dead & ~charges.saturated & np.isfinite(charges.charge).all(axis=1)
        if not use.any():
            return tuple(np.full((3, 1), np.nan))
        flash = charges.charge[use].mean(axis=0) * charges.step
        error = flash.std(ddof=1) / np.sqrt(n_flashes)
        return np.array([true[use].mean()]), np.array([flash.mean()]), np.array([error])
    charge, error = np.full((2, n_pixels), np.nan)
    for start in range(0, n_pixels, BLOCK_PIXELS):
        rows = slice(start, start + BLOCK_PIXELS)
        charge_block = charges.charge[rows] * charges.step
        charge[rows] = charge_block.mean(axis=1)
        error[rows] = charge_block.std(axis=1, ddof=1) / np.sqrt(n_flashes)
    return true, np.where(charges.dead | charges.saturated, np.nan, charge), error


# --- summary --------------------------------------------------------------------------------------


def _pedestal_check(runs, pixels, spe, settings) -> dict | None:
    """The pedestal against the darkest run with light of the lowest level (conversion spe).

    What a pixel extracts there beyond the expected charge, in p.e.: median and standard deviation
    over the good pixels, and the standard error of one pixel. Also by how much the pedestals of
    the SPE runs differ: the median over the pixels of largest less smallest (p.e.).
    """
    if settings.conversion != "spe":
        return None
    # A dark run, from which the pedestal is, says nothing of it; nor one that calibrates.
    lit = [runs.index(run) for run in grouped_levels(runs)[0] if run.n_ph != 0] or [0]
    uses = {at: (pixels[at]["LEFT_OUT"] & ~int(Left.NO_LIGHT)) == 0 for at in lit}
    first = next((at for at, use in uses.items() if use.any()), lit[0])
    darkest, use = pixels[first], uses[first]
    off = (darkest["MEAN_PE"] - darkest["EXPECTED"])[use]
    error = (darkest["BIAS_ERR"] * darkest["EXPECTED"])[use]
    good = np.asarray(spe["STATUS"]) == 0
    eped = np.asarray(spe["EPED"], float)[good]
    reach = np.ptp(eped, axis=1) / np.asarray(spe["PE"], float)[good]
    return {
        "run": runs[first].name,
        "n_pixels": int(use.sum()),
        "median_pe": statistics.median(off),
        "scatter_pe": float(np.std(off)) if len(off) else np.nan,
        "error_pe": statistics.median(error),
        "spe_runs_differ_pe": statistics.median(reach),
    }


def _verdicts(camera: np.ndarray, settings: Settings) -> list[dict]:
    """A verdict for each level of background, over the good pixels of the runs taken at it.

    Levels are those of the configuration, and those that runs were taken at beside them: a run at
    another background says nothing of a requirement.
    """
    assessed = camera["REASON"] == ""
    level = np.where(np.isfinite(camera["NSB_MEAS"]), camera["NSB_MEAS"], camera["NSB"])
    verdicts = []
    for nsb in levels_of(level, settings.nsb_per_ns):
        resolution = np.where(assessed & of_level(level, nsb), camera["RESOLUTION"], np.nan)
        verdicts.append(verdict(camera["EXPECTED"], resolution, camera["RESOLUTION_ERR"], nsb))
    return verdicts
