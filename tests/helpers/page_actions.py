"""What a reader does with a page in a browser, and what is then to be seen."""

import base64
import json
import re

import numpy as np

REQUIRED_S = 3.0
"""The page of the full camera has to open within this time."""


def choose(page, identifier, value):
    """Choose an entry of a list, as a reader does."""
    page.run(
        f"{{ const list = document.getElementById('{identifier}'); list.value = {value!r};"
        " list.dispatchEvent(new Event('change')); }"
    )


def title(page, identifier):
    return page.run(f"document.querySelector('#{identifier} .gtitle')?.textContent")


def column(page, expression):
    """Numbers of an expression that gives an array; NaN where there is none."""
    values = page.run(f"JSON.stringify(Array.from({expression}))")
    return np.array([np.nan if value is None else value for value in json.loads(values)])


def draw_all(page):
    identifiers = page.run("Object.keys(draw)")
    for identifier in identifiers:
        page.show(identifier)
    return identifiers


TABLE = "document.querySelector('.of-exposure.shown table.sortable')"


def cells(page, index):
    return page.run(f"Array.from({TABLE}.tBodies[0].rows, row => row.cells[{index}].textContent)")


def press_heading(page, index):
    page.run(f"{TABLE}.tHead.rows[0].cells[{index}].querySelector('button').click()")
    return page.run(f"{TABLE}.tHead.rows[0].cells[{index}].getAttribute('aria-sort')")


def search(page, text):
    page.run(
        f"{{ const box = document.getElementById('search'); box.value = {text!r};"
        " box.dispatchEvent(new Event('input')); }"
    )
    shown = f"Array.from({TABLE}.tBodies[0].rows).filter(row => row.offsetHeight > 0)"
    return page.run(f"{shown}.map(row => row.dataset.pixel)")


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def contrast(one, other):
    """Contrast of two colours, as the accessibility guidelines (WCAG 2) define it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def ask_for_pixel(page, text):
    """Type a number into the box of the navigation and press Enter, as a reader does."""
    page.run(
        f"{{ document.getElementById('wanted').value = {text!r};"
        " document.getElementById('ask').requestSubmit(); }"
    )


def pairs(page):
    """What the panel says of the pixel, by the words at the left."""
    rows = page.run(
        "Array.from(document.querySelectorAll('#pixel table tr'),"
        " row => Array.from(row.cells, cell => cell.textContent))"
    )
    return {row[0]: row[1:] for row in rows}


def is_below_navigation(page, identifier):
    """Whether an element is in the window, and not under the navigation that sticks to its top."""
    return page.run(
        "(() => { const bottom = document.querySelector('nav').getBoundingClientRect().bottom,"
        f" top = document.getElementById({identifier!r}).getBoundingClientRect().top;"
        " return top >= bottom && top < innerHeight; })()"
    )


def too_wide(page):
    """What reaches out of the window to the right, and is in nothing that scrolls."""
    return page.run(
        "(() => { const width = document.documentElement.clientWidth;"
        " const scrolls = place => place && (/auto|hidden|scroll/.test("
        "getComputedStyle(place).overflowX) || scrolls(place.parentElement));"
        " const wide = Array.from(document.body.querySelectorAll('*')).filter(place =>"
        " place.getBoundingClientRect().right > width + .5 && !place.closest('svg')"
        " && !scrolls(place.parentElement)).map(place =>"
        " `${place.tagName} ${place.id} ${place.className}`);"
        " return document.documentElement.scrollWidth > width ? ['the page', ...wide] : wide; })()"
    )


def printed(page):
    """The page as it is printed, as PDF; the size of the paper is the page's."""
    answer = page.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
    return base64.b64decode(answer["data"])


def pages_of(pdf):
    """How many pages a PDF of the browser has."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def with_hyphens(page):
    """Texts in which a hyphen stands before a number, where a minus sign should."""
    return page.run(
        "Array.from(document.querySelectorAll('td, p, caption, #pixel *, .gtitle, .xtick, .ytick'),"
        " place => place.textContent).filter(text => /(^|[\\s(±])-[0-9.]/.test(text))"
    )
