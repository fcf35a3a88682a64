"""The commands of the documentation: every target reaches Snakemake as a target."""

import re
import shlex

import pytest
from helpers.paths import PROJECT
from snakemake.cli import get_argument_parser

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("config/*.md")])
TARGETS = ("all", "history", "spe", "charge_resolution", "sstcam", "sstcam_history")
INLINE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|((?:^ {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
SHELLS = ("", "bash", "sh", "shell", "console")


def commands(text):
    """The words of each `snakemake` command in a page, from blocks and from running text."""
    blocks = [
        block[2] or block[3]
        for block in BLOCK.finditer(text)
        if block[3] or (block[1] in SHELLS and "snakefile:" not in block[2])
    ]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [inline[2].replace("\n", " ") for inline in INLINE.finditer(BLOCK.sub("", text))]
    for line in lines:
        for part in re.split(r"&&|\|\||[;|]", line):
            call = re.search(r"(?:^|[\s/])snakemake (.*)", part.strip().removeprefix("$ "))
            if call:
                yield shlex.split(call[1], comments=True)


def targets_of(words):
    """The words of a command that are meant as targets."""
    cores = [place + 1 for place, word in enumerate(words) if word == "--cores"]  # may be "all"
    return [
        word
        for place, word in enumerate(words)
        if (word in TARGETS and place not in cores) or word.startswith("results/")
    ]


def swallowed(words):
    """Targets of a command that Snakemake's parser gives to an option."""
    try:
        options, _ = get_argument_parser().parse_known_args(words)
    except SystemExit:  # an option that knows its values was given a target
        return targets_of(words)
    taken = {str(target) for target in options.targets}
    return [word for word in targets_of(words) if word not in taken]


def test_the_parser_tells_a_target_that_an_option_takes():
    swallowing = [
        ("snakemake --cores 2 --configfile mine.yaml sstcam", ["sstcam"]),
        ("snakemake --cores 2 --configfile mine.yaml -- sstcam", []),
        ("snakemake --cores 2 --sdm conda \\\n  results/report.html", ["results/report.html"]),
        ("snakemake --cores 2 results/report.html", []),
        ("snakemake history --config run=a", []),
    ]
    for typed, expected in swallowing:
        for page in (f"```bash\n{typed}\n```\n", f"\n    {typed}\n".replace("\n  r", "\n      r")):
            (words,) = commands(page)
            assert swallowed(words) == expected, typed
    assert [*commands("run `snakemake\nspe` or `snakemake -n`")] == [["spe"], ["-n"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_no_option_takes_a_target(page):
    text = page.read_text(encoding="utf-8")
    wrong = [" ".join(words) for words in commands(text) if swallowed(words)]
    assert not wrong, f"{page.name}: put -- before the target of: {wrong}"


def test_commands_are_found():
    """There are many, so that the test above does not pass for want of any."""
    found = [words for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]
    assert len(found) > 45 and sum(bool(targets_of(words)) for words in found) > 15
