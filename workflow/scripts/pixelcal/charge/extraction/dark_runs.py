"""A run that is called dark must be: the pulse of the flash is looked for in its mean waveform."""

from __future__ import annotations

import logging

import numpy as np

from pixelcal.charge.extraction.peaks import MeanWaveform, Peaks
from pixelcal.charge.runs.hdf5 import OpenRun
from pixelcal.errors import InputError

WARN_LIGHT, MOST_LIGHT = 0.01, 0.05
"""Pulse of a dark run over that of the brightest run from which on it is told, and refused."""
SIGMA = 5.0
FEWEST_PIXELS = 4
"""The scatter of so many pixels gives an error."""

LOGGER = logging.getLogger("pixelcal")


def check_dark_run(
    run: OpenRun,
    rows: np.ndarray,
    peaks: Peaks,
    live: np.ndarray,
    max_events: int | None,
    name: str,
    brightest: str,
) -> None:
    """Warn of light in a run that has none by its table: it would be taken for the pedestal.

    Parameters
    ----------
    run : OpenRun
    rows : (n,) int
        Rows of the waveforms of the pixels.
    peaks : Peaks
        Of the same pixels, from the run `brightest`.
    live : (n,) bool
        Pixels that see the light.
    max_events : int or None
    name : str
        Of the run.

    Raises
    ------
    InputError
        Where its pulse is more than `MOST_LIGHT` of that of the brightest run.
    """
    mean = MeanWaveform(len(rows), run.properties.n_samples)
    for block in run.blocks(max_events):
        mean.add(block, rows)
    light, error = pulse_fraction(mean.mean(), mean.error(), peaks.mean_waveform, live)
    if not light > max(WARN_LIGHT, SIGMA * error):
        return
    line = (
        f"run {name}: n_ph is 0 in table.csv, but its mean waveform has the pulse of the flash,"
        f" {100 * light:.3g} % of that of the run {brightest}; write its light in n_ph, or take it"
        " again without light"
    )
    if light > MOST_LIGHT:
        raise InputError(line)
    LOGGER.warning(line)


def pulse_fraction(
    mean: np.ndarray, error: np.ndarray, bright: np.ndarray, live: np.ndarray
) -> tuple[float, float]:
    """How much of the pulse of a bright run is in another one, and its standard error.

    By least squares, with a baseline of each pixel: a pulse at random times is none.

    Parameters
    ----------
    mean, bright : (n, n_samples) float
        Mean waveforms of the two.
    error : (n,) float
        Of a sample of `mean`.
    live : (n,) bool
    """
    used = live & np.isfinite(mean).all(axis=1) & np.isfinite(bright).all(axis=1)
    used &= np.isfinite(error)
    if not used.any():
        return 0.0, np.inf
    pulse = bright[used] - bright[used].mean(axis=1, keepdims=True)
    square = (pulse**2).sum(axis=1)
    product = (pulse * mean[used]).sum(axis=1)
    total = square.sum()
    sigma = np.sqrt((square * error[used] ** 2).sum()) / total
    if len(square) >= FEWEST_PIXELS:
        scatter = (product - product.sum() / total * square).std(ddof=1)
        sigma = max(sigma, scatter * np.sqrt(len(square)) / total)
    return float(product.sum() / total), float(sigma)
