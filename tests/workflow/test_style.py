"""The tools that watch style find nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["snakefmt", "--check", "workflow"],
    ],
    ids=" ".join,
)
def test_style(command):
    run = subprocess.run(
        [TOOLS / command[0], *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(not (TOOLS / "codespell").exists(), reason="codespell is not installed")
def test_spelling():
    run = subprocess.run(
        [TOOLS / "codespell"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_lint(project, snakemake):
    run = snakemake(project, "--lint")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "workflow/rules").rglob("*.smk")), ids=lambda path: path.name
)
def test_rules_are_documented_in_the_fixed_form(path):
    text = path.read_text(encoding="utf-8")
    for rule in _rules(text):
        for part in ("What:", "Physics:", "Wildcards:"):
            assert part in rule, f"{rule.splitlines()[0]} lacks '{part}'"
        for directive in ("output:", "log:", "benchmark:", "conda:", "threads:", "resources:"):
            assert f"\n    {directive}" in rule, f"{rule.splitlines()[0]} lacks {directive}"


def _rules(text):
    """The rules of a file, each from its name on."""
    return ("\n" + text).split("\nrule ")[1:]
