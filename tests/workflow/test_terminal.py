"""What a run prints: a line a step, the verdict at its end; a mistake once, as the last line."""

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers.interrupts import interrupt

CI = ("--configfile", "config/ci.yaml")
PAGE = "results/report.html"
STEP = re.compile(r"rule (\w+): +(\d+) of (\d+)  +[\d.]+ (?:s|min \d\d s)  \S.*")
LONG = "SNAKEMAKE\n========="
"""How Snakemake's own output begins."""


@pytest.fixture
def finished(ci_project, tmp_path):
    """A copy of the CI run that may be changed."""
    return shutil.copytree(ci_project, tmp_path / "finished", symlinks=True)


def lines_of(run):
    """What a run has printed, without what Snakemake says before it reads the rules."""
    assert run.returncode == 0, run.stderr
    before = ("Using workflow specific profile", "Config file ")
    return [line for line in run.stderr.splitlines() if not line.startswith(before)]


def verdict(folder):
    """The lines of the verdict, put together from the product."""
    content = json.loads((folder / "results" / "report.json").read_text())
    return [f"{content['camera']}: {content['headline']}"], [
        exposure["text"] for exposure in content["exposures"]
    ]


def test_a_line_for_each_of_all_steps(ci_project):
    said = (ci_project.parent / "said.txt").read_text().splitlines()
    steps = [match for line in said if (match := STEP.fullmatch(line))]
    assert [int(match[2]) for match in steps] == list(range(1, 34))
    assert {match[3] for match in steps} == {"33"}
    assert steps[0][1] == "simulate_events" and steps[-1][1] == "all"
    assert len(said) - len(steps) <= 12, "\n".join(said)


def test_the_verdict_is_that_of_the_page(ci_project):
    page = (ci_project / PAGE).read_text(encoding="utf-8")
    headline, texts = verdict(ci_project)
    said = (ci_project.parent / "said.txt").read_text().splitlines()
    assert headline[0] in said and headline[0].partition(": ")[2] in page
    assert len(texts) == 3
    for text in texts:
        assert text in page and any(line.endswith(text) for line in said)
    assert said[-1] == f"  The page: {PAGE}"


def test_a_part_of_the_run(finished, snakemake):
    said = lines_of(snakemake(finished, "--forcerun", "report", *CI, "--", PAGE))
    assert said[0] == "1 step to do"
    assert STEP.fullmatch(said[1]) and said[1].endswith("results/report.html and 1 more")
    assert said[2].startswith("1 of 1 steps done in ") and said[3] == verdict(finished)[0][0]
    assert said[-1] == f"  The page: {PAGE}" and len(said) == 11


def test_where_nothing_is_to_be_done_the_verdict_is_told(finished, snakemake):
    first, *said = lines_of(snakemake(finished, *CI))
    assert first.startswith("Nothing to be done") and len(said) == 8
    assert said[0] == verdict(finished)[0][0]
    run = snakemake(finished, "--dry-run", *CI)
    planned = run.stdout + run.stderr
    assert LONG in planned and said[0] in planned


def test_what_does_not_make_the_page_tells_no_verdict(finished, snakemake):
    relation = "results/eclairs/3ks/relation.fits"
    (said,) = lines_of(snakemake(finished, *CI, "--", relation))
    assert said.startswith("Nothing to be done")


@pytest.mark.parametrize(
    ("option", "is_long"),
    [("--printshellcmds", True), ("--quiet=reason", True), ("--quiet=all", False)],
)
def test_other_output_where_it_is_asked_for(finished, snakemake, option, is_long):
    said = "\n".join(lines_of(snakemake(finished, option, "--forcerun", "report", *CI, "--", PAGE)))
    assert ((LONG in said) and ("Finished jobid" in said)) == is_long
    assert (verdict(finished)[0][0] in said) == is_long and "step to do" not in said


def test_colours_on_a_terminal_alone(finished):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *CI]

    def shown(**environment):
        main, terminal = pty.openpty()
        with subprocess.Popen(
            command, cwd=finished, env=os.environ | environment, stdout=terminal, stderr=terminal
        ) as process:
            os.close(terminal)
            said = b""
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while part := os.read(main, 4096):
                    said += part
        os.close(main)
        assert process.returncode == 0
        return said.decode()

    environment = {"TERM": "xterm", "NO_COLOR": ""}
    coloured, plain = shown(**environment), shown(**environment | {"NO_COLOR": "1"})
    assert re.search("\033\\[3[123]m(Meets|Does not meet) the requirement\033\\[0m:", coloured)
    assert re.search("(Meets|Does not meet) the requirement:", plain)


# --- mistakes -------------------------------------------------------------------------------------


def wrong_events(project, events, *exposures):
    """A configuration with a column that the event file lacks."""
    settings = {
        "pixels": "0-3",
        "events": {"files": [str(events)], "columns": {"energy": "nowhere"}},
        "exposures": {name: {"seconds": 900 + i} for i, name in enumerate(exposures)},
    }
    (project / "own.yaml").write_text(yaml.safe_dump(settings))
    return "--configfile", "own.yaml"


@pytest.mark.parametrize("exposures", [("a",), ("a", "b")])
def test_a_mistake_is_told_once_and_last(ci_project, project, snakemake, exposures):
    events = ci_project / "results/eclairs/events/events.fits"
    run = snakemake(project, "--keep-going", *wrong_events(project, events, *exposures))
    assert run.returncode == 1
    *before, state, last = run.stderr.splitlines()
    others = " (and 1 more of this kind)" if len(exposures) > 1 else ""
    assert re.match(rf"bin_spectra [ab]{re.escape(others)}: event file \S+: no table holds", last)
    assert sum("no table holds" in line for line in run.stderr.splitlines()) == 1
    n = 10 * len(exposures) + (0 if len(exposures) > 1 else 1)
    failed = [line for line in before if line.startswith("Error in rule bin_spectra: ")]
    assert len(failed) == len(exposures) and "its log: results/logs/bin_spectra/" in failed[0]
    assert state.startswith("0 of ") and f", {len(exposures)} failed;" in state, n
    assert "Traceback" not in run.stderr and len(run.stderr.splitlines()) <= 8


def test_the_long_output_has_it_at_once_too(ci_project, project, snakemake):
    events = ci_project / "results/eclairs/events/events.fits"
    run = snakemake(project, "--verbose", *wrong_events(project, events, "a"))
    told = [line for line in run.stderr.splitlines() if line.startswith("bin_spectra a: event")]
    assert run.returncode == 1 and len(told) == 1 and "Error in rule bin_spectra:\n" in run.stderr


# --- Ctrl-C ---------------------------------------------------------------------------------------


def interrupted(folder, until, *arguments):
    """What a run prints that gets Ctrl-C, as from a terminal, once `until()`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    code, said, _ = interrupt(command, folder, until, 120, **streams)
    assert code != 0, said
    return said


def test_ctrl_c_ends_with_one_line_and_the_same_command_goes_on(finished, snakemake, checksums):
    before = checksums(finished)
    targets = [f"results/eclairs/3ks/chunks/000{i}.fits" for i in range(2)]
    logs = [finished / f"results/logs/fit_lines/3ks/000{i}.log" for i in range(2)]
    for path in (*logs, *(finished / target for target in targets)):
        path.unlink()
    said = interrupted(finished, lambda: all(path.exists() for path in logs), *CI, "--", *targets)
    *_, state, last = said.strip().splitlines()
    assert state == "2 steps to do" and last == (
        "stopped by the user (Ctrl-C): 0 of 2 steps are done and stay; the same command goes on"
        " from there"
    )
    assert not any((finished / target).exists() for target in targets)
    again = snakemake(finished, *CI, "--", *targets)
    assert again.returncode == 0 and "2 of 2 steps done" in again.stderr, again.stderr
    assert checksums(finished) == before


def test_ctrl_c_while_jobs_are_planned(finished, snakemake):
    """As soon as Snakemake has taken its lock, in a run with very many jobs."""
    many = {"exposures": {f"e{i}": {"seconds": 1000 + i} for i in range(150)}}
    (finished / "many.yaml").write_text(yaml.safe_dump(many))
    locks = finished / ".snakemake" / "locks"
    shutil.rmtree(locks, ignore_errors=True)
    arguments = (*CI, "many.yaml")
    said = interrupted(finished, lambda: any(locks.glob("*")), *arguments)
    assert said.strip().splitlines()[-1] == "stopped by the user (Ctrl-C)"
    assert "Traceback" not in said
    run = snakemake(finished, *CI)
    assert run.returncode == 0, run.stderr  # it is not locked
