"""Times of events: files that overlap, counters that roll over, time systems.

One row for each situation, after the faults E2, E6 and E20.
"""

import os

import numpy as np
import pytest
from astropy.time import Time
from helpers import faults
from helpers.faults import (
    bin_spectra,
    compress,
    flight_columns,
    good_times,
    merge,
    pira_columns,
    write_events,
    write_flight,
)

SILENT = {"TSTART": None, "TSTOP": None}
"""A header that does not say when."""


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


# --- E2: the same events twice --------------------------------------------------------------------

WHOLE = pira_columns(12000, 3000.0)


def part(first, last, columns=None):
    """The events of a stretch of time."""
    columns = WHOLE if columns is None else columns
    inside = (columns["TIME"][1] >= first) & (columns["TIME"][1] < last)
    return {name: (form, array[inside]) for name, (form, array) in columns.items()}


def span(first, last):
    return {"TSTART": float(first), "TSTOP": float(last)}


def write_part(path, first, last, **options):
    """A file with the events of a stretch and the header that says so."""
    options = {"header": span(first, last)} | options
    return write_events(path, part(first, last), **options)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """The spectra of all events of 3000 s."""
    folder = tmp_path_factory.mktemp("once")
    made = bin_spectra(folder, write_part(folder / "e.fits", 0, 3000), seconds=3000)
    assert made.counts.sum() == 12000 and not made.said
    return made


def other_name(folder):
    path = write_part(folder / "a.fits", 0, 3000)
    (folder / "b.fits").write_bytes(path.read_bytes())
    return path, folder / "b.fits"


def hard_link(folder):
    path = write_part(folder / "a.fits", 0, 3000)
    os.link(path, folder / "b.fits")
    return path, folder / "b.fits"


def compressed_beside(folder):
    path = write_part(folder / "a.fits", 0, 3000)
    return path, compress(path)


def compressed_twice_as_strongly(folder):
    path = write_part(folder / "a.fits", 0, 3000)
    return compress(path), compress(path, where=folder / "b.gz")


def with_another_history(folder):
    path = write_part(folder / "a.fits", 0, 3000)
    header = span(0, 3000) | {"CREATOR": "another program", "DATE": "2025-01-01"}
    return path, write_part(folder / "b.fits", 0, 3000, header=header)


def without_times(folder):
    columns = {name: column for name, column in WHOLE.items() if name != "TIME"}
    header = {"EXPOSURE": 1500.0}
    path = write_events(folder / "a.fits", columns, header=header)
    (folder / "b.fits").write_bytes(path.read_bytes())
    return path, folder / "b.fits"


@pytest.mark.parametrize(
    "write",
    [
        row(other_name, id="under two names"),
        row(hard_link, id="a hard link"),
        row(compressed_beside, id="compressed beside plain"),
        row(compressed_twice_as_strongly, id="compressed, two names"),
        row(with_another_history, id="another header"),
        row(without_times, id="events without times"),
    ],
)
def test_the_same_events_in_two_files_are_refused(write, tmp_path):
    a, b = write(tmp_path)
    bin_spectra(tmp_path, a, b, seconds=3000).refuses(a.name, b.name, "same")


def test_a_file_that_is_compressed_twice_is_named(tmp_path):
    path = compress(write_part(tmp_path / "a.fits", 0, 3000), times=2)
    bin_spectra(tmp_path, path, seconds=3000).refuses(path.name, "twice")


def once_or_told(made, once, *words):
    """Events are counted once, or one line says which files overlap."""
    if made.failed:
        return made.refuses("overlap", *words)
    assert made.counts.sum() == once.counts.sum(), (
        f"{made.counts.sum()} events are counted, there are {once.counts.sum()}"
    )
    assert np.array_equal(made.counts, once.counts)


OVERLAPS = {
    "by 500 s": [(0, 1750), (1250, 3000)],
    "by 20 s": [(0, 1510), (1490, 3000)],
    "by 2 s": [(0, 1501), (1499, 3000)],
    "one in the other": [(0, 3000), (1000, 1500)],
    "one in the other, first": [(1000, 1500), (0, 3000)],
    "in the wrong order": [(1250, 3000), (0, 1750)],
    "three": [(0, 1200), (1000, 2200), (2000, 3000)],
    "the first and the last of three": [(0, 1000), (1000, 3000), (0, 500)],
}


@pytest.mark.parametrize("header", ["told", "not told"])
@pytest.mark.parametrize("stretches", [row(own, id=own) for own in OVERLAPS])
def test_events_of_files_that_overlap_count_once(stretches, header, once, tmp_path):
    paths = [
        write_part(tmp_path / f"{n}.fits", *own, **({} if header == "told" else {"header": SILENT}))
        for n, own in enumerate(OVERLAPS[stretches])
    ]
    seconds = 3000 if header == "told" else 2990
    once_or_told(bin_spectra(tmp_path, *paths, seconds=seconds), shorter(once, seconds, tmp_path))


def shorter(once, seconds, folder):
    """The spectra of the first seconds from the first event on."""
    if seconds == 3000:
        return once
    path = write_part(folder / "once.fits", 0, 3000, header=SILENT)
    return bin_spectra(folder, path, seconds=seconds)


def test_files_that_overlap_under_good_times(once, tmp_path):
    table = good_times(limits=((0.0, 3000.0),))
    faults.fits.HDUList([faults.fits.PrimaryHDU(), table]).writeto(tmp_path / "gti.fits")
    paths = [write_part(tmp_path / f"{n}.fits", *own) for n, own in enumerate(OVERLAPS["by 500 s"])]
    gti = {"file": str(tmp_path / "gti.fits"), "criteria": ["GTICAL-NEO"]}
    once_or_told(bin_spectra(tmp_path, *paths, seconds=3000, events={"gti": gti}), once)


def test_flight_files_that_overlap(tmp_path):
    whole = flight_columns(12000, 3000.0)
    once = write_flight(tmp_path / "e.fits", whole, header=span(0, 3000))
    once = bin_spectra(tmp_path, once, seconds=3000, layout="ecl-evt-cal")
    paths = [
        write_flight(tmp_path / f"{n}.fits", part(*own, whole), header=span(*own))
        for n, own in enumerate(OVERLAPS["by 500 s"])
    ]
    made = bin_spectra(tmp_path, *paths, seconds=3000, layout="ecl-evt-cal")
    once_or_told(made, once)


def seam(columns, at, width):
    """Two files that follow each other, the events of the last seconds dealt to both of them."""
    time = columns["TIME"][1]
    rng = np.random.default_rng(3)
    late = time + width * (rng.random(len(time)) - 0.5) >= at
    return [
        {name: (form, array[kept]) for name, (form, array) in columns.items()}
        for kept in (~late, late)
    ]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("width", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("told", [True, False])
def test_seconds_at_the_seam_of_files_are_normal(width, order, told, once, tmp_path):
    """Each event is in one file only, though their times interleave."""
    half = width / 2
    headers = [span(0, 1500 + half), span(1500 - half, 3000)] if told else [SILENT, SILENT]
    pieces = seam(WHOLE, 1500.0, width)
    paths = [write_events(tmp_path / f"{n}.fits", pieces[n], header=headers[n]) for n in range(2)]
    seconds = 3000 if told else 2990
    made = bin_spectra(tmp_path, *(paths[n] for n in order), seconds=seconds)
    assert not made.failed, made.said
    # The gap between two files that do not say their times is not good time.
    allowed = 0 if told else 3
    assert abs(made.counts.sum() - shorter(once, seconds, tmp_path).counts.sum()) <= allowed


def test_files_of_different_pixels_are_together_in_time(once, tmp_path):
    """A file for each half of the camera: nothing is there twice."""
    kept = [WHOLE["DETNUM"][1] % 2 == n for n in range(2)]
    paths = [
        write_events(
            tmp_path / f"{n}.fits",
            {name: (form, array[kept[n]]) for name, (form, array) in WHOLE.items()},
            header=span(0, 3000),
        )
        for n in range(2)
    ]
    made = bin_spectra(tmp_path, *paths, seconds=3000)
    assert not made.failed, made.said
    assert np.array_equal(made.counts, once.counts)


# --- E6: steps back in time -----------------------------------------------------------------------

ROLL_OVER = 2**32 * 1e-6
"""A counter of microseconds with 32 bits starts anew after so many seconds."""


def rolled(start=3000.0, seconds=3000.0, n=12000, at=ROLL_OVER, flight=False):
    """Columns whose times start anew at 0 when they come to `at`."""
    columns = (flight_columns if flight else pira_columns)(n, seconds, start)
    form, time = columns["TIME"]
    columns["TIME"] = (form, np.where(time >= at, time - at, time))
    return columns


def stepped(step, at_row=6000, n=12000):
    """Columns whose times go back by `step` seconds from a row on."""
    columns = pira_columns(n, 3000.0)
    form, time = columns["TIME"]
    columns["TIME"] = (form, np.where(np.arange(n) >= at_row, time - step, time) + step)
    return columns


BLOCK_ROWS = 2**20 // 15
"""Rows of an event file that are read at once today."""

STEPS = [
    row(rolled(), SILENT, id="roll-over"),
    row(rolled(), {}, id="roll-over, TSTART and TSTOP"),
    row(rolled(4290.0, 100.0, 400), SILENT, id="roll-over after a few seconds"),
    row(stepped(1000.0), SILENT, id="1000 s"),
    row(stepped(10.0), SILENT, id="10 s"),
    row(stepped(1000.0, at_row=11999), SILENT, id="the last event"),
    row(stepped(1000.0, at_row=1), SILENT, id="the second event"),
    row(
        stepped(1000.0, at_row=BLOCK_ROWS, n=2 * BLOCK_ROWS),
        SILENT,
        id="where blocks of rows meet",
    ),
]


@pytest.mark.parametrize(("columns", "header"), STEPS)
def test_a_step_back_in_time_is_refused_with_its_place(columns, header, tmp_path):
    path = write_events(tmp_path / "e.fits", columns, header=header)
    time = columns["TIME"][1]
    at = int(np.argmin(np.diff(time))) + 1
    made = bin_spectra(tmp_path, path, seconds=80)
    made.refuses("e.fits", "row", "back")
    assert any(str(number) in made.said for number in (at, at + 1)), (at, made.said)


def test_a_step_back_in_a_flight_file_under_good_times(tmp_path):
    path = write_flight(tmp_path / "e.fits", rolled(flight=True), header=SILENT)
    table = good_times(limits=((0.0, 6000.0),))
    faults.fits.HDUList([faults.fits.PrimaryHDU(), table]).writeto(tmp_path / "gti.fits")
    gti = {"file": str(tmp_path / "gti.fits"), "criteria": ["GTICAL-NEO"]}
    made = bin_spectra(tmp_path, path, layout="ecl-evt-cal", seconds=1000, events={"gti": gti})
    made.refuses("e.fits", "row", "back")


@pytest.mark.parametrize("jitter", [0.0, 20e-6, 50e-6])
def test_jitter_of_microseconds_is_normal(jitter, tmp_path):
    columns = pira_columns(200_000, 1000.0)
    form, time = columns["TIME"]
    rng = np.random.default_rng(2)
    columns["TIME"] = (form, time + rng.normal(0.0, jitter, len(time)))
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns), seconds=999)
    assert not made.failed and not made.said
    assert (np.diff(columns["TIME"][1]) < 0).any() == (jitter > 0)


def test_times_that_are_no_number_are_no_step(tmp_path):
    columns = pira_columns()
    columns["TIME"][1][::100] = np.nan
    header = {"TSTART": 0.0, "TSTOP": 1000.0}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns, header=header))
    assert not made.failed and made.header["EVUSED"] == 3960


def test_files_in_another_order_are_no_step(once, tmp_path):
    stretches = [(2000, 3000), (0, 1000), (1000, 2000)]
    paths = [write_part(tmp_path / f"{n}.fits", *own) for n, own in enumerate(stretches)]
    bin_spectra(tmp_path, *paths, seconds=3000).is_as(once)


def test_a_roll_over_between_two_files(tmp_path):
    """The second file counts from 0 again and so lies before, and on, the first."""
    columns = rolled(500.0, 6000.0, 24000)
    step = int(np.argmin(np.diff(columns["TIME"][1]))) + 1
    pieces = [
        {name: (form, array[own]) for name, (form, array) in columns.items()}
        for own in (slice(step), slice(step, None))
    ]
    paths = [write_events(tmp_path / f"{n}.fits", pieces[n], header=SILENT) for n in range(2)]
    bin_spectra(tmp_path, *paths, seconds=3000).notices("0.fits", "1.fits", "overlap")


# --- E20: time systems ----------------------------------------------------------------------------

START = Time("2025-03-17T12:00:00", scale="utc")
MISSION_EPOCH = Time(57754.0, 69.184 / 86400, format="mjd", scale="tt")


def clock_header(scale, epoch):
    """Cards of a file that counts from `epoch` in a time system, and its time of `START`."""
    zero = Time(epoch, scale=scale)
    whole = int(np.floor(zero.mjd))
    cards = {"MJDREFI": whole, "MJDREFF": (zero.jd1 - 2400000.5 - whole) + zero.jd2}
    start = getattr(START, scale)
    seconds = (start - zero).to_value("s")
    return cards | {"TIMESYS": scale.upper()}, seconds


@pytest.mark.parametrize(
    ("scale", "epoch"),
    [
        row("tt", "2017-01-01T00:01:09.184", id="TT"),
        row("tt", "2000-01-01T12:00:00", id="TT of 2000"),
        pytest.param("tai", "2017-01-01T00:00:37", id="TAI"),
        pytest.param("tai", "1958-01-01T00:00:00", id="TAI of 1958"),
        pytest.param("utc", "2017-01-01T00:00:00", id="UTC"),
        pytest.param("utc", "2020-01-01T00:00:00", id="UTC of 2020"),
        pytest.param("tdb", "2017-01-01T00:01:09.184", id="TDB"),
    ],
)
def test_the_validity_starts_with_the_events(scale, epoch, tmp_path):
    header, seconds = clock_header(scale, epoch)
    columns = pira_columns(start=seconds)
    header |= {"TSTART": seconds, "TSTOP": seconds + 1000.0}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", columns, header=header))
    assert not made.failed, made.said
    mission = merge(tmp_path, header=made.header).headers["mission"]
    expected = (START - MISSION_EPOCH).to_value("s")
    assert mission["TSTART"] == pytest.approx(expected, abs=1e-3)
    assert (mission["CVSD0001"], mission["CVST0001"]) == ("2025-03-17", "12:00:00")


@pytest.mark.parametrize("system", ["LOCAL", "OBT"])
def test_a_time_system_that_nobody_knows_is_told(system, tmp_path):
    """A start of validity in 2017 for data of 2025 is a wrong number."""
    header = {"TIMESYS": system, "TSTART": 0.0, "TSTOP": 1000.0}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", header=header))
    told = made.said
    if not made.failed:
        told += merge(tmp_path, header=made.header).said
    assert system in told, told


@pytest.mark.parametrize("names", [("TSTART", "TSTOP"), ("START", "END"), ("T0", "T1")])
@pytest.mark.parametrize("where", ["event file", "GTI file"])
def test_good_times_whose_limits_have_other_names_are_refused(where, names, tmp_path):
    """They were left out without a word: 1000 s in place of 500."""
    odd, right = good_times("STDGTI", [(0.0, 500.0)], names), good_times("ALL")
    if where == "event file":
        made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits", None, odd), seconds=400.0)
    else:
        write_events(tmp_path / "gti.fits", None, odd, right)
        gti = {"file": str(tmp_path / "gti.fits"), "criteria": []}
        path = write_events(tmp_path / "e.fits")
        made = bin_spectra(tmp_path, path, seconds=400.0, events={"gti": gti})
    made.refuses(where, "STDGTI has no columns START and STOP", *names)
