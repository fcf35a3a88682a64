"""The best relation of every pixel at every epoch, and where pixels, modules or the camera jumped.

Each level of `levels` is a random walk measured with errors (`walk`), whose mobility is learnt
(`mobility`). Jumps and the mobility need each other: they are found in turns, from a first motion
in common by medians. The best energies of a pixel are the sum of its three levels, and so are their
covariances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.numerics.motion import levels
from pixelcal.numerics.motion.levels import Level
from pixelcal.numerics.motion.mobility import GATE, Walk, learn_walk, still
from pixelcal.numerics.motion.walk import find_changes, smooth

PIXEL_JUMP, MODULE_JUMP, CAMERA_JUMP, WILD = 1, 2, 4, 8
"""Bits of `Drift.jumps`."""

TURNS = 3
"""Of finding jumps, and what moves without them. The first has medians for common motions."""


class Series(NamedTuple):
    """What became of the series of one level.

    Attributes
    ----------
    best, covariance : (n, t, 2) keV, (n, t, 3) keV2
        The smoothed motion.
    jump : (n, t) float
        Chi-square of the change that begins with an epoch; 0 where none does.
    used : (n, t) bool
        Measurements that count: there, trusted and not wild.
    wild : (n, t) bool
        Trusted measurements that belong neither to the epochs before nor to those after.
    walk : Walk
    measured : Level
        What it was learnt from.
    """

    best: np.ndarray
    covariance: np.ndarray
    jump: np.ndarray
    used: np.ndarray
    wild: np.ndarray
    walk: Walk
    measured: Level

    @property
    def opened(self) -> np.ndarray:
        """Whether (n, t) a change begins with the epoch."""
        return self.jump > 0


class Drift(NamedTuple):
    """Camera (1 series or none), modules (g) and pixels (n), with the best energies of the pixels.

    Attributes
    ----------
    camera, modules, pixels : Series
        Motion of the camera, of modules against it, of pixels against their module.
    group : (n,) int
        Row of `modules` of each pixel; -1 where it has none.
    best, covariance : (n, t, 2) keV, (n, t, 3) keV2
        Of the pixels, all levels together.
    """

    camera: Series
    modules: Series
    pixels: Series
    group: np.ndarray
    best: np.ndarray
    covariance: np.ndarray

    def jumps(self) -> np.ndarray:
        """Bits (n, t) of what changed with the epoch, or that the epoch is a wild one."""
        bits = np.where(self.pixels.opened, PIXEL_JUMP, 0)
        bits |= np.where(self.pixels.wild, WILD, 0)
        if len(self.modules.jump):
            has = (self.group >= 0)[:, None]
            bits |= np.where(has & self.modules.opened[self.group], MODULE_JUMP, 0)
        if len(self.camera.jump):
            bits |= np.where(self.camera.opened, CAMERA_JUMP, 0)
        return bits.astype(np.uint8)

    def numbers(self, module: np.ndarray) -> np.ndarray:
        """Numbers (g,) of the modules with a motion of theirs, from those (n,) of the pixels."""
        groups = range(self.group.max(initial=-1) + 1)
        return module[[np.flatnonzero(self.group == number)[0] for number in groups]]


def analyse(
    y: np.ndarray,
    r: np.ndarray,
    used: np.ndarray,
    measures: np.ndarray,
    days: np.ndarray,
    module: np.ndarray,
    false_alarms: float,
) -> Drift:
    """Drift and jumps of a camera.

    Parameters
    ----------
    y, r : (n, t, 2) keV, (n, t, 3) keV2
        Two energies of each pixel at each epoch against a reference of the pixel, and their
        covariance. NaN where there is no valid fit.
    used : (n, t) bool
        Measurements that are trusted for their pixel.
    measures : (n, t) bool
        Those that count for the common motion as well.
    days : (t,) float
        From the epoch before to each.
    module : (n,) int
    false_alarms : float
        Jumps that are expected in all epochs of all levels together where nothing jumps: an upper
        bound. Half of them are for pixels, a quarter each for modules and for the camera.
    """
    if not len(days):
        raise ValueError("a history needs an epoch")
    y, r = np.array(y), np.array(r)
    y[~used], r[~used] = 0.0, (1.0, 0.0, 1.0)
    pixels = Level(y, r, used)
    weight = _weights(r, used & measures)
    whole = np.where((weight > 0).any(axis=1), 0, -1)
    if (whole == 0).sum() < levels.LEAST_PIXELS:
        whole[:] = -1
    group = levels.groups_of(module, weight.any(axis=1))
    series = [_nothing(0, len(days)), _nothing(0, len(days)), _nothing(len(y), len(days))]
    for turn in range(TURNS):
        parts = _decomposed(pixels, weight, whole, group, series, typical=turn == 0)
        series, last = [], turn == TURNS - 1  # frees what the turn before made
        third = _followed(parts[2], days, 0.5 * false_alarms, None, last)
        first = _followed(parts[0], days, 0.25 * false_alarms, third.walk.noise, last)
        second = _followed(parts[1], days, 0.25 * false_alarms, third.walk.noise, last)
        del parts
        if not last:  # the next turn needs no more of it
            third = third._replace(best=None, covariance=None, measured=None)
        series = [first, second, third]
    return Drift(*series, group, *_together(third, ((first, whole), (second, group))))


def _together(pixels: Series, commons) -> tuple[np.ndarray, np.ndarray]:
    """Best energies of the pixels and their covariances, all levels together.

    `commons` are pairs of the series of a level and the row (n,) in it of each pixel, -1 for none.
    """
    best, covariance = pixels.best.copy(), pixels.covariance.copy()
    for common, row in commons:
        member = row >= 0
        best[member] += common.best[row[member]]
        covariance[member] += common.covariance[row[member]]
    return best, covariance


def _weights(r: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Weights (n, t) in common motions: the inverse variance of a pixel, the same at all epochs.

    Were they different, a pixel would move the mean by being better known.
    """
    variance = np.where(counts, r[:, :, 0] + r[:, :, 2], np.inf)
    order = np.sort(variance, axis=1)
    n_known = counts.sum(axis=1)
    typical = order[np.arange(len(r)), np.maximum(n_known - 1, 0) // 2]
    with np.errstate(divide="ignore"):
        weight = np.where(n_known > 0, 1.0 / typical, 0.0)
    return np.where(counts, weight[:, None], 0.0)


def _decomposed(pixels, weight, whole, group, series, typical: bool) -> tuple[Level, ...]:
    """The measurements of camera, modules and pixels, given what is known of their jumps."""
    camera, modules, known = series
    weight = np.where(known.wild, 0.0, weight)
    opened = known.opened.copy()
    if len(modules.jump):
        opened |= np.where((group >= 0)[:, None], modules.opened[group], False)
    common, fraction = levels.common_motion(
        pixels.y, pixels.r, weight, opened, whole, None if typical else camera.measured.y
    )
    if typical and len(common.y):
        common = common._replace(y=levels.typical_motion(pixels.y, weight > 0, whole))
    free = levels.against(pixels, common, whole, fraction)
    of_module, inside = levels.common_motion(
        free.y, pixels.r, weight, known.opened, group, None if typical else modules.measured.y
    )
    if typical and len(of_module.y):
        of_module = of_module._replace(y=levels.typical_motion(free.y, weight > 0, group))
    rest = levels.against(Level(free.y, pixels.r, free.used), of_module, group, inside)
    del free
    return _filled(common), _filled(of_module), _filled(rest)


def _filled(level: Level) -> Level:
    """The same, with numbers put where nothing was measured: compiled loops do not look there."""
    used = level.used & np.isfinite(level.y[:, :, 0]) & (level.r[:, :, 0] > 0)
    level.y[~used], level.r[~used] = 0.0, (1.0, 0.0, 1.0)
    return level._replace(used=used)


def _followed(level: Level, days, false_alarms: float, noise: float | None, last: bool) -> Series:
    """Jumps and mobility of the series of a level, and in the last turn their smoothed motion."""
    n, n_epochs = level.used.shape
    if not n:
        return _nothing(0, n_epochs)
    opened, used = np.zeros((n, n_epochs), bool), level.used
    # Few series of few epochs have a high limit: what is no jump is left to the walk.
    gate = max(GATE, jump_limit(false_alarms, level.used, opened))
    for _ in range(2 if last or len(level.y) == 1 else 1):
        known = opened
        walk = learn_walk(level.y, level.r, days, opened, used, noise, gate)
        opened, used, jump = _changes(level, days, walk, false_alarms, opened)
    if (known & ~opened).any():  # taken for jumps by the walk, and then not accepted
        walk = learn_walk(level.y, level.r, days, opened, used, noise, np.inf)
        opened, used, jump = _changes(level, days, walk, false_alarms, opened)
    r = level.r * level.r.dtype.type(walk.noise**2)
    best, covariance = level.y, level.r
    if last:
        best, covariance = smooth(level.y, r, days, walk.of_series(), opened, used)
    return Series(best, covariance, jump, used, level.used & ~used, walk, level)


def _changes(level: Level, days, walk: Walk, false_alarms: float, known: np.ndarray):
    """As `find_changes` gives them, beyond the limit that holds with the jumps `known` (n, t)."""
    r = level.r * level.r.dtype.type(walk.noise**2)
    limit = jump_limit(false_alarms, level.used, known)
    return find_changes(level.y, r, days, walk.of_series(), level.used, limit)


def jump_limit(false_alarms: float, used: np.ndarray, opened: np.ndarray) -> float:
    """Chi-square (2 degrees of freedom) from where on a change is accepted.

    There is a test of a step and of a wild measurement at each epoch of each series (n, t); the
    expected number of those beyond the limit by chance is `false_alarms` (Bonferroni: neighbouring
    tests are alike, which makes them fewer). Where the walk is learnt from few steps m, its error
    makes large values frequent: the statistic is Hotelling's with m degrees of freedom, whose
    survival function is (1 + x / m)^(-(m - 1) / 2).
    """
    seen = np.maximum(used.sum(axis=1) - 1, 0)
    n_tests = 2 * max(int(seen.sum()), 1)
    probability = min(false_alarms / n_tests, 0.5)
    free = max(int(seen.sum() - opened.sum()), 2)
    if free > 1000:
        return -2.0 * np.log(probability)
    return free * (probability ** (-2.0 / (free - 1)) - 1.0)


def _nothing(n: int, n_epochs: int) -> Series:
    """Series of which nothing is known."""
    shape = (n, n_epochs)
    flags = np.zeros(shape, bool)
    nan = np.full((*shape, 3), np.nan)
    level = Level(nan[..., :2], nan, flags)
    return Series(nan[..., :2], nan, np.zeros(shape), flags, flags, still(n), level)
