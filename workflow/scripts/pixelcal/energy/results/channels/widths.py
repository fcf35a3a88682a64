"""Channels of unequal width: residuals that follow the channel number and not the energy.

A converter whose channels are not all as wide counts more in the wide ones (differential
non-linearity, IEEE Std 1241). Pixels of different gains have a channel at different energies. The
residuals of many pixels are therefore added up twice, by channel and by energy, in bins as wide as
a channel. A line that is missing, or a wrong continuum, stands out by energy and is smeared by
channel; for unequal channels it is the other way round. What chi-square exceeds its mean by says
which of the two explains more. All pixels may share a converter, or those of a module: both are
looked at, the modules after what the camera has in common.

Unequal channels also make residuals by energy, which look like lines. How much the widths scatter
is what the stack by channel has beyond the bins of energy, and gives the covariance of those bins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pixelcal.energy.results.adequacy import Bins

CLEAR_SIGMA = 4.0
"""Channel numbers explain more than energies where the difference of both chi-squares exceeds its
mean by so many of its standard deviations: 3 of 100 000 right models."""

BACKFITTINGS = 2
"""How often what all modules have in common is taken out, by energy and then by channel (Breiman &
Friedman 1985, J. Am. Stat. Assoc. 80, 580)."""

NAMED_SIGMA, MOST_NAMED = 4.0, 5
"""Channels that are named: their counts are off by so many sigma, and so many at most."""


class Comparison(NamedTuple):
    """How much of the residuals follows the channel number, and how much the energy.

    Attributes
    ----------
    by_channel, by_energy : float
        Chi-square of the sums minus its mean where the model is right.
    sigma : float
        Their difference over its standard deviation.
    width : float
        Standard deviation of the widths of channels, relative.
    """

    by_channel: float
    by_energy: float
    sigma: float
    width: float

    @property
    def is_clear(self) -> bool:
        """Whether channels of unequal width explain the residuals better than energies do."""
        return self.sigma > CLEAR_SIGMA


class ChannelWidths(NamedTuple):
    """What the sums by channel say.

    Attributes
    ----------
    camera, modules : Comparison
        Of all pixels together; of the modules, after what all pixels have in common.
    counts, expected : (n_channels,) float
        Sums over the pixels.
    pull : (n_channels,) float
        Residuals beyond those of the bins of energy, over their standard deviation.
    of_modules : (n_channels,) float
        The same of the modules: how many standard deviations the chi-square over the modules is
        above its mean.
    covariance : (n_bins, n_bins) float
        Of the bins of energy, by channels of unequal width.
    """

    camera: Comparison
    modules: Comparison
    counts: np.ndarray
    expected: np.ndarray
    pull: np.ndarray
    of_modules: np.ndarray
    covariance: np.ndarray

    @property
    def are_unequal(self) -> bool:
        """Whether channels clearly differ in width, in all pixels or between modules."""
        return self.camera.is_clear or self.modules.is_clear


class _Entries(NamedTuple):
    """The channels of the blocks of all pixels, one after the other, (n,) each.

    Attributes
    ----------
    residual, expected : float
    channel, fine, bin : int
        Channel number; bin of energy as wide as a channel; bin of `Bins`.
    """

    residual: np.ndarray
    expected: np.ndarray
    channel: np.ndarray
    fine: np.ndarray
    bin: np.ndarray


def compare_channels(counts, expected, gain, offset, module, bins: Bins) -> ChannelWidths:
    """Whether channels of unequal width explain the residuals of pixels.

    Parameters
    ----------
    counts : (n, n_channels) int
    expected : (n, n_channels) float
        0 outside of the blocks; of pixels whose fit counts.
    gain, offset : (n,) float, keV/channel and keV
        Those of the fits.
    module : (n,) int
    bins : Bins
        The bins of residuals, neighbours within a block.
    """
    n_channels, n_bins = np.shape(counts)[1], len(bins.low)
    pixel, entries = _entries(counts, expected, gain, offset, bins)
    modules, of_pixel = np.unique(module, return_inverse=True)
    camera, chi = _compared(entries, np.zeros(len(pixel), int))
    left = entries
    for _ in range(BACKFITTINGS):
        # A line that all have stands elsewhere by channel in a module whose gains are other ones.
        left = _without_shared(_without_shared(left, entries.fine), entries.channel)
    found, of_modules = _compared(left, of_pixel[pixel], shared=True)
    seen, model = (
        np.bincount(entries.channel, values, n_channels)
        for values in (entries.residual + entries.expected, entries.expected)
    )
    pull, beyond, covariance = np.zeros(n_channels), np.zeros(n_channels), np.zeros((n_bins,) * 2)
    pull[chi.channel] = chi.pull
    square = np.bincount(of_modules.channel, of_modules.pull**2, n_channels)
    dof = of_modules.part * (np.bincount(of_modules.channel, minlength=n_channels) - 1.0)
    known = dof > 0
    beyond[known] = (square - dof)[known] / np.sqrt(2.0 * dof[known])
    if camera.is_clear or found.is_clear:
        overlap = np.zeros((n_bins, n_channels))
        np.add.at(overlap, (entries.bin, entries.channel), entries.expected)
        covariance = camera.width**2 * (overlap @ overlap.T)
    return ChannelWidths(camera, found, seen, model, pull, beyond, covariance)


def _entries(counts, expected, gain, offset, bins: Bins) -> tuple[np.ndarray, _Entries]:
    """The pixel (n,) of each channel in a block, and what is there."""
    expected = np.asarray(expected, float)
    pixel, channel = np.nonzero(expected > 0.0)
    model = expected[pixel, channel]
    residual = np.asarray(counts)[pixel, channel] - model
    gain, offset = np.asarray(gain, float), np.asarray(offset, float)
    energy = gain[pixel] * (channel + 0.5) + offset[pixel]
    width = float(np.median(gain)) if len(gain) else 1.0
    place = np.clip(np.searchsorted(bins.high, energy), 0, len(bins.high) - 1)
    fine = np.floor((energy - bins.low[0]) / width).astype(int)
    return pixel, _Entries(residual, model, channel, np.maximum(fine, 0), place)


class _OfChannels(NamedTuple):
    """What channels of groups have beyond the bins of energy.

    Attributes
    ----------
    channel : (n,) int
    pull : (n,) float
        In standard deviations.
    part : float
        Part of the variance that the bins of energy leave.
    """

    channel: np.ndarray
    pull: np.ndarray
    part: float


def _compared(entries: _Entries, group, shared: bool = False):
    """The `Comparison` of groups of pixels (n,), and what their channels have beyond the energies.

    `shared` says that what the groups have in common is taken out of the entries.
    """
    number, residual, model = _sums(entries, entries.channel, group)
    n_channels = len(number) - shared * len(np.unique(number % _stride(entries.channel)))
    chi, variance = (residual**2 / model).sum() - n_channels, _variance(n_channels, model)
    _, fine, expected = _sums(entries, entries.fine, group)
    n_fine = len(fine) - shared * len(np.unique(entries.fine))
    other = (fine**2 / expected).sum() - n_fine
    # What both explain does not fluctuate alike in both.
    variance += _variance(n_fine, expected) + 4.0 * max(min(chi, other), 0.0)
    at, of_bins, in_bins = _sums(entries, entries.bin, group)
    key = group * _stride(entries.bin) + entries.bin
    smooth = (of_bins / in_bins)[np.searchsorted(at, key)] * entries.expected
    beyond = entries._replace(residual=entries.residual - smooth)
    number, residual, model = _sums(beyond, beyond.channel, group)
    part = max(1.0 - len(at) / max(len(number), 1), 0.0)
    pull = residual / np.sqrt(model)
    more = (pull**2).sum() - part * n_channels
    scale = part * model.sum()
    width = np.sqrt(max(more, 0.0) / scale) if scale > 0.0 else 0.0
    sigma = (chi - other) / np.sqrt(variance) if variance > 0.0 else 0.0
    found = Comparison(float(chi), float(other), float(sigma), float(width))
    return found, _OfChannels(number % _stride(beyond.channel), pull, part)


def _stride(key) -> int:
    """So far apart stand the keys of groups."""
    return int(key.max(initial=0)) + 1


def _sums(entries: _Entries, key, group):
    """Numbers (group * stride + key), residuals and expected counts of what there is."""
    number = group * _stride(key) + key
    model = np.bincount(number, entries.expected)
    there = np.flatnonzero(model > 0.0)
    return there, np.bincount(number, entries.residual)[there], model[there]


def _variance(n: int, model) -> float:
    """Of the chi-square of `n` sums of independent Poisson counts, the model (n,)."""
    return 2.0 * n + float((1.0 / model).sum())


def _without_shared(entries: _Entries, key) -> _Entries:
    """Entries without their part of the camera's residuals of the same key."""
    residual, model = (np.bincount(key, values) for values in (entries.residual, entries.expected))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.nan_to_num(residual / model)
    return entries._replace(residual=entries.residual - entries.expected * relative[key])
