"""Relations as STIX publishes them: what may be odd in the files, against arithmetic on them."""

import csv
import logging

import numpy as np
import pytest
from astropy.io import fits
from helpers.real_files import STIX_DAILY, STIX_ELUT, real_file
from helpers.stix_files import write_daily, write_elut

from pixelcal.energy.prior import prior_table, read_prior
from pixelcal.energy.stix_relations import is_daily, is_elut, read_daily, read_elut
from pixelcal.errors import InputError
from pixelcal.io.instruments import load_instrument

STIX = load_instrument("stix")
ALL = np.arange(384)
NOMINAL = {"gain_keV": STIX.gain_keV, "offset_keV": STIX.offset_keV}
ENERGIES_KEV = np.array([4.0, 31.0, 81.0, 150.0])[:, None]


# --- the look-up table ----------------------------------------------------------------------------


def elut_values(n=384, seed=1):
    """ADC value of 0 keV and gain (keV/ADC) of n pixels."""
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(900, 40, n), 4), np.round(rng.normal(0.109, 0.001, n), 6)


@pytest.mark.parametrize("last", ["", "\n", ",,,,,\n"], ids=["", "empty line", "commas"])
def test_look_up_table_is_in_keV_and_channels(last, tmp_path):
    """Four ADC values are a channel; both count from the lower edge."""
    offset_adc, gain_adc = elut_values()
    path = write_elut(tmp_path / "elut.csv", offset_adc, gain_adc, last)
    assert is_elut(path)
    gain, offset = read_prior(path, ALL, **NOMINAL, instrument=STIX)
    adc = offset_adc + ENERGIES_KEV / gain_adc
    np.testing.assert_allclose(gain * (adc / 4) + offset, ENERGIES_KEV + 0 * adc, rtol=1e-12)


@pytest.mark.parametrize(("n_channels", "factor"), [(4096, 1), (1024, 4), (512, 8)])
def test_channels_are_made_of_adc_values(n_channels, factor, tmp_path):
    offset_adc, gain_adc = elut_values(24)
    table = read_elut(write_elut(tmp_path / "elut.csv", offset_adc, gain_adc), n_channels)
    np.testing.assert_array_equal(table["DETNUM"], np.arange(24))
    np.testing.assert_allclose(table["GAIN"], factor * gain_adc)
    np.testing.assert_allclose(table["OFFSET"], -gain_adc * offset_adc)


def test_the_real_look_up_table():
    """The first pixel by hand, the others by the csv module."""
    path = real_file(STIX_ELUT)
    gain, offset = read_prior(path, ALL, **NOMINAL, instrument=STIX)
    assert gain[0] == pytest.approx(4 * 0.108906, rel=1e-12)
    assert offset[0] == pytest.approx(-0.108906 * 883.7037, rel=1e-12)
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [row[:4] for row in list(csv.reader(file))[3:] if row]
    assert len(rows) == 384
    for offset_adc, gain_adc, pixel, detector in rows:
        k = 12 * int(detector) + int(pixel)
        assert gain[k] == pytest.approx(4 * float(gain_adc))
        assert offset[k] == pytest.approx(-float(gain_adc) * float(offset_adc))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("900,many,1,1,920\n", "does not hold numbers"),
        ("900,0.109\n", "does not hold numbers"),
        ("900,0.109,0,0,920\n", "pixel 0 occurs twice"),
        ("900,0.109,0,99,920\n", "DETNUM 1188 is not a pixel"),
        ("900,109,5,1,920\n", "GAIN 436 keV/chan"),
    ],
    ids=["words", "short", "twice", "another detector", "eV"],
)
def test_a_mistake_in_a_look_up_table_is_one_line(last, said, tmp_path):
    path = write_elut(tmp_path / "elut.csv", *elut_values(17), last)
    with pytest.raises(InputError) as error:
        read_prior(path, np.arange(17), **NOMINAL, instrument=STIX)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert "elut.csv" in str(error.value)


def test_an_empty_look_up_table_is_one_line(tmp_path):
    path = write_elut(tmp_path / "elut.csv", [], [])
    with pytest.raises(InputError, match="elut.csv: has no row of Offset, Gain"):
        read_elut(path, 1024)


def test_channels_that_do_not_divide_are_told(tmp_path):
    path = write_elut(tmp_path / "elut.csv", *elut_values(1))
    with pytest.raises(InputError, match="1000 channels do not divide evenly"):
        read_elut(path, 1000)


def test_other_tables_are_no_look_up_tables(tmp_path):
    path = tmp_path / "prior.csv"
    path.write_text("DETNUM,GAIN,OFFSET\n0,0.43,-130\n")
    assert not is_elut(path) and not is_daily(path) and not is_elut(tmp_path / "nowhere.csv")


# --- the daily calibrations -----------------------------------------------------------------------

BEGAN = [
    "2020-05-03T10:00:00.000",
    "2020-05-07T10:00:00.000",
    "2020-05-05T17:30:00.000",  # not in order
    "2020-05-04T10:00:00.000",
]


def daily(path, began=BEGAN, change=None):
    """Calibrations, of which each has a gain and an offset of its own in every pixel."""
    rng = np.random.default_rng(5)
    gain = (2.3 + 0.01 * np.arange(len(began)))[:, None] + rng.normal(0, 0.002, (len(began), 384))
    offset = rng.normal(300.0, 2.0, (len(began), 384))
    if change:
        change(gain, offset)
    return write_daily(path, began, gain, offset), gain.astype("f4"), offset.astype("f4")


def known_before(path, keywords, detnum=ALL):
    """The relation of the pixels; of several, the first."""
    return prior_table(path, keywords, detnum, NOMINAL, STIX, lambda gains, offsets: 0)


@pytest.mark.parametrize(
    ("start", "row"),
    [
        ("2020-05-03T10:30:00", 0),
        ("2020-05-05T17:32:43.763", 3),  # the run that began two minutes before is its own
        ("2020-05-05T17:30:00", 3),
        ("2020-05-05T17:41:00", 2),
        ("2020-05-05T17:41:00Z", 2),
        ("2020-05-05T19:41:00+02:00", 2),
        ("2020-05-06", 2),
        ("2021-01-01T00:00:00", 1),
    ],
)
def test_the_latest_before_the_data_is_taken(start, row, tmp_path):
    path, gain, offset = daily(tmp_path / "daily.fits.gz")
    assert is_daily(path)
    began, gains, offsets = read_daily(path, start)
    assert began[0] == BEGAN[row]
    channel = gain[row] * ENERGIES_KEV + offset[row]
    energy = gains[0] * channel + offsets[0]
    np.testing.assert_allclose(energy, ENERGIES_KEV + 0 * channel, rtol=1e-5)


@pytest.mark.parametrize(
    ("start", "first"), [("2020-05-03T10:05:00", 3), ("2019-12-31", 0)], ids=["own", "long before"]
)
def test_where_none_is_before_the_first_after_is_taken(start, first, tmp_path):
    """But never that of the run itself."""
    path, _, _ = daily(tmp_path / "daily.fits")
    assert read_daily(path, start)[0][0] == BEGAN[first]


def test_the_run_itself_alone_is_told(tmp_path):
    path, _, _ = daily(tmp_path / "daily.fits", BEGAN[:1])
    with pytest.raises(InputError, match="no calibration besides that of the data"):
        known_before(path, {"DATE-OBS": BEGAN[0]})


def test_rows_without_a_date_are_passed_over(tmp_path):
    began = ["", "2020-05-03T10:00:00.000", "NaT"]
    path, _, _ = daily(tmp_path / "daily.fits", began)
    assert read_daily(path, "2020-06-01")[0] == [began[1]]
    path, _, _ = daily(tmp_path / "none.fits", ["", "NaT"])
    assert read_daily(path, "2020-06-01")[0] == []


@pytest.mark.parametrize("keywords", [{}, {"DATE-OBS": ""}, {"DATE-OBS": "yesterday"}])
def test_data_without_a_date_are_told(keywords, tmp_path):
    path, _, _ = daily(tmp_path / "daily.fits")
    with pytest.raises(InputError, match="calibrations of many dates") as error:
        known_before(path, keywords)
    assert "DATE-OBS" in str(error.value) and "\n" not in str(error.value)


SPOILT = {3: ("NaN gain", np.nan, 300.0), 7: ("gain 0", 0.0, 0.0), 9: ("below 0", -2.3, 300.0)}
SPOILT |= {20: ("NaN offset", 2.3, np.nan), 21: ("a gain of no pixel", 60.0, 300.0)}
SPOILT |= {22: ("an offset of no pixel", 2.3, 3000.0)}


def test_pixels_without_a_calibration_have_the_nominal_relation(tmp_path, caplog):
    def change(gain, offset):
        for pixel, (_, gain_value, offset_value) in SPOILT.items():
            gain[:, pixel], offset[:, pixel] = gain_value, offset_value

    path, gain, offset = daily(tmp_path / "daily.fits", change=change)
    with caplog.at_level(logging.WARNING):
        known = known_before(path, {"DATE-OBS": "2020-05-04T00:00:00"})
    assert f"{len(SPOILT)} pixels have the nominal relation" in caplog.text
    spoilt = np.isin(ALL, list(SPOILT))
    assert set(known["GAIN"][spoilt]) == {STIX.gain_keV}
    assert set(known["OFFSET"][spoilt]) == {STIX.offset_keV}
    np.testing.assert_allclose(known["GAIN"][~spoilt], 1 / gain[0][~spoilt], rtol=1e-6)
    np.testing.assert_allclose(known["OFFSET"][~spoilt], -(offset[0] / gain[0])[~spoilt], rtol=1e-6)


def test_a_few_pixels_are_taken_from_it(tmp_path, caplog):
    path, gain, _ = daily(tmp_path / "daily.fits")
    chosen = np.array([200, 3, 383])
    known = known_before(path, {"DATE-OBS": "2020-05-04T00:00:00"}, chosen)
    np.testing.assert_array_equal(known["DETNUM"], chosen)
    np.testing.assert_allclose(known["GAIN"], 1 / gain[0][chosen], rtol=1e-6)
    assert str(known["GAIN"].unit) == "keV / chan" and not caplog.text


def test_the_real_calibrations_agree_with_their_own_convention():
    """channel = GAIN x E + OFFSET; the run of 5 May 2020 gets that of the row before."""
    path = real_file(STIX_DAILY)
    began, gains, offsets = read_daily(path, "2020-05-05T17:32:43.763")
    with fits.open(path) as hdus:
        rows = hdus[1].data
        assert rows["MEAS_START_UTC"][124] == began[0] < rows["MEAS_START_UTC"][125]
        gain, offset = (rows[name][124].ravel().astype(float) for name in ("GAIN", "OFFSET"))
    channel = gain * ENERGIES_KEV + offset
    energy = gains[0] * channel + offsets[0]
    np.testing.assert_allclose(energy, ENERGIES_KEV + 0 * channel, rtol=1e-9)
