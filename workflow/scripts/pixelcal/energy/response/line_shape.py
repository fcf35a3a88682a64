"""The profile of one line: a Gaussian core with an exponential tail towards low energy.

A share of the events loses energy to incomplete hole collection; the loss is exponential. Folded
with the Gaussian of the electronics this is the exponentially modified Gaussian, mirrored
(Phillips & Marlow 1976, NIM 137, 525, without their step). Everything is in keV and broadcasts.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

SIGMA_PER_FWHM = 1.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))

_LARGEST_EXPONENT = 50.0


def _folded_tail(z, ratio):
    """exp(z r + r^2/2) Phi(-(z + r)) for z = (measured - energy)/sigma and r = sigma/tail mean.

    Written with erfcx where the argument is positive: there the plain form is infinity times zero.
    """
    argument = z + ratio
    scaled = 0.5 * np.exp(-0.5 * z**2) * erfcx(np.maximum(argument, 0.0) / np.sqrt(2.0))
    exponent = np.minimum(z * ratio + 0.5 * ratio**2, _LARGEST_EXPONENT)
    return np.where(argument > 0, scaled, np.exp(exponent) * ndtr(-argument))


def profile_cdf(measured, energy, sigma, tail_share, tail_mean):
    """Share of the events of a line at `energy` that are measured below `measured`.

    Parameters
    ----------
    measured, energy : array, keV
    sigma : array, keV
        Standard deviation of the Gaussian core.
    tail_share : array
        Share of events in the tail, 0 to 1.
    tail_mean : array, keV
        Mean energy lost by those, positive.

    Returns
    -------
    array of the broadcast shape; 0 far below the line, 1 far above.
    """
    z = (np.asarray(measured, float) - energy) / sigma
    return ndtr(z) + tail_share * _folded_tail(z, sigma / tail_mean)


def profile_pdf(measured, energy, sigma, tail_share, tail_mean):
    """Density (1/keV) of the events of a line: the derivative of `profile_cdf`."""
    z = (np.asarray(measured, float) - energy) / sigma
    core = np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * sigma)
    return (1.0 - tail_share) * core + tail_share * _folded_tail(z, sigma / tail_mean) / tail_mean
