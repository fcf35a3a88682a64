"""How the cost of the workflow grows: whole runs, with pixels, events, exposures and chunks.

python benchmarks/workflow_scale.py [--cores 2]

A row is a run of Snakemake from nothing to the report, in a copy of the project in a temporary
folder: simulation, spectra, response, fits, merge, validation, prediction, report. Only the rows of
chunks begin with the fits, as after an edit of `fit.chunk_pixels`. Compilation is done before.

"planning" is a dry run of the same configuration, "CPU" the processor time of the jobs, "largest
job" the peak memory of the process that needed most, as the kernel kept it (VmHWM): the files in
results/benchmarks hold samples, which may miss a peak. The exponent is that of the column between
the first row and the last.
"""

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parent.parent
USED = ("config", "envs", "profiles", "resources", "workflow")
REPORT = "results/report.html"
KEEP_COST = """
import atexit, os, pathlib, sys, time

def keep_cost():
    script = pathlib.Path(sys.argv[0] if sys.argv else "").name.split(".")
    if len(script) == 3:  # Snakemake runs tmp1234.fit_lines.py
        peak = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
        own = pathlib.Path(os.environ["PIXELCAL_COSTS"], f"{script[1]}.{os.getpid()}")
        own.write_text(f"{peak} {time.process_time()}")

atexit.register(keep_cost)
"""
"""Every Python process of a job runs this at its start, as sitecustomize."""

PIXELS = (640, 1600, 3200, 6400)
GOOD_SECONDS = (1000, 3000, 10000)
EXPOSURES = (1, 5, 20)
CHUNKS = (8, 16, 32, 64)
FEW_PIXELS = 640
"""Of the runs in which jobs become more, not pixels."""
HEAD = "{:<14}{:>10}{:>10}{:>10}{:>8}   {:<26}"


class Cost(NamedTuple):
    """Of a run: wall time, planning and processor time (s), number of jobs, the largest (MB)."""

    seconds: float
    planning: float
    cpu: float
    jobs: int
    peak: float
    rule: str


class Workflow:
    """A copy of the project, in which configurations run."""

    def __init__(self, folder, cores):
        self.project = folder / "project"
        self.project.mkdir()
        for name in USED:
            source = PROJECT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.project / name)
        self.costs = folder / "costs"
        (folder / "start").mkdir()
        (folder / "start" / "sitecustomize.py").write_text(KEEP_COST, encoding="utf-8")
        self.environment = os.environ | {
            "PYTHONPATH": str(folder / "start"),
            "PIXELCAL_COSTS": str(self.costs),
        }
        self.cores = cores

    def snakemake(self, settings, *arguments):
        """Run Snakemake with these settings; wall time (s) and what it said."""
        path = self.project / "settings.yaml"
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--cores", str(self.cores)]
        start = time.perf_counter()
        run = subprocess.run(
            [*command, *arguments, "--configfile", path.name],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(f"{settings}: {run.stderr[-3000:]}")
        return time.perf_counter() - start, run.stdout

    def clear(self):
        """Forget every product, and what Snakemake knows about it."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.project / name, ignore_errors=True)

    def cost(self, settings):
        """The cost of a run with these settings, from what is there to the report."""
        shutil.rmtree(self.costs, ignore_errors=True)
        self.costs.mkdir()
        shutil.rmtree(self.project / "results" / "benchmarks", ignore_errors=True)
        planning, _ = self.snakemake(settings, REPORT, "--dry-run")
        seconds, _ = self.snakemake(settings, REPORT)
        jobs = [(*path.read_text().split(), path.name) for path in self.costs.iterdir()]
        n_jobs = len(list((self.project / "results" / "benchmarks").rglob("*.tsv")))
        if len(jobs) != n_jobs:
            raise SystemExit(f"{n_jobs} jobs ran, {len(jobs)} left their cost")
        peak, name = max((int(kib), name) for kib, _, name in jobs)
        cpu = sum(float(own) for _, own, _ in jobs)
        return Cost(seconds, planning, cpu, n_jobs, peak * 1024 / 1e6, name.split(".")[0])

    def pretend(self, settings):
        """Put empty files in place of all products, and let Snakemake take them for made."""
        for line in self.snakemake(settings, "--summary")[1].splitlines()[1:]:
            path = self.project / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self.snakemake(settings, "--touch", "--forceall")


def settings_of(pixels, exposures, chunks=8):
    """A configuration: pixels, seconds of each exposure, chunks of each."""
    return {
        "pixels": f"0-{pixels - 1}",
        "fit": {"chunk_pixels": -(-pixels // chunks)},
        "exposures": {f"{seconds}s": {"seconds": seconds} for seconds in exposures},
        "simulation": {"good_seconds": max(exposures)},
    }


def table(title, rows):
    """Print the rows (name, size, cost) of one dependence, and the exponents of times."""
    print(HEAD.format(title, "seconds", "planning", "CPU (s)", "jobs", "largest job"))
    for name, _, cost in rows:
        times = (f"{value:.1f}" for value in cost[:3])
        print(HEAD.format(name, *times, cost.jobs, f"{cost.peak:.0f} MB ({cost.rule})").rstrip())
    (_, small, first), (_, large, last) = rows[0], rows[-1]
    exponents = [math.log(last[k] / first[k]) / math.log(large / small) for k in range(3)]
    print(HEAD.format("exponent", *(f"{own:.2f}" for own in exponents), "", "").rstrip())
    print(flush=True)


def whole_runs(workflow):
    """Print a table for each dependence; the peak (MB) of the largest job of all."""
    workflow.cost(settings_of(FEW_PIXELS, [300]))  # compiles
    costs = []

    def measured(settings):
        workflow.clear()
        costs.append(workflow.cost(settings))
        return costs[-1]

    table("pixels", [(n, n, measured(settings_of(n, [3000]))) for n in PIXELS])
    rows = []
    for seconds in GOOD_SECONDS:
        cost = measured(settings_of(6400, [seconds]))
        events = events_in(workflow.project)
        rows.append((f"{events / 1e6:.1f} million", events, cost))
    table("events", rows)
    several = {n: [300 + 10 * k for k in range(n)] for n in EXPOSURES}
    few = {n: settings_of(FEW_PIXELS, seconds, chunks=1) for n, seconds in several.items()}
    table("exposures", [(n, n, measured(settings)) for n, settings in few.items()])
    measured(settings_of(FEW_PIXELS, [1000], chunks=1))
    split = {n: settings_of(FEW_PIXELS, [1000], chunks=n) for n in CHUNKS}
    rows = [(n, n, workflow.cost(settings)) for n, settings in split.items()]
    table("chunks", rows)
    return max(cost.peak for cost in [*costs, *(row[2] for row in rows)])


def dry_runs(workflow):
    """Print how long the plan of many jobs takes, with nothing made and with everything made."""
    settings = settings_of(6400, range(100, 2100, 100), chunks=64)
    workflow.clear()
    print("dry run of 20 exposures of 64 chunks")
    for state in ("nothing is made", "everything is made"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, _ = workflow.snakemake(settings, "--dry-run")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{state:<20}{seconds:>6.1f} s, {cpu:.1f} s of one core", flush=True)
        if state == "nothing is made":
            workflow.pretend(settings)


def events_in(project):
    """Events of the simulated file."""
    from astropy.io import fits

    return fits.getheader(project / "results/eclairs/events/events.fits", "EVENTS")["NAXIS2"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=min(2, os.cpu_count() or 1))
    cores = parser.parse_args().cores
    with tempfile.TemporaryDirectory() as folder:
        workflow = Workflow(Path(folder), cores)
        print(f"Whole runs on {cores} cores\n")
        largest = whole_runs(workflow)
        print(f"the largest job of all: {largest:.0f} MB\n")
        dry_runs(workflow)


if __name__ == "__main__":
    main()
