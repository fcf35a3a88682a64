"""Choosing pixels and cutting them into chunks."""

import pytest

from pixelcal.errors import InputError
from pixelcal.io.chunks import chunk_names, chunk_slice, parse_pixels


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("all", range(100)),
        ("0-3,9", (0, 1, 2, 3, 9)),
        ("9, 0-3", (0, 1, 2, 3, 9)),
        ("5-5", (5,)),
        (7, (7,)),
        ([3, 1, 3], (1, 3)),
        (["0-2", 99], (0, 1, 2, 99)),
    ],
)
def test_choices(spec, expected):
    assert parse_pixels(spec, 100) == tuple(expected)


@pytest.mark.parametrize("spec", ["", "a", "1-", "-1", "3-1", "100", "0-100", [1.5], [], True, {}])
def test_what_is_no_choice_is_said_in_one_line(spec):
    with pytest.raises(InputError, match=r"^pixels: .+$") as caught:
        parse_pixels(spec, 100)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_pixels", [1, 31, 32, 33, 64, 6400])
@pytest.mark.parametrize("chunk_pixels", [1, 7, 32, 800, 10000])
def test_chunks_cover_every_pixel_once(n_pixels, chunk_pixels):
    names = chunk_names(n_pixels, chunk_pixels)
    rows = list(range(n_pixels))
    pieces = [rows[chunk_slice(name, chunk_pixels)] for name in names]
    assert sum(pieces, []) == rows
    assert all(pieces)
    assert names == tuple(sorted(names))
    assert all(len(name) == 4 for name in names)
