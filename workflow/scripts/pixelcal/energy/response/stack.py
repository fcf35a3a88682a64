"""The stack: the sum of the spectra of all pixels on an energy axis, and the bins of that axis.

The response is learnt from it. Where the covariances of the relations are given, the stack is the
expectation step of the EM algorithm (`fit.learning`).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.lines import LineTable

STACK_STEP_KEV = 0.1


def stack_edges(table: LineTable) -> list[np.ndarray]:
    """Edges (keV) of the stack's bins in each block of the table."""
    return [
        np.linspace(low, high, max(2, round((high - low) / STACK_STEP_KEV)) + 1)
        for low, high in table.block_limits_keV
    ]


def stack_spectra(counts, gain, offset, edges_keV, covariance=None) -> np.ndarray:
    """Sum of the pixels' spectra on an energy axis.

    The counts of a channel are spread evenly over it. Because the channels of different pixels
    lie differently on the energy axis, the stack is the spectrum folded with a triangle of the
    width of a channel, of variance gain^2/6.

    Parameters
    ----------
    counts : (n, n_channels) int
    gain, offset : (n,) float, keV/channel and keV
    edges_keV : (m + 1,) float
    covariance : (n, 2, 2) float, optional
        Covariance of gain and offset. With it the stack is the mean over all relations that the
        fits leave possible, by the cubature of third degree in two dimensions.

    Returns
    -------
    (m,) float, counts
    """
    x = np.arange(counts.shape[1] + 1, dtype=float)
    if covariance is None:
        possible = [np.zeros((len(counts), 2))]
    else:
        axes = np.sqrt(2.0) * np.linalg.cholesky(covariance)
        possible = [sign * axes[:, :, k] for k in range(2) for sign in (1.0, -1.0)]
    total = np.zeros(len(edges_keV))
    for i, row in enumerate(counts):
        cumulative = np.concatenate([[0.0], np.cumsum(row)])
        for change in possible:
            at = (edges_keV - offset[i] - change[i, 1]) / (gain[i] + change[i, 0])
            total += np.interp(at, x, cumulative)
    return np.diff(total) / len(possible)
