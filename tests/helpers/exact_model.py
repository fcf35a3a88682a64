"""The model of the joint fit by other means: no tables, no compiled code, no analytic derivatives.

Line profiles are scipy's distributions, the continuum is integrated by quadrature, and derivatives
are differences.
"""

import numpy as np
from scipy import stats

from helpers.instruments import ESCAPES_KEV
from pixelcal.energy.lines import line_groups
from pixelcal.energy.response.model import CONTINUUM_INDEX
from pixelcal.energy.response.tables import LEAST_REACH

NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
STEPS = (1e-6, 1e-4, 1e-4, 1e-4)
"""Of the differences against gain (keV/channel), offset (keV), logarithm of the resolution and
factor on the tail."""

N_CHANNELS = 1024
MARGIN = 3
"""Channels beyond a block that have counts, too: a fit a little off looks at other channels."""


class ExactPixel:
    """Expected counts of the camera's mean pixel, for a response and its line table.

    Attributes
    ----------
    channels : list of (first, one past the last)
        Those wholly in each block, by the relation of the pixel.
    """

    def __init__(self, response, table, gain, offset):
        self.response, self.table, self.shape = response, table, response.shape
        self.relation = gain, offset
        limits = (table.block_limits_keV - offset) / gain
        self.channels = [(int(np.ceil(low)), int(np.floor(high))) for low, high in limits]
        self.reaching = {group for group in line_groups(table) if self._reaches(*group)}

    def components(self, gain, offset, log_resolution=0.0, tail=1.0):
        """Counts (n_blocks + n_groups, n): continua, then line groups; channels block by block."""
        edges = [gain * np.arange(first, last + 1) + offset for first, last in self.channels]
        sizes = [len(block_edges) - 1 for block_edges in edges]
        ends = np.cumsum(sizes)
        parts = [slice(end - n, end) for end, n in zip(ends, sizes, strict=True)]
        groups = line_groups(self.table)
        rows = np.zeros((len(edges) + len(groups), ends[-1]))
        for block, part in enumerate(parts):
            rows[block, part] = self._continuum(block, edges[block])
        for row, (block, element) in zip(rows[len(edges) :], groups, strict=True):
            row[parts[block]] = self._lines(block, element, edges[block], log_resolution, tail)
            if (block, element) in self.reaching:
                row[parts[block - 1]] = self._lines(block, element, edges[block - 1], 0.0, tail)
        return rows

    def counts(self, scale=1.0, tail=1.0):
        """Expected counts (N_CHANNELS,) of a pixel with `scale` times the counts of the mean one.

        `tail` is the factor on the tails of the lines.

        None far from the blocks, where the fit does not look.
        """
        gain, offset = self.relation
        mu = np.zeros(N_CHANNELS)
        for margin in (MARGIN, 0):  # a channel that is in a block is that block's
            for block, (first, last) in enumerate(self.channels):
                channels = slice(first - margin, last + margin)
                edges = gain * np.arange(channels.start, channels.stop + 1) + offset
                mu[channels] = self._continuum(block, edges)
                for of_block, element in line_groups(self.table):
                    reaches = (of_block, element) in self.reaching and of_block == block + 1
                    if of_block == block or reaches:
                        mu[channels] += self._lines(of_block, element, edges, factor=tail)
        return scale * mu

    def information(self, scale=1.0):
        """Fisher information (4 + n_blocks + n_groups)^2 in Poisson counts; all parameters free.

        Gain, offset, logarithm of the resolution, factor on the tail, then that on each component.
        """
        at = np.array([*self.relation, 0.0, 1.0])
        slopes = []
        for step in np.diag(STEPS):
            up, down = (self.components(*(at + sign * step)).sum(axis=0) for sign in (1, -1))
            slopes.append((up - down) / (2 * step.sum()))
        parts = self.components(*at)
        jacobian = scale * np.concatenate([slopes, parts])
        return jacobian / (scale * parts.sum(axis=0)) @ jacobian.T

    def _reaches(self, block, element):
        """Whether lines leave counts in the block below that a pixel can tell."""
        if block == 0:
            return False
        edges = np.linspace(*self.table.block_limits_keV[block - 1], 400)
        inside = self._lines(block, element, edges).sum()
        return inside > LEAST_REACH * self._smooth(block - 1, edges).sum()

    def _lines(self, block, element, edges, log_resolution=0.0, factor=1.0):
        """Counts between `edges` of the lines of an element that stand in a block."""
        lines = (self.table.block == block) & (np.array(self.table.element) == element)
        below = np.zeros(len(edges))
        for line in np.flatnonzero(lines):
            core, tail, fraction = self._profile(
                self.table.energy_keV[line], np.exp(log_resolution)
            )
            cdf = (1 - factor * fraction) * stats.norm.cdf(edges, *core)
            cdf += factor * fraction * stats.exponnorm.sf(-edges, *tail)
            below += self.response.line_strength[line] * cdf
        return np.diff(below)

    def _continuum(self, block, edges):
        """Counts of all else: the continuum, lines of other blocks, escape peaks of all lines.

        Beyond the block it goes on as it is at the limit.
        """
        at, weights = self._nodes(block, edges)
        density = np.zeros_like(at)
        for line, strength in enumerate(self.response.line_strength):
            energy = self.table.energy_keV[line]
            group = int(self.table.block[line]), self.table.element[line]
            reaches = group in self.reaching and group[0] == block + 1
            if group[0] != block and not reaches:
                density += strength * self._density(energy, at)
            for position, fraction in self.shape.escapes(energy):
                if fraction > 0:
                    density += strength * fraction * self._density(position, at)
        return self._smooth(block, edges) + (density * weights).sum(axis=1)

    def _nodes(self, block, edges):
        """Energies (n, 5) within each bin, and the weights of an integral over it."""
        width = np.diff(edges)[:, None]
        inside = edges[:-1, None] + width * (1.0 + NODES) / 2.0
        return np.clip(inside, *self.table.block_limits_keV[block]), WEIGHTS / 2.0 * width

    def _smooth(self, block, edges):
        """Counts of the continuum itself."""
        (low, high), (at, weights) = self.table.block_limits_keV[block], self._nodes(block, edges)
        middle, half = (low + high) / 2, (high - low) / 2
        *polynomial, step_cd, step_te = self.response.continuum[block]
        series = np.polynomial.legendre.Legendre(polynomial)
        density = (at / middle) ** CONTINUUM_INDEX * series((at - middle) / half)
        for (edge, _), size in zip(ESCAPES_KEV, (step_cd, step_te), strict=True):
            if low < edge < high:
                density += size * stats.norm.cdf(at, edge, self.shape.sigma(edge))
        return (density * weights).sum(axis=1)

    def _density(self, energy, at):
        """Density of a line at `energy`, per count."""
        core, tail, fraction = self._profile(energy)
        return (1 - fraction) * stats.norm.pdf(at, *core) + fraction * stats.exponnorm.pdf(
            -at, *tail
        )

    def _profile(self, energy, resolution=1.0):
        """Parameters of scipy's norm, and of its exponnorm of minus the energy; its fraction."""
        sigma = self.shape.sigma(energy) * resolution
        loss = self.shape.tail_mean(energy)
        return (energy, sigma), (loss / sigma, -energy, sigma), self.shape.tail_fraction(energy)
