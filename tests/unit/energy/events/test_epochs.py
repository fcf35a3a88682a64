"""Epochs: mission time against astropy's clocks, and what headers leave unsaid."""

import os
import subprocess
import sys
from datetime import datetime

import pytest
from astropy.time import Time, TimeDelta
from helpers.paths import PROJECT

from pixelcal.energy.events.clock import (
    MISSION_EPOCH,
    data_time_cards,
    epoch_cards,
    epoch_difference_s,
    mission_start,
)

MISSION = {"MJDREFI": 57754, "MJDREFF": 0.00080074074074, "TIMESYS": "TT"}


def test_the_epoch_of_the_mission_is_the_beginning_of_2017():
    zero = Time(*MISSION_EPOCH, format="mjd", scale="tt")
    assert abs((zero - Time("2017-01-01T00:00:00", scale="utc")).sec) < 1e-6


@pytest.mark.parametrize("header", [MISSION, {}, {"MJDREF": 57754 + 0.00080074074074}])
def test_times_of_the_mission_stay(header):
    assert mission_start(header | {"TSTART": 12.5}) == (12.5, None)


def test_without_times_it_starts_at_the_epoch():
    assert mission_start(MISSION) == (0.0, None)


@pytest.mark.parametrize("reference", [(51544, 0.00074287037037037), (59000, 0.0)])
def test_another_epoch_is_converted(reference):
    """Two ways to the same moment, one of them astropy's."""
    header = dict(zip(("MJDREFI", "MJDREFF"), reference, strict=True))
    header |= {"TIMESYS": "TT", "TSTART": 7e8}
    start, remark = mission_start(header)
    there = Time(*reference, format="mjd", scale="tt") + TimeDelta(7e8, format="sec")
    assert start == pytest.approx(
        (there - Time(*MISSION_EPOCH, format="mjd", scale="tt")).sec, abs=1e-4
    )
    assert remark.startswith("TSTART converted")


@pytest.mark.parametrize(
    ("system", "tt_minus_system_s"),
    [
        ("TT", 0.0),
        ("TAI", 32.184),  # TT = TAI + 32.184 s, by definition
        ("UTC", 32.184 + 37.0),  # TAI - UTC = 37 s since 2017
        ("TDT", 0.0),
        ("ET", 0.0),
        ("iat", 32.184),
        ("UTC(NIST)", 69.184),
        ("GMT", 69.184),
    ],
)
@pytest.mark.parametrize("seconds", [0.0, 12.5, 2.5e8])
def test_time_systems_by_their_closed_forms(system, tt_minus_system_s, seconds):
    """The epoch is 2017-01-01T00:00:00 of the system; mission time counts from that of UTC."""
    header = {"MJDREFI": 57754, "MJDREFF": 0.0, "TIMESYS": system, "TSTART": seconds}
    start, remark = mission_start(header)
    assert start == pytest.approx(seconds + tt_minus_system_s - 69.184, abs=1e-6)
    assert remark.startswith("TSTART converted: event times count from MJD 57754.000000000")


@pytest.mark.parametrize("seconds", [0.0, 3.1e8])
def test_barycentric_time_is_that_of_tt_within_its_periodic_term(seconds):
    """|TDB - TT| < 2 ms (Fairhead & Bretagnon 1990)."""
    start, _ = mission_start(MISSION | {"TIMESYS": "TDB", "TSTART": seconds})
    assert start == pytest.approx(seconds, abs=2e-3) and start != seconds


@pytest.mark.parametrize("system", ["TAI", "UTC", "TDB"])
def test_a_system_without_an_epoch_counts_from_that_of_the_mission(system):
    assert mission_start({"TIMESYS": system, "TSTART": 12.5}) == (12.5, None)


def test_seconds_of_utc_are_si_seconds_across_a_leap_second():
    """From 2016-12-31: the day had 86401 of them."""
    header = {"MJDREFI": 57753, "MJDREFF": 0.0, "TIMESYS": "UTC", "TSTART": 86401.0}
    assert mission_start(header)[0] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("system", ["local", "GPS", "UT1", "noon"])
def test_a_system_that_cannot_be_converted_is_told(system, caplog):
    start, remark = mission_start(MISSION | {"TIMESYS": system, "TSTART": 7e8})
    assert start == 0 and f"event times are {system.upper()}, not convertible" in remark
    assert remark in caplog.text and "correct TIMESYS" in caplog.text


def test_leap_seconds_are_not_downloaded():
    """Not even with a table that expired long ago, which astropy would look for a newer one of."""
    code = """
import socket

def refuse(*args, **kwargs):
    print("network")
    raise OSError("no network in this test")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from astropy.time import Time
from astropy.utils import iers
iers.LeapSeconds._today = classmethod(lambda cls: Time(2080, format="jyear"))
from pixelcal.energy.events.clock import mission_start, data_time_cards
header = {"MJDREFI": 57754, "MJDREFF": 0.0, "TIMESYS": "UTC", "TSTART": 5.0}
print(round(mission_start(header)[0], 6), iers.conf.auto_download)
"""
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "workflow" / "scripts")}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == ["5.0", "True"], found.stdout + found.stderr


def test_epochs_of_different_decimals_are_the_same():
    assert epoch_difference_s((57754.0, 0.00080074074074), MISSION_EPOCH) == 0
    assert epoch_difference_s((57754.0, 0.0), MISSION_EPOCH) == pytest.approx(-69.184)


def test_cards_are_those_of_the_first_header_that_has_them():
    assert epoch_cards([{}, {"TSTART": 1.0}]) == []
    cards = epoch_cards([{}, {"MJDREF": 51544.5}, MISSION])
    assert {key: value for key, value, _ in cards} == {
        "MJDREFI": 51544,
        "MJDREFF": 0.5,
        "TIMESYS": "TT",
    }


MISSION = {"MJDREFI": 57754, "MJDREFF": 0.00080074074074, "TIMESYS": "TT"}
"""2017-01-01T00:00:00 UTC."""


@pytest.mark.parametrize(
    ("header", "dates"),
    [
        (
            MISSION | {"TSTART": 0.0, "TSTOP": 86400.5},
            ("2017-01-01T00:00:00", "2017-01-02T00:00:00.500"),
        ),
        ({"MJDREF": 59000.0, "TIMESYS": "UTC", "TSTART": 60.0}, ("2020-05-31T00:01:00", None)),
        ({"TSTART": 5.0, "TSTOP": 6.0}, (None, None)),
        (MISSION | {"TIMESYS": "LOCAL", "TSTART": 0.0}, (None, None)),
        ({"DATE-OBS": "2020-05-05T17:32:43.763"}, ("2020-05-05T17:32:43.763", None)),
        ({}, (None, None)),
    ],
)
def test_when_the_data_were(header, dates):
    cards = {word: value for word, value, _ in data_time_cards(header)}
    for word, date in zip(("DATE-OBS", "DATE-END"), dates, strict=True):
        assert (word in cards) == (date is not None)
        if date is not None:
            off = datetime.fromisoformat(cards[word]) - datetime.fromisoformat(date)
            assert abs(off.total_seconds()) < 1e-3
    assert all(cards[word] == header[word] for word in ("TSTART", "TSTOP") if word in header)
