"""Night sky level by level: the pedestal and the gain that each run of a scan is converted with.

Night-sky background lifts the charge without light, and the current that it draws lowers the bias
voltage of a SiPM, so its gain drops. A level is all runs taken at one background.

- Pedestal: the mean charge of the dark runs (n_ph is 0) of the level; without any that of the SPE
  fits.
- Gain, relative to the SPE fits: a number of the scan's table (`relative_gain`), else measured.
  Measured is the mean charge per photon of the *other* runs of the level over that of runs of the
  same light at the lowest level. So a run has no say in what it is converted with, and the lowest
  level is taken for that of the SPE fits. What also drops, as the detection efficiency, is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pixelcal.charge.resolution.scan import ScanRun
from pixelcal.charge.resolution.transfer import SpeConversion
from pixelcal.numerics.statistics import median

LOGGER = logging.getLogger("pixelcal")

SAME_LEVEL, LEAST_DIFFERENCE = 0.1, 0.001
"""Runs are of one level whose backgrounds differ by no more than this fraction, or this many p.e.
per ns. Less than for a requirement: 0.003 p.e. per ns already lift the pedestal by 0.05 p.e."""
SAME_LIGHT = 0.05
"""Relative difference of the photons of two runs up to which their responses are compared."""
FROM_FITS, FROM_TABLE, LOWEST, OTHERS, ITSELF, UNKNOWN = (
    "SPE fits", "table", "lowest level", "other runs", "the run itself", "not known",
)  # fmt: skip


class LevelConversion(NamedTuple):
    """What the charges of one run are converted with.

    conversion : SpeConversion
    nsb : level of background (p.e. per ns), NaN where it is not known
    pedestal_from : "SPE fits", or the names of the dark runs
    pedestal_shift_pe : median over the good pixels of the pedestal minus that of the fits
    gain, gain_err : relative to the SPE fits; the error is 0 where it is given, NaN where the gain
        is not known and 1 is taken
    gain_from : where the gain is from
    """

    conversion: SpeConversion
    nsb: float
    pedestal_from: str
    pedestal_shift_pe: float
    gain: float
    gain_err: float
    gain_from: str


class Response(NamedTuple):
    """What a run says of the gain of its level: mean charge (n,) above the pedestal in p.e. of the
    fits, the pixels (n,) bool that can be used, and the relative error of their mean."""

    mean: np.ndarray
    use: np.ndarray
    relative_error: float


def run_level(run: ScanRun) -> float:
    """Background of a run (p.e. per ns): as measured, else as set."""
    return run.nsb_meas if np.isfinite(run.nsb_meas) else run.nsb


def grouped_levels(runs: Sequence[ScanRun]) -> list[list[ScanRun]]:
    """The runs of each level, by rising background; those of no known background come last."""
    groups: list[list[ScanRun]] = []
    for run in sorted(runs, key=lambda run: (np.isnan(run_level(run)), run_level(run))):
        if groups and _same_level(run_level(groups[-1][0]), run_level(run)):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [sorted(group, key=lambda run: (run.photons, run.name)) for group in groups]


def _same_level(lower: float, nsb: float) -> bool:
    if np.isnan(lower) or np.isnan(nsb):
        return bool(np.isnan(lower) and np.isnan(nsb))
    return nsb - lower <= max(SAME_LEVEL * nsb, LEAST_DIFFERENCE)


def level_conversions(
    runs: Sequence[ScanRun], load: Callable, base: SpeConversion, good: np.ndarray
) -> dict[str, LevelConversion]:
    """The conversion of each run, by its name.

    Parameters
    ----------
    runs : sequence of ScanRun
    load : function of a run's name
        Gives `measure.ScanCharges`; called only where there is a dark run or several levels.
    base : SpeConversion
        That of the SPE fits.
    good : (n_pixels,) bool
        Pixels whose responses are compared.
    """
    groups = grouped_levels(runs)
    pedestals = {id(group): _pedestal(group, load, base, good) for group in groups}
    compared = len(groups) > 1 and any(np.isnan(run.relative_gain) for run in runs)
    responses: dict[str, Response] = {}
    if compared:
        for group in groups:
            at_level = replace(base, pedestal=pedestals[id(group)][0])
            for run in group:
                if run.n_ph > 0 and run.photons > 0:
                    dark_error = pedestals[id(group)][3]
                    responses[run.name] = _response(load(run.name), at_level, good, dark_error)
    found = {}
    for group in groups:
        pedestal, said, shift, _ = pedestals[id(group)]
        for run in group:
            gain, error, source = _gain_of(run, group, groups, responses)
            conversion = SpeConversion(pedestal, base.pe * gain, base.opct)
            if gain == 1.0 and said == FROM_FITS:
                conversion = base
            found[run.name] = LevelConversion(
                conversion, run_level(run), said, shift, gain, error, source
            )
        if any(found[run.name].gain_from == UNKNOWN for run in group):
            LOGGER.warning(
                "NSB %g p.e./ns: how far the gain drops is not known, as no run of the same light"
                " was taken at the lowest level; give relative_gain in table.csv",
                run_level(group[0]),
            )
    return found


def _pedestal(group, load, base: SpeConversion, good) -> tuple[np.ndarray, str, float, float]:
    """Pedestal (n,) of a level, where it is from, its shift and error in p.e. over good pixels."""
    dark = [run for run in group if run.n_ph == 0]
    if not dark:
        return base.pedestal, FROM_FITS, 0.0, 0.0
    total, number, means = 0.0, 0, []
    for run in dark:
        charges = load(run.name)
        charge = charges.charge
        total = total + np.array([row.sum(dtype=float) for row in charge]) * charges.step
        number += charge.shape[1]
        scale = np.where(good, (1 - base.opct) / base.pe, 0.0) / max(good.sum(), 1)
        scale = np.where(np.isfinite(scale), scale, 0.0)
        known = np.isfinite(charge).all(axis=1) & (scale != 0)
        means.append(scale[known] @ charge[known] * charges.step)
    pedestal = np.where(np.isfinite(base.pe), total / number, np.nan)
    shift = (pedestal - base.pedestal) * (1 - base.opct) / base.pe
    flashes = np.concatenate(means)
    error = float(flashes.std(ddof=1) / np.sqrt(len(flashes))) if len(flashes) > 1 else np.nan
    return pedestal, ", ".join(run.name for run in dark), median(shift[good]), error


def _response(charges, conversion: SpeConversion, good, dark_error: float) -> Response:
    """Response of a run, converted with the pedestal of its level and the gain of the fits."""
    finite = np.isfinite(charges.charge).all(axis=1)
    use = good & finite & ~charges.dead & ~charges.saturated
    mean, flash = np.full(len(use), np.nan), np.zeros(charges.charge.shape[1])
    for row in np.flatnonzero(use):
        pe = conversion.to_pe(slice(row, row + 1), charges.charge[row : row + 1] * charges.step)[0]
        mean[row] = pe.mean()
        flash += pe / use.sum()
    error = np.hypot(flash.std(ddof=1) / np.sqrt(len(flash)), dark_error)
    return Response(mean, use, float(error / flash.mean()) if flash.mean() > 0 else np.nan)


def _gain_of(run, group, groups, responses) -> tuple[float, float, str]:
    """Gain of a run relative to the SPE fits, its error, and where it is from."""
    if np.isfinite(run.relative_gain):
        return run.relative_gain, 0.0, FROM_TABLE
    if group is groups[0]:
        return 1.0, 0.0, LOWEST
    pairs = {
        other.name: _ratio(other, reference, responses)
        for other in group
        for reference in groups[0]
        if _same_light(other, reference) and {other.name, reference.name} <= responses.keys()
    }
    pairs = {name: pair for name, pair in pairs.items() if np.isfinite(pair).all() and pair[1] > 0}
    others = [pair for name, pair in pairs.items() if name != run.name]
    used = others or list(pairs.values())
    if not used:
        return 1.0, np.nan, UNKNOWN
    ratio, error = np.array(used).T
    weight = error**-2.0
    gain = float(weight @ ratio / weight.sum())
    return gain, float(weight.sum() ** -0.5), OTHERS if others else ITSELF


def _same_light(one: ScanRun, other: ScanRun) -> bool:
    return abs(one.photons - other.photons) <= SAME_LIGHT * other.photons


def _ratio(run: ScanRun, reference: ScanRun, responses) -> tuple[float, float]:
    """Charge per photon of a run over that of another, and its error."""
    one, other = responses[run.name], responses[reference.name]
    both = one.use & other.use
    if not both.any():
        return np.nan, np.nan
    ratio = one.mean[both].mean() / other.mean[both].mean() * reference.photons / run.photons
    return float(ratio), float(ratio * np.hypot(one.relative_error, other.relative_error))


def levels_summary(runs: Sequence[ScanRun], found: dict[str, LevelConversion]) -> list[dict]:
    """What the JSON and the page say of each level: its runs, pedestal and gains."""
    summary = []
    for group in grouped_levels(runs):
        of_runs = [found[run.name] for run in group]
        lit = [of for run, of in zip(group, of_runs, strict=True) if run.n_ph > 0] or of_runs
        summary.append(
            {
                "nsb_per_ns": float(run_level(group[0])),
                "runs": [run.name for run in group],
                "pedestal_from": of_runs[0].pedestal_from,
                "pedestal_shift_pe": float(of_runs[0].pedestal_shift_pe),
                "gain": float(np.mean([of.gain for of in lit])),
                "gain_err": float(max(of.gain_err for of in lit)),
                "gain_from": sorted({of.gain_from for of in lit}),
            }
        )
    return summary
