"""Checksums, header cards, and the hash of the code behind a script."""

import hashlib

import pytest
from astropy.io import fits

from pixelcal import __version__
from pixelcal.io.provenance import (
    carried_cards,
    configuration_hash,
    file_sha256,
    provenance_cards,
    sampled_sha256,
)
from pixelcal.workflow.library_hash import library_files, library_hash


def test_checksum_of_a_file(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_samples_of_a_large_file(tmp_path):
    path = tmp_path / "data"
    content = bytearray(10_000_000)
    path.write_bytes(content)
    before = sampled_sha256(path)
    path.write_bytes(content)
    assert sampled_sha256(path) == before
    for place in (0, 65_535, len(content) - 1):
        content[place] = 1
        path.write_bytes(content)
        assert sampled_sha256(path) != before
        content[place] = 0
    path.write_bytes(bytes(len(content) + 1))
    assert sampled_sha256(path) != before


@pytest.mark.parametrize("place", [0, 1, 70_000, 4_000_000, 4_194_303])
def test_a_file_of_4_MB_is_read_whole(place, tmp_path):
    path = tmp_path / "data"
    content = bytearray(4_194_304)
    path.write_bytes(content)
    before = sampled_sha256(path)
    content[place] = 1
    path.write_bytes(content)
    assert sampled_sha256(path) != before


def test_order_of_keys_does_not_count():
    assert configuration_hash({"a": 1, "b": {"c": 2, "d": 3}}) == configuration_hash(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert configuration_hash({"a": 1}) != configuration_hash({"a": 2})


def test_cards_go_into_a_header_and_are_carried_on(tmp_path):
    paths = [tmp_path / name for name in ("first.fits", "sécond.fits")]
    for path in paths:
        path.write_text(path.name)
    table = tmp_path / "lines.csv"
    table.write_text("lines")
    header = fits.Header()
    header.extend(provenance_cards("a_rule", inputs=paths, line_table=table, settings={"seed": 1}))
    assert header["SOFTVERS"] == __version__
    assert header["CREATOR"] == "pixelcal a_rule"
    assert header["CONFHASH"] == configuration_hash({"seed": 1})
    assert header["LINETAB"] == "lines.csv"
    assert header["LINESHA"] == file_sha256(table)
    assert header["NINFILE"] == 2
    assert header["INFIL001"] == "first.fits"
    assert header["INSHA002"] == file_sha256(paths[1])
    assert header["INFIL002"] == "s\\xe9cond.fits"
    assert str(tmp_path) not in header.tostring()
    carried = carried_cards(header)
    assert [card[0] for card in carried] == [
        "NINFILE",
        "INFIL001",
        "INSHA001",
        "INFIL002",
        "INSHA002",
    ]


@pytest.fixture
def library(tmp_path):
    """A small library and a script; a function writes one of its files and gives the new hash."""
    package = tmp_path / "pixelcal"
    (package / "deep").mkdir(parents=True)
    script = tmp_path / "script.py"

    def write(name, text):
        (tmp_path / name).write_text(text)
        return library_hash(script, tmp_path)

    script.write_text("from pixelcal.a import f\n")
    write("pixelcal/__init__.py", '"""Package."""\n')
    write("pixelcal/a.py", "def f():\n    from pixelcal.deep import b\n    return b.C\n")
    write("pixelcal/deep/__init__.py", "")
    write("pixelcal/deep/b.py", "from ..c import C\n")
    write("pixelcal/c.py", "C = 1\n")
    write("pixelcal/unused.py", "U = 1\n")
    return write


def test_files_behind_a_script(library, tmp_path):
    library("pixelcal/c.py", "C = 1\n")
    found = [
        p.relative_to(tmp_path).as_posix() for p in library_files(tmp_path / "script.py", tmp_path)
    ]
    assert found == [
        "pixelcal/__init__.py",
        "pixelcal/a.py",
        "pixelcal/c.py",
        "pixelcal/deep/__init__.py",
        "pixelcal/deep/b.py",
    ]


def test_code_counts_and_comments_do_not(library):
    before = library("pixelcal/c.py", "C = 1\n")
    assert library("pixelcal/c.py", '"""Text."""\n\n# comment\nC = (1)\n"""Of C."""\n') == before
    assert library("pixelcal/unused.py", "U = 2\n") == before
    assert library("pixelcal/c.py", "C = 2\n") != before


def test_the_script_counts_as_its_library_does(library):
    before = library("script.py", "from pixelcal.a import f\n")
    assert library("script.py", '"""Rule."""\n\nfrom pixelcal.a import f  # it\n') == before
    assert library("script.py", "from pixelcal.a import f\n\nf()\n") != before


def test_a_function_without_its_docstring_is_the_same(library):
    before = library("pixelcal/c.py", "def C():\n    return 1\n")
    assert library("pixelcal/c.py", 'def C():\n    """Text."""\n    return 1\n') == before
