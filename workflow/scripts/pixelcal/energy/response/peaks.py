"""Lines in the bins of the stack, with their derivatives: what `response.stack_fit` is made of.

A line is a sum of peaks with a Gaussian core and an exponential tail: the line itself and its
escape peaks, each at some depths where charge is trapped, and with some wider cores where it has a
natural width (`response.line_shape`, `response.natural_width`). A peak has five numbers. Every
parameter of the shape and every energy changes the bins through these alone, so that one pass over
the bins gives the derivatives against all of them, by the chain rule.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pixelcal.energy.response.line_shape import LineShape
from pixelcal.energy.response.natural_width import SCALES, WEIGHTS
from pixelcal.numerics.jit import njit

REACH = 12.0
"""A line is nothing to bins further away than so many of its widths, tail and all."""

NEAR_EDGE_KEV = 1.0
"""Lines so far below a K edge may come above it as they move, and have escape peaks then."""

FAR_ABOVE = 9.0
"""So many standard deviations above a peak all of it is below, to 1e-18."""

FAR_BELOW = -45.0
"""Logarithm of what is left of a tail, or of a core, that is nothing."""

LARGEST_PLAIN = 8.0
"""Up to this argument exp(x^2) erfc(x) is exact to 1e-13; beyond, its asymptotic series is."""


class Peaks(NamedTuple):
    """The peaks of all lines.

    Attributes
    ----------
    line : (n,) int
        The line that each belongs to.
    numbers : (5, n) float
        Weight, energy (keV), standard deviation of the core (keV), fraction in the tail, and mean
        loss in the tail (keV).
    """

    line: np.ndarray
    numbers: np.ndarray


def peaks_of(
    shape: LineShape, energy_keV, width_keV, extra_variance: float, listed_keV=None
) -> Peaks:
    """The peaks of lines at `energy_keV` (n_lines,) with natural widths `width_keV` (n_lines,).

    `extra_variance` (keV^2) is added to the square of the width of the cores. The number and order
    of the peaks depend on the material, on the widths and on whether charge is trapped, and not on
    the other parameters of the shape. `listed_keV` (n_lines,), or `energy_keV`,
    says which lines may have escape peaks: their number stays as lines move.
    """
    energy_keV, width_keV = np.asarray(energy_keV, float), np.asarray(width_keV, float)
    listed_keV = energy_keV if listed_keV is None else listed_keV
    lines, numbers = [], []
    whole = [(np.arange(len(energy_keV)), energy_keV, np.ones_like(energy_keV))]
    for escape, (energy, probability) in zip(
        shape.material.escapes, shape.escapes(energy_keV), strict=True
    ):
        above = np.flatnonzero(listed_keV > escape.edge_keV - NEAR_EDGE_KEV)
        whole.append((above, energy[above], probability[above]))
    for line, energy, probability in whole:
        sigma = np.sqrt(shape.sigma(energy) ** 2 + extra_variance)
        fraction, loss = shape.tail_fraction(energy), shape.tail_mean(energy)
        broad = width_keV[line] > 0.0
        half = width_keV[line[broad]] / 2.0
        for weight, lost in shape.lost_by_depth(energy):
            peak = np.array([weight * probability, energy - lost, sigma, fraction, loss])
            lines.append(line[~broad])
            numbers.append(peak[:, ~broad])
            for scale, share in zip(SCALES, WEIGHTS, strict=True) if broad.any() else ():
                wider = peak[:, broad]
                wider[0] *= share
                wider[2] = np.hypot(wider[2], scale * half)
                lines.append(line[broad])
                numbers.append(wider)
    return Peaks(np.concatenate(lines), np.concatenate(numbers, axis=1))


def lines_near(shape: LineShape, energy_keV, width_keV, edges_keV) -> np.ndarray:
    """Which lines (n_lines,) bool, escape peaks and all, bring counts to bins between edges."""
    core = shape.sigma(energy_keV) + width_keV
    lost = max((escape.lost_keV for escape in shape.material.escapes), default=0.0)
    lowest = energy_keV - REACH * (shape.tail_mean(energy_keV) + core) - lost
    return (lowest < edges_keV[-1]) & (energy_keV + REACH * core > edges_keV[0])


@njit
def below_edges(numbers, edges):
    """Fraction of each peak below each edge, and its derivatives.

    Parameters
    ----------
    numbers : (5, n) float
        As in `Peaks`.
    edges : (m,) float, keV

    Returns
    -------
    (5, n, m) float
        The weight left out of all: the fraction, then its derivatives against energy, standard
        deviation, fraction in the tail and mean loss in the tail.
    """
    n, m = numbers.shape[1], len(edges)
    out = np.zeros((5, n, m))
    for i in range(n):
        energy, sigma, part, loss = numbers[1, i], numbers[2, i], numbers[3, i], numbers[4, i]
        ratio = sigma / loss
        for k in range(m):
            z = (edges[k] - energy) / sigma
            if z > FAR_ABOVE:
                out[0, i, k] = 1.0
                continue
            x, core = z + ratio, 0.0
            if 0.5 * z * z < -FAR_BELOW:
                core = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
            tail = 0.0
            if x > 0.0:
                tail = core * np.sqrt(np.pi / 2.0) * _erfcx(x / np.sqrt(2.0))
            elif z * ratio + 0.5 * ratio * ratio > FAR_BELOW:
                exponential = np.exp(z * ratio + 0.5 * ratio * ratio)
                tail = 0.5 * exponential * math.erfc(x / np.sqrt(2.0))
            # T = exp(z r + r^2/2) Phi(-(z + r)): dT/dz = r T - phi(z), dT/dr = (z + r) T - phi(z).
            by_z, by_ratio = core + part * (ratio * tail - core), part * (x * tail - core)
            out[0, i, k] = 0.5 * math.erfc(-z / np.sqrt(2.0)) + part * tail
            out[1, i, k] = -by_z / sigma
            out[2, i, k] = -z * by_z / sigma + by_ratio / loss
            out[3, i, k] = tail
            out[4, i, k] = -by_ratio * ratio / loss
    return out


@njit
def _erfcx(x):
    """exp(x^2) erfc(x) of a positive number (Abramowitz & Stegun 7.1.23 where it is large)."""
    if x < LARGEST_PLAIN:
        return np.exp(x * x) * math.erfc(x)
    square = 1.0 / (2.0 * x * x)
    series = 1.0
    for k in range(8, 0, -1):
        series = 1.0 - (2 * k - 1) * square * series
    return series / (x * np.sqrt(np.pi))
