"""Lines that the table lacks, included in it: what was put in, and nothing else."""

import numpy as np
import pytest
from helpers.cameras import MIN_COUNTS, OPTIONS, line_table, prior
from helpers.instruments import EXPECTED, SEARCH
from helpers.paths import PROJECT

from pixelcal.energy.catalogue import read_catalogue
from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.lines import line_table_text, read_line_table
from pixelcal.energy.response.energy_scale import systematic_sigma
from pixelcal.energy.results.found_lines import by_unlisted_lines, include_lines, with_series
from pixelcal.energy.simulation.imperfections import combine
from pixelcal.energy.simulation.real_camera import make_real_camera

CATALOGUE = read_catalogue(PROJECT / "resources" / "lines" / "materials.csv")
N_PIXELS = 256


def spectra_of(preset):
    """A camera, and how a response is learnt from some of its pixels."""
    camera, known = make_real_camera(N_PIXELS, 20_000, 3, combine(preset)), prior(N_PIXELS)

    def learn(table, rows, **asked):
        data = camera.counts[rows], known[0][rows], known[1][rows], table, MIN_COUNTS
        asked = {"agreement": False} | asked
        return learn_camera(*data, expected=EXPECTED, search=SEARCH, **asked)

    return camera, known, learn


def included(preset):
    """The table with what the spectra ask for; the mean error at 80 keV with it, and without."""
    camera, known, learn = spectra_of(preset)
    table = include_lines(learn, camera.counts, *known, line_table(), CATALOGUE, OPTIONS, EXPECTED)
    errors = []
    for with_table in (table, line_table()):
        rows = np.arange(N_PIXELS)
        response = learn(with_table, rows)
        fits = fit_pixels(camera.counts, rows, *known, with_table, response, OPTIONS)
        good = fits["STATUS"] == 0
        error = camera.energy_error(np.array([80.0]), fits["GAIN"], fits["OFFSET"])[0]
        errors.append(error[good].mean())
    return table, errors


def test_bismuth_is_found_and_the_energies_are_mended():
    table, (with_it, without) = included("bi30")
    assert set(table.element) == {*line_table().element, "Bi"}
    assert abs(with_it) < 0.5 * abs(without)


def test_nothing_is_included_where_nothing_is_missing():
    camera, known, learn = spectra_of("ideal")
    table = include_lines(learn, camera.counts, *known, line_table(), CATALOGUE, OPTIONS, EXPECTED)
    assert table is line_table() or table.element == line_table().element


@pytest.mark.parametrize("preset", ["bi30", "ideal"])
def test_what_lines_do_that_are_not_in_the_table_is_in_the_systematic_uncertainty(preset):
    """Bismuth at 30 % of lead moves energies by some 30 eV at 80 keV, which was 1.4 times what was
    quoted. Without unknown lines nothing is added."""
    camera, known, learn = spectra_of(preset)
    rows, table = np.arange(N_PIXELS), line_table()
    unlisted = by_unlisted_lines(table, CATALOGUE, EXPECTED)
    without, response = (
        learn(table, rows, agreement=True),
        learn(table, rows, agreement=True, unlisted=unlisted),
    )
    quoted, before = (
        systematic_sigma(80.0, one.systematic_covariance) for one in (response, without)
    )
    if preset == "ideal":
        assert quoted == before
        return
    fits = fit_pixels(camera.counts, rows, *known, table, response, OPTIONS)
    good = fits["STATUS"] == 0
    error = camera.energy_error(np.array([80.0]), fits["GAIN"], fits["OFFSET"])[0][good]
    assert abs(error.mean()) < quoted + 2 * error.std() / np.sqrt(good.sum())
    assert 1.5 * before < quoted < 0.1


@pytest.mark.parametrize("name", ["Bi K", "Sn K"])
def test_a_table_with_a_series_is_read_as_it_was_written(tmp_path, name):
    series = next(one for one in CATALOGUE if one.name == name)
    table = with_series(line_table(), series)
    assert table.n_lines > line_table().n_lines
    assert (np.diff(table.block) >= 0).all()
    (tmp_path / "lines.csv").write_text(line_table_text(table), encoding="utf-8")
    read = read_line_table(tmp_path / "lines.csv")
    for field in ("element", "transition", "source", "block_names"):
        assert getattr(read, field) == getattr(table, field)
    for field in ("energy_keV", "intensity", "block", "block_limits_keV", "energy_err_keV",
                  "width_keV"):  # fmt: skip
        assert np.array_equal(getattr(read, field), getattr(table, field), equal_nan=True)
