"""Drawing that both cameras share: figures, camera maps, histograms, labels of lines.

The same numbers give the same bytes, as PNG and as PDF, whatever style the user has set: a function
that makes a figure has the decorator `style()`. Colours keep apart for the colour-blind:
perceptually even maps (viridis for magnitudes, a blue-orange one for signed values) and the
Okabe-Ito colours. What has nothing to show says so in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure

from pixelcal.camera import to_image
from pixelcal.io.tables import atomic
from pixelcal.plotting.colours import OKABE_ITO, STATUS_COLOURS

DOTS_PER_INCH = 120
STYLE = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "figure.titlesize": 13.0,
    "legend.fontsize": 8.5,
    "legend.framealpha": 0.85,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

NO_VALUE_COLOUR = "#9a9a9a"
SIGNED_MAP = LinearSegmentedColormap.from_list("signed", ["#0072b2", "#f7f7f7", "#b34700"])
COLOUR_RANGE_PERCENT = (1.0, 99.0)
"""Colours span these percentiles: a single wild pixel does not bleach the map."""

FEW_PIXELS = 100
"""Fewer values than this get histograms of wide bins: narrow ones would be all noise."""

NOTHING = "no pixel with a valid fit"


# --- figures --------------------------------------------------------------------------------------


@contextmanager
def style() -> Iterator[None]:
    """Within, or in a function that it decorates: matplotlib's defaults and STYLE.

    Settings of the user would change the bytes; they hold again afterwards. Artists take settings
    when they are made, ticks only when they are drawn: both have to be within.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def new_figure(width_in: float, height_in: float, title: str = "") -> Figure:
    """A figure that belongs to no window and no global state."""
    figure = Figure((width_in, height_in), dpi=DOTS_PER_INCH, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title)
    return figure


@style()
def save_figure(figure: Figure, *paths: str | Path) -> None:
    """Write a figure to paths that end in .png or .pdf, without software version or date."""
    for number, path in enumerate(paths):
        if number == 1:  # the layout is settled; to settle it again takes half of the time
            figure.set_layout_engine("none")
        kind = Path(path).suffix[1:]
        nameless = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None}
        with atomic(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=nameless)


def say(axes, text: str, height=0.5) -> None:
    """Words across a panel that has nothing to show, at a fraction of its height."""
    options = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, height, text, wrap=True, color="0.35", **options)


def signed_text(value: float, digits: int) -> str:
    """A number with its sign, the minus as long as the plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def letter_panels(panels) -> None:
    """(a), (b), ... before the titles of the panels (n,)."""
    for letter, axes in zip("abcdefghijkl", panels, strict=False):
        axes.set_title(f"({letter}) {axes.get_title()}".rstrip())


# --- camera maps ----------------------------------------------------------------------------------


def colour_range(values: np.ndarray, signed: bool) -> tuple[float, float]:
    """Ends of the colour scale: percentiles of the values, around 0 where the sign matters."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (-1.0, 1.0) if signed else (0.0, 1.0)
    if signed:
        reach = float(np.percentile(np.abs(finite), COLOUR_RANGE_PERCENT[1])) or 1.0
        return -reach, reach
    low, high = (float(v) for v in np.percentile(finite, COLOUR_RANGE_PERCENT))
    if high > low:
        return low, high
    half = 0.05 * abs(low) or 0.5
    return low - half, low + half


def camera_map(figure, axes, values, positions, title: str, unit="", signed=False) -> None:
    """Draw one value per pixel with its colour bar; grey where a pixel has no value.

    Parameters
    ----------
    values : (n,) float
        NaN without a valid fit.
    positions : PixelPositions
    unit : str
        Label of the colour bar.
    """
    low, high = colour_range(np.asarray(values, float), signed)
    colours = SIGNED_MAP if signed else matplotlib.colormaps["viridis"]
    axes.imshow(
        np.ma.masked_invalid(_image(np.zeros(len(positions.x)), positions)),
        origin="lower",
        cmap=ListedColormap([NO_VALUE_COLOUR]),
        interpolation="nearest",
    )
    drawn = axes.imshow(
        np.ma.masked_invalid(_image(values, positions)),
        origin="lower",
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    if np.isfinite(values).any():
        bar = figure.colorbar(drawn, ax=axes, extend="both", fraction=0.046, pad=0.03, label=unit)
        bar.formatter.set_useOffset(False)
    else:
        say(axes, NOTHING)
    _dress_camera(axes, title, positions)


def class_map(axes, index, labels: Sequence[str], colours, positions, title: str) -> None:
    """Draw one class per pixel, `index` (n,) into `labels`, with a legend of those that occur."""
    colours = list(colours)[: len(labels)]
    axes.imshow(
        np.ma.masked_invalid(_image(index, positions)),
        origin="lower",
        cmap=ListedColormap(colours),
        norm=BoundaryNorm(np.arange(len(labels) + 1) - 0.5, len(labels)),
        interpolation="nearest",
    )
    _dress_camera(axes, title, positions)
    axes.set_anchor((1.0, 0.5))  # like a map with a colour bar, so that both are in line
    for number, label in enumerate(labels):
        count = int((np.asarray(index) == number).sum())
        if count:
            mark = {"marker": "s", "s": 50, "color": colours[number], "ec": "0.3", "lw": 0.6}
            axes.scatter([], [], label=f"{label}: {count}", **mark)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def status_map(axes, index, labels: Sequence[str], positions, title: str = "Status") -> None:
    """Map of the STATUS bit that says most about each pixel."""
    class_map(axes, index, labels, STATUS_COLOURS, positions, title)


def _image(values, positions) -> np.ndarray:
    """Values (n,) as rows and columns of the camera, NaN where there is no pixel."""
    return to_image(values, positions.x, positions.y, positions.shape)


def _dress_camera(axes, title: str, positions) -> None:
    """Module borders, title and axis labels."""
    limits = axes.axis()
    axes.plot(*_joined(*positions.borders), color="0.5", lw=0.4, alpha=0.6)
    axes.axis(limits)
    axes.set_title(title)
    axes.set_xlabel("X (pixel)")
    axes.set_ylabel("Y (pixel)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)


def _joined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pieces of border, x and y (2, n), as one path (2, m) with NaN where it is interrupted.

    Hundreds of paths of a pixel each would take seconds in a PDF, and their ends would show.
    """
    upright = x[0] == x[1]
    order = np.lexsort((np.where(upright, y[0], x[0]), np.where(upright, x[0], y[0]), upright))
    pieces = np.array([x, y])[:, :, order]
    goes_on = (pieces[:, 0, 1:] == pieces[:, 1, :-1]).all(axis=0)
    points = []
    for i in range(pieces.shape[2]):
        if i == 0 or not goes_on[i - 1]:
            points += [(np.nan, np.nan), pieces[:, 0, i]]
        points.append(pieces[:, 1, i])
    return np.array(points, float).reshape(-1, 2).T


# --- histograms and bands -------------------------------------------------------------------------


def bin_edges(values: Sequence[np.ndarray], n_bins=60, percent=(0.2, 99.8), floor=0.0):
    """Edges of bins common to several samples, between percentiles of their values.

    `floor` is the smallest width of the whole range.
    """
    finite = np.concatenate([np.ravel(v)[np.isfinite(np.ravel(v))] for v in values])
    if not len(finite):
        return np.linspace(0.0, max(floor, 1.0), 2)
    low, high = (float(v) for v in np.percentile(finite, percent))
    margin = 0.06 * (high - low)
    low, high = low - margin, high + margin
    least = max(floor, 1e-4 * abs(low), 1e-9)
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    return np.linspace(low, high, (n_bins if len(finite) >= FEW_PIXELS else 12) + 1)


def histogram(axes, values, edges, colour, label, filled=False) -> None:
    """Pixels per bin; values beyond the edges are counted in the end bins."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return
    inside = np.clip(finite, edges[0], np.nextafter(edges[-1], -np.inf))
    counts = np.histogram(inside, edges)[0]
    options = {"fill": True, "alpha": 0.55, "lw": 0} if filled else {"lw": 1.5}
    axes.stairs(counts, edges, color=colour, label=label, **options)


def predicted_histogram(axes, sigma, edges, label, centre=0.0) -> None:
    """What normal scatter with the standard deviations `sigma` (n,) puts into each bin."""
    sigma = np.asarray(sigma, float)
    sigma = sigma[np.isfinite(sigma) & (sigma > 0)]
    if not len(sigma):
        return
    width, middle = edges[1] - edges[0], (edges[1:] + edges[:-1]) / 2
    place = (middle[:, None] - centre) / sigma
    expected = width * (np.exp(-0.5 * place**2) / (np.sqrt(2 * np.pi) * sigma)).sum(axis=1)
    axes.plot(middle, expected, color="black", lw=1.2, label=label)


def band(axes, x, values, colour, label="of the pixels") -> None:
    """Where 68 % and 95 % of the values (m, n) lie against x (m,), and their median.

    NaN are left out; nothing is drawn where all are NaN.
    """
    known = values[:, np.isfinite(values).all(axis=0)]
    if not known.shape[1]:
        return
    for low, high, alpha, fraction in ((2.5, 97.5, 0.25, "95 %"), (16, 84, 0.45, "68 %")):
        ends = np.percentile(known, [low, high], axis=1)
        axes.fill_between(x, *ends, color=colour, alpha=alpha, lw=0, label=f"{fraction} {label}")
    axes.plot(x, np.median(known, axis=1), color=colour, lw=1.7, label="median")


def density(figure, axes, x, y, label="Pixels per hexagon") -> None:
    """Points for few pixels, else the number of pixels in hexagons; over percentiles of both."""
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        say(axes, NOTHING)
        return
    x, y = np.asarray(x)[known], np.asarray(y)[known]
    if len(x) < 10 * FEW_PIXELS:
        axes.scatter(x, y, s=12, color=OKABE_ITO["blue"], alpha=0.7, lw=0)
        return
    ends = [v for data in (x, y) for v in np.percentile(data, [0.1, 99.9])]
    inside = (x >= ends[0]) & (x <= ends[1]) & (y >= ends[2]) & (y <= ends[3])
    drawn = axes.hexbin(
        x[inside], y[inside], gridsize=45, bins="log", mincnt=1, cmap="viridis", lw=0.1
    )
    figure.colorbar(drawn, ax=axes, pad=0.02, label=label)


# --- labels of lines ------------------------------------------------------------------------------


def spread_apart(places: np.ndarray, distance: float) -> np.ndarray:
    """Places (n,), rising, moved as little as keeps them `distance` apart.

    Neighbours that are too close form a run with even spacing around the mean of their places.
    """
    runs = [[place, 1] for place in places]
    i = 1
    while i < len(runs):
        (left, n), (right, m) = runs[i - 1], runs[i]
        if right - left < distance * (n + m) / 2:
            runs[i - 1 : i + 1] = [[(left * n + right * m) / (n + m), n + m]]
            i = max(i - 1, 1)
        else:
            i += 1
    return np.concatenate(
        [centre + distance * (np.arange(n) - (n - 1) / 2) for centre, n in runs] or [[]]
    )


def label_lines(axes, energies, labels: Sequence[str], width_in, size=8.0, apart_in=0.14) -> None:
    """Mark lines in a panel by dotted verticals, their names above it, upright and apart.

    Call it when the limits of the axis are settled; `width_in` is about how wide (inches) the
    panel will be.
    """
    low, high = axes.get_xlim()
    order = [i for i in np.argsort(energies, kind="stable") if low <= energies[i] <= high]
    if not order:
        return
    shown = np.array([energies[i] for i in order])
    named = spread_apart(shown, apart_in * (high - low) / width_in)
    for i, energy, place in zip(order, shown, named, strict=True):
        axes.axvline(energy, color="0.55", lw=0.6, ls=":", zorder=0)
        axes.annotate(
            labels[i],
            xy=(energy, 1.0),
            xytext=(place, 1.05),
            xycoords=("data", "axes fraction"),
            textcoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=size,
            arrowprops={"arrowstyle": "-", "color": "0.55", "lw": 0.6, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )
