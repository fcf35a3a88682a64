"""Random walks of two energies, measured with errors: filter, smoother, likelihood, change points.

The state of a series is a pair of energies (keV). From epoch to epoch it moves by a Gaussian step
with the covariance `walk` times the days between them; an epoch measures it with a covariance of
its own. A covariance is a triple: variance of the first, covariance, variance of the second.

The filter runs forwards and backwards, and the two meet (two-filter smoother; Fraser & Potter 1969,
IEEE Trans. Autom. Control 14, 387): what is known of an epoch by those before, and by those after.
For a random walk that is measured directly the start is exactly diffuse: the first measurement is
the first estimate. Where the state is *opened* it starts again, independent of what was before.

A step between two epochs is tested by how far the two filters are apart, which is the
likelihood-ratio statistic of a shock of the state; a single wild measurement by how far it is from
both (de Jong & Penzer 1998, J. Am. Stat. Assoc. 93, 796). Each is chi-square with 2 degrees of
freedom where nothing happened.
"""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.jit import njit

WILD_MARGIN = 9.0
"""A measurement is wild, and no step begins there, where its statistic is larger by this: odds of
about 90 to 1."""


@njit
def chi_square(d0, d1, c00, c01, c11):
    """d' C^-1 d of a pair and a covariance."""
    return (d0 * d0 * c11 - 2.0 * d0 * d1 * c01 + d1 * d1 * c00) / (c00 * c11 - c01 * c01)


@njit
def merge(a0, a1, p00, p01, p11, b0, b1, q00, q01, q11):
    """Weighted mean of two estimates of a pair, and its covariance."""
    s00, s01, s11 = p00 + q00, p01 + q01, p11 + q11
    det = s00 * s11 - s01 * s01
    # K = P S^-1
    k00, k01 = (p00 * s11 - p01 * s01) / det, (p01 * s00 - p00 * s01) / det
    k10, k11 = (p01 * s11 - p11 * s01) / det, (p11 * s00 - p01 * s01) / det
    d0, d1 = b0 - a0, b1 - a1
    return (
        a0 + k00 * d0 + k01 * d1,
        a1 + k10 * d0 + k11 * d1,
        p00 - k00 * p00 - k01 * p01,
        p01 - k00 * p01 - k01 * p11,
        p11 - k10 * p01 - k11 * p11,
    )


@njit
def run_filter(y, r, days, walk, opened, used, backwards, out):
    """Fill `out` (t, 5), estimate and covariance of each epoch by it and those before (after).

    `y` (t, 2), `r` (t, 3), `days` (t,) since the epoch before, `opened` and `used` (t,). NaN until
    the first measurement.
    """
    t_all = y.shape[0]
    a0 = a1 = p00 = p01 = p11 = np.nan
    for step in range(t_all):
        t = t_all - 1 - step if backwards else step
        if step > 0:
            between = t + 1 if backwards else t
            if opened[between]:
                a0 = np.nan
            p00 += walk[0] * days[between]
            p01 += walk[1] * days[between]
            p11 += walk[2] * days[between]
        if used[t]:
            if np.isnan(a0):
                a0, a1 = y[t, 0], y[t, 1]
                p00, p01, p11 = r[t, 0], r[t, 1], r[t, 2]
            else:
                a0, a1, p00, p01, p11 = merge(
                    a0, a1, p00, p01, p11, y[t, 0], y[t, 1], r[t, 0], r[t, 1], r[t, 2]
                )
        out[t, 0], out[t, 1] = a0, a1
        out[t, 2], out[t, 3], out[t, 4] = p00, p01, p11
        if np.isnan(a0):
            out[t, 1] = out[t, 2] = out[t, 3] = out[t, 4] = np.nan


@njit
def log_likelihood(y, r, days, walk, opened, used, gate):
    """Log-likelihood of one series.

    A surprise beyond the chi-square `gate` counts no more than that, and starts the series again: a
    jump that is not yet known does not widen the walk.
    """
    a0 = a1 = p00 = p01 = p11 = np.nan
    total = 0.0
    for t in range(y.shape[0]):
        if t > 0:
            if opened[t]:
                a0 = np.nan
            p00 += walk[0] * days[t]
            p01 += walk[1] * days[t]
            p11 += walk[2] * days[t]
        if not used[t]:
            continue
        if np.isnan(a0):
            a0, a1 = y[t, 0], y[t, 1]
            p00, p01, p11 = r[t, 0], r[t, 1], r[t, 2]
            continue
        f00, f01, f11 = p00 + r[t, 0], p01 + r[t, 1], p11 + r[t, 2]
        surprise = chi_square(y[t, 0] - a0, y[t, 1] - a1, f00, f01, f11)
        total -= 0.5 * (np.log(f00 * f11 - f01 * f01) + min(surprise, gate))
        if surprise > gate:
            a0, a1 = y[t, 0], y[t, 1]
            p00, p01, p11 = r[t, 0], r[t, 1], r[t, 2]
        else:
            a0, a1, p00, p01, p11 = merge(
                a0, a1, p00, p01, p11, y[t, 0], y[t, 1], r[t, 0], r[t, 1], r[t, 2]
            )
    return total


@njit
def log_likelihoods(y, r, days, walk, opened, used, gate):
    """`log_likelihood` (n,) of series (n, t), each with its walk (n, 3)."""
    n = y.shape[0]
    result = np.empty(n)
    for i in range(n):
        result[i] = log_likelihood(y[i], r[i], days, walk[i], opened[i], used[i], gate)
    return result


@njit
def smooth(y, r, days, walk, opened, used):
    """Best estimates (n, t, 2) of series and their covariances (n, t, 3), by all epochs.

    Parameters
    ----------
    y, r : (n, t, 2) keV and (n, t, 3) keV2
        Measurements and their covariances.
    days : (t,) float
        Since the epoch before; the first counts for nothing.
    walk : (n, 3) keV2/d
        Covariance of the steps of each series.
    opened : (n, t) bool
        Whether the state starts again with the epoch.
    used : (n, t) bool
        Whether the measurement counts; where it does not, the epoch is interpolated.

    NaN where a stretch between two openings has no measurement at all.
    """
    n, t_all = used.shape
    best, covariance = np.empty((n, t_all, 2), y.dtype), np.empty((n, t_all, 3), y.dtype)
    forward, backward = np.empty((t_all, 5)), np.empty((t_all, 5))
    for i in range(n):
        run_filter(y[i], r[i], days, walk[i], opened[i], used[i], False, forward)
        run_filter(y[i], r[i], days, walk[i], opened[i], used[i], True, backward)
        for t in range(t_all):
            a0, a1, p00, p01, p11 = forward[t]
            if t + 1 < t_all and not opened[i, t + 1] and not np.isnan(backward[t + 1, 0]):
                b0, b1, q00, q01, q11 = backward[t + 1]
                q00 += walk[i, 0] * days[t + 1]
                q01 += walk[i, 1] * days[t + 1]
                q11 += walk[i, 2] * days[t + 1]
                if np.isnan(a0):
                    a0, a1, p00, p01, p11 = b0, b1, q00, q01, q11
                else:
                    a0, a1, p00, p01, p11 = merge(a0, a1, p00, p01, p11, b0, b1, q00, q01, q11)
            best[i, t, 0], best[i, t, 1] = a0, a1
            covariance[i, t, 0], covariance[i, t, 1], covariance[i, t, 2] = p00, p01, p11
    return best, covariance


@njit
def step_statistics(forward, backward, days, walk, used, steps):
    """Fill `steps` (t,): chi-square of a step that begins with the epoch; NaN where none can."""
    steps[0] = np.nan
    for t in range(1, forward.shape[0]):
        steps[t] = np.nan
        if not used[t] or np.isnan(forward[t - 1, 0]):
            continue
        a, b = forward[t - 1], backward[t]
        steps[t] = chi_square(
            b[0] - a[0],
            b[1] - a[1],
            a[2] + b[2] + walk[0] * days[t],
            a[3] + b[3] + walk[1] * days[t],
            a[4] + b[4] + walk[2] * days[t],
        )


@njit
def wild_statistic(forward, backward, y, r, days, walk, opened, t):
    """Chi-square of the measurement of an epoch against those before and after; NaN at an end."""
    if t == 0 or t + 1 >= y.shape[0] or opened[t] or opened[t + 1]:
        return np.nan
    a, b = forward[t - 1], backward[t + 1]
    if np.isnan(a[0]) or np.isnan(b[0]):
        return np.nan
    e, f = days[t], days[t + 1]
    m0, m1, p00, p01, p11 = merge(
        a[0], a[1], a[2] + walk[0] * e, a[3] + walk[1] * e, a[4] + walk[2] * e,
        b[0], b[1], b[2] + walk[0] * f, b[3] + walk[1] * f, b[4] + walk[2] * f,
    )  # fmt: skip
    return chi_square(y[0 + t, 0] - m0, y[t, 1] - m1, p00 + r[t, 0], p01 + r[t, 1], p11 + r[t, 2])


@njit
def find_changes(y, r, days, walk, used, limit):
    """Steps and wild measurements of series, the most significant first, until none is left.

    Parameters
    ----------
    y, r, days, walk, used : as for `smooth`
    limit : float
        Chi-square from where on a step, or a wild measurement, is accepted.

    Returns
    -------
    opened : (n, t) bool
        Where a step begins. At the last epoch a step cannot be told from a wild measurement, and
        counts as one.
    kept : (n, t) bool
        `used` without wild measurements.
    statistic : (n, t) float
        Chi-square of the accepted steps; 0 elsewhere.
    """
    n, t_all = used.shape
    opened, kept = np.zeros((n, t_all), np.bool_), used.copy()
    statistic = np.zeros((n, t_all), y.dtype)
    forward, backward = np.empty((t_all, 5)), np.empty((t_all, 5))
    steps = np.empty(t_all)
    for i in range(n):
        for _ in range(2 * t_all):
            run_filter(y[i], r[i], days, walk[i], opened[i], kept[i], False, forward)
            run_filter(y[i], r[i], days, walk[i], opened[i], kept[i], True, backward)
            step_statistics(forward, backward, days, walk[i], kept[i], steps)
            most, place, least, weakest = limit, -1, limit, -1
            wildest, wild = limit, -1
            for t in range(1, t_all):
                if opened[i, t]:
                    statistic[i, t] = steps[t]
                    if steps[t] < least:
                        least, weakest = steps[t], t
                elif steps[t] > most:
                    most, place = steps[t], t
                if kept[i, t]:
                    far = wild_statistic(forward, backward, y[i], r[i], days, walk[i], opened[i], t)
                    if far > wildest:
                        wildest, wild = far, t
            if weakest >= 0:  # explained by others since
                opened[i, weakest] = False
                statistic[i, weakest] = 0.0
            elif wild >= 0 and (place < 0 or wildest > most + WILD_MARGIN):
                kept[i, wild] = False
            elif place >= 0:
                opened[i, place] = True
            else:
                break
    return opened, kept, statistic
