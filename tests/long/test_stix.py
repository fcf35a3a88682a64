"""A real calibration run of STIX through the whole chain, beside the mission's own calibration."""

import re
import zlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.project_copies import copy_project
from helpers.real_files import REAL, STIX_DAILY, STIX_RUN, real_file

from pixelcal.status import is_trusted

ROW_OF_5_MAY_2020 = 125
"""Of the mission's daily calibrations: that of the run itself, which the chain must not read."""

LARGE = np.arange(384) % 12 < 8


@pytest.fixture(scope="module")
def stix(tmp_path_factory, snakemake):
    """Folder of the products of config/stix.yaml, run in a copy of the project."""
    for name in (STIX_RUN, STIX_DAILY):
        real_file(name)
    folder = tmp_path_factory.mktemp("stix")
    (folder / "shared").symlink_to(REAL.parent)
    project = copy_project(folder / "project")
    run = snakemake(project, "--configfile", "config/stix.yaml")
    assert run.returncode == 0, run.stderr[-6000:]
    return project / "results"


@pytest.fixture(scope="module")
def relation(stix):
    """The relation of the 384 pixels."""
    with fits.open(stix / "stix" / "day" / "relation.fits") as hdus:
        return Table(np.array(hdus["RELATION"].data))


@pytest.fixture(scope="module")
def mission():
    """GAIN (channels per keV) and OFFSET (channel of 0 keV) as the mission has them, (384,)."""
    with fits.open(real_file(STIX_DAILY)) as hdus:
        row = hdus[1].data[ROW_OF_5_MAY_2020]
        assert row["MEAS_START_UTC"].startswith("2020-05-05")
        return np.ravel(row["GAIN"]).astype(float), np.ravel(row["OFFSET"]).astype(float)


def test_every_pixel_has_a_valid_fit(relation):
    assert list(relation["DETNUM"]) == list(range(384))
    assert np.isfinite(relation["GAIN"]).all() and np.isfinite(relation["OFFSET"]).all()
    assert (relation["GAIN_ERR"] > 0).all()
    assert is_trusted(relation["STATUS"]).mean() > 0.95  # no pixel is as the model says
    np.testing.assert_array_equal(relation["KIND"], np.where(LARGE, "large", "small"))


def test_every_count_is_in_the_spectra(stix):
    header = fits.getheader(stix / "stix" / "day" / "spectra.fits", "SPECTRA")
    counts = fits.getdata(stix / "stix" / "day" / "spectra.fits", "SPECTRA")["COUNTS"]
    assert counts.sum() == 22_273_250 and header["EXPOSURE"] == 79200.0


def test_the_prior_is_that_of_the_day_before(stix):
    """Row 124; the mission's calibration of the run itself is left for the comparison."""
    with fits.open(real_file(STIX_DAILY)) as hdus:
        before = np.ravel(hdus[1].data["GAIN"][ROW_OF_5_MAY_2020 - 1]).astype(float)
    prior = Table.read(stix / "stix" / "day" / "prior.ecsv")
    np.testing.assert_allclose(prior["GAIN"], 1 / before, rtol=1e-12)


def test_relation_is_the_missions_at_31_keV(relation, mission):
    """channel = GAIN x E + OFFSET: the energy that we give to the mission's channel of 31 keV."""
    gain, offset = mission
    energy = relation["GAIN"] * (gain * 31.0 + offset) + relation["OFFSET"]
    difference = np.asarray(energy - 31.0)[LARGE]
    assert abs(np.median(difference)) < 0.02
    assert np.abs(energy - 31.0).max() < 0.2
    assert np.median(np.abs(difference - np.median(difference))) < 0.02


def test_large_and_small_pixels_have_responses_of_their_own(stix):
    with fits.open(stix / "stix" / "day" / "response.fits") as hdus:
        headers = {hdu.header["KIND"]: hdu.header for hdu in hdus if hdu.name.startswith("LINES")}
        blocks = {str(name).strip() for name in hdus["CONTINUUM"].data["BLOCK"]}
    assert list(headers) == ["large", "small"]
    assert all(header["EMCONV"] for header in headers.values())
    assert headers["large"]["TAIL60"] != headers["small"]["TAIL60"]
    assert not any("borrows" in str(header.get("HISTORY", "")) for header in headers.values())
    assert blocks == {"caesium", "gamma-53", "gamma-81"}


def test_page_and_figures_are_titled_stix(stix):
    page = (stix / "report.html").read_text(encoding="utf-8")
    for pattern in (r"<title>(.*?)</title>", r"<h1[^>]*>(.*?)</h1>"):
        assert "STIX" in re.search(pattern, page, re.DOTALL)[1]
    assert "ECLAIRs" not in page
    assert "It cannot be said whether the requirement is met" in page
    figures = sorted((stix / "stix" / "day" / "figures").glob("*.pdf"))
    assert len(figures) > 5
    for figure in figures:
        text = pdf_text(figure)
        assert "STIX" in text and "ECLAIRs" not in text, figure.name


def pdf_text(path):
    """The letters in a figure of matplotlib's, without the spaces between pieces."""
    text = ""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", path.read_bytes(), re.DOTALL):
        try:
            drawn = zlib.decompress(stream).decode("latin1")
        except zlib.error:
            continue
        text += "".join(re.findall(r"\(((?:[^()\\]|\\.)*)\)", drawn))
    return text
