"""Exposures by date: the grid of epochs, the files that each needs, and what a new file plans.

Dates are held against astropy, files are written by astropy alone, and the plan of a simulated
mission of twenty weeks is Snakemake's.
"""

import os
import re
import shutil
import time
from pathlib import Path

import erfa
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time, TimeDelta
from helpers import faults
from helpers.faults import (
    bin_spectra,
    merged,
    pira_columns,
    snakemake,
    write_events,
    write_settings,
)
from helpers.staleness import planned_jobs

from pixelcal.energy.events.ready_spectra import _words_of_all
from pixelcal.errors import InputError
from pixelcal.workflow import dates
from pixelcal.workflow.config import exposures_with_epochs
from pixelcal.workflow.dates import date_of, date_text, parse_date
from pixelcal.workflow.file_times import TimesOfFiles

WEEK = 7 * 86400.0
MONDAY = Time("2025-03-03T00:00:00", scale="utc")
ZERO = Time(57754, 69.184 / 86400, format="mjd", scale="tt")
"""What the files count from, in TT."""


def seconds_of(date):
    """Seconds in the files of a date (UTC), by astropy."""
    return float((Time(date, scale="utc").tt - ZERO).sec)


# --- dates ----------------------------------------------------------------------------------------


def test_leap_seconds_are_those_of_erfa():
    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    assert [*dates._LEAPS] == [(int(row["year"]), int(row["month"])) for row in table]
    assert table["tai_utc"][0] == dates._FIRST_LESS_S


@pytest.mark.parametrize("system", ["TT", "TAI", "UTC", "TDB"])
def test_dates_are_those_of_astropy(system):
    tolerance_s = 3e-3 if system == "TDB" else 5e-6
    rng = np.random.default_rng(3)
    scale = system.lower()
    for mjd in (51910.0, 55197.0, 57753.9999, 57754.0):
        epoch = mjd, 0.00080074074074
        for seconds in (0.0, *rng.uniform(-2e8, 2.4e8, 40)):
            moment = Time(*epoch, format="mjd", scale=scale) + TimeDelta(seconds, format="sec")
            moment.precision = 6
            expected = parse_date(moment.utc.isot, "x")
            assert date_of(seconds, epoch, system) == pytest.approx(expected, abs=tolerance_s)


def test_a_leap_second_has_the_date_of_the_next():
    before = Time("2016-12-31T23:59:59.5", scale="utc")
    zero = Time(57700, 0, format="mjd", scale="tt")
    steps = [float((before.tt - zero).sec) + k for k in range(3)]
    found = [date_of(step, (57700.0, 0.0), "TT") for step in steps]
    midnight = parse_date("2017-01-01", "x")
    assert found == pytest.approx([midnight - 0.5, midnight + 0.5, midnight + 0.5], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-17", "2025-03-17T00:00:00"),
        ("2025-03-17T12:30", "2025-03-17T12:30:00"),
        ("2025-03-17 12:30:15.5Z", "2025-03-17T12:30:15.500000"),
        ("2025-03-17T12:30:15+00:00", "2025-03-17T12:30:15"),
    ],
)
def test_dates_as_they_are_written(text, expected):
    assert date_text(parse_date(text, "x")) == expected


@pytest.mark.parametrize("text", ["17.3.2025", "2025-02-30", "2025-03-17T25:00", "now", "2025", ""])
def test_what_is_no_date(text):
    with pytest.raises(InputError, match="exposures.a.start: .* is not a date; write it"):
        faults.resolve({"exposures": {"a": {"start": text}}})


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": {"every": "7"}}, 'epochs.every: "7" is not a length of time'),
        ({"epochs": {"every": "7 months"}}, "a unit of s, h, d, w"),
        ({"epochs": {"every": "-7 d"}}, "is not a length of time"),
        ({"epochs": {"every": "0 d"}}, "at least 1 s"),
        ({"epochs": {"every": "0.00001 d"}}, "allowed: whole seconds"),
        ({"epochs": {"every": 7}}, "epochs.every: 7 is not allowed; allowed: text"),
        ({"epochs": {"start": "Monday"}}, "epochs.start: 'Monday' is not a date"),
        ({"epochs": {"evry": "7 d"}}, "did you mean every"),
        ({"epochs": {}}, "events.files is empty"),
        (
            {"exposures": {"a": {"start": "2025-03-17", "stop": "2025-03-10"}}},
            "exposures.a: starts at 2025-03-17 and stops at 2025-03-10",
        ),
    ],
)
def test_a_mistake_is_one_line(settings, words):
    with pytest.raises(InputError) as raised:
        faults.resolve(settings)
    assert words in str(raised.value) and "\n" not in str(raised.value)


# --- the grid -------------------------------------------------------------------------------------


def weekly(folder, number, days=(0.0, 7.0), **header):
    """A small event file of days of a week, counted from `MONDAY`."""
    start = seconds_of(MONDAY + TimeDelta(number * WEEK + days[0] * 86400, format="sec"))
    seconds = (days[1] - days[0]) * 86400
    columns = pira_columns(200, seconds, start=start, seed=number)
    span = {"TSTART": start, "TSTOP": start + seconds}
    return write_events(
        folder / f"week{number:02d}-{days[0]:g}.fits", columns, header=span | header
    )


def epochs_of(folder, files, every="7 d", **settings):
    """Name -> names of the files of each exposure."""
    config = faults.resolve(
        merged({"events": {"files": [str(path) for path in files]}}, settings)
        | {"epochs": {"every": every} | settings.get("epochs", {})}
    )
    found, needed = exposures_with_epochs(config)
    assert list(found) == list(needed)
    return {name: [os.path.basename(path) for path in needed[name].events] for name in found}


def test_weeks_begin_on_mondays_whatever_files_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [weekly(tmp_path, number) for number in (2, 0, 1)]
    assert epochs_of(tmp_path, files) == {
        "2025-03-03": ["week00-0.fits"],
        "2025-03-10": ["week01-0.fits"],
        "2025-03-17": ["week02-0.fits"],
    }
    assert epochs_of(tmp_path, files[:1]) == {"2025-03-17": ["week02-0.fits"]}
    assert Time("2025-03-17").datetime.weekday() == 0


def test_an_epoch_of_two_files_and_a_file_of_two_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [weekly(tmp_path, 0, (0, 3)), weekly(tmp_path, 0, (3, 9))]
    assert epochs_of(tmp_path, files) == {
        "2025-03-03": ["week00-0.fits", "week00-3.fits"],
        "2025-03-10": ["week00-3.fits"],
    }
    thrifty = epochs_of(tmp_path, files, epochs={"least_seconds": 3 * 86400})
    assert list(thrifty) == ["2025-03-03"]


@pytest.mark.parametrize(
    ("every", "start", "names"),
    [
        ("1 d", None, ["2025-03-03", "2025-03-04"]),
        ("12 h", None, ["2025-03-03T00", "2025-03-03T12", "2025-03-04T00", "2025-03-04T12"]),
        ("1440 h", None, ["2025-02-24"]),  # 147 times 60 days after 2001-01-01
        ("2 w", "2025-03-01", ["2025-03-01"]),
        ("1 d", "2025-01-01T06:30", ["2025-03-02T06-30", "2025-03-03T06-30", "2025-03-04T06-30"]),
    ],
)
def test_names_of_epochs(every, start, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [weekly(tmp_path, 0, (0.0, 2.0))]
    more = {"epochs": {"start": start}} if start else {}
    assert list(epochs_of(tmp_path, files, every, **more)) == names


def test_good_time_decides_not_the_header(tmp_path, monkeypatch):
    """A file over four weeks whose good time lies in two of them, in the file or in another one."""
    monkeypatch.chdir(tmp_path)
    start = seconds_of(MONDAY)
    span = {"TSTART": start, "TSTOP": start + 4 * WEEK}
    limits = [(start + 3600, start + 7200), (start + 2 * WEEK + 10, start + 2 * WEEK + 9000)]
    table = faults.good_times("STDGTI", limits)
    columns = pira_columns(400, 4 * WEEK, start=start)
    inside = write_events(tmp_path / "inside.fits", columns, table, header=span)
    expected = ["2025-03-03", "2025-03-17"]
    assert list(epochs_of(tmp_path, [inside])) == expected
    plain = write_events(tmp_path / "plain.fits", columns, header=span)
    assert len(epochs_of(tmp_path, [plain])) == 4
    neo, nsa = faults.good_times("GTICAL-NEO", limits), faults.good_times("GTICAL-NSA", limits[:1])
    fits.HDUList([fits.PrimaryHDU(), neo, nsa]).writeto(tmp_path / "gti.fits")

    def with_criteria(*criteria):
        events = {"files": ["plain.fits"], "gti": {"file": "gti.fits", "criteria": [*criteria]}}
        return list(epochs_of(tmp_path, [plain], events=events))

    assert with_criteria("GTICAL-NEO") == expected
    assert with_criteria("GTICAL-NEO", "GTICAL-NSA") == expected[:1]


def test_times_of_files_in_other_units_systems_and_packings(tmp_path):
    """The good time of a file is the same, however it is written."""
    start = seconds_of(MONDAY)
    utc = Time(57754, 0, format="mjd", scale="utc")
    in_utc = float((MONDAY - utc).sec)
    headers = {
        "s": {"TSTART": start, "TSTOP": start + WEEK},
        "d": {"TSTART": start / 86400, "TSTOP": (start + WEEK) / 86400, "TIMEUNIT": "d"},
        "zero": {"TSTART": 0.0, "TSTOP": WEEK, "TIMEZERO": start},
        "utc": {"TSTART": in_utc, "TSTOP": in_utc + WEEK, "MJDREFF": 0.0, "TIMESYS": "UTC"},
        "mjdref": {
            "TSTART": in_utc, "TSTOP": in_utc + WEEK, "MJDREFI": None, "MJDREFF": None,
            "MJDREF": 57754.0, "TIMESYS": "UTC",
        },
    }  # fmt: skip
    times = TimesOfFiles(tmp_path / "cache.json")
    expected = parse_date("2025-03-03", "x"), parse_date("2025-03-10", "x")
    for name, header in headers.items():
        path = write_events(tmp_path / f"{name}.fits", pira_columns(100), header=header)
        packed = faults.compress(path)
        for file in (path, packed):
            ((first, last),) = times.of_events(str(file), "EVENTS").good
            assert (first, last) == pytest.approx(expected, abs=1e-5), name


def test_what_was_read_is_kept_until_the_file_changes(tmp_path):
    path = str(weekly(tmp_path, 0))
    first = TimesOfFiles(tmp_path / "cache.json")
    good = first.of_events(path, "EVENTS").good
    first.keep()
    content, date = Path(path).read_bytes(), os.stat(path).st_mtime_ns
    Path(path).write_bytes(bytes(len(content)))
    os.utime(path, ns=(date, date))
    again = TimesOfFiles(tmp_path / "cache.json")
    assert again.of_events(path, "EVENTS").good == good  # not read: nothing is in it
    os.utime(path, (0, 0))
    assert again.of_events(path, "EVENTS").good is None


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"MJDREFI": None, "MJDREFF": None}, "has no MJDREF (or MJDREFI), so its times have no"),
        ({"TSTART": None}, "has neither an extension GTI nor TSTART and TSTOP"),
        ({"TIMESYS": "LOCAL"}, "TIMESYS LOCAL is none of TT, TAI, UTC, TDB"),
    ],
)
def test_a_file_without_dates_has_no_epochs(header, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = weekly(tmp_path, 0, **header)
    with pytest.raises(InputError) as raised:
        epochs_of(tmp_path, [path])
    assert words in str(raised.value) and path.name in str(raised.value)


def test_exposures_beside_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [weekly(tmp_path, 0)]
    assert list(epochs_of(tmp_path, files)) == ["2025-03-03"]
    assert list(epochs_of(tmp_path, files, exposures={"1ks": {"seconds": 1000}})) == [
        "1ks",
        "2025-03-03",
    ]
    with pytest.raises(InputError, match="is the name of an epoch as well"):
        epochs_of(tmp_path, files, exposures={"2025-03-03": {"seconds": 1000}})


def test_ready_spectra_belong_to_the_epoch_in_which_they_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dates = {
        "a": ("2025-03-16T20:00:00", "2025-03-18"),
        "b": ("2025-03-11", "2025-03-12"),
        "c": None,
    }
    for name, limits in dates.items():
        hdu = faults.events_hdu({"DETNUM": ("I", np.arange(3))}, "SPECTRA")
        if limits:
            hdu.header["DATE-OBS"], hdu.header["DATE-END"] = limits
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(f"{name}.fits")
    ready = {"events": {"layout": "spectra"}}

    def found(*files):
        settings = merged({"events": {"files": [*files]}}, ready)
        return epochs_of(tmp_path, files, **settings)

    assert found("a.fits", "b.fits") == {"2025-03-10": ["a.fits", "b.fits"]}
    assert list(found("a.fits")) == ["2025-03-10"]
    with pytest.raises(InputError, match="event file c.fits has no DATE-OBS"):
        found("a.fits", "c.fits")


def test_times_of_ready_spectra_are_those_of_all_files():
    a = {"DATE-OBS": "2025-03-11", "DATE-END": "2025-03-12", "TSTART": 1.0, "TSTOP": 2.0}
    b = {"DATE-OBS": "2025-03-10", "DATE-END": "2025-03-11", "TSTART": 0.0, "TSTOP": 1.0}
    whole = {"DATE-OBS": "2025-03-10", "DATE-END": "2025-03-12", "TSTART": 0.0, "TSTOP": 2.0}
    assert _words_of_all([a]) == a
    assert _words_of_all([a, b]) == whole
    assert _words_of_all([a, b | {"MJDREFI": 5}]) == {k: whole[k] for k in ("DATE-OBS", "DATE-END")}
    assert _words_of_all([a, {}]) == {}


# --- start and stop -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Folder and event file of 3000 s from 2025-03-17T12:00 (UTC)."""
    folder = tmp_path_factory.mktemp("day")
    start = seconds_of("2025-03-17T12:00:00")
    columns = pira_columns(9000, 3000.0, start=start)
    header = {"TSTART": start, "TSTOP": start + 3000.0}
    return folder, write_events(folder / "e.fits", columns, header=header), start


def dated(folder, path, **exposure):
    """The spectra of an exposure with dates."""
    return bin_spectra(folder, path, exposures={"a": exposure})


@pytest.mark.parametrize(
    ("exposure", "limits"),
    [
        ({}, (0, 3000)),
        ({"start": "2025-03-17T12:10:00"}, (600, 3000)),
        ({"stop": "2025-03-17T12:10:00"}, (0, 600)),
        ({"start": "2025-03-17T12:10:00", "stop": "2025-03-17T12:30:00"}, (600, 1800)),
        ({"start": "2025-03-17T12:10:00", "seconds": 500}, (600, 1100)),
        ({"start": "2025-03-17", "stop": "2025-03-18"}, (0, 3000)),
    ],
)
def test_the_good_time_between_dates(exposure, limits, day):
    folder, path, start = day
    made = dated(folder, path, **exposure)
    assert not made.failed, made.said
    time = fits.getdata(path, 1)["TIME"] - start
    single = fits.getdata(path, 1)["effMult"] == 1
    inside = (time >= limits[0]) & (time < limits[1])
    assert made.header["EXPOSURE"] == pytest.approx(limits[1] - limits[0], abs=1e-5)
    lost = sum(made.header[word] for word in ("REJNOPIX", "REJUNSEL", "REJBELOW", "REJABOVE"))
    assert made.counts.sum() + lost >= (inside & single).sum() - 1
    assert made.header["TSTART"] - start == pytest.approx(limits[0], abs=1e-5)
    for word, limit in zip(("DATE-OBS", "DATE-END"), limits, strict=True):
        date = Time("2025-03-17T12:00:00", scale="utc") + TimeDelta(float(limit), format="sec")
        assert abs((Time(made.header[word], scale="utc") - date).sec) < 2e-3


def test_no_data_between_dates_is_one_line_with_what_there_is(day):
    folder, path, _ = day
    made = dated(folder, path, start="2025-04-01", stop="2025-04-08")
    made.refuses("exposures.a", "2025-04-01", "2025-03-17T12:00:00 to 2025-03-17T12:50:00")
    config = faults.resolve(
        faults.settings_of(path, exposures={"a": {"start": "2025-04-01", "stop": "2025-04-08"}})
    )
    with pytest.raises(InputError, match="cover 2025-03-17T12:00:00 to 2025-03-17T12:50:00"):
        exposures_with_epochs(config)


def test_more_seconds_than_there_are_between_dates(day):
    folder, path, _ = day
    dated(folder, path, start="2025-03-17T12:40:00", seconds=1000).refuses("only 600.0")


def test_dates_need_an_epoch_in_the_file(tmp_path):
    path = write_events(tmp_path / "e.fits", header={"MJDREFI": None, "MJDREFF": None})
    dated(tmp_path, path, start="2025-03-17").refuses("no MJDREF", "exposures.a", "use seconds")


def test_simulated_events_have_dates_too(tmp_path):
    """They begin with the mission's time, 2017-01-01."""
    settings = {
        "pixels": "0-15",
        "simulation": {"camera": "ideal", "good_seconds": 50},
        "exposures": {"all": {}, "late": {"start": "2017-01-01T00:00:10"}},
    }
    write_settings(tmp_path, settings)
    targets = [f"results/eclairs/{name}/spectra.fits" for name in ("all", "late")]
    run = snakemake(tmp_path, *targets, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-3000:]
    whole, late = (fits.getheader(tmp_path / target, 1) for target in targets)
    assert whole["TSTART"] < 10.0
    assert late["TSTART"] == pytest.approx(10.0, abs=1e-6)
    assert late["EXPOSURE"] == pytest.approx(whole["EXPOSURE"] - (10.0 - whole["TSTART"]), abs=1e-6)
    assert late["DATE-OBS"] == "2017-01-01T00:00:10.000"


def test_ready_spectra_cannot_be_cut():
    with pytest.raises(InputError, match="exposures.a.start: .*ready spectra cannot be cut"):
        faults.resolve(
            {
                "events": {"files": [__file__], "layout": "spectra"},
                "exposures": {"a": {"start": "2025-03-17"}},
            }
        )


# --- a mission, week after week -------------------------------------------------------------------

MISSION = {
    "pixels": "0-63",
    "events": {"files": ["data/week*.fits"]},
    "epochs": {"every": "7 d"},
    "fit": {"chunk_pixels": 32},
}


@pytest.fixture(scope="module")
def mission(tmp_path_factory):
    """A folder in which 20 weeks are finished, as Snakemake sees it; do not change it."""
    folder = tmp_path_factory.mktemp("mission")
    (folder / "data").mkdir()
    for number in range(20):
        weekly(folder / "data", number)
    write_settings(folder, MISSION)
    targets = ("--", "all", "history")
    run = snakemake(folder, "--dry-run", "--configfile", "own.yaml", *targets)
    assert run.returncode == 0, run.stderr[-3000:]
    products = [
        path.strip()
        for line in run.stdout.splitlines()
        if line.strip().startswith("output: ")
        for path in line.partition("output: ")[2].split(", ")
    ]
    for path in products:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("published"):
            (folder / path).mkdir()
        else:
            (folder / path).touch()
    run = snakemake(folder, "--touch", "--configfile", "own.yaml", *targets)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def rules_of(jobs):
    """Name of the exposure -> rules planned for it; the rest under None."""
    found = {}
    for rule, wildcards in jobs:
        name = dict(part.split("=") for part in wildcards.split(", ") if part).get("exposure")
        found.setdefault(name, set()).add(rule)
    return found


CHAIN = {
    "bin_spectra", "learn_response", "fit_lines", "merge_relation", "validate_relation",
    "predict_observing_time", "plot_relation", "plot_spectrum", "write_lists",
}  # fmt: skip


PICTURES = {"plot_relation", "plot_spectrum", "write_lists"}
HISTORY = {"make_history", "publish_history", "show_history"}


def planned(folder, *targets):
    run = snakemake(folder, "--dry-run", "--configfile", "own.yaml", "--", *targets)
    assert run.returncode == 0, run.stderr[-3000:]
    return rules_of(planned_jobs(run))


def test_nothing_is_planned_after_the_last_week(mission):
    assert planned(mission) == {}


def test_a_new_file_plans_its_epoch_and_the_report(mission, tmp_path):
    folder = shutil.copytree(mission, tmp_path / "m", symlinks=True)
    weekly(folder / "data", 20)
    assert planned(folder) == {"2025-07-21": CHAIN, None: {"report"}}
    expected = {"2025-07-21": CHAIN - PICTURES, None: {"report"} | HISTORY}
    assert planned(folder, "history") == expected


def test_the_report_has_the_latest_epochs_and_the_exposures_with_names(mission, tmp_path):
    """Years of epochs in one page would be too much; what else is made of them, is made of all."""
    folder = shutil.copytree(mission, tmp_path / "m", symlinks=True)
    named = {"exposures": {"first": {"start": "2025-03-03", "stop": "2025-03-04"}}}
    write_settings(folder, MISSION | named)
    arguments = ("--dry-run", "--forcerun", "report", "--configfile", "own.yaml")
    run = snakemake(folder, *arguments, "--", "results/report.html")
    assert run.returncode == 0, run.stderr[-3000:]
    block = run.stdout.partition("rule report:")[2].partition("output:")[0]
    shown = re.findall(r"eclairs/(\S+)/relation.fits", block)
    assert shown == ["2025-06-23", "2025-06-30", "2025-07-07", "2025-07-14", "first"]
    assert planned(mission, "history") == {}


def test_a_file_that_adds_to_an_epoch_makes_it_again(mission, tmp_path):
    """Also one that is older, between the others: it renames and shifts nothing."""
    folder = shutil.copytree(mission, tmp_path / "m", symlinks=True)
    start = seconds_of(MONDAY + TimeDelta(17 * WEEK, format="sec"))
    columns = pira_columns(100, 3600.0, start=start + 3600, seed=77)
    header = {"TSTART": start + 3600, "TSTOP": start + 7200}
    write_events(folder / "data/week17-more.fits", columns, header=header)
    assert planned(folder) == {"2025-06-30": CHAIN, None: {"report"}}


def test_jobs_of_an_epoch_depend_on_its_files_alone(tmp_path):
    """After real jobs, whose settings Snakemake knows: a new file, a replaced one, more time."""
    (tmp_path / "data").mkdir()
    for number in range(2):
        weekly(tmp_path / "data", number)
    write_settings(tmp_path, MISSION)
    targets = [f"results/eclairs/2025-03-{day}/spectra.fits" for day in ("03", "10")]
    run = snakemake(tmp_path, *targets, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-3000:]
    header = fits.getheader(tmp_path / targets[0], 1)
    assert (header["NINFILE"], header["INFIL001"]) == (1, "week00-0.fits")
    assert header["DATE-OBS"].startswith("2025-03-03T00:00:00")

    def again():
        return planned(tmp_path, *targets)

    assert again() == {}
    weekly(tmp_path / "data", 2)
    assert again() == {}
    path = tmp_path / "data/week01-0.fits"
    content = bytearray(path.read_bytes())
    content[-3000] ^= 1
    path.write_bytes(content)
    os.utime(path, (0, 0))
    assert again() == {"2025-03-10": {"bin_spectra"}}
    weekly(tmp_path / "data", 0, (1.0, 2.0))
    assert again() == {"2025-03-03": {"bin_spectra"}, "2025-03-10": {"bin_spectra"}}


def test_hundreds_of_files_are_read_quickly(tmp_path, monkeypatch):
    """Only headers: 400 files within seconds, and from what was kept in a fraction of one."""
    monkeypatch.chdir(tmp_path)
    one = weekly(tmp_path, 0)
    files = [tmp_path / f"{number:03d}.fits" for number in range(400)]
    for path in files:
        shutil.copy(one, path)
    config = faults.resolve(
        {"events": {"files": [str(path) for path in files]}, "epochs": {"every": "7 d"}}
    )
    spent = []
    for _ in range(2):
        began = time.process_time()
        found, _ = exposures_with_epochs(config)
        spent.append(time.process_time() - began)
    assert list(found) == ["2025-03-03"]
    assert spent[0] < 3.0 and spent[1] < 0.5, spent
