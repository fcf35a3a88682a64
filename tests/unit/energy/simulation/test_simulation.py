"""Sampled events against the exact density, and the independence of pixels."""

import numpy as np
import pytest
from astropy.io import fits
from helpers import cameras
from helpers.instruments import ECLAIRS, GRID
from scipy import stats

from pixelcal.energy.simulation.background import PROCESSES
from pixelcal.energy.simulation.detector import SHARING_MINIMUM_KEV, Detector, expected_counts
from pixelcal.energy.simulation.orbit import Segment
from pixelcal.energy.simulation.sampler import (
    EventSampler,
    PixelProperties,
    make_pixels,
    with_neighbours,
)
from pixelcal.energy.simulation.writer import to_flight_layout, write_events, write_good_times

SEGMENT = Segment(100.0, 700.0, 0.0)
MULTIPLE_FRACTION = 0.2


def uniform_pixels(detnum):
    return PixelProperties(detnum, np.ones(len(detnum)), np.ones(len(detnum)))


def sampler(wanted, pixels=None, seed=1):
    pixels = pixels or uniform_pixels(with_neighbours(wanted, grid=GRID))
    return EventSampler(
        pixels, wanted, cameras.background(), Detector(), MULTIPLE_FRACTION, seed, grid=GRID
    )


@pytest.fixture(scope="module")
def events():
    wanted = np.arange(800)
    camera = sampler(wanted)
    return camera.sample(SEGMENT), camera.sample(Segment(700.0, 1300.0, 1.0))


def test_single_events_follow_the_exact_density(events):
    energies = events[0]["energy"][events[0]["effMult"] == 1]
    edges = np.concatenate([np.arange(4.0, 90.0, 0.5), np.arange(90.0, 151.0, 5.0)])
    counts, _ = np.histogram(energies, edges)
    expected = 800 * expected_counts(
        edges, cameras.background(), Detector(), 600.0, multiple_fraction=MULTIPLE_FRACTION
    )
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert stats.chi2.sf(chi_square, len(counts)) > 1e-3


def test_multiples_share_their_energy():
    """A pair comes at one time, from neighbours, and adds up to the lines' energies."""
    everyone = np.arange(6400)
    pixels = PixelProperties(everyone, np.where(everyone < 1600, 1.0, 0.0), np.ones(6400))
    events = sampler(everyone, pixels).sample(SEGMENT)
    multiple = events[events["effMult"] == 2]
    multiple = multiple[np.argsort(multiple["TIME"], kind="stable")]
    times, first, number = np.unique(multiple["TIME"], return_index=True, return_counts=True)
    pairs = first[number == 2]
    a, b = multiple[pairs], multiple[pairs + 1]
    row, column = np.divmod(a["DETNUM"].astype(int), 80)
    other_row, other_column = np.divmod(b["DETNUM"].astype(int), 80)
    apart = abs(row - other_row) + abs(column - other_column)
    # two lone halves can meet in one 20 us tick only by chance: pairs are neighbours
    assert np.mean(apart == 1) > 0.999
    total = (a["energy"] + b["energy"])[(apart == 1) & (a["procID"] == 3)]
    near = total[abs(total - 8.03) < 2.0]
    assert len(near) == 0  # a copper photon has not enough to share
    tungsten = total[abs(total - 59.319) < 1.0]
    assert abs(np.median(tungsten) - 59.1) < 0.3
    assert min(a["energy"].min(), b["energy"].min()) > 4.0
    assert SHARING_MINIMUM_KEV > 4.0


def test_processes_have_their_rates(events):
    for segment, earth_fraction in zip(events, (0.0, 1.0), strict=True):
        singles = segment[segment["effMult"] == 1]
        seen = np.bincount(singles["procID"], minlength=5)[1:]
        rates = cameras.background().rates_per_s(earth_fraction)
        assert seen[rates == 0].sum() == 0
        ratio = seen[2] / seen[1] / (rates[2] / rates[1])
        # fluorescence over internal; both lose some to threshold and sharing, within 15 %
        assert ratio == pytest.approx(1.0, abs=0.15)
    assert len(PROCESSES) == 4


def test_a_pixel_does_not_know_who_else_is_simulated(events):
    alone = sampler(np.array([17])).sample(SEGMENT)
    among = events[0][events[0]["DETNUM"] == 17]
    np.testing.assert_array_equal(alone, among)
    assert len(alone) > 100


def test_pixel_properties_are_the_pixels_own():
    few, many = (make_pixels(np.arange(n), 0.05, 0.05, 0.01, 7) for n in (20, 2000))
    np.testing.assert_array_equal(few.efficiency, many.efficiency[:20])
    n_dead = np.sum(many.efficiency == 0)
    assert abs(n_dead - 20) < 4 * np.sqrt(20)
    spread = np.log(many.resolution).std()
    assert abs(spread - 0.05) < 4 * 0.05 / np.sqrt(2 * 2000)


def test_dead_pixels_are_silent():
    wanted = np.array([5, 6])
    pixels = PixelProperties(np.array([5]), np.zeros(1), np.ones(1))
    assert len(sampler(wanted, pixels).sample(SEGMENT)) == 0


def test_neighbours_stop_at_the_side():
    assert with_neighbours([0], grid=GRID).tolist() == [0, 1, 80]
    assert with_neighbours([6399], grid=GRID).tolist() == [6319, 6398, 6399]
    assert with_neighbours([81], grid=GRID).tolist() == [1, 80, 81, 82, 161]


def test_times_are_sorted_ticks(events):
    times = events[0]["TIME"]
    assert np.all(np.diff(times) >= 0)
    np.testing.assert_allclose(times / 20e-6, np.round(times / 20e-6), atol=1e-3)
    assert times[0] >= SEGMENT.start and times[-1] < SEGMENT.stop


def test_event_file_reads_back(events, tmp_path):
    path = tmp_path / "events.fits"
    blocks = [events[0][:1000], events[0][1000:1001], events[0][:0], events[0][1001:5000]]
    assert write_events(path, blocks, "pira", [("EXPOSURE", 600.0, "[s]")]) == 5000
    with fits.open(path) as hdus:
        hdus.verify("exception")
        data = hdus["EVENTS"].data
        for name in events[0].dtype.names:
            np.testing.assert_array_equal(data[name], events[0][name][:5000])
        assert hdus["EVENTS"].header["EXPOSURE"] == 600.0
        assert hdus["EVENTS"].header["PROC3"] == "FLUORESCENCE"


def test_flight_layout_has_channels(events):
    gain, offset = np.full(6400, 0.145), np.full(6400, 3.0)
    gain[17] = 0.150
    rows = to_flight_layout(events[0], gain, offset, instrument=ECLAIRS)
    detnum = 80 * rows["IDET"].astype(int) + rows["JDET"]
    seen = events[0][events[0]["DETNUM"] == 17]
    expected = np.floor((seen["energy"] - 3.0) / 0.150)
    np.testing.assert_array_equal(rows["PHA"][detnum == 17], expected[expected < 1024])
    assert rows["PHA"].max() <= 1023 and rows["PHA"].min() >= 0


def test_good_times_read_back(tmp_path):
    intervals = {
        "GTICAL-NEO": np.array([[0.0, 10.0], [20.0, 25.0]]),
        "GTICAL-TLM": np.zeros((0, 2)),
    }
    path = tmp_path / "gti.fits"
    write_good_times(path, intervals, None)
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(hdus["GTICAL-NEO"].data["STOP"], [10.0, 25.0])
        assert len(hdus["GTICAL-TLM"].data) == 0
        assert hdus["GTICAL-NEO"].header["MJDREFI"] == 57754
