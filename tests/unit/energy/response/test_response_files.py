"""The response as a file: what it keeps, and the line tables that it is not for."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from helpers.instruments import EXPECTED
from helpers.paths import LINES

from pixelcal.energy.lines import read_line_table
from pixelcal.energy.own_deviation import OwnDeviation
from pixelcal.energy.response.io import read_response, write_response
from pixelcal.energy.response.misfit import Misfit
from pixelcal.energy.response.model import empty_response
from pixelcal.errors import InputError


@pytest.fixture
def table():
    return read_line_table(LINES)


def symmetric(first):
    """A matrix (3, 3) of six numbers that occur nowhere else."""
    matrix = np.zeros((3, 3))
    matrix[np.triu_indices(3)] = (first + np.arange(6)) / 17
    return np.triu(matrix) + np.triu(matrix, 1).T


@pytest.fixture
def written(table, tmp_path):
    """Path of the response of `table`, and the response: numbers that occur nowhere else."""
    empty = empty_response(table, shape=EXPECTED)
    response = replace(
        empty,
        line_strength=100 + np.arange(table.n_lines) / 3,
        continuum=np.arange(empty.continuum.size).reshape(empty.continuum.shape) / 7,
        population_scale=np.arange(empty.population_scale.size) / 11,
        scale_covariance=np.array([[2e-9, -3e-8], [-3e-8, 5e-6]]),
        losses_differ=True,
        low_bend=0.043,
        systematic_covariance=symmetric(0),
        own_deviation=OwnDeviation(
            0.012 * np.arange(1.0, table.n_blocks + 1),
            np.array(0.034),
            np.arange(2.0 * table.n_blocks).reshape(-1, 2) / 19,
            np.arange(table.n_blocks) / 23,
            np.array([table.energy_keV.min(), table.energy_keV.max()]),
        ),
        misfit=Misfit(*np.arange(4 * table.n_blocks).reshape(4, -1) / 13, [0.2], [0.3]),
        shape=replace(
            EXPECTED, width_bend=-0.37, tail_slope=0.83, loss_slope=1.21, trapping=0.0421
        ),
        dof=12,
        iterations=7,
        converged=False,
    )
    path = tmp_path / "response.fits"
    write_response(path, response, table, [("EXPNAME", "3ks", "exposure")], None)
    return path, response


def test_it_reads_back(written, table):
    path, response = written
    again = read_response(path, table)
    assert again.shape == response.shape and again.dof == 12 and np.isnan(again.chi_square)
    assert again.iterations == 7 and again.converged is False
    np.testing.assert_array_equal(again.line_strength, response.line_strength)
    np.testing.assert_array_equal(again.continuum, response.continuum)
    np.testing.assert_array_equal(again.population_scale, response.population_scale)
    np.testing.assert_array_equal(again.scale_covariance, response.scale_covariance)
    assert again.losses_differ and again.low_bend == 0.043
    np.testing.assert_array_equal(again.systematic_covariance, response.systematic_covariance)
    for name, values in response.own_deviation._asdict().items():
        np.testing.assert_array_equal(getattr(again.own_deviation, name), values)
    for name, values in response.misfit._asdict().items():
        np.testing.assert_array_equal(getattr(again.misfit, name), values)
    np.testing.assert_array_equal(fits.getdata(path, "LINES")["INTENSITY"], table.intensity)


def test_what_nobody_looked_for_is_not_in_the_file(table, tmp_path):
    path = tmp_path / "response.fits"
    write_response(path, empty_response(table, shape=EXPECTED), table, [], None)
    again = read_response(path, table)
    assert again.misfit is None and again.own_deviation is None
    assert again.systematic_covariance is None and again.shape.trapping == 0.0


def test_a_file_from_before_the_convergence_was_recorded(table, tmp_path):
    path = tmp_path / "response.fits"
    write_response(path, empty_response(table, shape=EXPECTED), table, [], None)
    assert "EMCONV" not in fits.getheader(path, "LINES")
    again = read_response(path, table)
    assert again.iterations == 0 and again.converged is None


def changed(table, name, index, factor=1.0001):
    values = getattr(table, name).copy()
    values[index] *= factor
    return replace(table, **{name: values})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda table: changed(table, "energy_keV", 3), "line energies"),
        (lambda table: changed(table, "intensity", 3), "intensities"),
        (lambda table: changed(table, "block_limits_keV", (1, 0)), "block limits"),
        (lambda table: changed(table, "block_limits_keV", (0, 1)), "block limits"),
        (lambda table: replace(table, element=("Ni", *table.element[1:])), "lines"),
        (lambda table: replace(table, transition=("Kb1", *table.transition[1:])), "lines"),
        (lambda table: read_line_table(LINES.with_name("strongest.csv")), "lines"),
    ],
)
def test_another_line_table_is_refused(written, table, change, what):
    path, _ = written
    with pytest.raises(InputError, match=f"another line table, with other {what};") as caught:
        read_response(path, change(table))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_another_name_of_a_block_changes_nothing(written, table):
    path, response = written
    renamed = replace(table, block_names=tuple(f"{name} block" for name in table.block_names))
    again = read_response(path, renamed)
    np.testing.assert_array_equal(again.continuum, response.continuum)


def test_no_name_is_cut(table, tmp_path):
    names = tuple(f"{name}-with-a-name-of-more-than-twenty" for name in table.block_names)
    transitions = tuple(f"{name},satellites" for name in table.transition)
    elements = tuple(f"{name}-of-the-passive-shield" for name in table.element)
    table = replace(table, block_names=names, transition=transitions, element=elements)
    path = tmp_path / "response.fits"
    write_response(path, empty_response(table, shape=EXPECTED), table, [], None)
    lines, blocks = fits.getdata(path, "LINES"), fits.getdata(path, "CONTINUUM")
    assert tuple(blocks["BLOCK"]) == names
    assert tuple(lines["TRANSITION"]) == transitions and tuple(lines["ELEMENT"]) == elements
    read_response(path, table)


@pytest.mark.parametrize(
    ("extension", "missing"), [("LINES", "INTENSITY"), ("LINES", "FWHM60"), ("CONTINUUM", "E_MIN")]
)
def test_a_file_that_lacks_something(written, table, extension, missing):
    path, _ = written
    with fits.open(path) as hdus:
        if missing in hdus[extension].header:
            del hdus[extension].header[missing]
        else:
            hdus[extension].columns.del_col(missing)
        hdus.writeto(path, overwrite=True, checksum=True)
    with pytest.raises(InputError, match=f"lacks {missing}; learn the response again"):
        read_response(path, table)
