"""Relations of STIX as they are published: energies by them are those of the files."""

import numpy as np
import pytest
from astropy.io import fits
from helpers.paths import SHARED

from pixelcal.energy.fit.camera_prior import latest_that_fits
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.prior import prior_table, read_prior
from pixelcal.energy.response.line_shape import expected_shape, line_cdf
from pixelcal.energy.stix_relations import is_daily, is_elut, read_daily, read_elut
from pixelcal.errors import InputError
from pixelcal.io.instruments import load_instrument
from pixelcal.io.resources import shipped_or_given

STIX = load_instrument("stix")
NOMINAL = {"gain_keV": STIX.gain_keV, "offset_keV": STIX.offset_keV}
REAL = SHARED / "real" / "stix"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is missing: no real files here")


def write_elut(path, rows):
    words = '"Some words, with a comma",,\nMore words,,\n'
    head = words + "Offset,Gain keV/ADC,Pixel,Detector,ADC Edge 0\n"
    path.write_text(head + "".join(f"{o},{g},{p},{d},900\n" for o, g, p, d in rows))
    return path


def test_look_up_table(tmp_path):
    rows = [(880.0 + d, 0.109 + p / 1e4, p, d) for d in range(32) for p in range(12)]
    path = write_elut(tmp_path / "elut.csv", rows)
    assert is_elut(path) and not is_daily(path)
    gain, offset = read_prior(path, np.arange(384), **NOMINAL, instrument=STIX)
    for offset_adc, gain_adc, pixel, detector in rows[::37]:
        number = 12 * detector + pixel
        adc = 4.0 * np.array([300.0, 500.0])  # the lower edges of two channels
        expected = gain_adc * (adc - offset_adc)
        np.testing.assert_allclose(gain[number] * adc / 4 + offset[number], expected)


def test_channels_that_do_not_divide_the_adc(tmp_path):
    path = write_elut(tmp_path / "elut.csv", [(880.0, 0.109, 0, 0)])
    with pytest.raises(InputError, match="do not divide evenly"):
        read_elut(path, 1000)


def test_a_broken_look_up_table(tmp_path):
    path = write_elut(tmp_path / "elut.csv", [("x", 0.109, 0, 0)])
    with pytest.raises(InputError, match="does not hold numbers"):
        read_elut(path, 1024)


@needs_real
def test_the_published_look_up_table():
    path = REAL / "elut_table_20200519.csv"
    gain, offset = read_prior(path, np.arange(384), **NOMINAL, instrument=STIX)
    assert gain[0] == pytest.approx(4 * 0.108906) and offset[0] == pytest.approx(
        -0.108906 * 883.7037
    )


def write_daily(path, runs):
    """Calibrations of (began, gain in channels/keV, channel of 0 keV) for all pixels."""
    columns = [
        fits.Column("MEAS_START_UTC", "23A", array=[began for began, *_ in runs]),
        fits.Column(
            "GAIN", "384E", dim="(12,32)", array=[np.full((32, 12), g) for _, g, _ in runs]
        ),
        fits.Column(
            "OFFSET", "384E", dim="(12,32)", array=[np.full((32, 12), o) for *_, o in runs]
        ),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


RUNS = [
    ("2020-05-03T17:00:00.000", 2.30, 300.0),
    ("2020-05-05T17:32:44.292", 2.50, 500.0),
    ("2020-05-04T17:00:00.000", 2.40, 400.0),
    ("2020-05-06T17:00:00.000", 2.60, 600.0),
]


def test_the_calibrations_before_the_data_the_latest_first(tmp_path):
    path = write_daily(tmp_path / "daily.fits", RUNS)
    assert is_daily(path)
    began, gain, offset = read_daily(path, "2020-05-05T17:32:43.763")
    assert [text[8:10] for text in began] == ["04", "03"]  # that of the run itself is not taken
    channel = 2.4 * 31.0 + 400.0
    np.testing.assert_allclose(gain[0] * channel + offset[0], 31.0, atol=1e-5)


def test_data_before_every_calibration(tmp_path):
    path = write_daily(tmp_path / "daily.fits", RUNS)
    assert read_daily(path, "2020-01-01T00:00:00")[0][0] == RUNS[0][0]


def test_pixels_that_were_not_measured_have_the_nominal_relation(tmp_path, caplog):
    path = write_daily(tmp_path / "daily.fits", [("2020-05-03T17:00:00.000", 2.3, 305.0)])
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["GAIN"][0][3, 4] = 0.0
    words = {"DATE-OBS": "2020-05-04T00:00:00"}
    table = prior_table(path, words, np.arange(384), NOMINAL, STIX, lambda *_: 0)
    assert table["GAIN"][12 * 3 + 4] == STIX.gain_keV
    assert np.sum(table["GAIN"] == STIX.gain_keV) == 1 and "1 pixels" in caplog.text
    path = tmp_path / "prior.ecsv"
    table.write(path)
    gain, offset = read_prior(path, np.arange(384), **NOMINAL, instrument=STIX)
    assert np.array_equal(gain, table["GAIN"]) and np.array_equal(offset, table["OFFSET"])


def test_data_without_a_date(tmp_path):
    path = write_daily(tmp_path / "daily.fits", RUNS)
    with pytest.raises(InputError, match="many dates"):
        prior_table(path, {}, np.arange(384), NOMINAL, STIX, lambda *_: 0)


def test_of_the_relations_the_latest_that_puts_lines_on_counts():
    """The camera was set up differently for a while, 27 keV off: the run before is the one."""
    table = read_line_table(shipped_or_given(STIX.lines))
    shape = expected_shape(STIX)
    rng = np.random.default_rng(4)
    gain, offset = np.full(80, 0.435), -132.0 + rng.standard_normal(80)
    counts = []
    for g, o in zip(gain, offset, strict=True):
        below = line_cdf(shape, table.energy_keV, g * np.arange(1025) + o)
        counts.append(rng.poisson(2000 * table.intensity @ np.diff(below, axis=1) + 0.5))
    offsets = np.array([offset + 27.0, offset + 26.5, offset, offset])
    gains = np.broadcast_to(gain, offsets.shape)
    assert latest_that_fits(np.array(counts), gains, offsets, table, shape) == 2


@needs_real
def test_the_published_calibrations_are_those_of_the_day_before():
    path = REAL / "calibration_meta.fits.gz"
    began, gain, _ = read_daily(path, "2020-05-05T17:32:43.763")
    assert began[0].startswith("2020-05-04T17:32:43") and np.isfinite(gain[0]).all()
