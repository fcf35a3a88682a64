"""The workflow used from another folder, through a `module` statement with its own configuration.

It runs alone there: one exposure, one core, one chunk, another seed of Python's hashes. What it
makes is what the CI run in the project made, to the byte. Out of a git repository, the address that
`github(...)` stands for leads to a repository on this machine.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
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
    f"{EXPOSURE}/lines.csv",
    "results/run.json",
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


ALONE = {
    "pixels": "0-63",
    "exposures": {"3ks": {"seconds": 3000}},
    "simulation": {"camera": "ideal"},
}


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
    (project / "workflow" / "Snakefile").rename(lone / "Snakefile")
    run = snakemake(lone, "--dry-run")
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "pixelcal: its library is not beside its Snakefile; give the" in said
    assert "Traceback" not in said


# --- out of a git repository ----------------------------------------------------------------------

GITFILE = 'gitfile("../owner/pixelcal", path="workflow/Snakefile", tag="v1")'
GITHUB = 'github("owner/pixelcal", path="workflow/Snakefile", tag="v1")'
DEPLOYED = """
configfile: "config/config.yaml"


module pixelcal:
    snakefile:
        github("owner/pixelcal", path="workflow/Snakefile", tag="v1")
    config:
        config


use rule * from pixelcal
"""
"""What `snakedeploy deploy-workflow` writes to workflow/Snakefile."""
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def repository(project_with_library, tmp_path):
    """Function: commit the project as it is, and give it a tag; returns its folder."""
    folder = tmp_path / "owner" / "pixelcal"
    folder.parent.mkdir()
    project_with_library.rename(folder)

    def git(*arguments):
        identity = ("-c", "user.name=pixelcal", "-c", "user.email=pixelcal@example.org")
        subprocess.run(["git", "-C", folder, *identity, *arguments], check=True)

    def commit(tag):
        git("add", "--all")
        git("commit", "--quiet", "--message", tag)
        git("tag", tag)
        return folder

    git("init", "--quiet")
    return commit


@pytest.fixture
def offline(tmp_path):
    """The environment in which github.com is `tmp_path`, and Snakemake's cache is an empty one."""
    return os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{tmp_path.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }


@NEEDS_GIT
@pytest.mark.parametrize("source", [GITFILE, GITHUB], ids=["gitfile", "github"])
def test_a_tag_of_a_git_repository_is_enough(repository, offline, snakemake, tmp_path, source):
    repository("v1")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.replace('"../clone/workflow/Snakefile"', source))
    (folder / "mine.yaml").write_text(yaml.safe_dump(OTHERS | {"calibration": ALONE}))
    run = snakemake(folder, "--dry-run", environment=offline)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("rule calibration_fit_lines:") == 1
    table = folder / ".snakemake/pixelcal/resources/lines/all_blocks.csv"
    assert str(table) in run.stdout
    assert (
        table.read_bytes()
        == (tmp_path / "owner/pixelcal/resources/lines" / table.name).read_bytes()
    )


@NEEDS_GIT
def test_deployed_as_from_the_catalog(
    repository, offline, snakemake, checksums, ci_project, tmp_path
):
    source = repository("v1")
    folder = tmp_path / "deployed"
    (folder / "workflow").mkdir(parents=True)
    snakefile = folder / "workflow" / "Snakefile"
    snakefile.write_text(DEPLOYED)
    for name in ("config", "profiles"):
        shutil.copytree(source / name, folder / name)

    spectra = f"{EXPOSURE}/spectra.fits"
    wanted = (spectra, "--configfile", "config/ci.yaml")
    run = snakemake(folder, *wanted, environment=offline)
    assert run.returncode == 0, run.stderr[-4000:]
    assert checksums(folder)[spectra] == checksums(ci_project)[spectra]
    head = subprocess.run(
        ["git", "-C", source, "rev-parse", "v1"], check=True, capture_output=True, text=True
    )
    (code,) = json.loads((folder / "results/run.json").read_text())["code"].values()
    assert (code["commit"], code["dirty"]) == (head.stdout.strip(), False)

    # The next version: another comment in the library is nothing, another rejection is.
    for tag, code, said in (
        ("v2", "# a comment\n", "Nothing to be done"),
        ("v3", "ANOTHER = 1\n", "rule bin_spectra:"),
    ):
        with open(source / "workflow/scripts/pixelcal/energy/events/binning.py", "a") as file:
            file.write(code)
        repository(tag)
        snakefile.write_text(DEPLOYED.replace("v1", tag))
        run = snakemake(folder, *wanted, "--dry-run", environment=offline)
        assert run.returncode == 0, run.stderr
        assert said in run.stdout + run.stderr
        assert "rule simulate_events:" not in run.stdout


# --- what the workflow catalog asks for -----------------------------------------------------------


def test_standardized_usage():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (PROJECT / "workflow" / "Snakefile").is_file()
    assert (PROJECT / "config" / "README.md").is_file()
    assert list((PROJECT / "workflow" / "rules").rglob("*.smk"))
    text = (PROJECT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8")
    usage = yaml.safe_load(text)["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert usage["report"] is True
    assert not usage["mandatory-flags"]["flags"]
