"""Reading of event files: against astropy's own reading of the same file."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from event_files import cut_short, events, flight, pira, table, write

from pixelcal.eclairs.events import LAYOUTS, detnum_of_positions, open_events, stream, value_key
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
    file = open_events(path, "pira", {}, "single")
    got = read_all(file, block_bytes=4096)
    with fits.open(path) as hdus:
        data = hdus["EVENTS"].data
        for key, name in zip(KEYS, ("energy", "DETNUM", "effMult", "TIME"), strict=True):
            np.testing.assert_array_equal(got[key], data[name])
            assert got[key].dtype.isnative and got[key].flags.c_contiguous
    assert file.n_events == 3001 and file.has_pixels and file.has_times


def test_flight_layout_gives_detnum_of_row_and_column(tmp_path):
    data = events(2000)
    got = read_all(open_events(flight(tmp_path / "f.fits", data), "ecl-evt-cal", {}))
    row, column = data["row"].astype(int), data["column"].astype(int)
    expected = np.where((row < 80) & (column < 80), 80 * row + column, -1)
    np.testing.assert_array_equal(got["pixel"], expected)
    np.testing.assert_array_equal(got["value"], data["channel"])
    assert got["multiplicity"] is None


def test_another_pixel_map_moves_the_events(tmp_path):
    data = events(500)
    row, column = np.divmod(np.arange(6400), 80)
    shuffled = np.random.default_rng(3).permutation(6400)
    pixel_map = {"DETNUM": shuffled, "X": 79 - column, "Y": row}
    file = open_events(flight(tmp_path / "f.fits", data), "ecl-evt-cal", {})
    plain = read_all(file)["pixel"]
    moved = read_all(file, detnum_of_position=detnum_of_positions(pixel_map))["pixel"]
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
    path = write(tmp_path / "own.fits", table("", columns))
    own = {"energy": "e", "pixel": "pix", "multiplicity": "n", "time": "t"}
    got = read_all(open_events(path, "pira", own, "single"))
    for key, expected in zip(KEYS, ("energy", "pixel", "multiplicity", "time"), strict=True):
        np.testing.assert_array_equal(got[key], data[expected])
    # Naming a channel makes either layout one of channels.
    with_channel = {**own, "channel": "pha"}
    assert value_key("pira", own) == "energy" and value_key("pira", with_channel) == "channel"
    for layout in LAYOUTS:
        channels = read_all(open_events(path, layout, with_channel, "single"))
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
    got = read_all(open_events(path, "pira", {"row": "Z", "column": "Y"}))
    np.testing.assert_array_equal(got["pixel"], 80 * (data["row"] % 80.0) + data["column"] % 80)
    with pytest.raises(InputError, match="row and column go together"):
        open_events(path, "pira", {"row": "Z"})


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
    got = read_all(open_events(path, "pira", {}, "single"))
    np.testing.assert_array_equal(got["value"], 3 + 0.25 * whole)
    np.testing.assert_array_equal(got["pixel"], whole)
    np.testing.assert_array_equal(got["multiplicity"], whole)
    np.testing.assert_array_equal(got["time"], 0.5 * whole)


def test_pixel_numbers_that_no_camera_has_stay_outside_it(tmp_path):
    wide = np.array([7, 2**32 + 7, -(2**40)])
    path = write(
        tmp_path / "k.fits", table("EVENTS", [("energy", "E", wide), ("DETNUM", "K", wide)])
    )
    pixel = read_all(open_events(path, "pira", {}))["pixel"]
    assert pixel[0] == 7 and pixel[1] >= 6400 and pixel[2] < 0
    floats = np.array([7, np.nan, np.inf, 1e300])
    path = write(
        tmp_path / "d.fits",
        table("EVENTS", [("energy", "E", np.zeros(4)), ("DETNUM", "D", floats)]),
    )
    pixel = read_all(open_events(path, "pira", {}))["pixel"]
    assert pixel[0] == 7 and pixel[1] < 0 and (pixel[2:] >= 6400).all()


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
    np.testing.assert_array_equal(read_all(open_events(path, "pira", {}))["value"], energy)
    with pytest.raises(InputError, match="WAVE .*one number a row"):
        open_events(path, "pira", {"energy": "WAVE"})


def test_missing_columns_are_none_or_an_error_that_says_what_to_do(tmp_path):
    path = pira(tmp_path / "e.fits", events(10), without=("pixel", "time", "multiplicity"))
    file = open_events(path, "pira", {})
    assert not file.has_pixels and not file.has_times
    block = next(stream(file))
    assert block["pixel"] is block["time"] is block["multiplicity"] is None
    with pytest.raises(InputError, match=r"events.multiplicity: all.*events.columns.multiplicity"):
        open_events(path, "pira", {}, "single")
    with pytest.raises(InputError, match=r"holds the column\(s\).*PIX.*EVENTS: energy, procID"):
        open_events(path, "pira", {"pixel": "PIX"})
    with pytest.raises(InputError, match="events.columns: 'mult'"):
        open_events(path, "pira", {"mult": "N"})
    with pytest.raises(InputError, match="no column with the multiplicity"):
        open_events(flight(tmp_path / "f.fits", events(10)), "ecl-evt-cal", {}, "single")


@pytest.mark.parametrize("target", ["cut.fits", "cut.fits.gz"])
@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_file_cut_short_says_in_which_row(tmp_path, target):
    whole = pira(tmp_path / "e.fits", events(20_000))
    width = 16
    start = open_events(whole, "pira", {}).data_start
    path = cut_short(whole, tmp_path / target, start + 12_345 * width + 5)
    with pytest.raises(InputError, match="cut short, it ends in row 12346 of 20000"):
        read_all(open_events(path, "pira", {}))


def test_what_is_no_event_file(tmp_path):
    (tmp_path / "text.fits").write_text("SIMPLE it is not")
    (tmp_path / "empty.fits").write_bytes(b"")
    for name in ("text.fits", "empty.fits", "absent.fits"):
        with pytest.raises(InputError, match=name):
            open_events(tmp_path / name, "pira", {})
    with pytest.raises(InputError, match="there is: no table"):
        open_events(write(tmp_path / "bare.fits"), "pira", {})
    with pytest.raises(InputError, match=", ".join(LAYOUTS)):
        open_events(tmp_path / "text.fits", "fits", {})


def test_an_empty_table_gives_no_blocks(tmp_path):
    path = pira(tmp_path / "none.fits", events(0))
    assert list(stream(open_events(path, "pira", {}))) == []


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Peak of what Python and numpy allocate, for a file and one four times as long."""

    def peak(n):
        path = pira(tmp_path / f"{n}.fits", events(n))
        file = open_events(path, "pira", {})
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
