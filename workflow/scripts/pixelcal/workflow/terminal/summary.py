"""What a run says at its end: the verdict of each page, and why jobs failed, as lines of text.

Plain functions on what the products and the log files hold; `run_lines` prints them. Uses the
standard library alone: the Snakefile needs it where there is no numpy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MOST_ALARMS = 5
"""So many of the alarms of a history are quoted, the most serious ones."""
MOST_FAILURES = 10
"""So many different reasons of failed jobs are quoted."""

_LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:ERROR|CRITICAL) (.*)")
_KINDS_FROM = 12
"""Column of alarms.txt in which the kind of an alarm begins."""


class Line(NamedTuple):
    """A line of the summary, of which a part may have a colour.

    Attributes
    ----------
    before, marked, after : str
        The text in three parts; only `marked` has a colour.
    good : bool or None
        What the colour says: well, not well, or that it cannot be said.
    """

    before: str
    marked: str = ""
    after: str = ""
    good: bool | None = None

    @property
    def text(self) -> str:
        """The line without a colour."""
        return f"{self.before}{self.marked}{self.after}"


def energy_lines(summary: Mapping, page: str) -> list[Line]:
    """The verdict on each exposure, with its fits and events, and where the page is.

    Parameters
    ----------
    summary : content of report.json, as `pixelcal.energy.report.summary` makes it
    page : path of the report
    """
    exposures = summary["exposures"]
    lines = [Line(f"{summary['camera']}: {summary['headline']}")]
    width = max(len(exposure["name"]) for exposure in exposures)
    for exposure in exposures:
        verdict, colon, rest = exposure["text"].partition(":")
        lines.append(
            Line(f"  {exposure['name']:<{width}}  ", verdict, colon + rest, exposure["meets"])
        )
        more = [exposure["reasons"], *_losses(exposure), *_warned(exposure)]
        lines.append(Line(f"  {'':<{width}}  {' '.join(more)}"))
    return [*lines, Line(f"  The page: {page}")]


def _losses(exposure: Mapping) -> list[str]:
    """A sentence on the events that are lost; none where not known."""
    lost, read = exposure["events_lost"], exposure["events_read"]
    if read is None:
        return []
    return ["No event is lost." if not lost else f"{lost:,} of {read:,} events are lost."]


def _warned(exposure: Mapping) -> list[str]:
    n = len(exposure["warnings"])
    return [f"{n} warning{'s' if n > 1 else ''} on the page."] if n else []


def sstcam_lines(summary: Mapping, page: str) -> list[Line]:
    """What the SSTCAM's page says first, and where it is.

    Parameters
    ----------
    summary : content of sstcam.json, as `pixelcal.charge.report.verdict.summary` makes it
    page : path of the report
    """
    lines = [Line(f"{summary['camera']}: {summary['headline']}")]
    for card in summary["cards"]:
        lines.append(Line(f"  {card['title']}: ", card["text"], "", card["meets"]))
    return [*lines, Line(f"  The page: {page}")]


def history_lines(alarms: str, file: str, page: str | None) -> list[Line]:
    """How many alarms a history has, and the most serious of them.

    Parameters
    ----------
    alarms : content of alarms.txt
    file : its path
    page : path of the page of the history, if it is made
    """
    rows = [row for row in alarms.splitlines() if row and row != "no alarm"]
    told = [row for row in rows if not row[_KINDS_FROM:].startswith("file ")]
    if told:
        n = f"{len(told)} alarm{'s' if len(told) > 1 else ''}"
        lines = [Line("History: ", n, "", False)]
    else:
        lines = [Line("History: ", "no alarm", "", True)]
    lines += [Line(f"  {row}") for row in told[:MOST_ALARMS]]
    if len(told) > MOST_ALARMS:
        lines.append(Line(f"  and {len(told) - MOST_ALARMS} more: {file}"))
    lines += [Line(f"  {row}") for row in rows if row not in told]
    return [*lines, Line(f"  The page: {page}")] if page else lines


class Failure(NamedTuple):
    """A job that failed.

    Attributes
    ----------
    name : str
        Rule and values of the wildcards, as "fit_lines 10ks 0003".
    rule : str
        Name of the rule.
    log : str or None
        Path of its log file.
    said : str or None
        Content of that file; None where it cannot be read.
    """

    name: str
    rule: str
    log: str | None
    said: str | None


def failure_lines(failures: Iterable[Failure]) -> list[str]:
    """One line for each reason for which jobs failed; jobs of the same reason share a line."""
    jobs: dict[str, list[Failure]] = {}
    for failure in failures:
        jobs.setdefault(_reason(failure), []).append(failure)
    lines = []
    for reason, same in list(jobs.items())[:MOST_FAILURES]:
        others = f" (and {len(same) - 1} more of this kind)" if len(same) > 1 else ""
        first = same[0]
        if reason:
            lines.append(f"{first.name}{others}: {reason}")
        else:
            log = f"; its log: {first.log}" if first.log else ""
            lines.append(
                f"Error in rule {first.rule}: {first.name}{others} ended without a message{log}"
            )
    if len(jobs) > MOST_FAILURES:
        lines.append(f"and {len(jobs) - MOST_FAILURES} more reasons: see the logs")
    return lines


def _reason(failure: Failure) -> str:
    """The last error in the log of a job without the name of the job; empty where there is none."""
    found = [match[1] for row in (failure.said or "").splitlines() if (match := _LOGGED.match(row))]
    if not found:
        return ""
    reason = found[-1].removeprefix(f"{failure.name}: ")
    return (
        f"{reason}; its traceback: {failure.log}"
        if reason.endswith("by an internal error")
        else reason
    )


def in_words(seconds: float) -> str:
    """A duration as people say it: "0.8 s", "12 s", "4 min 27 s", "1 h 02 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
