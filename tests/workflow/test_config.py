"""The configuration: defaults, one-line errors, and its reference."""

import os
import re

import pytest
import yaml

import config_reference
from pixelcal.errors import InputError
from pixelcal.workflow import config

SCHEMA = config.read_schema(config_reference.SCHEMA)

# What stands in the file, and what the one line must name: the key, the value, what is allowed.
# Those that users make most are in docs/bad-input.md, whole.
MISTAKES = {
    "fit: {method: jont}": ("fit.method", '"jont"', "joint, two-step"),
    "fitt: {method: joint}": ("fitt", "joint", "did you mean fit?"),
    "fit: {chunk_pixels: 0}": ("fit.chunk_pixels", " 0 ", "at least 1"),
    "fit: {pvalue_limit: 1e-4}": ("fit.pvalue_limit", '"1e-4"', "1.0e-4 without quotes"),
    "fit: {min_counts: 1.5}": ("fit.min_counts", "1.5", "a whole number"),
    "fit: {leave_one_out: 1}": ("fit.leave_one_out", " 1 ", "true or false"),
    "pixels: some": ("pixels", "some", '"all"'),
    "pixels: [1, 2.5]": ("pixels[1]", "2.5", "a whole number"),
    "exposures: {}": ("exposures", "{}", "at least 1"),
    "exposures:": ("exposures", "null", "keys with values"),
    "exposures: [1000]": ("exposures", "[1000]", "keys with values"),
    "exposures: {a: 1000}": ("exposures.a", "1000", "keys with values"),
    "instrument: eclair": ("instrument", "'eclair'", "eclairs, "),
    "{events: {layout: spectra}}": ("events.layout", "'spectra'", "events.files"),
    "relation: {search: {gain: 0.5}}": ("relation.search.gain", "0.5", "0.3"),
    "exposures: {a: {second: 9}}": ("exposures.a.second", "9", "did you mean seconds?"),
    "exposures: {10: {seconds: 9}}": ("exposures", "10", '"10"'),
    "exposures: {a/b: {seconds: 9}}": ("exposures", "a/b", "letters"),
    "exposures: {events: {seconds: 9}}": ("exposures", "events", "not 'events'"),
    "exposures: {a: {seconds: 9, fit: {method: x}}}": ("exposures.a.fit.method", '"x"', "joint"),
    "events: {gti: {criteria: [NEO]}}": ("events.gti.criteria[0]", '"NEO"', "mean GTICAL-NEO?"),
    "events: {gti: {criteria: [GTICAL-NSA, x]}}": ("events.gti.criteria[1]", '"x"', "GTICAL-TLM"),
    "events: {gti: {criteria: ['']}}": ("events.gti.criteria[0]", '""', "not empty"),
    "events: {gti: {criteria: [A, A]}}": ("events.gti.criteria", '["A", "A"]', "each entry once"),
    "events: {layout: ecl-evt-cal}": ("events.multiplicity", "'single'", "all"),
    "events: {layout: fits}": ("events.layout", '"fits"', "pira, ecl-evt-cal"),
    "events: {files: none.fits}": ("events.files", "none.fits", "a list"),
    "events: {columns: {energy: E}}": ("events.columns.energy", "'E'", "events.files"),
    "{events: {files: [README.md], columns: {energy: E, channel: C}}}": (
        "events.columns",
        "both energy ('E') and channel",
        "leave one of them out",
    ),  # fmt: skip
    "{events: {files: [README.md], columns: {pixel: P, row: R, column: C}}}": (
        "events.columns",
        "both pixel ('P') and row",
        "leave one of them out",
    ),  # fmt: skip
    "{events: {files: [README.md], columns: {energy: E, time: E}}}": (
        "events.columns.time",
        "'E'",
        "name another column",
    ),  # fmt: skip
    "events: {gti: {file: README.md}}": ("events.gti.file", "README.md", "events.files"),
    "relation: {gain_keV: 0}": ("relation.gain_keV", " 0 ", "more than 0"),
    "relation: {gain_keV: .nan}": ("relation.gain_keV", "nan", "finite"),
    "sstcam: {source: {adc_range: [4095, 0]}}": ("sstcam.source.adc_range", "4095", "below 0"),
    "bad_pixels: none.csv": ("bad_pixels", "none.csv", "an existing file"),
    "lines: none.csv": ("lines", "none.csv", "an existing file"),
    "date: yesterday": ("date", "yesterday", "2026-01-31"),
    "simulation: {dead_fraction: 1}": ("simulation.dead_fraction", " 1 ", "less than 1"),
    "sstcam: {gain: 1}": ("sstcam.gain", "unknown key", "charge_resolution"),
}


@pytest.fixture(autouse=True)
def at_the_project(monkeypatch):
    """Paths in a configuration are relative to the folder of the project."""
    monkeypatch.chdir(config_reference.PROJECT)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_line_with_key_value_and_what_is_allowed(text):
    with pytest.raises(InputError) as caught:
        config.resolve(yaml.safe_load(text), SCHEMA)
    line = str(caught.value)
    assert "\n" not in line
    key, *rest = MISTAKES[text]
    assert line.startswith(f"{key}:")
    for part in rest:
        assert part in line


def test_the_default_file_holds_the_defaults():
    written = yaml.safe_load((config_reference.PROJECT / "config/config.yaml").read_text())
    assert config.resolve(written, SCHEMA) == config.resolve({}, SCHEMA)
    assert set(written) == set(SCHEMA["properties"])


def test_defaults_are_themselves_allowed():
    defaults = config.load_defaults(SCHEMA)
    assert config.resolve(defaults, SCHEMA) == config.resolve({}, SCHEMA)


def test_criteria_of_own_files_have_any_names():
    own = {"files": ["README.md"], "gti": {"file": "README.md", "criteria": ["GOOD", "NIGHT"]}}
    resolved = config.resolve({"events": own}, SCHEMA)
    assert resolved["events"]["gti"]["criteria"] == ["GOOD", "NIGHT"]


def test_an_exposure_overrides_key_by_key():
    resolved = config.resolve(
        {
            "fit": {"two_step": {"line_fwhm_keV": 2}},
            "exposures": {
                "a": {"seconds": 9},
                "b": {
                    "seconds": 9,
                    "multiplicity": "all",
                    "lines": "resources/lines/strongest.csv",
                    "injection": {"seed": 5},
                    "fit": {"two_step": {"tolerance_sigma": 3}},
                },
            },
        },
        SCHEMA,
    )
    a, b = (config.exposure_settings(resolved, name) for name in "ab")
    assert (a["multiplicity"], b["multiplicity"]) == ("single", "all")
    assert b["injection"] == a["injection"] | {"seed": 5}
    assert b["fit"]["two_step"] == a["fit"]["two_step"] | {"tolerance_sigma": 3.0}
    assert b["fit"]["two_step"]["line_fwhm_keV"] == 2.0
    assert b["lines"].endswith("strongest.csv")


def test_numbers_have_the_type_of_the_schema():
    resolved = config.resolve(
        {"exposures": {"a": {"seconds": 9}}, "fit": {"chunk_pixels": 8.0}}, SCHEMA
    )
    assert type(resolved["exposures"]["a"]["seconds"]) is float
    assert type(resolved["fit"]["chunk_pixels"]) is int


def test_a_date_without_quotes_is_text():
    assert config.resolve(yaml.safe_load("date: 2026-01-31"), SCHEMA)["date"] == "2026-01-31"


# --- the reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [name for name, _ in config_reference.keys(SCHEMA)])
def test_every_key_has_a_description_and_a_default(key):
    own = dict(config_reference.keys(SCHEMA))[key]
    assert own.get("description", "").strip().endswith(".")
    assert "default" in own


def test_unknown_keys_are_refused_everywhere():
    for name, own in config_reference.keys(SCHEMA):
        if own.get("properties"):
            assert own["additionalProperties"] is False, name


def test_the_reference_is_written_from_the_schema():
    assert config_reference.README.read_text(encoding="utf-8") == config_reference.reference(
        SCHEMA
    ), "config/README.md is out of date: run `make docs`"


# --- where products go ----------------------------------------------------------------------------


def product_folders():
    """Every folder that the rules write to, with the wildcards filled in."""
    values = {"exposure": "3ks", "set": "scan", "which": "spe"}
    paths = {"logs/rule.log", "benchmarks/rule.tsv", "eclairs/3ks/chunks/0000.fits"}
    for rules in (config_reference.PROJECT / "workflow" / "rules").rglob("*.smk"):
        paths.update(re.findall(r'"{RESULTS}/([^"\n]+\.\w+)"', rules.read_text(encoding="utf-8")))
    wildcard = re.compile(r"{+(?:wildcards\.)?(\w+)}+")
    filled = (wildcard.sub(lambda found: values.get(found[1], "1"), path) for path in paths)
    folders = {os.path.dirname(path) for path in filled}
    return sorted(name for name in folders if not re.match("(logs|benchmarks)/", name))


@pytest.mark.parametrize("folder", product_folders())
def test_a_file_in_the_place_of_a_folder_is_one_line(folder, tmp_path):
    results = tmp_path / "results"
    config.check_results(results, ["3ks", "1"], instrument="eclairs")
    place = results / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    with pytest.raises(
        InputError, match=f"^{re.escape(str(place))}: exists but is not a directory"
    ):
        config.check_results(results, ["3ks", "1"], instrument="eclairs")


@pytest.mark.parametrize("name", ["sstcam", "logs", "my camera", "{exposure}"])
def test_an_instrument_file_has_a_name_for_a_folder(tmp_path, name):
    given = tmp_path / f"{name}.yaml"
    given.write_text((config_reference.PROJECT / "resources/instruments/eclairs.yaml").read_text())
    with pytest.raises(InputError, match="cannot be the name of a folder"):
        config.resolve({"instrument": str(given)}, SCHEMA)


def test_the_page_of_the_instrument_file_is_written_from_its_schema():
    schema = config.read_schema(config_reference.INSTRUMENT_SCHEMA)
    written = config_reference.INSTRUMENT_PAGE.read_text(encoding="utf-8")
    assert written == config_reference.instrument_reference(schema), "run `make docs`"
