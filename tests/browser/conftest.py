"""One headless browser for all tests of this folder; without a browser they are skipped."""

import pytest

from chromium import COMMAND, MISSING, Chromium


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    if COMMAND is None:
        pytest.skip(MISSING)
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    """The browser, with nothing noted yet; a test fails where its page complains."""
    chromium.problems.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.problems == []
    inside = ("file:", "data:", "about:", "blob:")  # a blob is what the page itself made
    outside = [url for url in chromium.requests if not url.startswith(inside)]
    assert outside == []
