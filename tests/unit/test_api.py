"""What a notebook imports: the same numbers as the workflow's own way, and mistakes in one line."""

import ast
import doctest

import numpy as np
import pytest
from astropy import units
from astropy.table import Column
from helpers.instruments import ECLAIRS
from helpers.paths import LINES, SCRIPTS
from helpers.spe_flashes import Sipm, draw_charges
from helpers.synthetic import make_fits

from pixelcal import api
from pixelcal.api_checks import prior_relation
from pixelcal.energy.fit.columns import FIT_UNITS
from pixelcal.energy.relation import energy_sigma, relation_columns
from pixelcal.energy.results import mission_file
from pixelcal.energy.simulation.spectra import make_camera, prior
from pixelcal.errors import InputError
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.status import has_valid_fit


def test_the_examples():
    assert doctest.testmod(api).failed == 0


def test_nothing_in_the_package_imports_it():
    for path in (SCRIPTS / "pixelcal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "pixelcal.api", path
                assert node.module != "pixelcal" or "api" not in [n.name for n in node.names], path
            if isinstance(node, ast.Import):
                assert "pixelcal.api" not in [name.name for name in node.names], path


# --- relations ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    """Fits of 6400 pixels with known errors; pixel 5 has no valid fit."""
    rows, _ = make_fits()
    rows["STATUS"][5] = 2
    for name in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV"):
        rows[name][5] = np.nan
    return rows


@pytest.fixture(scope="module")
def relation(rows, tmp_path_factory):
    """The relation that is read from them, in another order."""
    path = tmp_path_factory.mktemp("api") / "relation.fits"
    write_fits(path, [table_hdu(rows[::-1].copy(), "RELATION", FIT_UNITS)])
    return api.read_relation(path)


def test_a_channel_is_its_centre(relation, rows):
    pixel, channel = np.array([[7], [6000], [3]]), np.array([0, 500])
    energy = relation.energy(pixel, channel)
    row = rows[pixel]
    assert energy.shape == (3, 2)
    assert np.array_equal(energy, row["GAIN"] * (channel + 0.5) + row["OFFSET"])
    assert np.array_equal(energy, relation.energy(pixel, position=channel + 0.5))
    assert np.array_equal(relation.energy(pixel, position=0), row["OFFSET"])
    assert np.isnan(relation.energy(5, 100))


def test_sigma_is_that_of_the_full_covariance(relation, rows):
    expected = energy_sigma(80.0, *relation_columns(rows))
    assert np.array_equal(relation.sigma(rows["DETNUM"], 80.0), expected, equal_nan=True)
    x = (80.0 - relation.offset) / relation.gain
    slopes = np.column_stack([x, np.ones_like(x)])
    variance = np.einsum("ni,nij,nj->n", slopes, relation.covariance, slopes)
    assert np.allclose(relation.sigma(relation.pixel, 80.0), np.sqrt(variance), equal_nan=True)


def test_arrays_are_in_the_order_of_the_file(relation, rows):
    assert np.array_equal(relation.pixel, rows["DETNUM"][::-1])
    for name in ("gain", "offset", "gain_err", "offset_err", "status"):
        values = rows[name.upper()][::-1]
        assert np.array_equal(getattr(relation, name), values, equal_nan=True)


def test_the_file_of_the_mission(rows, tmp_path):
    previous = np.full(6400, 0.145), np.full(6400, 3.0)
    calibration, status = mission_file.mission_tables(rows, previous)
    units = {"GAIN": "eV/chan", "OFFSET": "keV"}
    calibration["GAIN"] *= 1000
    hdus = [
        table_hdu(calibration, mission_file.MISSION_EXTENSION, units),
        table_hdu(status, mission_file.STATUS_EXTENSION),
    ]
    write_fits(tmp_path / "aux.fits", hdus)
    relation = api.read_relation(tmp_path / "aux.fits")
    assert relation.energy(5, position=1) == pytest.approx(3.145)  # as it was before
    assert np.allclose(relation.gain[6:], rows["GAIN"][6:], rtol=1e-6)
    assert np.array_equal(relation.status, rows["STATUS"])
    assert np.isnan(relation.sigma(7, 80.0)) and np.isnan(relation.covariance).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pixel": [3, 6400], "channel": 1}, "pixel 6400 is not in the relation"),
        ({"pixel": -1, "channel": 1}, "pixel -1 is not in the relation"),
        ({"pixel": 3, "channel": 1.5}, "a channel is a whole number"),
        ({"pixel": 3}, "give either a channel or"),
        ({"pixel": 3, "channel": 1, "position": 1}, "give either a channel or"),
        ({"pixel": [3, 4], "channel": [1, 2, 3]}, "as many as pixels, or one for all"),
        ({"pixel": [True, False], "channel": 1}, "pixel must be numbers of pixels"),
        ({"pixel": np.ma.array([3, 4], mask=[0, 1]), "channel": 1}, "none of them masked"),
        ({"pixel": 3, "channel": np.ma.array([3, 4], mask=[0, 1])}, "a channel is a whole number"),
        ({"pixel": 3, "position": "a"}, "give numbers"),
    ],
)
def test_a_mistake_about_pixel_or_channel(relation, arguments, said):
    with pytest.raises(InputError, match=said):
        relation.energy(**arguments)


def test_what_is_no_relation_is_not_written(relation, tmp_path):
    for other in (relation.table, {"GAIN": [1]}, None):
        with pytest.raises(InputError, match="relation must be a Relation"):
            api.write_relation(tmp_path / "relation.fits", other)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="give the path of a file"):
        api.read_relation(None)


def test_another_file_is_no_relation(tmp_path):
    write_fits(tmp_path / "other.fits", [table_hdu(np.zeros(1, [("A", "f8")]), "OTHER")])
    with pytest.raises(InputError, match="has neither RELATION nor AUX-ECL-PIX-CAL"):
        api.read_relation(tmp_path / "other.fits")


def test_units_of_a_relation_of_another_maker(tmp_path, caplog):
    rows = np.zeros(2, [("DETNUM", "i2"), ("GAIN", "f8"), ("OFFSET", "f8"), ("STATUS", "i4")])
    rows["DETNUM"], rows["GAIN"], rows["OFFSET"] = [3, 7], 145.0, 3.0
    path = tmp_path / "relation.fits"
    write_fits(path, [table_hdu(rows, "RELATION", {"GAIN": "eV/chan", "OFFSET": "keV"})])
    relation = api.read_relation(path)
    assert relation.energy(3, 100) == pytest.approx(17.5725) and not caplog.records
    api.write_relation(tmp_path / "again.fits", relation)
    assert api.read_relation(tmp_path / "again.fits").gain == pytest.approx(0.145)
    rows["GAIN"] = 0.145
    write_fits(path, [table_hdu(rows, "RELATION", {"OFFSET": "keV"})])
    api.read_relation(path)
    assert "GAIN without a unit, taken to be in keV/chan" in caplog.text
    rows["DETNUM"] = 3
    write_fits(path, [table_hdu(rows, "RELATION")])
    with pytest.raises(InputError, match=r"relation\.fits: pixel 3 occurs twice"):
        api.read_relation(path)


def test_the_status_of_the_mission_lacks_a_pixel(rows, tmp_path):
    previous = np.full(6400, 0.145), np.full(6400, 3.0)
    calibration, status = mission_file.mission_tables(rows, previous)
    hdus = [
        table_hdu(calibration, mission_file.MISSION_EXTENSION),
        table_hdu(status[1:], mission_file.STATUS_EXTENSION),
    ]
    write_fits(tmp_path / "aux.fits", hdus)
    with pytest.raises(InputError, match="lacks pixel 0; obtain a fresh copy"):
        api.read_relation(tmp_path / "aux.fits")


# --- spectra --------------------------------------------------------------------------------------


def test_prior_as_numbers_or_arrays_and_numbers_of_pixels():
    camera = make_camera(24, 10_000, seed=3)
    relation = api.calibrate_spectra(camera.counts, 0.145, 3.0, LINES)
    numbered = api.calibrate_spectra(camera.counts, *prior(24), "all_blocks", pixel=range(100, 124))
    assert relation.pixel.tolist() == list(range(24))
    assert numbered.pixel.tolist() == list(range(100, 124))
    assert np.array_equal(relation.gain, numbered.gain, equal_nan=True)
    valid = has_valid_fit(relation.status)
    pull = (relation.gain - camera.gain_true) / relation.gain_err
    assert valid.sum() >= 20 and np.abs(pull[valid]).max() < 5


@pytest.mark.parametrize(
    ("counts", "gain", "said"),
    [
        (np.zeros((2, 1024)), 0.145, "must be whole numbers"),
        (np.zeros(1024, int), 0.145, "of the shape"),
        (np.full((2, 1024), -1), 0.145, "from 0 on"),
        (np.zeros((2, 1024), int), [0.145] * 3, "one value for each of the 2 pixels"),
    ],
)
def test_a_mistake_about_spectra(counts, gain, said):
    with pytest.raises(InputError, match=said):
        api.calibrate_spectra(counts, gain, 3.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"gain": np.nan}, "the gain nan is outside of the range of ECLAIRs; allowed: 0.05 to 0.5"),
        ({"gain": 0}, "the gain 0 is outside"),
        ({"gain": [0.145, -0.145]}, "the gain -0.145 is outside"),
        ({"gain": 145}, "the gain 145 is outside of the range"),
        ({"offset": np.inf}, "the offset inf is outside of the range of ECLAIRs; allowed: -20 to"),
        ({"gain": "x"}, "gain and offset must be numbers"),
        ({"gain": np.ma.masked_array([0.145, 0.145], [True, False])}, "the gain nan is outside"),
        ({"gain": 145 * units.m}, "unit 'm', which is no energy per channel"),
        ({"pixel": [3, 3]}, "pixel 3 occurs twice"),
        ({"pixel": [3, -7]}, "DETNUM -7 is not the number of a pixel"),
        ({"pixel": [3, 3.7]}, "DETNUM 3.7 is not the number of a pixel"),
        ({"pixel": [3, 6400]}, "pixel 6400 is not one of ECLAIRs, which has 0 to 6399"),
        ({"pixel": [3]}, "one number for each of the 2 pixels"),
        ({"pixel": [True, False]}, "must be the number of a pixel, or a list of them"),
        ({"counts": np.zeros((0, 1024), int)}, "counts has no pixel"),
        ({"counts": np.zeros((2, 1023), int)}, "counts has 1023 channels, and ECLAIRs has 1024"),
        ({"counts": np.zeros((1024, 2), int)}, r"give spectra \(n_pixels, n_channels\)"),
        ({"counts": np.full((2, 1024), 2**31)}, "more than 2\\^31 in a channel"),
        ({"counts": [[1, 2], [3]]}, "counts has rows of different lengths"),
        ({"min_counts": "many"}, "min_counts must be a whole number from 0 on, and is 'many'"),
        ({"min_counts": -1}, "min_counts must be a whole number from 0 on"),
        ({"min_counts": True}, "min_counts must be a whole number"),
        ({"pvalue_limit": 5}, "pvalue_limit must be a number from 0 to 1, and is 5"),
        ({"pvalue_limit": np.nan}, "pvalue_limit must be a number from 0 to 1"),
        ({"lines": 3}, "line table: give a LineTable, the name of a table of pixelcal, or a path"),
    ],
)
def test_a_mistake_about_the_prior_or_numbers(arguments, said):
    given = {"counts": np.zeros((2, 1024), int), "gain": 0.145, "offset": 3.0} | arguments
    with pytest.raises(InputError, match=said):
        api.calibrate_spectra(**given)


@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        (145 * units.eV / units.chan, 3.0 * units.keV),
        (145 * units.eV, 3000.0 * units.eV),
        (Column([0.145] * 2, unit="keV/chan"), np.array(3.0, ">f4")),
        (units.chan / (0.145 * units.keV), -3.0 / 0.145 * units.chan),
    ],
)
def test_a_prior_in_any_unit(gain, offset):
    found = prior_relation(gain, offset, 2, ECLAIRS, "here")
    assert np.allclose(found, [[0.145] * 2, [3.0] * 2]) and found[0].flags.c_contiguous


def test_counts_as_a_fits_file_has_them():
    """astropy reads big-endian columns, which compiled code does not take."""
    camera = make_camera(8, 10_000, seed=3)
    native, big = (
        api.calibrate_spectra(camera.counts.astype(form), 0.145, 3.0, LINES)
        for form in ("=i4", ">i4")
    )
    assert np.array_equal(native.gain, big.gain, equal_nan=True)
    response = api.learn_response(camera.counts.astype(">i2"), 0.145, 3.0, LINES)
    assert np.isfinite(response.line_strength).all()


def test_masked_counts_are_refused():
    counts = np.ma.masked_equal(np.arange(8).reshape(2, 4), 3)
    with pytest.raises(InputError, match="counts has masked values; leave them out"):
        api.calibrate_spectra(counts, 0.145, 3.0)


def test_a_table_that_there_is_not():
    with pytest.raises(InputError, match="none"):
        api.read_line_table("none")


# --- charges --------------------------------------------------------------------------------------


def test_charges_with_a_dark_run():
    rng = np.random.default_rng(6)
    runs = [
        np.rint(rng.normal(100, 3, (2, 4000)) + 20 * rng.poisson(light, (2, 4000))).astype(int)
        for light in (1.0, 0.0)
    ]
    fits = api.fit_spe_charges(runs, dark=[False, True])
    assert (abs(fits["PE"] - 20) < 4 * fits["PE_ERR"]).all() and (fits["LAMBDA"][:, 1] == 0).all()
    assert fits["PED_NOISE"].unit == fits["PE"].unit
    with pytest.raises(InputError, match="one value for each run"):
        api.fit_spe_charges(runs, dark=[True])


def test_charges_in_any_order_of_runs_and_any_unit():
    rng = np.random.default_rng(2)
    runs = [
        np.array(run) for run in zip(*(draw_charges(rng, Sipm()) for _ in range(3)), strict=True)
    ]
    fits = api.fit_spe_charges(runs)
    assert (fits["STATUS"] == 0).all()
    assert (np.abs(fits["PE"] - 30.0) < 5 * fits["PE_ERR"]).all()
    back = api.fit_spe_charges(runs[::-1], pixel=[7, 8, 9])
    assert back["PIXEL"].tolist() == [7, 8, 9]
    assert np.allclose(back["PE"], fits["PE"], rtol=1e-4)
    assert np.allclose(back["LAMBDA"], fits["LAMBDA"][:, ::-1], rtol=1e-4)
    scaled = api.fit_spe_charges([0.5 * run for run in runs], step=0.5)
    assert np.allclose(scaled["PE"], 0.5 * fits["PE"], rtol=1e-6)


@pytest.mark.parametrize(
    ("runs", "step", "said"),
    [
        ([], None, "a list of runs"),
        ([np.zeros((2, 9)), np.zeros((3, 9))], None, "with the same pixels"),
        ([np.full((2, 900), 1.5)], 1.0, "not multiples of the step 1"),
        ([np.full((2, 900), 1.5)], np.nan, "the step nan cannot be that of charges"),
        ([np.full((2, 900), 1.5)], -1.0, "the step -1.0 cannot be that of charges"),
        ([np.full((2, 900), 3e9)], None, "more steps than 32 bits hold"),
        ([np.ones((2, 9)), np.full((2, 9), np.nan)], None, "run 1 has no finite charge"),
        ([np.full((2, 900), "1")], None, "charges must be numbers"),
        ([np.zeros((0, 900))], None, "a list of runs"),
        (None, None, "charges must be a list of runs, not NoneType"),
        ({"dark": np.zeros((2, 9))}, None, "charges must be a list of runs, not dict"),
        ([[[1, 2], [3]]], None, "rows of different lengths"),
        ([np.full((2, 900), 1.5)], "1", "the step 1 cannot be that of charges"),
    ],
)
def test_a_mistake_about_charges(runs, step, said):
    with pytest.raises(InputError, match=said):
        api.fit_spe_charges(runs, step)


@pytest.mark.parametrize(
    ("pixel", "said"),
    [
        ([7], "pixel must have one number for each of the 2 pixels"),
        ([7, 7], "pixel 7 occurs twice"),
        ([7, -1], "pixel must be numbers from 0 to 32767"),
        ([7, 8.5], "pixel must be numbers from 0 to 32767"),
    ],
)
def test_a_mistake_about_numbers_of_pixels(pixel, said):
    with pytest.raises(InputError, match=said):
        api.fit_spe_charges([np.ones((2, 900), int)], pixel=pixel)


SETTINGS = [
    ({"dark": [0, 1]}, "give dark one value for each run, True for one without light"),
    ({"dark": [True]}, "give dark one value for each run"),
    ({"dark": ["no", "no"]}, "give dark one value for each run"),
    ({"min_flashes": None}, "min_flashes must be a whole number from 0 on"),
    ({"pvalue_limit": 2}, "pvalue_limit must be a number from 0 to 1"),
    ({"peak_to_valley": np.nan}, "peak_to_valley must be a number from 1 on"),
    ({"pe_guess": "30"}, "pe_guess must be a number from 0 on, and is '30'"),
    ({"pe_guess": -3}, "pe_guess must be a number from 0 on"),
]


@pytest.mark.parametrize(("settings", "said"), SETTINGS)
def test_a_mistake_about_settings_of_charges(settings, said):
    with pytest.raises(InputError, match=f"fit_spe_charges: {said}"):
        api.fit_spe_charges([np.ones((2, 900), int), np.zeros((2, 900), int)], **settings)


SAME_EVENTS = {
    "the same run twice": (lambda a, b: [a, a], "runs 0 and 1: hold the same events"),
    "a run in another": (lambda a, b: [a, np.hstack([a, b])], "runs 0 and 1: hold the same events"),
    "events twice": (lambda a, b: [np.hstack([a, a[:, :500]]), b], "500 of its 5500 events are"),
    "floats": (lambda a, b: [a + 0.25, a[:, 100:3000] + 0.25], "2900 of 2900"),
}


@pytest.mark.parametrize("kind", SAME_EVENTS)
def test_events_count_once(kind, flashes):
    """As in ready charges of the workflow; light and errors would be wrong, and nothing shows."""
    make, said = SAME_EVENTS[kind]
    other = np.array(
        [draw_charges(np.random.default_rng(50 + i), Sipm())[0][:5000] for i in range(10)]
    )
    with pytest.raises(InputError, match=f"fit_spe_charges: .*{said}"):
        api.fit_spe_charges(make(flashes, other))


@pytest.fixture(scope="module")
def flashes():
    """Whole charges (10, 5000) of pixels with 30 adu per photoelectron."""
    rng = np.random.default_rng(4)
    return np.array([draw_charges(rng, Sipm())[0][:5000] for _ in range(10)])


@pytest.mark.parametrize("form", [">i4", "f4", ">f4"])
def test_whole_charges_of_any_type_are_fitted_alike(flashes, form):
    expected = api.fit_spe_charges([flashes])
    fits = api.fit_spe_charges([flashes.astype(form)])
    assert (expected["STATUS"] == 0).all()
    assert np.array_equal(fits["PE"], expected["PE"])


def test_missing_charges_are_left_out_and_counted(flashes, caplog):
    """As if they were not there, whether they are NaN, infinite or masked."""
    expected = api.fit_spe_charges([flashes[:, 50:]])
    assert not caplog.records
    gone = np.zeros(flashes.shape, bool)
    gone[:, :50] = True
    for run in (
        np.where(gone, np.nan, flashes),
        np.where(gone, np.inf, flashes),
        np.ma.masked_array(flashes, gone),
    ):
        caplog.clear()
        fits = api.fit_spe_charges([run])
        assert np.array_equal(fits["PE"], expected["PE"])
        (told,) = caplog.messages
        assert "500 of 50000 charges of run 0 are missing" in told


def test_charges_in_photoelectrons_are_told_of(flashes, caplog):
    api.fit_spe_charges([flashes / 30.0])
    assert any("few distinct charges" in told for told in caplog.messages)
    caplog.clear()
    fits = api.fit_spe_charges([flashes / 30.0], step=1 / 30.0)
    assert not caplog.records and (fits["STATUS"] == 0).all()


@pytest.mark.parametrize("nsb", [-1, np.nan, np.inf, [0.1, -0.1], None, "dark"])
def test_a_night_sky_that_there_is_not(nsb):
    with pytest.raises(InputError, match="nsb must be photoelectrons per ns and pixel, from 0 on"):
        api.required_charge_resolution([100.0, 200.0], nsb)
