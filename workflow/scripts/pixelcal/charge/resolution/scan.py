"""The runs of a dynamic-range scan: their light, which calibrate, which pixels are left out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from pixelcal.errors import InputError
from pixelcal.status import has_valid_fit

LIGHT_KEYS = ("n_ph", "n_ph_meas", "nsb", "nsb_meas", "relative_gain")

MOST_APART, FEWEST_RUNS = 3.0, 3
"""Light as measured over light as set may differ by this factor from the median of the runs."""

LOGGER = logging.getLogger("pixelcal")


class Left(IntFlag):
    """Why a pixel of a run is left out."""

    WITHOUT_FIT = 1
    NOT_GOOD = 2
    SATURATED = 4
    NOT_FINITE = 8
    BEYOND_CALIBRATION = 16
    CALIBRATES = 32
    NO_LIGHT = 64
    DEAD = 128


WORDS = {
    Left.CALIBRATES: "calibration run",
    Left.NO_LIGHT: "no light is expected",
    Left.SATURATED: "every pixel saturates",
    Left.BEYOND_CALIBRATION: "its light is beyond the runs of the transfer function",
    Left.NOT_FINITE: "no pixel has finite charges",
    Left.NOT_GOOD: "no pixel is good",
    Left.DEAD: "no pixel sees light",
}
"""Why a run is not assessed, where the bit is that of all good pixels; the first counts."""
EACH = {
    Left.SATURATED: "saturate",
    Left.BEYOND_CALIBRATION: "beyond calibration",
    Left.NOT_FINITE: "not finite",
    Left.DEAD: "dead",
}
"""The same where pixels differ."""


class ScanRun(NamedTuple):
    """A row of the scan's table: photons per pixel as set and as measured, background likewise.

    `relative_gain` is that of the run over that of the SPE fits. NaN where the table has nothing.
    """

    name: str
    n_ph: float
    n_ph_meas: float
    nsb: float
    nsb_meas: float
    relative_gain: float = np.nan

    @property
    def photons(self) -> float:
        """Photons per pixel: measured, else as set."""
        return self.n_ph_meas if np.isfinite(self.n_ph_meas) else self.n_ph

    @property
    def photons_are(self) -> str:
        """Which column the photons come from."""
        return "n_ph_meas" if np.isfinite(self.n_ph_meas) else "n_ph"


def scan_runs(entries: Iterable[Mapping]) -> list[ScanRun]:
    """The runs of a scan in order of light; runs of the same light in order of name.

    Parameters
    ----------
    entries : dicts of name, n_ph, and, where known, n_ph_meas, nsb, nsb_meas, relative_gain
        The rows of the scan's `table.csv`.

    Raises
    ------
    InputError
        Where there is no run.
    """
    runs = [
        ScanRun(row["name"], *(float(row.get(key, np.nan)) for key in LIGHT_KEYS))
        for row in entries
    ]
    if not runs:
        raise InputError("the dynamic-range scan has no run; add rows to its table.csv")
    _tell_light(runs)
    return sorted(runs, key=lambda run: (run.photons, run.name))


def _tell_light(runs: Sequence[ScanRun]) -> None:
    """Warn of a run whose light as measured is not in proportion to that which was set."""
    known = [run for run in runs if run.n_ph > 0 and run.n_ph_meas > 0]
    if len(known) < FEWEST_RUNS:
        return
    ratio = np.array([run.n_ph_meas / run.n_ph for run in known])
    for run, excess in zip(known, ratio / np.median(ratio), strict=True):
        if not 1 / MOST_APART < excess < MOST_APART:
            LOGGER.warning(
                "run %s: n_ph_meas %g for n_ph %g is %.3g times what the other runs have; check"
                " both in table.csv",
                run.name, run.n_ph_meas, run.n_ph, excess,
            )  # fmt: skip


def calibrating_runs(
    runs: Sequence[ScanRun], conversion: str, named: Sequence[str] | None
) -> set[str]:
    """Names of the calibration runs, which are excluded from the assessment.

    Conversion `spe` takes none. Conversion `transfer` takes those named, else every second run in
    order of light, so that the brightest is among them: the transfer function reaches all others.

    Raises
    ------
    InputError
        Where a name is no run, conversion `spe` is given names, or no two runs are left to
        calibrate and one to assess.
    """
    key = "sstcam.charge_resolution.calibrating_runs"
    if conversion == "spe":
        if named:
            raise InputError(
                f"{key}: the conversion spe uses no run of the scan; leave it null, or set"
                " conversion to transfer"
            )
        return set()
    if named is None:
        chosen = {run.name for run in runs[::-1][::2]}
    else:
        chosen = set(named)
        unknown = sorted(chosen - {run.name for run in runs})
        if unknown:
            raise InputError(
                f"{key}: {unknown[0]} is not a run of the scan; name those of its table"
            )
    if len(chosen) < 2:
        raise InputError(f"{key}: a transfer function needs two runs; the scan gives {len(chosen)}")
    if len(chosen) == len(runs):
        raise InputError(
            f"{key}: every run is a calibration run and none is left to assess; name fewer"
        )
    return chosen


def left_out(
    status: np.ndarray,
    dead: np.ndarray,
    saturated: np.ndarray,
    finite: np.ndarray,
    expected_pe: np.ndarray,
    range_pe: np.ndarray,
    calibrates: bool,
) -> np.ndarray:
    """Bits of `Left` (n_pixels,) for one run; 0 is assessed.

    Parameters
    ----------
    status : (n_pixels,) int
        STATUS of the SPE table.
    dead, saturated, finite : (n_pixels,) bool
        Whether the pixel sees no light, or was ignored on purpose; whether a flash reaches the end
        of the ADC; whether all charges are finite.
    expected_pe : (n_pixels,) float
        Mean expected charge.
    range_pe : (n_pixels, 2) float
        Where the conversion was measured; NaN where it was not.
    calibrates : bool
    """
    with np.errstate(invalid="ignore"):
        inside = (expected_pe >= range_pe[:, 0]) & (expected_pe <= range_pe[:, 1])
    bits = (
        (Left.WITHOUT_FIT, ~has_valid_fit(status)),
        (Left.NOT_GOOD, status != 0),
        (Left.SATURATED, saturated),
        (Left.NOT_FINITE, ~finite),
        (Left.BEYOND_CALIBRATION, ~inside),
        (Left.CALIBRATES, np.full(len(status), calibrates)),
        (Left.NO_LIGHT, ~(expected_pe > 0)),
        (Left.DEAD, dead),
    )
    flags = np.zeros(len(status), np.int32)
    for bit, where in bits:
        flags[where] |= int(bit)
    return flags


def reason(flags: np.ndarray) -> str:
    """Why a run is not assessed at all, in words; empty where a pixel of it is.

    Of the pixels that are good; those that are not would be left out anyway.
    """
    if not len(flags) or (flags == 0).any():
        return "" if len(flags) else "no pixel"
    shared = np.bitwise_and.reduce(flags)
    if not shared & (Left.CALIBRATES | Left.NO_LIGHT):
        good = flags[(flags & Left.NOT_GOOD) == 0]
        if not len(good):
            return WORDS[Left.NOT_GOOD]
        shared = np.bitwise_and.reduce(good)
    for bit, text in WORDS.items():
        if shared & bit:
            return text
    counts = {bit: int(((good & bit) != 0).sum()) for bit in EACH}
    parts = [f"{n} {EACH[bit]}" for bit, n in counts.items() if n]
    return "every good pixel is left out: " + ", ".join(parts)
