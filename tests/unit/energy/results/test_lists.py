"""Lists of pixels: the right pixels, numbers and reasons, and readable by usual tools."""

import numpy as np
import pytest
from astropy.table import Table
from helpers.instruments import REFERENCE_ENERGIES_KEV, REQUIREMENT
from helpers.synthetic import GAIN, OFFSET, make_fits, run_script, silence, write_exposure

from pixelcal.energy.relation import energy_error
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.results.pixel_lists import Column, format_list, status_names
from pixelcal.status import EnergyStatus

NOMINAL = {"gain_keV": GAIN, "offset_keV": OFFSET}
NAMES = ("changed", "over_requirement", "no_answer")


def write_lists(folder, rows, truth, with_truth=True, threshold=5.0):
    paths = write_exposure(folder, "10ks", 10000, rows, truth, with_truth=with_truth)
    made = {name: folder / f"{name}.txt" for name in NAMES}
    run_script(
        "write_lists",
        folder,
        {name: paths[name] for name in ("relation", "truth") if name in paths},
        made,
        {"exposure": "10ks", "relation": NOMINAL, "changes": {"threshold_sigma": threshold}},
    )
    return made


def read_list(path):
    return Table.read(path, format="ascii.commented_header")


@pytest.fixture(scope="module")
def camera():
    rows, truth = make_fits(640)
    silence(rows, [17], EnergyStatus.TOO_FEW_COUNTS)
    silence(rows, [30, 31], EnergyStatus.NOT_CONVERGED)
    rows["GAIN"][5] *= 1.2
    return rows, truth


@pytest.fixture(scope="module")
def lists(camera, tmp_path_factory):
    return write_lists(tmp_path_factory.mktemp("lists"), *camera)


def test_over_requirement_are_those_of_the_errors(camera, lists):
    rows, truth = camera
    energies = np.array(REFERENCE_ENERGIES_KEV)[:, None]
    error = energy_error(energies, rows["GAIN"], rows["OFFSET"], *truth[:2])
    ratio = np.abs(error) / requirement_keV(energies, requirement=REQUIREMENT)
    expected = np.flatnonzero((ratio > 1).any(axis=0))
    table = read_list(lists["over_requirement"])
    assert 0 < len(expected) < len(rows)
    assert table["DETNUM"].tolist() == expected.tolist()
    assert np.allclose(table["ERROR_50"], error[2, expected], rtol=0, atol=5.1e-5)
    assert np.allclose(table["WORST"], ratio.max(axis=0)[expected], rtol=0, atol=5.1e-3)


def test_changed_has_the_pixel_that_changed(camera, lists):
    rows, _ = camera
    table = read_list(lists["changed"])
    assert table["DETNUM"].tolist() == [5]
    assert table["GAIN_CHANGE"][0] == pytest.approx(rows["GAIN"][5] - GAIN, abs=5.1e-7)
    assert table["CHANGED"][0] == "gain"


def test_no_answer_says_why(lists):
    table = read_list(lists["no_answer"])
    assert table["DETNUM"].tolist() == [17, 30, 31]
    assert table["REASON"].tolist() == ["TOO_FEW_COUNTS", "NOT_CONVERGED", "NOT_CONVERGED"]
    assert table["X"].tolist() == [62, 49, 48] and table["Y"].tolist() == [0, 0, 0]


def test_numpy_reads_them_too(lists):
    read = np.genfromtxt(lists["over_requirement"], names=True, dtype=None, encoding="ascii")
    table = read_list(lists["over_requirement"])
    assert list(read.dtype.names) == table.colnames
    assert read["ERROR_150"].tolist() == table["ERROR_150"].tolist()


def test_columns_stand_one_below_the_other(lists):
    for path in lists.values():
        lines = path.read_text("ascii").splitlines()
        rows = [line for line in lines if not line.startswith("#")]
        assert {len(line) for line in [*lines[:2], *rows]} == {len(lines[0])}
        assert "keV" in lines[1] or "count" in lines[1]


def test_without_truth_the_predicted_error_counts(tmp_path):
    rows, truth = make_fits(100)
    rows["OFFSET_ERR"][[3, 4]] = 2.0
    made = write_lists(tmp_path, rows, truth, with_truth=False)
    table = read_list(made["over_requirement"])
    assert {3, 4} <= set(table["DETNUM"]) and "SIGMA_4" in table.colnames
    assert "there is no truth" in made["over_requirement"].read_text()


@pytest.mark.parametrize("n_pixels", [1, 4])
def test_empty_lists_are_tables_too(tmp_path, n_pixels):
    rows, truth = make_fits(n_pixels, sigma_pivot_keV=1e-3, sigma_slope=1e-5)
    rows["GAIN"], rows["OFFSET"] = GAIN, OFFSET
    truth = (rows["GAIN"].copy(), rows["OFFSET"].copy())
    for path in write_lists(tmp_path, rows, truth).values():
        table = read_list(path)
        assert len(table) == 0 and table.colnames[:3] == ["DETNUM", "X", "Y"]


def test_every_pixel_without_a_valid_fit(tmp_path):
    rows, truth = make_fits(64)
    silence(rows, np.arange(64), EnergyStatus.TOO_FEW_COUNTS)
    made = write_lists(tmp_path, rows, truth)
    assert [len(read_list(made[name])) for name in NAMES] == [0, 0, 64]


def test_names_of_a_status():
    assert status_names(0) == "GOOD"
    assert status_names(EnergyStatus.POOR_FIT | EnergyStatus.OUTLIER) == "POOR_FIT+OUTLIER"


def test_a_list_as_text():
    columns = [
        Column("N", "", "{:d}", np.array([7, 123])),
        Column("WIDE", "keV", "{:.1f}", np.array([1.0, -2.0])),
    ]
    text = format_list(columns, np.array([False, True]), ["a remark"])
    assert text == "#   N  WIDE\n#   -   keV\n# a remark\n  123  -2.0\n"
