"""Instrument files: those that pixelcal brings, those of others, and mistakes in them."""

import ast
import copy

import numpy as np
import pytest
import yaml
from helpers import toy_camera
from helpers.instruments import ECLAIRS
from helpers.paths import PROJECT, SCRIPTS
from helpers.real_files import NUSTAR, real_file

from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.reader import detnum_of_positions, open_events
from pixelcal.energy.events.ready_spectra import read_ready_spectra
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.requirement import requirement_keV
from pixelcal.energy.response.materials import MATERIALS
from pixelcal.errors import InputError
from pixelcal.io.instruments import INSTRUMENTS, SCHEMA, load_instrument
from pixelcal.workflow.instruments import instrument_settings

SHIPPED = sorted(path.stem for path in INSTRUMENTS.glob("*.yaml"))


# --- those that pixelcal brings -------------------------------------------------------------------


def test_three_cameras_are_shipped():
    assert SHIPPED == ["eclairs", "meddea", "stix"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_camera_is_whole(name, monkeypatch, tmp_path):
    """Its map has all of its pixels, its table can be read; from any folder."""
    monkeypatch.chdir(PROJECT)
    settings = instrument_settings(name)
    camera = load_instrument(name)
    pixel_map = read_pixel_map(settings["pixel_map"])
    assert list(pixel_map["DETNUM"]) == list(range(camera.n_pixels))
    table = read_line_table(settings["lines"])
    least, most = camera.requirement.range_keV
    assert least < table.energy_keV.min() and table.energy_keV.max() < most
    assert camera.layout in camera.layouts and camera.material in MATERIALS
    at_ends = camera.gain_keV * camera.n_channels + camera.offset_keV
    assert at_ends > table.block_limits_keV.max(), "the lines are on the channels"
    if camera.n_rows:
        places = detnum_of_positions(pixel_map, camera)
        assert sorted(places[places >= 0]) == list(range(camera.n_pixels))
    monkeypatch.chdir(tmp_path)
    assert instrument_settings(name) == settings


def test_requirement_of_eclairs_is_what_the_code_had():
    """0.3 keV up to 80 keV, 0.5 keV above."""
    energies = (4.0, 80.0, 80.1, 150.0)
    limits = requirement_keV(np.array(energies), ECLAIRS.requirement).tolist()
    assert limits == [0.3, 0.3, 0.5, 0.5]


def parts(schema, where="the schema"):
    """Every part of a schema that describes the value of a key, with where it is."""
    for key, part in schema.get("properties", {}).items():
        yield f"{where}.{key}", part
        yield from parts(part, f"{where}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], f"{where}[{key}]")


def test_every_key_has_a_description():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    found = dict(parts(schema))
    assert len(found) > 40
    for where, part in found.items():
        assert part.get("description", "").strip().endswith("."), where


# --- one's own ------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """Path of the instrument file of a camera that nobody has built, with its tables beside it."""
    return toy_camera.write_toy_camera(tmp_path / "toy")


def test_ones_own_file_brings_its_tables(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = instrument_settings("toy/toycam.yaml")
    assert settings["pixel_map"] == "toy/toy_pixels.csv"
    assert settings["lines"] == "toy/toy_lines.csv"
    pixel_map = read_pixel_map(settings["pixel_map"])
    camera = load_instrument(str(own))
    assert len(pixel_map) == camera.n_pixels == 256 and camera.material == "CZT"
    assert read_line_table(settings["lines"]).energy_keV.max() == pytest.approx(136.47356)


def test_a_table_where_the_workflow_runs_goes_first(own, tmp_path, monkeypatch):
    (tmp_path / "toy_lines.csv").write_text((own.parent / "toy_lines.csv").read_text())
    monkeypatch.chdir(tmp_path)
    assert instrument_settings("toy/toycam.yaml")["lines"] == "toy_lines.csv"


def test_defaults_are_those_of_the_schema(own):
    settings = instrument_settings(str(own))
    assert settings["relation"]["search"] == {"gain": 0.06, "offset_keV": 2.5}
    assert settings["detector"]["response"]["tail_60"] == 0.1
    assert settings["layouts"]["hits"]["rebin"] == 1 and settings["mission_file"] is None


def changed(**changes):
    """The toy camera's settings with others; a key is a path of keys joined by two underscores."""
    settings = copy.deepcopy(toy_camera.INSTRUMENT)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = settings
        for key in above:
            place = place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return settings


def mistake(key, allowed, id, text=None, **changes):
    """A mistake, the key that the message names, and words of what it says to do."""
    text = yaml.safe_dump(changed(**changes)) if text is None else text
    return pytest.param(text, key, allowed, id=id)


HITS = "layouts__hits__columns"
MISTAKES = [
    mistake("titel", "did you mean title? allowed here: title", "unknown key", titel="X"),
    mistake("camera.pixel", "did you mean pixels", "unknown key inside", camera__pixel=3),
    mistake("title", "is missing", "missing key", title=None),
    mistake("camera.channels", "is missing", "missing key inside", camera__channels=None),
    mistake("camera.pixels", "at least 1", "no pixels", camera__pixels=0),
    mistake("camera.channels", "a whole number", "channels in words", camera__channels="many"),
    mistake("detector.material", "CdTe, CZT, Si, Ge", "material", detector__material="LaBr3"),
    mistake("relation.gain_range_keV", "does not rise", "gain range falls",
            relation__gain_range_keV=[0.08, 0.02]),
    mistake("relation.offset_range_keV", "does not rise", "offset range falls",
            relation__offset_range_keV=[5.0, -10.0]),
    mistake("relation.gain_range_keV", "at least 2", "range of one value",
            relation__gain_range_keV=[0.08]),
    mistake("relation.gain_range_keV", "at most 2", "range of three values",
            relation__gain_range_keV=[0.02, 0.04, 0.08]),
    mistake("relation.gain_keV", "allowed: 0.02 to 0.08", "gain out of range",
            relation__gain_keV=0.2),
    mistake("relation.offset_keV", "allowed: -10 to 5", "offset out of range",
            relation__offset_keV=9.0),
    mistake("requirement.energies_keV", "rising order", "energies fall",
            requirement__energies_keV=[60.0, 14.0]),
    mistake("requirement.energies_keV", "at least 1", "no energies", requirement__energies_keV=[]),
    mistake("requirement.range_keV", "rising order", "range falls",
            requirement__range_keV=[140.0, 5.0]),
    mistake("requirement.limits", "rising order", "limits fall",
            requirement__limits=[{"up_to_keV": 90.0, "error_keV": 0.3},
                                 {"up_to_keV": 80.0, "error_keV": 0.5}]),
    mistake("layout", "allowed: hits", "layout not declared", layout="photons"),
    mistake("layouts", "at least 1", "no layouts", layouts={}),
    mistake("layouts.hits.columns", "energy nor channel", "no energy, no channel",
            **{f"{HITS}__channel": None}),
    mistake("layouts.hits.columns", "go together", "row alone",
            layouts__hits__required=["channel"], **{f"{HITS}__column": None}),
    mistake("layouts.hits.columns", "camera.grid", "no grid", camera__grid=None),
    mistake("layouts.hits.columns", "camera.grid", "half a grid", camera__grid={"rows": 16}),
    mistake("layouts.hits.required", "energy", "required, without a name",
            layouts__hits__required=["energy"]),
    mistake("pixel_map", "'nowhere.csv' does not exist", "no pixel map", pixel_map="nowhere.csv"),
    mistake("lines", "'nowhere.csv' does not exist", "no line table", lines="nowhere.csv"),
    mistake("mission_file", "AUX-ECL-PIX-CAL, null", "mission file", mission_file="X"),
    mistake("line 2", "is not YAML", "not YAML", text="title: [\ncamera: }\n"),
    mistake("line 3", "duplicate key camera (first in line 2)", "duplicate key",
            text="title: X\ncamera: {}\ncamera: {}\n"),
    mistake("top level", "keys with values", "a list", text="- title\n"),
    mistake("top level", "keys with values", "empty", text=""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "allowed"), MISTAKES)
def test_a_mistake_is_one_line(text, key, allowed, own):
    own.write_text(text)
    with pytest.raises(InputError) as error:
        instrument_settings(str(own))
    said = str(error.value)
    assert "\n" not in said and len(said) < 400
    assert str(own) in said and allowed in said
    assert key in said.replace(str(own), "")


def test_a_name_that_is_no_camera():
    with pytest.raises(InputError, match="'hubble'.*allowed: eclairs, meddea, stix, or the path"):
        instrument_settings("hubble")


# --- files of another camera ----------------------------------------------------------------------

HEADERS = [
    ({"TELESCOP": "SVOM", "INSTRUME": "ECL"}, True),
    ({"TELESCOP": "SVOM", "INSTRUME": "eclairs "}, True),
    ({"INSTRUME": "UNKNOWN"}, True),
    ({}, True),
    ({"TELESCOP": "SVOM"}, True),
    ({"TELESCOP": "SOLO/STIX", "INSTRUME": "STIX"}, False),
    ({"TELESCOP": "SVOM", "INSTRUME": "MXT"}, False),
    ({"TELESCOP": "NuSTAR", "INSTRUME": "FPMA"}, False),
    ({"TELESCOP": "NuSTAR"}, True),
]


@pytest.mark.parametrize(("header", "accepted"), HEADERS)
def test_a_header_of_another_camera_is_refused(header, accepted):
    if accepted:
        ECLAIRS.check_header(header, "file x")
        return
    with pytest.raises(InputError, match="file x: is of another camera.*ECLAIRs") as error:
        ECLAIRS.check_header(header, "file x")
    assert "\n" not in str(error.value)


def test_nustars_list_is_refused():
    path = real_file(NUSTAR)
    for layout, columns in (("pira", {}), ("ecl-evt-cal", {}), ("pira", {"channel": "PI"})):
        with pytest.raises(InputError, match="is of another camera .INSTRUME FPMA") as error:
            open_events(path, layout, columns, instrument=ECLAIRS)
        said = str(error.value)
        assert str(path) in said and "\n" not in said


def test_stix_spectra_are_refused_by_another_camera(tmp_path):
    """Here MeDDEA, which has the same detectors."""
    path = tmp_path / "spectra.ecsv"
    path.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: DETNUM, datatype: int64}\n"
        "# - {name: C0, datatype: int64}\n# - {name: C1, datatype: int64}\n"
        "# meta: {EXPOSURE: 10.0, INSTRUME: STIX}\n# schema: astropy-2.0\nDETNUM C0 C1\n0 1 2\n"
    )
    meddea = load_instrument("meddea")
    with pytest.raises(InputError, match="is of another camera .INSTRUME STIX"):
        read_ready_spectra([path], meddea.layouts["spectra"], meddea)


# --- nothing of ECLAIRs is in the code ------------------------------------------------------------

LIBRARY = SCRIPTS / "pixelcal"
OF_ECLAIRS = ("energy/simulation/", "energy/results/mission_file.py")
"""Its simulation, and its mission's file."""
ALLOWED = {("charge/runs/run_writer.py", 1024)}
"""Bytes, not channels."""


def docstrings(tree):
    """Texts that stand as a statement of their own."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def constants_of_eclairs(path):
    """Numbers and texts in the code of a module that are of ECLAIRs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    without = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = [getattr(side, "value", None) for side in (node.left, node.right)]
            if sides == [80, 80]:
                yield 6400
        if isinstance(node, ast.Constant) and id(node) not in without:
            text = node.value.lower() if isinstance(node.value, str) else ""
            if "eclairs" in text or node.value in (6400, 1024):
                yield node.value


def test_no_constant_of_eclairs_is_in_the_code():
    found = set()
    for path in sorted(LIBRARY.rglob("*.py")):
        name = path.relative_to(LIBRARY).as_posix()
        if not name.startswith(OF_ECLAIRS):
            found |= {(name, constant) for constant in constants_of_eclairs(path)}
    told_none = {(f"api{part}.py", "eclairs") for part in ("", "_files", "_relations")}
    assert found - ALLOWED == told_none, "the instrument where api is told none"
