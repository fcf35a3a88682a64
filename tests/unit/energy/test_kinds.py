"""Kinds of pixels: who learns from whom, and that two kinds with two responses are both right."""

import logging
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.camera import read_pixel_map
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.kinds import (
    FEWEST_PIXELS,
    fit_by_kind,
    kind_of_row,
    kinds_of,
    kinds_of_pixels,
    learn_by_kind,
    of_kind,
    rows_by_kind,
)
from pixelcal.energy.own_deviation import no_deviation
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.energy_scale import common_covariance, line_ends
from pixelcal.energy.response.extensions import systematics_by_kind
from pixelcal.energy.response.io import (
    read_response,
    read_responses,
    write_responses,
)
from pixelcal.energy.response.model import empty_response
from pixelcal.energy.simulation.detector import Detector
from pixelcal.errors import InputError

# --- rows and kinds -------------------------------------------------------------------------------

CASES = [
    (["b", "a", "b", "b", "a"], {"b": [0, 2, 3], "a": [1, 4]}, "the most frequent first"),
    (["b", "a", "a", "b"], {"a": [1, 2], "b": [0, 3]}, "then by name"),
    (["", "", ""], {"": [0, 1, 2]}, "one kind"),
    (["large"], {"large": [0]}, "one pixel"),
]


@pytest.mark.parametrize(
    ("kinds", "expected"), [pytest.param(kinds, rows, id=id) for kinds, rows, id in CASES]
)
def test_rows_of_each_kind(kinds, expected):
    rows = rows_by_kind(np.array(kinds))
    assert list(rows) == list(expected)
    assert {kind: list(chosen) for kind, chosen in rows.items()} == expected


def test_kinds_of_a_table_and_of_one_without():
    plain = Table({"DETNUM": [0, 1]})
    assert list(kinds_of(plain)) == ["", ""] and kind_of_row(plain[0]) == ""
    table = Table({"DETNUM": [0, 1], "KIND": ["small ", "large"]})
    for one in (table, np.array(table), Table({"KIND": np.array([b"small ", b"large"])})):
        assert list(kinds_of(one)) == ["small", "large"] and kind_of_row(one[0]) == "small"


def test_kinds_of_pixels_are_those_of_the_map():
    pixel_map = Table({"DETNUM": [0, 1, 5, 9], "KIND": ["a", "b", "a", "c"]})
    assert list(kinds_of_pixels(np.array([9, 0, 1]), pixel_map)) == ["c", "a", "b"]
    assert kinds_of_pixels(np.array([9]), pixel_map["DETNUM",]) is None
    with pytest.raises(InputError, match="lacks the pixel DETNUM 2"):
        kinds_of_pixels(np.array([2]), pixel_map)


def test_the_pixel_map_names_kinds(tmp_path):
    path, head = tmp_path / "map.csv", "DETNUM,X,Y,MODULE,SECTOR,KIND\n"
    path.write_text(head + "0,0,0,0,0,large\n1,1,0,0,0,small\n2,2,0,0,0,large\n")
    assert list(kinds_of_pixels(np.array([2, 1]), read_pixel_map(path))) == ["large", "small"]
    path.write_text(head + "0,0,0,0,0,large\n1,1,0,0,0,\n")
    with pytest.raises(InputError, match="KIND"):
        read_pixel_map(path)


# --- learning and fitting -------------------------------------------------------------------------


class Learnt:
    """What a response is to `learn_by_kind`."""

    def __init__(self, rows, strength=1.0):
        self.rows, self.line_strength = list(rows), np.array([0.0, strength])


def kinds_of_numbers(**numbers):
    """So many pixels of each kind."""
    return np.repeat(list(numbers), list(numbers.values()))


def test_each_kind_learns_from_its_pixels_alone(caplog):
    kinds = np.random.default_rng(1).permutation(kinds_of_numbers(large=40, small=FEWEST_PIXELS))
    learnt, borrowed = learn_by_kind(kinds, Learnt)
    assert list(learnt) == ["large", "small"] and not borrowed and not caplog.text
    for kind, response in learnt.items():
        assert response.rows == list(np.flatnonzero(kinds == kind))


def test_a_kind_of_few_pixels_borrows_and_says_so(caplog):
    kinds = kinds_of_numbers(small=FEWEST_PIXELS - 1, large=40)
    with caplog.at_level(logging.WARNING, "pixelcal"):
        learnt, borrowed = learn_by_kind(kinds, Learnt)
    assert borrowed == {"small": "large"} and learnt["small"] is learnt["large"]
    assert "kind of pixel small: fewer than 16 pixels; its 15 pixels are fitted" in caplog.text


def test_a_kind_of_few_counts_borrows_and_says_so(caplog):
    kinds = kinds_of_numbers(large=40, small=30)
    with caplog.at_level(logging.WARNING, "pixelcal"):
        learnt, borrowed = learn_by_kind(kinds, lambda rows: Learnt(rows, float(rows[0] < 40)))
    assert borrowed == {"small": "large"} and learnt["small"].rows == list(range(40))
    assert "too few counts to learn from; its 30 pixels" in caplog.text


def test_the_most_frequent_kind_never_borrows():
    """Not even in a camera of few pixels."""
    learnt, borrowed = learn_by_kind(kinds_of_numbers(a=3, b=2), Learnt)
    assert list(learnt) == ["a", "b"] and borrowed == {"b": "a"}


def test_a_kind_that_was_not_there_takes_the_most_frequent():
    learnt = {"large": 1, "small": 2}
    assert [of_kind(learnt, kind) for kind in ("small", "large", "tiny", "")] == [2, 1, 1, 1]


def test_fits_of_kinds_go_back_to_their_rows():
    kinds = np.random.default_rng(2).permutation(kinds_of_numbers(large=7, small=4))

    def fit(kind, rows):
        return np.array([(row, kind) for row in rows], [("ROW", int), ("KIND", "U5")])

    fitted = fit_by_kind(kinds, fit)
    np.testing.assert_array_equal(fitted["ROW"], np.arange(11))
    np.testing.assert_array_equal(fitted["KIND"], kinds)


# --- the file -------------------------------------------------------------------------------------


@pytest.fixture
def two_in_a_file(tmp_path):
    """A response file of two kinds, and what was written."""
    table = cameras.line_table()
    responses = {}
    for kind, tail, variance in (("large", 0.1, 1e-6), ("small", 0.3, 4e-6)):
        response = empty_response(table, replace(EXPECTED, tail_60=tail))
        responses[kind] = replace(
            response,
            line_strength=np.linspace(tail, 1.0, table.n_lines),
            scale_covariance=np.diag([variance, 2 * variance]),
            own_deviation=no_deviation(
                np.full((table.n_blocks, 2), tail), np.arange(table.n_blocks), line_ends(table)
            )._replace(walk=np.full(table.n_blocks, tail), bend=np.array(0.5 * tail)),
            dof=int(100 * tail),
            bend=tail,
            bend_err=0.01,
        )
    path = tmp_path / "response.fits"
    write_responses(path, responses, table, [("EXPNAME", "x", "")], None)
    return path, responses


def test_several_kinds_come_back_from_a_file(two_in_a_file):
    path, responses = two_in_a_file
    again = read_responses(path, cameras.line_table())
    assert list(again) == list(responses)
    for kind, response in responses.items():
        assert again[kind].shape == response.shape and again[kind].dof == response.dof
        assert again[kind].bend == response.bend and again[kind].bend_err == 0.01
        np.testing.assert_array_equal(again[kind].line_strength, response.line_strength)
        np.testing.assert_array_equal(again[kind].continuum, response.continuum)
        np.testing.assert_array_equal(again[kind].population_scale, response.population_scale)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus[1:]]
        assert [hdu.header.get("KIND") for hdu in hdus[1:]][::3] == ["large", "small"]
    assert names == ["LINES", "CONTINUUM", "SPREAD", "LINES_2", "CONTINUUM_2", "SPREAD_2"]


def test_one_kind_is_read_alone(two_in_a_file):
    path, responses = two_in_a_file
    for kind, same in (("large", "large"), ("small", "small"), ("tiny", "large"), ("", "large")):
        response = read_response(path, cameras.line_table(), kind)
        assert response.shape == responses[same].shape, kind


def test_systematic_errors_are_those_of_each_kind(two_in_a_file):
    """What pixels have in common, and what each has by itself, which an older file does not say."""
    path, responses = two_in_a_file
    found = systematics_by_kind(path)
    assert list(found) == ["large", "small"]
    for number, kind in enumerate(found):
        header = fits.getheader(path, ("LINES", "LINES_2")[number])
        (common, _, deviation), known = found[kind], common_covariance(header)
        np.testing.assert_allclose(common, np.pad(known, (0, 1)))
        written = responses[kind].own_deviation
        for values, same in zip(deviation, written, strict=True):
            np.testing.assert_array_equal(values, same)
        assert deviation.sigma(50.0) == written.sigma(50.0) > 0.0
    np.testing.assert_allclose(4 * found["large"][0], found["small"][0])


def test_what_nobody_looked_for_is_no_own_error(tmp_path):
    response = empty_response(cameras.line_table(), EXPECTED)
    write_responses(tmp_path / "r.fits", {"": response}, cameras.line_table(), [], None)
    _, low, deviation = systematics_by_kind(tmp_path / "r.fits")[""]
    assert low == 0.0
    assert deviation.sigma(50.0) == 0.0 and deviation.sigma(150.0) == 0.0


# --- two kinds with two tails ---------------------------------------------------------------------

SECONDS = 20_000.0
LARGE, SMALL = 128, 96
DETECTORS = {
    "large": (LARGE, Detector(tail_60=0.08, tail_scale=0.03)),
    "small": (SMALL, Detector(tail_60=0.4, tail_scale=0.06, fwhm_0=0.9, fwhm_60=1.3)),
}


@lru_cache
def camera():
    """Kinds (n,), counts, and true gain and offset of pixels of both kinds, mixed."""
    made = [cameras.make_camera(n, SECONDS, 30 + n, detector) for n, detector in DETECTORS.values()]
    order = np.random.default_rng(3).permutation(LARGE + SMALL)
    whole = [
        np.concatenate([getattr(one, name) for one in made])[order]
        for name in ("counts", "gain_true", "offset_true")
    ]
    return kinds_of_numbers(large=LARGE, small=SMALL)[order], *whole


def calibrate(kinds):
    """Responses and fits of the camera, learnt and fitted by these kinds (n,)."""
    _, counts, _, _ = camera()
    gain, offset = cameras.prior(len(counts))
    table = cameras.line_table()

    def learn(rows):
        data = counts[rows], gain[rows], offset[rows], table, cameras.MIN_COUNTS
        return learn_camera(*data, expected=EXPECTED, search=SEARCH)

    learnt, borrowed = learn_by_kind(kinds, learn)
    assert not borrowed

    def fit(kind, rows):
        data = counts[rows], rows, gain[rows], offset[rows]
        return fit_pixels(*data, table, of_kind(learnt, kind), cameras.OPTIONS)

    return learnt, fit_by_kind(kinds, fit)


@lru_cache
def by_kind():
    return calibrate(camera()[0])


@lru_cache
def as_one():
    return calibrate(np.full(LARGE + SMALL, ""))


def pulls(rows, energy_keV, kind):
    """Error of the energy over its standard deviation, of the pixels of a kind."""
    kinds, _, gain_true, offset_true = camera()
    chosen = kinds == kind
    relation = relation_columns(rows[chosen])
    error = energy_error(energy_keV, *relation[:2], gain_true[chosen], offset_true[chosen])
    return error / energy_sigma(energy_keV, *relation)


@pytest.mark.parametrize("kind", list(DETECTORS))
def test_pixels_of_each_kind_are_in_order(kind):
    kinds, (n, _) = camera()[0], DETECTORS[kind]
    rows = by_kind()[1]
    assert list(rows["DETNUM"]) == list(range(len(kinds)))
    assert np.sum(rows["STATUS"][kinds == kind] == 0) >= n - 3


@pytest.mark.parametrize("energy_keV", [8.0, 25.0, 60.0, 80.0])
@pytest.mark.parametrize("kind", list(DETECTORS))
def test_pulls_of_each_kind_are_one_wide(kind, energy_keV):
    """Within four standard deviations; the response that a kind has in common adds to the mean."""
    n, pull = DETECTORS[kind][0], pulls(by_kind()[1], energy_keV, kind)
    assert np.isfinite(pull).all()
    assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * n)
    assert abs(pull.mean()) < 4 * np.sqrt(2 / n)


def test_each_kind_learns_its_own_shape():
    """The fraction in the tail is known to some 20 %: a weak tail is like continuum."""
    shapes = {kind: response.shape for kind, response in by_kind()[0].items()}
    for kind, (_, truth) in DETECTORS.items():
        assert shapes[kind].fwhm_60 == pytest.approx(truth.fwhm_60, abs=0.05)
        assert shapes[kind].tail_60 == pytest.approx(truth.tail_60, rel=0.3)
    assert shapes["small"].tail_60 > 2 * shapes["large"].tail_60


def test_one_response_for_both_is_biased():
    """What kinds are for: the same pixels fitted as one kind.

    The tail of each pixel takes up how strong its tail is, which differs by more than two; not how
    long it is, nor how wide its lines are. That moves the two kinds to either side of where they
    are by their own responses: by more than three standard errors, of the same counts fitted twice.
    """
    kinds, tail = camera()[0], as_one()[1]["TAIL"]
    assert np.median(tail[kinds == "small"]) > 2 * np.median(tail[kinds == "large"])
    for energy_keV in (15.0, 30.0):
        moved = {
            kind: pulls(as_one()[1], energy_keV, kind) - pulls(by_kind()[1], energy_keV, kind)
            for kind in DETECTORS
        }
        error = {kind: values.std() / np.sqrt(len(values)) for kind, values in moved.items()}
        assert moved["large"].mean() > 3 * error["large"]
        assert moved["small"].mean() < -3 * error["small"]
