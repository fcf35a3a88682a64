"""MeDDEA's photon lists, a real layout: every photon at its pixel and channel."""

import numpy as np
import pytest
from astropy.io import fits
from helpers.paths import PROJECT
from helpers.real_files import MEDDEA, real_file

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.binning import bin_events
from pixelcal.energy.events.good_times import good_time_of
from pixelcal.energy.events.reader import detnum_of_positions, open_event_files
from pixelcal.io.instruments import load_instrument

CAMERA = load_instrument("meddea")
ALL = np.arange(CAMERA.n_pixels)
TEN = {
    MEDDEA[0]: [(25, 2272), (28, 347), (19, 2417), (2, 1224), (41, 460), (15, 495), (10, 1365),
                (43, 468), (36, 1256), (13, 2113)],
    MEDDEA[1]: [(43, 321), (38, 511), (24, 2429), (39, 316), (39, 312), (43, 324), (40, 302),
                (38, 396), (39, 303), (43, 336)],
}  # fmt: skip
"""DETNUM = 12 x asic + pixel and atod of the ten photons of each file, read by eye."""


def binned(*names):
    """Spectra of the photons of real files."""
    paths = [real_file(name) for name in names]
    files = open_event_files(paths, CAMERA.layout, {}, "all", instrument=CAMERA)
    pixel_map = read_pixel_map(PROJECT / CAMERA.pixel_map)
    return bin_events(
        files,
        ALL,
        np.ones(len(ALL)),
        np.zeros(len(ALL)),
        good_time_of(files, None, []),
        multiplicity="all",
        seed=1,
        detnum_of_position=detnum_of_positions(pixel_map, CAMERA),
        instrument=CAMERA,
    )


@pytest.mark.parametrize("name", MEDDEA)
def test_ten_photons_are_counted_where_they_are(name):
    spectra = binned(name)
    expected = np.zeros((48, 4096), int)
    for detnum, channel in TEN[name]:
        expected[detnum, channel] += 1
    np.testing.assert_array_equal(spectra.counts, expected)
    assert spectra.n_read == 10 and spectra.counts.sum() == 10


@pytest.mark.parametrize("name", MEDDEA)
def test_the_ten_are_those_of_the_file(name):
    rows = fits.getdata(real_file(name), "SCI")
    photons = zip(12 * rows["asic"].astype(int) + rows["pixel"], rows["atod"], strict=True)
    assert [(int(detnum), int(channel)) for detnum, channel in photons] == TEN[name]


def test_both_lists_together():
    spectra = binned(*MEDDEA)
    assert spectra.counts.sum() == spectra.n_read == 20
