"""The products of the CI workflow, read back."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.instruments import REFERENCE_ENERGIES_KEV

from pixelcal.status import has_valid_fit

EXPOSURES = {"3ks": 3000, "5ks": 5000, "10ks": 10000}
N_PIXELS, N_CHANNELS = 64, 1024
RELATION_COLUMNS = [
    *("DETNUM", "X", "Y", "GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV"),
    *("FWHM_60", "COUNTS", "STAT", "DOF", "PVALUE", "NITER", "STATUS"),
    *(
        "FWHM_60_ERR",
        "PVALUE_CAMERA",
        "TAIL",
        "TAIL_ERR",
        "DRIFT",
        "DRIFT_PVALUE",
        "FIRST_FRACTION",
        "TENSION",
        "BLOCKS_OUT",
    ),
    "LOWEST_CHANNEL",
    *("WIDTH_RATIO", "WIDTH_RATIO_ERR", "BEND", "BEND_ERR"),
    *("SECOND_SIGMA", "SECOND_STRETCH", "SECOND_PART", "SECOND_FRACTION"),
    *("SECOND_GAIN", "SECOND_OFFSET", "NOISE"),
    *(f"SYS_{energy:g}" for energy in REFERENCE_ENERGIES_KEV),
]
PROVENANCE = ("EXPOSURE", "MULTIPLI", "SOFTVERS", "CONFHASH", "NINFILE", "INFIL001", "INSHA001")

each_exposure = pytest.mark.parametrize("exposure", EXPOSURES)


@pytest.fixture
def folder(ci_results, exposure):
    """Products of one exposure."""
    return ci_results / "eclairs" / exposure


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="no fitsverify command on PATH")
def test_fitsverify_accepts_every_fits_file(ci_results):
    paths = sorted(ci_results.rglob("*.fits"))
    assert len(paths) == 3 + 3 * (4 + 2)  # events; spectra, response, 2 chunks, 2 products each
    for path in paths:
        run = subprocess.run(
            ["fitsverify", "-q", path], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr


def test_every_fits_file_has_checksums_and_no_date(ci_results):
    for path in ci_results.rglob("*.fits"):
        with fits.open(path) as hdus:
            for hdu in hdus:
                where = f"{path}[{hdu.name}]"
                assert "DATE" not in hdu.header, where
                if path.name != "events.fits":  # written as a stream, never whole in memory
                    assert hdu.verify_checksum() == hdu.verify_datasum() == 1, where


@each_exposure
def test_spectra(folder, exposure):
    with fits.open(folder / "spectra.fits") as hdus:
        table, header = hdus["SPECTRA"].data, hdus["SPECTRA"].header
        assert table.columns.names == ["DETNUM", "COUNTS"]
        assert np.array_equal(table["DETNUM"], np.arange(N_PIXELS))
        assert table["COUNTS"].shape == (N_PIXELS, N_CHANNELS)
        assert table["COUNTS"].dtype.newbyteorder("=") == np.int32
        assert header["EXPOSURE"] == pytest.approx(EXPOSURES[exposure], rel=1e-6)


def test_counts_grow_with_the_exposure(ci_results):
    counts = [
        fits.getdata(ci_results / "eclairs" / name / "spectra.fits", "SPECTRA")["COUNTS"].sum()
        for name in EXPOSURES
    ]
    rates = np.array(counts) / list(EXPOSURES.values())
    # The same events: the shorter exposure is the beginning of the longer one.
    assert np.all(np.diff(counts) > 0)
    assert np.all(np.abs(rates / rates[-1] - 1) < 5 / np.sqrt(counts))


@each_exposure
def test_truth(folder):
    truth = Table.read(folder / "truth.ecsv")
    assert truth.colnames == ["DETNUM", "GAIN", "OFFSET"]
    assert np.array_equal(truth["DETNUM"], np.arange(N_PIXELS))
    # 64 draws: five standard deviations hold them all.
    assert np.all(np.abs(truth["GAIN"] / 0.145 - 1) < 5 * 0.003)
    assert np.all(np.abs(truth["OFFSET"] - 3.0) < 5 * 0.1)


@each_exposure
def test_relation(folder, exposure):
    with fits.open(folder / "relation.fits") as hdus:
        table, header = Table(hdus["RELATION"].data), hdus["RELATION"].header
    assert table.colnames == RELATION_COLUMNS
    assert np.array_equal(table["DETNUM"], np.arange(N_PIXELS))
    assert header["EXPOSURE"] == pytest.approx(EXPOSURES[exposure], rel=1e-6)
    for keyword in (*PROVENANCE, "LINETAB", "LINESHA"):
        assert keyword in header, keyword
    assert header["LINETAB"] == "all_blocks.csv"
    assert header["MULTIPLI"] == "single"
    assert "HISTORY" in header


@each_exposure
def test_status_and_answer_agree(folder):
    table = Table(fits.getdata(folder / "relation.fits", "RELATION"))
    without = ~has_valid_fit(table["STATUS"])
    for name in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV"):
        assert np.array_equal(np.isnan(table[name]), without), name
    variance = table["GAIN_ERR"] ** 2 * table["OFFSET_ERR"] ** 2
    assert np.all(table["GAIN_OFFSET_COV"][~without] ** 2 < variance[~without])
    assert not without.all()


@each_exposure
def test_the_mission_file_is_usable_for_every_pixel(folder):
    relation = Table(fits.getdata(folder / "relation.fits", "RELATION"))
    with fits.open(folder / "AUX-ECL-PIX-CAL.fits") as hdus:
        assert len(hdus) == 3
        table = hdus["AUX-ECL-PIX-CAL"].data
        assert table.columns.names == ["DETNUM", "GAIN", "OFFSET"]
        assert [str(column.format) for column in table.columns] == ["I", "E", "E"]
        gain, offset = np.array(table["GAIN"]), np.array(table["OFFSET"])
        assert np.array_equal(table["DETNUM"], np.arange(6400))
    assert np.isfinite(gain).all() and np.isfinite(offset).all() and (gain > 0).all()
    answered = np.flatnonzero(np.isfinite(relation["GAIN"]))
    assert np.array_equal(gain[answered], relation["GAIN"][answered].astype("f4"))
    assert np.all(gain[N_PIXELS:] == np.float32(0.145))
    assert np.all(offset[N_PIXELS:] == np.float32(3.0))


@each_exposure
def test_validation_is_json_of_the_reference_energies(folder):
    text = (folder / "validation.json").read_text()
    assert json.loads(text)
    for energy in REFERENCE_ENERGIES_KEV:
        assert f"{energy:g}" in text


def test_the_page(ci_results):
    page = (ci_results / "report.html").read_text(encoding="utf-8")
    for exposure in EXPOSURES:
        assert exposure in page
    assert not list(ci_results.rglob(".*")), "temporary files were left behind"


def test_the_report_of_snakemake(ci_project, snakemake, tmp_path):
    path = tmp_path / "report.html"
    run = snakemake(ci_project, "--configfile", "config/ci.yaml", "--report", path)
    assert run.returncode == 0, run.stderr[-4000:]
    text = path.read_text(encoding="utf-8")
    for name in ("camera.png", "energy_errors.png", "report.html"):
        assert name in text
    assert "how far to trust it" in text  # the first page, workflow/report/workflow.rst


@each_exposure
def test_residuals_of_the_fits(folder, exposure):
    """Each count of the blocks in one bin, in the camera and in one of its modules."""
    with fits.open(folder / "relation.fits") as hdus:
        relation = hdus["RELATION"].data
        camera, modules = hdus["RESIDUALS"].data, hdus["RESIDUALS_MODULES"].data
        header, channels = hdus["RESIDUALS"].header, hdus["RESIDUALS_CHANNELS"].data
    assert header["ADEQ_N"] == modules["NPIXELS"].sum() > 0.9 * N_PIXELS
    np.testing.assert_array_equal(modules["COUNTS"].sum(axis=0), camera["COUNTS"])
    assert abs(channels["COUNTS"].sum() - camera["COUNTS"].sum()) < 1e-6 * camera["COUNTS"].sum()
    assert 0.9 < camera["COUNTS"].sum() / relation["COUNTS"].sum() <= 1.0
    assert np.all(camera["E_MAX"] > camera["E_MIN"]) and np.all(camera["VARIANCE"] > 0)
    found = json.loads((folder / "validation.json").read_text())["adequacy"]
    assert found["pvalue"] == header["ADEQ_P"] and found["n_pixels"] == header["ADEQ_N"]
    # A simulation with the lines of the table: one camera in 100 is called wrong.
    assert not found["warnings"]
