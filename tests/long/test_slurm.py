"""The CI workflow through a Slurm of one node, with a job cancelled half-way: the same bytes.

So has the history of a mission of two weeks.

Slurm is started here and taken down again. Which job is cancelled, and when, is drawn from SEED.
"""

import collections
import contextlib
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from helpers.weeks import SETTINGS, write_week

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = PROJECT.parent / "shared" / "tools" / "slurm"
PYTHON = PROJECT / ".venv-slurm" / "bin" / "python"
PROFILE = ("--profile", "profiles/slurm", "--configfile")
UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
SEED = 5
LONGEST = 1800  # s; 5 minutes on two cores, more where these are busy
SUBMITTED = {"simulate_events": 1, "bin_spectra": 3, "learn_response": 3, "fit_lines": 6}
SUBMITTED |= {"plot_relation": 3, "plot_spectrum": 3, "report": 1}
"""Jobs of each rule that is not local."""
OF_TWO_WEEKS = {
    "bin_spectra": 2,
    "learn_response": 2,
    "fit_lines": 2,
    "make_history": 1,
    "report": 1,
}


def what_is_missing():
    """Why there can be no Slurm here, or None."""
    if not (TOOLS / "up").exists():
        return "../shared/tools/slurm, which starts a Slurm of one node, is not there"
    if shutil.which("slurmctld") is None or shutil.which("slurmd") is None:
        return "Slurm is not installed (slurmctld, slurmd, slurm-client, munge)"
    if os.geteuid() != 0:
        return "only root can start a Slurm"
    if not PYTHON.exists():
        return "no environment with Slurm's executor: make slurm"
    if subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode == 0:
        return "a Slurm is running here; it is left alone"
    return None


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment of processes that see a Slurm of one node, which is taken down afterwards."""
    if missing := what_is_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("slurm")
    # without bytecode every job would compile what it imports
    environment = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    # more cores than there may be: jobs are short and wait for one another, not for the processor
    environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "CPUS": "4"}
    try:
        up = subprocess.run(
            [TOOLS / "up", folder], env=environment, capture_output=True, text=True, check=False
        )
        assert up.returncode == 0, up.stdout + up.stderr
        yield environment
    finally:
        subprocess.run([TOOLS / "down", folder], env=environment, check=False)


@contextlib.contextmanager
def at_slurm(environment, folder, *arguments):
    """A workflow that runs through Slurm: (process, file of what it says); ended at the end."""
    said = folder / "said.txt"
    with open(said, "w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", "snakemake", *PROFILE, *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()  # asked to end, it would wait for its jobs
            process.wait()
            subprocess.run(["scancel", "--user", "root"], env=environment, check=False)


@pytest.fixture
def through_slurm(slurm, project):
    """The CI workflow as it runs through Slurm in a fresh copy."""
    with at_slurm(slurm, project, "config/ci.yaml") as run:
        yield run


def states(environment):
    """(id, rule, wildcards, state) of every job that Slurm knows."""
    squeue = ["squeue", "--noheader", "--states", "all", "--format", "%i|%k|%T"]
    said = subprocess.run(squeue, env=environment, capture_output=True, text=True, check=True)
    jobs = []
    for line in said.stdout.splitlines():
        number, comment, state = line.strip().split("|")
        rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
        jobs.append((number, rule, wildcards, state))
    return jobs


def at_work(environment, folder):
    """The running jobs whose script has begun: it has opened its log."""
    for number, rule, wildcards, state in states(environment):
        log = f"{wildcards.replace('_', '/') or '*'}.log"
        if state == "RUNNING" and any((folder / "results/logs" / rule).glob(log)):
            yield number, rule, wildcards


def cancel_one(environment, folder, process):
    """Cancel the n-th job at work, some time after it began; returns its (id, rule, wildcards).

    A job that is done by then is left, and the next one taken.
    """
    drawn = random.Random(SEED)
    turn, wait = drawn.randint(1, 6), drawn.uniform(0, 2)
    seen = set()
    while process.poll() is None:
        for job in at_work(environment, folder):
            if job in seen:
                continue
            seen.add(job)
            if len(seen) < turn:
                continue
            time.sleep(wait)
            subprocess.run(["scancel", job[0]], env=environment, check=False)
            if state_at_the_end(environment, job[0]) == "CANCELLED":
                return job
        time.sleep(0.2)
    raise AssertionError("no job was cancelled before the workflow ended")


def state_at_the_end(environment, number):
    """The state in which a job that is about to end does so."""
    for _ in range(100):
        state = next(own[-1] for own in states(environment) if own[0] == number)
        if state not in ("PENDING", "RUNNING", "COMPLETING"):
            return state
        time.sleep(0.2)
    raise AssertionError(f"job {number} is still {state}")


def test_a_cancelled_job_comes_back_and_the_bytes_are_those_of_a_local_run(
    slurm, through_slurm, project, ci_project, checksums
):
    process, said = through_slurm
    number, rule, wildcards = cancel_one(slurm, project, process)
    assert process.wait(timeout=LONGEST) == 0, said.read_text()[-6000:]

    text = said.read_text(encoding="utf-8")
    assert text.count("Trying to restart job") == 1
    ends = collections.Counter((own[1], own[3]) for own in states(slurm))
    assert ends == {(own, "COMPLETED"): n for own, n in SUBMITTED.items()} | {
        (rule, "CANCELLED"): 1
    }
    again = [own[0] for own in states(slurm) if own[1:] == (rule, wildcards, "COMPLETED")]
    assert len(again) == 1 and int(again[0]) > int(number)

    # what a cancelled job was writing stays under a temporary name, which begins with a dot
    made = {name: sha for name, sha in checksums(project).items() if "/." not in name}
    assert made == checksums(ci_project)


def test_the_history_of_two_weeks_has_the_bytes_of_a_local_run(
    slurm, project, ci_project, checksums, snakemake, tmp_path
):
    (project / "data").mkdir()
    for number in range(2):
        write_week(project / "data", ci_project / "results/eclairs/events", number)
    (project / "own.yaml").write_text(yaml.safe_dump(SETTINGS | {"run": None}))
    local = shutil.copytree(project, tmp_path / "local", symlinks=True)

    before = {number for number, *_ in states(slurm)}
    with at_slurm(slurm, project, "own.yaml", "--", "history") as (process, said):
        assert process.wait(timeout=LONGEST) == 0, said.read_text()[-6000:]
    new = [job for job in states(slurm) if job[0] not in before]
    assert {state for *_, state in new} == {"COMPLETED"}
    assert collections.Counter(rule for _, rule, *_ in new) == OF_TWO_WEEKS

    run = snakemake(local, "--configfile", "own.yaml", "--", "history")
    assert run.returncode == 0, run.stderr[-6000:]
    made = checksums(project)
    assert "results/history/history.fits" in made
    assert made == checksums(local)
