"""The SSTCAM's report in a browser without a network: what is drawn, and what clicking does."""

import csv
import io

import numpy as np
import pytest
from helpers.page_actions import (
    REQUIRED_S,
    ask_for_pixel,
    choose,
    column,
    contrast,
    draw_all,
    is_below_navigation,
    luminance,
    pages_of,
    pairs,
    press_heading,
    printed,
    search,
    title,
    too_wide,
    with_hyphens,
)

from pixelcal.io.tables import read_columns
from pixelcal.report.numbers import with_error

N_RUNS = 3
PLOTS = (
    "camera", "values", "histograms", "waveform", "fit", "ways", "noise", "together", "resolution",
    "ratio", "bias", "extracted",
)  # fmt: skip


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Paths of the products of a small camera, and the page about them."""
    from helpers.sstcam_pages import make_products, write_page

    from pixelcal.status import ChargeStatus

    def spoil(rows):
        rows["STATUS"][3] = ChargeStatus.NOT_CONVERGED
        rows["STATUS"][5] |= ChargeStatus.POOR_FIT
        rows["PE"][7] *= 1.6
        rows["DARK"], rows["DARK_ERR"] = 0.1 + 0.001 * rows["PIXEL"], 0.02

    folder = tmp_path_factory.mktemp("sstcam")
    paths = make_products(folder, change=spoil)
    return paths, write_page(folder, paths)


@pytest.fixture
def page(browser, camera):
    """The browser with the page open."""
    browser.open(camera[1])
    return browser


def count(page, selector):
    return page.run(f"document.querySelectorAll({selector!r}).length")


def test_it_opens_at_once(browser, camera):
    assert min(browser.open(camera[1]) for _ in range(3)) < REQUIRED_S


def test_everything_is_drawn(page):
    assert tuple(draw_all(page)) == PLOTS
    assert count(page, ".empty") == 0
    assert with_hyphens(page) == []
    assert count(page, "#camera .heatmaplayer image") == 1
    assert count(page, "#extracted .heatmaplayer image") == 1
    assert count(page, "#noise .heatmaplayer image") == 1
    assert count(page, "#ways .scatterlayer .trace") == 2
    assert count(page, "#histograms .plot") == count(page, "#histograms .gtitle") == 8
    assert count(page, "#histogram-pe .barlayer .point") == 2 * 40
    # Data, model and residuals of each run.
    assert count(page, "#together .scatterlayer .trace") == 3 * N_RUNS
    assert count(page, "#resolution .scatterlayer .point") == 2 * 5
    assert count(page, "#resolution .errorbars path.yerror") == 5
    # Against the requirements at 0, 0.125 and 1.25 p.e./ns; 900 p.e. is the last, 0.5 out.
    assert count(page, "#ratio .errorbars path.yerror") == 3 * 4
    assert count(page, ".card") == 4 and count(page, ".card svg path") >= 3
    known = column(page, "document.getElementById('camera').data[0].z.flat()")
    assert known.size == 48 * 48 and np.isfinite(known).sum() == 63


def test_peaks_of_the_chosen_pixel_add_up_to_its_model(page):
    page.run("document.querySelector('tr[data-pixel=\"5\"]').click()")
    page.show("fit")
    assert title(page, "fit").startswith("Pixel 5 (poor fit")
    traces = "document.getElementById('fit').data"
    peaks = page.run(f"{traces}.filter(trace => trace.name === 'one peak').length")
    assert peaks >= 3 * N_RUNS
    assert page.run(f"{traces}.filter(trace => trace.name === 'model').length") == N_RUNS
    model = column(page, f"{traces}.find(trace => trace.name === 'model').y")
    counts = column(page, f"{traces}.find(trace => trace.name === 'data').y")[:-1]
    assert model.sum() == pytest.approx(counts.sum(), rel=2e-3)
    highest = page.run(
        f"Math.max(...{traces}.filter(trace => trace.name === 'one peak').slice(0, 2)"
        ".flatMap(trace => trace.y))"
    )
    assert highest == pytest.approx(model.max(), rel=0.05)


def test_numbers_of_a_pixel_are_those_of_the_table(page, camera):
    rows = read_columns(camera[0]["spe"], "SPE")
    page.run("document.querySelector('tr[data-pixel=\"7\"]').click()")
    text = page.run("document.getElementById('pixel').textContent")
    assert text.startswith("Pixel 7") and pairs(page)["Fit"][0] == "outlier"
    for name in ("PE", "SIGMA_PED", "SIGMA_PE", "PE_PEAKS", "PE_MOMENTS"):
        value, error = (float(rows[f"{name}{kind}"][7]) for kind in ("", "_ERR"))
        assert with_error(value, error, "{:.3f}") in text
    light, light_err = (float(rows[name][7][1]) for name in ("LAMBDA", "LAMBDA_ERR"))
    assert with_error(light, light_err, "{:.4f}") in text


def test_a_pixel_is_found_by_its_number_or_its_address(page, camera):
    ask_for_pixel(page, "11")
    assert page.run("document.querySelector('#pixel h3').textContent") == "Pixel 11"
    assert pairs(page)["Fit"][0] == "good" and is_below_navigation(page, "one")
    assert page.run("location.hash") == "#pixel=11"
    page.run("location.hash = '#pixel=3'")
    page.wait("document.querySelector('#pixel h3').textContent === 'Pixel 3'")
    assert pairs(page)["Fit"][0] == "not converged"
    ask_for_pixel(page, "64")
    assert page.run("element('said').textContent") == (
        "There is no pixel 64 on this page; it has 64 pixels, from 0 to 63."
    )


def test_all_pixels_are_in_the_table_to_keep(page, camera):
    rows = read_columns(camera[0]["spe"], "SPE")
    table = list(csv.DictReader(io.StringIO(page.run("csv_text()"))))
    number = lambda name: np.array([float(row[name] or "nan") for row in table])  # noqa: E731
    assert np.array_equal(number("PIXEL"), np.asarray(rows["PIXEL"]))
    assert np.array_equal(number("STATUS"), np.asarray(rows["STATUS"]))
    beside = (
        "PE_PEAKS",
        "PE_MOMENTS_ERR",
        "DARK",
        "DARK_ERR",
        "DELAYED",
        "CROSSTALK",
        "CROSSTALK_ERR",
        "AP_DELAY",
        "LATE",
        "MISFIT",
    )
    for name in ("PE", "PE_ERR", "SIGMA_PED", "SIGMA_PE_ERR", "OPCT", *beside):
        np.testing.assert_allclose(number(name), np.asarray(rows[name], float), rtol=1e-6)
    for run in range(N_RUNS):
        light = np.asarray(rows["LAMBDA"], float)[:, run]
        np.testing.assert_allclose(number(f"LAMBDA_{run}"), light, rtol=1e-6)
    assert table[3]["FIT"] == "not converged" and table[3]["PE"] == ""


def test_every_quantity_and_run_can_be_chosen(page):
    page.show("camera")
    page.show("values")
    options = page.run(
        "Array.from(document.querySelectorAll('#quantity option'), o => [o.value, o.text])"
    )
    fit, truth, ways, noise = 5 + N_RUNS, 4 + N_RUNS, 4, 5
    assert len(options) == 4 + 2 * N_RUNS + 4 + N_RUNS + ways + noise + fit + truth
    for value, text in options:
        choose(page, "quantity", value)
        assert title(page, "camera") == f"SSTCAM: {text}"
    page.show("histograms")
    for run in range(N_RUNS):
        choose(page, "run", str(run))
        assert "Illumination" in title(page, "histogram-lambda")
    for which, names in (("good", ["good"]), ("bad", ["in question"])):
        choose(page, "which", which)
        shown = page.run("document.getElementById('histogram-pe').data.map(trace => trace.name)")
        assert shown == names
    page.show("fit")
    page.run("document.getElementById('logarithmic').click()")
    assert page.run("document.getElementById('fit')._fullLayout.yaxis.type") == "log"


def test_a_click_on_the_map_shows_the_pixel(page, camera):
    page.show("camera")
    x, y = (page.run(f"camera.{name}[40]") for name in ("x", "y"))
    place = page.run(
        "(() => { const camera = document.getElementById('camera'), frame = camera._fullLayout,"
        " box = camera.getBoundingClientRect();"
        f" return [box.x + frame.xaxis._offset + frame.xaxis.l2p({x}),"
        f" box.y + frame.yaxis._offset + frame.yaxis.l2p({y})]; }})()"
    )
    page.press(*place)
    page.wait("document.getElementById('pixel').textContent.includes('Pixel 40')")
    assert pairs(page)["Fit"][0] == "good"


def test_the_table_sorts_and_can_be_searched(page):
    assert press_heading(page, 0) == "ascending"
    assert search(page, "3") == ["3"]
    assert search(page, "not converged") == ["3"]
    assert search(page, "") == ["3", "5", "7"]
    good = "document.querySelectorAll('#examples-0 tbody tr').length"
    assert page.run(f"Array.from({good.replace('.length', '')}).some(row => row.hidden)") is False
    assert page.run(good) > 10


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 1000, 800, 420])
def test_it_is_readable_wide_and_narrow_light_and_dark(browser, camera, width, dark):
    browser.open(camera[1], width, 1000, dark)
    draw_all(browser)
    assert too_wide(browser) == []
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    colour = {
        name: browser.run(f"{style}('--{name}').trim()")
        for name in ("paper", "panel", "ink", "soft", "good", "bad")
    }
    for ink in ("ink", "soft", "good", "bad"):
        assert contrast(colour[ink], colour["panel"]) > 4.5
    assert (luminance(colour["paper"]) < 0.1) == dark


def test_it_prints_every_plot(page):
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    widths = page.run("Array.from(document.querySelectorAll('.main-svg'), svg => svg.clientWidth)")
    assert min(widths) > 0 and max(widths) <= 703  # A4 between the margins
    pdf = printed(page)
    assert pdf.startswith(b"%PDF") and len(pdf) > 100_000
    assert 1 < pages_of(pdf) <= 8
    missing = "Object.keys(draw).filter(id => !document.querySelector(`#${id} .main-svg`))"
    assert page.run(missing) == []


def test_without_script_the_tables_are_there(browser, camera):
    browser.open(camera[1], script=False)
    assert browser.run("document.querySelectorAll('table')[0].offsetHeight > 0")
    assert browser.run("document.querySelector('.of-exposure').offsetHeight > 0")
    assert browser.run("document.querySelector('nav').offsetHeight") == 0


def lose_all(rows):
    from pixelcal.status import ChargeStatus

    rows["STATUS"] = ChargeStatus.NOT_CONVERGED


def test_peaks_on_a_dark_run_add_up_to_the_model(browser, tmp_path):
    """Dark counts make the pedestal skew, and so each peak: normal ones would be 20 % off."""
    from helpers.sstcam_pages import make_products, write_page

    paths = make_products(tmp_path, pixel=range(8), light=(0.0, 0.8, 2.0), dark=0.2, flashes=3000)
    browser.open(write_page(tmp_path, paths))
    browser.show("fit")
    traces = "document.getElementById('fit').data"
    for run in range(3):
        axis = "x" if run == 0 else f"x{run + 1}"
        of_run = f"{traces}.filter(trace => trace.xaxis === '{axis}' && trace.name"
        peaks = np.array(browser.run(f"{of_run} === 'one peak').map(trace => trace.y)"))
        model = np.array(browser.run(f"{of_run} === 'model').map(trace => trace.y)"))[0]
        # Those with less than 0.001 of the flashes are left out, and ends hold what lies beyond.
        assert np.abs(peaks.sum(axis=0) - model)[1:-1].max() < 0.01 * model.max()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scan": False}, {}),
        ({"truth": False}, {}),
        ({"light": (1.0,)}, {}),
        ({"light": (0.0, 0.8, 2.0), "dark": 0.1, "flashes": 5000}, {}),
        ({"pixel": (17,)}, {}),
        (
            {"change": lose_all},
            {"histograms": "No pixel", "together": "no good pixel", "resolution": "can judge"},
        ),
    ],
    ids=["no scan", "no truth", "one run", "dark run", "one pixel", "all bad"],
)
def test_unusual_runs(browser, tmp_path, options, said):
    from helpers.sstcam_pages import make_products, write_page

    paths = make_products(tmp_path, **({"pixel": range(8), "flashes": 800} | options))
    browser.open(write_page(tmp_path, paths))
    for identifier in draw_all(browser):
        text = browser.run(f"document.querySelector('#{identifier} > .empty')?.textContent ?? ''")
        if identifier in said:
            assert said[identifier] in text
        elif not said:
            assert text == "", identifier
    for value in browser.run("quantities.map(quantity => quantity.key)"):
        choose(browser, "quantity", value)
