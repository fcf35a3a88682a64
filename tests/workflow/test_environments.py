"""An environment per rule: complete, nothing beyond, in the versions of the requirements.

tests/long/test_conda.py runs the workflow in them.
"""

import ast
import re
import sys

import pytest
import yaml
from helpers.environments import ENVIRONMENTS, LOCKS, PROJECT, rules

from pixelcal.workflow.library_hash import library_files

PYPI_NAMES = {"matplotlib-base": "matplotlib"}
UNSEEN = {"sstcam_source": {"eventio"}}
"""What is imported by a package alone, where it finds it."""


def dependencies(path):
    """Name -> version of one environment file, by the names that PyPI has."""
    pairs = [entry.split(" =") for entry in yaml.safe_load(path.read_text())["dependencies"]]
    return {PYPI_NAMES.get(name, name): version for name, version in pairs}


def imported_packages(path):
    """Top-level packages that a file imports and that Python does not bring."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"pixelcal", "_path"}


def pinned(lock="run"):
    """Name -> version in one file of requirements."""
    text = (PROJECT / f"requirements/{lock}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_versions_are_those_of_the_requirements(name):
    given = dependencies(ENVIRONMENTS[name])
    assert given.pop("python") == "3.11"
    versions = pinned(LOCKS.get(name, "run"))
    assert given == {package: versions[package] for package in given}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_one_channel_and_no_other(name):
    given = yaml.safe_load(ENVIRONMENTS[name].read_text())
    assert given["channels"] == ["conda-forge", "nodefaults"]


def test_every_environment_is_used():
    assert {environment for _, environment, _ in rules()} == set(ENVIRONMENTS)


@pytest.mark.parametrize(("rule", "environment", "script"), rules())
def test_an_environment_holds_what_its_script_imports(rule, environment, script):
    path = PROJECT / "workflow" / "scripts" / f"{script}.py"
    needed = set().union(*(imported_packages(file) for file in [path, *library_files(path)]))
    given = set(dependencies(ENVIRONMENTS[environment])) - {"python"}
    assert needed <= given, f"{rule}: {environment}.yaml lacks {needed - given}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_holds_nothing_else(environment):
    needed = set()
    for _, used, script in rules():
        if used == environment:
            path = PROJECT / "workflow" / "scripts" / f"{script}.py"
            needed.update(*(imported_packages(file) for file in [path, *library_files(path)]))
    given = set(dependencies(ENVIRONMENTS[environment])) - {"python"}
    assert given == needed | UNSEEN.get(environment, set())


def test_test_requirements_are_a_superset():
    run, test = ((PROJECT / f"requirements/{name}.txt").read_text() for name in ("run", "test"))
    versions = [dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)) for text in (run, test)]
    assert versions[0].items() <= versions[1].items()


@pytest.mark.parametrize("name", ["docs", "run", "slurm", "source", "spefit", "test", "uv"])
def test_requirements_have_hashes_and_no_addresses(name):
    text = (PROJECT / f"requirements/{name}.txt").read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
