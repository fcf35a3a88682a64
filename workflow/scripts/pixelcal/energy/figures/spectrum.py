"""The figure of the camera's spectrum, and what figures of single pixels are drawn with, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from pixelcal.energy.line_labels import line_labels
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO

GROUPED_COUNTS = 12.0
"""Channels are shown in groups of at least so many expected counts."""

GROUPED_CHANNELS = 4
"""Channels of a group where there is no model that says what to expect."""

STACK_STEP_KEV = 0.15
DATA_COLOUR, MODEL_COLOUR, CONTINUUM_COLOUR = "#303030", OKABE_ITO["vermilion"], OKABE_ITO["blue"]
PHOTON_COLOUR = OKABE_ITO["green"]
ONE_SIGMA_TAIL = 0.158655


@dataclass(frozen=True)
class Photons:
    """The spectrum without energy redistribution: counts/s/keV of a pixel (n,) between edges."""

    edges_keV: np.ndarray
    rate: np.ndarray


# --- numbers --------------------------------------------------------------------------------------


def poisson_interval(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central 68.3 % interval of the expectation for counts (n,), after Garwood (1936)."""
    counts = np.asarray(counts, float)
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), ONE_SIGMA_TAIL), 0.0)
    return low, gammaincinv(counts + 1.0, 1.0 - ONE_SIGMA_TAIL)


def group_starts(expected: np.ndarray, least: float = GROUPED_COUNTS) -> np.ndarray:
    """First channel of each group of at least `least` expected counts; a rest joins the last.

    Groups follow the model, not the counts, which would make them end where the counts are high.
    NaN, no model: groups of GROUPED_CHANNELS.
    """
    n = len(expected)
    if not np.isfinite(expected).all():
        return np.arange(0, max(n - GROUPED_CHANNELS // 2, 1), GROUPED_CHANNELS)
    starts, total = [0], 0.0
    for i, value in enumerate(expected[:-1]):
        total += value
        if total >= least:
            starts.append(i + 1)
            total = 0.0
    if len(starts) > 1 and expected[starts[-1] :].sum() < least:
        starts.pop()
    return np.array(starts)


def deviance_residuals(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Signed square roots of the Poisson deviance of each value: nearly normal at few counts too.

    sign(n - mu) sqrt(2 (n ln(n / mu) - (n - mu))); NaN where nothing is expected.
    """
    counts, expected = np.asarray(counts, float), np.asarray(expected, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        term = np.where(counts > 0, counts * np.log(counts / expected), 0.0)
        square = 2 * (term - (counts - expected))
        residual = np.sign(counts - expected) * np.sqrt(np.maximum(square, 0.0))
    return np.where(expected > 0, residual, np.nan)


def stack_edges_keV(range_keV: tuple[float, float]) -> np.ndarray:
    """Edges (m + 1,) of the bins of the camera's spectrum, about a channel wide."""
    return np.linspace(*range_keV, round((range_keV[1] - range_keV[0]) / STACK_STEP_KEV) + 1)


def to_photons(table, step: int = 5) -> Photons:
    """The simulated spectrum without redistribution from its product, `step` bins in one."""
    exposure_s = float(table.meta["EXPOSURE"])
    n = len(table) // step * step
    low = np.asarray(table["E_MIN"], float)[:n:step]
    high = np.asarray(table["E_MAX"], float)[step - 1 : n : step]
    counts = np.asarray(table["COUNTS"], float)[:n].reshape(-1, step).sum(axis=1)
    return Photons(np.append(low, high[-1]), counts / exposure_s / (high - low))


def typical_pixel(rows: Mapping) -> int:
    """Row of a good pixel (STATUS 0) with as many counts as half of them; else the first row."""
    counts, status = np.asarray(rows["COUNTS"]), np.asarray(rows["STATUS"])
    good = np.flatnonzero(status == 0)
    if not len(good):
        return 0
    order = good[np.argsort(counts[good], kind="stable")]
    return int(order[len(order) // 2])


# --- the whole camera -----------------------------------------------------------------------------


@plots.style()
def spectrum_figure(stack, edges_keV, example, blocks, seconds, table, title, photons=None):
    """The spectrum of the whole camera with the lines, and below it that of one pixel.

    Parameters
    ----------
    stack : (m,) float
        Counts/s/keV of the mean pixel between `edges_keV` (m + 1,); empty without a valid fit.
    example : (str, (n_channels,) int, (n_channels,) float, (gain, offset))
        Title, counts, counts of the mean pixel, and relation (keV/channel, keV) of the example.
    blocks : list of BlockView
        Of the example pixel.
    seconds : float
    photons : Photons, optional
    """
    figure = plots.new_figure(12.5, 9.2, title)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set_xlim(edges_keV[0], edges_keV[-1])
    upper.set_yscale("log")
    _draw_camera_spectrum(upper, stack, edges_keV, photons)
    labels = line_labels(table)
    energies = [label.energy_keV for label in labels]
    plots.label_lines(upper, energies, [label.text for label in labels], width_in=11.3)
    for energy in energies:
        lower.axvline(energy, color="0.55", lw=0.6, ls=":", zorder=0)
    pixel_title, *pixel = example
    _draw_pixel_spectrum(lower, *pixel, blocks, seconds)
    lower.set_title(pixel_title, fontsize=10.5)
    lower.set_xlabel("Energy (keV)")
    return figure


def _draw_camera_spectrum(axes, stack, edges_keV, photons) -> None:
    """The mean pixel, and where it is known what the photons were."""
    if photons is not None:
        axes.stairs(
            photons.rate,
            photons.edges_keV,
            baseline=None,
            color=PHOTON_COLOUR,
            lw=0.7,
            label="photons, without energy redistribution (simulated)",
        )
    if (stack > 0).any():
        label = "mean of the pixels with a valid fit"
        axes.stairs(stack, edges_keV, baseline=None, color=DATA_COLOUR, lw=1.1, label=label)
        inside = stack[stack > 0]
        top = 4.0 * inside.max()
        axes.set_ylim(0.5 * inside.min(), top if photons is None else max(top, 0.5))
    else:
        plots.say(axes, plots.NOTHING, height=0.9)
    axes.set_ylabel("Counts s⁻¹ keV⁻¹ pixel⁻¹")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right")


def _draw_pixel_spectrum(axes, counts, expected, relation, blocks, seconds) -> None:
    """All channels of a pixel in groups, with model and continuum of the blocks."""
    axes.set_ylabel("Counts s⁻¹ keV⁻¹")
    gain, offset = relation
    edges = gain * np.arange(len(counts) + 1) + offset
    per_channel = 1.0 / (seconds * gain)
    highest = draw_groups(
        axes, edges, counts, expected, per_channel, "counts in groups of channels"
    )
    labels = ["model", "continuum"]
    for block in blocks:
        draw_model(axes, block, per_channel, labels)
        labels = []
    axes.set_yscale("log")
    lowest = max(float(np.percentile(expected, 5)), 0.02) * per_channel
    axes.set_ylim(0.4 * lowest, 3.0 * max(highest, per_channel))
    axes.legend(loc="upper right")


def draw_groups(axes, edges_keV, counts, expected, scale, label=None) -> float:
    """Counts per channel times `scale` of groups of channels, with their Poisson intervals.

    Groups hold `group_starts` of the counts (n,) expected. Returns the highest end.
    """
    if not len(counts):
        return 0.0
    starts = group_starts(expected)
    factor = scale / np.diff([*starts, len(counts)])
    total = np.add.reduceat(counts, starts)
    low, high = poisson_interval(total)
    ends = edges_keV[[*starts, len(counts)]]
    axes.errorbar(
        (ends[1:] + ends[:-1]) / 2,
        total * factor,
        xerr=np.diff(ends) / 2,
        yerr=[(total - low) * factor, (high - total) * factor],
        fmt="none",
        ecolor=DATA_COLOUR,
        elinewidth=0.9,
        label=label,
    )
    return float((high * factor).max())


def draw_model(axes, block, scale, labels=()) -> None:
    """Continuum and model of a block as steps, where there is a fit."""
    if not len(block.model) or not np.isfinite(block.model).all():
        return
    named = dict(zip(("model", "continuum"), labels, strict=False))
    parts = (("continuum", block.continuum, CONTINUUM_COLOUR, "--"),)
    parts += (("model", block.model, MODEL_COLOUR, "-"),)
    for name, values, colour, style in parts:
        axes.stairs(
            values * scale,
            block.edges_keV,
            baseline=None,
            color=colour,
            ls=style,
            lw=1.4,
            label=named.get(name),
        )
