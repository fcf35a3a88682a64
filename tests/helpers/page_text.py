"""Reading a page without a browser: cells of its tables, its words, its packed arrays."""

import base64
import re
from html.parser import HTMLParser

import numpy as np


class Cells(HTMLParser):
    """Texts of all table cells, captions and paragraphs, and all addresses that the page loads."""

    TAGS = ("td", "th", "caption", "p")

    def __init__(self):
        super().__init__()
        self.cells, self.addresses, self._inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        if tag in self.TAGS:
            self.cells.append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._inside = self._inside and tag not in self.TAGS

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


def read_cells(page):
    parser = Cells()
    parser.feed(page.read_text("utf-8"))
    return parser


def words_of(page):
    return "\n".join(read_cells(page).cells)


def is_shown(value, cells):
    """Whether a cell gives a number, right to half a unit of the last decimal that it shows."""
    for cell in cells:
        text = cell.split(" ")[0].replace("−", "-")
        digits = len(text.partition(".")[2])
        is_number = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text)
        if is_number and abs(float(text) - value) <= 0.501 * 10.0**-digits:
            return True
    return False


def unpack(array):
    values = np.frombuffer(base64.b64decode(array["data"]), f"<{array['type']}")
    return values * array["step"] if "step" in array else values
