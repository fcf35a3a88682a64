"""The stack: the sum of the spectra of all pixels on an energy axis, and the bins of that axis.

The response is learnt from it. Where the covariances of the relations are given, the stack is the
expectation step of the EM algorithm (`fit.learning`).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.lines import LineTable
from pixelcal.numerics.jit import njit

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
    relations = np.column_stack([gain, offset])[:, None, :]
    if covariance is not None:
        axes = np.sqrt(2.0) * np.linalg.cholesky(covariance).transpose(0, 2, 1)
        relations = relations + np.concatenate([axes, -axes], axis=1)
    below = _below(np.asarray(counts, float), np.ascontiguousarray(relations), edges_keV)
    return np.diff(below) / relations.shape[1]


@njit
def _below(counts, relations, edges_keV):
    """Counts (m,) below each edge, summed over pixels and the `relations` (n, k, 2) of each."""
    total = np.zeros(edges_keV.shape[0])
    n_channels = counts.shape[1]
    cumulative = np.zeros(n_channels + 1)
    for i in range(counts.shape[0]):
        for c in range(n_channels):
            cumulative[c + 1] = cumulative[c] + counts[i, c]
        for k in range(relations.shape[1]):
            gain, offset = relations[i, k]
            for e in range(edges_keV.shape[0]):
                at = min(max((edges_keV[e] - offset) / gain, 0.0), float(n_channels))
                c = min(int(at), n_channels - 1)
                total[e] += cumulative[c] + (at - c) * counts[i, c]
    return total
