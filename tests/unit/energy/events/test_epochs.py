"""Epochs: mission time against astropy's clocks, and what headers leave unsaid."""

import pytest
from astropy.time import Time, TimeDelta

from pixelcal.energy.events.clock import (
    MISSION_EPOCH,
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


@pytest.mark.parametrize("system", ["UTC", "TAI", "local"])
def test_another_time_system_makes_no_claim(system):
    start, remark = mission_start(MISSION | {"TIMESYS": system, "TSTART": 7e8})
    assert start == 0 and f"event times are {system.upper()}" in remark


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
