"""A camera in flight with spoilt pixels, calibrated once for all tests of faults."""

import pytest
from helpers.spoilt_camera import N_PIXELS, PLANTED, calibrate


@pytest.fixture(scope="session")
def flight(tmp_path_factory):
    """The camera with `PLANTED`, from its event file to the mission's file; do not change it."""
    kind_of = {pixel: kind for kind, pixels in PLANTED.items() for pixel in pixels}
    return calibrate(tmp_path_factory.mktemp("flight"), 20, N_PIXELS, kind_of)
