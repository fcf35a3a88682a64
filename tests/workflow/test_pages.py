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


IMAGES = PROJECT / "docs" / "images"


@pytest.mark.parametrize("path", sorted(IMAGES.rglob("*.png")), ids=lambda path: path.name)
def test_a_page_names_the_command_that_makes_a_picture(path):
    """The page that shows it has a command with the file, or with a tool that knows the file."""
    name = path.relative_to(IMAGES).as_posix()
    pages = [page.read_text("utf-8") for page in (PROJECT / "docs").glob("*.md")]
    shown = [text for text in pages if f"](images/{name})" in text]
    assert shown, f"no page shows {name}"
    tools = {tool.name: tool.read_text("utf-8") for tool in (PROJECT / "docs/tools").glob("*.py")}
    known = [tool for tool, text in tools.items() if path.name.removeprefix("pixel_") in text]
    made = any(
        re.search(rf"python .*docs/images/{name}", text)
        or any(f"python docs/tools/{tool}" in text for tool in known)
        for text in shown
    )
    assert made


def test_the_readme_fits_on_few_screens():
    text = (PROJECT / "README.md").read_text("utf-8")
    assert text.count("\n") < 120
    assert text.count("![") == 1


# --- numbers that are quoted twice ---------------------------------------------------------------

README = (PROJECT / "README.md").read_text("utf-8")


def rows(page, heading):
    """Cells of the rows of all tables under a heading of a page."""
    text = (PROJECT / "docs" / page).read_text("utf-8").split(f"\n## {heading}\n")[1]
    lines = text.split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]


@pytest.mark.parametrize("seconds", ["3", "5", "10"])
def test_the_readme_quotes_the_validation(seconds):
    found = [row for row in rows("validation.md", "The flight camera") if row[0] == f"{seconds}ks"]
    energies = [row for row in found if len(row) == 10]
    ((_, valid, _, doubtful, _),) = (row for row in found if len(row) == 5)
    assert [row[1] for row in energies] == ["4", "15", "50", "80", "150"]
    over_total = sorted((row[7] for row in energies), key=float)
    quoted = [
        f"{seconds} ks",
        *(row[9] for row in energies),
        f"{over_total[0]} to {over_total[-1]}",
        f"{int(valid) - int(doubtful)} of 6400",
    ]
    assert f"| {' | '.join(quoted)} |" in README


def test_the_readme_quotes_stix():
    page = (PROJECT / "docs" / "stix.md").read_text("utf-8")
    good, percent = re.search(r"and (\d+) of them \((\d+) %\) can be used", page).groups()
    assert round(100 * int(good) / 384) == int(percent)
    assert f"(docs/stix.md), {percent} % can be used" in README
    (median,) = (row[1:] for row in rows("stix.md", "What comes out") if row[0] == "median (keV)")
    low, middle, high = (abs(float(value.replace("−", "-"))) for value in median)
    assert low < 0.01 and "within 0.01 keV at 31 keV" in README
    assert f"{middle:.2f} and {high:.2f} keV" in " ".join(README.split())


def test_the_readme_quotes_the_single_photoelectron_fits():
    page = (PROJECT / "docs" / "benchmarks.md").read_text("utf-8")
    bias, width = re.search(r"^PE +(\S+) +\S+ +\S+ +\S+ +(\S+) ", page, re.MULTILINE).groups()
    assert f"bias of {float(bias):.3f} % and pulls of width {float(width):.2f}" in " ".join(
        README.split()
    )
    troubles = (PROJECT / "docs" / "spe-fit.md").read_text("utf-8")
    assert "13\n  of 20 pixels were called good, with a pe 7 %" in troubles
    assert "13 of 20 were called good, 7 % off" in " ".join(README.split())


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
