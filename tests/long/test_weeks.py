"""Two weeks of a mission through the whole chain, and the file of a third that arrives.

Each week has the simulated events of the CI run, moved to its dates, with good times of its own.
"""

import pytest
import yaml
from astropy.io import fits
from astropy.time import Time, TimeDelta
from helpers.staleness import planned_jobs
from helpers.walk import PER_EXPOSURE

WEEK_S = 7 * 86400.0
MONDAY = Time("2025-03-17T00:00:00", scale="utc")
EPOCHS = ["2025-03-17", "2025-03-24"]
SETTINGS = {
    "run": "flight",
    "pixels": "0-63",
    "lines": "resources/lines/all_blocks.csv",
    "events": {"files": ["data/week*.fits"], "gti": {"file": ["data/gti*.fits"]}},
    "epochs": {"every": "7 d"},
}


def write_week(folder, simulated, number):
    """Event file and good times of a week, an hour after its beginning (UTC)."""
    header = fits.getheader(simulated / "events.fits", 1)
    zero = Time(header["MJDREFI"], header["MJDREFF"], format="mjd", scale="tt")
    moved = float((MONDAY.tt - zero).sec) + number * WEEK_S + 3600.0 - header["TSTART"]
    with fits.open(simulated / "events.fits") as hdus:
        hdus[1].data["TIME"][:] += moved
        for word in ("TSTART", "TSTOP"):
            hdus[1].header[word] += moved
        hdus.writeto(folder / f"week{number}.fits", checksum=True)
    with fits.open(simulated / "gti.fits") as hdus:
        for hdu in hdus[1:]:
            for name in ("START", "STOP"):
                hdu.data[name][:] += moved
        hdus.writeto(folder / f"gti{number}.fits", checksum=True)


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


def test_each_week_has_products_of_its_own_time(weeks, ci_results):
    made = weeks / "results/flight"
    assert sorted(path.name for path in (made / "eclairs").iterdir()) == EPOCHS
    assert (made / "report.html").is_file() and not (weeks / "results/report.html").exists()
    for number, name in enumerate(EPOCHS):
        header = fits.getheader(made / f"eclairs/{name}/relation.fits", 1)
        started = MONDAY + TimeDelta(number * WEEK_S + 3600.0, format="sec")
        assert abs((Time(header["DATE-OBS"], scale="utc") - started).sec) < 2e-3
        assert header["NINFILE"] == 2 and header["INFIL001"] == f"week{number}.fits"
        assert header["INFIL002"] == f"gti{number}.fits"
        simulated = fits.getheader(ci_results / "eclairs/10ks/spectra.fits", 1)
        assert header["EXPOSURE"] == pytest.approx(simulated["GOODTIME"], abs=1e-3)


def test_the_file_of_a_third_week_makes_its_chain_and_the_report(weeks, ci_project, snakemake):
    plan = arguments(ci_project, "--dry-run")
    assert planned_jobs(snakemake(weeks, *plan)) == set()
    write_week(weeks / "data", ci_project / "results/eclairs/events", 2)
    jobs = planned_jobs(snakemake(weeks, *plan))
    third = "exposure=2025-03-31"
    assert {rule for rule, wildcards in jobs if wildcards.startswith(third)} == set(PER_EXPOSURE)
    assert {job for job in jobs if not job[1].startswith(third)} == {("report", "")}


def test_the_measured_weeks_are_kept(weeks, ci_project, snakemake):
    """The default configuration under the name of the run: the forgotten --configfile."""
    run = snakemake(weeks, "--dry-run", *arguments(ci_project)[:-2], "--config", "run=flight")
    assert run.returncode != 0
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("configuration: ")]
    assert "results/flight/eclairs: was made from event files (week0.fits, week1.fits" in line
