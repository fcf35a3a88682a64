"""Which jobs a configuration asks for: the workflow's plan, by dry run.

What an edit makes stale: tests/long/test_stale.py.
"""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from astropy.io import fits
from helpers.staleness import append
from helpers.walk import CHAIN, CI, THREE

from pixelcal.io.provenance import file_sha256

EVENTS = "results/eclairs/events/events.fits"


@pytest.fixture
def plan(snakemake, tmp_path):
    """Function: jobs per rule that Snakemake would run in a folder, with settings on top of CI."""

    def planned(folder, settings=None, *arguments):
        extra = tmp_path / "extra.yaml"
        extra.write_text(yaml.safe_dump(settings or {"date": None}, sort_keys=False))
        run = snakemake(folder, "--dry-run", "--configfile", CI, extra, *arguments)
        assert run.returncode == 0, run.stderr
        said = run.stdout + run.stderr
        if "Nothing to be done" in said:
            return {}
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", said, re.DOTALL)
        return {row.split()[0]: int(row.split()[1]) for row in table[1].splitlines()}

    return planned


def test_the_chain(project, plan):
    jobs = plan(project)
    assert set(jobs) == CHAIN
    assert jobs["fit_lines"] == 6  # 64 pixels in chunks of 32, for three exposures
    one_each = ("bin_spectra", "learn_response", "merge_relation", "validate_relation")
    assert [jobs[name] for name in one_each] == [3, 3, 3, 3]
    assert jobs["simulate_events"] == jobs["report"] == 1


def test_the_full_camera_is_the_same_chain(project, snakemake):
    run = snakemake(project, "--dry-run", "--quiet", "rules")
    assert run.returncode == 0, run.stderr
    assert re.search(r"^fit_lines +24$", run.stdout + run.stderr, re.MULTILINE)


def test_two_step_learns_no_response(project, plan):
    assert set(plan(project, {"fit": {"method": "two-step"}})) == CHAIN - {"learn_response"}


def test_method_of_one_exposure(project, plan):
    exposures = THREE | {"old": {"seconds": 3000, "fit": {"method": "two-step"}}}
    jobs = plan(project, {"exposures": exposures})
    assert jobs["learn_response"] == 3
    assert jobs["bin_spectra"] == 4


def test_own_files_are_not_simulated(project, plan):
    (project / "own.fits").touch()
    jobs = plan(project, {"events": {"files": ["own.fits"]}})
    assert set(jobs) == CHAIN - {"simulate_events"}


def test_good_times_are_an_input_of_own_files(project, snakemake, tmp_path):
    for name in ("own.fits", "gti.fits"):
        (project / name).touch()
    extra = tmp_path / "extra.yaml"
    extra.write_text("events: {files: [own.fits], gti: {file: gti.fits}}")
    run = snakemake(project, "--dry-run", "--configfile", CI, extra)
    assert "input: own.fits, gti.fits" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("settings", "tables"),
    [
        ({}, ("resources/lines/complete.csv", "resources/lines/materials.csv")),
        ({"simulation": {"camera": "ideal"}}, ("resources/lines/all_blocks.csv",)),
    ],
)
def test_lines_that_each_camera_sees(project, snakemake, tmp_path, settings, tables):
    """The default camera is the flight camera, which sees lines that no table has."""
    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump(settings or {"date": None}))
    run = snakemake(project, "--dry-run", "--configfile", extra, "--", EVENTS)
    inputs = ", ".join((*tables, "resources/attenuation/cdte.csv"))
    assert f"input: {inputs}\n" in run.stdout + run.stderr


@pytest.mark.parametrize(
    "events",
    [
        {"layout": "ecl-evt-cal", "multiplicity": "all"},
        {"files": ["own.fits"], "columns": {"channel": "PHA"}},
    ],
)
def test_channels_have_no_truth(project, snakemake, tmp_path, events):
    (project / "own.fits").touch()
    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({"events": events}))
    run = snakemake(project, "--dry-run", "--configfile", CI, extra)
    assert run.returncode == 0, run.stderr
    assert "spectra.fits" in run.stdout + run.stderr
    inputs = [line for line in run.stdout.splitlines() if line.strip().startswith("input: ")]
    assert inputs and not any("truth.ecsv" in line for line in inputs)


def test_exposures_of_a_configfile_replace_the_default_ones(project, plan):
    jobs = plan(project, {"exposures": {"5ks": {"seconds": 5000}}})
    assert jobs["bin_spectra"] == 1


def test_snakemake_finds_the_workflow_and_its_profile_by_itself(project, snakemake):
    run = snakemake(project, "--dry-run")
    assert "Using workflow specific profile profiles/default" in run.stdout + run.stderr


# --- a response that is given ---------------------------------------------------------------------


def test_a_response_that_is_not_used_leaves_everything(ci_project, plan):
    """The method two-step uses none."""
    response = "results/eclairs/10ks/response.fits"
    old = {"old": {"seconds": 3000, "fit": {"method": "two-step"}}}
    given = {"old": {"seconds": 3000, "fit": {"method": "two-step", "response": response}}}
    without, with_it = (plan(ci_project, {"exposures": THREE | own}) for own in (old, given))
    assert without == with_it
    assert without["merge_relation"] == 1


@pytest.fixture
def edited(ci_project, tmp_path):
    """The CI run as a copy whose files may be edited."""
    return shutil.copytree(ci_project, tmp_path / "edited", symlinks=True)


def test_a_given_response_is_in_the_products_and_in_the_plan(edited, plan, snakemake, tmp_path):
    branch = edited / "results/eclairs/3ks"
    before = fits.getheader(branch / "relation.fits", "RELATION")
    assert before["RESPONSE"] == "response.fits"
    assert before["RESPSHA"] == file_sha256(branch / "response.fits")
    fitted = fits.getdata(branch / "relation.fits", "RELATION").copy()

    shutil.copy(branch / "response.fits", edited / "learnt.fits")
    settings = {"exposures": THREE | {"3ks": {"seconds": 3000, "fit": {"response": "learnt.fits"}}}}
    jobs = plan(edited, settings)
    assert (jobs["fit_lines"], jobs["merge_relation"]) == (2, 1)
    assert not {"simulate_events", "bin_spectra", "learn_response"} & set(jobs)

    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(settings))
    run = snakemake(edited, "results/eclairs/3ks/relation.fits", "--configfile", CI, own)
    assert run.returncode == 0, run.stderr
    after = fits.getheader(branch / "relation.fits", "RELATION")
    assert (after["RESPONSE"], after["RESPSHA"]) == ("learnt.fits", before["RESPSHA"])
    assert after["CONFHASH"] != before["CONFHASH"]
    again = fits.getdata(branch / "relation.fits", "RELATION")
    assert again.tobytes() == fitted.tobytes()  # the same response under another name

    for seconds_later in (10, -(10**6)):
        append("learnt.fits", "more", seconds_later)(edited)
        jobs = plan(edited, settings)
        assert (jobs["fit_lines"], jobs["merge_relation"]) == (2, 1)


# --- versions of Snakemake ------------------------------------------------------------------------


VERSIONS = {"9.0.0": True, "8.30.0": False, "10.0": False}


@pytest.mark.parametrize(("version", "works"), VERSIONS.items())
def test_versions_of_snakemake_that_are_known(project, version, works):
    code = (
        "import sys, snakemake.common\n"
        f"snakemake.common.__version__ = {version!r}\n"
        "from snakemake.cli import main\n"
        "main(['--dry-run', '--quiet', '--configfile', 'config/ci.yaml'])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    assert (run.returncode == 0) == works, said
    assert works or version in said


HISTORY = {"make_history", "publish_history", "show_history"}


def test_the_history_is_made_where_it_is_asked_for(project, plan):
    jobs = plan(project, None, "--", "history")
    assert set(jobs) >= HISTORY | {"merge_relation", "report"} and "plot_relation" not in jobs
    assert not HISTORY & set(plan(project))


def test_relations_of_other_runs_are_read_with_wildcards(project, snakemake, tmp_path):
    from helpers.histories import simulate_history, write_relations

    write_relations(tmp_path / "before", simulate_history(64, 2))
    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({"history": {"files": [f"{tmp_path}/before/*/relation.fits"]}}))
    target = "results/history/history.fits"
    arguments = ("--dry-run", "--configfile", CI, extra, "--printshellcmds", target)
    run = snakemake(project, *arguments)
    assert run.returncode == 0, run.stderr
    said = run.stdout + run.stderr
    assert "week00/relation.fits" in said and "week01/relation.fits" in said


def test_a_pattern_without_a_file_is_said_in_one_line(project, snakemake, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({"history": {"files": ["nowhere/*.fits"]}}))
    run = snakemake(project, "--dry-run", "--configfile", CI, extra)
    assert run.returncode != 0
    assert "history.files[0]: 'nowhere/*.fits' matches no file" in run.stdout + run.stderr
