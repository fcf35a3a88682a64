"""What the charges of the runs say beyond the fits: lamp, clipping, no light, gains, halves.

A `RunChecks` is made of the charges of the runs, one after the other, and of the fits; the table of
fits is completed with it, and the terminal is told what is of the camera and not of a pixel.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pixelcal.charge.extraction.io import ChargeFile
from pixelcal.charge.spe.checks.halves import HalfChanges, changes_within
from pixelcal.charge.spe.checks.lamp import Lamp, common_noise, lamp_of, without_lamp
from pixelcal.charge.spe.checks.run_gains import RunGains
from pixelcal.charge.spe.columns import PER_RUN, SHARED
from pixelcal.numerics.statistics import median
from pixelcal.status import ChargeStatus, has_valid_fit

LOGGER = logging.getLogger("pixelcal")

CLEAR_SIGMA = 3.0
"""A lamp fluctuates, and noise is common, where so many standard errors say so."""
UNSTABLE_JITTER = 0.25
"""From here on the correction for the lamp is larger than what it corrects."""
CORRECTION_ERROR = 0.1
"""Relative error of the correction, as the form of the fluctuations is not known."""
NO_LIGHT_PE = 0.03
"""Photoelectrons per flash below which a run has no light."""
NO_LAMP = Lamp(*[math.nan] * 4, 0, 0)
"""Where nothing is known of it."""
FITTED = ("OPCT_FIT", "LAMBDA_FIT")
"""Crosstalk and light as fitted, which the spectra are drawn with; those without the lamp are OPCT
and LAMBDA."""


@dataclass
class RunChecks:
    """What is found in the runs of a set, in their order.

    clipped : (n_pixels,) bool, too many flashes at the end of the ADC in some run
    dark : (n_runs,) bool, runs without light, of which there is no lamp
    lamps : of each run
    halves : of each run, the second half of its flashes against the first
    have_charges : whether there are charges, without which the lamps are not known
    """

    clipped: np.ndarray
    dark: np.ndarray
    lamps: list[Lamp] = field(default_factory=list)
    halves: list[HalfChanges] = field(default_factory=list)

    have_charges: bool = True

    def add(self, run: ChargeFile, rows: np.ndarray, width: np.ndarray) -> None:
        """The next run, with the fits (n_pixels,) of all runs, and the widths of their bins."""
        use = has_valid_fit(rows["STATUS"]) & ~run.saturated
        self.clipped |= run.saturated
        number = len(self.lamps)
        dark = bool(self.dark[number])
        self.lamps.append(NO_LAMP if dark else _lamp_of_run(run, rows, number, use))
        self.halves.append(changes_within(run, rows, width, number, dark, use))

    @classmethod
    def of_histograms(cls, n_pixels: int, dark: np.ndarray) -> RunChecks:
        """What is found where there are no charges: nothing about the lamps, no pixel clipped."""
        return cls(np.zeros(n_pixels, bool), dark, [NO_LAMP] * len(dark), have_charges=False)

    @property
    def changing(self) -> np.ndarray:
        """Pixels (n_pixels,) that change within a run."""
        found = np.zeros(len(self.clipped), bool)
        for halves in self.halves:
            found |= halves.changes
        return found

    @property
    def jitter_is_clear(self) -> np.ndarray:
        """Runs (n_runs,) whose lamp fluctuates beyond doubt."""
        return np.array([lamp.variance > CLEAR_SIGMA * lamp.variance_err for lamp in self.lamps])


def _lamp_of_run(run: ChargeFile, rows: np.ndarray, number: int, use: np.ndarray) -> Lamp:
    """The lamp of one run, without noise that is common to the pixels."""
    step = run.step or 1.0
    pedestal = np.where(use, rows["EPED"][:, number], np.nan) / step
    signal = np.array([charge.mean(dtype=float) for charge in run.charges]) - pedestal
    noise, noise_err = common_noise(
        run.charges, pedestal, rows["PE"] / step, rows["SIGMA_PED"] / step
    )
    common = noise > CLEAR_SIGMA * noise_err
    lamp = lamp_of(run.charges, signal, noise if common else 0.0)
    if not common or not math.isfinite(lamp.variance):
        return lamp
    extra = noise_err / median(signal) ** 2
    error = math.hypot(lamp.variance_err, extra)
    jitter_err = math.sqrt(max(lamp.variance, 0.0) + error) - lamp.jitter
    return lamp._replace(variance_err=error, jitter_err=jitter_err)


# --- the table of fits ----------------------------------------------------------------------------


def with_checks(rows: np.ndarray, checks: RunChecks, gains: RunGains) -> np.ndarray:
    """The fits (n,) with crosstalk and light without the lamp, what was fitted, and STATUS bits."""
    fitted = [rows[name.removesuffix("_FIT")].copy() for name in FITTED]
    flagged = rows.copy()
    _take_off_lamp(flagged, checks)
    for bit, where in (
        (ChargeStatus.CLIPPED, checks.clipped),
        (ChargeStatus.CHANGES, gains.pixel_changes | checks.changing),
    ):
        flagged["STATUS"] |= np.where(where, bit, 0).astype(np.int32)
    dtype = np.dtype(
        rows.dtype.descr
        + [(name, "f8", values.shape[1:]) for name, values in zip(FITTED, fitted, strict=True)]
    )
    made = np.empty(len(rows), dtype)
    for name in rows.dtype.names:
        made[name] = flagged[name]
    for name, values in zip(FITTED, fitted, strict=True):
        made[name] = values
    return made


def _take_off_lamp(rows: np.ndarray, checks: RunChecks) -> None:
    """Correct crosstalk and light in place where a lamp fluctuates, errors and covariance too."""
    clear = checks.jitter_is_clear
    if not clear.any():
        return
    valid = has_valid_fit(rows["STATUS"])
    variance = np.where(clear, [lamp.variance for lamp in checks.lamps], 0.0)
    errors = np.where(clear, [lamp.variance_err for lamp in checks.lamps], 0.0)
    opct, light = rows["OPCT"][valid], rows["LAMBDA"][valid]
    flashes = np.median(rows["FLASHES"][valid], axis=0)
    right = without_lamp(opct, light, variance, flashes)
    # What each run's uncertainty moves, and the uncertain part of the correction itself.
    moves = [
        CORRECTION_ERROR * (right[0] - opct),
        CORRECTION_ERROR * (right[1] - light),
    ]
    changes = [moves]
    for run in np.flatnonzero(clear):
        moved = variance.copy()
        moved[run] += errors[run]
        other = without_lamp(opct, light, moved, flashes)
        changes.append([other[0] - right[0], other[1] - right[1]])
    n_runs = light.shape[1]
    at_opct = SHARED.index("OPCT")
    at_light = len(SHARED) + len(PER_RUN) * np.arange(n_runs) + PER_RUN.index("LAMBDA")
    covariance = rows["COVARIANCE"][valid]
    for opct_change, light_change in changes:
        step = np.zeros(covariance.shape[:2])
        step[:, at_opct], step[:, at_light] = opct_change, light_change
        covariance += step[:, :, None] * step[:, None, :]
    of_all = rows["CROSSTALK_ERR"][valid] ** 2 + sum(change**2 for change, _ in changes)
    rows["CROSSTALK"][valid] += right[0] - opct
    rows["CROSSTALK_ERR"][valid] = np.sqrt(of_all)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    rows["OPCT"][valid], rows["LAMBDA"][valid] = right
    rows["OPCT_ERR"][valid], rows["LAMBDA_ERR"][valid] = error[:, at_opct], error[:, at_light]
    rows["COVARIANCE"][valid] = covariance
    # An unstable lamp that explains a clear crosstalk entirely leaves nothing to know it by.
    taken = (right[0] <= 0) & (moves[0] != 0) & (np.max(variance) > UNSTABLE_JITTER**2)
    status = rows["STATUS"][valid]
    rows["STATUS"][valid] = status | np.where(taken, ChargeStatus.AT_LIMIT, 0).astype(np.int32)


def check_cards(checks: RunChecks, gains: RunGains) -> list[tuple]:
    """Header cards: jitter of the lamp and relative gain of each run, with errors, where known.

    LAMPCHK is there where the lamps could not be looked at.
    """
    cards = [] if checks.have_charges else [("LAMPCHK", False, "lamps checked: no, histograms")]
    for run, lamp in enumerate(checks.lamps):
        if math.isfinite(lamp.jitter):
            cards += [
                (f"JITTER{run}", lamp.jitter, "lamp, flash to flash, relative rms"),
                (f"JITERR{run}", lamp.jitter_err, "its standard error"),
            ]
    for run, (gain, error) in enumerate(zip(gains.camera, gains.camera_err, strict=True)):
        if math.isfinite(gain) and math.isfinite(error):
            cards += [
                (f"RGAIN{run}", gain, "gain of the run over that of all, minus 1"),
                (f"RGERR{run}", error, "its standard error"),
            ]
    return [*cards, ("RGAINDIF", gains.camera_changes, "gains differ between the runs")]


# --- in words -------------------------------------------------------------------------------------


def tell(rows: np.ndarray, names: Sequence[str], checks: RunChecks, gains: RunGains) -> None:
    """Warn of what is of the runs and not of a pixel."""
    clear, valid = checks.jitter_is_clear, has_valid_fit(rows["STATUS"])
    if not checks.have_charges:
        LOGGER.warning(
            "the lamp is not checked, nor whether flashes are clipped or pixels change within a"
            " run: histograms do not say which charges belong to one flash, nor their order;"
            " crosstalk and light are as fitted"
        )
    for run, (name, lamp) in enumerate(zip(names, checks.lamps, strict=True)):
        if not checks.dark[run] and median(rows["LAMBDA"][valid, run]) < NO_LIGHT_PE:
            LOGGER.warning(
                "run %s: sees no light (fewer than %g photoelectrons per flash); as a dark run it"
                " says where the pedestal is, and nothing of the gain",
                name, NO_LIGHT_PE,
            )  # fmt: skip
        if clear[run] and lamp.jitter > UNSTABLE_JITTER:
            LOGGER.warning(
                "run %s: all pixels together fluctuate from flash to flash by %.1f ± %.1f %% of"
                " their light: an unstable lamp, or events without light among the flashes (%.0f %%"
                " of them would do it); crosstalk and light are corrected for it; take the run"
                " again if possible, or name sstcam.source.event_types",
                name, 100 * lamp.jitter, 100 * lamp.jitter_err,
                100 * lamp.variance / (1 + lamp.variance),
            )  # fmt: skip
    for name, halves in zip(names, checks.halves, strict=False):
        _tell_halves(name, halves, rows["PIXEL"])
    if gains.camera_changes:
        said = ", ".join(
            f"{name} {100 * gain:+.2f} ± {100 * error:.2f} %"
            for name, gain, error in zip(names, gains.camera, gains.camera_err, strict=True)
            if np.isfinite(gain)
        )
        LOGGER.warning(
            "the gains of the runs differ, against that of the joint fit: %s; bias voltage or"
            " temperature changed; fit runs of one state together",
            said,
        )
    n_clipped = int(checks.clipped.sum())
    if n_clipped:
        LOGGER.warning(
            "%d of %d pixels are clipped: flashes are at the end of the ADC; lower the light or"
            " the gain of the electronics",
            n_clipped, len(rows),
        )  # fmt: skip


def _tell_halves(name: str, halves: HalfChanges, pixel: np.ndarray) -> None:
    """Warn of pixels that change within a run, with the numbers of the first of them."""
    changing = np.flatnonzero(halves.changes)
    if not len(changing):
        return
    first = changing[0]
    numbers = ", ".join(
        f"{what} {100 * change[first]:+.1f} ± {100 * error[first]:.1f} %"
        for what, change, error in (
            ("gain", halves.gain, halves.gain_err),
            ("pedestal", halves.pedestal, halves.pedestal_err),
            ("mean charge", halves.mean, halves.mean_err),
        )
        if np.isfinite(change[first])
    )
    LOGGER.warning(
        "run %s: %d of %d pixels change within the run (STATUS 128), from the first half of the"
        " flashes to the second; pixel %d: %s, in units of its gain; take the run again at a steady"
        " bias voltage and temperature",
        name, len(changing), len(halves.changes), pixel[first], numbers,
    )  # fmt: skip
