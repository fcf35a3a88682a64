"""Rule take_spectra, outside of Snakemake: ready spectra as the other rules read them."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers.paths import RESOURCES
from helpers.stix_files import write_daily, write_stix_run
from helpers.synthetic import run_script

from pixelcal.errors import InputError
from pixelcal.io.instruments import instrument_content

NOMINAL = {"gain_keV": 0.4346, "offset_keV": -135.0}


def take(folder, events, pixels, layout, prior=None):
    """Run the script; paths of its products."""
    made = {name: folder / f"{name}.ecsv" for name in ("prior", "truth")}
    made["spectra"] = folder / "out.fits"
    given = {"events": [str(events)], "pixel_map": str(RESOURCES / "pixels" / "stix.csv")}
    params = {
        "instrument": instrument_content("stix"),
        "layout": layout,
        "pixels": pixels,
        "relation": NOMINAL,
        "exposure": "day",
        "files": [str(events)],
        "date": None,
    }
    given["lines"] = str(RESOURCES / "lines" / "ba133.csv")
    given |= {"prior": str(prior)} if prior else {}
    run_script("take_spectra", folder, given, made, params)
    return made


@pytest.fixture
def run(tmp_path):
    """A run of STIX, and its counts (384, 1024)."""
    counts = np.random.default_rng(3).poisson(0.05, (32, 12, 1024))
    path = write_stix_run(tmp_path / "run.fits", [counts], [100.0], [0], [7200.0])
    return path, counts.reshape(384, 1024)


def test_chosen_pixels_with_their_kinds(run, tmp_path):
    path, counts = run
    chosen = [380, 3, 8, 200]
    made = take(tmp_path, path, chosen, "stix-calibration")
    with fits.open(made["spectra"]) as hdus:
        rows, header = hdus["SPECTRA"].data, hdus["SPECTRA"].header
        assert "FIRST_HALF" not in hdus, "nobody knows which counts came first"
        np.testing.assert_array_equal(rows["DETNUM"], sorted(chosen))
        np.testing.assert_array_equal(rows["COUNTS"], counts[sorted(chosen)])
        assert list(rows["KIND"]) == ["large", "small", "small", "small"]
    assert header["EXPOSURE"] == 7200.0 and header["INSTRUME"] == "STIX"
    assert header["SIMULATE"] is False and header["DATE-OBS"].startswith("2020-05-05")
    assert np.isnan(Table.read(made["truth"])["GAIN"]).all()
    assert set(Table.read(made["prior"])["GAIN"]) == {NOMINAL["gain_keV"]}


def test_a_pixel_without_a_spectrum_has_no_counts(tmp_path):
    """It is told, and the others are as they were."""
    path = tmp_path / "s.fits"
    columns = [
        fits.Column("DETNUM", "I", array=[5, 1]),
        fits.Column("COUNTS", "1024J", array=np.arange(2048).reshape(2, 1024)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["EXPOSURE"] = 60.0
    hdu.writeto(path)
    made = take(tmp_path, path, [1, 2, 5], "spectra")
    rows = fits.getdata(made["spectra"], "SPECTRA")
    np.testing.assert_array_equal(rows["COUNTS"][0], np.arange(1024, 2048))
    assert rows["COUNTS"][1].sum() == 0
    np.testing.assert_array_equal(rows["COUNTS"][2], np.arange(1024))
    log = (tmp_path / "take_spectra.log").read_text()
    assert "no spectrum of 1 of the 3 pixels" in log


def test_the_relation_known_before_is_of_the_pixels(run, tmp_path):
    """From the daily calibrations, for the pixels in the order of the spectra."""
    gain = 2.3 + 1e-4 * np.arange(384)
    offset = np.full(384, 310.0)
    daily = write_daily(tmp_path / "daily.fits", ["2020-05-04T00:00:00.000"], gain, offset)
    made = take(tmp_path, run[0], [300, 7], "stix-calibration", daily)
    prior = Table.read(made["prior"])
    np.testing.assert_array_equal(prior["DETNUM"], [7, 300])
    np.testing.assert_allclose(prior["GAIN"], 1 / gain[[7, 300]], rtol=1e-6)
    np.testing.assert_allclose(prior["OFFSET"], -310.0 / gain[[7, 300]], rtol=1e-6)


def test_a_mistake_writes_nothing(run, tmp_path):
    with pytest.raises((InputError, SystemExit)):
        take(tmp_path, run[0], [1, 2], "spectra")
    assert not (tmp_path / "out.fits").exists()
