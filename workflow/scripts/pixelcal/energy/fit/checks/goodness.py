"""How well each block of a pixel is described, compiled: its deviance, and what to expect."""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.goodness_of_fit import LOG_MU_START, LOG_MU_STEP
from pixelcal.numerics.jit import njit

DECIDING_STEPS, LEAST_PART, LEAST_MARGIN, MOST_EXPECTED = 8, 0.2, 20.0, 1.15
"""A trial fit is given up after so many steps where this part of its deviance, less the most that a
channel is expected to have, is by this margin above what it would have to come below. Of 1300 fits
from seeds far off, none that changed a relation or a STATUS did so, but two that stayed wrong."""


@njit
def is_hopeless(step, value, spectrum, most):
    """Whether a fit whose -ln L is `value` will not come below the deviance `most`.

    By more than is expected of its channels; with `most` infinite never.
    """
    if step < DECIDING_STEPS or not most < np.inf:
        return False
    n_channels = 0
    for b in range(spectrum.first.shape[0]):
        n_channels += spectrum.last[b] - spectrum.first[b]
    beyond = 2.0 * value - MOST_EXPECTED * n_channels
    return LEAST_PART * beyond > max(most, 0.0) + LEAST_MARGIN


@njit
def fill_goodness(spectrum, expected, moments, out):
    """Fill `out` (n_blocks, 4): deviance of each block, its mean and variance at the truth, counts.

    Parameters
    ----------
    spectrum : Spectrum
    expected : (n_channels,) float
        Expected counts, in the channels of the blocks.
    moments : (n, 2) float
        As `numerics.goodness_of_fit.moment_table` gives them.
    out : (n_blocks, 4) float
        Of zeros.
    """
    for b in range(spectrum.first.shape[0]):
        for c in range(spectrum.first[b], spectrum.last[b]):
            mu, count = expected[c], spectrum.counts[c]
            out[b, 3] += count
            out[b, 0] += 2.0 * (mu - count)
            if count > 0:
                out[b, 0] += 2.0 * count * np.log(count / mu)
            u = (np.log(mu) - LOG_MU_START) / LOG_MU_STEP
            k = min(max(int(u), 0), moments.shape[0] - 2)
            t = min(max(u - k, 0.0), 1.0)
            out[b, 1] += (1.0 - t) * moments[k, 0] + t * moments[k + 1, 0]
            out[b, 2] += (1.0 - t) * moments[k, 1] + t * moments[k + 1, 1]
