"""Helpers of the rules of both cameras.

Everything that a rule takes from the configuration goes through its `params`, leaf by leaf in a
fixed order of keys: an edit then makes stale exactly what it touches. docs/stale.md has the table.
"""

import functools
import json
import re

from pixelcal.io.chunks import chunk_names
from pixelcal.io.provenance import file_sha256, sampled_sha256, software_version
from pixelcal.io.resources import shipped_or_given
from pixelcal.workflow.library_hash import chain_hash, library_hash, revision_of
from pixelcal.workflow.lineage import listed_files, pixel_ranges, remember
from pixelcal.workflow.runs import results_folder
from pixelcal.workflow.terminal.run_lines import say, speak

RESULTS = results_folder(config)
"""Where everything of a run goes."""

with configuration.mistakes_in_one_line():
    configuration.check_results(
        RESULTS, config["exposures"], configuration.instrument_folder(config)
    )


if workflow.is_main_process:
    speak(
        workflow,
        {
            "energy": f"{RESULTS}/report.json",
            "history": f"{RESULTS}/history/alarms.txt",
            "sstcam": f"{RESULTS}/sstcam.json",
            "sstcam_history": f"{RESULTS}/sstcam/history/alarms.txt",
        },
    )


# --- what a run was made from ---------------------------------------------------------------------

MADE_FROM = {}
"""What is made of each camera, once its jobs are planned and nothing is replaced."""
CODES = {}
"""The rule of each hash of code that the products planned have in their headers."""


def remember_when_jobs_begin():
    """Have MADE_FROM written to the folder of the run before the first job; never on a dry run.

    `onstart:` of a module is not called, so this goes before what the main Snakefile has there.
    """
    onstart_before = workflow._onstart

    def begin(log):
        with configuration.mistakes_in_one_line():
            revision = revision_of(PROJECT)
            remember(RESULTS, MADE_FROM, CODES, revision)
        if revision.dirty:
            say(f"pixelcal {software_version()}, {revision.in_words()}")
        onstart_before(log)

    workflow._onstart = begin


if workflow.is_main_process:
    remember_when_jobs_begin()


wildcard_constraints:
    chunk=r"\d{4}\d*",
    pixel=r"\d{4}\d*",


# --- settings -------------------------------------------------------------------------------------


def ordered(settings):
    """Settings with sorted keys: the order in which a file names them makes nothing stale."""
    return json.loads(json.dumps(settings, sort_keys=True))


def leaves(section, *paths):
    """Some of the settings of a section; a dot leads into one of its groups."""
    chosen = {}
    for path in paths:
        *groups, name = path.split(".")
        source, target = section, chosen
        for group in groups:
            source, target = source[group], target.setdefault(group, {})
        target[name] = source[name]
    return ordered(chosen)


# --- files and code -------------------------------------------------------------------------------


def library(script):
    """Hash of a script and the library behind it: an edit makes stale what the script made.

    Only the main process compares it; the process of a job, which reads the rules again, needs none.
    """
    path = PROJECT / "workflow" / "scripts" / f"{script}.py"
    return library_hash(path) if workflow.is_main_process else None


def library_chain(*scripts):
    """Function for `params`: hash of the code from the data to a product, for SOFTVERS there.

    Names the scripts of the steps from the data on, or functions of the wildcards that give some;
    the last script is that of the rule. An edit of an earlier one makes the product stale anyway.
    Unlike `library` it has its value in the process of a job too, of this job alone.
    """

    def of_job(wildcards):
        names = [script(wildcards) if callable(script) else [script] for script in scripts]
        return code_behind(*(name for some in names for name in some))

    return of_job


@functools.cache
def code_behind(*scripts):
    """The hash of scripts and the library behind them, noted in CODES."""
    paths = [PROJECT / "workflow" / "scripts" / f"{script}.py" for script in scripts]
    code = chain_hash(paths)
    CODES[code] = scripts[-1].split("/")[-1]
    return code


# A plan reads a file once, however many jobs take it.
checksum, sampled = functools.cache(file_sha256), functools.cache(sampled_sha256)


def contents(*tables, large=()):
    """Checksums of tables, and of samples of event files and runs, which may be large.

    Snakemake does not notice a file that one with an older date has replaced. As with `library`,
    only the main process compares them.
    """
    if not workflow.is_main_process:
        return None
    return [checksum(path) for path in tables if path is not None] + [
        sampled(path) for path in large
    ]


def templates(camera):
    """Hash of each template of a report; they are not among the files that Python imports."""
    folder = PROJECT / "workflow" / "scripts" / "pixelcal" / "report" / "templates"
    paths = [
        path for place in (folder, folder / camera) for path in place.iterdir() if path.is_file()
    ]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(paths)}


def optional(**files):
    """Those of the named files that are configured."""
    return {name: path for name, path in files.items() if path is not None}
