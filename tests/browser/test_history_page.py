"""The page of a history in a browser without a network."""

import numpy as np
import pytest
from helpers.page_actions import column

JUMPS = {"pixel": (100, 8, 1.0), "module": (5, 11, 0.3), "camera": (0, 15, 0.2)}
SHAPE = (1280, 20)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Paths of a history with a jump of each kind, and its page."""
    from helpers.histories import simulate_history, write_history, write_page, write_relations

    def spoil(number, rows, header):
        if number == 5:
            rows["STATUS"][100] = 32

    folder = tmp_path_factory.mktemp("history")
    history = simulate_history(
        *SHAPE,
        seed=3,
        pixel_jumps=[JUMPS["pixel"]],
        module_jumps=[JUMPS["module"]],
        camera_jumps=[JUMPS["camera"]],
    )
    made = write_history(folder, write_relations(folder / "relations", history, spoil))
    return made, write_page(folder, made)


@pytest.fixture
def page(browser, made):
    browser.open(made[1])
    return browser


def count(page, selector):
    return page.run(f"document.querySelectorAll({selector!r}).length")


def type_pixel(page, text):
    page.run(
        f"{{ const box = document.getElementById('pixel'); box.value = {text!r};"
        " box.dispatchEvent(new Event('change')); }"
    )


def test_everything_is_drawn_with_its_jumps(page):
    assert count(page, "#camera-plot .jump") == 1
    assert count(page, "#camera-plot polyline") == 2  # no line across the jump
    assert count(page, "#pixel-plot .jump") == 2  # its jump, and that of the camera
    assert page.run("document.getElementById('pixel').value") == "100"
    assert count(page, "#pixel-plot circle.single.hollow") == 1
    assert count(page, "#pixel-table tbody tr") == 20
    words = page.run(
        "document.getElementById('pixel-table').tBodies[0].rows[5].cells[4].textContent"
    )
    assert words == "poor fit"
    first = page.run("document.querySelector('#alarm-table tbody tr').textContent")
    assert "camera jump" in first


def test_the_page_holds_what_the_product_says(page, made):
    from pixelcal.energy.history.tables import read_history
    from pixelcal.energy.relation import energy_sigma

    tables = read_history(made[0]["history"])
    names = ("BEST_GAIN", "BEST_OFFSET", "BEST_GAIN_ERR", "BEST_OFFSET_ERR", "BEST_COV")
    best = [tables.column(name)[100].astype(float) for name in names]
    single = [
        tables.column(name)[100].astype(float)
        for name in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")
    ]
    place = (80 - tables.pixels["REF_OFFSET"][100]) / tables.pixels["REF_GAIN"][100]
    shown = lambda key: column(page, f"pixel_history(100, 1).map(point => point.{key})")  # noqa: E731
    assert np.allclose(shown("best"), best[0] * place + best[1] - 80, atol=6e-4)
    assert np.allclose(shown("sigma"), energy_sigma(80, *best), rtol=0.021)
    sigma = energy_sigma(80, *single)
    known = np.isfinite(sigma)
    value = single[0] * place + single[1] - 80
    assert np.allclose(shown("single")[known], value[known], atol=0.25 * sigma[known].max())
    assert np.array_equal(shown("used") > 0, tables.column("USED")[100] > 0)
    camera = column(page, "camera_history(3).map(point => point.best)")
    assert np.allclose(camera, np.asarray(tables.camera["MEAN_80"]) - 80, atol=1e-5)
    module = column(page, "module_history(5, 1).map(point => point.best)")
    rows = tables.modules[np.asarray(tables.modules["MODULE"]) == 5]
    assert np.allclose(module, rows["CHANGE_80"], atol=6e-5)


def test_a_pixel_is_typed(page):
    type_pixel(page, "777")
    assert page.run("document.getElementById('pixel-title').textContent").startswith("Pixel 777,")
    type_pixel(page, "99999")
    assert "no pixel 99999" in page.run("document.getElementById('said').textContent")
    assert page.run("document.getElementById('pixel-title').textContent").startswith("Pixel 777,")


def test_a_pixel_is_clicked_on_the_map(page):
    page.run("document.getElementById('map').scrollIntoView({block: 'center'})")
    box = page.run(
        "(() => { const b = document.getElementById('map').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    x, y = page.run("[place.x[640], place.y[640]]")
    page.press(box[0] + (x + 0.5) / 80 * box[2], box[1] + (79 - y + 0.5) / 80 * box[3])
    assert page.run("document.getElementById('pixel-title').textContent").startswith("Pixel 640,")


def test_another_energy_and_epoch_are_chosen(page):
    before = page.run("document.getElementById('camera-plot').innerHTML")
    page.run(
        "{ const list = document.getElementById('energy'); list.value = 1;"
        " list.dispatchEvent(new Event('change')); }"
    )
    assert page.run("document.getElementById('camera-plot').innerHTML") != before
    assert "15 keV" in page.run("document.getElementById('pixel-plot').textContent")
    map_before = page.run("document.getElementById('map').toDataURL()")
    page.run(
        "{ const list = document.getElementById('epoch'); list.value = 3;"
        " list.dispatchEvent(new Event('input')); }"
    )
    assert page.run("document.getElementById('epoch-name').textContent").startswith("week03")
    assert page.run("document.getElementById('map').toDataURL()") != map_before


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_narrow_window_light_and_dark(browser, made, dark):
    browser.open(made[1], width=390, height=800, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert count(browser, "#camera-plot polyline") == 2


def test_the_tables_are_there_without_scripts(browser, made):
    browser.open(made[1], script=False)  # nothing is asked of the page: it cannot answer
    text = made[1].read_text("utf-8")
    assert "camera jump" in text and "Without JavaScript" in text


def test_six_thousand_pixels_and_a_hundred_epochs_are_under_ten_megabytes(browser, tmp_path):
    from helpers.histories import simulate_history, write_history, write_page, write_relations

    history = simulate_history(6400, 100, seed=4)
    made = write_history(tmp_path, write_relations(tmp_path / "relations", history))
    page = write_page(tmp_path, made)
    assert page.stat().st_size < 10e6
    assert min(browser.open(page) for _ in range(2)) < 5.0
    assert count(browser, "#pixel-table tbody tr") == 100
