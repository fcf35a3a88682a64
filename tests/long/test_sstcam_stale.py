"""The SSTCAM's workflow: what an edit makes stale, and the same bytes however it is cut and run."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from helpers.project_copies import copy_library
from helpers.staleness import (
    SSTCAM_CONFIG,
    SSTCAM_RUNS,
    SSTCAM_SAID,
    Edit,
    append,
    planned_jobs,
    sstcam,
    touch_everything,
)
from helpers.walk import SSTCAM_WALK

PER_RUN = ("simulate_flashes", "extract_charges")
N_PIXELS = 16
LIBRARY = "workflow/scripts/pixelcal/charge"


EDITS = {
    "`charges.window`": Edit(sstcam(charges={"window": 12})),
    "`charges.time_skew`": Edit(sstcam(charges={"time_skew": False})),
    "`charges.baseline_samples`, where none is subtracted": Edit(
        sstcam(charges={"baseline_samples": 8})
    ),
    "`fit.pe_guess`": Edit(sstcam(fit={"pe_guess": 25})),
    "`fit.chunk_pixels`": Edit(sstcam(fit={"chunk_pixels": 6})),
    "`bad_pixels`, where there were none": Edit(
        sstcam(bad_pixels="bad.csv"), lambda folder: (folder / "bad.csv").write_text("PIXEL\n5\n")
    ),
    "`charge_resolution.pde`": Edit(sstcam(charge_resolution={"pde": 0.4})),
    "`charge_resolution.transfer`, with the conversion `spe`": Edit(
        sstcam(charge_resolution={"transfer": "camera"})
    ),
    "`simulation.scan.flashes`": Edit(sstcam(simulation={"scan": {"flashes": 50}})),
    "`simulation.seed`": Edit(sstcam(simulation={"seed": 2})),
    "`pixels`": Edit(sstcam(pixels="1-16")),
    "a module of the simulated flashes": Edit(
        change=append(f"{LIBRARY}/simulation/flashes.py", "\nADDED = 1\n")
    ),
    "settings of ECLAIRs": Edit({"pixels": "0-31", "fit": {"chunk_pixels": 9}}),
    "a module of the charge resolution": Edit(
        change=append(f"{LIBRARY}/resolution/measure.py", "\nADDED = 1\n")
    ),
    "all that is read touched, the bytes as before": Edit(change=touch_everything),
}


def jobs_of(rule, sets=("spe", "scan"), chunks=1):
    """The jobs (rule, wildcards) of a rule."""
    if rule in PER_RUN:
        return {(rule, f"set={which}, run={name}") for which in sets for name in SSTCAM_RUNS[which]}
    if rule == "list_runs":
        return {(rule, f"set={which}") for which in sets}
    if rule == "fit_spe":
        return {(rule, f"chunk={chunk:04d}") for chunk in range(chunks)}
    return {(rule, "")}


def expected_jobs(again, chunks=1):
    """The jobs that a cell of the page means: clauses, parted by semicolons.

    A clause is "from `rule` on", or rules; `scan:` before them leaves the runs of `spe` out.
    """
    again = f"from `{SSTCAM_WALK[0]}` on" if again == "everything" else again
    jobs = set()
    for clause in again.replace("nothing", "").split(";"):
        rules = [name for name in clause.split("`")[1::2] if name != "scan"]
        assert set(rules) <= set(SSTCAM_WALK), clause
        if "from" in clause:
            # The table of the runs follows from the configuration alone.
            rules = [r for r in SSTCAM_WALK[SSTCAM_WALK.index(rules[0]) :] if r != "list_runs"]
        sets = ("scan",) if "`scan`:" in clause else ("spe", "scan")
        for rule in rules:
            jobs |= jobs_of(rule, sets, chunks)
    return jobs


@pytest.fixture(scope="module")
def plans(sstcam_project, snakemake, tmp_path_factory):
    """Edit -> the dry run after it; as many at a time as there are cores."""

    def plan(edit):
        place = tmp_path_factory.mktemp("edit")
        folder = sstcam_project
        if edit.change is not None:
            folder = shutil.copytree(
                folder, place / "project", symlinks=True, copy_function=os.link
            )
            edit.change(copy_library(folder))
        (place / "edit.yaml").write_text(yaml.safe_dump(edit.settings))
        files = (SSTCAM_CONFIG, place / "edit.yaml")
        return snakemake(folder, "--dry-run", "--configfile", *files, "--", "sstcam")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(EDITS, pool.map(plan, EDITS.values()), strict=True))


def test_the_page_has_every_edit_and_no_other():
    assert set(SSTCAM_SAID) == set(EDITS)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_what_the_page_says(edit, plans):
    chunk_pixels = EDITS[edit].settings.get("sstcam", {}).get("fit", {}).get("chunk_pixels", 16)
    chunks = -(-N_PIXELS // chunk_pixels)
    assert planned_jobs(plans[edit]) == expected_jobs(SSTCAM_SAID[edit], chunks)


def test_cores_chunks_and_hashes_change_no_byte(sstcam_project, snakemake, checksums, tmp_path):
    """A second run of everything, in a folder of its own, with the code of the first."""
    folder = tmp_path / "second"
    for name in ("config", "profiles"):
        shutil.copytree(sstcam_project / name, folder / name)
    shutil.copy(sstcam_project / SSTCAM_CONFIG, folder)
    (folder / "edit.yaml").write_text(yaml.safe_dump(sstcam(fit={"chunk_pixels": 6})))
    run = snakemake(
        folder,
        *("--cores", 1, "--snakefile", sstcam_project / "workflow/Snakefile"),
        *("--configfile", SSTCAM_CONFIG, "edit.yaml", "--", "sstcam"),
        environment=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert (folder / "results/sstcam/spe/chunks/0002.fits").exists()
    first, second = (
        {name: sha for name, sha in checksums(place).items() if "chunks/" not in name}
        for place in (sstcam_project, folder)
    )
    assert {os.path.splitext(name)[1] for name in first} == {
        ".csv", ".ecsv", ".fits", ".h5", ".html", ".json", ".pdf", ".png",
    }  # fmt: skip
    assert second == first
