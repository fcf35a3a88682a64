"""The SSTCAM's workflow: what its targets run.

What every rule makes is tested with its module; what an edit makes stale and the same bytes:
tests/long/test_sstcam_stale.py; a run that is killed: tests/long/test_crash.py.
"""

import html
import json
import shutil

import pytest
import yaml
from helpers.paths import SCRIPTS
from helpers.sstcam_runs import table, write_run
from helpers.staleness import SSTCAM_CONFIG, SSTCAM_RUNS, append, planned_jobs, sstcam
from helpers.walk import SSTCAM_WALK

from pixelcal.workflow.library_hash import library_files


def test_nothing_runs_without_an_edit(sstcam_project, snakemake):
    run = snakemake(sstcam_project, "--dry-run", "--configfile", SSTCAM_CONFIG, "--", "sstcam")
    assert planned_jobs(run) == set()
    content = json.loads((sstcam_project / "results/sstcam.json").read_text())
    page = html.unescape((sstcam_project / "results/sstcam.html").read_text("utf-8"))
    assert f"SSTCAM: {content['headline']}\n" in run.stdout + run.stderr
    assert content["headline"] in page and len(content["cards"]) == 4
    assert all(card["text"] in page for card in content["cards"])


# --- targets --------------------------------------------------------------------------------------


def planned_rules(run):
    """The rules of a dry run."""
    return {rule for rule, _ in planned_jobs(run)}


@pytest.fixture
def plan_of(project, sstcam_project, snakemake):
    """Function: the rules that a target runs in a fresh project."""

    def plan(target, *files):
        shutil.copy(sstcam_project / SSTCAM_CONFIG, project)
        return planned_rules(
            snakemake(project, "--dry-run", "--configfile", SSTCAM_CONFIG, *files, "--", target)
        )

    return plan


RESOLUTION = {name for name in SSTCAM_WALK if name.endswith("charge_resolution")}
FIGURES = {"plot_spe", "plot_charges"}
PAGE = {"report_sstcam"}


def test_what_the_targets_run(plan_of):
    assert plan_of("sstcam") == set(SSTCAM_WALK)
    assert plan_of("spe") == set(SSTCAM_WALK) - RESOLUTION - PAGE
    alone = {"write_truth", "validate_spe", *FIGURES, *PAGE}
    assert plan_of("charge_resolution") == set(SSTCAM_WALK) - alone


def test_own_runs_are_not_simulated_and_have_no_truth(plan_of, project):
    columns = "name,n_ph,n_ph_meas,nsb,nsb_meas"
    table(project / "dark", "a,0.5", "b,2.5")
    table(project / "scan", "c,1,1,0,0", "d,100,100,0,0", header=columns)
    for name in ("dark/a", "dark/b", "scan/c", "scan/d"):
        write_run(project / f"{name}.h5")
    own = {"spe": {"folder": "dark"}, "pixels": "0-4"}
    (project / "own.yaml").write_text(yaml.safe_dump(sstcam(**own)))
    made = {"simulate_pixels", "simulate_flashes", "list_runs", "write_truth"}
    rest = set(SSTCAM_WALK) - made - {"validate_charge_resolution"}
    assert plan_of("sstcam", "own.yaml") == rest - RESOLUTION
    both = own | {"dynamic_range": {"folder": "scan"}}
    (project / "own.yaml").write_text(yaml.safe_dump(sstcam(**both)))
    assert plan_of("sstcam", "own.yaml") == rest


def test_the_history_takes_the_set_of_this_run_and_those_named(plan_of, project):
    table(project / "dark", "a,0.5,2026-05-01", "b,2.5,2026-05-01", header="name,n_ph,date")
    for name in ("a", "b"):
        write_run(project / f"dark/{name}.h5")
    for month in (3, 4):
        (folder := project / f"results/2026-0{month}/sstcam/spe").mkdir(parents=True)
        (folder / "spe.fits").write_text("read by the job alone")
    files = ["results/2026-0*/sstcam/spe/spe.fits"]
    alone = sstcam(pixels="0-4", history={"files": files})
    (project / "alone.yaml").write_text(yaml.safe_dump(alone))
    assert plan_of("sstcam_history", "alone.yaml") == {"make_sstcam_history"}
    with_this = sstcam(pixels="0-4", spe={"folder": "dark"}, history={"files": files})
    (project / "both.yaml").write_text(yaml.safe_dump(with_this))
    planned = plan_of("sstcam_history", "both.yaml")
    assert {"make_sstcam_history", "merge_spe", "fit_spe"} <= planned
    assert "validate_spe" not in planned and "simulate_flashes" not in planned


def test_a_history_of_nothing_is_one_clear_line(project, snakemake):
    """Simulated runs have no date."""
    run = snakemake(project, "--dry-run", "--", "sstcam_history")
    assert "sstcam.history: has no set of runs" in said_of(run)
    (project / "own.yaml").write_text(yaml.safe_dump(sstcam(history={"files": ["none/*.fits"]})))
    run = snakemake(project, "--dry-run", "--configfile", "own.yaml", "--", "sstcam_history")
    assert "sstcam.history.files[0]: 'none/*.fits' matches no file" in said_of(run)


WITH_THE_SIMULATOR = {"simulate_pixels", "simulate_flashes", "write_truth"}


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("charge/[a-z]*.py")))
def test_no_script_of_real_runs_reaches_the_simulator(script):
    """An edit of the simulator makes nothing stale that real runs have been calibrated with."""
    reached = library_files(SCRIPTS / "charge" / f"{script}.py")
    simulator = {path.stem for path in reached if path.parent.name == "simulation"} - {"__init__"}
    simulated = WITH_THE_SIMULATOR | {"validate_charge_resolution"}
    assert bool(simulator) == (script in simulated)


def test_a_run_replaced_by_an_older_file_is_noticed(sstcam_project, snakemake, tmp_path):
    """Own runs: those that were simulated, from another folder; their charges are claimed."""
    folder = shutil.copytree(sstcam_project, tmp_path / "own", symlinks=True)
    (folder / "results/sstcam/runs").rename(folder / "runs")
    for which, names in SSTCAM_RUNS.items():
        light = ("name,n_ph", *(f"{name},{k + 1}" for k, name in enumerate(names)))
        if which == "scan":
            light = ("name,n_ph,n_ph_meas,nsb,nsb_meas", *(f"{row},1,0,0" for row in light[1:]))
        (folder / "runs" / which / "table.csv").write_text("\n".join(light))
    own = {"spe": {"folder": "runs/spe"}, "dynamic_range": {"folder": "runs/scan"}}
    (folder / "own.yaml").write_text(yaml.safe_dump(sstcam(**own)))
    files = ("--configfile", SSTCAM_CONFIG, "own.yaml", "--", "sstcam")
    claimed = snakemake(folder, "--touch", *files)
    assert claimed.returncode == 0, claimed.stderr
    assert planned_jobs(snakemake(folder, "--dry-run", *files)) == set()
    append("runs/scan/scan_01.h5", "more", seconds_later=-(10**6))(folder)
    jobs = planned_jobs(snakemake(folder, "--dry-run", *files))
    extracted = {wildcards for rule, wildcards in jobs if rule == "extract_charges"}
    assert extracted == {"set=scan, run=scan_01"}
    assert {rule for rule, _ in jobs} == {
        "extract_charges",
        "measure_charge_resolution",
        "plot_charge_resolution",
        "report_sstcam",
    }
    append("runs/spe/spe_01.h5", "more", seconds_later=-(10**6))(folder)
    jobs = planned_jobs(snakemake(folder, "--dry-run", *files))
    assert ("find_peaks", "") in jobs  # it is the brightest


def test_the_other_camera_is_left_alone(project, snakemake):
    """Neither target takes a rule of the other: what they share is code."""
    run = snakemake(project, "--dry-run", "--configfile", "config/ci.yaml")
    assert not planned_rules(run) & set(SSTCAM_WALK)


# --- mistakes of a target -------------------------------------------------------------------------


def said_of(run):
    """What a run that cannot be planned says: one line."""
    assert run.returncode != 0 and "Traceback" not in run.stdout + run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("configuration: ")]
    return line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("0099", "is not among the 16 selected by `sstcam.pixels`; select it, or ask for another"),
        ("12", "a picture is named by the four digits of its pixel"),
        ("00012", "a picture is named by the four digits of its pixel"),
        ("typical", "a picture is named by the four digits of its pixel"),
    ],
)
def test_a_pixel_that_has_no_picture_is_one_clear_line(sstcam_project, snakemake, name, said):
    picture = f"results/sstcam/pixels/{name}.png"
    run = snakemake(sstcam_project, "--dry-run", picture, "--configfile", SSTCAM_CONFIG)
    line = said_of(run)
    assert f"pixel {name}" in line and said in line


def test_a_set_of_runs_that_nobody_named_is_one_clear_line(project, snakemake):
    table(project / "dark", "a,0.5")
    write_run(project / "dark/a.h5")
    only = {"spe": {"folder": "dark"}, "pixels": "0-4"}
    (project / "own.yaml").write_text(yaml.safe_dump(sstcam(**only)))
    run = snakemake(project, "--dry-run", "--configfile", "own.yaml", "--", "charge_resolution")
    assert "sstcam.dynamic_range.folder: names no folder" in said_of(run)
