"""The report in a browser without a network: what is drawn, and what clicking does."""

import json
import re

import numpy as np
import pytest
from helpers.page_actions import (
    REQUIRED_S,
    TABLE,
    cells,
    choose,
    column,
    contrast,
    draw_all,
    is_below_navigation,
    luminance,
    pages_of,
    press_heading,
    printed,
    search,
    title,
    too_wide,
)
from PIL import Image

import report_pictures
from chromium import COMMAND, MISSING
from pixelcal.errors import InputError

PAPER_PX, MOST_PAGES = 703, 8
"""Width of A4 between the margins, and what the whole page may take of it."""

N_BLOCKS = 5
ENERGIES = (4, 15, 50, 80, 150)


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Paths of two exposures of the full camera, and the page about them."""
    from helpers.report_pages import displace, make_camera, write_report
    from helpers.synthetic import silence

    from pixelcal.status import EnergyStatus

    def spoil(rows):
        silence(rows, [17, 80], EnergyStatus.TOO_FEW_COUNTS)
        rows["COUNTS"][17] = 0
        rows["STATUS"][5] = EnergyStatus.POOR_FIT

    folder = tmp_path_factory.mktemp("camera")
    paths = make_camera(folder, change=spoil, prediction=prediction())
    displace(paths["10ks"])
    return paths, write_report(folder, paths)


def prediction():
    seconds = np.logspace(3, 6, 31)
    percent = 100 - 50 * (seconds / 1000) ** -0.8
    return {
        "seconds": seconds.tolist(),
        "energies_keV": list(ENERGIES),
        "sigma_keV": {"rms": [(0.3 * (seconds / 1000) ** -0.5).tolist()] * 5},
        "pass_fraction": [(percent / 100).tolist()] * 5,
        "pass_fraction_all": (percent / 101).tolist(),
        "shortest_seconds": {"0.95": 2e4, "0.99": None},
        "why": {"0.99": "too dim"},
        "basis": "a curve",
    }


@pytest.fixture
def page(browser, camera):
    """The browser with the page of the full camera open."""
    browser.open(camera[1])
    return browser


# --- drawn ----------------------------------------------------------------------------------------


def test_it_opens_at_once(browser, camera):
    assert min(browser.open(camera[1]) for _ in range(3)) < REQUIRED_S


def test_everything_is_drawn(page):
    assert len(draw_all(page)) == 11  # without residuals, which were not kept
    assert page.run("document.querySelectorAll('.empty').length") == 0
    assert page.run("document.getElementById('residuals')") is None
    count = lambda selector: page.run(f"document.querySelectorAll({selector!r}).length")  # noqa: E731
    assert count("#camera .heatmaplayer image") == count("#changes .heatmaplayer image") == 1
    assert count("#correlation .scatterlayer .point") == 6398
    assert count("#pulls .plot") == count("#pulls .gtitle") == 5
    assert count("#pull-50 .barlayer .point") == 40
    assert (
        count("#stack .scatterlayer .trace") == count("#fit .scatterlayer .trace") == 4 * N_BLOCKS
    )
    assert count("#bands .scatterlayer .trace") == 9
    assert count("#passes .scatterlayer .trace") == 12  # curves and points: five energies, and all
    assert count("#sigmas .scatterlayer .trace") == 10
    assert count(".card svg path") >= 6
    hover = page.run("document.getElementById('camera').data[0].text[2][40]")  # Y 2, X 40
    for said in ("DETNUM 199<", "X 40, Y 2, module 5, sector 1", "keV/channel<br>offset", " ± "):
        assert said in hover
    known = column(page, "document.getElementById('camera').data[0].z.flat()")
    assert known.size == 6400 and np.isnan(known).sum() == 2


def test_lines_of_the_response_have_labels(page):
    page.show("stack")
    texts = page.run(
        "Array.from(document.querySelectorAll('#stack .annotation-text'), e => e.textContent)"
    )
    assert {"Cu Kα", "Cd Kα", "Te Kβ", "W Kα₁", "Pb Kα₁", "Pb Kβ₂"} <= set(texts)


def test_the_page_derives_what_the_library_says(page, camera):
    from helpers.synthetic import GAIN, OFFSET

    from pixelcal.energy.relation import energy_error, energy_sigma
    from pixelcal.energy.truth import read_truth
    from pixelcal.io.tables import read_columns

    paths = camera[0]["10ks"]
    rows = read_columns(paths["relation"], "RELATION")
    values = [np.asarray(rows[name]) for name in ("GAIN", "OFFSET")]
    covariance = [np.asarray(rows[n]) for n in ("GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")]
    truth = read_truth(paths["truth"], np.asarray(rows["DETNUM"]))
    for energy in ENERGIES:
        for found, expected in (
            (f"sigma(current(), {energy})", energy_sigma(energy, *values, *covariance)),
            (f"error(current(), {energy})", truth.error(energy, *values)),
            (f"change(current(), {energy})", energy_error(energy, *values, GAIN, OFFSET)),
        ):
            # The page holds single precision; four decimals are shown.
            np.testing.assert_allclose(column(page, found), expected, rtol=1e-3, atol=3e-5)


@pytest.mark.parametrize("dark", [False, True])
def test_the_rate_is_counts_over_good_time(browser, camera, dark):
    from pixelcal.io.tables import read_columns

    browser.open(camera[1], dark=dark)
    for index, (name, paths) in enumerate(camera[0].items()):
        table = read_columns(paths["spectra"], "RATE")
        choose(browser, "exposure", str(index))
        browser.show("rate")
        drawn = "document.getElementById('rate').data"
        seconds, counts = np.asarray(table["SECONDS"]), np.asarray(table["COUNTS"])
        good = seconds > 0
        rate = np.where(good, counts / np.where(good, seconds, 1), np.nan)
        error = np.sqrt(np.maximum(counts, 1)) / np.where(good, seconds, np.nan)
        np.testing.assert_allclose(column(browser, f"{drawn}[0].y"), rate, rtol=1e-6)
        np.testing.assert_allclose(column(browser, f"{drawn}[0].error_y.array"), error, rtol=1e-6)
        step = table["TIME"][1] - table["TIME"][0]
        unit = {"1ks": 1, "10ks": 3600}[name]  # the longer one spans three hours
        middle = (np.asarray(table["TIME"]) - table["TIME"][0] + step / 2) / unit
        np.testing.assert_allclose(column(browser, f"{drawn}[0].x"), middle, rtol=1e-6)
        average = counts.sum() / seconds.sum()
        np.testing.assert_allclose(column(browser, f"{drawn}[1].y"), average, rtol=1e-6)
        assert (
            title(browser, "rate") == f"{name}: rate of the camera, mean {average:.4g} per second"
        )
        points = "document.querySelectorAll('#rate .scatterlayer .point').length"
        assert browser.run(points) == good.sum() == 180
        colour = browser.run("theme().main")
        assert browser.run(f"{drawn}[0].marker.color") == colour
        assert contrast(colour, {False: "#ffffff", True: "#14191f"}[dark]) > 4.5


def test_the_table_of_events_adds_up(page, camera):
    from pixelcal.io.tables import read_columns

    for index, paths in enumerate(camera[0].values()):
        choose(page, "exposure", str(index))
        rows = page.run(
            "Array.from(document.querySelectorAll('.of-exposure.shown table.fates tbody tr'),"
            " row => Array.from(row.cells, cell => cell.textContent))"
        )
        numbers = [int(row[1].replace(",", "")) for row in rows]
        n_read = read_columns(paths["spectra"], "SPECTRA").meta["EVREAD"]
        assert numbers[0] == n_read == sum(numbers[1:]) and len(rows) == 3


def test_a_page_of_older_spectra_has_no_rate(browser, tmp_path):
    from helpers.report_pages import make_camera, write_report

    old = make_camera(tmp_path / "old", 64, {"old": 1000}, old_spectra=True)
    browser.open(write_report(tmp_path / "old", old))
    assert "rate" not in draw_all(browser) and browser.run("!element('events')")
    assert not browser.run("!!document.querySelector('table.fates, nav a[href=\"#events\"]')")
    both = old | make_camera(tmp_path / "new", 64, {"new": 2000})
    browser.open(write_report(tmp_path, both))
    choose(browser, "exposure", "0")
    browser.show("rate")
    assert "do not hold the rate" in browser.run("element('rate').textContent")
    choose(browser, "exposure", "1")
    browser.show("rate")
    assert title(browser, "rate").startswith("new: rate of the camera")


def last_decimal(text):
    return 10.0 ** -len(text.partition(".")[2])


def test_numbers_of_the_table_are_those_of_the_validation(page, camera):
    for name, paths in camera[0].items():
        numbers = json.loads(paths["validation"].read_text())["energies"]
        choose(page, "exposure", str(list(camera[0]).index(name)))
        headings, *rows = page.run(
            "Array.from(document.querySelectorAll('.of-exposure.shown table.numbers')[0].rows,"
            " row => Array.from(row.cells, cell => cell.textContent))"
        )
        assert "Systematic (keV)" not in headings  # nothing is known of it
        for row in rows:
            cells, values = dict(zip(headings, row, strict=True)), numbers[row[0]]
            assert float(cells["RMS (keV)"]) == pytest.approx(values["rms_keV"], abs=5.1e-5)
            percent, _, error = cells["Pass fraction"].removesuffix(" %").partition(" ± ")
            known = pytest.approx(100 * values["pass_fraction"], abs=0.51 * last_decimal(percent))
            assert float(percent) == known
            assert last_decimal(error) == last_decimal(percent) or not error


# --- choosing -------------------------------------------------------------------------------------


@pytest.mark.skipif(COMMAND is None, reason=MISSING)
def test_pictures_for_the_documentation(camera, tmp_path):
    """As tall as what they show, in few colours."""
    taken = tmp_path / "pictures"
    taken.mkdir()
    report_pictures.take_pictures(camera[1], taken)
    assert {path.name for path in taken.iterdir()} == set(report_pictures.PICTURES)
    for path in taken.iterdir():
        with Image.open(path) as picture:
            assert picture.width == 1385 and 800 < picture.height < 3000
            assert picture.mode == "P"
        assert path.stat().st_size < 300_000


def test_pictures_need_a_page(tmp_path):
    with pytest.raises(InputError, match="no such page; make it with make run"):
        report_pictures.take_pictures(tmp_path / "report.html", tmp_path)


def test_every_exposure_and_quantity_can_be_chosen(page):
    page.show("camera")
    page.show("values")
    parts = "document.querySelectorAll('.of-exposure.shown')"
    options = page.run(
        "Array.from(document.querySelectorAll('#quantity option'), e => [e.value, e.text])"
    )
    assert len(options) == 2 + 5 + 5 + 4 + 6
    for index, name in enumerate(("1ks", "10ks")):
        choose(page, "exposure", str(index))
        shown = page.run(f"Array.from({parts}, part => part.dataset.exposure)")
        assert set(shown) == {str(index)}
        for value, text in options:
            choose(page, "quantity", value)
            assert title(page, "camera") == f"{name}: {text}"
            check_scale(page, value)


def check_scale(page, quantity):
    """Magnitudes grow brighter all the way; signed errors from the middle to both ends."""
    if quantity == "status":
        return
    scale = page.run("document.getElementById('camera')._fullData[0].colorscale")
    numbers = [
        [int(values[i : i + 2], 16) for i in (1, 3, 5)]
        if values.startswith("#")
        else [int(value) for value in re.findall(r"\d+", values)]
        for _, values in scale
    ]
    bright = [luminance("#" + "".join(f"{c:02x}" for c in values)) for values in numbers]
    if page.run(f"!!quantities.find(item => item.key === {quantity!r}).signed"):
        assert np.argmax(bright) == len(bright) // 2 and abs(bright[0] - bright[-1]) < 0.05
    else:
        assert np.all(np.diff(bright) > 0)


def test_borders_can_be_switched_off(page):
    page.show("camera")
    lines = "document.querySelectorAll('#camera .scatterlayer .trace').length"
    marks = 2  # around the pixel that is looked at
    assert page.run(lines) == marks + 2
    page.run("document.getElementById('modules').click()")
    assert page.run(lines) == marks + 1
    page.run("document.getElementById('sectors').click()")
    assert page.run(lines) == marks


def test_a_click_on_the_map_shows_the_pixel(page):
    page.show("camera")
    place = page.run(
        "(() => { const camera = document.getElementById('camera'), frame = camera._fullLayout,"
        " box = camera.getBoundingClientRect();"
        " return [box.x + frame.xaxis._offset + frame.xaxis.l2p(40),"
        " box.y + frame.yaxis._offset + frame.yaxis.l2p(20)]; })()"
    )
    page.press(*place)
    page.wait("document.getElementById('pixel').textContent.includes('X 40, Y 20,')")
    detnum = 20 * 80 + 79 - 40
    assert page.run("document.querySelector('#pixel h3').textContent").startswith(
        f"Pixel {detnum} in 10ks"
    )
    page.show("fit")
    assert f"snakemake results/eclairs/10ks/pixels/{detnum}.png" in page.run(
        "document.getElementById('fit').textContent"
    )


# --- the table ------------------------------------------------------------------------------------


def test_the_table_sorts_numbers_and_words(page):
    choose(page, "exposure", "0")
    before = cells(page, 0)
    assert len(before) == 100
    assert press_heading(page, 0) == "ascending"
    assert cells(page, 0) == sorted(before, key=int)
    assert press_heading(page, 0) == "descending"
    assert cells(page, 0) == sorted(before, key=int, reverse=True)
    assert press_heading(page, 4) == "ascending"
    reasons = cells(page, 4)
    assert reasons == sorted(reasons)
    assert "over the requirement" in reasons[0] and reasons[-1].startswith("too few counts")
    assert page.run(f"{TABLE}.querySelectorAll('th[aria-sort]').length") == 1


def test_the_table_can_be_searched(page):
    choose(page, "exposure", "0")
    assert search(page, "17") == ["17"]  # a number is a DETNUM
    assert search(page, "Too Few") == ["17", "80"]
    assert page.run("document.getElementById('found').textContent") == "2 of 100"
    assert search(page, "nothing of the kind") == []
    assert len(search(page, "")) == 100


def test_a_row_shows_the_fit_of_its_pixel(page, camera):
    from pixelcal.io.tables import read_columns

    page.show("fit")
    spectra = read_columns(camera[0]["10ks"]["spectra"], "SPECTRA")["COUNTS"]
    for detnum, said in ((5, "poor fit"), (80, "no valid fit: data by the previous relation")):
        page.run(f"{TABLE}.querySelector('tr[data-pixel=\"{detnum}\"]').click()")
        page.show("fit")
        assert title(page, "fit").startswith(f"Pixel {detnum} in 10ks") and said in title(
            page, "fit"
        )
        drawn = column(page, "document.getElementById('fit').data[0].y")[:-1]
        first = page.run(f"current().fits[{detnum}].first[0]")
        assert drawn.tolist() == np.asarray(spectra[detnum])[first : first + len(drawn)].tolist()
        n_traces = page.run("document.getElementById('fit').data.length")
        assert n_traces == (N_BLOCKS if detnum == 80 else 4 * N_BLOCKS)
    page.run(f"{TABLE}.querySelector('tr[data-pixel=\"17\"]').click()")
    page.wait("document.querySelector('#fit .empty')?.textContent.includes('no count')")


# --- light, dark, narrow, printed, without script -------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 800, 420])
def test_it_is_readable_wide_and_narrow_light_and_dark(browser, camera, tmp_path, width, dark):
    matplotlib_image = pytest.importorskip("matplotlib.image")
    browser.open(camera[1], width, 1000, dark)
    draw_all(browser)
    assert too_wide(browser) == []
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    colour = {
        name: browser.run(f"{style}('--{name}').trim()")
        for name in ("paper", "panel", "ink", "soft", "good", "bad", "accent")
    }
    for ground in ("paper", "panel"):
        for ink in ("ink", "soft", "good", "bad", "accent"):
            assert contrast(colour[ink], colour[ground]) > 4.5, (ink, ground, dark)
    assert (luminance(colour["paper"]) < 0.1) == dark
    axis = browser.run("getComputedStyle(document.querySelector('#bands .xtick text')).fill")
    channels = [int(value) for value in re.findall(r"\d+", axis)[:3]]
    assert contrast("#" + "".join(f"{c:02x}" for c in channels), colour["paper"]) > 7
    # A map of 6400 pixels has many colours, where text has shades of grey.
    choose(browser, "quantity", "fwhm")
    browser.show("camera")
    browser.picture(tmp_path / "page.png")
    image = matplotlib_image.imread(tmp_path / "page.png")[..., :3]
    assert image.shape[:2] == (1000, width)
    assert len(np.unique((image.reshape(-1, 3) * 31).astype(int), axis=0)) > 150
    if width >= 800:
        hidden = "part => part.scrollWidth > part.clientWidth"
        tables = "Array.from(document.querySelectorAll('.of-exposure.shown .tall'))"
        assert browser.run(f"{tables}.length") == 2
        assert not browser.run(f"{tables}.some({hidden})")  # no column under the scroll bar


@pytest.mark.parametrize("width", [1280, 800, 420])
def test_no_heading_hides_under_the_navigation(browser, camera, width):
    browser.open(camera[1], width, 900)
    links = browser.run(
        "Array.from(document.querySelectorAll('nav a'), a => a.getAttribute('href').slice(1))"
    )
    assert len(links) == 10
    for identifier in links:
        browser.run(f"document.querySelector('nav a[href=\"#{identifier}\"]').click()")
        browser.wait(f"location.hash === '#{identifier}'")
        if identifier != links[-1]:  # below the last one there may be too little to scroll
            assert is_below_navigation(browser, identifier), identifier
    assert browser.run("document.querySelector('nav').offsetHeight") < 100


def test_headings_of_a_long_table_stay_when_it_is_printed(page):
    page.send("Emulation.setEmulatedMedia", media="print")
    said = (
        "Array.from(document.querySelectorAll('#pixels-1 thead th'),"
        " th => getComputedStyle(th, '::before').content.slice(1, -1))"
    )
    buttons = "Array.from(document.querySelectorAll('#pixels-1 thead button'), b => b.textContent)"
    assert page.run(said) == page.run(buttons)
    assert page.run("document.querySelector('#pixels-1 thead button').offsetHeight") == 0


def test_the_reader_may_change_to_dark(page):
    page.show("bands")
    before = page.run("document.getElementById('bands')._fullLayout.font.color")
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    page.send("Emulation.setEmulatedMedia", media="", features=[scheme])
    page.wait(f"document.getElementById('bands')._fullLayout.font.color !== {before!r}")


def test_it_prints_every_plot_on_paper(page):
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    widths = page.run("Array.from(document.querySelectorAll('.main-svg'), svg => svg.clientWidth)")
    assert min(widths) > 0 and max(widths) <= PAPER_PX
    assert page.run("document.getElementById('bands')._fullLayout.font.color") == "#1c2733"
    page.run("window.dispatchEvent(new Event('afterprint'))")
    pdf = printed(page)
    assert pdf.startswith(b"%PDF") and len(pdf) > 100_000
    assert 1 < pages_of(pdf) <= MOST_PAGES
    missing = "Object.keys(draw).filter(id => !document.querySelector(`#${id} .main-svg`))"
    assert page.run(missing) == []
    folded = "Array.from(document.querySelectorAll('details'), part => part.open)"
    assert not any(page.run(folded))  # as before it was printed


def test_nothing_is_cut_off_on_paper(page):
    scroll_bar = page.run("innerWidth - document.documentElement.clientWidth")
    page.resize(PAPER_PX + scroll_bar, 1000)
    page.send("Emulation.setEmulatedMedia", media="print")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert all(page.run("Array.from(document.querySelectorAll('details'), part => part.open)"))
    assert too_wide(page) == []
    assert page.run("document.querySelector('#pixels-1').offsetHeight") == page.run(
        "document.querySelector('#pixels-1').parentElement.clientHeight"
    )
    page.run("window.dispatchEvent(new Event('afterprint'))")


def test_without_script_the_tables_of_all_exposures_are_there(browser, camera):
    browser.open(camera[1], script=False)
    shown = "Array.from(document.querySelectorAll('.of-exposure'), part => part.offsetHeight > 0)"
    assert all(browser.run(shown))
    assert browser.run("document.querySelector('noscript').textContent.includes('JavaScript')")
    assert browser.run("document.querySelector('nav').offsetHeight") == 0
    assert browser.run("document.querySelector('.card svg').getBoundingClientRect().width") > 100


# --- unusual runs ---------------------------------------------------------------------------------


def lose_all(rows):
    from helpers.synthetic import silence

    from pixelcal.status import EnergyStatus

    silence(rows, rows["DETNUM"], EnergyStatus.NOT_CONVERGED)


@pytest.mark.parametrize(
    ("n_pixels", "options", "method", "said"),
    [
        (
            64,
            {"change": lose_all},
            "joint",
            {"bands": "no pixel has a valid fit", "stack": "no valid fit to add up"},
        ),
        (1, {}, "joint", {}),
        (64, {"with_truth": False}, "joint", {}),
        (64, {}, "two-step", {"stack": "learns no response"}),
    ],
    ids=["no healthy pixel", "one pixel", "no truth", "two-step"],
)
def test_unusual_runs(browser, tmp_path, n_pixels, options, method, said):
    from helpers.report_pages import make_camera, write_report

    page = write_report(
        tmp_path, make_camera(tmp_path, n_pixels, {"week": 10000}, **options), method=method
    )
    browser.open(page)
    for identifier in draw_all(browser):
        text = browser.run(f"document.querySelector('#{identifier} > .empty')?.textContent ?? ''")
        if identifier in said:
            assert said[identifier] in text
        elif "change" not in options:
            assert text == "", identifier
    for value in browser.run("quantities.map(item => item.key)"):
        choose(browser, "quantity", value)
    assert title(browser, "camera").startswith("week: ")
    assert browser.run("!!document.getElementById('pulls')") == options.get("with_truth", True)
    # No column is of dashes alone.
    dashes = browser.run(
        "Array.from(document.querySelectorAll('table.numbers, table.sortable'), table =>"
        " Array.from(table.tHead.rows[0].cells, (th, k) => table.tBodies[0].rows.length &&"
        " Array.from(table.tBodies[0].rows).every(row => row.cells[k].textContent === '–')))"
    )
    assert not any(sum(dashes, []))


@pytest.mark.parametrize(
    ("pixels", "columns", "rows"),
    [(64, (15.5, 79.5), (-0.5, 0.5)), (160, (-0.5, 79.5), (-0.5, 1.5))],
)
def test_a_partial_camera_fills_its_map(browser, tmp_path, pixels, columns, rows):
    """DETNUM runs from right to left, 80 pixels in a row: 64 are a strip, and no square."""
    from helpers.report_pages import make_camera, write_report

    browser.open(write_report(tmp_path, make_camera(tmp_path, pixels, {"week": 10000})))
    browser.show("camera")
    frame = "document.getElementById('camera')._fullLayout"
    assert browser.run(f"{frame}.xaxis.range") == pytest.approx(columns)
    assert browser.run(f"{frame}.yaxis.range") == pytest.approx(rows)
    width, height = browser.run(f"[{frame}.xaxis._length, {frame}.yaxis._length]")
    assert width > 400 and width / height < 8  # pixels that can be seen, and clicked
    box = f"0 {80 - int(rows[1] + 0.5)} 80 2" if pixels == 160 else "16 79 64 1"
    assert browser.run("document.querySelector('.card svg').getAttribute('viewBox')") == box
    assert browser.run("document.querySelector('.card svg').clientHeight") >= 28
