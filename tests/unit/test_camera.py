"""The pixel map and images."""

import numpy as np
import pytest
from helpers.paths import PIXEL_MAP

from pixelcal.camera import module_borders, read_pixel_map, rows_of, to_image
from pixelcal.errors import InputError


@pytest.fixture(scope="module")
def pixel_map():
    return read_pixel_map(PIXEL_MAP)


def test_places_follow_the_mission(pixel_map):
    idet, jdet = np.divmod(np.arange(6400), 80)
    assert np.array_equal(pixel_map["DETNUM"], np.arange(6400))
    assert np.array_equal(pixel_map["X"], 79 - jdet)
    assert np.array_equal(pixel_map["Y"], idet)


def test_modules_and_sectors_are_whole_blocks(pixel_map):
    for name, n_groups, shape in (("MODULE", 200, (4, 8)), ("SECTOR", 8, (20, 40))):
        assert set(pixel_map[name]) == set(range(n_groups))
        for group in range(n_groups):
            area = pixel_map[pixel_map[name] == group]
            height, width = np.ptp(area["Y"]) + 1, np.ptp(area["X"]) + 1
            assert (height, width) == shape and len(area) == height * width
    # A module belongs to one sector, a sector has 25 of them.
    pairs = np.unique(np.stack([pixel_map["MODULE"], pixel_map["SECTOR"]]), axis=1)
    assert pairs.shape[1] == 200 and np.all(np.bincount(pairs[1]) == 25)


def test_image_puts_values_in_their_place(pixel_map):
    image = to_image(
        pixel_map["DETNUM"][:100], pixel_map["X"][:100], pixel_map["Y"][:100], (80, 80)
    )
    assert image.shape == (80, 80)
    assert image[0, 79] == 0 and image[0, 0] == 79 and image[1, 79] == 80
    assert np.isnan(image).sum() == 6300


def test_borders_are_the_lines_of_the_grid(pixel_map):
    x, y = module_borders(pixel_map)
    upright = x[0] == x[1]
    # 9 inner lines of 80 pixels across X, 19 across Y.
    assert upright.sum() == 9 * 80 and (~upright).sum() == 19 * 80
    assert set(x[0][upright]) == set(np.arange(1, 10) * 8 - 0.5)
    assert set(y[0][~upright]) == set(np.arange(1, 20) * 4 - 0.5)
    assert np.all(np.hypot(x[1] - x[0], y[1] - y[0]) == 1)


def test_rows_of_pixels(pixel_map):
    part = pixel_map[10:20]
    assert list(rows_of(np.array([12, 10]), part)) == [2, 0]
    for absent in (9, 20):
        with pytest.raises(InputError, match=f"lacks the pixel DETNUM {absent}"):
            rows_of(np.array([12, absent]), part)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DETNUM,X,Y\n0,0,0\n", "MODULE, SECTOR"),
        ("DETNUM,X,Y,MODULE,SECTOR\n0,0,a,0,0\n", "whole number"),
        ("DETNUM,X,Y,MODULE,SECTOR\n0,0\n", "whole number"),
        ("DETNUM,X,Y,MODULE,SECTOR\n", "must have rows"),
        ("DETNUM,X,Y,MODULE,SECTOR\n0,0,0,0,0\n0,1,0,0,0\n", "two rows"),
        ("DETNUM,X,Y,MODULE,SECTOR\n0,0,0,0,0\n1,0,0,0,0\n", "same X and Y"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path, text, reason):
    (tmp_path / "map.csv").write_text("# a comment\n" + text)
    with pytest.raises(InputError, match=reason):
        read_pixel_map(tmp_path / "map.csv")
