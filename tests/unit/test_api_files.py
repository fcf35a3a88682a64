"""The part of the api that works on files: the numbers of the workflow, without the workflow."""

import copy
import shutil
from dataclasses import replace
from datetime import datetime
from inspect import signature

import numpy as np
import pytest
import yaml
from astropy.time import Time
from helpers import histories, toy_camera
from helpers.paths import LINES, PROJECT, RESOURCES
from numpy.testing import assert_array_equal

from pixelcal import api, api_files
from pixelcal.energy.history.tables import EPOCHS, read_history
from pixelcal.energy.response.io import write_response
from pixelcal.errors import InputError
from pixelcal.io.tables import read_columns, table_hdu, write_fits

SCHEMA = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text("utf-8"))
PRIOR = {"gain": 0.145, "offset": 3.0}


def defaults(part):
    """The defaults of the keys of a part of the schema, and of those below."""
    below = part.get("properties")
    return {key: defaults(one) for key, one in below.items()} if below else part["default"]


def assert_alike(part, configured):
    """A part of a schema says what that of the configuration says, of the keys that it has."""
    for rule, value in part.items():
        if rule != "properties":
            assert configured[rule] == value, rule
    for key, below in part.get("properties", {}).items():
        assert_alike(below, configured["properties"][key])


def test_defaults_are_those_of_the_configuration():
    of_history = defaults(SCHEMA["properties"]["history"])
    assert {
        key: of_history[key] for key in api_files.HISTORY_SETTINGS
    } == api_files.HISTORY_SETTINGS
    assert_alike(api_files.HISTORY_SCHEMA, SCHEMA["properties"]["history"])
    fit = SCHEMA["properties"]["fit"]["properties"]
    for function in (api.calibrate_spectra, api.learn_response, api.refit_pixels):
        given = signature(function).parameters
        assert given["min_counts"].default == fit["min_counts"]["default"]
        if "pvalue_limit" in given:
            assert given["pvalue_limit"].default == fit["pvalue_limit"]["default"]


def test_everything_exported_is_on_the_page():
    page = (PROJECT / "docs" / "api.md").read_text("utf-8")
    for name in api.__all__:
        assert f":: {name}\n" in page and f"   {name}\n" in page, name
        assert getattr(api, name).__doc__.count("\n") > 5, name


# --- fitting again --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camera():
    return api.make_camera(24, 10_000, seed=3)


@pytest.fixture(scope="module")
def response(camera):
    return api.learn_response(camera.counts, **PRIOR, lines=LINES)


@pytest.fixture(scope="module")
def relation(camera, response):
    numbers = np.arange(100, 124)
    return api.calibrate_spectra(
        camera.counts, **PRIOR, lines=LINES, response=response, pixel=numbers
    )


@pytest.fixture(scope="module")
def folder(camera, response, tmp_path_factory):
    """The folder of an exposure, its pixels numbered from 100 on and in falling order."""
    made = tmp_path_factory.mktemp("exposure")
    rows = np.zeros(24, [("DETNUM", "i2"), ("COUNTS", "i4", 1024)])
    rows["DETNUM"], rows["COUNTS"] = np.arange(123, 99, -1), camera.counts[::-1]
    write_fits(made / "spectra.fits", [table_hdu(rows, "SPECTRA")])
    write_response(made / "response.fits", response, api.read_line_table(LINES), [], None)
    shutil.copy(LINES, made / "lines.csv")
    return made


def test_a_response_learnt_apart_is_that_of_the_fit(camera, relation):
    at_once = api.calibrate_spectra(camera.counts, **PRIOR, lines=LINES)
    for name in ("GAIN", "OFFSET", "GAIN_ERR", "PVALUE", "STATUS"):
        assert_array_equal(at_once.table[name], relation.table[name], err_msg=name)


def test_a_response_by_its_path(camera, folder, relation):
    read = api.calibrate_spectra(
        camera.counts, **PRIOR, lines=LINES, response=folder / "response.fits"
    )
    assert_array_equal(read.gain, relation.gain)


def moved(table, places, by=0.3):
    """A line table with lines at other energies, as if they had been measured anew."""
    energy = table.energy_keV.copy()
    energy[places] += by
    return replace(table, energy_keV=energy)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("strongest", "was learnt with another line table"),
        (moved(api.read_line_table(LINES), slice(-2, None)), "with other line energies"),
    ],
)
def test_a_response_of_another_line_table(camera, response, folder, lines, said):
    unknown = replace(response, table=None)
    for given in (response, folder / "response.fits", *([unknown] if lines == "strongest" else [])):
        with pytest.raises(InputError, match=said):
            api.calibrate_spectra(camera.counts, **PRIOR, lines=lines, response=given)


def test_what_is_no_response(camera):
    with pytest.raises(InputError, match="response must be what learn_response returned"):
        api.calibrate_spectra(camera.counts, **PRIOR, lines=LINES, response={})


def test_pixels_of_a_folder_fitted_again(folder, relation):
    again = api.refit_pixels(folder, [107, 100])
    assert again.pixel.tolist() == [107, 100]
    for name in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV", "STATUS"):
        assert_array_equal(again.table[name], relation.table[name][[7, 0]], err_msg=name)
    assert again.table["GAIN"].unit == relation.table["GAIN"].unit


def test_what_is_given_counts(folder):
    (status,) = api.refit_pixels(folder, 107, min_counts=10**6).status
    assert status & 2
    (far,) = api.refit_pixels(folder, 107, gain=0.3).status  # nothing is found there
    assert far != 0


def test_a_pixel_that_is_not_in_the_folder(folder):
    with pytest.raises(InputError, match="pixel 7 is not in .*; it has 24 pixels from 100 to 123"):
        api.refit_pixels(folder, [100, 7])


@pytest.mark.parametrize(
    ("pixel", "arguments", "said"),
    [
        (107.5, {}, "refit_pixels: DETNUM 107.5 is not the number of a pixel"),
        ([], {}, "refit_pixels: pixel must be the number of a pixel, or a list"),
        ([107, 107], {}, "refit_pixels: pixel 107 occurs twice"),
        ([100, 101, 102], {"gain": [0.145, 0.146]}, "one value for each of the 3 pixels"),
        (107, {"gain": 145}, "refit_pixels: the gain 145 is outside of the range"),
        (107, {"offset": np.nan}, "refit_pixels: the offset nan is outside"),
    ],
)
def test_a_mistake_about_pixels_to_fit_again(folder, pixel, arguments, said):
    with pytest.raises(InputError, match=said):
        api.refit_pixels(folder, pixel, **arguments)


def test_a_folder_without_a_response(folder, tmp_path):
    shutil.copy(folder / "lines.csv", tmp_path / "lines.csv")
    with pytest.raises(InputError, match=r"response\.fits"):
        api.refit_pixels(tmp_path, 100)


# --- writing --------------------------------------------------------------------------------------


def test_a_relation_written_and_read(relation, tmp_path):
    path = tmp_path / "week12" / "relation.fits"
    api.write_relation(path, relation, start="2025-03-17", stop="2025-03-24T12:00:00")
    back = api.read_relation(path)
    for name in relation.table.colnames:
        assert_array_equal(back.table[name], relation.table[name], err_msg=name)
        assert back.table[name].unit == relation.table[name].unit
    header = read_columns(path, "RELATION").meta
    assert header["EXPNAME"] == "week12" and header["INSTRUME"] == "ECL"
    assert header["DATE-OBS"] == "2025-03-17T00:00:00.000"
    assert header["TSTOP"] - header["TSTART"] == 7.5 * 86400.0


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"start": "2025-03-17"}, "give both start and stop"),
        ({"start": "2025-03-17", "stop": "2025-03-17"}, "is not after start"),
        ({"start": "17 March", "stop": "2025-03-17"}, "date '17 March' is not a date"),
        ({"start": 2025, "stop": 2026}, "date 2025 is not a date; write it as"),
        ({"start": np.datetime64("NaT"), "stop": "2025-03-17"}, "is not a date; write it as"),
        ({"start": Time(["2025-03-17"] * 2), "stop": "2025-03-17"}, "is not a date; write it as"),
        ({"name": "März"}, "name 'März' cannot be in a FITS header"),
        ({"name": 12}, "name 12 cannot be in a FITS header"),
    ],
)
def test_a_mistake_about_times(relation, tmp_path, times, said):
    with pytest.raises(InputError, match=said):
        api.write_relation(tmp_path / "relation.fits", relation, **times)
    assert not (tmp_path / "relation.fits").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Woche März", "Woche Marz"), ("2025w12", "2025w12"), ("週", "UNKNOWN")],
)
def test_a_folder_of_any_name(relation, tmp_path, folder, name):
    path = tmp_path / folder / "relation.fits"
    api.write_relation(path, relation)
    assert read_columns(path, "RELATION").meta["EXPNAME"] == name


@pytest.mark.parametrize(
    "form",
    [str, datetime.fromisoformat, lambda text: Time(text).tt, np.datetime64],
)
def test_times_of_any_kind(relation, tmp_path, form):
    path = tmp_path / "relation.fits"
    api.write_relation(
        path, relation, start=form("2025-03-17T00:00:00"), stop=form("2025-03-24T12:00:00")
    )
    header = read_columns(path, "RELATION").meta
    assert header["DATE-OBS"] == "2025-03-17T00:00:00.000"
    assert header["TSTOP"] - header["TSTART"] == 7.5 * 86400.0


def test_a_relation_without_status_is_not_written(tmp_path):
    relation = api.Relation(api.Table({"DETNUM": [1], "GAIN": [0.1], "OFFSET": [3.0]}))
    with pytest.raises(InputError, match="has no STATUS"):
        api.write_relation(tmp_path / "relation.fits", relation)


# --- many epochs ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Relations of 12 weeks of 64 pixels, of which pixel 9 jumps by 2 keV in the sixth."""
    folder = tmp_path_factory.mktemp("weeks")
    history = histories.simulate_history(64, 12, seed=2, pixel_jumps=[(9, 5, 2.0)])
    return folder, histories.write_relations(folder, history)


def test_a_history_is_that_of_the_workflow(weeks):
    folder, paths = weeks
    made = histories.write_history(folder, paths)
    alarms = api.write_history(folder / "again" / "history.fits", paths[::-1])
    assert "\n".join(alarms) + "\n" == made["alarms"].read_text("utf-8")
    theirs, ours = read_history(made["history"]), read_history(folder / "again" / "history.fits")
    for name in theirs.rows.colnames:
        assert_array_equal(ours.rows[name], theirs.rows[name], err_msg=name)


def test_the_history_of_a_pixel(weeks):
    folder, paths = weeks
    path = folder / "one" / "history.fits"
    api.write_history(path, paths)
    table = api.pixel_history(path, 9)
    assert table["epoch"].tolist() == [f"week{number:02d}" for number in range(12)]
    single = [api.read_relation(one) for one in paths]
    assert_array_equal(
        table["gain"], np.array([one.gain[9] for one in single], np.float32).astype("f4")
    )
    assert table["jump"].tolist() == [0] * 5 + [1] + [0] * 6
    assert np.allclose(np.diff(table["time"].mjd), histories.WEEK_D)
    assert str(table["best_offset"].unit) == "keV" and str(table["gain"].unit) == "keV / chan"
    for number in (0, 7):
        found = api.relation_at(path, 9, table["time"][number].isot)
        assert found.gain == table["best_gain"][number]
        assert found.offset_err == table["best_offset_err"][number]
        assert api.relation_at(path, 9, table["time"][number]).gain == found.gain
    for ask in (
        lambda: api.pixel_history(path, [1, 2]),
        lambda: api.relation_at(path, [9], "2025"),
    ):
        with pytest.raises(InputError, match="is not in the history, which has 64 pixels"):
            ask()
    with pytest.raises(InputError, match="pixel 64 is not in the history, which has 64 pixels"):
        api.pixel_history(path, 64)


def test_settings_of_a_history_that_differ(weeks):
    folder, paths = weeks
    loud, quiet = (
        api.write_history(folder / name / "history.fits", paths, settings=settings)
        for name, settings in (
            ("loud", None),
            ("quiet", {"alarms": {"camera_keV": 9.0, "module_keV": 9.0, "pixel_keV": 9.0}}),
        )
    )
    assert len(quiet) <= len(loud)
    rare = {"publication": {"requirement_fraction": 0.5, "pixels": 64}}
    api.write_history(folder / "rare" / "history.fits", paths, settings=rare)
    often, once = (
        read_columns(folder / name / "history.fits", EPOCHS)["PUBLISH"].sum()
        for name in ("loud", "rare")
    )
    assert often >= 2 and once == 1


def test_a_setting_alone_and_paths_of_a_generator(weeks):
    folder, paths = weeks
    one, whole = (
        api.write_history(folder / name / "history.fits", (path for path in paths), settings=given)
        for name, given in (
            ("one", {"alarms": {"pixel_keV": np.float32(9.0)}}),
            ("whole", {"alarms": {"camera_keV": 0.05, "module_keV": 0.1, "pixel_keV": 9.0}}),
        )
    )
    assert one == whole


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alarm": {}}, "settings: alarm: .* unknown key; did you mean alarms"),
        ({"alarms": {"pixel": 0.1}}, "alarms.pixel: 0.1 is set under an unknown key"),
        (
            {"publication": {"requirement_fraction": 50}},
            "requirement_fraction: 50 is not allowed; allowed: at most 10",
        ),
        ({"false_alarms": -1}, "false_alarms: -1 is not allowed; allowed: more than 0"),
        ({"false_alarms": np.nan}, "must be keys with finite numbers"),
        ({"false_alarms": "few"}, "allowed: a number"),
        ({"publication": {"pixels": 0.5}}, "pixels: 0.5 is not allowed; allowed: a whole number"),
        ({"alarms": 0.1}, "alarms: 0.1 is not allowed; allowed: keys with values"),
        ([0.1], "the top level: .* is not allowed"),
        ({"alarms": object()}, "must be keys with finite numbers"),
    ],
)
def test_a_mistake_about_settings(weeks, tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        api.write_history(tmp_path / "history.fits", weeks[1], settings=settings)


@pytest.mark.parametrize("relations", ["relation.fits", None, [1, 2]])
def test_relations_are_a_list_of_paths(tmp_path, relations):
    with pytest.raises(InputError, match="relations must be a list of paths"):
        api.write_history(tmp_path / "history.fits", relations)


def test_another_camera(camera, tmp_path):
    stix = RESOURCES / "instruments" / "stix.yaml"
    relation = api.calibrate_spectra(camera.counts, **PRIOR, lines=LINES)
    api.write_relation(tmp_path / "relation.fits", relation, instrument=str(stix))
    assert read_columns(tmp_path / "relation.fits", "RELATION").meta["INSTRUME"] == "STIX"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected keys with values at the top level"),
        ("- a\n- b\n", "expected keys with values at the top level"),
        ("a: [1\n", "is not YAML"),
        ("titel: Toy\n", "titel: .* is set under an unknown key; did you mean title"),
        (None, "relation.gain_range_keV: .* does not rise"),
    ],
)
def test_an_instrument_file_with_a_mistake(relation, tmp_path, text, said):
    settings = copy.deepcopy(toy_camera.INSTRUMENT)
    settings["relation"]["gain_range_keV"] = settings["relation"]["gain_range_keV"][::-1]
    path = toy_camera.write_toy_camera(tmp_path / "toy")
    counts = np.zeros((2, 1024), int)
    path.write_text(yaml.safe_dump(settings) if text is None else text, encoding="utf-8")
    for call in (
        lambda: api.calibrate_spectra(counts, 0.145, 3.0, LINES, instrument=path),
        lambda: api.write_relation(tmp_path / "relation.fits", relation, instrument=str(path)),
        lambda: api.write_history(tmp_path / "history.fits", [], instrument=path),
        lambda: api.refit_pixels(tmp_path, 3, instrument=path),
    ):
        with pytest.raises(InputError, match=said):
            call()


def test_an_instrument_that_is_none(relation, tmp_path):
    with pytest.raises(InputError, match="neither an instrument of pixelcal nor a file"):
        api.write_relation(tmp_path / "relation.fits", relation, instrument=None)
