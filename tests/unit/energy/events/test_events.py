"""Reading of event files: against astropy's reading of the same file."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.event_files import EPOCH, events, flight, pira, table, write
from helpers.instruments import ECLAIRS

from pixelcal.energy.events.layouts import value_key
from pixelcal.energy.events.reader import detnum_of_positions, open_events, stream
from pixelcal.errors import InputError

KEYS = ("value", "pixel", "multiplicity", "time")


def read_all(file, **options):
    """All blocks of a file put together; None where there is no column."""
    blocks = []
    for block in stream(file, **options):
        blocks.append({key: None if a is None else a.copy() for key, a in block.items()})
    joined = {}
    for key in blocks[0]:
        parts = [block[key] for block in blocks]
        joined[key] = None if parts[0] is None else np.concatenate(parts)
    return joined


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_pira_columns_are_what_astropy_reads(tmp_path, suffix):
    path = pira(tmp_path / f"e{suffix}", events(3001))
    file = open_events(path, "pira", {}, "single", instrument=ECLAIRS)
    got = read_all(file, block_bytes=4096)
    with fits.open(path) as hdus:
        data = hdus["EVENTS"].data
        for key, name in zip(KEYS, ("energy", "DETNUM", "effMult", "TIME"), strict=True):
            np.testing.assert_array_equal(got[key], data[name])
            assert got[key].dtype.isnative and got[key].flags.c_contiguous
    assert file.n_events == 3001 and file.has_times and "pixel" in file.columns


def test_flight_layout_gives_detnum_of_row_and_column(tmp_path):
    data = events(2000)
    got = read_all(
        open_events(flight(tmp_path / "f.fits", data), "ecl-evt-cal", {}, instrument=ECLAIRS)
    )
    row, column = data["row"].astype(int), data["column"].astype(int)
    expected = np.where((row < 80) & (column < 80), 80 * row + column, -1)
    np.testing.assert_array_equal(got["pixel"], expected)
    np.testing.assert_array_equal(got["value"], data["channel"])
    assert got["multiplicity"] is None


def test_another_pixel_map_moves_the_events(tmp_path):
    data = events(500)
    row, column = np.divmod(np.arange(6400), 80)
    shuffled = np.random.default_rng(3).permutation(6400)
    pixel_map = Table({"DETNUM": shuffled, "ROW": row, "COLUMN": column})
    file = open_events(flight(tmp_path / "f.fits", data), "ecl-evt-cal", {}, instrument=ECLAIRS)
    plain = read_all(file)["pixel"]
    moved = read_all(file, detnum_of_position=detnum_of_positions(pixel_map, instrument=ECLAIRS))[
        "pixel"
    ]
    np.testing.assert_array_equal(moved, np.where(plain < 0, -1, shuffled[plain]))


def test_own_names_go_before_those_of_the_layout(tmp_path):
    data = events(100)
    columns = [
        ("E", "D", data["energy"]),
        ("PIX", "J", data["pixel"]),
        ("N", "I", data["multiplicity"]),
        ("T", "D", data["time"]),
        ("PHA", "I", data["channel"]),
    ]
    path = write(tmp_path / "named.fits", table("", columns))
    names = {"energy": "e", "pixel": "pix", "multiplicity": "n", "time": "t"}
    got = read_all(open_events(path, "pira", names, "single", instrument=ECLAIRS))
    for key, expected in zip(KEYS, ("energy", "pixel", "multiplicity", "time"), strict=True):
        np.testing.assert_array_equal(got[key], data[expected])
    # Naming a channel makes either layout one of channels.
    with_channel = {**names, "channel": "pha"}
    preset = ECLAIRS.layouts["pira"]
    assert value_key(preset, names) == "energy" and value_key(preset, with_channel) == "channel"
    for layout in ("pira", "ecl-evt-cal"):
        channels = read_all(open_events(path, layout, with_channel, "single", instrument=ECLAIRS))
        np.testing.assert_array_equal(channels["value"], data["channel"])
        np.testing.assert_array_equal(channels["pixel"], data["pixel"])


def test_row_and_column_take_the_place_of_the_pixel(tmp_path):
    data = events(200)
    columns = [
        ("energy", "E", data["energy"]),
        ("DETNUM", "I", data["pixel"]),
        ("Z", "B", data["row"] % 80),
        ("Y", "B", data["column"] % 80),
    ]
    path = write(tmp_path / "e.fits", table("EVENTS", columns))
    got = read_all(open_events(path, "pira", {"row": "Z", "column": "Y"}, instrument=ECLAIRS))
    np.testing.assert_array_equal(got["pixel"], 80 * (data["row"] % 80.0) + data["column"] % 80)


def test_scaled_and_unsigned_columns(tmp_path):
    """TSCAL and TZERO, the unsigned conventions among them, as the FITS standard has them."""
    whole = np.arange(50)
    columns = [
        ("energy", "I", whole),
        ("DETNUM", "K", whole + np.iinfo("i8").min),
        ("effMult", "I", whole - 2**15),
        ("TIME", "J", whole),
    ]
    path = write(tmp_path / "scaled.fits", table("EVENTS", columns))
    scaling = {"TSCAL1": 0.25, "TZERO1": 3.0, "TZERO2": 2**63, "TZERO3": 2**15, "TSCAL4": 0.5}
    for keyword, value in scaling.items():
        fits.setval(path, keyword, value=value, ext=1)
    got = read_all(open_events(path, "pira", {}, "single", instrument=ECLAIRS))
    np.testing.assert_array_equal(got["value"], 3 + 0.25 * whole)
    np.testing.assert_array_equal(got["pixel"], whole)
    np.testing.assert_array_equal(got["multiplicity"], whole)
    np.testing.assert_array_equal(got["time"], 0.5 * whole)


def test_null_values_are_no_values(tmp_path):
    """TNULL is a stored value, before TSCAL and TZERO."""
    columns = [
        ("energy", "J", [20, -1, 30]),
        ("DETNUM", "I", [255, 1, 2]),
        ("effMult", "B", [1, 255, 1]),
        ("TIME", "K", [10, 20, 99]),
    ]
    path = write(tmp_path / "null.fits", table("EVENTS", columns))
    for keyword, value in {"TNULL1": -1, "TNULL2": 255, "TNULL3": 255, "TNULL4": 99}.items():
        fits.setval(path, keyword, value=value, ext=1)
    fits.setval(path, "TZERO4", value=5, ext=1)
    got = read_all(open_events(path, "pira", {}, "single", instrument=ECLAIRS))
    np.testing.assert_array_equal(got["value"], [20, np.nan, 30])
    np.testing.assert_array_equal(got["pixel"], [-1, 1, 2])
    np.testing.assert_array_equal(got["multiplicity"], [1, -1, 1])
    np.testing.assert_array_equal(got["time"], [15, 25, np.nan])


@pytest.mark.parametrize(
    ("key", "unit", "factor"),
    [
        ("energy", "eV", 1e-3),
        ("energy", "MeV", 1e3),
        ("energy", "KEV", 1),
        ("energy", "J", 1 / 1.602176634e-16),
        ("time", "ms", 1e-3),
        ("time", "d", 86400),
        ("time", "sec", 1),
    ],
)
def test_units_are_converted(tmp_path, key, unit, factor):
    data = events(100)
    data = {name: data[name].astype("f8") for name in data}
    path = write(
        tmp_path / "units.fits",
        table("EVENTS", [("energy", "D", data["energy"]), ("TIME", "D", data["time"])]),
    )
    fits.setval(path, {"energy": "TUNIT1", "time": "TUNIT2"}[key], value=unit, ext=1)
    got = read_all(open_events(path, "pira", {}, instrument=ECLAIRS))
    expected = data | {key: data[key] * factor}
    np.testing.assert_allclose(got["value"], expected["energy"], rtol=1e-12)
    np.testing.assert_allclose(got["time"], expected["time"], rtol=1e-12)


@pytest.mark.parametrize(
    ("words", "unit", "zero"),
    [
        ({"TIMEZERO": 1e6}, 1, 1e6),
        ({"TIMEZERI": 5, "TIMEZERF": 0.5}, 1, 5.5),
        ({"TIMEOFFS": -3.0}, 1, -3),
        ({"TIMEUNIT": "d", "TIMEZERO": 2.0}, 86400, 2 * 86400),
        ({"TIMEUNIT": "ms"}, 1e-3, 0),
    ],
)
def test_the_header_says_what_times_mean(tmp_path, words, unit, zero):
    data = events(100)
    path = pira(tmp_path / "e.fits", data, EPOCH | words)
    np.testing.assert_allclose(
        read_all(open_events(path, "pira", {}, instrument=ECLAIRS))["time"],
        zero + unit * data["time"],
        rtol=1e-14,
    )


def test_pixel_numbers_that_no_camera_has_stay_outside_it(tmp_path):
    wide = np.array([7, 2**32 + 7, -(2**40)])
    path = write(
        tmp_path / "k.fits", table("EVENTS", [("energy", "E", wide), ("DETNUM", "K", wide)])
    )
    pixel = read_all(open_events(path, "pira", {}, instrument=ECLAIRS))["pixel"]
    assert pixel[0] == 7 and pixel[1] >= 6400 and pixel[2] < 0
    floats = np.array([7, np.nan, np.inf, 1e300, 7.5])
    path = write(
        tmp_path / "d.fits",
        table("EVENTS", [("energy", "E", np.zeros(5)), ("DETNUM", "D", floats)]),
    )
    pixel = read_all(open_events(path, "pira", {}, instrument=ECLAIRS))["pixel"]
    assert pixel[0] == 7 and (pixel[[1, 4]] < 0).all() and (pixel[2:4] >= 6400).all()


def test_text_and_vector_columns_beside_the_wanted_ones(tmp_path):
    n = 300
    energy = np.arange(n, dtype="f4")
    columns = [
        ("NAME", "7A", np.array(["x"] * n)),
        ("BITS", "11X", np.ones((n, 11), bool)),
        ("WAVE", "5E", np.ones((n, 5))),
        ("energy", "E", energy),
        ("LIST", "PJ()", np.array([np.arange(i % 3) for i in range(n)], dtype=object)),
    ]
    path = write(tmp_path / "mixed.fits", table("EVENTS", columns))
    np.testing.assert_array_equal(
        read_all(open_events(path, "pira", {}, instrument=ECLAIRS))["value"], energy
    )


def test_missing_columns_are_none(tmp_path):
    path = pira(tmp_path / "e.fits", events(10), without=("pixel", "time", "multiplicity"))
    file = open_events(path, "pira", {}, instrument=ECLAIRS)
    assert file.columns.keys() == {"value"} and not file.has_times
    block = next(stream(file))
    assert block["pixel"] is block["time"] is block["multiplicity"] is None


def test_names_that_are_not_known(tmp_path):
    """What the schema of the configuration refuses before."""
    path = flight(tmp_path / "f.fits", events(10))
    with pytest.raises(InputError, match="events.columns: 'mult'"):
        open_events(path, "pira", {"mult": "N"}, instrument=ECLAIRS)
    with pytest.raises(InputError, match=", ".join(ECLAIRS.layouts)):
        open_events(path, "fits", {}, instrument=ECLAIRS)
    with pytest.raises(InputError, match="no column with the multiplicity"):
        open_events(path, "ecl-evt-cal", {}, "single", instrument=ECLAIRS)


def test_an_empty_table_gives_no_blocks(tmp_path):
    path = pira(tmp_path / "none.fits", events(0))
    assert list(stream(open_events(path, "pira", {}, instrument=ECLAIRS))) == []


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Peak of what Python and numpy allocate, for a file and one four times as long."""

    def peak(n):
        path = pira(tmp_path / f"{n}.fits", events(n))
        file = open_events(path, "pira", {}, instrument=ECLAIRS)
        tracemalloc.start()
        for _ in stream(file):
            pass
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    # Both are longer than a block; a whole file decoded would be 14 and 58 MB.
    small, large = peak(600_000), peak(2_400_000)
    assert large < 1.05 * small
    assert large < 4e6
