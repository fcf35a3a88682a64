"""A camera that nobody has, from its events to the report by files alone."""

import numpy as np
import pytest
from astropy.io import fits
from helpers import own_camera

from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns


@pytest.fixture
def made(project, snakemake):
    """(folder of the results, true relation) of a run."""
    truth = own_camera.write_camera(project / "own")
    (project / "own.yaml").write_text(own_camera.CONFIGURATION)
    run = snakemake(project, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-6000:]
    return project / "results", truth


def test_a_camera_by_files_alone(made):
    """Pulls are 1 wide; of a width of n values the error is 1 / sqrt(2 n)."""
    results, truth = made
    rows = fits.getdata(results / "testcam" / "all" / "relation.fits", "RELATION")
    assert len(rows) == own_camera.N and (rows["STATUS"] == 0).sum() >= own_camera.N - 3
    good = rows["STATUS"] == 0
    columns = [column[good] for column in relation_columns(rows)]
    for energy in (14.0, 60.0, 122.0):
        error = energy_error(energy, *columns[:2], *(values[good] for values in truth))
        pull = error / energy_sigma(energy, *columns)
        assert pull.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * own_camera.N))
        assert abs(pull.mean()) < 0.5  # what is common to all pixels is learnt as well
    page = (results / "report.html").read_text("utf-8")
    assert "<h1>Testcam: gain and offset of every pixel</h1>" in page and "ECLAIRs" not in page
    assert not (results / "testcam" / "all" / "AUX-ECL-PIX-CAL.fits").exists()
