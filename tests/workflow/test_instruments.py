"""Instrument files: those that are shipped are in order, and a mistake is one line."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers.event_files import EPOCH, events, pira
from helpers.instruments import ECLAIRS, SETTINGS
from helpers.paths import PIXEL_MAP, SCRIPTS, SHARED

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.binning import bin_events
from pixelcal.energy.events.good_times import good_time_of
from pixelcal.energy.events.reader import detnum_of_positions, open_event_files, open_events
from pixelcal.energy.lines import read_line_table
from pixelcal.errors import InputError
from pixelcal.io.instruments import INSTRUMENTS, SCHEMA, load_instrument
from pixelcal.io.resources import shipped_or_given
from pixelcal.workflow.instruments import instrument_settings

SHIPPED = sorted(path.stem for path in INSTRUMENTS.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_instrument_is_in_order(name):
    instrument_settings(name)
    instrument = load_instrument(name)
    pixel_map = read_pixel_map(shipped_or_given(instrument.pixel_map))
    assert pixel_map["DETNUM"].tolist() == list(range(instrument.n_pixels))
    read_line_table(shipped_or_given(instrument.lines))
    text = (INSTRUMENTS / f"{name}.yaml").read_text()
    assert text.startswith("# ") and instrument.instrume


def described(schema, where=""):
    """Every key of the schema with its description."""
    for key, part in schema.get("properties", {}).items():
        yield f"{where}{key}", part.get("description")
        yield from described(part, f"{where}{key}.")
        yield from described(part.get("items", {}), f"{where}{key}[].")
        others = part.get("additionalProperties")
        yield from described(others if isinstance(others, dict) else {}, f"{where}{key}.*.")


def test_every_key_says_what_it_is():
    keys = dict(described(yaml.safe_load(SCHEMA.read_text())))
    assert "layouts.*.rebin" in keys and "requirement.limits[].error_keV" in keys
    assert not [key for key, text in keys.items() if not text]


def changed(path, value):
    """The settings of ECLAIRs with one of them changed, or removed where the value is None."""
    settings = yaml.safe_load((INSTRUMENTS / "eclairs.yaml").read_text())
    *groups, key = path.split(".")
    target = settings
    for group in groups:
        target = target[group]
    if value is None:
        del target[key]
    else:
        target[key] = value
    return settings


MISTAKES = {
    "unknown key": ("camera.pixel", 6400, ("camera.pixel", "pixels")),
    "missing key": ("camera.pixels", None, ("camera.pixels", "missing")),
    "wrong type": ("camera.channels", "many", ("camera.channels", "many")),
    "no pixel": ("camera.pixels", 0, ("camera.pixels", "0")),
    "unknown material": ("detector.material", "GaAs", ("detector.material", "CdTe")),
    "gain out of its range": ("relation.gain_keV", 0.9, ("relation.gain_keV", "0.05 to 0.5")),
    "energies that fall": ("requirement.energies_keV", [80.0, 4.0], ("energies_keV", "rise")),
    "limits that fall": (
        "requirement.limits",
        [{"up_to_keV": 80.0, "error_keV": 0.3}, {"up_to_keV": 8.0, "error_keV": 0.5}],
        ("requirement.limits", "rise"),
    ),
    "layout not declared": ("layout", "other", ("layout", "'other'", "pira")),
    "layout without a value": (
        "layouts.pira.columns",
        {"pixel": "DETNUM"},
        ("layouts.pira.columns", "energy nor channel"),
    ),
    "required without a name": ("layouts.pira.required", ["row"], ("layouts.pira.required", "row")),
    "rows without a grid": ("camera.grid", {}, ("camera.grid", "row and column")),
    "no pixel map": ("pixel_map", "none.csv", ("pixel_map", "none.csv", "does not exist")),
    "no line table": ("lines", "none.csv", ("lines", "none.csv", "does not exist")),
}


@pytest.mark.parametrize(("path", "value", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(tmp_path, path, value, words):
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(InputError) as raised:
        instrument_settings(str(own))
    line = str(raised.value)
    assert line.startswith(f"instrument file {own}: ") and "\n" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [("title: [", "is not YAML"), ("title: a\ntitle: b\n", "duplicate key"), ("- a\n", "keys")],
)
def test_a_file_that_is_no_yaml(tmp_path, text, words):
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(InputError, match=words):
        instrument_settings(str(own))


def test_files_beside_the_instrument_file(tmp_path):
    (tmp_path / "map.csv").write_text(PIXEL_MAP.read_text())
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(changed("pixel_map", "map.csv")))
    settings = instrument_settings(str(own))
    assert settings["pixel_map"] == str(tmp_path / "map.csv")
    assert settings["lines"] == SETTINGS["lines"]


def test_an_instrument_that_is_not_there():
    with pytest.raises(InputError, match="eclairs, meddea, stix, or the path"):
        load_instrument("none")


# --- files of other cameras -----------------------------------------------------------------------


def test_events_of_another_camera(tmp_path):
    path = pira(tmp_path / "e.fits", events(10), EPOCH | {"INSTRUME": "STIX"})
    with pytest.raises(InputError, match=r"another camera \(INSTRUME STIX\)"):
        open_events(path, "pira", {}, instrument=ECLAIRS)


def real(*parts):
    path = SHARED.joinpath("real", *parts)
    if not path.exists():
        pytest.skip(f"{path} is missing: no real files here")
    return path


def test_the_list_of_nustar():
    for columns in ({}, {"channel": "PI"}):
        with pytest.raises(InputError) as raised:
            open_events(real("nustar", "monol_testA.evt"), "pira", columns, instrument=ECLAIRS)
        assert "INSTRUME FPM" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("stamp", ["055311", "083234"])
def test_the_photons_of_meddea_are_counted_where_they_are(stamp):
    meddea = load_instrument("meddea")
    path = real("meddea", f"padre_meddea_l0test_photon_20250504T{stamp}_v0.1.0.fits")
    photons = fits.getdata(path, "SCI")
    positions = detnum_of_positions(read_pixel_map(shipped_or_given(meddea.pixel_map)), meddea)
    files = open_event_files([path], "photon-list", {}, "all", instrument=meddea)
    n = meddea.n_pixels
    spectra = bin_events(
        files,
        np.arange(n),
        np.ones(n),
        np.zeros(n),
        good_time_of(files, None, []),
        "all",
        1,
        positions,
        instrument=meddea,
    )
    expected = np.zeros((n, meddea.n_channels), int)
    pixel = 12 * photons["asic"].astype(int) + photons["pixel"]
    np.add.at(expected, (pixel, photons["atod"].astype(int)), 1)
    assert expected.sum() == 10 and np.array_equal(spectra.counts, expected)


# --- nothing of one camera in the code ------------------------------------------------------------

ITS_NUMBERS = {6400, 80 * 80}
ALLOWED = ("energy/simulation/", "energy/results/mission_file.py", "api.py")


def constants(tree):
    """Numbers and texts of a module, docstrings left out."""
    texts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in texts:
            yield node.value


@pytest.mark.parametrize(
    "path",
    sorted((SCRIPTS / "pixelcal" / "energy").rglob("*.py"))
    + sorted((SCRIPTS / "energy").glob("*.py")),
    ids=lambda path: str(Path(path).relative_to(SCRIPTS)),
)
def test_no_constant_of_eclairs_is_in_the_code(path):
    if any(part in str(path) for part in ALLOWED):
        return
    found = [
        value
        for value in constants(ast.parse(path.read_text()))
        if value in ITS_NUMBERS or (isinstance(value, str) and re.search("eclairs", value, re.I))
    ]
    assert not found
