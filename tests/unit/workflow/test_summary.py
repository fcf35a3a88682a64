"""What a run says at its end, from what products and logs hold."""

import io
import json
import logging
from types import SimpleNamespace

import pytest

from pixelcal.workflow.terminal import run_lines, summary

MEETS = "Meets the requirement: at the worst energy, 150 keV, 98.44 % of the pixels pass."
UNSURE = "It cannot be said whether the requirement is met: 3 of 8 valid fits are doubtful."
NOTHING = "No pixel has a valid fit."


def exposure(name, meets, text, lost=(0, 1000), warnings=()):
    """One exposure of report.json."""
    return {
        "name": name,
        "meets": meets,
        "text": text,
        "reasons": "Every pixel has a valid fit.",
        "warnings": list(warnings),
        "events_lost": lost[0],
        "events_read": lost[1],
    }


def energy(*exposures):
    """Content of report.json."""
    return {"camera": "ECLAIRs", "headline": "A headline.", "exposures": exposures}


def test_each_exposure_has_its_verdict():
    lines = summary.energy_lines(
        energy(
            exposure("10ks", True, MEETS),
            exposure("3ks", None, UNSURE, (1234, 5678), ["a", "b"]),
            exposure("day", False, NOTHING, (None, None)),
        ),
        "results/report.html",
    )
    assert [line.text for line in lines] == [
        "ECLAIRs: A headline.",
        f"  10ks  {MEETS}",
        "        Every pixel has a valid fit. No event is lost.",
        f"  3ks   {UNSURE}",
        "        Every pixel has a valid fit. 1,234 of 5,678 events are lost."
        " 2 warnings on the page.",
        f"  day   {NOTHING}",
        "        Every pixel has a valid fit.",
        "  The page: results/report.html",
    ]
    marked = [(line.marked, line.good) for line in lines if line.marked]
    assert marked == [
        ("Meets the requirement", True),
        ("It cannot be said whether the requirement is met", None),
        (NOTHING, False),
    ]


def test_the_sstcam_says_its_cards():
    cards = [
        {"title": "Gains", "meets": True, "text": "15 of 16 pixels are good.", "more": "much"},
        {"title": "Model", "meets": None, "text": "No good pixel.", "more": ""},
    ]
    content = {"camera": "SSTCAM", "headline": "The gains can be used.", "cards": cards}
    lines = summary.sstcam_lines(content, "results/sstcam.html")
    assert [line.text for line in lines] == [
        "SSTCAM: The gains can be used.",
        "  Gains: 15 of 16 pixels are good.",
        "  Model: No good pixel.",
        "  The page: results/sstcam.html",
    ]
    assert [line.good for line in lines if line.marked] == [True, None]


FILE = "2025-03-17  file         AUX-ECL-PIX-CAL-20250317.fits is in force since 2025-03-17"


@pytest.mark.parametrize(
    ("n", "begin"), [(0, "no alarm"), (1, "1 alarm"), (5, "5 alarms"), (7, "7 alarms")]
)
def test_alarms_are_counted_and_the_most_serious_ones_told(n, begin):
    rows = [f"2025-03-17  pixel jump   pixel {i}: off" for i in range(n)] or ["no alarm"]
    text = "\n".join([*rows, FILE]) + "\n"
    lines = summary.history_lines(text, "results/history/alarms.txt", "results/history/p.html")
    said = [line.text for line in lines]
    assert said[0] == f"History: {begin}" and lines[0].good is (n == 0)
    assert said[1 : 1 + min(n, 5)] == [f"  {row}" for row in rows[:5] if n]
    assert ("  and 2 more: results/history/alarms.txt" in said) == (n == 7)
    assert said[-2:] == [f"  {FILE}", "  The page: results/history/p.html"]


def log(*messages):
    """The content of a log file."""
    stamped = [f"2026-11-27 11:31:1{i},807 {text}" for i, text in enumerate(messages)]
    return "\n".join(stamped) + "\n"


def failed(name, *messages):
    """A job that failed, with what its log says."""
    said = log(*messages) if messages else None
    return summary.Failure(name, name.split()[0], f"logs/{name}.log", said)


def test_the_last_error_of_a_log_is_told_once_for_all_jobs():
    mistake = "event file a.fits: ERROR in a column; check it"
    lines = summary.failure_lines(
        [
            failed(
                "bin_spectra a", "INFO bin_spectra a: started", f"ERROR bin_spectra a: {mistake}"
            ),
            failed("fit_lines b 0001", "CRITICAL fit_lines b 0001: stopped by an internal error"),
            failed("bin_spectra b", f"ERROR bin_spectra b: {mistake}", "INFO later"),
            failed("plot_pixel c", "WARNING plot_pixel c: a doubt"),
            failed("report"),
        ]
    )
    assert lines == [
        f"bin_spectra a (and 1 more of this kind): {mistake}",
        "fit_lines b 0001: stopped by an internal error; its traceback: logs/fit_lines b 0001.log",
        "Error in rule plot_pixel: plot_pixel c (and 1 more of this kind) ended without"
        " a message; its log: logs/plot_pixel c.log",
    ]


def test_there_are_not_more_lines_than_somebody_reads():
    jobs = [failed(f"fit_lines a {i:04d}", f"ERROR reason {i}") for i in range(25)]
    lines = summary.failure_lines(jobs)
    assert len(lines) == summary.MOST_FAILURES + 1
    assert lines[-1] == f"and {25 - summary.MOST_FAILURES} more reasons: see the logs"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (267, "4 min 27 s"),
        (3599.6, "1 h 00 min"),
        (36125, "10 h 02 min"),
    ],
)
def test_durations(seconds, words):
    assert summary.in_words(seconds) == words


# --- which products, and in which colours ---------------------------------------------------------


def test_only_what_the_run_makes_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("results", "calibration/results"):
        (tmp_path / folder).mkdir(parents=True)
        content = energy(exposure(folder.split("/")[0], True, MEETS))
        (tmp_path / folder / "report.json").write_text(json.dumps(content))
    (tmp_path / "results" / "sstcam.json").write_text('{"of another": "version"}')
    products = {"energy": "results/report.json", "sstcam": "results/sstcam.json"}

    def said(*made):
        return [line.text for line in run_lines.verdict_lines(products, set(made))]

    assert said() == [] and said("results/nowhere.json") == []
    assert said("results/sstcam.json") == []  # not ours: no traceback at the end of a run
    assert (
        said("results/report.json", "results/report.html")[-1] == "  The page: results/report.html"
    )
    assert said("calibration/results/report.json")[1].startswith("  calibration  Meets")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "nocolor", "coloured"),
    [
        ({}, False, True),
        ({"NO_COLOR": ""}, False, True),  # no-color.org: when present and not empty
        ({"NO_COLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({}, True, False),
    ],
)
def test_colours_only_where_they_are_wanted(environment, nocolor, coloured, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run_lines.is_coloured(Terminal(), nocolor) is coloured
    assert not run_lines.is_coloured(io.StringIO())
    settings = SimpleNamespace(nocolor=nocolor)
    stream = Terminal()
    handler = run_lines.RunLines(SimpleNamespace(output_settings=settings), stream)
    record = logging.makeLogRecord({"msg": "x", "levelno": logging.INFO})
    record.summary = [summary.Line("  10ks  ", "Meets", ": all", True)]
    handler.emit(record)
    word = "\033[32mMeets\033[0m" if coloured else "Meets"
    assert stream.getvalue() == f"  10ks  {word}: all\n"
