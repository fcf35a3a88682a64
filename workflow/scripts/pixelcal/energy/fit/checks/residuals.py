"""Residuals of one pixel's fit in bins of energy, compiled and what a fit leaves of their variance.

Summed over many pixels they show what no single pixel can: whether the model describes the spectra
(`results.adequacy`). Each channel belongs to the one bin that its centre lies in by the fitted
relation, so that bins share no counts and the residuals of different bins are independent but for
what the fit takes up.

With D the variances of the counts (their expectation mu), J the derivatives of mu and C the
covariance of the fit, population prior included, the residuals have the covariance

    D - J C J^T,

over counts and over pixels of the population alike: the variance of what a linear model with a
Gaussian prior leaves (Rasmussen & Williams 2006, Gaussian Processes, section 5.4.2, and Woodbury's
identity). A fit with free parameters alone makes it the projection of least squares, whose trace is
the number of bins minus that of the parameters.

The mean is not 0 to second order. A fit puts the lines where the noise wants them, so that the
model, averaged over fits, is broader than the lines are: by half the variance of the energy times
the second derivative of mu. That is as large in every pixel whatever the exposure, and shows in
thousands of them. What of it the parameters do not take up again is taken off.
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.fit.columns import bins_of_block
from pixelcal.energy.fit.model import (
    N_SHARED,
    PIVOT_HIGH,
    PIVOT_LOW,
    parameter_index,
    relation_of,
)
from pixelcal.numerics.jit import njit

_bins_of_block = njit(bins_of_block)


@njit
def empty_residuals(limits):
    """(n_bins, 3) float of zeros, `limits` (n_blocks, 2) keV."""
    total = 0
    for b in range(limits.shape[0]):
        total += _bins_of_block(limits[b, 0], limits[b, 1])
    return np.zeros((total, 3))


@njit
def binned_residuals(spectrum, mu, theta, covariance, templates, work):
    """Counts, expected counts and variance of the residuals (n_bins, 3) of a pixel's fit.

    Second are the expected counts of the channels (n_channels,), 0 outside of the blocks.

    Parameters
    ----------
    spectrum : Spectrum
    mu : (n_channels,) float
        Expected counts, in the channels of the blocks.
    theta, covariance : (n_free,) and (n_free, n_free) float
    templates : Templates
    work : Workspace
        With the derivatives of `mu`.
    """
    out, expected = empty_residuals(templates.limits), np.zeros(mu.shape[0])
    gain, offset = relation_of(theta)
    n_blocks, start = templates.limits.shape[0], 0
    broader = _broadening(spectrum, mu, gain, covariance)
    taken_up = _taken_up(broader, spectrum, mu, covariance, templates, work)
    for b in range(n_blocks):
        low, high = templates.limits[b]
        n_bins = _bins_of_block(low, high)
        k0, _, k1 = templates.groups[b]
        n_local = N_SHARED + 1 + k1 - k0
        slope = np.zeros((n_bins, n_local))
        for c in range(spectrum.first[b], spectrum.last[b]):
            at = int((gain * (c + 0.5) + offset - low) / (high - low) * n_bins)
            at = min(max(at, 0), n_bins - 1)
            out[start + at, 0] += spectrum.counts[c]
            expected[c] = mu[c] - broader[c]
            for p in range(n_local):
                slope[at, p] += work.jacobian[c, p]
                change = taken_up[parameter_index(p, b, k0, n_blocks)]
                expected[c] += work.jacobian[c, p] * change
            out[start + at, 1] += expected[c]
            out[start + at, 2] += mu[c]
        for i in range(n_bins):
            out[start + i, 2] -= _variance_of(slope[i], theta, covariance, b, k0, n_blocks)
            out[start + i, 2] = max(out[start + i, 2], 0.0)
        start += n_bins
    return out, expected


@njit
def _broadening(spectrum, mu, gain, covariance):
    """Half the variance of the energy times the second derivative of `mu`, (n_channels,).

    The derivative is the second difference of neighbouring channels, 0 at the ends of a block.
    """
    out, span = np.zeros(mu.shape[0]), PIVOT_HIGH - PIVOT_LOW
    for b in range(spectrum.first.shape[0]):
        for c in range(spectrum.first[b] + 1, spectrum.last[b] - 1):
            low = (PIVOT_HIGH - c - 0.5) / span
            high = 1.0 - low
            variance = low * low * covariance[0, 0] + high * high * covariance[1, 1]
            variance += 2.0 * low * high * covariance[0, 1]
            second = mu[c + 1] - 2.0 * mu[c] + mu[c - 1]
            out[c] = 0.5 * variance * second / gain**2
    return out


@njit
def _taken_up(broader, spectrum, mu, covariance, templates, work):
    """Changes (n_free,) of the parameters that a change `broader` (n_channels,) is taken for."""
    n_blocks = templates.limits.shape[0]
    score = np.zeros(covariance.shape[0])
    for b in range(n_blocks):
        k0, _, k1 = templates.groups[b]
        for c in range(spectrum.first[b], spectrum.last[b]):
            for p in range(N_SHARED + 1 + k1 - k0):
                at = parameter_index(p, b, k0, n_blocks)
                score[at] += work.jacobian[c, p] * broader[c] / mu[c]
    return covariance @ score


@njit
def _variance_of(slope, theta, covariance, block, first_group, n_blocks):
    """Variance that the parameters of a block have in a sum of derivative `slope` (n_local,).

    A normalisation at its bound, 0, is no parameter.
    """
    total = 0.0
    for p in range(slope.shape[0]):
        at_p = parameter_index(p, block, first_group, n_blocks)
        if p > N_SHARED and theta[at_p] <= 0.0:
            continue
        for q in range(slope.shape[0]):
            at_q = parameter_index(q, block, first_group, n_blocks)
            if q > N_SHARED and theta[at_q] <= 0.0:
                continue
            total += slope[p] * covariance[at_p, at_q] * slope[q]
    return total
