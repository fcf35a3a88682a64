"""Writes docs/images/report.png and report-errors.png, pictures of the page of a run.

PYTHONPATH=workflow/scripts python docs/tools/report_pictures.py [results/report.html]

Needs a chromium command, and the default run (`make run`). The page is opened in light colours,
1400 px wide, with one exposure and one pixel chosen.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from chromium import COMMAND, MISSING, Chromium
from gallery import shrink
from pixelcal.errors import InputError

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "docs" / "images"
DEFAULT_PAGE = Path("results/report.html")
EXPOSURE, PIXEL = "10ks", 1234
WIDTH_PIXELS, SCROLLBAR_PIXELS, MARGIN_PIXELS = 1400, 15, 12

PICTURES = {
    "report.png": (("camera", "values"), None, "errors"),
    "report-errors.png": (("bands", "correlation", "stack"), "errors", "adequacy"),
}
"""Plots that must be drawn, the element that is at the top, and the one before which it ends."""


def top_of(browser: Chromium, identifier: str) -> float:
    """Where an element begins, in px from the top of the page."""
    place = f"document.getElementById({identifier!r})"
    return browser.run(f"{place}.getBoundingClientRect().top + window.scrollY")


def first_below(browser: Chromium, identifier: str) -> float:
    """Where the exposure's folded line shape, or else the heading `identifier`, begins."""
    folded = "document.querySelector('.of-exposure.shown details')"
    if identifier == "adequacy" and browser.run(f"!!{folded}"):
        return browser.run(f"{folded}.getBoundingClientRect().top + window.scrollY")
    return top_of(browser, identifier)


def take_pictures(page: Path, folder: Path = FOLDER) -> None:
    """Take PICTURES of the page of a run.

    Raises
    ------
    InputError
        Where the page or a browser is missing.
    """
    if not page.is_file():
        raise InputError(f"{page}: no such page; make it with make run")
    if COMMAND is None:
        raise InputError(f"{MISSING}; install Chromium")
    with tempfile.TemporaryDirectory() as place, Chromium(Path(place, "profile")) as browser:
        browser.open(page.resolve(), width=WIDTH_PIXELS)
        exposures = browser.run(
            "Array.from(document.getElementById('exposure').options, o => o.text)"
        )
        if EXPOSURE in exposures:
            browser.run(
                "{ const list = document.getElementById('exposure');"
                f" list.value = '{exposures.index(EXPOSURE)}';"
                " list.dispatchEvent(new Event('change')); }"
            )
        browser.run(f"location.hash = '#pixel={PIXEL}'")
        for name, (plots, first, end) in PICTURES.items():
            for plot in plots:
                browser.show(plot)
            top = 0.0 if first is None else top_of(browser, first) - MARGIN_PIXELS
            clip = {
                "x": 0,
                "y": top,
                "width": WIDTH_PIXELS - SCROLLBAR_PIXELS,
                "height": first_below(browser, end) - MARGIN_PIXELS - top,
                "scale": 1,
            }
            browser.run("window.scrollTo(0, 0)")  # the navigation sticks to the top of the window
            taken = browser.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
            picture = Path(place, name)
            picture.write_bytes(base64.b64decode(taken["data"]))
            shrink(picture, folder / name, WIDTH_PIXELS)


if __name__ == "__main__":
    try:
        take_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PAGE)
    except InputError as error:
        sys.exit(f"report_pictures: {error}")
