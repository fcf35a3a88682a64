"""Writes docs/rules.md, every rule of the workflow, from the docstrings of the rules.

python docs/tools/rule_reference.py
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
SNAKEFILE = PROJECT / "workflow" / "Snakefile"
PAGE = PROJECT / "docs" / "rules.md"

PARTS = ("What", "Physics", "Wildcards")
"""The parts of a rule's docstring, in this order."""

_INTRODUCTION = """\
# Rules

Written from the docstrings in `workflow/rules/` by `make docs`: do not edit it here.

The rules stand in the order of the walk, a file for each stage. [The chain](chain.md) says how they
hang together, [the products](products.md) what they write.
"""

_INCLUDE = re.compile(r'^ *include: RULES / "(.+\.smk)"$', re.MULTILINE)
_RULE = re.compile(r'^rule (\w+):\n    """\n(.*?)\n    """$', re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"^rule (\w+):", re.MULTILINE)


class Rule(NamedTuple):
    """Name of a rule and the text of each of `PARTS`."""

    name: str
    parts: dict[str, str]


def rule_files(snakefile: Path = SNAKEFILE) -> list[Path]:
    """The rule files that a Snakefile includes, in its order."""
    text = snakefile.read_text(encoding="utf-8")
    return [snakefile.parent / "rules" / name for name in _INCLUDE.findall(text)]


def rules(text: str) -> Iterator[Rule]:
    """The rules in the text of a rule file, in its order.

    Raises
    ------
    ValueError
        Where a rule has no docstring, or one that lacks a part.
    """
    docstrings = dict(_RULE.findall(text))
    for name in _NAME.findall(text):
        if name not in docstrings:
            raise ValueError(f"rule {name}: has no docstring")
        yield Rule(name, _parts(name, inspect.cleandoc(docstrings[name])))


def _parts(name: str, docstring: str) -> dict[str, str]:
    """Text of each part of a docstring, on one line."""
    pieces = re.split(rf"^({'|'.join(PARTS)}):", docstring, flags=re.MULTILINE)
    parts = {
        part: " ".join(text.split()) for part, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }
    missing = [part for part in PARTS if not parts.get(part)]
    if missing:
        raise ValueError(f"rule {name}: its docstring lacks {', '.join(missing)}")
    return parts


def reference(snakefile: Path = SNAKEFILE) -> str:
    """The text of docs/rules.md."""
    lines = [_INTRODUCTION]
    for path in rule_files(snakefile):
        for rule in rules(path.read_text(encoding="utf-8")):
            lines += [f"## `{rule.name}`", "", f"`{path.relative_to(snakefile.parents[1])}`", ""]
            lines += [f"- **{part}.** {_sentence(rule.parts[part])}" for part in PARTS]
            lines.append("")
    return "\n".join(lines)


def _sentence(text: str) -> str:
    """`text` with a capital in front."""
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
