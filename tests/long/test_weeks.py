"""Two weeks of a mission through the whole chain, the history of them, and a third week.

Each week has the simulated events of the CI run, moved to its dates, with good times of its own.
"""

import re

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.time import Time
from helpers.staleness import HISTORY_SAID, planned_jobs
from helpers.walk import PER_EXPOSURE
from helpers.weeks import EPOCHS, SETTINGS, started, write_week

from pixelcal.api import relation_at


@pytest.fixture(scope="module")
def weeks(ci_project, tmp_path_factory, snakemake):
    """A folder in which two weeks have run; beside the project, whose configuration is taken."""
    folder = tmp_path_factory.mktemp("weeks")
    (folder / "data").mkdir()
    for number in range(2):
        write_week(folder / "data", ci_project / "results/eclairs/events", number)
    (folder / "own.yaml").write_text(yaml.safe_dump(SETTINGS))
    run = snakemake(folder, *arguments(ci_project))
    assert run.returncode == 0, run.stderr[-6000:]
    return folder


def arguments(project, *more):
    snakefile = ("-s", project / "workflow/Snakefile", "--workflow-profile")
    return (*more, *snakefile, project / "profiles/default", "--configfile", "own.yaml")


def history_of(snakemake, folder, project, *more):
    """`snakemake history`: what it said."""
    run = snakemake(folder, *arguments(project, *more), "--", "history")
    assert run.returncode == 0, run.stderr[-6000:]
    return run


def seconds_to(header, date):
    """Seconds of a date in the time of a file."""
    zero = Time(header["MJDREFI"], header["MJDREFF"], format="mjd", scale="tt")
    return float((date.tt - zero).sec)


def is_right(made, epochs):
    """The history of a run has these epochs, each with its time and relation, and its files."""
    with fits.open(made / "history/history.fits", checksum=True) as hdus:
        hdus.verify("exception")
        rows, table, header = hdus["HISTORY"].data, hdus["EPOCHS"].data, hdus["EPOCHS"].header
        assert table["NAME"].tolist() == epochs and len(rows) == 64 * len(epochs)
        for number, name in enumerate(epochs):
            assert table["TSTART"][number] == pytest.approx(
                seconds_to(header, started(number)), abs=2e-3
            )
            relation = fits.getdata(made / f"eclairs/{name}/relation.fits", 1)
            mine = rows[rows["EPOCH"] == number]
            assert mine["DETNUM"].tolist() == relation["DETNUM"].tolist()
            for column in ("GAIN", "OFFSET", "STATUS"):  # in float32
                np.testing.assert_allclose(mine[column], relation[column], rtol=1e-6)
            known = np.isfinite(mine["BEST_GAIN"])
            assert known.sum() > 60 and (mine["BEST_GAIN_ERR"][known] > 0).all()
            inside = (mine["TIME"] > table["TSTART"][number]) & (
                mine["TIME"] < table["TSTOP"][number]
            )
            assert inside.all()
        first, names = table["TSTART"][0], table["PUBLISHED"].tolist()
        in_force = [f"{name.removesuffix('.fits')}.fits" for name in dict.fromkeys(names) if name]
    assert in_force[0] == "AUX-ECL-PIX-CAL-20250317.fits"
    assert sorted(path.name for path in (made / "history/published").glob("*.fits")) == in_force
    mission = fits.getheader(made / "history/published" / in_force[0], 1)
    assert mission["TSTART"] == pytest.approx(first, abs=2e-3)
    assert in_force[-1].removesuffix(".fits") in (made / "history/alarms.txt").read_text()
    page = (made / "history/history.html").read_text()
    assert all(name in page for name in epochs)
    report = (made / "report.html").read_text()
    assert f"has the latest: {len(epochs)} of {len(epochs)}." in report
    assert re.search(r'href="history/history.html"', report)


def test_each_week_has_products_of_its_own_time(weeks, ci_results):
    made = weeks / "results/flight"
    assert sorted(path.name for path in (made / "eclairs").iterdir()) == EPOCHS
    assert (made / "report.html").is_file() and not (weeks / "results/report.html").exists()
    for number, name in enumerate(EPOCHS):
        header = fits.getheader(made / f"eclairs/{name}/relation.fits", 1)
        assert abs((Time(header["DATE-OBS"], scale="utc") - started(number)).sec) < 2e-3
        assert header["NINFILE"] == 2 and header["INFIL001"] == f"week{number}.fits"
        assert header["INFIL002"] == f"gti{number}.fits"
        simulated = fits.getheader(ci_results / "eclairs/10ks/spectra.fits", 1)
        assert header["EXPOSURE"] == pytest.approx(simulated["GOODTIME"], abs=1e-3)


HISTORY = {("make_history", ""), ("publish_history", ""), ("show_history", "")}


def test_the_history_of_two_weeks(weeks, ci_project, snakemake):
    """Everything else is there already: only the history is made."""
    plan = history_of(snakemake, weeks, ci_project, "--dry-run")
    assert planned_jobs(plan) == HISTORY
    history_of(snakemake, weeks, ci_project)
    is_right(weeks / "results/flight", EPOCHS)
    assert planned_jobs(history_of(snakemake, weeks, ci_project, "--dry-run")) == set()
    path = weeks / "results/flight/history/history.fits"
    asked = relation_at(path, 5, "2025-03-26")
    rows = fits.getdata(path, "HISTORY")
    (row,) = rows[(rows["DETNUM"] == 5) & (rows["EPOCH"] == 1)]
    assert (asked.gain, asked.gain_err) == (row["BEST_GAIN"], row["BEST_GAIN_ERR"])


def test_the_file_of_a_third_week_makes_its_chain_the_report_and_the_history(
    weeks, ci_project, snakemake
):
    plan = arguments(ci_project, "--dry-run")
    assert planned_jobs(snakemake(weeks, *plan)) == set()
    write_week(weeks / "data", ci_project / "results/eclairs/events", 2)
    third = "exposure=2025-03-31"
    jobs = planned_jobs(snakemake(weeks, *plan))
    assert {rule for rule, wildcards in jobs if wildcards.startswith(third)} == set(PER_EXPOSURE)
    assert {job for job in jobs if not job[1].startswith(third)} == {("report", "")}
    jobs = planned_jobs(history_of(snakemake, weeks, ci_project, "--dry-run"))
    chain = set(PER_EXPOSURE) - {"plot_relation", "plot_spectrum", "write_lists"}
    assert {rule for rule, wildcards in jobs if wildcards.startswith(third)} == chain
    assert {job for job in jobs if not job[1].startswith(third)} == {("report", "")} | HISTORY


def test_the_history_of_three_weeks(weeks, ci_project, snakemake):
    made = weeks / "results/flight"
    before = {path: path.stat().st_mtime_ns for path in made.glob("eclairs/*/*.fits")}
    history_of(snakemake, weeks, ci_project)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    is_right(made, [*EPOCHS, "2025-03-31"])


EDITS = {
    "`history.false_alarms`": {"history": {"false_alarms": 3}},
    "`history.alarms.pixel_keV`": {"history": {"alarms": {"pixel_keV": 0.7}}},
    "`history.publication.pixels`": {"history": {"publication": {"pixels": 7}}},
    "`changes.threshold_sigma`": {"changes": {"threshold_sigma": 4.0}},
    "settings of the SSTCAM": {"sstcam": {"pixels": "0-7"}},
}


def test_the_page_has_every_edit_and_no_other():
    assert set(HISTORY_SAID) == set(EDITS)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_what_the_page_says(edit, weeks, ci_project, snakemake):
    (weeks / "edit.yaml").write_text(yaml.safe_dump(EDITS[edit]))
    plan = (*arguments(ci_project, "--dry-run"), "edit.yaml", "--", "history")
    rules = re.findall(r"`(\w+)`", HISTORY_SAID[edit])
    assert planned_jobs(snakemake(weeks, *plan)) == {(rule, "") for rule in rules}


def test_the_measured_weeks_are_kept(weeks, ci_project, snakemake):
    """The default configuration under the name of the run: the forgotten --configfile."""
    run = snakemake(weeks, "--dry-run", *arguments(ci_project)[:-2], "--config", "run=flight")
    assert run.returncode != 0
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("configuration: ")]
    assert "results/flight/eclairs: was made from event files (week0.fits, week1.fits" in line
