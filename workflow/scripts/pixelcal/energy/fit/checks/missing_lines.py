"""Line groups that a pixel lacks: by counting, and by how much the pixels of a camera scatter.

How bright a line is differs from pixel to pixel, by the material that is near. A pixel with faint
lines lacks none. Where the population scatters by factors, a fit and the truth of its pixel differ
by counting, and that truth and the camera by the scatter:

    line = exp(scatter * a) + error * b,     a and b standard normal.

The distance of a pixel from the camera is the least sqrt(a^2 + b^2) with which that can be, the
reliability index (Hasofer & Lind 1974, J. Eng. Mech. 100, 111): the probability of less is that of
a normal variable, to first order. Without scatter it is the pull by counting.
"""

from __future__ import annotations

import numpy as np

MISSING_FRACTION = 0.3
MISSING_SIGNIFICANCE = 4.0
"""A line group is missing where it has less than this fraction of the camera's, error and all, and
less than that of the camera by so many sigma."""

N_STRENGTHS = 200
"""True strengths that are tried, between the one that was fitted and that of the camera."""


def is_missing(line, error, scatter) -> np.ndarray:
    """Which line groups of pixels are missing, (n, n_groups) bool.

    Parameters
    ----------
    line, error : (n, n_groups) float
        Normalisations of the line groups relative to the camera, and their standard errors.
    scatter : (n_groups,) float
        Standard deviation of their logarithm between the pixels; 0: all pixels are alike.
    """
    line, error = np.asarray(line, float), np.asarray(error, float)
    faint = (line + error < MISSING_FRACTION) & (1.0 - line > MISSING_SIGNIFICANCE * error)
    scatter = np.broadcast_to(scatter, line.shape)
    at = np.nonzero(faint & (scatter > 0.0))
    faint[at] = deficit_sigma(line[at], error[at], scatter[at]) > MISSING_SIGNIFICANCE
    return faint


def deficit_sigma(line, error, scatter) -> np.ndarray:
    """By how many sigma lines (n,) are fainter than the camera's, counting and scatter together.

    `error` (n,) and `scatter` (n,), above 0, are as in `is_missing`; `line` below 1.
    """
    line, error, scatter = (np.asarray(values, float)[:, None] for values in (line, error, scatter))
    true = line + (1.0 - line) * np.arange(1, N_STRENGTHS + 1) / N_STRENGTHS
    by_counting = (true - line) / error
    with np.errstate(invalid="ignore", divide="ignore"):
        by_scatter = np.where(true > 0.0, np.log(true) / scatter, -np.inf)
    return np.hypot(by_counting, by_scatter).min(axis=1)
