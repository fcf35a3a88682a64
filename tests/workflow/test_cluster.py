"""What a cluster needs to know: numbers of every rule, a profile, and an environment for it.

The run through a real Slurm is in tests/long.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.walk import SSTCAM_WALK, WALK

PROJECT = Path(__file__).resolve().parents[2]
FILES = sorted((PROJECT / "workflow" / "rules").rglob("*.smk"))
RULES = ("\n" + "\n".join(path.read_text() for path in FILES)).split("\nrule ")[1:]
SNAKEMAKE_IN_A_JOB = 300  # MB: two processes of it hold 131 MB each beside the rule's own
IN_SLURM_ONLY = {"slurm-status-command", "slurm-init-seconds-before-status-checks"}


def test_the_rules_are_found():
    names = {rule.split(":")[0] for rule in RULES}
    assert {*WALK, *SSTCAM_WALK} <= names


@pytest.mark.parametrize("rule", RULES, ids=lambda text: text.split(":")[0])
def test_a_rule_states_threads_memory_and_time(rule):
    memory = r"mem_mb=lambda wildcards, attempt: \d+ \* attempt,\n"
    for number in (r"threads: \d+\n", memory, r"runtime=\d+,\n"):
        assert len(re.findall(rf"^ +{number}", rule, re.MULTILINE)) == 1, number


def test_the_rules_ask_for_more_than_they_took(ci_project):
    """By the table for the docs; half as much again as measured, and Snakemake's own."""
    command = [sys.executable, PROJECT / "benchmarks" / "cluster.py", ci_project]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    head, *rows = run.stdout.splitlines()
    assert head.split()[:2] == ["rule", "jobs"]
    named = [row.split() for row in rows]
    assert {row[0] for row in named} == set(WALK)
    for rule, _, seconds, _, megabytes, _, memory, minutes in named:
        assert int(memory) >= 1.5 * float(megabytes) + SNAKEMAKE_IN_A_JOB, rule
        assert 60 * int(minutes) >= 3 * float(seconds), rule


def test_the_profile_is_understood(project, snakemake):
    """By Snakemake itself, but for the options that come with Slurm's executor."""
    path = project / "profiles" / "slurm" / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    assert profile.pop("executor") == "slurm"
    assert {key for key in profile if key.startswith("slurm-")} == IN_SLURM_ONLY
    path.write_text(yaml.safe_dump({k: v for k, v in profile.items() if k not in IN_SLURM_ONLY}))
    run = snakemake(project, "--dry-run", "--profile", "profiles/slurm")
    assert run.returncode == 0, run.stderr


def test_the_environment_for_slurm_is_that_of_the_workflow_and_its_executor():
    run, slurm = ((PROJECT / f"requirements/{name}.txt").read_text() for name in ("run", "slurm"))
    versions = [dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)) for text in (run, slurm)]
    assert versions[0].items() <= versions[1].items()
    assert "snakemake-executor-plugin-slurm" in versions[1]
