"""Figures of a relation: the camera, the prior, fit statistics, comparison, significant changes.

Each function returns a figure drawn from a `FigureData`, whatever of it there is. Without truth,
with few pixels, or without any valid fit, the figure says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pixelcal.camera import PixelPositions
from pixelcal.energy.curve import Curve
from pixelcal.energy.relation import curve_of, energy_sigma, relation_columns
from pixelcal.energy.requirement import inner_energies_keV
from pixelcal.energy.results.changes import (
    BOTH_CHANGED,
    CHANGE_LABELS,
    GAIN_CHANGED,
    OFFSET_CHANGED,
    UNCHANGED,
    Change,
    change_classes,
)
from pixelcal.energy.truth import Truth
from pixelcal.instrument import Requirement
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO, STATUS_COLOURS
from pixelcal.status import ENERGY_WORDS, EnergyStatus

PRIOR_COLOUR, TRUE_COLOUR, FITTED_COLOUR = (
    OKABE_ITO["vermilion"],
    "#8c8c8c",
    OKABE_ITO["blue"],
)
CHANGE_COLOURS = {
    UNCHANGED: STATUS_COLOURS[0],
    GAIN_CHANGED: OKABE_ITO["blue"],
    OFFSET_CHANGED: OKABE_ITO["orange"],
    BOTH_CHANGED: OKABE_ITO["black"],
}
QUANTITIES = (("Gain", "keV/channel", "GAIN", 5), ("Offset", "keV", "OFFSET", 3))
"""Name, unit, column, and decimals worth showing."""


@dataclass(frozen=True)
class FigureData:
    """What the figures of one exposure are drawn from.

    Attributes
    ----------
    rows : table or structured array of n rows
        Columns of a relation.
    prior : gain (keV/channel) and offset (keV) known before, (n,) each
    truth : Truth, or None
    positions : PixelPositions
    title : str
        Camera and exposure.
    method : str
        Method of the fit.
    requirement : Requirement
    """

    rows: Mapping
    prior: tuple[np.ndarray, np.ndarray]
    truth: Truth | None
    positions: PixelPositions
    title: str
    method: str
    requirement: Requirement

    def column(self, name: str) -> np.ndarray:
        """A column (n,) as float."""
        return np.asarray(self.rows[name], float)

    @property
    def relation(self) -> list[np.ndarray]:
        """GAIN, OFFSET and their covariance, as `relation.energy_sigma` takes them."""
        return relation_columns(self.rows)

    @property
    def curve(self) -> Curve | None:
        """How energies leave the straight relations, where that was fitted."""
        return curve_of(self.rows)

    @property
    def reference(self) -> tuple[tuple[np.ndarray, np.ndarray], str]:
        """What the fit is compared with, and its name: the truth, else the prior."""
        return (self.truth[:2], "true") if self.truth is not None else (self.prior, "prior")


def is_uniform(values: np.ndarray) -> bool:
    """Whether all pixels have the same value."""
    return len(values) > 0 and float(np.ptp(values)) == 0.0


# --- maps -----------------------------------------------------------------------------------------


@plots.style()
def camera_figure(data: FigureData):
    """Maps of gain, offset, sigma, error or a second sigma, resolution, and STATUS."""
    figure = plots.new_figure(15.0, 9.6, data.title)
    panels = figure.subplots(2, 3).ravel()
    gain, offset, *covariance = data.relation
    energies = data.requirement.energies_keV[0], inner_energies_keV(data.requirement)[1]
    low, high = (energy_sigma(energy, gain, offset, *covariance) for energy in energies)
    maps = [
        ("Gain", "keV/channel", gain, False),
        ("Offset", "keV", offset, False),
        (f"Predicted error σ at {energies[0]:g} keV", "keV", low, False),
        (f"Predicted error σ at {energies[1]:g} keV", "keV", high, False),
        ("Resolution (FWHM) at 60 keV", "keV", data.column("FWHM_60"), False),
    ]
    if data.truth is not None:
        error = data.truth.error(energies[0], gain, offset, data.curve)
        maps[3] = (f"Error against truth at {energies[0]:g} keV", "keV", error, True)
    for axes, (label, unit, values, signed) in zip(panels, maps, strict=False):
        plots.camera_map(figure, axes, values, data.positions, label, unit, signed)
    index = ENERGY_WORDS.dominant(data.rows["STATUS"])
    plots.status_map(panels[-1], index, list(ENERGY_WORDS.labels.values()), data.positions)
    plots.letter_panels(panels)
    return figure


@plots.style()
def prior_figure(data: FigureData):
    """Maps of the relation known before the fit."""
    figure = plots.new_figure(11.0, 5.2, f"{data.title}: relation known before the fit")
    for axes, (name, unit, _, _), values in zip(
        figure.subplots(1, 2), QUANTITIES, data.prior, strict=True
    ):
        title = f"Prior {name.lower()}"
        if is_uniform(values):
            title += f": {values[0]:g} {unit} for every pixel"
        plots.camera_map(figure, axes, values, data.positions, title, f"{name} ({unit})")
    return figure


@plots.style()
def changes_figure(data: FigureData, changes: tuple[Change, Change], threshold_sigma: float):
    """Maps of the changes against the prior, which of them are significant, and their spread."""
    figure = plots.new_figure(13.0, 11.0, f"{data.title}: changes against the prior relation")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, unit, _, _), change in zip(panels, QUANTITIES, changes, strict=False):
        plots.camera_map(
            figure,
            axes,
            change.values,
            data.positions,
            f"Change of the {name.lower()}",
            f"fitted − prior ({unit})",
            signed=True,
        )
    valid = np.isfinite(changes[0].values)
    index = np.where(valid, change_classes(*changes), len(CHANGE_LABELS))
    plots.class_map(
        panels[2],
        index,
        [*CHANGE_LABELS, "no valid fit"],
        [*CHANGE_COLOURS.values(), plots.NO_VALUE_COLOUR],
        data.positions,
        f"Changed by more than {threshold_sigma:g} σ",
    )
    _draw_deviations(panels[3], changes, threshold_sigma)
    plots.letter_panels(panels)
    return figure


def _draw_deviations(axes, changes, threshold_sigma) -> None:
    """Histograms of the changes in units of their sigma, with the threshold."""
    axes.set_title("Deviation from the camera's mean change")
    axes.set_xlabel("(change − mean change) / σ")
    axes.set_ylabel("Pixels per bin")
    known = np.concatenate([change.deviation[np.isfinite(change.deviation)] for change in changes])
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    reach = max(1.3 * threshold_sigma, min(float(np.abs(known).max()) * 1.05, 30.0))
    edges = np.linspace(-reach, reach, 61 if len(known) >= plots.FEW_PIXELS else 13)
    colours = (CHANGE_COLOURS[GAIN_CHANGED], CHANGE_COLOURS[OFFSET_CHANGED])
    for (name, unit, _, digits), change, colour in zip(QUANTITIES, changes, colours, strict=True):
        label = f"{name.lower()}: {int(change.significant.sum())} pixels beyond"
        if np.isfinite(change.spread):
            digits += 1
            mean = plots.signed_text(change.centre, digits)
            label += f"\nmean {mean}, σ {change.spread:.{digits}f} {unit}"
        plots.histogram(axes, change.deviation, edges, colour, label)
    sample = np.ones(int(np.isfinite(changes[0].deviation).sum()))
    plots.predicted_histogram(axes, sample, edges, "unit normal")
    for sign in (-1, 1):
        axes.axvline(sign * threshold_sigma, color="black", lw=1.0, ls="--")
    axes.set_yscale("log")
    axes.set_ylim(0.4, 30.0 * len(sample))
    axes.legend(loc="upper left", ncols=1)


# --- statistics of the fits -----------------------------------------------------------------------


@plots.style()
def statistics_figure(data: FigureData):
    """How well the fits describe the spectra, how long they took, and what was left out where."""
    figure = plots.new_figure(15.0, 9.6, f"{data.title}: statistics of the {data.method} fits")
    panels = figure.subplots(2, 3).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = data.column("STAT") / data.column("DOF")
    ratio[~np.isfinite(ratio)] = np.nan
    kind = "Poisson deviance" if data.method == "joint" else "chi-square"
    _draw_ratio(panels[0], ratio, f"STAT / DOF ({kind} per degree of freedom)")
    _draw_pvalues(panels[1], data.column("PVALUE"))
    steps = "Steps" if data.method == "joint" else "Evaluations"
    _draw_iterations(panels[2], np.where(np.isfinite(ratio), data.column("NITER"), np.nan), steps)
    plots.camera_map(figure, panels[3], ratio, data.positions, "STAT / DOF", "STAT / DOF")
    _draw_left_out(panels[4], data)
    _draw_status_counts(panels[5], np.asarray(data.rows["STATUS"]))
    plots.letter_panels(panels)
    return figure


def _draw_ratio(axes, ratio, label) -> None:
    axes.set_xlabel(label)
    axes.set_ylabel("Pixels per bin")
    axes.set_title("Goodness of fit")
    known = ratio[np.isfinite(ratio)]
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    text = f"median {np.median(known):.3f}"
    plots.histogram(axes, known, plots.bin_edges([known]), FITTED_COLOUR, text, filled=True)
    axes.axvline(np.median(known), color="black", lw=1.0, ls="--")
    axes.legend()


def _draw_pvalues(axes, pvalue) -> None:
    """p-values over the uniform distribution that they have where the model is right."""
    axes.set_xlabel("p-value")
    axes.set_ylabel("Pixels per bin")
    axes.set_title("p-values of the fits")
    known = pvalue[np.isfinite(pvalue)]
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    n_bins = 25 if len(known) >= plots.FEW_PIXELS else 5
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    label = f"{len(known)} fits"
    plots.histogram(axes, known, edges, FITTED_COLOUR, label, filled=True)
    expected = len(known) / n_bins
    spread = np.sqrt(expected * (1 - 1 / n_bins))
    axes.axhline(expected, color="black", lw=1.2, label="uniform ± 1 σ of a bin")
    axes.axhspan(max(expected - spread, 0.0), expected + spread, color="0.3", alpha=0.2, lw=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.35 * max(axes.get_ylim()[1], expected + spread) / 1.05)
    axes.legend(loc="upper center", ncols=2)


def _draw_iterations(axes, iterations, label) -> None:
    axes.set_xlabel(f"{label} of the fit (NITER)")
    axes.set_ylabel("Pixels per bin")
    axes.set_title("Steps to the minimum")
    known = iterations[np.isfinite(iterations)]
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    top = max(float(np.percentile(known, 99.9)), 10.0)
    step = max(1.0, np.ceil(top / 60))
    edges = np.arange(-0.5, top + 1.5 * step, step)
    text = f"median {np.median(known):g}, most {known.max():g}"
    plots.histogram(axes, known, edges, FITTED_COLOUR, text, filled=True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right")


def _draw_left_out(axes, data: FigureData) -> None:
    """Where lines were left out of the fit, or the pixel was."""
    status = np.asarray(data.rows["STATUS"])
    labels = (
        "all lines used",
        ENERGY_WORDS.labels[EnergyStatus.LINE_MISSING]
        if data.method == "joint"
        else "a line left out",
        ENERGY_WORDS.labels[EnergyStatus.TOO_FEW_COUNTS],
        ENERGY_WORDS.labels[EnergyStatus.NOT_CONVERGED],
        ENERGY_WORDS.labels[EnergyStatus.MASKED],
    )
    bits = (
        EnergyStatus.LINE_MISSING,
        EnergyStatus.TOO_FEW_COUNTS,
        EnergyStatus.NOT_CONVERGED,
        EnergyStatus.MASKED,
    )
    index = np.zeros(len(status), int)
    for number, bit in enumerate(bits, 1):
        index[(status & int(bit)) != 0] = number
    order = list(ENERGY_WORDS.labels)
    colours = [STATUS_COLOURS[order.index(bit)] for bit in (0, *bits)]
    plots.class_map(axes, index, labels, colours, data.positions, "Lines and pixels left out")


def _draw_status_counts(axes, status) -> None:
    """How many pixels have each STATUS bit; a pixel may have several."""
    counts = [int((status == 0).sum()), *(int(((status & bit) != 0).sum()) for bit in EnergyStatus)]
    labels = [f"{label} ({int(bit)})" for bit, label in ENERGY_WORDS.labels.items()]
    places = np.arange(len(counts))[::-1]
    axes.barh(places, np.maximum(counts, 0.3), color=STATUS_COLOURS, ec="0.3", lw=0.6)
    for place, count in zip(places, counts, strict=True):
        axes.text(max(count, 0.3) * 1.15, place, str(count), va="center", fontsize=9)
    axes.set_yticks(places, labels)
    axes.set_xscale("log")
    axes.set_xlim(0.3, 8.0 * max(len(status), 1))
    axes.set_xlabel("Pixels")
    axes.set_title("STATUS; a pixel may have several bits")


# --- comparison -----------------------------------------------------------------------------------


@plots.style()
def comparison_figure(data: FigureData):
    """Fitted, prior and true gain and offset: histograms, one against the other, differences."""
    reference, called = data.reference
    varies = [not is_uniform(values) and len(values) > 1 for values in reference]
    n_columns = 3 if all(varies) else 2
    figure = plots.new_figure(
        5.0 * n_columns, 8.8, f"{data.title}: fitted, prior and true relation"
    )
    if data.truth is None:
        figure.suptitle(f"{data.title}: fitted and prior relation (no truth for these events)")
    panels = figure.subplots(2, n_columns)
    for row, (name, unit, column, digits) in enumerate(QUANTITIES):
        fitted, label = data.column(column), f"{name} ({unit})"
        error = data.column(f"{column}_ERR")
        true = None if data.truth is None else data.truth[row]
        _draw_distributions(panels[row, 0], fitted, data.prior[row], true, label, digits)
        if n_columns == 3:
            _draw_against(figure, panels[row, 1], reference[row], fitted, name, unit, called)
        _draw_difference(panels[row, -1], fitted, reference[row], error, name, unit, called, digits)
    plots.letter_panels(panels.ravel())
    return figure


def _draw_distributions(axes, fitted, prior, true, label, digits) -> None:
    """Histograms of fitted, true and prior values; a prior that is one number is a vertical."""
    samples = [fitted] + ([] if true is None else [true])
    samples += [prior[:1]] if is_uniform(prior) else [prior]
    edges = plots.bin_edges(samples)
    if true is not None:
        plots.histogram(axes, true, edges, TRUE_COLOUR, f"true, {len(true)} pixels", filled=True)
    known = fitted[np.isfinite(fitted)]
    plots.histogram(axes, fitted, edges, FITTED_COLOUR, f"fitted, {len(known)} pixels")
    if is_uniform(prior):
        text = f"prior, {prior[0]:g} for every pixel"
        axes.axvline(prior[0], color=PRIOR_COLOUR, lw=1.5, ls="--", label=text)
    else:
        plots.histogram(axes, prior, edges, PRIOR_COLOUR, "prior")
    axes.set_title(f"{label.split(' (')[0]}: distribution")
    axes.set_xlabel(label)
    axes.set_ylabel("Pixels per bin")
    axes.set_ylim(0, 1.3 * max(axes.get_ylim()[1], 1.0))
    axes.legend(loc="upper left")
    if not len(known):
        plots.say(axes, plots.NOTHING)


def _draw_against(figure, axes, reference, fitted, name, unit, called) -> None:
    """Fitted against true (or prior) values, with the line of equality."""
    plots.density(figure, axes, reference, fitted)
    if np.isfinite(fitted).any():
        ends = np.array(axes.get_xlim())
        axes.plot(ends, ends, color=PRIOR_COLOUR, lw=1.2, label="equal")
        axes.set_xlim(*ends)
        axes.legend(loc="upper left")
    axes.set_title(f"{name}: fitted against {called}")
    axes.set_xlabel(f"{called.capitalize()} {name.lower()} ({unit})")
    axes.set_ylabel(f"Fitted {name.lower()} ({unit})")


def _draw_difference(axes, fitted, reference, error, name, unit, called, digits) -> None:
    """Histogram of the differences, and what the errors of the fits predict for it."""
    difference = fitted - reference
    known = difference[np.isfinite(difference)]
    axes.set_title(f"{name}: fitted minus {called}")
    axes.set_xlabel(f"Difference in {name.lower()} ({unit})")
    axes.set_ylabel("Pixels per bin")
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    edges = plots.bin_edges([known], floor=2 * float(np.nanmedian(error)))
    digits += 1
    text = f"mean {plots.signed_text(known.mean(), digits)}\nstd {known.std():.{digits}f}"
    plots.histogram(axes, known, edges, FITTED_COLOUR, text, filled=True)
    plots.predicted_histogram(axes, error, edges, "predicted by the errors\nof the fits")
    axes.axvline(0.0, color="0.4", lw=0.8)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper left")
