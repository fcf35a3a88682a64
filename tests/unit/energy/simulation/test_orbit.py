"""Orbits and good times: every second accounted for, the good time that was asked for."""

import numpy as np
import pytest

from pixelcal.energy.simulation.orbit import LONGEST_SEGMENT_S, ORBIT_S, make_orbits


def intersect_seconds(intervals, names, until):
    """Time common to all criteria, counted on a fine clock: another path than interval algebra."""
    clock = np.arange(0.0, until, 0.25) + 0.125
    good = np.ones(len(clock), bool)
    for name in names:
        inside = np.zeros(len(clock), bool)
        for start, stop in intervals[name]:
            inside |= (clock >= start) & (clock < stop)
        good &= inside
    return good.sum() * 0.25


@pytest.mark.parametrize("criteria", [["GTICAL-NEO", "GTICAL-NSA"], ["GTICAL-TEO"], []])
def test_good_time_is_what_was_asked(criteria):
    segments, intervals = make_orbits(7000.0, criteria, 0.65)
    names = criteria or ["GTICAL-TLM"]
    assert intersect_seconds(intervals, names, segments[-1].stop) == pytest.approx(7001, abs=2)


def test_earth_criteria_share_the_time():
    segments, intervals = make_orbits(12000.0, ["GTICAL-NEO"], 0.65)
    end = segments[-1].stop
    lengths = {name: np.diff(rows, axis=1).sum() for name, rows in intervals.items()}
    total = sum(lengths[f"GTICAL-{kind}"] for kind in ("NEO", "PEO", "TEO"))
    assert total == pytest.approx(end, abs=1e-6)
    assert lengths["GTICAL-TLM"] == pytest.approx(end, abs=1e-6)


def test_free_fraction_of_a_whole_orbit():
    _, intervals = make_orbits(2 * ORBIT_S, ["GTICAL-TLM"], 0.6)
    first = [row for row in intervals["GTICAL-NEO"] if row[0] < ORBIT_S]
    assert np.diff(first, axis=1).sum() == pytest.approx(0.6 * ORBIT_S, rel=1e-9)


def test_segments_are_short_in_order_and_leave_the_anomaly_out():
    segments, intervals = make_orbits(10000.0, ["GTICAL-NEO", "GTICAL-NSA"], 0.65)
    for before, after in zip(segments, segments[1:], strict=False):
        assert before.stop <= after.start + 1e-9
    assert max(s.stop - s.start for s in segments) <= LONGEST_SEGMENT_S + 1e-9
    live = sum(s.stop - s.start for s in segments)
    assert live == pytest.approx(np.diff(intervals["GTICAL-NSA"], axis=1).sum(), abs=1e-6)
    assert live < segments[-1].stop
