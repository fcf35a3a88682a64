"""Tile-compressed tables: a file that fpack itself wrote, tables of every kind, damage.

`fpack_1.7.0.fits.fz` was written by fpack 1.7.0 with CFITSIO 4.2.0 (`fpack -tableonly`) from a
table of 700 rows in tiles of 300 (FZTILELN), whose columns follow from the number of the row.
"""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.faults import (
    bin_spectra,
    events_hdu,
    flight_columns,
    fpacked,
    good_times,
    merge,
    pira_columns,
    prior_columns,
    write_events,
    write_flight,
)
from helpers.instruments import ECLAIRS

from pixelcal.energy.events.reader import open_events, stream
from pixelcal.energy.prior import read_prior
from pixelcal.errors import InputError
from pixelcal.io.checksums import check_sums
from pixelcal.io.tables import read_table
from pixelcal.io.tiled_tables import TiledRows, plain_table, tiling_of

REFERENCE = Path(__file__).with_name("fpack_1.7.0.fits.fz")
ROW = np.arange(700)
WRITTEN = {
    "TIME": ROW * 0.125,
    "energy": 5 + 0.125 * ROW,
    "DETNUM": ROW**2 % 6400,
    "effMult": 1 + ROW % 2,
    "COUNT": ROW**3 % 1000003 - 500000,
    "TICK": ROW << 33,
    "UNSIGNED": 93 * ROW,
    "PAIR": np.column_stack([ROW, -ROW]),
    "NAME": [f"{k:x}" for k in ROW],
    "GOOD": ROW % 3 == 0,
    "BITS": (ROW[:, None] >> np.arange(11) & 1).astype(bool),
}
GZIP_1, GZIP_2 = (lambda form: "GZIP_1"), (lambda form: "GZIP_2")


def write(path, *hdus):
    """A FITS file of these HDUs; returns its path."""
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def unpacked(path, extension=1):
    """A table of a file, unpacked."""
    with fits.open(path, memmap=False) as hdus:
        return plain_table(path, hdus[extension], "table")


def mixed(form):
    """Each algorithm for some columns."""
    return {"D": "NOCOMPRESS", "I": "RICE_1", "B": "RICE_1"}.get(form, "GZIP_2")


# --- what is read ---------------------------------------------------------------------------------


def test_a_file_of_fpack_is_what_went_into_it():
    table = unpacked(REFERENCE)
    for name, values in WRITTEN.items():
        assert np.array_equal(table.data[name], values), name
    assert table.header["TFORM1"] == "D" and table.header["NAXIS2"] == 700
    assert not any(word.startswith("Z") for word in table.header)
    assert all(len(values) == 0 for values in table.data["TRACE"])  # lists stay packed


def test_the_checksums_of_fpack_are_right(caplog):
    with fits.open(REFERENCE) as hdus:
        assert {"CHECKSUM", "DATASUM"} <= set(hdus[1].header)
        check_sums(REFERENCE, hdus[1], "event file")
    assert not caplog.records


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("block_bytes", [100, 10_000, 2**20])
def test_events_of_fpack_are_streamed(block_bytes, outer, tmp_path):
    """In blocks that are shorter and longer than a tile, and gzip-compressed once more."""
    path = REFERENCE
    if outer:
        path = tmp_path / "events.fits.fz.gz"
        path.write_bytes(gzip.compress(REFERENCE.read_bytes()))
    file = open_events(path, "pira", {}, instrument=ECLAIRS)
    blocks = [
        {key: values.copy() for key, values in block.items()}
        for block in stream(file, block_bytes=block_bytes)
    ]
    names = {"value": "energy", "pixel": "DETNUM", "multiplicity": "effMult", "time": "TIME"}
    for key, name in names.items():
        assert np.array_equal(np.concatenate([block[key] for block in blocks]), WRITTEN[name])


@pytest.mark.parametrize("rows_a_tile", [1, 999, 3999, 4000, 10_000])
def test_tiles_of_any_length(rows_a_tile, tmp_path):
    """One row, a last tile of a few rows or of one, one tile, and one that is longer than all."""
    path = write_events(tmp_path / "e.fits")
    packed = write(tmp_path / "e.fz", fpacked(events_hdu(pira_columns()), mixed, rows_a_tile))
    bin_spectra(tmp_path, packed).is_as(bin_spectra(tmp_path, path))


def test_channels_of_the_flight_layout(tmp_path):
    hdu = events_hdu(flight_columns(), name="ECL-EVT-CAL")
    packed = write(tmp_path / "e.fz", fpacked(hdu, GZIP_1))
    path = write_flight(tmp_path / "e.fits")
    plain = bin_spectra(tmp_path, path, layout="ecl-evt-cal")
    bin_spectra(tmp_path, packed, layout="ecl-evt-cal").is_as(plain)


def test_a_file_and_its_packed_copy_are_the_same_events(tmp_path):
    packed = write(tmp_path / "e.fz", fpacked(events_hdu(pira_columns()), GZIP_2))
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), packed)
    made.refuses("e.fits", "e.fz", "same")


def test_memory_does_not_depend_on_the_number_of_tiles(tmp_path):
    columns = pira_columns(200_000)
    peaks = []
    for n in (20_000, 200_000):
        part = {name: (form, array[:n]) for name, (form, array) in columns.items()}
        path = write(tmp_path / f"{n}.fz", fpacked(events_hdu(part), GZIP_2, 5000))
        file = open_events(path, "pira", {}, instrument=ECLAIRS)
        tracemalloc.start()
        for _ in stream(file, block_bytes=10_000):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_columns_that_are_not_asked_for_are_not_unpacked():
    with fits.open(REFERENCE) as hdus:
        tiling = tiling_of(hdus[1].header, hdus[1].fileinfo()["datLoc"], "table")
    with TiledRows(REFERENCE, tiling, {1}) as source:
        rows = np.frombuffer(source.readall(), tiling.row_dtype)
    assert np.array_equal(rows["c1"].view(">f8"), WRITTEN["TIME"])
    assert not rows["c2"].view("u4").any()


# --- other tables ---------------------------------------------------------------------------------


def test_good_times_are_read(tmp_path):
    limits = ((0.0, 100.0), (200.0, 300.0), (500.0, 900.0))
    path = write(tmp_path / "gti.fz", fpacked(good_times(limits=limits), GZIP_2, 2))
    events = {"gti": {"file": str(path), "criteria": ["GTICAL-NEO"]}}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), events=events, seconds=500)
    assert not made.failed and made.header["GOODTIME"] == 600


def test_good_times_beside_the_events_are_read(tmp_path):
    limits = good_times("GTI", ((0.0, 100.0), (200.0, 300.0), (500.0, 900.0)))
    path = write(
        tmp_path / "e.fz", fpacked(events_hdu(pira_columns()), mixed), fpacked(limits, GZIP_1, 2)
    )
    made = bin_spectra(tmp_path, path, seconds=500)
    assert not made.failed and made.header["GOODTIME"] == 600


def test_a_relation_is_read(tmp_path):
    columns = prior_columns(gain=0.1451)
    units = {"GAIN": "keV/chan", "OFFSET": "keV"}
    hdu = events_hdu(columns, name="RELATION", units=units)
    path = write(tmp_path / "prior.fits.fz", fpacked(hdu, GZIP_2, 10))
    gain, _ = read_prior(path, np.arange(64), 1.0, 0.0, instrument=ECLAIRS)
    assert np.all(gain == 0.1451)


@pytest.mark.parametrize("name", ["bad.fits.fz", "bad.fits"])
def test_bad_pixels_are_read(name, tmp_path):
    hdu = fits.BinTableHDU.from_columns([fits.Column("DETNUM", "I", array=[3, 5, 40])])
    made = merge(tmp_path, bad_pixels=write(tmp_path / name, fpacked(hdu, GZIP_1, 2)))
    assert not made.failed, made.said
    assert made.relation["DETNUM"][made.relation["STATUS"] & 1 > 0].tolist() == [3, 5, 40]


@pytest.mark.parametrize(
    ("hdu", "word"),
    [
        (fits.ImageHDU(np.zeros((80, 80)), name="RELATION"), "an image"),
        (fits.CompImageHDU(np.zeros((80, 80), "f4"), name="RELATION"), "a compressed image"),
    ],
)
def test_an_image_is_not_taken_for_a_table(hdu, word, tmp_path):
    path = write(tmp_path / "prior.fits", hdu)
    with pytest.raises(InputError, match=f"RELATION is {word}"):
        read_prior(path, np.arange(64), 1.0, 0.0, instrument=ECLAIRS)
    with pytest.raises(InputError, match=f"RELATION is {word}"):
        read_table(path)


# --- what is damaged ------------------------------------------------------------------------------


def packed_events(folder, algorithms=mixed):
    """A file of four tiles; returns its path and the place of its heap."""
    path = write(folder / "e.fits.fz", fpacked(events_hdu(pira_columns()), algorithms))
    with fits.open(path) as hdus:
        start = hdus[1].fileinfo()["datLoc"] + hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
    return path, start


@pytest.mark.parametrize("kept", [-200, 0, 500, 20_000])
def test_a_file_that_is_cut_short_is_refused(kept, tmp_path):
    """Within the descriptors, at the beginning of the heap, and in the first and the last tile."""
    path, heap = packed_events(tmp_path)
    path.write_bytes(path.read_bytes()[: heap + kept])
    bin_spectra(tmp_path, path).refuses("e.fits.fz", "cut short", "fresh copy")


@pytest.mark.parametrize("algorithm", ["GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("place", [0, 3, 300, 5000, 30_000])
def test_a_changed_byte_is_noticed(place, algorithm, tmp_path):
    path, heap = packed_events(tmp_path, lambda form: algorithm)
    content = bytearray(path.read_bytes())
    content[heap + place] ^= 0x55
    path.write_bytes(content)
    bin_spectra(tmp_path, path).refuses("e.fits.fz", "tile", "damaged", "fresh copy")


@pytest.mark.parametrize(
    "change",
    [(0, 2**40), (0, 2**62), (0, -5), (8, 2**40), (8, -5), (0, 0), (0, 7)],
)
def test_a_descriptor_that_points_elsewhere_is_noticed(change, tmp_path):
    path, _ = packed_events(tmp_path)
    with fits.open(path) as hdus:
        start = hdus[1].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[start + change[0] : start + change[0] + 8] = np.array(change[1], ">i8").tobytes()
    path.write_bytes(content)
    bin_spectra(tmp_path, path).refuses("e.fits.fz", "TIME of tile 1", "damaged")


def test_a_changed_byte_of_rice_is_noticed_or_in_the_checksum(tmp_path):
    """Rice has no checksum of its own; the DATASUM is there for it."""
    hdu = fpacked(events_hdu(pira_columns()), mixed)
    hdu.add_checksum()
    path = write(tmp_path / "e.fits.fz", hdu)
    content = bytearray(path.read_bytes())
    content[-2880 * 2] ^= 0x55
    path.write_bytes(content)
    bin_spectra(tmp_path, path).refuses("e.fits.fz", "DATASUM")


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (("ZCTYP1", "HCOMPRESS_1"), ["HCOMPRESS_1", "TIME", "funpack"]),
        (("ZCTYP1", "RICE_1"), ["RICE_1", "TIME", "funpack"]),
        (("ZTILELEN", 0), ["ZTILELEN"]),
        (("ZTILELEN", 999), ["ZTILELEN"]),
        (("ZNAXIS2", 10**15), ["ZNAXIS2"]),
        (("ZNAXIS1", 16), ["ZNAXIS1"]),
        (("ZFORM1", "E"), ["ZNAXIS1"]),
        (("ZTILELEN", None), ["ZTILELEN"]),
    ],
)
def test_keywords_that_contradict_are_refused(card, words, tmp_path):
    hdu = fpacked(events_hdu(pira_columns()), mixed)
    word, value = card
    if value is None:
        del hdu.header[word]
    else:
        hdu.header[word] = value
    bin_spectra(tmp_path, write(tmp_path / "e.fz", hdu)).refuses("e.fz", *words)


def test_a_list_that_is_needed_is_refused(tmp_path):
    made = bin_spectra(tmp_path, REFERENCE, events={"columns": {"energy": "TRACE"}})
    made.refuses("TRACE", "variable length")


def test_damaged_good_times_are_refused(tmp_path):
    hdu = fpacked(good_times(limits=tuple((k, k + 0.5) for k in range(100))), GZIP_2, 50)
    path = write(tmp_path / "gti.fz", hdu)
    with fits.open(path) as hdus:
        place = hdus[1].fileinfo()["datLoc"] + 64 + 30
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)
    events = {"gti": {"file": str(path), "criteria": []}}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), events=events, seconds=50)
    made.refuses("gti.fz", "damaged")
