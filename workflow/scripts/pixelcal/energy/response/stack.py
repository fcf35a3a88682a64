"""The stack: the sum of the spectra of all pixels on an energy axis, and the bins of that axis.

The response is learnt from it. Where the covariances of the relations are given, the stack is the
expectation step of the EM algorithm (`fit.learning`).
"""

from __future__ import annotations

import numpy as np

from pixelcal.energy.lines import LineTable

STACK_STEP_KEV = 0.1

PIXELS_AT_ONCE = 256
"""So many pixels fit the caches of a processor."""


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
    return stack_blocks(counts, gain, offset, [edges_keV], covariance)[0]


def stack_blocks(counts, gain, offset, edges_keV, covariance=None) -> list[np.ndarray]:
    """`stack_spectra` between each of several sequences of edges (list), in one pass."""
    relations = np.column_stack([gain, offset])[:, None, :]
    if covariance is not None:
        axes = np.sqrt(2.0) * np.linalg.cholesky(covariance).transpose(0, 2, 1)
        relations = relations + np.concatenate([axes, -axes], axis=1)
    below = _below(np.asarray(counts, float), relations, np.concatenate(edges_keV))
    ends = np.cumsum([len(edges) for edges in edges_keV])[:-1]
    return [np.diff(part) / relations.shape[1] for part in np.split(below, ends)]


def _below(counts, relations, edges_keV) -> np.ndarray:
    """Counts (m,) below each edge, summed over pixels and the `relations` (n, k, 2) of each."""
    total, n_channels = np.zeros(len(edges_keV)), counts.shape[1]
    for start in range(0, len(counts), PIXELS_AT_ONCE):
        part = counts[start : start + PIXELS_AT_ONCE]
        gain, offset = np.moveaxis(relations[start : start + PIXELS_AT_ONCE, :, :, None], 2, 0)
        cumulative = np.zeros((len(part), n_channels + 1))
        np.cumsum(part, axis=1, out=cumulative[:, 1:])
        at = np.clip((edges_keV - offset) / gain, 0.0, n_channels).reshape(len(part), -1)
        channel = np.minimum(at.astype(int), n_channels - 1)
        inside = (at - channel) * np.take_along_axis(part, channel, axis=1)
        below = np.take_along_axis(cumulative, channel, axis=1) + inside
        total += below.reshape(-1, len(edges_keV)).sum(axis=0)
    return total
