"""Both chains in the conda environments of their rules: the same bytes as without."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import staleness
from helpers.environments import ENVIRONMENTS, LOCKS, PROJECT, rules

NEEDS_CONDA = pytest.mark.skipif(
    shutil.which("conda") is None,
    reason="no conda command on PATH; ../shared/tools/offline-conda makes one",
)


@pytest.fixture(scope="module")
def bare_snakemake(tmp_path_factory):
    """Python of an environment that holds Snakemake and what it needs, nothing else.

    A script falls back on the packages of its caller: only there is a missing dependency seen.
    """
    uv = Path(sys.executable).parent / "uv"
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    constraints = PROJECT / "requirements" / "run.txt"
    install = [uv, "pip", "install", "--quiet", "--python", python, "--constraint", constraints]
    subprocess.run([*install, "snakemake"], check=True)
    for package in ("numpy", "astropy", "numba"):
        assert subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode
    return python


@pytest.fixture
def project(project_with_library):
    """With a library of its own: numba compiles it in the environments, too."""
    return project_with_library


@pytest.fixture
def run_with_conda(project, snakemake, bare_snakemake):
    """Function: run Snakemake in the project, each rule in its own environment."""

    def run(configfile, *arguments):
        done = snakemake(
            project,
            *("--configfile", configfile, "--software-deployment-method", "conda", *arguments),
            python=bare_snakemake,
            environment={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        assert done.returncode == 0, done.stderr[-6000:]
        return done

    return run


def environments_made(project):
    """How many environments Snakemake has made in a folder."""
    return len(list((project / ".snakemake" / "conda").glob("*/conda-meta")))


def contents(sstcam):
    """Contents of the environments of one camera's rules: Snakemake makes one of each."""
    used = {
        environment
        for rule, environment, script in rules()
        if environment not in LOCKS and is_sstcam(rule) == sstcam
    }
    return {ENVIRONMENTS[name].read_text() for name in used}


def is_sstcam(rule):
    """Whether a rule stands in a file of the SSTCAM's."""
    files = (PROJECT / "workflow" / "rules" / "charge").glob("*.smk")
    return any(f"rule {rule}:" in path.read_text() for path in files)


@NEEDS_CONDA
def test_eclairs_runs_in_its_environments(project, run_with_conda, ci_project, checksums):
    """Every product is that of the run without conda, to the byte; an edit is noticed."""
    run_with_conda("config/ci.yaml")
    assert environments_made(project) == len(contents(sstcam=False))
    assert checksums(project) == checksums(ci_project)

    with open(project / "envs" / "fit.yaml", "a") as file:
        file.write("# another environment\n")
    said = staleness.SAID[staleness.WITH_CONDA]
    planned = staleness.planned_jobs(run_with_conda("config/ci.yaml", "--dry-run"))
    assert planned == staleness.expected_jobs(said)


@NEEDS_CONDA
def test_sstcam_runs_in_its_environments(project, run_with_conda, sstcam_project, checksums):
    """Every product is that of the run without conda, to the byte."""
    shutil.copy(sstcam_project / "sstcam.yaml", project)
    run_with_conda("sstcam.yaml", "--", "sstcam")
    assert environments_made(project) == len(contents(sstcam=True))
    assert checksums(project) == checksums(sstcam_project)
