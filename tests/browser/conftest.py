"""One headless browser for all tests of this folder; without a browser they are skipped."""

import pytest
from helpers.chromium import COMMAND, MISSING, Chromium


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
    outside = [url for url in chromium.requests if not url.startswith(("file:", "data:", "about:"))]
    assert outside == []
