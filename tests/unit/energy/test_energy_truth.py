"""What is true of an exposure: injected relations, and what displaces energies before them."""

import numpy as np
import pytest
from astropy.table import Table

from pixelcal.energy.relation import energy_error
from pixelcal.energy.truth import Truth, displaced_by_camera, read_truth, truth_table
from pixelcal.errors import InputError
from pixelcal.io.tables import write_ecsv

DETNUM = np.array([3, 5, 8])
GAIN, OFFSET = np.array([0.14, 0.15, 0.16]), np.array([2.9, 3.0, 3.1])
SHIFTS = {"SHIFT_80": np.array([0.05, 0.0, -0.02]), "SHIFT_4": np.array([0.01, 0.02, 0.0])}


def test_an_error_is_that_of_the_energy_of_the_photon():
    """A photon of 80 keV is at the channel of 80.05; read with another relation that is 0.1 off."""
    truth = Truth(
        GAIN, OFFSET, np.array([4.0, 80.0]), np.array([SHIFTS["SHIFT_4"], SHIFTS["SHIFT_80"]])
    )
    channel = (80.0 + SHIFTS["SHIFT_80"] - OFFSET) / GAIN
    expected = GAIN * channel + OFFSET + 0.1 - 80.0
    np.testing.assert_allclose(truth.error(80.0, GAIN, OFFSET + 0.1), expected, atol=1e-12)
    np.testing.assert_allclose(expected, 0.1 + SHIFTS["SHIFT_80"], atol=1e-12)
    several = truth.error(np.array([[4.0], [80.0]]), GAIN, OFFSET + 0.1)
    np.testing.assert_allclose(several[1], expected, atol=1e-12)
    # The relation that gives each channel its energy has no error there.
    gain, offset = GAIN, OFFSET - SHIFTS["SHIFT_80"]
    np.testing.assert_allclose(truth.error(80.0, gain, offset), 0.0, atol=1e-12)


def test_between_the_energies_it_is_linear_and_constant_beyond():
    truth = Truth(GAIN, OFFSET, np.array([4.0, 80.0]), np.array([[0.0, 0.1, 0.2], [0.1, 0.1, 0.0]]))
    np.testing.assert_allclose(truth.at(42.0), [0.05, 0.1, 0.1])
    np.testing.assert_allclose(truth.at(150.0), [0.1, 0.1, 0.0])
    assert truth.at(np.array([[4.0], [50.0]])).shape == (2, 3)


def test_without_displacement_it_is_the_error_of_the_relation():
    found = GAIN * 1.001, OFFSET + 0.02
    for energies in (50.0, np.array([[4.0], [50.0]])):
        np.testing.assert_array_equal(
            Truth(GAIN, OFFSET).error(energies, *found),
            energy_error(energies, *found, GAIN, OFFSET),
        )


@pytest.mark.parametrize("good_time", [[[0.0, 100.0]], [[0.0, 30.0], [60.0, 100.0]]])
def test_a_drift_displaces_by_its_mean_over_the_good_time(good_time):
    """Against the integral: the mean of 1 / f over times evenly in the good time."""
    drift = {"start": 0.0, "stop": 400.0, "first": 0.998, "last": 1.002, "offset_keV": 3.0}
    pixels = Table(
        {"DETNUM": np.arange(10), "SHIFT_80": np.arange(10) / 100.0}, meta={"drift": drift}
    )
    good_time = np.array(good_time)
    found = displaced_by_camera(pixels, DETNUM, good_time)["SHIFT_80"]
    factor = 0.998 + 0.004 * good_time / 400.0
    integral = (np.log(factor[:, 1] / factor[:, 0]) / 1e-5).sum() / np.ptp(good_time, axis=1).sum()
    # The mean of 1 / f is 1 / (mean of f) to the variance of f: less than 1e-6.
    expected = DETNUM / 100.0 + 77.0 * (integral - 1.0)
    np.testing.assert_allclose(found, expected, atol=77.0 * 1e-6)
    assert np.all(found - DETNUM / 100.0 > 0.1)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "truth.ecsv"
    write_ecsv(path, truth_table(DETNUM, (GAIN, OFFSET), SHIFTS))
    truth = read_truth(path, np.array([5, 8]))
    np.testing.assert_array_equal(truth.gain, GAIN[1:])
    np.testing.assert_array_equal(truth.energies_keV, [4.0, 80.0])
    np.testing.assert_array_equal(truth.displaced, [SHIFTS["SHIFT_4"][1:], SHIFTS["SHIFT_80"][1:]])
    write_ecsv(path, truth_table(DETNUM, (GAIN, OFFSET)))
    assert not len(read_truth(path, DETNUM).energies_keV)
    with pytest.raises(InputError, match="lacks the pixel DETNUM 4"):
        read_truth(path, np.array([4]))
    write_ecsv(path, truth_table(DETNUM, None))
    assert read_truth(path, DETNUM) is None
