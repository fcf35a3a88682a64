"""What tests share: a copy of the project, Snakemake in it, and one run of the CI workflow."""

import fcntl
import hashlib
import os
import subprocess
import sys

import pytest
from helpers.project_copies import copy_project

# As Snakemake sets it for its jobs. More threads make nothing faster here, and double the time of
# the processor. Before any test imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

CORES = str(min(os.cpu_count() or 1, 4))


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
    """A fresh copy of the project without results; its scripts and library are linked."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def project_with_library(tmp_path):
    """A fresh copy of the project without results, with scripts and a library of its own."""
    return copy_project(tmp_path / "project", with_library=True)


# --- runs that all tests share --------------------------------------------------------------------


def made_once(tmp_path_factory, name, make):
    """Folder that `make(folder)` has filled, once for all workers of pytest-xdist.

    The first worker that asks makes it, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # above the folders of the workers
    folder, done = shared / name, shared / f"{name}.done"
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
        assert done.exists() or not folder.exists(), f"{name}: failed before, see the first error"
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def shared_run(tmp_path_factory, name, make):
    """`made_once` for a run of the workflow; afterwards no test may have changed a product."""
    folder = made_once(tmp_path_factory, name, make) / "project"
    before = product_checksums(folder)
    yield folder
    assert product_checksums(folder) == before, f"a test has changed the shared run in {folder}"


@pytest.fixture(scope="session")
def ci_project(tmp_path_factory):
    """A copy of the project in which the CI workflow has run, for all tests; do not change it."""

    def make(folder):
        project = copy_project(folder / "project")
        run = run_snakemake(project, "--configfile", "config/ci.yaml")
        assert run.returncode == 0, f"the CI workflow failed:\n{run.stderr[-6000:]}"
        (folder / "said.txt").write_text(run.stderr)

    yield from shared_run(tmp_path_factory, "ci", make)


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

    def make(folder):
        project = copy_project(folder / "project")
        (project / "sstcam.yaml").write_text(SSTCAM_CI)
        run = run_snakemake(project, "--configfile", "sstcam.yaml", "--", "sstcam")
        assert run.returncode == 0, f"the SSTCAM workflow failed:\n{run.stderr[-6000:]}"

    yield from shared_run(tmp_path_factory, "sstcam", make)
