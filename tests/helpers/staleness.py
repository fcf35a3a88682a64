"""What an edit makes stale: docs/stale.md read, and plans of Snakemake in the same words."""

import os
import re
from dataclasses import dataclass, field
from types import FunctionType

from helpers.paths import PROJECT
from helpers.walk import PER_EXPOSURE, THREE, WALK
from pixelcal.io.chunks import chunk_names

PAGE = PROJECT / "docs" / "stale.md"
APART = ("SSTCAM", "History", "Ready runs")
"""Sections of it on finished runs of their own."""

SSTCAM_CONFIG = "sstcam.yaml"
SSTCAM_RUNS = {"spe": ("spe_00", "spe_01"), "scan": ("scan_00", "scan_01")}
"""Configuration and runs of the finished run of the SSTCAM, `sstcam_project`."""


N_PIXELS, CHUNK_PIXELS = 64, 32


OWN_FILES = ("a.fits", "b.fits", "gti.fits", "prior.fits", "lines.csv", "bad.csv")


OWN = {
    "events": {"files": ["a.fits", "b.fits"], "gti": {"file": "gti.fits"}},
    "relation": {"file": "prior.fits"},
    "lines": "lines.csv",
    "bad_pixels": "bad.csv",
}


JOINT_FIT = "workflow/scripts/pixelcal/energy/fit/joint.py"


VALIDATION = "workflow/scripts/pixelcal/energy/results/validation.py"


TEMPLATE = "workflow/scripts/pixelcal/report/templates/energy/report.html.j2"


FIT_SCRIPT = "workflow/scripts/energy/fit_lines.py"


SHIPPED_LINES = "resources/lines/all_blocks.csv"


@dataclass(frozen=True)
class Edit:
    """Settings on top of the finished run, a change of its files, arguments of Snakemake."""

    settings: dict = field(default_factory=dict)
    change: FunctionType | None = None
    arguments: tuple = ()
    own_files: bool = False


def replace(path, content, seconds_later=10):
    """A new file in the place of `path`, dated so many seconds after now, or before."""
    assert PROJECT not in path.resolve().parents, f"{path} is a link to the project itself"
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    os.replace(new, path)
    later = path.stat().st_mtime + seconds_later
    os.utime(path, (later, later))


def append(name, text, seconds_later=10):
    """A function that appends to a file of a folder."""

    def change(folder):
        path = folder / name
        replace(path, path.read_bytes() + text.encode(), seconds_later)

    return change


def touch_everything(folder):
    """New dates for all that is read, the bytes as before."""
    read = [folder / name for name in OWN_FILES if (folder / name).exists()]
    for place in ("resources", "workflow", "envs", "config"):
        read += [path for path in (folder / place).rglob("*") if path.is_file()]
    for path in read:
        replace(path, path.read_bytes())


WITH_CONDA = "`envs/fit.yaml`, with `--sdm conda`"
"""In tests/long/test_conda.py, where a run with conda is."""


def read_page(section=None):
    """Edit -> what runs again, as the tables of the page say: of a section, or of the others."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    chosen = [section] if section else [name for name in texts if name not in APART]
    text = "".join(texts[name] for name in chosen)
    rows = re.findall(r"^\| (.*) \| (.*) \|$", text, re.MULTILINE)
    said = {edit: again for edit, again in rows if edit != "Edit"}
    assert len(said) == len([row for row in rows if row[0] != "Edit"]), "an edit stands there twice"
    return said


SAID = read_page()


SSTCAM_SAID = read_page("SSTCAM")


HISTORY_SAID = read_page("History")


READY_SAID = read_page("Ready runs")


TARGETS = {"all", "history", "sstcam", "spe", "charge_resolution", "sstcam_history"}


def jobs_of(rule, exposures, chunk_pixels=CHUNK_PIXELS):
    """The jobs (rule, wildcards) of a rule."""
    if rule not in PER_EXPOSURE:
        return {(rule, "")}
    chunks = [""]
    if rule == "fit_lines":
        chunks = [f", chunk={name}" for name in chunk_names(N_PIXELS, chunk_pixels)]
    return {(rule, f"exposure={name}{chunk}") for name in exposures for chunk in chunks}


def expected_jobs(again, chunk_pixels=CHUNK_PIXELS):
    """The jobs that a cell of the page means: clauses "exposures: rules", parted by semicolons."""
    again = "all: from `simulate_events` on" if again == "everything" else again
    jobs = set()
    for clause in again.replace("nothing", "").split(";"):
        who, _, what = clause.rpartition(":")
        exposures = THREE if who.strip() == "all" else re.findall(r"`(\w+)`", who)
        rules = re.findall(r"`(\w+)`", what)
        assert set(rules) <= set(WALK), clause
        if "from" in what:
            (first,) = rules
            rules = WALK[WALK.index(first) :]
        for rule in rules:
            jobs |= jobs_of(rule, exposures, chunk_pixels)
    return jobs


def planned_jobs(run):
    """The jobs (rule, wildcards) of a dry run, without the targets, which make nothing."""
    assert run.returncode == 0, run.stdout + run.stderr
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", run.stdout, re.MULTILINE)
    jobs = set()
    for rule, text in blocks:
        wildcards = re.search(r"^ {4}wildcards: (.*)$", text, re.MULTILINE)
        jobs.add((rule, wildcards[1] if wildcards else ""))
    counted = re.search(r"^total +(\d+)$", run.stdout, re.MULTILINE)
    assert len(jobs) == (int(counted[1]) if counted else 0)
    return {job for job in jobs if job[0] not in TARGETS}


def sstcam(**settings):
    """Settings of the SSTCAM on top of the finished run."""
    return {"sstcam": settings}
