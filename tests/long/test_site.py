"""The documentation site: built without a warning, every link whole, the notebook executed."""

import os
import subprocess
from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from helpers.paths import PROJECT

SPHINX = PROJECT / ".venv-docs" / "bin" / "sphinx-build"
NOTEBOOK = "docs/notebooks/relation.html"

pytestmark = pytest.mark.skipif(not SPHINX.exists(), reason="`make site` makes .venv-docs")


class Page(HTMLParser):
    """Anchors, links, and files that a page loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.update(given[key] for key in ("id", "name") if given.get(key))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("img", "script", "iframe") and given.get("src"):
            self.loads.append(given["src"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(given["href"])


@cache
def parsed(path):
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site; no proxy leads anywhere, so nothing can come from a network."""
    folder = tmp_path_factory.mktemp("site") / "html"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    run = subprocess.run(
        [SPHINX, "--fail-on-warning", "--keep-going", "-c", "docs", ".", folder],
        cwd=PROJECT,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(found) > 45
    return found


def test_every_page_of_the_project_is_in_the_site(site):
    sources = {*(PROJECT / "docs").rglob("*.md"), PROJECT / "config" / "README.md"}
    sources |= {PROJECT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")}
    for source in sources:
        assert (site / source.relative_to(PROJECT)).with_suffix(".html").is_file(), source


def test_links_and_anchors_are_whole(site, pages):
    checked = 0
    for path in pages:
        for link in [*parsed(path).links, *parsed(path).loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file() and target.is_relative_to(site), f"{path.name}: {link}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in parsed(target).anchors, f"{path.name}: {link}"
            checked += 1
    assert checked > 3000


def test_nothing_is_loaded_from_elsewhere(pages):
    for path in pages:
        away = [link for link in parsed(path).loads if urlsplit(link).netloc]
        assert not away, f"{path.name}: {away}"


def test_every_page_has_the_list_of_all(site, pages):
    start = site / "docs" / "index.html"
    assert "docs/index.html" in (site / "index.html").read_text("utf-8")
    for path in set(pages) - {site / "index.html"}:
        linked = {(path.parent / urlsplit(link).path).resolve() for link in parsed(path).links}
        assert {start, site / "docs/tutorial.html", site / "docs/glossary.html"} - linked <= {path}


def test_the_notebook_was_executed(site):
    text = (site / NOTEBOOK).read_text("utf-8")
    assert "of 32 pixels are good" in text
    assert "pixel jump" in text and "pixel 7: +1." in text
    figures = [name for name in parsed(site / NOTEBOOK).loads if name.endswith(".png")]
    assert len(figures) == 2


def test_the_api_has_its_docstrings(site):
    from pixelcal import api

    page = parsed(site / "docs" / "api.html")
    text = (site / "docs" / "api.html").read_text("utf-8")
    for name in api.__all__:
        assert f"pixelcal.api.{name}" in page.anchors, name
    assert text.count("Parameters") >= 8 and "Raises" in text
