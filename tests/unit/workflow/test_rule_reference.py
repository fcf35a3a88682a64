"""The page of the rules: what it says is what the rules say."""

import re

import pytest

import rule_reference

FILE = '''
rule first:
    """
    What: a file,
        on two lines.
    Physics: none.
    Wildcards: exposure, a name.
    """
    output:
        "a",


rule second:
    """
    What: another.
    Physics: some: with a colon.
    Wildcards: none.
    """
'''


def test_the_parts_of_a_docstring_come_on_one_line_each():
    first, second = rule_reference.rules(FILE)
    assert first.name == "first"
    assert first.parts == {
        "What": "a file, on two lines.",
        "Physics": "none.",
        "Wildcards": "exposure, a name.",
    }
    assert second.parts["Physics"] == "some: with a colon."


def test_a_rule_without_a_docstring_is_named():
    with pytest.raises(ValueError, match="third: has no docstring"):
        list(rule_reference.rules(FILE + "\n\nrule third:\n    output:\n        'b',\n"))


def test_a_part_that_is_missing_is_named():
    with pytest.raises(ValueError, match="first: its docstring lacks Physics"):
        list(rule_reference.rules(FILE.replace("    Physics: none.\n", "")))


def test_every_file_of_rules_is_included_in_its_order():
    names = [path.name for path in rule_reference.rule_files()]
    folder = rule_reference.PROJECT / "workflow" / "rules"
    assert sorted(names) == sorted(path.name for path in folder.rglob("*.smk"))
    assert names.index("events.smk") < names.index("spectra.smk") < names.index("report.smk")


def test_the_page_holds_every_rule():
    headings = re.findall(r"^## `(\w+)`$", rule_reference.reference(), re.MULTILINE)
    folder = rule_reference.PROJECT / "workflow" / "rules"
    written = [
        line.removeprefix("rule ").removesuffix(":")
        for path in folder.rglob("*.smk")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("rule ")
    ]
    assert sorted(headings) == sorted(written)


def test_the_page_is_as_the_rules_say():
    text = rule_reference.PAGE.read_text(encoding="utf-8")
    assert text == rule_reference.reference(), "docs/rules.md is stale: run `make docs`"
