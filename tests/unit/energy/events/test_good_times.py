"""Good time: against sets of seconds counted by hand."""

import numpy as np
import pytest
from astropy.io import fits
from helpers.event_files import EPOCH, events, gti, pira, table, write
from helpers.instruments import ECLAIRS

from pixelcal.energy.events.clock import Clock
from pixelcal.energy.events.good_times import good_time_of, read_good_time
from pixelcal.energy.events.intervals import first_seconds, intersect, merge, total_seconds
from pixelcal.energy.events.reader import open_events
from pixelcal.errors import InputError


def as_set(intervals):
    """Whole seconds that intervals with whole limits hold."""
    return {t for start, stop in intervals for t in range(int(start), int(stop))}


def test_merge_sorts_and_joins():
    assert merge([(5, 7), (0, 2), (1, 3), (3, 4), (9, 9)]).tolist() == [[0, 4], [5, 7]]
    assert merge([(0, 10), (2, 3), (4, 12)]).tolist() == [[0, 12]]
    assert merge([]).shape == (0, 2)


def test_merge_and_intersect_as_sets_of_seconds():
    rng = np.random.default_rng(5)
    for _ in range(200):
        a, b = (
            np.sort(rng.integers(0, 60, (rng.integers(0, 8), 2)), axis=1).astype(float)
            for _ in range(2)
        )
        for made, expected in (
            (merge(a), as_set(a)),
            (intersect(merge(a), merge(b)), as_set(a) & as_set(b)),
        ):
            assert as_set(made) == expected
            assert total_seconds(made) == len(expected)
            assert (made[1:, 0] > made[:-1, 1]).all() and (made[:, 1] > made[:, 0]).all()


def test_first_seconds_cuts_the_last_interval():
    good = np.array([[10.0, 20.0], [30.0, 35.0], [50.0, 60.0]])
    assert first_seconds(good, 4).tolist() == [[10, 14]]
    assert first_seconds(good, 10).tolist() == [[10, 20]]
    assert first_seconds(good, 12).tolist() == [[10, 20], [30, 32]]
    assert first_seconds(good, 25).tolist() == good.tolist()
    assert good.tolist() == [[10, 20], [30, 35], [50, 60]]


def test_more_than_there_is_says_how_much_there_is():
    good = np.array([[10.0, 20.0], [30.0, 35.5]])
    with pytest.raises(InputError, match=r"16 s .*only 15.500 s"):
        first_seconds(good, 16)
    with pytest.raises(InputError, match="only 0.000 s"):
        first_seconds(np.empty((0, 2)), 1e-9)
    with pytest.raises(InputError, match="positive"):
        first_seconds(good, 0)


def test_rounded_limits_still_add_up():
    """Limits far from the epoch, in thirds of a second: their sum falls short by rounding."""
    start = 2.6e8 + np.arange(300) * 100
    good = np.column_stack([start, start + 100 / 3])
    assert total_seconds(first_seconds(good, 10_000)) == pytest.approx(10_000, abs=1e-4)


def test_criteria_are_intersected(tmp_path):
    path = gti(
        tmp_path / "gti.fits",
        {
            "GTICAL-NEO": [(100, 200), (0, 50), (40, 60)],
            "GTICAL-NSA": [(30, 150)],
            "GTICAL-PEO": [(60, 100)],
        },
    )
    both = read_good_time(path, ["GTICAL-NEO", "gtical-nsa"])
    assert both.tolist() == [[30, 60], [100, 150]]
    assert read_good_time(path, ["GTICAL-NEO", "GTICAL-PEO"]).shape == (0, 2)


def test_one_extension_needs_no_name(tmp_path):
    path = gti(tmp_path / "gti.fits", {"STDGTI": [(1, 2)]})
    assert read_good_time(path, []).tolist() == [[1, 2]]


def test_epochs_agree_to_a_microsecond(tmp_path):
    path = gti(tmp_path / "gti.fits", {"GTICAL-NEO": [(0, 1)]})
    days, fraction = EPOCH["MJDREFI"], EPOCH["MJDREFF"]
    for same in ((days, fraction + 1e-13), (days - 1, fraction + 1), None):
        read_good_time(path, ["GTICAL-NEO"], Clock(same))
    with pytest.raises(InputError, match="different epochs.*0.000864 s"):
        read_good_time(path, ["GTICAL-NEO"], Clock((days, fraction + 1e-8)))


def opened(path, data, **options):
    return open_events(pira(path, data, **options), "pira", {}, instrument=ECLAIRS)


def test_gti_file_within_the_span_of_the_events(tmp_path):
    good = gti(tmp_path / "gti.fits", {"GTICAL-NEO": [(-100, 300), (500, 2000)]})
    span = {**EPOCH, "TSTART": 0.0, "TSTOP": 1000.0}
    file = opened(tmp_path / "e.fits", events(20), header=span)
    assert good_time_of([file], good, ["GTICAL-NEO"]).tolist() == [[0, 300], [500, 1000]]
    later = opened(
        tmp_path / "l.fits", events(20), header={**EPOCH, "TSTART": 1000.0, "TSTOP": 1500.0}
    )
    both = good_time_of([later, file], good, ["GTICAL-NEO"])
    assert both.tolist() == [[0, 300], [500, 1500]]
    unsaid = opened(tmp_path / "u.fits", events(20), header=EPOCH)
    everything = good_time_of([file, unsaid], good, ["GTICAL-NEO"])
    assert everything.tolist() == [[-100, 300], [500, 2000]]


def test_without_a_gti_file(tmp_path):
    data = events(50)
    span = {"TSTART": 0.0, "TSTOP": 1000.0}
    columns = [("START", "D", [10.0, 40.0]), ("STOP", "D", [20.0, 50.0])]
    file = opened(tmp_path / "g.fits", data, header=span, others=[table("GTI", columns)])
    assert good_time_of([file], None, []).tolist() == [[10, 20], [40, 50]]
    plain = opened(tmp_path / "p.fits", data, header=span)
    assert good_time_of([plain], None, []).tolist() == [[0, 1000]]
    # Nothing said: all events lie inside, the last one too.
    ((start, stop),) = good_time_of([opened(tmp_path / "n.fits", data)], None, [])
    assert start == data["time"].min()
    assert data["time"].max() < stop < data["time"].max() + 1e-9
    said = opened(tmp_path / "s.fits", data, header={"EXPOSURE": 1000.0})
    assert total_seconds(good_time_of([said], None, [])) == pytest.approx(1000, abs=1e-9)


def test_files_without_times(tmp_path):
    data = events(50)
    a, b = (
        opened(tmp_path / f"{name}.fits", data, header={"EXPOSURE": seconds}, without=("time",))
        for name, seconds in (("a", 300.0), ("b", 200.0))
    )
    assert good_time_of([a, b], None, []).tolist() == [[0, 500]]


def test_times_in_units_and_with_an_offset_are_the_same_times(tmp_path):
    """Good times in ms from another zero, and a span in days, beside events in seconds."""
    columns = [("START", "D", [10e3, 40e3]), ("STOP", "D", [20e3, 60e3])]
    words = EPOCH | {"TIMESYS": "TDT", "TIMEUNIT": "ms", "TIMEZERO": 100e3}
    path = write(tmp_path / "g.fits", table("GOOD", columns, words))
    span = EPOCH | {"TIMESYS": "TT", "TIMEUNIT": "d", "TSTART": 0.0, "TSTOP": 150 / 86400}
    file = opened(tmp_path / "e.fits", events(20), header=span)
    good = good_time_of([file], path, [])
    np.testing.assert_allclose(good, [[110, 120], [140, 150]], rtol=1e-12)
    fits.setval(path, "TUNIT1", value="s", ext=1)  # goes before TIMEUNIT
    fits.setval(path, "TUNIT2", value="s", ext=1)
    assert read_good_time(path, []).tolist() == [[10100, 20100], [40100, 60100]]


def test_epoch_in_the_primary_header(tmp_path):
    path = write(
        tmp_path / "g.fits", table("GTICAL-NEO", [("START", "D", [0]), ("STOP", "D", [1])])
    )
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(EPOCH)
    with pytest.raises(InputError, match="different epochs"):
        read_good_time(path, ["GTICAL-NEO"], Clock((0.0, 0.0)))
