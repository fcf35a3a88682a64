"""Runs of the CI workflow that are killed, and brought back by the command of docs/resume.md."""

import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from helpers.paths import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "workflow"))  # for walk.py
DOCUMENTED = "snakemake --unlock && snakemake --cores 32 --configfile mine.yaml"
TEMPORARY = re.compile(r"\..+-[0-9a-f]{12}\.\w+")
SCRIPT = re.compile(r"/\.snakemake/scripts/tmp\w+\.(\w+)\.py$")
PATIENCE_S = 600


def environment():
    """Snakemake of this Python on PATH; scripts compile what they import only once."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


class Run:
    """Snakemake with a group of processes of its own, as from a terminal; what it says is kept."""

    def __init__(self, folder, *arguments, limit=None):
        self.folder = folder
        beside = folder.parent  # there is room for it
        self.said = beside / f"said-{len(list(beside.glob('said-*')))}"
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                ["snakemake", *map(str, arguments)],
                cwd=folder,
                env=environment(),
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=limit,
            )

    def jobs(self):
        """Processes of scripts that run now, by rule: [(rule, process)]."""
        found = []
        for process in _processes(lambda: psutil.Process(self.process.pid).children(True)):
            if rule := _rule(process):
                found.append((rule, process))
        return found

    def kill(self, everything):
        """SIGKILL Snakemake, or its whole group of processes; returns the rules that ran."""
        running = self.jobs()
        rules = [rule for rule, _ in running]
        if everything:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            os.kill(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, f"not killed:\n{self.text()}"
        if everything:
            psutil.wait_procs([process for _, process in running])
        return rules

    def wait(self):
        """Exit code, once it has ended by itself."""
        return self.process.wait(PATIENCE_S)

    def text(self):
        """What it and its jobs have said."""
        return self.said.read_text(encoding="utf-8")


def _processes(find):
    """What psutil finds; nothing where the process has ended meanwhile."""
    try:
        return find()
    except psutil.NoSuchProcess:
        return []


def _rule(process):
    """Name of the rule whose script a process is; None for any other process."""
    try:
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
    match = SCRIPT.search(words[-1]) if words else None
    return match and match[1]


def scripts_left(folder):
    """Processes of scripts that work in `folder`, whoever started them."""
    return [
        process
        for process in psutil.process_iter()
        if _rule(process) and _processes(process.cmdline)[-1:] and _works_in(process, folder)
    ]


def _works_in(process, folder):
    """Whether a process has `folder` as its own."""
    try:
        return Path(process.cwd()) == folder.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def resume(folder, *arguments):
    """The command of docs/resume.md with other arguments; returns the run it begins."""
    unlock, again = (shlex.split(part)[1:] for part in DOCUMENTED.split(" && "))
    assert again == ["--cores", "32", "--configfile", "mine.yaml"]
    done = subprocess.run(
        ["snakemake", *unlock], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Run(folder, *arguments)


# --- products -------------------------------------------------------------------------------------


def whole_products(folder, reference):
    """Names of the products that are there; each must have the bytes of the finished run.

    Scripts may be writing meanwhile: temporary files come and go. `reference`: SHA-256 by name.
    """
    there = set()
    for name, sha in reference.items():
        try:
            content = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        assert hashlib.sha256(content).hexdigest() == sha, f"{name} is not whole"
        there.add(name)
    others = {
        path.relative_to(folder).as_posix()
        for top in ("eclairs", "report.html")
        for path in [folder / "results" / top, *(folder / "results" / top).rglob("*")]
        if path.is_file() and not TEMPORARY.fullmatch(path.name)
    }
    assert others <= set(reference), f"files that no finished run has: {others - set(reference)}"
    return there


class Clock:
    """How far a run of the CI workflow is, in what its jobs took when nobody killed them."""

    def __init__(self, folder):
        found = (folder / "results" / "benchmarks").rglob("*.tsv")
        self.seconds = {path.relative_to(folder): _seconds(path) for path in sorted(found)}
        self.total = sum(self.seconds.values())

    def done(self, folder):
        """Jobs that have finished in `folder`."""
        return [path for path in self.seconds if (folder / path).exists()]

    def moments(self, generator, number):
        """Random moments (s), one in each of `number` equal parts of the first 85 % of the run.

        After that the last jobs could be done before the kill.
        """
        return (generator.random(number) + range(number)) / number * 0.85 * self.total

    def wait(self, run, moment, delay):
        """Until jobs of `moment` seconds have finished and others run, and `delay` jobs more."""
        end = time.monotonic() + PATIENCE_S
        while True:
            done = self.done(run.folder)
            expected = sum(self.seconds[path] for path in done)
            if expected >= moment and run.jobs():
                break
            assert run.process.poll() is None, f"ended before it was killed:\n{run.text()}"
            assert time.monotonic() < end, f"takes too long:\n{run.text()}"
            time.sleep(0.02)
        # The machine may have more to do now, or less.
        slowness = sum(_seconds(run.folder / path) for path in done) / expected if expected else 1
        time.sleep(delay * slowness * self.total / len(self.seconds))


def _seconds(path):
    """What a job took, from the file of its benchmark."""
    rows = path.read_text().splitlines()
    return float(rows[1].split("\t")[0]) if len(rows) > 1 else 0.0  # killed while writing it
