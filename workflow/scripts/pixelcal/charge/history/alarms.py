"""What to look at in the gains of many dates: one line each, the most serious first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.charge.history.history import GAIN, History, step_percent
from pixelcal.charge.runs.dates import utc_of_mjd
from pixelcal.numerics.motion.alarms import Alarm, in_words, most_serious_first, whose

KINDS = ("camera jump", "camera", "module jump", "module", "pixel jump", "pixel")
"""The most serious first."""
CLEAR_SIGMA = 5.0
"""A change is told where it is beyond its limit, and by so many of its errors."""
NO_ALARM = "no alarm"


def _in_words(value, sigma) -> str:
    return in_words(float(value), float(sigma), "%", 2)


def find_alarms(history: History, limits_percent: Mapping[str, float]) -> list[Alarm]:
    """All alarms about the gain, the most serious first.

    Parameters
    ----------
    history : History
    limits_percent : dict
        "camera", "module", "pixel": by how much the gain may differ from that of the first epoch at
        the last one (%); of modules against the camera, of pixels against their module.
    """
    alarms = [*_jumps(history), *_beyond(history, limits_percent)]
    return most_serious_first(alarms, KINDS)


def write_lines(alarms: list[Alarm]) -> str:
    """The text of alarms.txt; it says so where there is none."""
    return "\n".join([alarm.line() for alarm in alarms] or [NO_ALARM]) + "\n"


def _levels(history: History):
    """Name, series of jumps, and numbers of each level."""
    drift = history.drift
    return (
        ("camera", drift.camera, [-1]),
        ("module", drift.modules, history.modules.tolist()),
        ("pixel", drift.pixels, history.epochs.pixel.tolist()),
    )


def _jumps(history: History) -> list[Alarm]:
    """A line for each accepted change of the camera, a module or a pixel."""
    alarms = []
    for kind, series, numbers in _levels(history):
        for row, epoch in np.argwhere(series.opened).tolist():
            y, r = series.best[row, :, GAIN], series.covariance[row, :, 0]
            step = float(step_percent(y[epoch - 1], y[epoch]))
            sigma = float(np.sqrt(r[epoch] + r[epoch - 1]))
            text = (
                f"{whose(kind, numbers[row])}gain {_in_words(step, sigma)} from one set to the next"
                f" (chi-square {series.jump[row, epoch]:.0f}, with crosstalk; set"
                f" {history.epochs.names[epoch]})"
            )
            date = utc_of_mjd(history.epochs.start[epoch])
            size = float(series.jump[row, epoch])
            alarms.append(Alarm(date, f"{kind} jump", numbers[row], size, text))
    return alarms


def _beyond(history: History, limits_percent: Mapping[str, float]) -> list[Alarm]:
    """What differs at the last epoch from the first one by more than its limit."""
    alarms = []
    last, date = len(history.epochs) - 1, utc_of_mjd(history.epochs.start[-1])
    for kind, _, numbers in _levels(history):
        which = {"camera": "camera", "module": "modules", "pixel": "apart"}[kind]
        change, sigma = history.change(which)
        if not len(change):
            continue
        first = np.isfinite(change).argmax(axis=1)
        rows = np.arange(len(change))
        off, error = change[:, last], np.hypot(sigma[:, last], sigma[rows, first])
        with np.errstate(invalid="ignore"):
            told = (np.abs(off) > limits_percent[kind]) & (np.abs(off) > CLEAR_SIGMA * error)
        for row in np.flatnonzero(told & (first < last)).tolist():
            against = {"module": " against the camera", "pixel": " against the others"}
            against = against.get(kind, "") if len(history.epochs.pixel) > 1 else ""
            text = (
                f"{whose(kind, numbers[row])}gain {_in_words(off[row], error[row])}{against} since"
                f" {utc_of_mjd(history.epochs.start[first[row]])[:10]}, more than"
                f" {limits_percent[kind]:g} %"
            )
            alarms.append(Alarm(date, kind, numbers[row], float(abs(off[row])), text))
    return alarms
