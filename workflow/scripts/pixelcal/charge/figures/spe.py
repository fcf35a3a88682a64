"""Figures of the single-photoelectron fits: camera, parameters, spectra of a pixel, all charges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from pixelcal.camera import PixelPositions, module_borders
from pixelcal.charge.runs.pixel_grid import PixelGrid
from pixelcal.charge.spe.model_spectra import RunView, peak_curves, pixel_views
from pixelcal.plotting import plots
from pixelcal.plotting.colours import OKABE_ITO
from pixelcal.report.numbers import with_error
from pixelcal.status import CHARGE_WORDS, has_valid_fit

N_BINS = 50
N_EXAMPLES = 8
MOST_RUNS = 6
"""Runs in one figure: the darkest ones."""


def grid_places(grid: PixelGrid, pixel: np.ndarray) -> PixelPositions:
    """Places of the pixels (n,), and the borders of all modules."""
    x, y = (np.round(places).astype(int) for places in (grid.x, grid.y))
    borders = module_borders(Table({"X": x, "Y": y, "MODULE": grid.module}))
    return PixelPositions(x[pixel], y[pixel], borders, (grid.height, grid.width))


@plots.style()
def camera_figure(rows, grid: PixelGrid, title: str):
    """Maps of gain, widths, crosstalk, the light of the brightest run, and STATUS.

    Parameters
    ----------
    rows : table SPE
    grid : PixelGrid
    title : str
    """
    figure = plots.new_figure(15.0, 9.6, title)
    panels = figure.subplots(2, 3).ravel()
    places = grid_places(grid, np.asarray(rows["PIXEL"]).astype(int))
    maps = (
        ("Gain", np.asarray(rows["PE"]), "adu per photoelectron"),
        ("Width of the pedestal", np.asarray(rows["SIGMA_PED"]), "adu"),
        ("Width of a photoelectron", np.asarray(rows["SIGMA_PE"]), "adu"),
        ("Optical crosstalk", np.asarray(rows["OPCT"]), ""),
        ("Illumination λ, brightest run", np.asarray(rows["LAMBDA"])[:, -1], "photoelectrons"),
    )
    for axes, (name, values, unit) in zip(panels, maps, strict=False):
        plots.camera_map(figure, axes, values, places, name, unit)
    index = CHARGE_WORDS.dominant(rows["STATUS"])
    plots.status_map(panels[-1], index, list(CHARGE_WORDS.labels.values()), places)
    plots.letter_panels(panels)
    return figure


@plots.style()
def parameters_figure(rows, title: str):
    """Histograms of the shared parameters, the illuminations and the p-value: good, and all."""
    figure = plots.new_figure(13.0, 7.2, title)
    panels = figure.subplots(2, 3).ravel()
    status = np.asarray(rows["STATUS"])
    good, known = status == 0, has_valid_fit(status)
    quantities = (
        ("Gain (adu)", "PE"),
        ("Width of the pedestal (adu)", "SIGMA_PED"),
        ("Width of a photoelectron (adu)", "SIGMA_PE"),
        ("Optical crosstalk", "OPCT"),
    )
    for axes, (label, name) in zip(panels, quantities, strict=False):
        values = np.asarray(rows[name], float)
        _histograms(axes, values[known], values[good], label)
    _light_histogram(panels[4], np.asarray(rows["LAMBDA"], float)[good])
    pvalue = np.asarray(rows["PVALUE"], float)
    _histograms(panels[5], pvalue[known], pvalue[good], "p-value", np.linspace(0, 1, 21))
    for axes in panels:
        axes.set_ylabel("Pixels")
    plots.letter_panels(panels)
    return figure


def _histograms(axes, every, good, label: str, edges=None) -> None:
    axes.set_xlabel(label)
    if not np.isfinite(every).any():
        plots.say(axes, plots.NOTHING)
        return
    if edges is None:
        edges = plots.bin_edges([good if len(good) else every], N_BINS)
    plots.histogram(axes, every, edges, "0.35", "all with a valid fit")
    plots.histogram(axes, good, edges, OKABE_ITO["blue"], "good", filled=True)
    axes.legend(loc="best")


def _light_histogram(axes, light: np.ndarray) -> None:
    """Illuminations (n, R) of the good pixels in each run."""
    axes.set_xlabel("Illumination λ of each run (photoelectrons)")
    if not light.size:
        plots.say(axes, plots.NOTHING)
        return
    edges = plots.bin_edges([light.ravel()], 2 * N_BINS, (0.0, 100.0))
    for run, values in enumerate(light.T):
        plots.histogram(axes, values, edges, f"C{run % 10}", f"run {run + 1}", filled=True)
    if light.shape[1] <= MOST_RUNS:
        axes.legend(loc="best")


# --- spectra --------------------------------------------------------------------------------------


@plots.style()
def spectrum_figure(spectrum, row, runs: Sequence[str], title: str):
    """Spectra of all runs of one pixel with the fitted model, its peaks, and residuals.

    Parameters
    ----------
    spectrum : row of the table SPECTRA
    row : row of the table SPE
    runs : names of the runs
    title : str
        The status of the pixel is added to it.
    """
    views = pixel_views(spectrum, row)[:MOST_RUNS]
    figure = plots.new_figure(11.0, 1.0 + 2.9 * len(views), f"{title}: {pixel_text(row)}")
    ratios = [3, 1] * len(views)
    panels = figure.subplots(2 * len(views), 1, gridspec_kw={"height_ratios": ratios})
    for run, view in enumerate(views):
        _draw_run(panels[2 * run], panels[2 * run + 1], view, row, run)
        panels[2 * run].set_title(
            f"{runs[run]}: {int(view.counts.sum())} flashes{_light(row, run)}"
        )
    panels[-1].set_xlabel("Charge (adu)")
    panels[0].legend(loc="upper right")
    return figure


def pixel_text(row) -> str:
    """Number, status and gain of a pixel, as a title."""
    text = f"pixel {int(row['PIXEL'])}, {CHARGE_WORDS.words(int(row['STATUS']))}"
    if np.isfinite(row["PE"]):
        text += f", gain {with_error(row['PE'], row['PE_ERR'], '{:.2f}', 'adu')}"
        text += f", crosstalk {with_error(row['OPCT'], row['OPCT_ERR'], '{:.3f}')}"
    return text


def _light(row, run: int) -> str:
    value, error = float(row["LAMBDA"][run]), float(row["LAMBDA_ERR"][run])
    return f", λ = {with_error(value, error, '{:.3f}')}" if np.isfinite(value) else ""


def _draw_run(upper, lower, view: RunView, row, run: int) -> None:
    """Data, model and peaks of one run above, residuals below."""
    edges, flashes = view.edges, view.counts.sum()
    upper.stairs(view.counts, edges, color="0.4", fill=True, alpha=0.35, label="data")
    upper.set_ylabel("Flashes")
    lower.set_ylabel("σ")
    for axes in (upper, lower):
        axes.set_xlim(edges[0], edges[-1])
    if not np.isfinite(view.model).all():
        plots.say(lower, "no valid fit")
        return
    middle = (edges[1:] + edges[:-1]) / 2
    fine = np.linspace(edges[0], edges[-1], 600)
    for k, peak in enumerate(peak_curves(row, run, fine)):
        label = "one peak" if k == 0 else None
        style = {"color": OKABE_ITO["orange"], "lw": 0.9, "label": label}
        upper.plot(fine, flashes * view.width * peak, **style)
    upper.plot(middle, view.model, color=OKABE_ITO["blue"], lw=1.6, label="model")
    lower.stairs(view.residuals, edges, color="black", lw=0.9)
    lower.axhline(0.0, color="0.5", lw=0.8)
    lower.set_ylim(*(np.array([-1, 1]) * max(4.0, 1.1 * np.nanmax(np.abs(view.residuals)))))


# --- charges, before any fit ----------------------------------------------------------------------


@plots.style()
def charges_figure(spectra, runs: Sequence[str], title: str):
    """Charges of all pixels in each run, above the darkest peak of the pixel: how far is a p.e.?

    Parameters
    ----------
    spectra : table SPECTRA
    runs : names of the runs
    title : str
    """
    counts, start = np.asarray(spectra["COUNTS"]), np.asarray(spectra["START"], float)
    width = np.asarray(spectra["WIDTH"], float)
    n_runs = min(counts.shape[1], MOST_RUNS)
    figure = plots.new_figure(11.0, 1.0 + 2.8 * n_runs, title)
    panels = figure.subplots(n_runs, 1, squeeze=False)[:, 0]
    lit = counts[:, 0].sum(axis=1) > 0
    if not lit.any():
        for axes in panels:
            plots.say(axes, "no flash")
        return figure
    zero = start[:, 0] + (np.argmax(_smoothed(counts[:, 0]), axis=1) + 0.5) * width
    size = float(np.median(width[lit]))
    examples = np.flatnonzero(lit)[:: max(int(lit.sum()) // N_EXAMPLES, 1)][:N_EXAMPLES]
    for run, axes in enumerate(panels):
        low, high = _reach(counts[:, run], start[:, run] - zero, width, lit)
        edges = np.arange(low, high + size, size)
        total = np.zeros(len(edges) - 1)
        for row in np.flatnonzero(lit):
            places = start[row, run] - zero[row] + (np.arange(counts.shape[2]) + 0.5) * width[row]
            filled = np.histogram(places, edges, weights=counts[row, run])[0]
            total += filled
            if row in examples:
                axes.stairs(filled / max(filled.sum(), 1), edges, lw=0.6, alpha=0.7, color="0.6")
        mean = {"lw": 1.6, "color": OKABE_ITO["blue"], "label": f"all {int(lit.sum())} pixels"}
        axes.stairs(total / max(total.sum(), 1), edges, **mean)
        axes.set_title(runs[run])
        axes.set_ylabel("Fraction of the flashes")
        axes.set_xlim(low, high)
    panels[0].legend(loc="upper right")
    panels[-1].set_xlabel("Charge above the highest peak of the darkest run (adu)")
    return figure


def _smoothed(counts: np.ndarray, n: int = 5) -> np.ndarray:
    """Running sum (m, k) over n bins."""
    return np.apply_along_axis(np.convolve, 1, counts, np.ones(n), mode="same")


def _reach(counts, start, width, lit) -> tuple[float, float]:
    """Ends that hold nearly all charges of nearly all pixels."""
    ends = []
    for flashes, first, size in zip(counts[lit], start[lit], width[lit], strict=True):
        fraction = np.cumsum(flashes) / max(flashes.sum(), 1)
        ends.append([first + np.searchsorted(fraction, part) * size for part in (0.001, 0.995)])
    low, high = np.percentile(np.array(ends), [2, 98], axis=0)[[0, 1], [0, 1]]
    return float(low), float(max(high, low + width[lit].max()))
