"""Kinds of pixels: each learns its own response, and few pixels borrow."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from helpers import cameras
from helpers.instruments import EXPECTED, SEARCH

from pixelcal.camera import read_pixel_map
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.kinds import (
    FEWEST_PIXELS,
    fit_by_kind,
    kinds_of,
    kinds_of_pixels,
    learn_by_kind,
    of_kind,
    rows_by_kind,
)
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns
from pixelcal.energy.response.extensions import common_covariances
from pixelcal.energy.response.io import read_response, read_responses, write_responses
from pixelcal.energy.response.model import empty_response
from pixelcal.errors import InputError

N, SECONDS = 60, 60_000.0
SHARP, TAILED = cameras.Detector(fwhm_60=1.3, tail_60=0.05), cameras.Detector(tail_60=0.3)
TABLE = cameras.line_table()


def test_rows_of_each_kind_the_most_frequent_first():
    rows = rows_by_kind(np.array(["b", "a", "c", "b", "a", "b"]))
    assert list(rows) == ["b", "a", "c"]
    assert [part.tolist() for part in rows.values()] == [[0, 3, 5], [1, 4], [2]]


def test_a_table_without_kinds_has_one():
    assert kinds_of(Table({"DETNUM": [1, 2]})).tolist() == ["", ""]
    assert kinds_of(Table({"KIND": np.array([b"ab ", b"c"])})).tolist() == ["ab", "c"]


def write_map(path, kinds):
    head = "DETNUM,X,Y,MODULE,SECTOR,KIND\n"
    path.write_text(head + "".join(f"{n},{n},0,0,0,{kind}\n" for n, kind in enumerate(kinds)))
    return path


def test_the_pixel_map_names_kinds(tmp_path):
    pixel_map = read_pixel_map(write_map(tmp_path / "map.csv", ["large", "small", "large"]))
    assert kinds_of_pixels(np.array([2, 1]), pixel_map).tolist() == ["large", "small"]
    with pytest.raises(InputError, match="KIND"):
        read_pixel_map(write_map(tmp_path / "gap.csv", ["large", ""]))


def test_few_pixels_borrow_and_say_so(caplog):
    kinds = np.array(["a"] * 40 + ["b"] * (FEWEST_PIXELS - 1) + ["c"] * FEWEST_PIXELS)
    counted = replace(empty_response(TABLE, EXPECTED), line_strength=np.ones(TABLE.n_lines))

    def learn(rows):
        assert len(rows) >= FEWEST_PIXELS
        return counted if kinds[rows[0]] == "a" else empty_response(TABLE, EXPECTED)

    responses, borrowed = learn_by_kind(kinds, learn)
    assert borrowed == {"b": "a", "c": "a"} and list(responses) == ["a", "c", "b"]
    assert all(response is counted for response in responses.values())
    assert f"fewer than {FEWEST_PIXELS} pixels" in caplog.text and "too few counts" in caplog.text
    assert of_kind(responses, "unknown") is counted


def test_a_response_file_holds_every_kind(tmp_path):
    one = empty_response(TABLE, EXPECTED)
    responses = {
        "large": replace(one, scale_covariance=np.diag([1e-6, 1e-4])),
        "small": replace(one, shape=replace(EXPECTED, tail_60=0.3), bend=0.1, bend_err=0.01),
    }
    path = tmp_path / "response.fits"
    write_responses(path, responses, TABLE, [], None)
    back = read_responses(path, TABLE)
    assert list(back) == ["large", "small"]
    assert back["small"].shape.tail_60 == 0.3 and back["small"].bend == 0.1
    assert read_response(path, TABLE, "small").shape == back["small"].shape
    assert read_response(path, TABLE, "tiny").shape == back["large"].shape
    assert np.diag(common_covariances(path)["large"]).tolist() == [1e-6, 1e-4, 0.0]


def test_two_kinds_are_fitted_each_with_its_own_response():
    """Pulls of both are 1 wide; of a width of n values the error is 1 / sqrt(2 n)."""
    parts = [cameras.make_camera(N, SECONDS, 30 + k, one) for k, one in enumerate((SHARP, TAILED))]
    order = np.random.default_rng(1).permutation(2 * N)
    counts = np.concatenate([part.counts for part in parts])[order]
    true = [
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("gain_true", "offset_true")
    ]
    kinds = np.repeat(["sharp", "tailed"], N)[order]
    gain, offset = cameras.prior(2 * N)

    def learn(rows):
        data = counts[rows], gain[rows], offset[rows]
        return learn_camera(*data, TABLE, 200, expected=EXPECTED, search=SEARCH)

    def fit(kind, rows):
        data = counts[rows], rows, gain[rows], offset[rows]
        return fit_pixels(*data, TABLE, of_kind(responses, kind), cameras.OPTIONS)

    responses, borrowed = learn_by_kind(kinds, learn)
    fits = fit_by_kind(kinds, fit)
    assert not borrowed and fits["DETNUM"].tolist() == list(range(2 * N))
    assert responses["tailed"].shape.tail_60 > 2 * responses["sharp"].shape.tail_60
    for kind in ("sharp", "tailed"):
        chosen = kinds == kind
        assert (fits["STATUS"][chosen] == 0).sum() >= N - 3
        for energy in (15.0, 80.0):
            columns = relation_columns(fits[chosen])
            error = energy_error(energy, *columns[:2], *(values[chosen] for values in true))
            pull = error / energy_sigma(energy, *columns)
            assert pull.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * N))
