"""The page about the gains of many dates in a browser: charts, map, and the pixel asked for."""

import numpy as np
import pytest
from helpers.gain_sets import MAP, write_sets
from helpers.page_actions import too_wide
from helpers.synthetic import run_script


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of six sets in which pixel 5 jumps by -8 %."""
    folder = tmp_path_factory.mktemp("gains")
    changes = np.ones((6, 64))
    changes[3:, 5] = 0.92
    paths = [str(path) for path in write_sets(folder, changes)]
    made = {name: folder / name for name in ("history.fits", "alarms.txt", "history.html")}
    output = dict(zip(("history", "alarms", "page"), made.values(), strict=True))
    limits = {"camera_percent": 1, "module_percent": 1, "pixel_percent": 3}
    params = {"history": {"false_alarms": 0.1, "alarms": limits}, "date": None}
    run_script("make_sstcam_history", folder, {"sets": paths, "pixel_map": MAP}, output, params)
    return output["page"]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (800, True), (420, False)])
def test_it_fits_the_window(browser, written, width, dark):
    browser.open(written, width, 1000, dark)
    assert too_wide(browser) == []
    # Camera, pixel, temperature and bias voltage; one module is too few.
    assert browser.run("document.querySelectorAll('.chart svg').length") == 4


def test_the_pixel_that_jumped_is_shown_and_any_other_on_demand(browser, written):
    browser.open(written)
    title = "document.getElementById('pixel-title').textContent"
    assert browser.run(title).startswith("Pixel 5, module 0")
    assert browser.run("document.querySelectorAll('#pixel-plot .jump').length") == 1
    assert browser.run("document.querySelectorAll('#pixel-plot circle.single').length") == 6
    assert browser.run("document.querySelectorAll('#alarm-table tbody tr').length") >= 2
    browser.run("location.hash = '#pixel=11'")
    browser.wait(f"{title}.startsWith('Pixel 11,')")
    for quantity in ("opct", "dark", "eped", "gain"):
        browser.run(
            f"{{ const list = element('quantity'); list.value = '{quantity}';"
            " list.dispatchEvent(new Event('change')); }"
        )
        assert browser.run("document.querySelectorAll('#pixel-plot circle.single').length") == 6
