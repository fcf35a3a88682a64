"""The camera, its modules and its pixels apart: the common motion of each level, epoch by epoch.

A pixel's energies are the sum of the motion of the camera, of its module against the camera, and of
the pixel against its module. The common motions are weighted means over pixels of what is left when
each pixel's level between two of its changes is taken out (two-way layout with empty cells): a
pixel that jumps, or is missing, does not move the others. With errors that are alike the three
levels are independent, and each is smoothed alone.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

LEAST_PIXELS = 4
"""Fewer pixels have no common motion."""

SETTLED_KEV = 1e-5
"""Motions that change by less from round to round, but for a constant, have settled."""

LEAST_MODULES = 3
"""Fewer modules do not move against the camera."""

ROUNDS = 4
"""In which levels and motions settle; one is enough where no epoch is missing."""


class Level(NamedTuple):
    """Measurements of the series of one level.

    Attributes
    ----------
    y, r : (n, t, 2) keV, (n, t, 3) keV2
        With their covariance; NaN where nothing was measured.
    used : (n, t) bool
    """

    y: np.ndarray
    r: np.ndarray
    used: np.ndarray


def groups_of(module: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Number (n,) of the group of each pixel: of its module; -1 where that is too small.

    `weight` (n,) is 0 for a pixel that is no measure for others.
    """
    values, group = np.unique(module, return_inverse=True)
    size = np.bincount(group, weight > 0, len(values))
    large = size >= LEAST_PIXELS
    if large.sum() < LEAST_MODULES:
        return np.full(len(module), -1)
    number = np.where(large, np.cumsum(large) - 1, -1)
    return number[group]


def typical_motion(y: np.ndarray, counts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Medians (g, t, 2) over the pixels of each group of how far they are from their own medians.

    A first common motion that no jump of a pixel pulls. `counts` (n, t) says which measurements
    count, `group` (n,) is -1 for a pixel of none.
    """
    free = np.where(counts[:, :, None], y, np.nan)
    result = np.full((group.max(initial=-1) + 1, *y.shape[1:]), np.nan, y.dtype)
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(len(result) + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # medians of nothing
        free -= np.nanmedian(free, axis=1, keepdims=True)
        for number in range(len(result)):
            result[number] = np.nanmedian(free[order[edges[number] : edges[number + 1]]], axis=0)
    return result


def common_motion(
    y: np.ndarray,
    r: np.ndarray,
    weight: np.ndarray,
    opened: np.ndarray,
    group: np.ndarray,
    start: np.ndarray | None = None,
) -> tuple[Level, np.ndarray]:
    """Weighted mean motion of the pixels of each group, and the weight of each pixel in it.

    Parameters
    ----------
    y, r : (n, t, 2), (n, t, 3)
    weight : (n, t) float
        0 where a measurement does not count.
    opened : (n, t) bool
        Where a pixel's level changes.
    group : (n,) int
        -1 for a pixel of no group.
    start : (g, t, 2), optional
        Motions to begin with: where all pixels change at once, their levels and the motion in
        common cannot be told apart, and it stays as it is given.

    Returns
    -------
    Level of (g, t), and fraction (n, t)
    """
    n, n_epochs = weight.shape
    if group.max(initial=-1) < 0:
        nothing = np.zeros((0, n_epochs, 3))
        return Level(nothing[..., :2], nothing, nothing[..., 0] > 0), np.zeros_like(weight)
    weight = np.where(group[:, None] >= 0, weight, 0.0)
    n_groups = group.max(initial=-1) + 1
    row = np.maximum(group, 0)
    total = _summed(weight, row, n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.where(weight > 0, weight / total[row], 0.0)
    place, size = _stretches(opened)
    of_stretch = np.bincount(place, weight.ravel(), size)
    motion = np.zeros((n_groups, n_epochs, 2))
    if start is not None:
        motion += np.nan_to_num(start)
    for axis in range(2):
        known = np.where(weight > 0, y[:, :, axis], 0.0)
        for _ in range(ROUNDS):
            left = (known - motion[row, :, axis]) * weight
            with np.errstate(divide="ignore", invalid="ignore"):
                level = np.bincount(place, left.ravel(), size) / of_stretch
            level = np.where(of_stretch > 0, level, 0.0)[place].reshape(n, n_epochs)
            before = motion[:, :, axis].copy()
            motion[:, :, axis] = _summed((known - level) * fraction, row, n_groups)
            change = motion[:, :, axis] - before
            if np.abs(change - change[:, :1]).max() < SETTLED_KEV:
                break
    parts = [np.where(weight > 0, r[:, :, k], 0.0) * fraction**2 for k in range(3)]
    covariance = np.stack([_summed(part, row, n_groups) for part in parts], axis=2)
    enough = _summed((weight > 0).astype(float), row, n_groups) >= 2
    motion[~enough], covariance[~enough] = np.nan, np.nan
    return Level(motion.astype(y.dtype), covariance.astype(y.dtype), enough), fraction


def _stretches(opened: np.ndarray) -> tuple[np.ndarray, int]:
    """Number (n t,) of the stretch between two changes of its pixel, and how many there may be."""
    stretch = np.cumsum(opened, axis=1, dtype=np.int32)
    most = int(stretch.max(initial=0)) + 1
    first = np.arange(len(opened), dtype=np.int32)[:, None] * most
    return (first + stretch).ravel(), most * len(opened)


def against(level: Level, common: Level, row: np.ndarray, fraction: np.ndarray) -> Level:
    """Series of a level minus their common motion.

    Parameters
    ----------
    level : Level of (n, t)
    common : Level of (g, t)
    row : (n,) int
        Row of `common` of each series; -1 where it has none, and stays as it is.
    fraction : (n, t) float
        Weight of each series in it.

    A mean contains the series itself: Var(y - mean) is r (1 - 2 fraction) + Var(mean). Where the
    common motion was not measured, the series was not either.
    """
    if not len(common.y):
        return level
    place = np.maximum(row, 0)
    member = (row >= 0)[:, None]
    has = member & common.used[place]
    y, r = level.y.copy(), level.r.copy()
    part = np.where(has, 1.0 - 2.0 * fraction, 1.0)
    for k in range(2):
        y[:, :, k] -= np.where(has, common.y[place, :, k], 0.0)
    for k in range(3):
        r[:, :, k] *= part
        r[:, :, k] += np.where(has, common.r[place, :, k], 0.0)
    return Level(y, r, level.used & (has | ~member))


def _summed(values: np.ndarray, row: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums (g, t) over the rows (n, t) of each group; none is empty."""
    if n_groups == 1:
        return values.sum(axis=0, keepdims=True)
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(n_groups))
    return np.add.reduceat(values[order], starts, axis=0)
