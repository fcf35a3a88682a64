"""The SSTCAM's report: it holds the numbers of the products, and notices a wrong model."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.flashes import TRUTH, draw_charges, draw_photoelectrons
from helpers.page_text import is_shown, read_cells, unpack, words_of
from helpers.report_pages import page_data
from helpers.sstcam_pages import (
    CHARGES,
    FIT,
    LIGHT,
    SIMULATION,
    dark_charges,
    fit_spectra,
    make_products,
    page_params,
    spectra_of,
    write_page,
)

from pixelcal.charge.extraction.charges import Window, extract_charges, first_samples
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.figures.spe import (
    camera_figure,
    charges_figure,
    parameters_figure,
    spectrum_figure,
)
from pixelcal.charge.report import adequacy as report_adequacy
from pixelcal.charge.report import checks as report_checks
from pixelcal.charge.report import pixels as report_pixels
from pixelcal.charge.report import resolution as report_resolution
from pixelcal.charge.report import verdict as report_verdict
from pixelcal.charge.report.model import Cause, in_valleys, likely_cause, pool
from pixelcal.charge.report.products import read_products
from pixelcal.charge.resolution.requirement import State
from pixelcal.charge.runs.pixel_grid import pixel_grid
from pixelcal.charge.runs.pixel_map import PixelMap, read_pixel_map
from pixelcal.charge.simulation.flashes import Light, flash_blocks, make_pixels
from pixelcal.charge.spe.checks.outliers import typical_pixel
from pixelcal.charge.spe.model_spectra import peak_curves, pixel_views, signed_deviance
from pixelcal.io.tables import read_columns
from pixelcal.status import ChargeStatus

SHARED = ("PE", "SIGMA_PED", "SIGMA_PE", "OPCT")


def spoil(rows):
    """A few pixels of each kind."""
    rows["STATUS"][3] = ChargeStatus.NOT_CONVERGED
    rows["STATUS"][5] |= ChargeStatus.POOR_FIT
    rows["PVALUE"][5] = 2e-6
    rows["PE"][7] *= 1.6


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make_products(tmp_path_factory.mktemp("sstcam"), change=spoil, bad=(60,))


@pytest.fixture(scope="module")
def page(paths, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"), paths)


@pytest.fixture(scope="module")
def products(paths):
    return read_products(paths, page_params()["settings"])


# --- the page -------------------------------------------------------------------------------------


def test_the_page_holds_the_fits(page, paths):
    rows, data = read_columns(paths["spe"], "SPE"), page_data(page)
    values = data["exposures"][0]["values"]
    for name in SHARED:
        for kind in ("", "_ERR"):
            column = np.asarray(rows[f"{name}{kind}"]).astype("f4")
            assert np.array_equal(unpack(values[f"{name}{kind}".lower()]), column, equal_nan=True)
    light = np.asarray(rows["LAMBDA"]).astype("f4")
    for run in range(len(LIGHT)):
        assert np.array_equal(unpack(values[f"lambda_{run}"]), light[:, run], equal_nan=True)
    assert np.array_equal(unpack(values["status"]), np.asarray(rows["STATUS"]))
    assert np.isnan(unpack(values["pe"])[[3, 60]]).all()
    assert data["runs"] == ["spe_00", "spe_01", "spe_02"]


def test_the_page_holds_the_gain_in_two_other_ways_and_the_noise(page, products):
    values, spe = page_data(page)["exposures"][0]["values"], products.spe
    for name in ("PE_PEAKS", "PE_PEAKS_ERR", "PE_MOMENTS", "PE_MOMENTS_ERR", "MISFIT"):
        column = np.asarray(spe[name]).astype("f4")
        assert np.array_equal(unpack(values[name.lower()]), column, equal_nan=True)
    peaks, moments = report_checks.ways(products)
    ratio = np.asarray(spe["PE_PEAKS"] / spe["PE"], float)[products.good] - 1
    assert peaks.median == np.nanmedian(ratio) and peaks.n == np.isfinite(ratio).sum()
    # The model is right: each way is, within 4 standard errors of its median. Row 7 was spoilt.
    assert abs(peaks.median) < 4 * peaks.error and abs(moments.median) < 4 * moments.error
    assert peaks.n_disagree == moments.n_disagree == 1
    assert f"{peaks.n}" in read_cells(
        page
    ).cells and "the gain differs in the median by" in words_of(page)


def test_without_noise_there_is_no_section_on_it(products):
    spe = products.spe.copy()
    for name in ("DARK", "AFTERPULSE", "DELAYED", "NOISE", "LATE"):
        spe[name][:] = 0.0
    quiet = replace(products, spe=spe)
    content = report_checks.content(quiet)
    assert content["noise_rows"] == [] and not content["noise_map"]
    assert report_checks.noise_text(quiet) == "" and "dark" not in report_checks.values(quiet)
    assert report_checks.mapped_kind(quiet) is None


def test_a_camera_with_dark_counts_has_a_section_on_noise(tmp_path):
    paths = make_products(tmp_path, pixel=range(16), flashes=6000, dark=0.3, scan=False)
    made = write_page(tmp_path, paths)
    found = read_products(paths, page_params()["settings"])
    shown = found.good & (found.column("DARK") > 0)
    assert shown.sum() >= 8
    # The bound of the fit is the smallest error of a median; exponential pulses, as were drawn.
    error = 1.25 * np.median(found.column("DARK_ERR")[shown]) / np.sqrt(shown.sum())
    assert abs(np.median(found.column("DARK")[shown]) - 0.3) < 5 * error
    words, data = words_of(made), page_data(made)
    assert f"{int(((found.column('DARK') > 0) & found.has_valid_fit).sum())} of 16 pixels" in words
    assert "Dark counts per window" in words and data["noise_map"] == "DARK"
    dark = np.asarray(found.spe["DARK"]).astype("f4")
    assert np.array_equal(unpack(data["exposures"][0]["values"]["dark"]), dark, equal_nan=True)


def test_the_page_shows_the_numbers_of_the_validation(page, paths):
    numbers, cells = json.loads(paths["validation"].read_text()), read_cells(page).cells
    for quantity in numbers["quantities"].values():
        for key in ("pull_std", "rms_over_bound", "median"):
            assert is_shown(quantity[key], cells), key
    assert f"The {numbers['n_good']} good pixels (STATUS 0)" in cells
    words = words_of(page)
    assert f"{numbers['n_wrong']} have a valid fit whose gain is wrong by more than 5 %" in words
    assert f"{numbers['n_wrong_good']} of {numbers['n_wrong']} pixels with a gain wrong" in words
    assert numbers["n_wrong"] == 1 and numbers["n_wrong_good"] == 0


def test_the_page_says_what_was_run(page):
    cells = read_cells(page).cells
    assert {"spe_02", "spe_02.h5", "1" * 64, "samples summed", "single photoelectrons"} <= set(
        cells
    )
    text = page.read_text("utf-8")
    assert "</script><b>&" not in text and "&lt;/script&gt;&lt;b&gt;&amp;" in text
    addresses = read_cells(page).addresses
    assert addresses[0] == "data:," and all(address.startswith("#") for address in addresses[1:])
    assert page.stat().st_size < 8e6


def test_the_same_products_give_the_same_page(page, paths, tmp_path):
    assert write_page(tmp_path, paths).read_bytes() == page.read_bytes()


def test_both_pages_stand_in_one_frame():
    from pixelcal.report.frame import TEMPLATES

    for name in ("energy", "charge"):
        text = (TEMPLATES / name / "report.html.j2").read_text("utf-8")
        assert text.startswith('{% extends "frame.html.j2" %}')
        assert "<script" not in text and "<style" not in text and "<html" not in text


# --- verdict --------------------------------------------------------------------------------------


def test_the_verdict_counts_and_says_why(products, page):
    n_good = int((products.status == 0).sum())
    assert f"{n_good} of 63 pixels are good" in words_of(page)
    reasons = report_verdict.reasons(products)
    assert "1 not converged" in reasons and "1 more are masked" in reasons
    centre, spread, error = report_verdict.gain_numbers(products)
    pe = products.column("PE")[products.good]
    assert centre == np.median(pe)
    assert spread == pytest.approx(SIMULATION["spread"]["gain"], rel=0.4)  # 3 sigma of 60 pixels
    assert error == np.median(products.column("PE_ERR")[products.good] / pe)
    told = report_adequacy.sentence(pool(products.spectra, products.spe), products.runs)
    assert told in words_of(page)


def test_the_verdict_of_the_charge_resolution_is_that_of_its_product(products, page):
    verdicts = products.resolution.summary["verdicts"]
    measured = [State(verdict["state"]) for verdict in verdicts if verdict["n_judged"]]
    assert report_resolution.state_of(products.resolution) == next(
        state for state in (State.MISSES, State.UNCLEAR, State.MEETS) if state in measured
    )
    for verdict in verdicts:
        said = f"NSB {verdict['nsb_per_ns']:g}: not measured"
        if verdict["n_judged"]:
            numbers = f"{verdict['n_met']} of {verdict['n_judged']}"
            said = f"NSB {verdict['nsb_per_ns']:g} p.e./ns: {numbers}"
        assert said in words_of(page)
    assert "Convention lab" in words_of(page) and "Conversion spe" in words_of(page)


# --- pixels in question ---------------------------------------------------------------------------


def test_flagged_pixels_come_first_with_reason_and_advice(products):
    rows, words, why = report_pixels.choose(products)
    table = {
        row["pixel"]: [text for text, _ in row["cells"]]
        for row in report_pixels.table(products, rows, why)
    }
    assert products.pixel[rows[0]] == 3 and 60 not in table
    assert set(products.pixel[rows[: len(rows) - len(why)]]) == {3, 5, 7}
    assert "not converged" in table[3][2] and "pe_guess" in table[3][3]
    assert "poor fit: p-value 2.0 × 10⁻⁶" in table[5][2]
    assert re.search(r"outlier: gain \+\d+ σ", table[7][2]) and "bias voltage" in table[7][3]
    assert sum("typical" in cells[2] for cells in table.values()) == 1
    assert "3 with a STATUS other than 0" in words


def test_spectra_of_the_pixels_are_those_of_the_product(products):
    row = typical_pixel(products.spe)
    fit = report_pixels.fits(products, np.array([row, 3]))
    for run, shown in enumerate(fit[str(products.pixel[row])]["runs"]):
        counts = unpack(shown["counts"])
        assert counts.sum() == products.spe["FLASHES"][row][run]
        assert unpack(shown["model"]).sum() == pytest.approx(counts.sum(), rel=1e-3)
    assert fit[str(products.pixel[row])]["model"] and not fit["3"]["model"]


def test_peaks_add_up_to_the_model(products):
    row = products.spe[typical_pixel(products.spe)]
    for run, view in enumerate(pixel_views(products.spectra[typical_pixel(products.spe)], row)):
        fine = np.linspace(view.edges[0], view.edges[-1], 40 * len(view.counts) + 1)
        middle = (fine[1:] + fine[:-1]) / 2
        density = peak_curves(row, run, middle).sum(axis=0).reshape(-1, 40).mean(axis=1)
        expected = view.counts.sum() * view.width * density
        # Peaks of less than a thousandth of the flashes are not among the curves.
        assert np.abs(expected - view.model)[1:-1].max() < 2e-3 * view.counts.sum()
        chi_square = np.nansum(view.residuals**2)
        n = (view.model > 1).sum()
        assert chi_square < 2 * n + 6 * np.sqrt(2 * n)


def test_signed_deviance_of_known_counts():
    found = signed_deviance(np.array([0.0, 4.0, 9.0]), np.array([2.0, 4.0, 4.0]))
    assert found == pytest.approx([-2.0, 0.0, np.sqrt(2 * (9 * np.log(9 / 4) - 5))])


# --- the model against all pixels -----------------------------------------------------------------


WITHOUT_NOISE = {"dark_counts": False, "afterpulses": False, "delayed_crosstalk": False}


def simulated(n_pixels, flashes, light, **trouble):
    """Spectra of flashes simulated event by event, and their fits; all valid ones are used."""
    settings = SIMULATION | {"samples": 64}
    numbers = np.arange(n_pixels)
    pixels = make_pixels(numbers, settings)
    none, peak = np.zeros(n_pixels, bool), np.rint(np.asarray(pixels["TIME"])).astype(np.int32)
    peaks = Peaks(numbers.astype(np.int32), peak, none, none, np.zeros((n_pixels, 64)))
    window = Window(CHARGES["window"], CHARGES["window_shift"], 0)
    charges = []
    for number, pe in enumerate(light):
        blocks = flash_blocks(
            pixels, Light(pe, **trouble), settings, f"run {number}", flashes, flashes
        )
        first = first_samples(peaks, 64, window)
        charges.append(extract_charges(blocks, numbers, first, window, ~none).charges)
    spectra = spectra_of(charges, numbers)
    rows = fit_spectra(spectra, **WITHOUT_NOISE)
    return spectra, good(rows)


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ({}, None),
        ({"nsb": 0.01}, Cause.LIGHT_AT_ANY_TIME),
        ({"afterpulse_probability": 0.4, "afterpulse_time": 20.0}, Cause.AFTERPULSES),
    ],
    ids=["clean", "night sky", "afterpulses"],
)
def test_a_wrong_model_is_noticed_and_named(trouble, cause):
    pooled = pool(*simulated(24, 3000, (0.8, 1.6), **trouble))
    first, later = in_valleys(pooled[0])
    assert likely_cause(pooled) == cause
    if not trouble:
        assert not any(run.is_wrong for run in pooled)
        for run in pooled:  # the chi-square of counts: m less what the fits take away
            assert abs(run.chi_square - len(run.counts)) < 5 * np.sqrt(2 * len(run.counts))
    else:
        assert (first > 5) if "nsb" in trouble else (first < -5 and later > 2)
        assert pooled[0].misfit > 0.01


def test_noise_that_the_fit_explains_is_no_fault_of_the_model():
    """The same charges with dark counts, fitted with them in the model and without."""
    n, flashes, random = 24, 4000, np.random.default_rng(8)
    truth, charges = TRUTH | {"sigma_ped": 6.0, "sigma_pe": 3.0}, []
    for pe in (0.8, 1.6):
        drawn = draw_charges(random, draw_photoelectrons(random, np.full(n, pe), flashes), truth)
        charges.append(drawn + dark_charges(random, 0.2, np.full(n, TRUTH["pe"]), flashes))
    spectra = spectra_of(charges, np.arange(n))
    without = pool(spectra, good(fit_spectra(spectra, **WITHOUT_NOISE)))
    assert likely_cause(without) == Cause.LIGHT_AT_ANY_TIME and without[0].misfit > 0.01
    known = pool(spectra, good(fit_spectra(spectra, **WITHOUT_NOISE | {"dark_counts": True})))
    assert likely_cause(known) is None
    for run in known:
        assert run.model.sum() == pytest.approx(run.counts.sum(), rel=1e-9)
        assert abs(run.chi_square - len(run.counts)) < 5 * np.sqrt(2 * len(run.counts))


def good(rows):
    """The fits, all that are valid with STATUS 0."""
    rows["STATUS"] &= ChargeStatus.TOO_FEW | ChargeStatus.NOT_CONVERGED
    return rows


def test_pooled_spectra_hold_all_flashes_of_the_good_pixels(products):
    pooled = pool(products.spectra, products.spe)
    flashes = np.asarray(products.spe["FLASHES"])[products.good].sum(axis=0)
    assert [run.counts.sum() for run in pooled] == flashes.tolist()
    for run in pooled:
        assert run.model.sum() == pytest.approx(run.counts.sum(), rel=1e-9)
        assert run.n_pixels == products.good.sum() and run.model.min() >= 20


# --- unusual runs ---------------------------------------------------------------------------------


def lose_all(rows):
    rows["STATUS"] = ChargeStatus.NOT_CONVERGED


UNUSUAL = {
    "no scan": ({"scan": False}, "No dynamic-range scan is configured"),
    "no truth": ({"truth": False}, "There is no truth for these runs"),
    "all bad": ({"change": lose_all}, "No pixel has a valid fit."),
    "one run": ({"light": (1.0,)}, "are good"),
    "one pixel": ({"pixel": (17,)}, "1 of 1 pixels are good"),
}


@pytest.mark.parametrize(("options", "said"), UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_runs_get_a_page_that_says_so(tmp_path, options, said):
    paths = make_products(tmp_path, **({"pixel": range(8), "flashes": 800} | options))
    page = write_page(tmp_path, paths)
    assert said in words_of(page) + page.read_text("utf-8").split('id="data"')[0]
    assert not re.search(r"\bnan\b", words_of(page), re.IGNORECASE)
    draw_all(paths)


def draw_all(paths):
    """The figures of the products, drawn to the last."""
    rows, spectra = read_columns(paths["spe"], "SPE"), read_columns(paths["spectra"], "SPECTRA")
    runs = [f"run {i}" for i in range(rows.meta["NRUNS"])]
    example = typical_pixel(rows)
    for figure in (
        camera_figure(rows, pixel_grid(read_pixel_map(paths["pixel_map"])), "SSTCAM"),
        parameters_figure(rows, "SSTCAM"),
        spectrum_figure(spectra[example], rows[example], runs, "SSTCAM"),
        charges_figure(spectra, runs, "SSTCAM"),
    ):
        figure.draw_without_rendering()


# --- places ---------------------------------------------------------------------------------------


def test_the_camera_stands_in_rows_and_columns(paths):
    grid = pixel_grid(read_pixel_map(paths["pixel_map"]))
    assert (grid.width, grid.height, grid.scattered) == (48, 48, False)
    order = np.argsort(grid.x_m, kind="stable")
    assert (np.diff(grid.x[order]) >= 0).all() and (np.diff(grid.x_m[order]) >= 0).all()
    assert len(set(zip(grid.x.tolist(), grid.y.tolist(), strict=True))) == 2048


def test_pixels_in_no_rows_are_drawn_where_they_are():
    random = np.random.default_rng(3)
    x, y = random.random((2, 200))
    grid = pixel_grid(PixelMap(list(range(200)), [0] * 200, x.tolist(), y.tolist()))
    assert grid.scattered and grid.x.min() == 0 and grid.x.max() <= grid.width
    scale = (grid.x.max() - grid.x.min()) / (x.max() - x.min())
    assert grid.y == pytest.approx((y - y.min()) * scale)


def test_settings_of_the_page_are_those_of_the_fit(products):
    assert products.settings["fit"] == FIT and products.settings["charges"] == CHARGES
