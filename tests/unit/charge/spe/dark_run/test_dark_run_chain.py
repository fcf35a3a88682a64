"""A dark run from its file to the page, as ready charges and as ready histograms."""

import numpy as np
import pytest
from astropy.io import fits
from helpers.ready_files import run_ready, whole_histograms, write_charges, write_histograms

N_PIXELS, N_FLASHES = 6, 4000
PE, OPCT = 30.0, 0.15


@pytest.fixture(scope="module")
def charges():
    """Dark counts of any part of a photoelectron under light without crosstalk of its own."""
    rng, runs = np.random.default_rng(11), {}
    for name, light in (("none", 0.0), ("dim", 0.8), ("bright", 2.0)):
        shape = N_PIXELS, N_FLASHES
        late = np.zeros(shape)
        for _ in range(3):
            late += (rng.random(shape) < 0.1) * rng.uniform(0.0, 1.0, shape)
        fired = rng.poisson(light, shape)
        youngest = fired
        while youngest.any():
            youngest = rng.poisson(OPCT * youngest)
            fired = fired + youngest
        noise = np.sqrt(4.0**2 + fired * 2.5**2) * rng.standard_normal(shape)
        runs[name] = np.rint(300 + PE * (fired + late) + noise).astype(int)
    return runs


@pytest.mark.parametrize("form", ["charges", "histograms"])
def test_from_the_file_to_the_page(charges, form, tmp_path):
    files = {}
    for name, run in charges.items():
        if form == "charges":
            files[name] = write_charges(tmp_path / f"{name}.h5", run.T)
        else:
            counts, edges = whole_histograms(run)
            files[name] = write_histograms(tmp_path / f"{name}.h5", counts, edges=edges)
    result = run_ready(tmp_path, form, files, range(N_PIXELS), report=True)
    assert not result.error, result.said
    with fits.open(result.paths["spe"]) as hdus:
        header, rows = hdus["SPE"].header, hdus["SPE"].data
        assert header["DARK0"] is True and "DARK1" not in header and "JITTER0" not in header
        assert ("JITTER1" in header) == (form == "charges")
        assert (rows["STATUS"] == 0).all()
        assert (abs(rows["PE"] - PE) < 4 * rows["PE_ERR"]).all()
        assert (abs(rows["OPCT"] - OPCT) < 4 * rows["OPCT_ERR"]).all()
        assert (rows["LAMBDA"][:, 0] == 0).all() and np.isnan(rows["PEAK_VALLEY"][:, 0]).all()
        # The pedestal of a run is its mean charge without light.
        mean = charges["none"].mean(axis=1)
        assert (abs(rows["EPED"][:, 0] - mean) < 0.5).all()
    assert "sees no light" not in result.said
    assert "Traceback" not in result.said and result.paths["report"].is_file()
