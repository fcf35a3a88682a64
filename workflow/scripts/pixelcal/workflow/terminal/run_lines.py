"""What a run prints: a line for each step that is done, and at its end the verdict or the error.

Snakemake's output of 18 lines per job stays where it is asked for (`--verbose`, `--printshellcmds`,
`--quiet`, a dry run), and in the files of .snakemake/log.

Snakemake hands out what happens as records of the standard library's logging, of which each has an
`event` with fields; `snakemake_interface_logger_plugins` describes them. A plugin would have to be
installed before Snakemake starts, which a user of a `module` statement did not do.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pixelcal.workflow.interrupt import COLLECTED, EXIT_STOPPED, STOPPED
from pixelcal.workflow.terminal import summary

LOGGER = "snakemake.logging"
CHATTER = (
    "Assuming unrestricted shared filesystem",
    "Building DAG of jobs",
    "Complete log(s)",
    "Conda environments: ignored",
    "Elapsed time",
    "Exiting because a job execution failed",
    "Job stats",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Singularity containers: ignored",
    "Terminating processes on user request",
    "Using shell",
    "WorkflowError:\nAt least one job did not complete successfully",
)
"""How messages begin that say nothing about the work, or what our lines say in other words."""
SILENT_EVENTS = (
    "workflow_started",
    "job_started",
    "group_info",
    "group_error",  # each of its jobs has a record too
    "progress",
    "resources_info",
    "rulegraph",
    "shellcmd",
)
CLOCKS_DIFFER_S = 5.0
"""By which the clock of a file system may be late: an older log is that of an earlier run."""
NOTHING_DONE = "Nothing to be done"
SUBMITTED = "has been submitted with SLURM jobid"
_SCRIPT_FAILED = ("returned non-zero exit status", "died with <Signals.")  # its log says why
_INTERRUPTED = (f"exit status {EXIT_STOPPED}", "<Signals.SIGINT")
_COLOURS = {True: 32, False: 31, None: 33}  # green, red, yellow


def speak(workflow, products: Mapping[str, str]) -> None:
    """Have the run of a workflow print our lines; to be called where its rules are read.

    Parameters
    ----------
    workflow : Snakemake's own
    products : path of the product with the verdict, by what it is about: "energy" (report.json),
        "history" and "sstcam_history" (alarms.txt), "sstcam" (sstcam.json). What the run does not
        make is left out.
    """
    logger = logging.getLogger(LOGGER)
    for handler in logger.handlers:
        if isinstance(handler, RunLines):  # of another `module` statement
            handler.products.append(products)
            return
    os.environ.pop(COLLECTED, None)
    stream = [one for one in logger.handlers if one.name == "DefaultStreamHandler"]
    ours = bool(stream) and _wants_lines(workflow.output_settings)
    handler = RunLines(workflow, stream[0].stream if ours else None)
    handler.products.append(products)
    if ours:
        logger.removeHandler(stream[0])
    logger.addHandler(handler)


def say(text: str) -> None:
    """Print a line among those of a run, in yellow; the files of .snakemake/log get it too."""
    logging.getLogger(LOGGER).warning(text)


def _wants_lines(settings) -> bool:
    """Whether nothing on the command line asks for Snakemake's own output."""
    asked = (settings.verbose, settings.printshellcmds, settings.dryrun, settings.debug_dag)
    return not any(asked) and not settings.quiet


def is_coloured(stream, nocolor: bool = False) -> bool:
    """Whether a stream is a terminal with colours that no setting turns off (no-color.org)."""
    wanted = not nocolor and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and bool(getattr(stream, "isatty", lambda: False)())


class RunLines(logging.Handler):
    """Prints the lines of a run to `stream`; with None for it, Snakemake prints, and we add the
    verdict at the end."""

    def __init__(self, workflow, stream=None) -> None:
        super().__init__(logging.INFO)
        self.products: list[Mapping[str, str]] = []
        self._workflow, self._stream = workflow, stream
        self._colour = is_coloured(stream, getattr(workflow.output_settings, "nocolor", False))
        self._begun = time.monotonic()
        self._jobs: dict[int, dict] = {}
        self._failed: dict[int, dict] = {}
        self._done = self._total = self._width = 0
        self._stopped = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record of Snakemake's in our words, or nothing."""
        event, text = str(getattr(record, "event", None) or ""), str(record.msg or "")
        try:
            handle = getattr(self, f"_on_{event}", None)
            if handle is not None:
                handle(record)
            elif event not in SILENT_EVENTS:
                self._on_message(record, text)
            if text.startswith(NOTHING_DONE):
                self._tell_verdict()
        except (BrokenPipeError, KeyboardInterrupt, SystemExit):
            raise
        except Exception:
            self.handleError(record)

    # --- what happens -----------------------------------------------------------------------------

    def _on_run_info(self, record) -> None:
        """All jobs are planned; the first one follows. A dry run ends here."""
        if self._workflow.output_settings.dryrun:
            return
        jobs = {name: n for name, n in record.stats.items() if name != "total"}
        self._total = record.stats["total"]
        self._width = max(map(len, jobs))
        self._print(f"{self._total} step{'s' if self._total > 1 else ''} to do")
        if self._workflow.execution_settings.no_hooks:
            return
        success, error = self._workflow._onsuccess, self._workflow._onerror
        self._workflow._onsuccess = lambda log: (success(log), self._succeeded())
        if self._stream is not None:
            self._workflow._onerror = lambda log: (error(log), self._ended_early())
            os.environ[COLLECTED] = "1"

    def _on_job_info(self, record) -> None:
        name = " ".join([record.rule_name, *map(str, dict(record.wildcards or {}).values())])
        self._jobs[record.jobid] = {
            "name": name,
            "rule": record.rule_name,
            "made": list(record.output or ()),
            "log": next(iter(record.log or ()), None),
            "begun": time.monotonic(),
            "begun_at": time.time(),
        }
        if record.rule_msg:
            self._print(str(record.rule_msg))

    def _on_job_finished(self, record) -> None:
        job = self._jobs.get(record.job_id)
        if job is None:
            return
        self._done += 1
        self._failed.pop(record.job_id, None)
        made = job["made"]
        more = f" and {len(made) - 1} more" if len(made) > 1 else ""
        words = f"{made[0]}{more}" if made else "all of it is there"
        took = summary.in_words(time.monotonic() - job["begun"])
        rule, count = f"rule {job['rule']}:", f"{self._done:>{len(str(self._total))}}"
        self._print(f"{rule:<{self._width + 6}} {count} of {self._total}  {took:>11}  {words}")

    def _on_job_error(self, record) -> None:
        known = {"name": record.rule_name, "rule": record.rule_name, "log": None, "begun_at": 0}
        job = self._jobs.get(record.jobid, known)
        if self._stopped:  # with the rest, by Ctrl-C
            return
        self._failed[record.jobid] = job
        told = f"; {record.rule_msg}" if record.rule_msg else ""  # as Slurm's state of the job
        log = f"; its log: {job['log']}" if job["log"] else ""
        which = job["name"].removeprefix(job["rule"]).lstrip()
        self._print(f"Error in rule {job['rule']}: {f'{which} failed'.lstrip()}{told}{log}", False)

    def _on_message(self, record, text: str) -> None:
        """Anything else that is said."""
        if lines := getattr(record, "summary", None):
            for line in lines:
                self._print_line(line)
            return
        if text.startswith("Terminating processes on user request"):
            self._stopped = True
        boring = text.startswith((*CHATTER, "Provided ", "Rules claiming more threads"))
        if not text.strip() or boring or SUBMITTED in text:
            return
        if text.startswith("RuleException") and any(words in text for words in _SCRIPT_FAILED):
            self._stopped |= any(words in text for words in _INTERRUPTED)
            return
        tone = {logging.ERROR: False, logging.CRITICAL: False, logging.WARNING: None}
        self._print(text.rstrip(), tone.get(record.levelno, True), record.levelno > logging.INFO)

    # --- the end ----------------------------------------------------------------------------------

    def _succeeded(self) -> None:
        elapsed = summary.in_words(time.monotonic() - self._begun)
        self._print(f"{self._done} of {self._total} steps done in {elapsed}")
        self._tell_verdict()

    def _ended_early(self) -> None:
        """The state of the run in one line, then each error in one."""
        state = f"{self._done} of {self._total} steps are done and stay"
        if self._stopped:
            self._print(f"{STOPPED}: {state}; the same command goes on from there", None)
            return
        n = len(self._failed)
        failed = f", {n} failed; the same command goes on from there" if n else ""
        self._print(f"{state}{failed}", None)
        failures = [
            summary.Failure(
                job["name"], job["rule"], job["log"], _content(job["log"], job["begun_at"])
            )
            for job in self._failed.values()
        ]
        for text in summary.failure_lines(failures):
            self._print(text, False)

    def _tell_verdict(self) -> None:
        """Print what the products of this run say; the files of .snakemake/log get it too."""
        made = {str(path) for job in self._workflow.dag.jobs for path in job.output}
        lines: list[summary.Line] = []
        for products in self.products:
            lines += verdict_lines(products, made)
        if lines:
            text = "\n".join(line.text for line in lines)
            logging.getLogger(LOGGER).info(text, extra={"summary": lines})

    # --- the stream -------------------------------------------------------------------------------

    def _print(self, text: str, good: bool | None = True, coloured: bool = True) -> None:
        plain = good is True or not coloured
        self._print_line(summary.Line(text) if plain else summary.Line("", text, "", good))

    def _print_line(self, line: summary.Line) -> None:
        if self._stream is None:
            return
        marked = line.marked
        if marked and self._colour:
            marked = f"\033[{_COLOURS[line.good]}m{marked}\033[0m"
        # A script may be printing too: one write for a line.
        self._stream.write(f"{line.before}{marked}{line.after}\n")
        self._stream.flush()


def _content(path: str | None, since: float = 0.0) -> str | None:
    """What a file holds; None where it cannot be read, or was written before a time (s)."""
    if path is None:
        return None
    with contextlib.suppress(OSError):
        if os.stat(path).st_mtime >= since - CLOCKS_DIFFER_S:
            return Path(path).read_text(encoding="utf-8", errors="replace")
    return None


def verdict_lines(products: Mapping[str, str], made: set[str]) -> list[summary.Line]:
    """The lines about those of the products that a run makes.

    Parameters
    ----------
    products : as `speak` takes them
    made : paths of all that the run makes; a `module` statement may have put a folder before them

    Returns
    -------
    list of Line
        Empty for a product that is missing or is not what this version writes.
    """
    lines: list[summary.Line] = []
    for what, path in products.items():
        file = next((one for one in sorted(made) if one == path or one.endswith(f"/{path}")), None)
        content = _content(file)
        if content is None:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if what in ("history", "sstcam_history"):
                page = str(Path(file).with_name("history.html"))
                lines += summary.history_lines(content, file, page if page in made else None)
            else:
                page = str(Path(file).with_suffix(".html"))
                told = summary.energy_lines if what == "energy" else summary.sstcam_lines
                lines += told(json.loads(content), page)
    return lines
