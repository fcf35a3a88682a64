"""The picture of one pixel: its blocks with data, model and residuals, and its relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullFormatter

from pixelcal.energy.figures.spectrum import (
    CONTINUUM_COLOUR,
    DATA_COLOUR,
    MODEL_COLOUR,
    PHOTON_COLOUR,
    Photons,
    deviance_residuals,
    draw_groups,
    draw_model,
    group_starts,
)
from pixelcal.energy.line_labels import line_labels
from pixelcal.energy.lines import LineTable
from pixelcal.energy.relation import energy_sigma, position, relation_columns
from pixelcal.energy.requirement import curve_energies_keV, requirement_keV
from pixelcal.instrument import Instrument
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO
from pixelcal.report.numbers import duration, pvalue, with_error
from pixelcal.status import ENERGY_WORDS


def pixel_title(row: Mapping, camera: str = "", exposure: str = "", seconds: float = 0.0) -> str:
    """Pixel, position, camera and exposure (where named), and what the statistic of its fit is."""
    pixel = f"{int(row['DETNUM']):04d} (X {row['X']}, Y {row['Y']})"
    title = f"Pixel {pixel}: "
    if exposure:
        title = f"{camera} pixel {pixel}, exposure {exposure} ({duration(seconds)})\n"
    if np.isfinite(row["STAT"]):
        title += f"STAT/DOF {row['STAT']:.1f}/{row['DOF']}, p-value {pvalue(row['PVALUE'])}, "
    return title + f"status: {ENERGY_WORDS.words(int(row['STATUS']))}"


@plots.style()
def pixel_figure(
    blocks: Sequence,
    row: Mapping,
    table: LineTable,
    prior: tuple[float, float],
    title: str,
    truth: tuple[float, float] | None = None,
    photons: Photons | None = None,
    *,
    instrument: Instrument,
):
    """One pixel: each block with data, model and residuals, and its channel-energy relation.

    Parameters
    ----------
    blocks : list of BlockView
    row : a row of relation.fits
    prior, truth : (gain, offset), keV/channel and keV
    photons : Photons, optional
        Drawn above the data where given.
    instrument : Instrument
    """
    n_columns = max(len(blocks), 1)
    above = photons is not None
    width = max(3.3 * n_columns, 11.0)
    figure = plots.new_figure(width, 11.0 if above else 9.2, title)
    parts = figure.subfigures(2, 1, height_ratios=(6.8 if above else 5.0, 3.6))
    ratios = [1.1] * above + [3.0, 1.1]
    grid = parts[0].subplots(
        len(ratios), n_columns, sharex="col", squeeze=False, height_ratios=ratios
    )
    labels = line_labels(table)
    for column, block in enumerate(blocks):
        index = table.block_names.index(block.name)
        inside = [label for label in labels if label.block == index]
        axes = grid[:, column]
        if above:
            _draw_photons(axes[0], photons, table.block_limits_keV[index])
        _draw_block(axes[-2], axes[-1], block, first=column == 0)
        axes[0].set_xlim(*table.block_limits_keV[index])
        energies = [label.energy_keV for label in inside]
        panel_in = 0.8 * width / n_columns
        plots.label_lines(axes[0], energies, [label.text for label in inside], panel_in)
        for other in axes[1:]:
            for energy in energies:
                other.axvline(energy, color="0.55", lw=0.6, ls=":", zorder=0)
    grid[0, 0].set_ylabel("Photons\ns⁻¹ keV⁻¹" if above else "Counts per channel")
    grid[-2, 0].set_ylabel("Counts per channel")
    grid[-1, 0].set_ylabel("Residual (σ)")
    panels = parts[1].subplots(1, 2, width_ratios=(1, 2))
    _draw_relation(*panels, row, prior, truth, table, instrument)
    return figure


def _draw_photons(axes, photons: Photons, limits) -> None:
    """The spectrum without redistribution in one block, scaled to what is inside."""
    low, high = np.searchsorted(photons.edges_keV, limits)
    rate, edges = photons.rate[low:high], photons.edges_keV[low : high + 1]
    axes.stairs(rate, edges[: len(rate) + 1], baseline=None, color=PHOTON_COLOUR, lw=0.9)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_block(axes, below, block, first: bool) -> None:
    """Data, model and continuum of a block, and the residuals of its groups below."""
    axes.stairs(block.counts, block.edges_keV, baseline=None, color="0.8", lw=0.8, label="counts")
    highest, fitted = 1.0, bool(len(block.model)) and np.isfinite(block.model).all()
    if fitted:
        highest = draw_groups(
            axes, block.edges_keV, block.counts, block.model, 1.0, "groups of channels"
        )
    draw_model(axes, block, 1.0, ["model", "continuum"])
    highest = max(highest, float(block.counts.max(initial=0)))
    axes.set_ylim(0, (1.4 if first else 1.05) * highest)
    if first:
        axes.legend(loc="upper right", fontsize=7.5)
    below.set_xlabel("Energy (keV)")
    if not fitted:
        below.set_yticks([])
        plots.say(below, "no model")
        return
    starts = group_starts(block.model)
    ends = block.edges_keV[[*starts, len(block.counts)]]
    residual = deviance_residuals(
        np.add.reduceat(block.counts, starts), np.add.reduceat(block.model, starts)
    )
    reach = max(3.5, 1.1 * float(np.nanmax(np.abs(residual), initial=0.0)))
    below.axhspan(-1, 1, color="0.5", alpha=0.15, lw=0)
    below.axhline(0, color=MODEL_COLOUR, lw=1.0)
    middle = (ends[1:] + ends[:-1]) / 2
    below.errorbar(
        middle, residual, xerr=np.diff(ends) / 2, fmt="o", ms=2.4, color=DATA_COLOUR, elinewidth=1.0
    )
    below.set_ylim(-reach, reach)


def _draw_relation(
    left, right, row, prior, truth, table: LineTable, instrument: Instrument
) -> None:
    """Energy against channel with the lines, and other relations minus the fitted one."""
    x = np.linspace(0.0, instrument.n_channels, 257)
    requirement = instrument.requirement
    gain, offset = float(row["GAIN"]), float(row["OFFSET"])
    valid = np.isfinite(gain)
    shown = (gain, offset) if valid else prior
    left.set_xlabel("Channel")
    left.set_ylabel("Energy (keV)")
    left.set_title("Channel-energy relation")
    energy = shown[0] * x + shown[1]
    label = "prior (no valid fit)"
    if valid:
        label = f"fitted: {with_error(gain, row['GAIN_ERR'], '{:.5f}', 'keV/channel')},"
        label += f" {with_error(offset, row['OFFSET_ERR'], '{:.3f}', 'keV')}"
    left.plot(x, energy, color=MODEL_COLOUR if valid else "0.4", lw=1.4, label=label)
    places = position(table.energy_keV, *shown)
    left.plot(places, table.energy_keV, "o", color=DATA_COLOUR, ms=3, label="lines of the table")
    left.set_xlim(0, instrument.n_channels)
    left.legend(loc="upper left", fontsize=7.5)
    right.set_xlabel("Energy (keV)")
    right.set_ylabel("Energy − fitted energy (keV)")
    right.set_title("Against the fitted relation")
    right.set_xlim(*requirement.range_keV)
    if not valid:
        right.set_yticks([])
        plots.say(right, f"no valid fit: {ENERGY_WORDS.words(int(row['STATUS']))}")
        return
    energy = curve_energies_keV(requirement)
    sigma = energy_sigma(energy, *relation_columns(row))
    for times, alpha in ((2, 0.2), (1, 0.4)):
        label = f"± {times} σ(E)" if times > 1 else "± σ(E)"
        ends = (-times * sigma, times * sigma)
        right.fill_between(energy, *ends, color=CONTINUUM_COLOUR, alpha=alpha, lw=0, label=label)
    right.axhline(0, color=MODEL_COLOUR, lw=1.2, label="fitted")
    others = [("prior", prior, "--", OKABE_ITO["orange"])]
    others += [] if truth is None else [("true", truth, "-.", "black")]
    for label, (other_gain, other_offset), style, colour in others:
        difference = other_gain * position(energy, gain, offset) + other_offset - energy
        right.plot(energy, difference, ls=style, lw=1.4, color=colour, label=label)
    for sign, label in ((1, "requirement"), (-1, None)):
        limit = sign * requirement_keV(energy, requirement)
        right.plot(energy, limit, color="0.45", lw=1.0, ls=":", label=label)
    reach = max(0.65, 1.15 * float(2 * sigma.max()))
    right.set_ylim(-reach, 1.35 * reach)
    right.legend(loc="upper center", ncols=6)
