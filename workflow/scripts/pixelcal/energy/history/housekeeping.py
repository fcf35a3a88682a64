"""Temperature, or any other number of the housekeeping, as what drives the energies.

The coefficient of each series is the generalised least-squares estimate under its random walk: the
filter of the walk runs over the energies and over the regressor with the same gains, and the
innovations of the one are regressed on those of the other (Harvey 1989, Forecasting, structural
time series models, 7.3). A slow drift that has nothing to do with it costs no more than its due.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelcal.energy.events.clock import mission_start
from pixelcal.energy.history.query import mission_seconds
from pixelcal.energy.units import unit_factor
from pixelcal.errors import InputError
from pixelcal.io.tables import read_table
from pixelcal.numerics.jit import njit
from pixelcal.numerics.motion.drift import Drift, Series
from pixelcal.numerics.motion.mobility import learn_walk
from pixelcal.numerics.motion.walk import merge

TURNS = 4
"""Of the coefficient, and the walk that is left without it."""

LEAST_SPREAD = 1e-9
"""A regressor that varies by less does not vary."""


class Coefficients(NamedTuple):
    """Response of series to the regressor, at the two energies that drift.

    Attributes
    ----------
    value, sigma : (n, 2) float, keV per unit of the regressor
    """

    value: np.ndarray
    sigma: np.ndarray


def read_housekeeping(path: str | Path, column: str, time: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (k,), s of mission time and rising, and values (k,) of a column of a table.

    Parameters
    ----------
    path : CSV, ECSV or FITS
    column, time : str
        Names of columns. Times are text (ISO, UTC), or numbers, in s or the unit of the column:
        since the epoch that the header names (MJDREFI, MJDREFF, TIMESYS), or of mission time.

    Raises
    ------
    InputError
        Where the file or a column is missing, or a column does not hold what it should.
    """
    table = read_table(path, (column, time))
    try:
        values = np.ma.filled(np.ma.asarray(table[column], float), np.nan)
    except (TypeError, ValueError):
        raise InputError(f"{path}: column {column} does not hold numbers") from None
    if table[time].dtype.kind in "SU":
        texts = [str(text) for text in table[time]]
        try:
            seconds = np.array([mission_seconds(text) for text in texts])
        except InputError as error:
            raise InputError(f"{path}: column {time}: {error}") from None
    else:
        zero, _ = mission_start({"TSTART": 0.0, **_keywords(table.meta)})
        unit = str(table[time].unit) if table[time].unit else None
        factor = unit_factor(unit, "s", f"{path}: column {time}")
        seconds = np.ma.filled(np.ma.asarray(table[time], float), np.nan) * factor + zero
    known = np.isfinite(values) & np.isfinite(seconds)
    order = np.argsort(seconds[known], kind="stable")
    return seconds[known][order], values[known][order]


def _keywords(meta) -> dict:
    """Keywords on time, in capitals, of the header of a table."""
    wanted = ("MJDREF", "MJDREFI", "MJDREFF", "TIMESYS")
    return {key.upper(): value for key, value in dict(meta).items() if key.upper() in wanted}


def of_epochs(seconds, values, start_s, stop_s) -> np.ndarray:
    """Value (t,) of each epoch: the mean within it, or on the line between those around it.

    NaN before the first and after the last. `seconds` (k,) rise.
    """
    first, last = np.searchsorted(seconds, start_s), np.searchsorted(seconds, stop_s, "right")
    result = np.full(len(first), np.nan)
    for epoch, (a, b) in enumerate(zip(first, last, strict=True)):
        if b > a:
            result[epoch] = values[a:b].mean()
        elif 0 < a < len(seconds):
            result[epoch] = np.interp(0.5 * (start_s[epoch] + stop_s[epoch]), seconds, values)
    return result


@njit
def regress(y, r, days, walk, opened, used, regressor):
    """Coefficients (n, 2) of series on a regressor (t,), and their covariances (n, 3).

    Other arguments as for `walk.smooth`. NaN where nothing varies.
    """
    n, t_all = used.shape
    value, covariance = np.full((n, 2), np.nan), np.full((n, 3), np.nan)
    for i in range(n):
        a0 = a1 = p00 = p01 = p11 = np.nan
        s00 = s01 = s10 = s11 = 0.0  # filtered regressor: row an energy, column a coefficient
        i00 = i01 = i11 = b0 = b1 = 0.0
        for t in range(t_all):
            if t > 0:
                if opened[i, t]:
                    a0 = np.nan
                p00 += walk[i, 0] * days[t]
                p01 += walk[i, 1] * days[t]
                p11 += walk[i, 2] * days[t]
            h = regressor[t]
            if not used[i, t] or np.isnan(h):
                continue
            if np.isnan(a0):
                a0, a1 = y[i, t, 0], y[i, t, 1]
                p00, p01, p11 = r[i, t, 0], r[i, t, 1], r[i, t, 2]
                s00, s01, s10, s11 = h, 0.0, 0.0, h
                continue
            f00, f01, f11 = p00 + r[i, t, 0], p01 + r[i, t, 1], p11 + r[i, t, 2]
            det = f00 * f11 - f01 * f01
            g00, g01, g11 = f11 / det, -f01 / det, f00 / det
            v0, v1 = y[i, t, 0] - a0, y[i, t, 1] - a1
            x00, x01, x10, x11 = h - s00, -s01, -s10, h - s11
            # X' G, then information and right-hand side.
            u00, u01 = x00 * g00 + x10 * g01, x00 * g01 + x10 * g11
            u10, u11 = x01 * g00 + x11 * g01, x01 * g01 + x11 * g11
            i00 += u00 * x00 + u01 * x10
            i01 += u00 * x01 + u01 * x11
            i11 += u10 * x01 + u11 * x11
            b0 += u00 * v0 + u01 * v1
            b1 += u10 * v0 + u11 * v1
            q00, q01, q11 = p00, p01, p11
            a0, a1, p00, p01, p11 = merge(
                a0, a1, q00, q01, q11, y[i, t, 0], y[i, t, 1], r[i, t, 0], r[i, t, 1], r[i, t, 2]
            )
            k00, k01 = q00 * g00 + q01 * g01, q00 * g01 + q01 * g11
            k10, k11 = q01 * g00 + q11 * g01, q01 * g01 + q11 * g11
            s00 += k00 * x00 + k01 * x10
            s01 += k00 * x01 + k01 * x11
            s10 += k10 * x00 + k11 * x10
            s11 += k10 * x01 + k11 * x11
        det = i00 * i11 - i01 * i01
        if det > 0.0:
            value[i, 0], value[i, 1] = (i11 * b0 - i01 * b1) / det, (i00 * b1 - i01 * b0) / det
            covariance[i, 0], covariance[i, 1], covariance[i, 2] = i11 / det, -i01 / det, i00 / det
    return value, covariance


def coefficients(series: Series, days: np.ndarray, regressor: np.ndarray) -> Coefficients:
    """Response of the series of a level to a regressor (t,), NaN where it is not known.

    The walk is learnt again from what the regressor leaves.
    """
    n = len(series.used)
    nothing = np.full((n, 2), np.nan)
    known = np.isfinite(regressor)
    if not n or known.sum() < 3 or np.ptp(regressor[known]) < LEAST_SPREAD:
        return Coefficients(nothing, nothing)
    centred = regressor - regressor[known].mean()
    y, r = series.measured.y, series.measured.r * series.walk.noise**2
    walk, opened = series.walk, series.opened
    for _ in range(TURNS if n == 1 else 1):
        moves = walk.of_series()
        value, covariance = regress(y, r, days, moves, opened, series.used, centred)
        if not np.isfinite(value).all():
            break
        if n == 1:  # of one series the regressor may be all that moves it
            left = y - value[:, None] * np.where(known, centred, 0.0)[None, :, None]
            walk = learn_walk(left, r, days, opened, series.used & known, noise=1.0)
    return Coefficients(value, np.sqrt(covariance[:, [0, 2]]))


def respond(drift: Drift, days: np.ndarray, regressor: np.ndarray) -> dict[str, Coefficients]:
    """Coefficients of the "camera", of "modules" against it, and of "pixels" against theirs."""
    return {
        name: coefficients(getattr(drift, name), days, regressor)
        for name in ("camera", "modules", "pixels")
    }
