"""The workflow used from another folder, through a `module` statement with its own configuration.

It runs alone there: one exposure, one core, one chunk, another seed of Python's hashes. What it
makes is what the CI run in the project made, to the byte.
"""

import os

import pytest
import yaml

SNAKEFILE = """
configfile: "mine.yaml"


module calibration:
    snakefile:
        "../clone/workflow/Snakefile"
    config:
        config["calibration"]


use rule * from calibration as calibration_*


rule everything:
    default_target: True
    input:
        rules.calibration_all.input,
"""
EXPOSURE = "results/eclairs/3ks"
TARGETS = [f"{EXPOSURE}/{name}" for name in ("relation.fits", "AUX-ECL-PIX-CAL.fits")]
SAME = [
    "results/eclairs/events/events.fits",
    "results/eclairs/events/gti.fits",
    "results/eclairs/events/pixels.ecsv",
    "results/eclairs/events/undistributed.fits",
    f"{EXPOSURE}/spectra.fits",
    f"{EXPOSURE}/truth.ecsv",
    f"{EXPOSURE}/response.fits",
    *TARGETS,
]
OTHERS = {"exposures": "of somebody else", "unknown": True}
"""The rest of the configuration is none of the module's business."""


@pytest.fixture
def mine(project, tmp_path):
    """Function: a folder of one's own beside the project, with a configuration for the module."""
    project.rename(tmp_path / "clone")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)

    def configured(settings):
        text = yaml.safe_dump(OTHERS | {"calibration": settings})
        (folder / "mine.yaml").write_text(text)
        return folder

    return configured


ALONE = {"pixels": "0-63", "exposures": {"3ks": {"seconds": 3000}}}


def test_the_whole_chain_is_planned(mine, snakemake):
    folder = mine(ALONE)
    run = snakemake(folder, "--dry-run", "--configfile", "mine.yaml")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("rule calibration_fit_lines:") == 1
    assert "results/report.html" in run.stdout
    assert not (folder / "results").exists()


def test_a_mistake_is_one_line_there_too(mine, snakemake):
    run = snakemake(mine(ALONE | {"lines": "none.csv"}), "--dry-run")
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if line.startswith("configuration:")]
    assert said == ["configuration: lines: 'none.csv' does not exist; allowed: an existing file"]
    assert "Traceback" not in run.stderr


def test_alone_in_another_folder_the_products_are_the_same(mine, snakemake, checksums, ci_project):
    folder = mine(ALONE)
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    run = snakemake(folder, *TARGETS, "--cores", 1, environment=environment)
    assert run.returncode == 0, run.stderr[-4000:]
    made, theirs = checksums(folder), checksums(ci_project)
    chunks = {name for name in made if "/chunks/" in name}
    assert chunks == {f"{EXPOSURE}/chunks/0000.fits"}
    assert {name: made[name] for name in made if name not in chunks} == {
        name: theirs[name] for name in SAME
    }
    assert not (folder.parent / "clone" / "results").exists()


def test_a_snakefile_without_its_library_says_so(project, snakemake, tmp_path):
    lone = tmp_path / "lone"
    lone.mkdir()
    (project / "Snakefile").rename(lone / "Snakefile")
    run = snakemake(lone, "--dry-run")
    assert run.returncode != 0
    assert "pixelcal: its library is not beside its Snakefile; clone the project" in run.stderr
    assert "Traceback" not in run.stderr
