"""A camera that pixelcal has never heard of, from its files to a page: no code is written."""

import re

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from helpers import toy_camera
from helpers.project_copies import copy_project

PER_PIXEL = 12_000
ENERGIES_KEV = (14.0, 60.0, 122.0)


@pytest.fixture(scope="module")
def toy(tmp_path_factory, snakemake):
    """Results of the chain, counts that went into it, and the true gain and offset."""
    project = copy_project(tmp_path_factory.mktemp("toy") / "project")
    toy_camera.write_toy_camera(project / "cameras")
    truth = toy_camera.draw_truth(5)
    counts = toy_camera.write_hits(project / "hits.fits.gz", *truth, PER_PIXEL, 3600.0, 6)
    own = {
        "instrument": "cameras/toycam.yaml",
        "events": {"files": ["hits.fits.gz"], "multiplicity": "all"},
        "exposures": {"hour": {}},
    }
    (project / "own.yaml").write_text(yaml.safe_dump(own))
    run = snakemake(project, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-6000:]
    return project / "results", counts, truth


@pytest.fixture(scope="module")
def relation(toy):
    """The relation of the 256 pixels."""
    with fits.open(toy[0] / "toycam" / "hour" / "relation.fits") as hdus:
        return Table(np.array(hdus["RELATION"].data))


def pulls(relation, truth, energy):
    """Error of the energy (keV) over its standard deviation, (256,)."""
    gain, offset = truth
    channel = (energy - offset) / gain
    error = relation["GAIN"] * channel + relation["OFFSET"] - energy
    variance = (relation["GAIN_ERR"] * channel) ** 2 + relation["OFFSET_ERR"] ** 2
    return np.asarray(error / np.sqrt(variance + 2 * channel * relation["GAIN_OFFSET_COV"]))


def test_every_event_is_counted_where_it_was(toy):
    results, counts, _ = toy
    spectra = fits.getdata(results / "toycam" / "hour" / "spectra.fits", "SPECTRA")
    np.testing.assert_array_equal(spectra["DETNUM"], np.arange(toy_camera.N_PIXELS))
    np.testing.assert_array_equal(spectra["COUNTS"], counts)


@pytest.mark.parametrize("energy", ENERGIES_KEV)
def test_relation_is_the_truth_within_its_errors(toy, relation, energy):
    """Within four standard deviations of a width and a mean of 256 values; the response that all
    have in common adds as much again to the mean."""
    pull = pulls(relation, toy[2], energy)
    n = toy_camera.N_PIXELS
    assert np.isfinite(pull).all()
    assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * n)
    assert abs(pull.mean()) < 4 * np.sqrt(2 / n)


def test_pixels_are_in_order(relation):
    """Nobody is flagged: the model describes what was drawn."""
    assert np.mean(relation["STATUS"] == 0) > 0.95


def test_the_response_is_what_was_drawn(toy):
    """No block holds a peak of cadmium's escape alone, so its probability is hardly known."""
    header = fits.getheader(toy[0] / "toycam" / "hour" / "response.fits", "LINES")
    assert header["MATERIAL"] == "CZT"
    zinc, cadmium, tellurium = (probability for _, _, probability in toy_camera.ESCAPES)
    assert header["ESCAPEZN"] == pytest.approx(zinc, abs=0.005)
    assert header["ESCAPETE"] == pytest.approx(tellurium, abs=0.01)
    assert header["ESCAPECD"] == pytest.approx(cadmium, abs=0.03)
    assert header["TAIL60"] == pytest.approx(toy_camera.TAIL_60, abs=0.01)
    assert header["TAILSCL"] == pytest.approx(toy_camera.TAIL_SCALE, abs=0.004)
    assert header["FWHM10"] == pytest.approx(toy_camera.FWHM_10, abs=0.05)
    assert header["FWHM60"] == pytest.approx(toy_camera.FWHM_60, abs=0.05)


def test_page_has_the_cameras_title(toy):
    page = (toy[0] / "report.html").read_text(encoding="utf-8")
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]
    assert toy_camera.INSTRUMENT["title"] in title
    assert "ECLAIRs" not in page and "STIX" not in page
