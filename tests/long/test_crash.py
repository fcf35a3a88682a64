"""SIGKILL at random moments, and a full disk: products are whole or absent, and come back.

Every run is brought back by the command of docs/resume.md. "Whole" is the strictest there is: the
bytes of a run that nobody disturbed.
"""

import os
import re
import resource
import shutil
import subprocess
import time

import numpy as np
import psutil
import pytest
import yaml
from astropy.io import fits
from helpers.killing import DOCUMENTED, PROJECT, Clock, Run, resume, scripts_left, whole_products
from helpers.walk import WALK

CI = ("--cores", "2", "--configfile", "config/ci.yaml")
N_KILLS = 10


@pytest.fixture
def project(project_with_library):
    """With a library of its own: kills meet jobs that compile, too."""
    return project_with_library


@pytest.fixture(scope="module")
def reference(ci_project, checksums):
    """SHA-256 of every product of a run that nobody disturbed."""
    return checksums(ci_project)


@pytest.fixture(scope="module")
def clock(ci_project):
    """How far a run is."""
    return Clock(ci_project)


def finish(run, reference, checksums):
    """Wait for a run and for the scripts that were left behind; then all bytes are the same."""
    assert run.wait() == 0, run.text()
    psutil.wait_procs(scripts_left(run.folder))
    assert checksums(run.folder) == reference  # and no temporary file is left


# --- killed ---------------------------------------------------------------------------------------


def test_snakemake_killed(project, reference, clock, checksums):
    """Killed, resumed, killed again ...: alone, so that its scripts go on beside those of the next
    run, or with all its processes, in random order.
    """
    generator = np.random.default_rng(20)
    everything = generator.permutation(np.arange(N_KILLS) % 2 == 0)
    run, hit, progress = Run(project, *CI), [], []
    for moment, of_all in zip(clock.moments(generator, N_KILLS), everything, strict=True):
        clock.wait(run, moment, generator.random())
        hit.append(run.kill(of_all))
        progress.append(len(whole_products(project, reference)))
        assert (project / ".snakemake/locks").is_dir()
        run = resume(project, *CI)
    finish(run, reference, checksums)
    print("ran when killed:", hit, "products there:", progress)
    # The kills met work, in all parts of the walk.
    assert sum(map(bool, hit)) >= N_KILLS - 2, hit
    assert len({rule for rules in hit for rule in rules}) >= 5, hit
    assert progress[-1] - progress[0] >= 20, progress


def test_jobs_killed(project, reference, clock, checksums):
    """As by the system where memory is short: Snakemake ends by itself, with an error."""
    generator = np.random.default_rng(22)
    run, hit = Run(project, *CI), []
    for moment in clock.moments(generator, N_KILLS):
        clock.wait(run, moment, generator.random())
        rule = kill_some_job(run, generator, hit)
        if rule is None:
            break
        hit.append(rule)
        assert run.wait() == 1, run.text()
        assert f"Error in rule {rule}:" in run.text()
        whole_products(project, reference)
        run = resume(project, *CI)
    finish(run, reference, checksums)
    print("killed:", hit)
    assert len(hit) >= N_KILLS - 2 and len(set(hit)) >= 5, hit


MOST_OF_A_RULE = 2
"""Kills of one rule: a long one would take most of them."""


def kill_some_job(run, generator, hit):
    """SIGKILL one of the jobs that run, or of those that come next; returns its rule.

    None where the run ends before there is one of a rule that was not `hit` often enough.
    """
    while run.process.poll() is None:
        jobs = [job for job in run.jobs() if hit.count(job[0]) < MOST_OF_A_RULE]
        if not jobs:
            time.sleep(0.01)
            continue
        rule, process = jobs[generator.integers(len(jobs))]
        if stop(process):
            process.kill()
            return rule
    return None


def stop(process):
    """Stop a process; False where it has ended before."""
    try:
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            time.sleep(0.001)
    except psutil.NoSuchProcess:
        return False
    return True


def test_a_script_left_behind_does_not_write_over_a_later_run(project, checksums):
    """The configuration is edited between kill and resume, and the old script is the slower one."""
    edits = {"old": 16, "new": 2}
    for name, n_pixels in edits.items():
        exposure = {"seconds": 1000, "fit": {"method": "two-step"}}
        own = {"pixels": f"0-{n_pixels - 1}", "exposures": {"a": exposure}}
        own["simulation"] = {"good_seconds": 1000}
        (project / f"{name}.yaml").write_text(yaml.safe_dump(own))
    target, log = (
        "results/eclairs/a/chunks/0000.fits",
        project / "results/logs/fit_lines/a/0000.log",
    )
    old = Run(project, "--cores", 1, target, "--configfile", "old.yaml")
    while not log.exists():  # with its log a job has begun
        assert old.process.poll() is None, old.text()
        time.sleep(0.01)
    (rule, script), *_ = old.jobs()
    assert rule == "fit_lines" and stop(script)
    old.kill(everything=False)
    assert not (project / target).exists(), "the script was stopped too late for this test"
    new = resume(project, "--cores", 1, target, "--configfile", "new.yaml")
    assert new.wait() == 0, new.text()
    before = checksums(project)
    assert len(fits.getdata(project / target, 1)) == edits["new"]
    script.resume()
    psutil.wait_procs([script])
    assert checksums(project) == before
    line = f"fit_lines a 0000: {target}: not written, because a later run of this job has begun;"
    assert line in old.text() and "Traceback" not in old.text()


# --- no room --------------------------------------------------------------------------------------

FULL = {  # room (bytes), then rules, each with all products of one job: none waits for another
    "events": (3_000_000, {"simulate_events": ["eclairs/events/*"]}),
    "spectra, response, fits": (
        0,
        {
            "bin_spectra": ["eclairs/3ks/spectra.fits", "eclairs/3ks/truth.ecsv"],
            "learn_response": ["eclairs/5ks/response.fits", "eclairs/5ks/lines.csv"],
            "fit_lines": ["eclairs/10ks/chunks/0000.fits"],
        },
    ),
    "relation": (
        64 * 1024,
        {"merge_relation": ["eclairs/3ks/relation.fits", "eclairs/3ks/AUX-ECL-PIX-CAL.fits"]},
    ),
    "what follows": (
        0,
        {
            "validate_relation": ["eclairs/3ks/validation.json"],
            "predict_observing_time": ["eclairs/3ks/observing_time.json"],
            "plot_relation": ["eclairs/5ks/figures/[!s]*", "eclairs/5ks/figures/statistics.*"],
            "plot_spectrum": ["eclairs/10ks/figures/spectrum.*"],
            "write_lists": ["eclairs/10ks/lists/*"],
        },
    ),
    "report": (2_000_000, {"report": ["report.html", "report.json"]}),
}


@pytest.fixture
def small_disk():
    """Function: mount a tmpfs of 64 MB at a folder, made here; says whether that is allowed."""
    mounted = []

    def mount(folder):
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            return False
        mounted.append(folder)
        return True

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def run_without_room(folder, disk, room, *arguments):
    """Snakemake where `disk` has `room` bytes left: None for a limit on each file instead."""
    if disk is None:
        limit = (room, room)
        run = Run(
            folder, *arguments, limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        )
        return run.wait(), run.text()
    filler, state = disk / ".filler", os.statvfs(disk)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - room)
    run = Run(folder, *arguments)
    code = run.wait()
    filler.unlink()
    return code, run.text()


def test_a_full_disk(ci_project, reference, checksums, small_disk, tmp_path):
    """Every rule of the walk meets it; the products of all others stay as they are."""
    assert [rule for _, made in FULL.values() for rule in made] == list(WALK)
    folder = tmp_path / "project"
    disk = folder / "results" if small_disk(folder / "results") else None
    shutil.copytree(ci_project, folder, symlinks=True, dirs_exist_ok=True)
    steps = [step for step in FULL.values() if disk or step[0]]
    for room, made in steps:
        jobs = {rule: products_of(folder, patterns) for rule, patterns in made.items()}
        lost = [name for names in jobs.values() for name in names]
        for name in lost:
            (folder / name).unlink()
        targets = [names[0] for names in jobs.values()]
        code, said = run_without_room(folder, disk, room, "--keep-going", *targets, *CI)
        assert code == 1 and "Traceback" not in said, said
        for rule in jobs:
            line = rf"^{rule}( \w+)*: cannot write results/\S+ \(.+\); free space and run again$"
            assert re.search(line, said, re.MULTILINE), f"no line of {rule}:\n{said}"
        assert set(reference) - whole_products(folder, reference) == set(lost)
        again = resume(folder, *targets, *CI)
        assert again.wait() == 0, again.text()
        assert checksums(folder) == reference
    finish(resume(folder, *CI), reference, checksums)
    if disk is None:
        pytest.skip("file systems cannot be mounted here: only a limit on each file was tried")


@pytest.mark.parametrize("room", [0, 120_000])
def test_a_disk_that_is_full_for_snakemake_too(
    ci_project, reference, checksums, small_disk, tmp_path, room
):
    """Its notes and its log are on the same disk as the products, and stay usable."""
    folder = tmp_path / "project"
    if not small_disk(folder):
        pytest.skip("file systems cannot be mounted here")
    shutil.copytree(ci_project, folder, symlinks=True, dirs_exist_ok=True)
    lost = products_of(folder, FULL["relation"][1]["merge_relation"])
    for name in lost:
        (folder / name).unlink()
    code, said = run_without_room(folder, folder, room, lost[0], *CI)
    assert code == 1
    assert re.search(r"no space left|No space left on device", said), said
    assert ("merge_relation 3ks: cannot write" in said) == (room > 0), said
    assert set(reference) - whole_products(folder, reference) == set(lost)
    finish(resume(folder, lost[0], *CI), reference, checksums)


def products_of(folder, patterns):
    """Names of the products that match, from the project's folder on."""
    found = [path for pattern in patterns for path in sorted((folder / "results").glob(pattern))]
    assert found, patterns
    return [path.relative_to(folder).as_posix() for path in found]


# --- the command ----------------------------------------------------------------------------------


def test_the_command_is_the_documented_one():
    page = (PROJECT / "docs" / "resume.md").read_text(encoding="utf-8")
    assert f"\n    {DOCUMENTED}\n" in page
    assert "resume.md" in (PROJECT / "docs" / "running.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make command on PATH")
def test_make_resume_is_the_same_command():
    said = subprocess.run(
        ["make", "-n", "resume", "CORES=32", "ARGS=--configfile mine.yaml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    calls = [line.split("/")[-1] for line in said.splitlines() if "bin/snakemake" in line]
    assert " && ".join(calls) == DOCUMENTED
