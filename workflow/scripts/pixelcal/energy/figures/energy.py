"""Figures of the error of an energy: uncertainty, difference, pass fraction, against energy."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from pixelcal.energy.figures.relation import FigureData
from pixelcal.energy.relation import energy_error, energy_sigma
from pixelcal.energy.requirement import (
    curve_energies_keV,
    pass_fraction,
    predicted_pass_fraction,
    requirement_keV,
)
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO
from pixelcal.status import EnergyStatus

PULL_COLOURS = ("blue", "orange", "purple")
"""Of the pulls at the lowest, the middle and the highest reference energy."""
SHADES = ("blue", "sky", "green", "orange", "vermilion")
"""Colours of the reference energies, in turn."""


def pass_fractions(data: FigureData, energies_keV) -> tuple[np.ndarray, np.ndarray]:
    """Fractions (m,) of pixels that meet the requirement: as measured, and as the errors predict.

    As in the validation: over the pixels that are not masked by the user; one without a valid fit
    does not pass. The measured ones are NaN without truth.
    """
    energies = np.asarray(energies_keV, float)
    wanted, limits = _wanted(data), requirement_keV(energies, data.requirement)
    sigma = energy_sigma(energies[:, None], *data.relation)[:, wanted]
    predicted = np.array(list(map(predicted_pass_fraction, sigma, limits)))
    if data.truth is None:
        return np.full(len(energies), np.nan), predicted
    error = data.truth.error(energies[:, None], *data.relation[:2], data.curve)[:, wanted]
    return np.array(list(map(pass_fraction, error, limits))), predicted


def _wanted(data: FigureData) -> np.ndarray:
    """Which pixels (n,) the user has not masked."""
    return (np.asarray(data.rows["STATUS"]) & int(EnergyStatus.MASKED)) == 0


@plots.style()
def uncertainty_figure(data: FigureData):
    """The uncertainty of reconstructed energies, and what it says about passing."""
    figure = plots.new_figure(12.5, 5.0, f"{data.title}: reconstruction uncertainty")
    panels = figure.subplots(1, 2)
    energies = curve_energies_keV(data.requirement)
    sigma = energy_sigma(energies[:, None], *data.relation)
    axes = panels[0]
    plots.band(axes, energies, sigma, OKABE_ITO["blue"])
    _draw_requirement(axes, data, (1,))
    axes.set_ylim(0, _reach(sigma, data))
    axes.set_ylabel("Predicted uncertainty σ(E) (keV)")
    axes.set_title("From the covariance of gain and offset")
    _finish(axes, sigma, data)
    _draw_within(panels[1], data, sigma)
    plots.letter_panels(panels)
    return figure


def _draw_within(axes, data: FigureData, sigma) -> None:
    """Fraction of the pixels whose one, two, three sigma lie within the requirement."""
    wanted = _wanted(data)
    energies = curve_energies_keV(data.requirement)
    limit = requirement_keV(energies, data.requirement)[:, None]
    styles = ((1, "blue", "-"), (2, "orange", "--"), (3, "vermilion", ":"))
    for times, colour, style in styles if wanted.any() else ():
        with np.errstate(invalid="ignore"):
            percent = 100 * (times * sigma[:, wanted] <= limit).sum(axis=1) / wanted.sum()
        factor = "" if times == 1 else f"{times} "
        label = f"{factor}σ(E) within the requirement"
        axes.plot(energies, percent, color=OKABE_ITO[colour], ls=style, lw=1.7, label=label)
    axes.set_ylim(-2, 104)
    axes.set_ylabel("Pixels (%)")
    axes.set_title("Pixels whose uncertainty meets the requirement")
    _finish(axes, sigma, data, place="lower center")


@plots.style()
def energy_error_figure(data: FigureData):
    """Reconstruction difference against energy, pass fraction, and pulls where there is a truth."""
    has_truth = data.truth is not None
    title = "reconstruction difference" if has_truth else "no truth; what the errors predict"
    figure = plots.new_figure(17.0 if has_truth else 12.0, 5.0, f"{data.title}: {title}")
    panels = figure.subplots(1, 3 if has_truth else 2)
    energies = curve_energies_keV(data.requirement)
    sigma = energy_sigma(energies[:, None], *data.relation)
    error = None
    if has_truth:
        error = data.truth.error(energies[:, None], *data.relation[:2], data.curve)
        good = np.asarray(data.rows["STATUS"]) == 0
        with np.errstate(invalid="ignore", divide="ignore"):
            _draw_pulls(panels[2], (error / sigma)[:, good], data)
    _draw_errors(panels[0], sigma, error, data)
    _draw_pass_fractions(panels[1], data)
    plots.letter_panels(panels)
    return figure


def _draw_errors(axes, sigma, error, data: FigureData) -> None:
    """Spread of the errors, what was predicted, and the requirement."""
    energies = curve_energies_keV(data.requirement)
    if error is not None:
        plots.band(axes, energies, error, OKABE_ITO["blue"])
    if np.isfinite(sigma).any():
        typical = np.nanmedian(sigma, axis=1)
        for sign, label in ((1, "median predicted error ±σ(E)"), (-1, None)):
            colour = OKABE_ITO["vermilion"]
            axes.plot(energies, sign * typical, color=colour, ls="--", lw=1.5, label=label)
    _draw_requirement(axes, data, (1, -1))
    axes.axhline(0, color="0.6", lw=0.8)
    reach = 1.2 * _reach(sigma if error is None else np.abs(error), data)
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("Fitted − true energy (keV)" if error is not None else "Energy error (keV)")
    axes.set_title("Reconstruction difference" if error is not None else "Predicted error")
    _finish(axes, sigma, data, place="lower left", columns=2)


def _draw_pass_fractions(axes, data: FigureData) -> None:
    """Measured and predicted pass fraction against energy; marks at the reference energies."""
    energies = curve_energies_keV(data.requirement)
    measured, predicted = (100 * values for values in pass_fractions(data, energies))
    at = np.isin(energies, data.requirement.energies_keV)
    rightmost = 0.9 * energies[-1]
    colour = OKABE_ITO["vermilion"]
    axes.plot(energies, predicted, color=colour, ls="--", lw=1.5, label="predicted")
    if np.isfinite(measured).any():
        colour = OKABE_ITO["blue"]
        axes.plot(energies, measured, color=colour, lw=1.7, label="measured")
    shown = measured if np.isfinite(measured).any() else predicted
    axes.plot(energies[at], shown[at], "o", color=colour, ms=5, label="at the reference energies")
    lowest = np.nanmin([measured, predicted]) if np.isfinite(predicted).any() else 0.0
    bottom = max(100 - 1.6 * max(100 - lowest, 2.0), -2.0)
    for energy, percent in zip(energies[at], shown[at], strict=True):
        above = percent < bottom + 0.25 * (101 - bottom)
        if np.isfinite(percent):
            axes.annotate(
                f"{percent:.2f} %",
                (energy, percent),
                xytext=(6 if energy < rightmost else -6, 9 if above else -13),
                textcoords="offset points",
                ha="left" if energy < rightmost else "right",
                fontsize=8,
            )
    axes.set_ylim(bottom, 100 + 0.03 * (100 - bottom))
    axes.set_ylabel("Pixels that pass (%)")
    axes.set_title("Pass fraction")
    _finish(axes, shown, data, place="lower center")


def _draw_pulls(axes, pulls, data: FigureData) -> None:
    """Histograms of the pulls (m, n) at the ends and the middle, over the unit normal."""
    place = np.linspace(-5, 5, 201)
    normal = np.exp(-0.5 * place**2) / np.sqrt(2 * np.pi)
    axes.plot(place, normal, color="black", lw=1.4, label="unit normal")
    edges = np.linspace(-5, 5, 41 if pulls.shape[1] >= plots.FEW_PIXELS else 11)
    top = 0.4
    judged, energies = data.requirement.energies_keV, curve_energies_keV(data.requirement)
    chosen = dict.fromkeys((judged[0], judged[len(judged) // 2], judged[-1]))
    for energy, colour in zip(chosen, PULL_COLOURS, strict=False):
        values = pulls[np.argmin(np.abs(energies - energy))]
        values = values[np.isfinite(values)]
        if len(values):
            density = np.histogram(values, edges)[0] / (len(values) * (edges[1] - edges[0]))
            top = max(top, float(density.max()))
            mean = plots.signed_text(values.mean(), 2)
            label = f"{energy:g} keV: mean {mean}, std {values.std():.2f}"
            axes.stairs(density, edges, color=OKABE_ITO[colour], lw=1.5, label=label)
    if not np.isfinite(pulls).any():
        plots.say(axes, "no good pixel (STATUS 0)")
    axes.set_xlabel("Pull: energy difference / predicted error")
    axes.set_ylabel("Fraction of good pixels per unit pull")
    axes.set_title("Pulls of the good pixels")
    axes.set_ylim(0, 1.4 * top)
    axes.legend(loc="upper left")


@plots.style()
def differences_figure(data: FigureData):
    """Histograms of the energy difference at each reference energy, and how far it may go."""
    (gain, offset), called = data.reference
    figure = plots.new_figure(15.0, 8.6, f"{data.title}: energy, fitted minus {called}")
    judged = data.requirement.energies_keV
    rows = -(-(len(judged) + 1) // 3)
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes in panels[len(judged) : -1]:
        axes.set_axis_off()
    for axes, energy in zip(panels, judged, strict=False):
        difference = energy_error(energy, *data.relation[:2], gain, offset, data.curve)
        sigma = energy_sigma(energy, *data.relation)
        _draw_energy_difference(axes, energy, difference, sigma, data)
    _draw_tails(panels[-1], data, gain, offset)
    plots.letter_panels(panels)
    return figure


def _draw_energy_difference(axes, energy, difference, sigma, data: FigureData) -> None:
    """Histogram at one energy, the prediction, and the requirement."""
    known = difference[np.isfinite(difference)]
    limit = float(requirement_keV(energy, data.requirement))
    axes.set_title(f"{energy:g} keV")
    axes.set_xlabel("Energy difference (keV)")
    axes.set_ylabel("Pixels per bin")
    if not len(known):
        plots.say(axes, plots.NOTHING)
        return
    reach = max(1.6 * limit, float(np.percentile(np.abs(known), 99.5)))
    edges = np.linspace(-reach, reach, 61 if len(known) >= plots.FEW_PIXELS else 16)
    beyond = int((np.abs(known) > limit).sum())
    text = (
        f"mean {plots.signed_text(known.mean(), 4)} keV\nrms {np.sqrt(np.mean(known**2)):.4f} keV"
    )
    plots.histogram(axes, known, edges, OKABE_ITO["blue"], text, filled=True)
    plots.predicted_histogram(axes, sigma, edges, "predicted by\nthe fits")
    label = f"requirement:\n{beyond} beyond"
    for sign in (1, -1):
        axes.axvline(sign * limit, color=OKABE_ITO["vermilion"], lw=1.3, ls="--", label=label)
        label = None
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=2)


def _draw_tails(axes, data: FigureData, gain, offset) -> None:
    """Fraction of the pixels with a difference larger than so many times the requirement."""
    place = np.linspace(0.0, 3.0, 301)
    for energy, colour in zip(data.requirement.energies_keV, cycle(SHADES), strict=False):
        difference = np.abs(energy_error(energy, *data.relation[:2], gain, offset, data.curve))
        known = np.sort(difference[np.isfinite(difference)]) / float(
            requirement_keV(energy, data.requirement)
        )
        if len(known):
            percent = 100 * (1 - np.searchsorted(known, place, side="right") / len(known))
            axes.plot(place, percent, color=OKABE_ITO[colour], lw=1.5, label=f"{energy:g} keV")
    axes.axvline(1.0, color=OKABE_ITO["vermilion"], lw=1.3, ls="--")
    axes.set_xlim(place[0], place[-1])
    axes.set_xlabel("|Energy difference| / requirement")
    axes.set_ylabel("Pixels with a larger difference (%)")
    axes.set_title("Tails")
    if axes.get_legend_handles_labels()[0]:
        axes.set_yscale("log")
        axes.set_ylim(80.0 / len(data.rows), 130)
        axes.legend(loc="upper right")
    else:
        plots.say(axes, plots.NOTHING)


def _reach(values, data: FigureData) -> float:
    """Top (keV) of an axis that shows the requirement and 95 % of the values, up to 3 keV."""
    largest = 1.6 * float(requirement_keV(data.requirement.range_keV[1], data.requirement))
    known = values[:, np.isfinite(values).all(axis=0)]
    if known.shape[1]:
        largest = max(largest, 1.1 * float(np.percentile(known, 95, axis=1).max()))
    return min(largest, 3.0)


def _draw_requirement(axes, data: FigureData, signs) -> None:
    energies = curve_energies_keV(data.requirement)
    limit = requirement_keV(energies, data.requirement)
    label = "requirement"
    for sign in signs:
        axes.plot(energies, sign * limit, color="black", lw=1.5, label=label)
        label = None


def _finish(axes, values, data: FigureData, place="upper left", columns=1) -> None:
    """What all panels against energy have."""
    axes.set_xlabel("Energy (keV)")
    axes.set_xlim(*data.requirement.range_keV)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, ncols=columns)
    if not np.isfinite(values).any():
        plots.say(axes, plots.NOTHING)
