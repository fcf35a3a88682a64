"""The pages of the documentation: their links, the list of them, and the messages they quote."""

import ast
import re

import pytest
from helpers.paths import PROJECT, SCRIPTS

import site_pages

PAGES = sorted(
    [
        *PROJECT.glob("*.md"),
        PROJECT / "config" / "README.md",
        *(PROJECT / "docs").rglob("*.md"),
    ]
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^(`{3,}).*?^\1`*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def anchors(path):
    """Anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", path.read_text("utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(path):
    for link in LINK.findall(CODE.sub("", path.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        assert there.is_relative_to(PROJECT), link
        if anchor:
            assert anchor in anchors(there), link


def test_the_start_page_lists_every_page_once():
    text = (PROJECT / "docs" / "index.md").read_text("utf-8")
    listed = [page for _, pages in site_pages.contents(text) for page in pages]
    assert len(listed) == len(set(listed))
    there = {(PROJECT / "docs" / f"{page}.md").resolve() for page in listed}
    assert there == set(PAGES) - {PROJECT / "docs" / "index.md"}


def test_the_readme_fits_on_few_screens():
    text = (PROJECT / "README.md").read_text("utf-8")
    assert text.count("\n") < 120
    assert text.count("![") == 1


# --- the messages of docs/faq.md ------------------------------------------------------------------


def messages():
    """Every text in the sources, with … for what is put into it."""
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quoted():
    """The messages that are headings of the page."""
    page = (PROJECT / "docs" / "faq.md").read_text("utf-8")
    return re.findall(r"^### `(.+)`$", page, re.MULTILINE)


def test_the_messages_of_the_questions_are_those_of_the_code():
    wanted = quoted()
    assert len(wanted) >= 10
    texts = list(messages())
    for message in wanted:
        pattern = ".*".join(re.escape(part.strip()) for part in message.split("…"))
        assert any(re.search(pattern, text, re.DOTALL) for text in texts), message
