"""How well each block of a pixel is described, compiled: its deviance, and what to expect."""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.goodness_of_fit import LOG_MU_START, LOG_MU_STEP
from pixelcal.numerics.jit import njit


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
