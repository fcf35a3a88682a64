"""The alarms of a history: one line each, the most serious first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pixelcal.energy.history import publication
from pixelcal.energy.history.energies import at_energy
from pixelcal.energy.history.epochs import utc
from pixelcal.energy.history.history import History
from pixelcal.instrument import Requirement
from pixelcal.numerics.motion.alarms import Alarm, in_words, most_serious_first, whose

KINDS = (
    "requirement",
    "camera jump",
    "camera",
    "module jump",
    "module",
    "pixel jump",
    "pixel",
    "file",
)
"""The most serious first. The last says which file is in force, and is no alarm."""


def _in_words(value, sigma) -> str:
    return in_words(float(value), float(sigma), "keV", 3)


def find_alarms(
    history: History,
    in_force: np.ndarray,
    names: Mapping[int, str],
    limits_keV: Mapping[str, float],
    requirement: Requirement,
    known_before: tuple[str, np.ndarray, np.ndarray] | None = None,
) -> list[Alarm]:
    """All alarms, the most serious first.

    Parameters
    ----------
    history : History
    in_force, names : as `publication.publish` and `publication.file_names` give them
    limits_keV : dict
        "camera", "module", "pixel": how far each may be off from the file in force, keV at any
        reference energy.
    requirement : Requirement
    known_before : name, gain (n,) and offset (n,), optional
        The relation that was in force before this history, whose fitness is told.
    """
    alarms = _jumps(history)
    alarms += _beyond(history, in_force, names, limits_keV)
    alarms += _files(history, in_force, names, requirement)
    if known_before is not None:
        name, gain, offset = known_before
        alarms += _requirement(history, name, gain, offset, requirement)
    return most_serious_first(alarms, KINDS)


def write_lines(alarms: list[Alarm]) -> str:
    """The text of alarms.txt; it says so where there is none."""
    lines = [alarm.line() for alarm in alarms]
    if all(alarm.kind == "file" for alarm in alarms):
        lines = ["no alarm", *lines]
    return "\n".join(lines) + "\n"


def _date(history: History, epoch: int) -> str:
    return utc(history.epochs.start_s[epoch])


def _jumps(history: History) -> list[Alarm]:
    """A line for each change of the camera, a module or a pixel, wherever in the history."""
    alarms = []
    drift, pivots = history.drift, history.reference.pivots_keV
    energy = pivots[1]
    for kind, series, numbers in (
        ("camera jump", drift.camera, [-1]),
        ("module jump", drift.modules, history.modules.tolist()),
        ("pixel jump", drift.pixels, history.epochs.detnum.tolist()),
    ):
        for row, epoch in np.argwhere(series.opened).tolist():
            step = series.best[row, epoch] - series.best[row, epoch - 1]
            both = series.covariance[row, epoch] + series.covariance[row, epoch - 1]
            size, sigma = at_energy(step, both, energy, pivots)
            number = numbers[row]
            text = (
                f"{whose(kind.split()[0], number)}{_in_words(size, sigma)} at {energy:g} keV"
                f" (chi-square {series.jump[row, epoch]:.0f}, epoch"
                f" {history.epochs.names[epoch]})"
            )
            date = _date(history, epoch)
            alarms.append(Alarm(date, kind, number, float(series.jump[row, epoch]), text))
    return alarms


def _beyond(history, in_force, names, limits_keV) -> list[Alarm]:
    """What is off from the file in force by more than its limit, at the last epoch."""
    alarms = []
    drift, last = history.drift, len(in_force) - 1
    date, file = _date(history, last), names[in_force[last]]
    for kind, series, numbers in (
        ("camera", drift.camera, [-1]),
        ("module", drift.modules, history.modules.tolist()),
        ("pixel", drift, history.epochs.detnum.tolist()),
    ):
        if not len(series.best) or in_force[last] == last:
            continue
        off, sigma, energy = _largest(history, series, last, int(in_force[last]))
        clear = np.abs(off) > publication.CLEAR_SIGMA * sigma
        for row in np.flatnonzero(clear & (np.abs(off) > limits_keV[kind])).tolist():
            text = (
                f"{whose(kind, numbers[row])}{_in_words(off[row], sigma[row])} at"
                f" {energy[row]:g} keV against {file}, more than {limits_keV[kind]:g} keV"
            )
            alarms.append(Alarm(date, kind, numbers[row], abs(off[row]), text))
    return alarms


def _largest(history, series, epoch: int, before: int):
    """Largest change (n,) between two epochs over the reference energies, its error, its energy."""
    pivots = history.reference.pivots_keV
    difference = series.best[:, epoch] - series.best[:, before]
    pairs = [
        at_energy(difference, series.covariance[:, epoch], energy, pivots)
        for energy in history.energies_keV
    ]
    off, sigma = (np.stack(values, axis=1) for values in zip(*pairs, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        clear = np.abs(off) > publication.CLEAR_SIGMA * sigma
    # NaN never is the largest.
    place = np.where(clear, np.abs(off), 0.0).argmax(axis=1)
    row = np.arange(len(off))
    return off[row, place], sigma[row, place], np.array(history.energies_keV)[place]


def _files(history, in_force, names, requirement) -> list[Alarm]:
    """The file in force at the last epoch: how many pixels miss the requirement with it."""
    epoch = int(in_force[-1])
    gain, offset = (values[:, 0] for values in history.relation(epoch)[:2])
    name = names[epoch]
    alarms = _requirement(history, name, gain, offset, requirement)
    others = len(names) - 1
    before = f"; {others} before it" if others else ""
    text = f"{name} is in force since {_date(history, epoch)[:10]}{before}"
    return [*alarms, Alarm(_date(history, epoch), "file", -1, 0.0, text)]


def _requirement(history, name, gain, offset, requirement) -> list[Alarm]:
    """One line where a relation misses the requirement at the last epoch: a new one is needed."""
    first = publication.since(publication.misses_requirement(history, gain, offset, requirement))
    n_missed = int((first >= 0).sum())
    if not n_missed:
        return []
    date = _date(history, int(first[first >= 0].min()))
    known = int(np.isfinite(gain).sum())
    pixels = "pixel misses" if n_missed == 1 else "pixels miss"
    text = (
        f"a new relation is needed: with {name}, {n_missed} of {known} {pixels} the requirement,"
        f" the first since {date[:10]}"
    )
    return [Alarm(date, "requirement", -1, float(n_missed), text)]
