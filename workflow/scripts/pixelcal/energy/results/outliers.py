"""Pixels that are unlike the others: relation (STATUS bit 64), width (256), change of rate (128).

A pixel is compared in energy, not in gain and offset, which are strongly correlated: what its
relation says at the channels of two energies, minus the median of what its neighbours say there.
"""

from __future__ import annotations

import numpy as np

from pixelcal.camera import to_image
from pixelcal.energy.fit.columns import (
    BEND_KEV,
    BEND_SIGMA,
    CHANGE_KEV,
    POPULATION_SIGMA,
    SECOND_SIGMA,
)
from pixelcal.numerics import statistics
from pixelcal.numerics.statistics import robust_outliers

WINDOW_PIXELS = 5
"""Side of the square of neighbours: 24 of them, within about one module."""

USUAL_SECOND_SIGMA, USUAL_SECOND_SCATTER = 1.6, 0.7
"""Median of the largest significance of a second state in healthy pixels, and its scatter."""

BY_SICK_ONES = 1.2
"""A scatter that is larger by this factor is one by chance, with sick pixels among the others."""

SMALL_PART, SMALL_KEV = 0.05, 0.1
"""With so few of the counts at another gain, which move no energy by so much, a pixel is usable.
With very many counts lines that the table lacks look like that in pixels where they are bright."""

CLEAR_TAIL_SIGMA, CLEAR_SLOPE = 1.0, 3.0
"""Robust standard deviations of the logarithm of the factor on the tail beyond which there must be
pixels to tell how a longer tail looks, and standard errors from which on they do."""

TAIL_HINGES = (0.0, 0.5, 1.0, 1.5)
"""From which of these on longer tails look different, the pixels say."""

LEAST_OF_TAILS = 0.03
"""Part of the pixels that must be there, a fifth of what a normal scatter of the tails puts there:
fewer are sick ones."""

UNLIKE_TAIL_SIGMA = 4.5
"""A tail is none of the camera's where its logarithm is larger by so many: lines of a second gain
below those of the first are taken for one."""

THRESHOLD_SIGMA = 6.0
"""A normal scatter passes 6 sigma in 2e-9 of all pixels. The spread is an estimate (15 % uncertain
with 64 pixels) and the median of few neighbours adds to it; even 4.5 sigma at worst leaves
7e-6, well under one false flag in 10 000 pixels."""

COUNTING_SIGMA, COUNTING_PART, COUNTING_PIXELS = 4.0, 0.25, 1000
"""From so many sigma on a pixel is an outlier of its neighbours where its own counts make so much
of the variance, in a camera of so many pixels, whose spread is known to some per cent. With few
counts noise is taken for a line, which the error of a fit does not contain. Relations themselves
may scatter with heavy tails, counting does not: 13 of 100 000 healthy pixels."""

LEAST_DRIFT_KEV, MOST_DRIFT_KEV = CHANGE_KEV / 2, 0.3
"""A drift of the whole camera from which on single pixels seem to change, and up to which a line
bears it: a fifth of its width. By more all pixels change."""

MIN_NEIGHBOURS = 3
MIN_PIXELS = 20
"""With fewer neighbours there is no median, with fewer pixels no spread: nothing is flagged."""


WIDTH_SIGMA = 4.5
WIDTH_RATIO = 1.25
"""A width differs from the camera's where it is larger or smaller by more than this factor, ..."""
RATE_RATIO = 1.15
"""... a rate changes where the first half has more or fewer counts than in other pixels by this
one: both beyond what counts and the scatter of the population allow."""


def find_wide(ratio, ratio_err) -> np.ndarray:
    """Which pixels have a width that does not belong to the camera's population, (n,) bool.

    Two gains in one pixel, a jump of the gain or loud electronics make lines wide; a line that is
    not there makes them narrow.

    Parameters
    ----------
    ratio, ratio_err : (n,) float
        Width over that of the camera, by the counts of the pixel alone (`fit.columns`); NaN
        without a valid fit.
    """
    with np.errstate(invalid="ignore"):
        logarithm, relative = np.log(np.asarray(ratio, float)), np.asarray(ratio_err) / ratio
    differs = robust_outliers(logarithm, relative**2, WIDTH_SIGMA, MIN_PIXELS)
    if not differs.any():
        return differs
    return differs & (np.abs(logarithm - np.nanmedian(logarithm)) > np.log(WIDTH_RATIO))


def find_bent(bend, bend_err) -> np.ndarray:
    """Which pixels have a relation that is bent unlike those of the camera, (n,) bool.

    Parameters
    ----------
    bend, bend_err : (n,) float, keV
        NaN where it is not known. A bend that all pixels share is not one of a pixel.
    """
    bend, error = np.asarray(bend, float), np.asarray(bend_err, float)
    known = np.isfinite(bend)
    if known.sum() < MIN_PIXELS:
        return np.zeros(len(bend), bool)
    off = bend - np.median(bend[known])
    between_pixels = max(statistics.robust_std(bend) ** 2 - np.nanmedian(error[known]) ** 2, 0.0)
    limit = np.hypot(BEND_SIGMA * np.nan_to_num(error), POPULATION_SIGMA * np.sqrt(between_pixels))
    return known & (np.abs(np.nan_to_num(off)) > np.maximum(limit, BEND_KEV))


def find_second_states(sigma, tail, tail_err) -> np.ndarray:
    """Which pixels have counts at other gains, (n,) bool; parameters as `second_significance`."""
    with np.errstate(invalid="ignore"):
        return second_significance(sigma, tail, tail_err) > SECOND_SIGMA


def second_matters(fits: np.ndarray, energies_keV) -> np.ndarray:
    """Whether counts at another gain are many, or move one of the energies (m,); (n,) bool.

    `fits` (n,) have a relation averaged over both gains; where it is not known, they matter. What
    less does is in the systematic uncertainty (`systematics.with_second_states`).
    """
    energies = np.asarray(energies_keV)[:, None]
    channel = (energies - fits["OFFSET"]) / fits["GAIN"]
    moved = np.abs(fits["SECOND_GAIN"] * channel + fits["SECOND_OFFSET"] - energies)
    with np.errstate(invalid="ignore"):
        small = (moved < SMALL_KEV).all(axis=0) & (fits["SECOND_FRACTION"] < SMALL_PART)
    return ~small


def second_significance(sigma, tail, tail_err) -> np.ndarray:
    """How significant counts at other gains are beside those of the camera's pixels, (n,).

    As in a camera that the response describes, where that of a healthy pixel is about
    `USUAL_SECOND_SIGMA`; NaN where it is not known.

    Parameters
    ----------
    sigma : (n,) float
        Significance, the largest of many; NaN where it is not known. Where it is larger than by
        chance in the whole camera, the response does not quite describe it: that does not count.
    tail, tail_err : (n,) float
        Factor on the tail. Nor does what pixels with more tail have in common: theirs is also
        longer, which counts at a gain some 4 % higher look like. A pixel whose tail is none of the
        camera's has nothing in common with them.
    """
    sigma, tail = np.asarray(sigma, float), np.asarray(tail, float)
    if np.isfinite(sigma).sum() < MIN_PIXELS:
        return np.full(len(sigma), np.nan)
    middle = max(np.nanmedian(sigma), USUAL_SECOND_SIGMA)
    wider = max(statistics.robust_std(sigma) / USUAL_SECOND_SCATTER, 1.0)
    tail_err = np.asarray(tail_err, float)
    longer, wider = _of_longer_tails(sigma - middle, wider, tail, tail_err)
    between_pixels = USUAL_SECOND_SCATTER * np.sqrt(np.maximum(wider**2 - BY_SICK_ONES**2, 0.0))
    by_chance = SECOND_SIGMA - USUAL_SECOND_SIGMA
    limit = np.hypot(by_chance * np.minimum(wider, BY_SICK_ONES), POPULATION_SIGMA * between_pixels)
    return USUAL_SECOND_SIGMA + (sigma - middle - longer) * by_chance / limit


def _of_longer_tails(excess, wider, tail, tail_err) -> tuple[np.ndarray, np.ndarray]:
    """What is usual of `excess` (n,) in pixels with a factor on the tail of `tail` (n,), and how
    many times as wide as by chance its scatter is, (n,), `wider` in the typical pixel.

    Both rise with the logarithm of the factor from one of the `TAIL_HINGES` on, in proportion: by
    least absolute deviations of the pixels there, where it is clear. Where the error `tail_err`
    (n,) is larger than that distance, nothing says that the tail is longer: with few counts a
    second gain moves the factor as chance does. A pixel whose tail is none of the camera's has
    nothing in common with them.
    """
    longer, scatter = np.zeros(len(tail)), np.full(len(tail), wider)
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithm, error = np.where(tail > 0.0, np.log(tail), np.nan), tail_err / tail
    known = np.isfinite(logarithm) & np.isfinite(excess)
    n_known = known.sum()
    spread = statistics.robust_std(logarithm[known])
    if not spread > 0.0:
        return longer, scatter
    z = np.nan_to_num((logarithm - np.median(logarithm[known])) / np.hypot(spread, error))
    unlike = robust_outliers(logarithm, error**2, UNLIKE_TAIL_SIGMA, MIN_PIXELS)
    known &= ~unlike & (z > 0.0)
    if (z[known] > CLEAR_TAIL_SIGMA).sum() < max(MIN_PIXELS, LEAST_OF_TAILS * n_known):
        return longer, scatter
    fits = [_hinge(z[known], excess[known], hinge) for hinge in TAIL_HINGES]
    slope, hinge, left = min(fits, key=lambda fit: np.abs(fit[2]).sum())
    beyond = np.where(unlike, 0.0, np.maximum(z - hinge, 0.0))
    there, left = known & (z > hinge), left[z[known] > hinge]
    noise = statistics.robust_std(left) / np.sqrt((beyond[there] ** 2).sum())
    if slope > CLEAR_SLOPE * statistics.MEDIAN_ERROR * noise:
        longer = slope * beyond
        # The mean of the size of a normal value is sqrt(2 / pi) of its standard deviation.
        size = np.abs(left) * np.sqrt(np.pi / 2.0) / USUAL_SECOND_SCATTER - wider
        scatter = wider + max(_least_absolute_slope(beyond[there], size), 0.0) * beyond
    return longer, scatter


def _hinge(z: np.ndarray, excess: np.ndarray, hinge: float) -> tuple[float, float, np.ndarray]:
    """The slope of `excess` (n,) against `z` (n,) from `hinge` on, with it, and what is left."""
    beyond = np.maximum(z - hinge, 0.0)
    there = beyond > 0.0
    slope = _least_absolute_slope(beyond[there], excess[there])
    return slope, hinge, excess - slope * beyond


def _least_absolute_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The a for which sum |y - a x| is least, x > 0: the median of y / x weighted by x."""
    order = np.argsort(y / x, kind="stable")
    half = np.cumsum(x[order]) >= 0.5 * x.sum()
    return float((y / x)[order][half][0])


def camera_drift(drift_keV) -> float:
    """How far the energies of a typical pixel change within the exposure, keV; 0 by chance.

    Parameters
    ----------
    drift_keV : (n,) float
        Of each pixel, NaN where it is not known.
    """
    known = statistics.finite(np.asarray(drift_keV, float))
    if len(known) < MIN_PIXELS:
        return 0.0
    middle = float(np.median(known))
    error = statistics.MEDIAN_ERROR * statistics.robust_std(known) / np.sqrt(len(known))
    return middle if abs(middle) > THRESHOLD_SIGMA * error else 0.0


def drifts_as_the_camera(drift_keV) -> np.ndarray:
    """Which pixels change within the exposure as all others do, (n,) bool.

    A small change of the whole camera, by its temperature or its age, makes lines wider
    and leaves no pixel doubtful. By a large one there is no relation of the whole exposure.
    """
    common = camera_drift(drift_keV)
    with np.errstate(invalid="ignore"):
        near = np.abs(np.asarray(drift_keV, float) - common) <= CHANGE_KEV
    return near & (LEAST_DRIFT_KEV < abs(common) < MOST_DRIFT_KEV)


def find_unsteady(first_fraction, counts) -> np.ndarray:
    """Which pixels gain or lose counts within the exposure other than the camera does, (n,) bool.

    Parameters
    ----------
    first_fraction : (n,) float
        Fraction of the counts in the first half; NaN where it is not known.
    counts : (n,) int
    """
    first = np.asarray(first_fraction, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = first * (1.0 - first) / np.asarray(counts, float)
        differs = robust_outliers(first, variance, THRESHOLD_SIGMA, MIN_PIXELS)
        if not differs.any():
            return differs
        camera = np.nanmedian(first)
        odds = (first / (1.0 - first)) / (camera / (1.0 - camera))
        return differs & (np.abs(np.log(odds)) > np.log(RATE_RATIO))


def find_outliers(
    x, y, gain, offset, gain_err, offset_err, gain_offset_cov, *, judged_keV, module=None
) -> np.ndarray:
    """Which pixels are outliers against their neighbours.

    Modules may differ as wholes, in their electronics or their temperature: what a pixel has in
    common with its module is taken out first.

    The deviation from the neighbours is judged against the robust spread of such deviations over
    the camera, which holds true differences and a typical error of the fit; what the error of
    a pixel has in excess of the typical one is added in quadrature.

    Parameters
    ----------
    x, y : (n,) int
        Place of each pixel, counted from 0.
    gain, offset : (n,) float, keV/channel and keV
        NaN without a valid fit: such a pixel is no neighbour and never an outlier.
    gain_err, offset_err, gain_offset_cov : (n,) float
        Covariance of the fit.
    judged_keV : two of float, keV
        One energy near each end of what the lines span: two points fix a straight line.
    module : (n,) int, optional
        Module of each pixel.

    Returns
    -------
    (n,) bool
    """
    gain, offset = np.asarray(gain, float), np.asarray(offset, float)
    valid = np.isfinite(gain) & np.isfinite(offset)
    outlier = np.zeros(len(gain), bool)
    if valid.sum() < MIN_PIXELS:
        return outlier
    for energy in judged_keV:
        # One place on the channel axis for the whole camera: where the typical pixel has `energy`.
        place = (energy - np.median(offset[valid])) / np.median(gain[valid])
        values = gain * place + offset
        if module is not None:
            values = values - _of_module(values, np.asarray(module))
        deviation = _minus_neighbours(values, np.asarray(x), np.asarray(y))
        variance = place**2 * gain_err**2 + 2 * place * gain_offset_cov + offset_err**2
        outlier |= _differ(deviation, np.asarray(variance, float))
    return outlier


def _differ(deviation: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Whether deviations from neighbours (n,) with the variances (n,) of fits are too large."""
    differ = robust_outliers(deviation, variance, THRESHOLD_SIGMA, MIN_PIXELS)
    with np.errstate(invalid="ignore"):
        counting = variance > COUNTING_PART * statistics.robust_std(deviation) ** 2
    known = deviation, variance, COUNTING_SIGMA, COUNTING_PIXELS
    return differ | (counting & robust_outliers(*known))


def _of_module(values: np.ndarray, module: np.ndarray) -> np.ndarray:
    """Median (n,) of the finite values (n,) of the module of each; 0 of a module with few."""
    found = np.zeros(len(values))
    for number in np.unique(module):
        inside = module == number
        known = statistics.finite(values[inside])
        if len(known) > MIN_NEIGHBOURS:
            found[inside] = np.median(known)
    return found


def _minus_neighbours(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Each value (n,) minus the median of its neighbours; NaN with too few of them."""
    half = WINDOW_PIXELS // 2
    shape = (int(y.max()) + 1 + 2 * half, int(x.max()) + 1 + 2 * half)
    image = to_image(values, x + half, y + half, shape)
    steps = range(-half, half + 1)
    around = np.array(
        [image[y + half + dy, x + half + dx] for dy in steps for dx in steps if dy or dx]
    )
    enough = np.isfinite(around).sum(axis=0) >= MIN_NEIGHBOURS
    result = np.full(len(values), np.nan)
    result[enough] = values[enough] - np.nanmedian(around[:, enough], axis=0)
    return result
