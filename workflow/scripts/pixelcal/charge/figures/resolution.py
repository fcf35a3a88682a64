"""Figures of the charge resolution: against the requirement, its parts, expected and extracted.

Drawn from the tables of resolution.fits; whatever there is to show, the rest is said in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm

from pixelcal.charge.resolution.estimator import charge_edges, edges_around
from pixelcal.charge.resolution.requirement import RANGE_PE, poisson_limit, required_resolution
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO

NOTHING = "no run to assess"
EXPECTED_LABEL = "Expected charge (p.e.)"
REQUIREMENT_COLOURS = ("black", OKABE_ITO["vermilion"], OKABE_ITO["purple"], OKABE_ITO["orange"])
MARKERS = "osD^vP"
N_CURVE = 200
PIXEL_COLOUR = OKABE_ITO["sky"]


@plots.style()
def resolution_figure(camera: Mapping, pixels: Mapping, nsb_per_ns: Sequence[float], title: str):
    """Resolution, its ratio to the requirement, bias, and the parts of the spread.

    Parameters
    ----------
    camera, pixels : tables CAMERA and PIXELS of resolution.fits
    nsb_per_ns : sequence of float
        Background of each requirement (p.e./ns).
    title : str
    """
    figure = plots.new_figure(13.0, 9.6, title)
    panels = figure.subplots(2, 2)
    assessed = _assessed_runs(camera)
    _draw_resolution(panels[0, 0], camera, pixels, assessed, nsb_per_ns)
    _draw_ratio(panels[0, 1], camera, assessed, nsb_per_ns)
    _draw_bias(panels[1, 0], camera, pixels, assessed)
    _draw_parts(panels[1, 1], camera, assessed)
    low, high = _charges(camera, assessed)
    for axes in panels.ravel():
        axes.set_xscale("log")
        axes.set_xlim(low / 1.5, high * 1.5)
        axes.set_xlabel(EXPECTED_LABEL)
        if not assessed.any():
            plots.say(axes, NOTHING)
    plots.letter_panels(panels.ravel())
    return figure


def _assessed_runs(camera) -> np.ndarray:
    """Runs (n,) bool that have a resolution."""
    return np.isfinite(_column(camera, "RESOLUTION"))


def _column(table, name: str) -> np.ndarray:
    return np.asarray(table[name], float)


def _charges(camera, assessed) -> tuple[float, float]:
    """Lowest and highest charge that is shown: those of the runs, and of the requirement."""
    charge = _column(camera, "EXPECTED")[assessed]
    return min([RANGE_PE[0], *charge]), max([RANGE_PE[1], *charge])


def _nsb_groups(camera, assessed) -> list[tuple[str, np.ndarray]]:
    """Runs of the same background, as set: label and (n,) bool."""
    nsb = _column(camera, "NSB")
    groups = [
        (f"NSB set to {value:g} p.e./ns", assessed & (nsb == value))
        for value in np.unique(nsb[assessed])
    ]
    unknown = assessed & ~np.isfinite(nsb)
    known = [group for group in groups if group[1].any()]
    if unknown.any():
        known.append(("runs" if not known else "NSB unknown", unknown))
    if len(known) == 1:
        return [("good pixels", known[0][1])]
    return known


def _pixel_band(axes, camera, pixels, name: str) -> None:
    """Where 68 % of the good pixels lie in each run."""
    row, left = np.asarray(pixels["RUN_ROW"]), np.asarray(pixels["LEFT_OUT"])
    values = np.where(left == 0, _column(pixels, name), np.nan)
    bands = []
    for number, charge in enumerate(_column(camera, "EXPECTED")):
        known = values[row == number]
        known = known[np.isfinite(known)]
        if len(known):
            bands.append((charge, *np.percentile(known, [16, 84])))
    if len(bands) > 1:
        charge, low, high = np.array(bands).T
        style = {"color": PIXEL_COLOUR, "alpha": 0.4, "lw": 0, "label": "68 % of the good pixels"}
        axes.fill_between(charge, low, high, **style)


def _points(axes, camera, assessed, name: str) -> None:
    """The runs with their errors, one marker for each background; all pixels as crosses."""
    charge = _column(camera, "EXPECTED")
    for number, (label, chosen) in enumerate(_nsb_groups(camera, assessed)):
        axes.errorbar(
            charge[chosen],
            _column(camera, name)[chosen],
            _column(camera, f"{name}_ERR")[chosen],
            fmt=MARKERS[number % len(MARKERS)],
            ms=4.5,
            lw=1.0,
            color=OKABE_ITO["blue"],
            mfc=OKABE_ITO["blue"] if number == 0 else "white",
            label=label,
        )
    axes.plot(
        charge[assessed],
        _column(camera, f"{name}_ANSWER")[assessed],
        "x",
        color="0.45",
        ms=5,
        label="all pixels with a valid fit",
    )


def _draw_resolution(axes, camera, pixels, assessed, nsb_per_ns) -> None:
    curve = np.geomspace(*_charges(camera, assessed), N_CURVE)
    required = np.geomspace(*RANGE_PE, N_CURVE)
    _pixel_band(axes, camera, pixels, "RESOLUTION")
    for colour, nsb in zip(REQUIREMENT_COLOURS, nsb_per_ns, strict=False):
        label = f"requirement, NSB {nsb:g} p.e./ns"
        axes.plot(required, required_resolution(required, nsb), color=colour, lw=1.5, label=label)
    axes.plot(curve, poisson_limit(curve), color="0.4", ls="--", lw=1.2, label="Poisson limit")
    _points(axes, camera, assessed, "RESOLUTION")
    axes.set_yscale("log")
    axes.set_ylabel("Charge resolution σ(Q) / Q")
    axes.set_title("Resolution")
    axes.legend(loc="lower left")


def _draw_ratio(axes, camera, assessed, nsb_per_ns) -> None:
    charge, resolution, error = (
        _column(camera, name)[assessed] for name in ("EXPECTED", "RESOLUTION", "RESOLUTION_ERR")
    )
    for colour, marker, nsb in zip(REQUIREMENT_COLOURS, MARKERS, nsb_per_ns, strict=False):
        required = required_resolution(charge, nsb)
        inside = np.isfinite(required)
        met = (resolution <= required)[inside].sum()
        axes.errorbar(
            charge[inside],
            (resolution / required)[inside],
            (error / required)[inside],
            fmt=marker,
            ms=4.5,
            lw=1.0,
            color=colour,
            label=f"NSB {nsb:g} p.e./ns: {met} of {inside.sum()} runs meet it",
        )
    axes.axhline(1.0, color="0.4", lw=1.0)
    axes.set_ylim(0, max(1.3 * axes.get_ylim()[1], 1.5))
    axes.set_ylabel("Resolution / requirement")
    axes.set_title("Against the requirement, good pixels")
    axes.legend(loc="upper left")


def _draw_bias(axes, camera, pixels, assessed) -> None:
    _pixel_band(axes, camera, pixels, "BIAS")
    _points(axes, camera, assessed, "BIAS")
    axes.axhline(0.0, color="0.4", lw=1.0)
    axes.set_ylabel("Bias, mean of Q / expected − 1")
    axes.set_title("Bias")
    axes.legend(loc="upper right")


def _draw_parts(axes, camera, assessed) -> None:
    charge = _column(camera, "EXPECTED")[assessed]
    parts = (
        ("RESOLUTION", "resolution", "black", "o"),
        ("WITHIN", "scatter of the flashes in a pixel", OKABE_ITO["blue"], "s"),
        ("BETWEEN", "differences between pixels", OKABE_ITO["orange"], "D"),
        ("BIAS", "bias, without its sign", OKABE_ITO["vermilion"], "^"),
    )
    for name, label, colour, marker in parts:
        style = {"color": colour, "marker": marker, "ms": 4, "lw": 1.0, "label": label}
        axes.plot(charge, np.abs(_column(camera, name)[assessed]), **style)
    axes.set_yscale("log")
    axes.set_ylabel("Fraction of the expected charge")
    axes.set_title("Parts; their squares add up")
    axes.legend(loc="best")


@plots.style()
def extracted_figure(camera: Mapping, title: str):
    """Extracted against expected charge: the distribution of each run as a column of colour.

    Parameters
    ----------
    camera : table CAMERA of resolution.fits
    title : str
    """
    figure = plots.new_figure(8.0, 6.8, title)
    axes = figure.subplots()
    axes.set_xlabel(EXPECTED_LABEL)
    axes.set_ylabel("Extracted charge (p.e.)")
    assessed = np.flatnonzero(_assessed_runs(camera) & (_column(camera, "EXPECTED") > 0))
    charge, first = np.unique(_column(camera, "EXPECTED")[assessed], return_index=True)
    if not len(charge):
        plots.say(axes, NOTHING)
        return figure
    counts = np.asarray(camera["EXTRACTED"])
    same = [assessed[_column(camera, "EXPECTED")[assessed] == pe] for pe in charge]
    fractions = np.array([counts[rows].sum(axis=0) / counts[rows].sum() for rows in same])
    colours = matplotlib.colormaps["viridis"]
    drawn = axes.pcolormesh(
        edges_around(charge),
        charge_edges(),
        np.ma.masked_less_equal(fractions.T, 0),
        norm=LogNorm(max(fractions[fractions > 0].min(), 1e-6), fractions.max()),
        cmap=colours,
        rasterized=True,
    )
    figure.colorbar(drawn, ax=axes, pad=0.02, label="Fraction of the charges of the run")
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color=OKABE_ITO["vermilion"], lw=1.2, label="equal")
    mean = _column(camera, "MEAN_PE")[assessed][first]
    style = {"color": "white", "mec": "black", "ms": 5, "label": "mean"}
    axes.plot(charge[mean > 0], mean[mean > 0], "o", **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    reach = np.flatnonzero(fractions.sum(axis=0))
    axes.set_ylim(charge_edges()[reach[0]], charge_edges()[reach[-1] + 1])
    axes.legend(loc="upper left")
    return figure
