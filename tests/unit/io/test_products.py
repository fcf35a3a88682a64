"""Writing whole and the same bytes, reading with reasons."""

import json
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from pixelcal.errors import InputError
from pixelcal.io.tables import (
    read_columns,
    read_table,
    table_hdu,
    write_ecsv,
    write_fits,
    write_json,
    write_text,
)


@pytest.fixture
def rows():
    rows = np.zeros(5, [("DETNUM", "i2"), ("GAIN", "f8"), ("COUNTS", "i4", (4,)), ("OK", "?")])
    rows["DETNUM"] = np.arange(5)
    rows["GAIN"] = [0.1, np.nan, 0.3, -0.0, 1e-300]
    rows["COUNTS"] = np.arange(20).reshape(5, 4)
    rows["OK"] = [True, False, True, True, False]
    return rows


def write(path, rows, date=None):
    cards = [("EXPOSURE", 10.0, "s"), ("HISTORY", "first"), ("HISTORY", "second")]
    write_fits(path, [table_hdu(rows, "RELATION", {"GAIN": "keV/chan"}, cards)], date)
    return path


def test_fits_holds_what_was_put_in(tmp_path, rows):
    table = read_columns(write(tmp_path / "a.fits", rows), "RELATION")
    for name in rows.dtype.names:
        assert np.array_equal(table[name], rows[name], equal_nan=name == "GAIN")
        assert table[name].dtype == rows[name].dtype, "native byte order, no mask"
    assert table.meta["EXPOSURE"] == 10.0
    assert list(table.meta["HISTORY"]) == ["first", "second"]
    assert str(table["GAIN"].unit) in ("keV / chan", "keV/chan")


def test_checksums_are_right(tmp_path, rows):
    with fits.open(write(tmp_path / "a.fits", rows, date="2026-01-01")) as hdus:
        assert len(hdus) == 2
        for hdu in hdus:
            assert hdu.verify_checksum() == 1 and hdu.verify_datasum() == 1


def test_same_content_same_bytes_at_another_time(tmp_path, rows):
    first = write(tmp_path / "a.fits", rows).read_bytes()
    time.sleep(1.1)  # astropy's own comment would differ by a second
    assert write(tmp_path / "b.fits", rows).read_bytes() == first


def test_date_only_when_given(tmp_path, rows):
    assert "DATE" not in fits.getheader(write(tmp_path / "a.fits", rows), 1)
    for extension in (0, 1):
        header = fits.getheader(write(tmp_path / "b.fits", rows, "2026-01-01"), extension)
        assert header["DATE"] == "2026-01-01"


def test_text_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "a\r\nσ\n")
    assert (tmp_path / "a.txt").read_bytes() == "a\r\nσ\n".encode()


def test_json_sorts_keys_and_knows_numpy(tmp_path):
    value = {"b": np.float64(np.nan), "a": [np.int64(1), np.array([np.inf, 2.0])], "c": True}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1, [None, 2.0]], "b": None, "c": True}
    assert text.index('"a"') < text.index('"b"') < text.index('"c"')


def test_ecsv_keeps_every_bit(tmp_path):
    gain = np.random.default_rng(1).uniform(size=50)
    write_ecsv(tmp_path / "a.ecsv", Table([np.arange(50), gain], names=("DETNUM", "GAIN")))
    assert np.array_equal(read_table(tmp_path / "a.ecsv", ["DETNUM"])["GAIN"], gain)


def test_what_is_missing_is_named(tmp_path, rows):
    with pytest.raises(InputError, match="no such file"):
        read_columns(tmp_path / "absent.fits", "FIT")
    with pytest.raises(InputError, match="no extension FIT; it has PRIMARY, RELATION"):
        read_columns(write(tmp_path / "a.fits", rows), "FIT")


@pytest.mark.parametrize("damage", ["cut", "bit", "text"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_damaged_file_is_refused(tmp_path, rows, damage):
    path = write(tmp_path / "a.fits", rows)
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-2880] ^= 1
    path.write_bytes({"cut": content[:-2880], "bit": content, "text": b"hello"}[damage])
    with pytest.raises(InputError, match="not a whole FITS file|DATASUM"):
        read_columns(path, "RELATION")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "DETNUM,X\n3,1\n5,2\n"),
        ("a.txt", "DETNUM X\n3 1\n5 2\n"),
        ("a.dat", "DETNUM\n3\n5"),
    ],
)
def test_tables_of_any_kind(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert list(read_table(tmp_path / name, ["DETNUM"])["DETNUM"]) == [3, 5]


def test_a_table_without_the_column(tmp_path):
    (tmp_path / "a.csv").write_text("PIXEL\n3\n")
    with pytest.raises(InputError, match=r"lacks the column\(s\) DETNUM; it has PIXEL"):
        read_table(tmp_path / "a.csv", ["DETNUM"])
