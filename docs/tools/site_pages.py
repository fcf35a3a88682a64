"""The table of contents of the site, from the lists in docs/index.md.

GitHub shows a `toctree` as code. The lists on that page are therefore what both readers use: the
site makes a hidden toctree of each, so that no page can be in one and not in the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_PAGE = re.compile(r"\]\((?!\w+:)([^)#]+)\.md\)")


def contents(text: str) -> Iterator[tuple[str, list[str]]]:
    """Title and pages, relative to docs/ and without ending, of each section of docs/index.md."""
    for title, body in _SECTION.findall(text):
        pages = list(dict.fromkeys(_PAGE.findall(body)))
        if pages:
            yield title, pages


def add_contents(app, docname: str, source: list[str]) -> None:
    """Append the toctrees to the start page; a handler of Sphinx's `source-read`."""
    if docname != app.config.root_doc:
        return
    for title, pages in contents(source[0]):
        entries = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n"
