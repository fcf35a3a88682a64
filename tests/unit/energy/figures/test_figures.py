"""Figures: what they show is right, they come out whatever there is, always the same bytes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table
from helpers import cameras
from helpers.instruments import ECLAIRS, GRID, REFERENCE_ENERGIES_KEV, REQUIREMENT
from helpers.paths import PIXEL_MAP, PROJECT
from helpers.synthetic import GAIN, OFFSET, make_fits, run_script, silence, write_exposure
from PIL import Image
from scipy import stats

import gallery
from pixelcal.camera import module_borders, read_pixel_map
from pixelcal.energy.figures import energy as figures_energy
from pixelcal.energy.figures import pixel as figures_pixel
from pixelcal.energy.figures import relation as figures
from pixelcal.energy.figures import spectrum as figures_spectrum
from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.fit.fitted_blocks import fitted_blocks
from pixelcal.energy.fit.model_spectra import BlockView
from pixelcal.energy.fit.two_step import TwoStepOptions, fit_two_step
from pixelcal.energy.results.changes import find_changes
from pixelcal.errors import InputError
from pixelcal.plotting import plots
from pixelcal.status import EnergyStatus

RELATION_FIGURES = {
    "camera": figures.camera_figure,
    "prior": figures.prior_figure,
    "comparison": figures.comparison_figure,
    "statistics": figures.statistics_figure,
    "uncertainty": figures_energy.uncertainty_figure,
    "energy_errors": figures_energy.energy_error_figure,
    "differences": figures_energy.differences_figure,
    "changes": lambda data: figures.changes_figure(
        data, find_changes(data.rows, data.prior, 5.0), 5.0
    ),
}
ABOUT_PIXELS = tuple(name for name in RELATION_FIGURES if name != "prior")


def make_data(rows, truth=None, method="joint", prior=None) -> figures.FigureData:
    """The rows of a fit on the detection plane."""
    pixel_map = read_pixel_map(PIXEL_MAP)
    n = len(rows)
    places = figures.PixelPositions(
        np.asarray(pixel_map["X"])[:n],
        np.asarray(pixel_map["Y"])[:n],
        module_borders(pixel_map),
        shape=GRID,
    )
    prior = prior or (np.full(n, GAIN), np.full(n, OFFSET))
    return figures.FigureData(
        rows, prior, truth, places, "ECLAIRs, exposure 10ks", method, requirement=REQUIREMENT
    )


def texts(figure) -> str:
    """All that a figure says, after it was drawn."""
    figure.draw_without_rendering()
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(artist.get_text() for artist in found if artist.get_visible())


def no_valid_fits(n):
    rows, truth = make_fits(n)
    silence(rows, np.arange(n), EnergyStatus.TOO_FEW_COUNTS)
    return rows, truth


SITUATIONS = {
    "camera": make_fits(6400),
    "one": make_fits(1),
    "no valid fit": no_valid_fits(64),
}


@pytest.mark.parametrize("truth", [True, False], ids=["truth", "no truth"])
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", RELATION_FIGURES)
@pytest.mark.filterwarnings("error")
def test_figures_come_out_and_say_so(name, situation, truth):
    rows, injected = SITUATIONS[situation]
    said = texts(RELATION_FIGURES[name](make_data(rows, injected if truth else None)))
    assert "ECLAIRs, exposure 10ks" in said
    silent = situation == "no valid fit" and name in ABOUT_PIXELS
    assert (plots.NOTHING in said) == silent


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", RELATION_FIGURES)
def test_figures_of_the_other_method_and_a_prior_file(name):
    rows, truth = make_fits(640)
    rows["STATUS"][3] = EnergyStatus.LINE_MISSING
    prior = truth[0] + 1e-4, truth[1] - 0.01
    said = texts(RELATION_FIGURES[name](make_data(rows, None, "two-step", prior)))
    if name == "statistics":
        assert "a line left out: 1" in said and "chi-square" in said
    if name == "comparison":
        assert "Gain: fitted against prior" in said and "no truth" in said
    if name == "energy_errors":
        assert "no truth" in said and "Pulls" not in said


def test_a_prior_that_is_one_number_is_told():
    said = texts(figures.prior_figure(make_data(make_fits(64)[0])))
    assert "0.145 keV/channel for every pixel" in said and "3 keV for every pixel" in said


def test_pass_fractions_are_those_of_the_validation(tmp_path):
    rows, truth = make_fits(640)
    silence(rows, [17, 80], EnergyStatus.TOO_FEW_COUNTS)
    silence(rows, [81], EnergyStatus.MASKED)
    paths = write_exposure(tmp_path, "10ks", 10000, rows, truth)
    numbers = json.loads(paths["validation"].read_text())["energies"]
    data = make_data(rows, truth)
    measured, predicted = figures_energy.pass_fractions(data, REFERENCE_ENERGIES_KEV)
    for i, energy in enumerate(REFERENCE_ENERGIES_KEV):
        values = numbers[f"{energy:g}"]
        assert measured[i] == pytest.approx(values["pass_fraction"], abs=1e-12)
        assert predicted[i] == pytest.approx(values["predicted_pass_fraction"], abs=1e-12)
    said = texts(figures_energy.energy_error_figure(data))
    assert f"{100 * numbers['4']['pass_fraction']:.2f} %" in said
    said = texts(figures_energy.differences_figure(data))
    assert f"rms {numbers['150']['rms_keV']:.4f} keV" in said


# --- the same bytes -------------------------------------------------------------------------------

DRAWN_AGAIN = ("camera", "comparison", "changes")
DRAW = """
import sys
sys.path[:0] = {paths!r}
from test_figures import DRAWN_AGAIN, RELATION_FIGURES, make_fits, make_data, plots
for name in DRAWN_AGAIN:
    figure = RELATION_FIGURES[name](make_data(*make_fits(2000)))
    plots.save_figure(figure, f"{{name}}.png", f"{{name}}.pdf")
"""


def draw_again(folder, seed):
    """Draw in another process, under a style of the user's; the contents by name."""
    folder.mkdir()
    (folder / "matplotlibrc").write_text(f"font.size: {8 + seed}\nimage.cmap: jet\n")
    paths = [
        str(PROJECT / "workflow" / "scripts"),
        str(PROJECT / "tests"),
        str(PROJECT / "docs" / "tools"),
        os.path.dirname(__file__),
    ]
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    environment.pop("SOURCE_DATE_EPOCH", None)
    command = [sys.executable, "-c", DRAW.format(paths=paths)]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return {path.name: path.read_bytes() for path in folder.glob("*.p*")}


def test_figures_are_the_same_every_time(tmp_path):
    first, second = (draw_again(tmp_path / str(seed), seed) for seed in (1, 2))
    assert len(first) == 2 * len(DRAWN_AGAIN)
    for name, content in first.items():
        assert content == second[name], name
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"%PDF")
        for word in (b"Software", b"tIME", b"CreationDate", b"Matplotlib pdf backend"):
            assert word not in content


IMPORT = """
import importlib, pkgutil, sys
import matplotlib
sys.path.insert(0, {path!r})
matplotlib.rcParams["font.size"] = 17.0
before = dict(matplotlib.rcParams)
import pixelcal
for module in pkgutil.walk_packages(pixelcal.__path__, "pixelcal."):
    importlib.import_module(module.name)
assert dict(matplotlib.rcParams) == before
from pixelcal.plotting import plots
plots.save_figure(plots.new_figure(1.0, 1.0, "title"), "figure.png")
assert dict(matplotlib.rcParams) == before
"""


def test_the_users_settings_of_matplotlib_stay(tmp_path):
    """After the import of every module, and after a figure."""
    code = IMPORT.format(path=str(PROJECT / "workflow" / "scripts"))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


# --- what spectra are drawn with ------------------------------------------------------------------


def test_poisson_intervals_are_garwoods():
    counts = np.array([0, 1, 3, 10, 400])
    low, high = figures_spectrum.poisson_interval(counts)
    tail = stats.norm.sf(1.0)
    assert np.allclose(high, stats.chi2.isf(tail, 2 * counts + 2) / 2, rtol=1e-5)
    assert np.allclose(low[1:], stats.chi2.ppf(tail, 2 * counts[1:]) / 2, rtol=1e-5)
    assert low[0] == 0


def test_deviance_residuals():
    counts, expected = np.array([0, 3, 9, 100]), np.array([2.0, 4.0, 4.0, 100.0])
    residual = figures_spectrum.deviance_residuals(counts, expected)
    ratio = stats.poisson.logpmf(counts, np.maximum(counts, 1e-300))
    ratio -= stats.poisson.logpmf(counts, expected)
    assert np.allclose(residual**2, 2 * ratio)
    assert np.sign(residual).tolist() == [-1, -1, 1, 0]
    assert np.isnan(figures_spectrum.deviance_residuals([1], [np.nan])).all()


def test_groups_hold_enough_and_lose_no_channel():
    expected = np.random.default_rng(2).uniform(0, 4, 300)
    starts = figures_spectrum.group_starts(expected, 12.0)
    sums = np.add.reduceat(expected, starts)
    assert starts[0] == 0 and (np.diff(starts) > 0).all()
    assert sums.min() >= 12.0 and sums.sum() == pytest.approx(expected.sum())
    assert figures_spectrum.group_starts(np.array([0.1, 0.2]), 12.0).tolist() == [0]
    assert figures_spectrum.group_starts(np.full(10, np.nan)).tolist() == [0, 4]


def test_labels_stay_apart_and_near():
    places = np.array([1.0, 1.1, 1.2, 5.0, 9.0, 9.0])
    moved = plots.spread_apart(places, 0.5)
    assert np.diff(moved).min() >= 0.5 - 1e-12
    assert moved[:3].mean() == pytest.approx(1.1) and moved[3] == 5.0
    assert len(plots.spread_apart(np.array([]), 1.0)) == 0


def test_photons_are_counts_per_second_and_keV():
    edges = np.linspace(3.0, 4.0, 51)
    counts = np.random.default_rng(1).uniform(0, 10, 50)
    table = Table([edges[:-1], edges[1:], counts], names=("E_MIN", "E_MAX", "COUNTS"))
    table.meta["EXPOSURE"] = 20.0
    photons = figures_spectrum.to_photons(table)
    assert len(photons.rate) == 10
    assert photons.rate @ np.diff(photons.edges_keV) == pytest.approx(counts.sum() / 20.0)


def test_the_typical_pixel_is_good_and_in_the_middle():
    rows, _ = make_fits(5)
    rows["COUNTS"] = [10, 500, 300, 400, 200]
    rows["STATUS"][0] = EnergyStatus.POOR_FIT
    assert rows["COUNTS"][figures_spectrum.typical_pixel(rows)] == 400
    rows["STATUS"] = EnergyStatus.OUTLIER
    assert figures_spectrum.typical_pixel(rows) == 0


# --- one pixel ------------------------------------------------------------------------------------


def make_blocks(with_model=True):
    """Blocks of the line table with a flat model, counts drawn from it."""
    table, random = cameras.line_table(), np.random.default_rng(4)
    blocks = []
    for name, (low, high) in zip(table.block_names, table.block_limits_keV, strict=True):
        edges = np.arange(low, high, GAIN)
        model = np.full(len(edges) - 1, 5.0)
        counts = random.poisson(model)
        if not with_model:
            model = np.full(len(model), np.nan)
        blocks.append(BlockView(name, 30, edges, counts, model, 0.5 * model, []))
    return blocks


def make_row(status=0):
    """A row of relation.fits."""
    rows, _ = make_fits(43)
    row = Table(rows)[42]
    row["STATUS"] = status
    return {name: row[name] for name in rows.dtype.names} | {"X": 37, "Y": 0}


PHOTONS = figures_spectrum.Photons(np.arange(3.0, 201.0), np.full(197, 0.1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("photons", [PHOTONS, None], ids=["photons", "no photons"])
@pytest.mark.parametrize("truth", [(GAIN, OFFSET), None], ids=["truth", "no truth"])
def test_the_picture_of_a_pixel(photons, truth):
    row = make_row(EnergyStatus.POOR_FIT | EnergyStatus.OUTLIER)
    title = figures_pixel.pixel_title(row, "ECLAIRs", "10ks", 10000.0)
    figure = figures_pixel.pixel_figure(
        make_blocks(),
        row,
        cameras.line_table(),
        (GAIN, OFFSET),
        title,
        truth,
        photons,
        instrument=ECLAIRS,
    )
    said = texts(figure)
    for words in ("0042 (X 37, Y 0)", "exposure 10ks", "STAT/DOF 300.0/300", "poor fit, outlier"):
        assert words in said
    for words in ("Cu Kα", "Pb Kβ₂", "Residual", "model", "continuum", "prior"):
        assert words in said
    assert ("true" in said) == (truth is not None)
    assert ("Photons" in said) == (photons is not None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("blocks", [make_blocks(with_model=False), []], ids=["data", "nothing"])
def test_the_picture_of_a_pixel_without_a_valid_fit(blocks):
    row = make_row() | dict.fromkeys(("GAIN", "OFFSET", "STAT", "PVALUE"), np.nan)
    row["STATUS"] = EnergyStatus.TOO_FEW_COUNTS
    title = figures_pixel.pixel_title(row, "ECLAIRs", "10ks", 10000.0)
    figure = figures_pixel.pixel_figure(
        blocks, row, cameras.line_table(), (GAIN, OFFSET), title, None, None, instrument=ECLAIRS
    )
    said = texts(figure)
    assert "no valid fit: too few counts" in said and "STAT" not in said


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("photons", [PHOTONS, None], ids=["photons", "no photons"])
@pytest.mark.parametrize("n_valid", [0, 1])
def test_the_spectrum_of_the_camera(n_valid, photons):
    edges = figures_spectrum.stack_edges_keV(range_keV=REQUIREMENT.range_keV)
    stack = np.ones(len(edges) - 1) if n_valid else np.array([])
    counts = np.random.default_rng(5).poisson(3.0, 1024) * n_valid
    blocks = make_blocks(with_model=bool(n_valid))
    example = ("Pixel 0042", counts, np.full(1024, 3.0 * n_valid), (GAIN, OFFSET))
    figure = figures_spectrum.spectrum_figure(
        stack, edges, example, blocks, 10000.0, cameras.line_table(), "ECLAIRs", photons
    )
    said = texts(figure)
    assert "Te Kβ" in said and "Pixel 0042" in said
    assert (plots.NOTHING in said) == (not n_valid)


def test_blocks_of_the_two_step_method():
    """The model of the picture is that of the fit: chi-square and counts are those of the row."""
    counts = np.random.default_rng(6).poisson(cameras.expected_spectrum(GAIN, OFFSET, 30_000.0))
    table = cameras.line_table()
    fit = {
        "method": "two-step",
        "min_counts": 200,
        "pvalue_limit": 1e-4,
        "two_step": {
            "line_fwhm_keV": 1.4,
            "tolerance_sigma": 4.0,
            "block_chi_square_limit": 2.0,
        },
    }
    options = TwoStepOptions(**fit["two_step"], min_counts=200, pvalue_limit=1e-4)
    row = fit_two_step(counts[None], np.array([0]), GAIN, OFFSET, table, options)[0]
    blocks = fitted_blocks(counts, row, table, (GAIN, OFFSET), fit, None)
    data, model = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("counts", "model")
    )
    assert data.sum() == row["COUNTS"]
    chi_square = np.sum((data - model) ** 2 / np.maximum(data, 1))
    assert chi_square == pytest.approx(row["STAT"], rel=1e-6)


def test_a_pixel_that_is_not_in_the_run(tmp_path, capsys):
    paths = write_exposure(tmp_path, "10ks", 10000, *make_fits(8))
    given = {"relation": paths["relation"]}
    with pytest.raises(SystemExit):
        run_script("plot_pixel", tmp_path, given, {}, {"pixel": "0099"})
    assert "pixel 99 is not among the 8 of" in capsys.readouterr().err


def test_rows_of_nothing():
    """No pixel selected has a valid fit and none is there to draw: bins and bands do not fail."""
    rows = empty_fits(np.arange(3))
    assert len(plots.bin_edges([rows["GAIN"]])) == 2
    assert plots.colour_range(rows["GAIN"], signed=True) == (-1.0, 1.0)


# --- the gallery ----------------------------------------------------------------------------------


def test_the_gallery_shows_every_figure_in_little_space():
    page = (PROJECT / "docs" / "gallery.md").read_text("utf-8")
    shown = {path.name: path.stat().st_size for path in gallery.FOLDER.iterdir()}
    assert len(shown) == len(gallery.PICTURES)
    assert {f"{name}.png" for name in RELATION_FIGURES} <= set(shown)
    for name, size in shown.items():
        assert f"(images/gallery/{name})" in page
        assert size < 200_000, name


def test_small_copies(tmp_path):
    pixels = np.full((500, 2100, 3), 255, np.uint8)
    pixels[:, ::7] = 0
    Image.fromarray(pixels).save(tmp_path / "large.png")
    gallery.shrink(tmp_path / "large.png", tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as small:
        assert small.size == (1050, 250)
    with pytest.raises(InputError, match="no such figure"):
        gallery.make_gallery(tmp_path, tmp_path)
    with pytest.raises(InputError, match="no such page"):
        gallery.picture_of_page(tmp_path / "none.html", tmp_path / "none.png")
