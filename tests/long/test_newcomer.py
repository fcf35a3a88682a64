"""What a newcomer asks in the first hour, as commands, with what each must print.

Ctrl-C and going on is in tests/workflow/test_terminal.py.
"""

import os
import re
import subprocess
import sys

import pytest
import yaml
from astropy.io import fits
from helpers.paths import SCRIPTS
from helpers.project_copies import copy_project
from helpers.weeks import write_week

PIXEL = 12
MINE = {
    "run": "mine",
    "pixels": "0-15",
    "lines": "resources/lines/all_blocks.csv",
    "events": {"files": ["data/week*.fits"], "gti": {"file": ["data/gti*.fits"]}},
}
WEEKS = {
    "w11": {"start": "2025-03-17T00:00:00", "stop": "2025-03-24T00:00:00"},
    "w12": {"start": "2025-03-24T00:00:00", "stop": "2025-03-31T00:00:00"},
}
STEP = re.compile(r"^rule (\w+): .* (results/\S+)", re.MULTILINE)


def configured(folder, name, **settings):
    """Write a configuration; returns the options that name it."""
    (folder / name).write_text(yaml.safe_dump(MINE | settings, sort_keys=False))
    return "--configfile", name


def python(folder, *arguments):
    """What a Python command prints."""
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def relation_of(folder, run, exposure, pixel):
    """The row of a pixel in relation.fits, read without pixelcal."""
    rows = fits.getdata(folder / f"results/{run}/eclairs/{exposure}/relation.fits", "RELATION")
    return rows[rows["DETNUM"] == pixel][0]


@pytest.fixture(scope="module")
def first(ci_project, tmp_path_factory, snakemake):
    """A folder in which somebody has run event files of one week; what that run printed."""
    folder = copy_project(tmp_path_factory.mktemp("newcomer") / "project")
    (folder / "data").mkdir()
    for number in range(2):
        write_week(folder / "data", ci_project / "results/eclairs/events", number)
    options = configured(folder, "mine.yaml", exposures={"w11": WEEKS["w11"]})
    run = snakemake(folder, *options, "--", "results/mine/report.html")
    assert run.returncode == 0, run.stderr[-4000:]
    return folder, run.stderr


def test_event_files_end_with_a_verdict_and_the_page(first):
    folder, said = first
    lines = said.splitlines()
    assert lines[-1] == "  The page: results/mine/report.html"
    assert (folder / "results/mine/report.html").is_file()
    verdict = "Meets the requirement|Does not meet the requirement|It cannot be said|No pixel has"
    assert re.search(rf"^  w11  ({verdict})", said, re.MULTILINE), said
    assert re.search(r"^       .*valid fit.* events? (is|are) lost", said, re.MULTILINE), said


def test_the_gain_of_a_pixel_and_its_error(first):
    folder, _ = first
    code = (
        "from pixelcal.api import read_relation\n"
        "table = read_relation('results/mine/eclairs/w11/relation.fits').table\n"
        f"row = table[table['DETNUM'] == {PIXEL}][0]\n"
        "print(float(row['GAIN']), float(row['GAIN_ERR']), int(row['STATUS']))"
    )
    row = relation_of(folder, "mine", "w11", PIXEL)
    gain, error, status = python(folder, "-c", code).split()
    assert float(gain) == row["GAIN"] and float(error) == row["GAIN_ERR"] > 0
    assert int(status) == row["STATUS"]
    assert abs(row["GAIN"] / 0.145 - 1) < 0.05


def test_one_more_exposure_makes_that_one_alone(first, snakemake):
    folder, _ = first
    options = configured(folder, "mine.yaml", exposures=WEEKS)
    run = snakemake(folder, *options, "--", "results/mine/report.html")
    assert run.returncode == 0, run.stderr[-4000:]
    made = STEP.findall(run.stderr)
    assert {rule for rule, _ in made} >= {"bin_spectra", "fit_lines", "validate_relation", "report"}
    assert not [path for _, path in made if "/w11/" in path], made
    assert {line[:5] for line in run.stderr.splitlines()} >= {"  w11", "  w12"}


def test_the_last_relation_is_the_start_of_the_next_run(first, snakemake):
    folder, _ = first
    before = "results/mine/eclairs/w11/relation.fits"
    settings = {"exposures": {"w12": WEEKS["w12"]}, "relation": {"file": before}}
    options = configured(folder, "next.yaml", run="next", **settings)
    run = snakemake(folder, *options, "--", "results/next/report.html")
    assert run.returncode == 0, run.stderr[-4000:]
    header = fits.getheader(folder / "results/next/eclairs/w12/relation.fits", "RELATION")
    names = [str(header[word]) for word in header if word.startswith("INFIL")]
    assert any(name.endswith("relation.fits") for name in names), names
    # The same camera, from other counts: within the errors of the two.
    old, new = (relation_of(folder, *where, PIXEL) for where in (("mine", "w11"), ("next", "w12")))
    assert abs(new["GAIN"] - old["GAIN"]) < 5 * max(new["GAIN_ERR"], old["GAIN_ERR"])


def test_all_mistakes_of_a_configuration_are_told_at_once(first, snakemake):
    folder, _ = first
    mistakes = {"pixel": "0-15", "fit": {"min_count": 5}, "exposures": {"a": {"seconds": -1}}}
    run = snakemake(folder, *configured(folder, "wrong.yaml", **mistakes))
    assert run.returncode != 0 and "Traceback" not in run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith("configuration")]
    assert said, run.stderr
    for words in ("pixel", "min_count", "seconds"):
        assert any(re.search(rf"\b{words}\b", line) for line in said), (words, said)
    assert " to do" not in run.stderr


def test_two_epochs_are_compared_and_asked_for_by_date(first, snakemake):
    folder, _ = first
    options = configured(folder, "epochs.yaml", run="epochs", epochs={"every": "7 d"})
    run = snakemake(folder, *options, "--", "history")
    assert run.returncode == 0, run.stderr[-4000:]
    assert re.search(r"^History: (no alarm|\d+ alarms?)$", run.stderr, re.MULTILINE), run.stderr
    assert "  The page: results/epochs/history/history.html" in run.stderr.splitlines()
    assert "  The page: results/epochs/report.html" in run.stderr.splitlines()
    history = ("--history", "results/epochs/history/history.fits")
    asked = ("-m", "pixelcal", "relation", "--pixel", str(PIXEL), "--date", "2025-03-26", *history)
    said = python(folder, *asked)
    assert said.startswith(f"pixel {PIXEL}, ") and "2025-03-24" in said
    number = re.search(r"^gain +([\d.]+) ± ([\d.]+) keV/channel", said, re.MULTILINE)
    rows = fits.getdata(folder / history[1], "HISTORY")
    row = rows[rows["DETNUM"] == PIXEL][-1]
    assert abs(float(number[1]) - row["BEST_GAIN"]) < 1e-6
    assert abs(float(number[2]) - row["BEST_GAIN_ERR"]) < 1e-6
