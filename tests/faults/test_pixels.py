"""Pixels that are not as the model has them: noise, steps, two gains, a gain far off.

One row for each situation, after the faults E3, E4 and E12. A value with STATUS 0 must be within
its error, and what is wrong with a pixel must be said.
"""

import numpy as np
import pytest
from helpers import cameras
from helpers.faults import bump, merge
from helpers.spoilt_camera import PLANTED, RELATION, calibrate

from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.io import read_response

CHANGES, WIDTH = 128, 256
"""Bits of STATUS."""
NO_VALUE = 1 | 2 | 4
N_PIXELS, N_SPOILT = 32, 4
STEP = "4 % from half-way on"
MOST_PULL, MOST_KEV = 5.0, 0.3
"""Beyond this many of its errors, and so far off, a value is wrong: one camera of a hundred pixels
in a thousand has one by chance."""


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


def pulls_of(fits, gain, offset, energies=(4.0, 15.0, 50.0, 80.0, 150.0)):
    """Largest error over what is quoted (n,), at any of the energies; 0 without a value.

    Errors below `MOST_KEV` count as 0.
    """
    columns = relation_columns(fits)
    errors = [energy_error(energy, *columns[:2], gain, offset) for energy in energies]
    sigmas = [energy_sigma(energy, *columns) for energy in energies]
    pulls = np.where(np.abs(errors) > MOST_KEV, np.abs(errors) / np.array(sigmas), 0.0)
    return np.nan_to_num(pulls.max(axis=0))


# --- E4, E3, E12 in a camera that is otherwise in order -------------------------------------------


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        pytest.param("4 % from half-way on", CHANGES, id="a step half-way"),
        pytest.param("two gains, 8 % apart", WIDTH, id="two gains, 8 % apart"),
    ],
)
def test_a_pixel_that_changes_says_so(kind, bits, flight):
    pixels = list(PLANTED[kind])
    status = flight.relation["STATUS"][pixels]
    assert ((status & bits) > 0).all(), f"STATUS {status}"


@pytest.mark.parametrize(
    "kind",
    [
        row("4 % in the middle third", id="a change that goes back"),
        row("4 % in the last fifth", id="a change at the end"),
        row("4 % growing all the time", id="a drift"),
        row("two gains, 4 % apart", id="two gains, 4 % apart"),
    ],
)
def test_a_pixel_that_changes_a_little_says_so_or_is_within_its_error(kind, flight):
    pixels = list(PLANTED[kind])
    rows = flight.relation[pixels]
    pulls = pulls_of(rows, flight.gain[pixels], flight.offset[pixels])
    assert (pulls[rows["STATUS"] == 0] < MOST_PULL).all(), pulls


@pytest.mark.parametrize(
    "kind",
    [
        row("noise at 6.9 keV", id="6.9 keV"),
        row("noise at 9.2 keV", id="9.2 keV"),
    ],
)
def test_a_noisy_pixel_is_within_its_error_and_says_so(kind, flight):
    rows = flight.relation[list(PLANTED[kind])]
    pulls = pulls_of(rows, *(known[list(PLANTED[kind])] for known in (flight.gain, flight.offset)))
    silent = rows["STATUS"] == 0
    assert (pulls[silent] < MOST_PULL).all(), pulls
    assert ((rows["STATUS"] != 0) | (rows["BLOCKS_OUT"] != 0)).any()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("gain 12 % off", id="12 %"),
        row("gain 25 % off", id="25 %"),
        pytest.param("gain 40 % off", id="40 %"),
    ],
)
def test_a_pixel_far_off_is_found_or_not_published(kind, flight):
    pixels = list(PLANTED[kind])
    status, updated = flight.relation["STATUS"][pixels], flight.updated[pixels]
    wrong = flight.pulls(pixels) > MOST_PULL
    assert not (wrong & (status == 0)).any()
    assert not updated[wrong | (status != 0)].any(), f"STATUS {status} and in the mission's file"


def test_healthy_pixels_are_as_ever(flight):
    """Of 107: nothing is said of them but by chance, and their errors are right."""
    status = flight.relation["STATUS"][flight.healthy]
    assert np.mean(status == 0) > 0.97
    assert ((status & (CHANGES | WIDTH)) > 0).sum() <= 2
    assert (flight.pulls(flight.healthy) > MOST_PULL).sum() == 0


def test_a_camera_whose_pixels_all_change_says_so(tmp_path):
    """All by 4 % half-way: none of them is out of the population, and no value is right."""
    made = calibrate(tmp_path, 21, N_PIXELS, dict.fromkeys(range(N_PIXELS), STEP))
    valid = (made.relation["STATUS"] & NO_VALUE) == 0
    assert np.mean((made.relation["STATUS"][valid] & CHANGES) > 0) > 0.9


# --- E3: how strong, and where --------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy():
    return cameras.make_camera(N_PIXELS, 3000, seed=30, resolutions=(1.0,))


@pytest.fixture(scope="module")
def response(flight):
    """The response that was learnt from the camera in flight, as `fit.response` would give it."""
    path = (flight.folder / RELATION).with_name("response.fits")
    return read_response(path, cameras.line_table())


def fitted(counts, response, prior=None):
    """Fits of all pixels from a relation known before."""
    known = cameras.prior(len(counts)) if prior is None else prior
    data = counts, np.arange(len(counts)), *known, cameras.line_table(), response
    first_half = np.random.default_rng(31).binomial(counts, 0.5)
    return fit_pixels(*data, cameras.OPTIONS, first_half)


@pytest.mark.parametrize(
    ("centre", "counts"),
    [
        row(6.9, 120, id="6.9 keV, 120 counts"),
        row(6.9, 200, id="6.9 keV, 200 counts"),
        row(6.9, 1000, id="6.9 keV, 1000 counts"),
        row(9.2, 120, id="9.2 keV, 120 counts"),
        row(9.2, 200, id="9.2 keV, 200 counts"),
        row(9.2, 1000, id="9.2 keV, 1000 counts"),
        row(25.0, 200, id="25 keV, between cadmium and tellurium"),
        row(62.0, 200, id="62 keV, between tantalum and tungsten"),
        row(71.0, 200, id="71 keV, under lead"),
        row(4.5, 1000, id="4.5 keV, below all lines"),
        row(8.05, 200, id="8.05 keV, on copper"),
        row(40.0, 200, id="40 keV, in no block"),
    ],
)
def test_noise_at_any_energy(centre, counts, healthy, response):
    """The values with STATUS 0 are within their errors, and other pixels are as ever."""
    rng, noise = np.random.default_rng(31), bump(centre, counts)
    spoilt = healthy.counts.copy()
    for n in range(N_SPOILT):
        spoilt[n] += rng.poisson(noise(healthy.gain_true[n], healthy.offset_true[n]))
    fits = fitted(spoilt.astype(np.int32), response)
    pulls = pulls_of(fits, healthy.gain_true, healthy.offset_true)
    silent = fits["STATUS"] == 0
    assert (pulls[silent] < MOST_PULL).all(), np.round(pulls[:N_SPOILT], 1)
    assert np.mean(fits["STATUS"][N_SPOILT:] == 0) > 0.95


# --- E12: the whole camera off --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "shift"),
    [
        row(1.00, 0.0, id="0 %"),
        row(1.03, 0.0, id="3 %"),
        row(1.00, 2.0, id="2 keV"),
        row(1.065, 0.0, id="6.5 %"),
        row(0.90, 0.0, id="-10 %"),
        row(1.10, 0.0, id="10 %"),
        row(1.20, 0.0, id="20 %"),
        row(0.80, 0.0, id="-20 %"),
        row(1.40, 0.0, id="40 %"),
        row(1.00, 4.0, id="4 keV"),
    ],
)
def test_no_value_of_a_camera_far_off_is_wrong_with_status_0(factor, shift, healthy, response):
    gain, offset = cameras.prior(N_PIXELS)
    fits = fitted(healthy.counts, response, (gain / factor, offset + shift))
    check_honest(fits, healthy)


def check_honest(fits, camera):
    """With STATUS 0 no value is wrong."""
    silent = fits["STATUS"] == 0
    wrong = silent & (pulls_of(fits, camera.gain_true, camera.offset_true) > MOST_PULL)
    assert not wrong.any(), f"{wrong.sum()} of {silent.sum()} with STATUS 0"


def test_nor_where_the_response_is_learnt_from_them(tmp_path):
    made = calibrate(tmp_path, 22, N_PIXELS, dict.fromkeys(range(N_PIXELS), "gain 25 % off"))
    wrong = made.pulls(range(N_PIXELS)) > MOST_PULL
    silent = made.relation["STATUS"] == 0
    assert not (wrong & silent).any(), f"{(wrong & silent).sum()} with STATUS 0"
    assert not made.updated[wrong].any(), f"{made.updated[wrong].sum()} in the mission's file"


@pytest.mark.parametrize(
    ("bits", "published"),
    [
        row(0, True, id="0"),
        row(8, False, id="at a limit"),
        row(16, False, id="a line group missing"),
        row(8 | 16, False, id="both"),
        row(128, False, id="changes within the exposure"),
        row(256, False, id="width"),
        row(32 | 16, False, id="poor and a line group missing"),
    ],
)
def test_doubtful_values_do_not_replace_what_is_published(bits, published, tmp_path):
    def doubt(rows):
        rows["STATUS"][7] |= bits

    made = merge(tmp_path, doubt)
    assert not made.failed, made.said
    assert made.updated[7] == published
    assert (made.mission["GAIN"][7] == np.float32(0.145)) != published
