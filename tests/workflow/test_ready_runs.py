"""Ready charges and histograms in the workflow: what runs, what an edit makes stale, mistakes."""

import os
import shutil

import h5py
import numpy as np
import pytest
import yaml
from helpers.project_copies import copy_project
from helpers.ready_files import whole_histograms, write_charges, write_histograms
from helpers.spe_flashes import Sipm, draw_charges
from helpers.sstcam_runs import table, write_run
from helpers.staleness import READY_SAID, append, planned_jobs, sstcam
from helpers.walk import SSTCAM_WALK

from pixelcal.io.provenance import file_sha256

LIGHTS = (0.7, 2.0)
READY_WALK = ("take_spe_spectra", *SSTCAM_WALK[SSTCAM_WALK.index("plot_charges") :])
SPE_RULES = {"plot_charges", "learn_spe_noise", "fit_spe", "merge_spe", "validate_spe", "plot_spe"}
SCAN = "name,n_ph,n_ph_meas,nsb,nsb_meas"
SETTINGS = {"spe": {"folder": "lab", "form": "histograms"}, "pixels": "0-4"}


def planned_rules(run):
    """The rules of a dry run."""
    return {rule for rule, _ in planned_jobs(run)}


def write_settings(folder, **changes):
    (folder / "own.yaml").write_text(yaml.safe_dump(sstcam(**SETTINGS | changes)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, snakemake):
    """A project in which `spe` has run on histograms of five pixels; do not change it."""
    folder = copy_project(tmp_path_factory.mktemp("ready") / "project")
    random = np.random.default_rng(8)
    table(folder / "lab", "dark,1", "light.h5,3")
    for name, light in zip(("dark", "light"), LIGHTS, strict=True):
        pixels = [Sipm(light=(light,), flashes=3000) for _ in range(5)]
        charges = np.array([draw_charges(random, pixel)[0] for pixel in pixels])
        counts, edges = whole_histograms(np.rint(charges).astype(int))
        write_histograms(folder / f"lab/{name}.h5", counts, edges=edges)
    write_settings(folder)
    run = snakemake(folder, "--configfile", "own.yaml", "--", "spe")
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def test_histograms_run_from_their_files_to_the_fits(finished, snakemake):
    made = finished / "results/sstcam"
    assert (made / "spe/validation.json").is_file() and (made / "figures/charges.png").is_file()
    assert not (made / "peaks.fits").exists() and not (made / "charges").exists()
    run = snakemake(finished, "--dry-run", "--configfile", "own.yaml", "--", "spe")
    assert planned_jobs(run) == set()
    page = snakemake(finished, "--dry-run", "--configfile", "own.yaml", "--", "sstcam")
    assert planned_rules(page) == {"report_sstcam"}


EDITS = {
    "`charges.window`": ({"charges": {"window": 12}}, None),
    "`fit.pe_guess`": ({"fit": {"pe_guess": 25}}, None),
    "`bad_pixels`, where there were none": (
        {"bad_pixels": "bad.csv"},
        lambda folder: (folder / "bad.csv").write_text("PIXEL\n3\n"),
    ),
    "the light of a run in `table.csv`": ({}, lambda folder: table(folder / "lab", "dark,1",
                                                                   "light.h5,3.5")),
    "a run replaced by an older file": ({}, append("lab/dark.h5", "more", seconds_later=-(10**6))),
}  # fmt: skip


def test_the_page_has_every_edit_and_no_other():
    assert set(READY_SAID) == set(EDITS)


@pytest.mark.parametrize("edit", EDITS)
def test_what_an_edit_makes_stale(finished, snakemake, tmp_path, edit):
    folder = shutil.copytree(finished, tmp_path / "own", symlinks=True)
    settings, change = EDITS[edit]
    write_settings(folder, **settings)
    if change is not None:
        change(folder)
    run = snakemake(folder, "--dry-run", "--configfile", "own.yaml", "--", "spe")
    again = READY_SAID[edit]
    expected = set()
    if again != "nothing":
        first = again.split("`")[1]
        expected = set(READY_WALK[READY_WALK.index(first) :]) & {"take_spe_spectra", *SPE_RULES}
        if first == "learn_spe_noise":
            expected -= {"plot_charges"}
    assert planned_rules(run) == expected


def test_histograms_are_not_replaced_by_simulated_flashes(finished, snakemake):
    before = file_sha256(finished / "results/sstcam/spe/spe.fits")
    run = snakemake(finished, "--configfile", "config/ci.yaml", "--", "spe")
    assert run.returncode != 0 and "Traceback" not in run.stderr
    assert "simulat" in run.stderr
    assert file_sha256(finished / "results/sstcam/spe/spe.fits") == before


# --- charges --------------------------------------------------------------------------------------


@pytest.fixture
def lab(project):
    """A project with folders of ready charges: `dark`, two runs, and `scan`, one as FITS."""
    values = np.random.default_rng(1).normal(300, 20, (9, 5))
    table(project / "dark", "a,0.5", "b.h5,2.5")
    table(project / "scan", "c,1,1,0,0", header=SCAN)
    for name in ("dark/a", "dark/b", "scan/c"):
        write_charges(project / f"{name}.h5", values)
    return project


def test_charges_skip_peaks_and_extraction(lab, snakemake):
    both = {
        "spe": {"folder": "dark", "form": "charges"},
        "dynamic_range": {"folder": "scan", "form": "charges"},
    }
    write_settings(lab, **both)
    run = snakemake(lab, "--dry-run", "--configfile", "own.yaml", "--", "sstcam")
    taken = {wildcards for rule, wildcards in planned_jobs(run) if rule == "take_charges"}
    assert taken == {"set=spe, run=a", "set=spe, run=b", "set=scan, run=c"}
    skipped = {"simulate_pixels", "list_runs", "simulate_flashes", "find_peaks", "write_truth"}
    skipped |= {"extract_charges", "validate_charge_resolution"}
    assert planned_rules(run) == {"take_charges", *SSTCAM_WALK} - skipped


def test_a_scan_of_charges_stands_beside_waveforms(lab, snakemake):
    table(lab / "waves", "d,0.5")
    write_run(lab / "waves/d.h5")
    scan = {"folder": "scan", "form": "charges"}
    write_settings(lab, spe={"folder": "waves"}, dynamic_range=scan)
    run = snakemake(lab, "--dry-run", "--configfile", "own.yaml", "--", "sstcam")
    jobs = planned_jobs(run)
    assert {job for job in jobs if job[0] in ("take_charges", "extract_charges")} == {
        ("take_charges", "set=scan, run=c"),
        ("extract_charges", "set=spe, run=d"),
    }
    assert ("find_peaks", "") in jobs


def test_images_of_ctapipe_are_converted_before_they_are_taken(lab, snakemake):
    with h5py.File(lab / "dark/a.h5", "w") as file:
        file.create_group("dl1")
    write_settings(lab, spe={"folder": "dark", "form": "charges"})
    run = snakemake(lab, "--dry-run", "--configfile", "own.yaml", "--", "spe")
    jobs = {job for job in planned_jobs(run) if job[0] in ("convert_run", "take_charges")}
    assert jobs == {
        ("convert_run", "set=spe, run=a"),
        ("take_charges", "set=spe, run=a"),
        ("take_charges", "set=spe, run=b"),
    }


MISTAKES = {
    "no folder": (
        {"spe": {"form": "charges"}},
        "sstcam.spe.form: is charges, but sstcam.spe.folder names no folder",
    ),
    "a scan of waveforms beside charges": (
        {"spe": {"folder": "dark", "form": "charges"}, "dynamic_range": {"folder": "scan"}},
        "sstcam.dynamic_range.form: is waveforms, but peaks are found in waveforms of sstcam.spe",
    ),
    "a form that there is not": (
        {"spe": {"folder": "dark", "form": "spectra"}},
        'sstcam.spe.form: "spectra" is not allowed; allowed: waveforms, charges, histograms',
    ),
    "a scan of histograms": (
        {"dynamic_range": {"folder": "scan", "form": "histograms"}},
        'sstcam.dynamic_range.form: "histograms" is not allowed; allowed: waveforms, charges',
    ),
    "a run of two files": (
        {"spe": {"folder": "dark", "form": "charges"}},
        "line 2: the run 'a' is a.h5 and a.fits in the folder; write the ending",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line(lab, snakemake, mistake):
    settings, said = MISTAKES[mistake]
    (lab / "own.yaml").write_text(yaml.safe_dump(sstcam(**settings | {"pixels": "0-4"})))
    if mistake == "a run of two files":
        os.link(lab / "dark/a.h5", lab / "dark/a.fits")
    run = snakemake(lab, "--dry-run", "--configfile", "own.yaml", "--", "spe")
    assert run.returncode != 0 and "Traceback" not in run.stdout + run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("configuration: ")]
    assert said in line
