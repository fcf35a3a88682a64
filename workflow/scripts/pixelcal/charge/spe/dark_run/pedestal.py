"""The pedestal of a pixel as a dark run shows it: electronic noise, night sky and dark counts.

Without light the charge is normal noise plus what pulses at random times leave in the window, a
Poisson process. Pulses leave any charge: parts of pulses of whatever form, several avalanches by
crosstalk, a negative charge where they are in the baseline that is subtracted. So the
characteristic function is

    exp(i s eped - s^2 sigma^2 / 2 + sum_m rate_m (exp(i s x_m) - 1))

(Levy and Khinchin) with a free rate, from 0 up, of the charge x_m at each of evenly spaced nodes.
They are as close as the noise cannot tell apart. No form of the pulse is assumed. A pedestal that
is not of this kind, as one with pick-up, does not fit and is said to be poor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

NODE_DISTANCE = 1.25
"""Of neighbouring nodes, in widths of the noise: what is left is a ripple of 1e-5 of the peak."""
FINE_NODES, GROWTH = 48, 1.2
"""So many to each side have this distance. Further out, beyond several photoelectrons, where there
are few pulses, each distance is larger than the one before by the factor."""
MOST_NODES = 128
"""With more of them all distances are larger."""
TAIL_QUANTILES = (0.002, 0.01, 0.05, 0.16, 0.5)
"""Of the dark run: the width of a normal law between neighbours of these, the smallest counts."""
FEWEST_BELOW = 10
"""Flashes that must be below a quantile."""


class Pedestal(NamedTuple):
    """Law of the charge without light, relative to that of no pulse at all.

    node : (M,) float, charges of the pulses
    variance_of_noise : float
    rate : (M,) float, mean number of pulses of each charge in a window
    """

    node: np.ndarray
    variance_of_noise: float
    rate: np.ndarray

    @property
    def mean(self) -> float:
        """Mean charge without light."""
        return float(self.rate @ self.node)

    @property
    def variance(self) -> float:
        """Variance of the charge without light."""
        return float(self.rate @ self.node**2) + self.variance_of_noise


def narrowest_width(counts, start: float, width: float) -> float:
    """Smallest width that the lower tail of a dark run shows: not below that of the noise.

    Parameters
    ----------
    counts : (n,) float
        Of flashes in bins of `width` from `start` on.

    Returns
    -------
    float
        In units of charge; at least half a bin.
    """
    total = np.cumsum(counts)
    flashes = total[-1]
    used = [q for q in TAIL_QUANTILES if q * flashes >= FEWEST_BELOW]
    if len(used) < 2:
        used = list(TAIL_QUANTILES[-2:])
    edge = start + width * np.arange(len(counts) + 1)
    place = np.interp(used, np.r_[0.0, total] / flashes, edge)
    local = np.diff(place) / np.diff(ndtri(used))
    return max(float(local.min()), 0.5 * width)


def nodes_of(counts, width: float, noise: float) -> np.ndarray:
    """Nodes (M,) for a dark run with counts (n,) in bins of `width`, and some width of the noise.

    They reach from the lowest charge to the highest, as seen from the median, in rising order.
    """
    used = np.flatnonzero(counts)
    total = np.cumsum(counts)
    median = int(np.searchsorted(total, 0.5 * total[-1]))
    below, above = width * (median - used[0]), width * (used[-1] - median)
    distance = NODE_DISTANCE * noise
    while True:
        node = np.concatenate([-_side(below, distance)[::-1], _side(above + distance, distance)])
        if len(node) <= MOST_NODES:
            return node
        distance *= GROWTH


def _side(reach: float, distance: float) -> np.ndarray:
    """Nodes from `distance` up to `reach`."""
    steps = np.full(MOST_NODES, distance)
    steps[FINE_NODES:] *= GROWTH ** np.arange(1, MOST_NODES - FINE_NODES + 1)
    node = np.cumsum(steps)
    return node[node <= reach]


def start_pedestal(counts, start: float, width: float, fraction: float) -> tuple[Pedestal, float]:
    """A pedestal to begin with, and where it is, from a dark run as `narrowest_width` takes it.

    Mean and variance are those of the run; pulses of all charges from 0 to three widths are equally
    many. The noise is a `fraction` of the narrowest width.
    """
    counts = np.asarray(counts, float)
    noise = fraction * narrowest_width(counts, start, width)
    place = start + width * (np.arange(len(counts)) + 0.5)
    mean = counts @ place / counts.sum()
    variance = counts @ (place - mean) ** 2 / counts.sum()
    node = nodes_of(counts, width, noise)
    alike = ((node > 0) & (node <= max(3.0 * np.sqrt(variance), 1.5 * node[node > 0][0]))) + 1e-3
    rate = alike * max(variance - noise**2, 0.01 * variance) / (alike @ node**2)
    pedestal = Pedestal(node, noise**2, rate)
    return pedestal, float(mean - pedestal.mean)


def at_other_nodes(pedestal: Pedestal, node: np.ndarray) -> Pedestal:
    """Nearly the same pedestal with other nodes (M,), in rising order."""
    density = pedestal.rate / np.gradient(pedestal.node)
    known = np.interp(node, pedestal.node, density, left=0.0, right=0.0)
    return pedestal._replace(node=node, rate=known * np.gradient(node))
