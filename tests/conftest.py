"""What tests share: a copy of the project, Snakemake in it, and one run of the CI workflow."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
USED = ("config", "envs", "profiles", "resources", "workflow")
CORES = str(min(os.cpu_count() or 1, 4))


def copy_project(folder):
    """What the workflow needs, copied into `folder` (made here); returns it."""
    folder.mkdir(parents=True)
    for name in USED:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def run_snakemake(folder, *arguments, python=sys.executable, environment=None):
    """Run Snakemake in `folder` and return what it said (stdout and stderr apart)."""
    command = [python, "-m", "snakemake", "--cores", CORES, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def product_checksums(folder):
    """SHA-256 of every product in a folder's results; logs and benchmarks hold clocks."""
    results = folder / "results"
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] not in ("logs", "benchmarks")
    }


@pytest.fixture(scope="session")
def checksums():
    """Function: SHA-256 of every product in a folder."""
    return product_checksums


@pytest.fixture(scope="session")
def snakemake():
    """Function: run Snakemake in a folder."""
    return run_snakemake


@pytest.fixture
def project(tmp_path):
    """A fresh copy of the project without results."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def ci_project(tmp_path_factory):
    """A copy of the project in which the CI workflow has run, for all tests; do not change it."""
    folder = copy_project(tmp_path_factory.mktemp("ci") / "project")
    run = run_snakemake(folder, "--configfile", "config/ci.yaml")
    assert run.returncode == 0, f"the CI workflow failed:\n{run.stderr[-6000:]}"
    return folder


@pytest.fixture(scope="session")
def ci_results(ci_project):
    """`results/` of the CI workflow: eclairs/{exposure}/..., report.html."""
    return ci_project / "results"


SSTCAM_CI = """
pixels: "0-63"
sstcam:
  pixels: "0-15"
  simulation:
    illuminations_pe: [0.7, 2.0]
    flashes: 1000
    scan: {runs: 2, highest_pe: 60, flashes: 40}
"""
"""Fewer pixels, runs and flashes than in config/ci.yaml. One chunk: two at once would compile the
fit twice."""


@pytest.fixture(scope="session")
def sstcam_project(tmp_path_factory):
    """A copy of the project in which `sstcam` has run with sstcam.yaml; do not change it."""
    folder = copy_project(tmp_path_factory.mktemp("sstcam") / "project")
    (folder / "sstcam.yaml").write_text(SSTCAM_CI)
    run = run_snakemake(folder, "--configfile", "sstcam.yaml", "--", "sstcam")
    assert run.returncode == 0, f"the SSTCAM workflow failed:\n{run.stderr[-6000:]}"
    return folder
