"""Runs with names, and what a run's folder keeps from being replaced.

The accidents of a mission's weeks, one row each: what was made before, what is asked for now, and
the words of the one line. Plans alone, after short real runs.
"""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers import faults
from helpers.faults import merged, pira_columns, snakemake, write_events, write_settings
from helpers.paths import PROJECT, SNAKEFILE
from helpers.sstcam_runs import samples, table, write_run

SECONDS = 1000.0
SPECTRA = "results/eclairs/a/spectra.fits"
MEASURED = faults.settings_of("one.fits", pixels="0-63") | {"lines": None}
SIMULATED = {
    "pixels": "0-15",
    "exposures": {"a": {"seconds": 50}},
    "simulation": {"camera": "ideal", "good_seconds": 50},
}
FLASHES = {"pixels": "0-63", "sstcam": {"spe": {"folder": "dark"}, "pixels": "0-4"}}
PEAKS = "results/sstcam/peaks.fits"


def run(folder, *arguments):
    """What a run of Snakemake says: its lines of pixelcal, and whether it went on."""
    made = snakemake(folder, *arguments)
    assert "Traceback" not in made.stdout + made.stderr, made.stderr
    said = [line for line in made.stderr.splitlines() if line.startswith("configuration: ")]
    return made.returncode == 0, said, made.stdout + made.stderr


def finished(folder, settings, target):
    """A folder in which a target was made by real jobs."""
    folder.mkdir()
    for number, name in enumerate(("one", "two")):
        columns = pira_columns(4000, SECONDS, seed=number)
        columns["TIME"] = ("D", columns["TIME"][1] + number * SECONDS)
        write_events(folder / f"{name}.fits", columns)
    for name in ("dark", "other"):
        table(folder / name, "r,0.5")
    write_run(folder / "dark/r.h5")
    write_run(folder / "other/r.h5", np.roll(samples(), 1, axis=2))
    write_settings(folder, settings, "made.yaml")
    went_on, said, everything = run(folder, target, "--configfile", "made.yaml")
    assert went_on, everything[-3000:]
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Function: a finished run by its name, made once; do not change it."""
    made, base = {}, tmp_path_factory.mktemp("runs")
    kinds = {
        "measured": (MEASURED, SPECTRA),
        "simulated": (SIMULATED, SPECTRA),
        "flashes": (FLASHES, PEAKS),
    }

    def of_kind(kind):
        if kind not in made:
            made[kind] = finished(base / kind, *kinds[kind])
        return made[kind]

    return of_kind


@pytest.fixture
def copied(runs, tmp_path):
    """Function: a copy of a finished run that may be changed."""
    return lambda kind: shutil.copytree(runs(kind), tmp_path / kind, symlinks=True)


STIX = {
    "instrument": "stix",
    "events": {"files": ["one.fits"], "multiplicity": "all", "layout": "stix-calibration"},
    "exposures": {"day": {}},
}
ACCIDENTS = {
    "forgotten --configfile": ("measured", None, [], ("made from event files", "one.fits")),
    "forgotten --configfile, another name of the exposure": (
        "measured",
        {"exposures": {"b": {"seconds": 3000}}},
        [],
        ("made from event files", "simulates them", "--configfile as before"),
    ),
    "the configuration of CI": (
        "measured",
        yaml.safe_load((PROJECT / "config/ci.yaml").read_text()),
        [],
        ("made from event files", "simulates them"),
    ),
    "the picture of one pixel after a run of some pixels": (
        "simulated",
        None,
        ["results/eclairs/10ks/pixels/0003.png"],
        ("pixels: the run in results is of other pixels (0-15)", "--configfile"),
    ),
    "another instrument": (
        "simulated",
        STIX,
        [],
        ("holds a run of eclairs", "of stix", "report would replace"),
    ),
    "another measurement": (
        "measured",
        merged(MEASURED, {"events": {"files": ["two.fits"]}}),
        [],
        ("made from other event files (one.fits)", "events.files"),
    ),
    "some of the pixels of a measured camera": (
        "measured",
        merged(MEASURED, {"pixels": "0-15"}),
        [],
        ("48 pixels that pixels leaves out", "the first is 16"),
    ),
    "another measurement of the SSTCAM": (
        "flashes",
        merged(FLASHES, {"sstcam": {"spe": {"folder": "other"}}}),
        ["--", "spe"],
        ("results/sstcam: was made from other runs (r.h5)", "sstcam.spe.folder"),
    ),
    "simulated flashes after measured ones": (
        "flashes",
        {"sstcam": {"pixels": "0-4"}},
        ["--", "sstcam"],
        ("results/sstcam: was made from runs (r.h5)", "simulates them"),
    ),
    "some of the pixels of the SSTCAM": (
        "flashes",
        merged(FLASHES, {"sstcam": {"pixels": "0-2"}}),
        ["--", "spe"],
        ("2 pixels that sstcam.pixels leaves out",),
    ),
    "a product as its own prior": (
        "measured",
        merged(MEASURED, {"relation": {"file": "results/eclairs/a/truth.ecsv"}}),
        [],
        ("relation.file: 'results/eclairs/a/truth.ecsv' is a product of the exposure a",),
    ),
}
GOES_ON = {
    "nothing changed": ("measured", MEASURED, [SPECTRA]),
    "a file more": (
        "measured",
        merged(MEASURED, {"events": {"files": ["one.fits", "two.fits"]}}),
        [SPECTRA],
    ),
    "pixels more": ("measured", merged(MEASURED, {"pixels": "0-79"}), [SPECTRA]),
    "a new exposure": (
        "measured",
        merged(MEASURED, {"exposures": {"b": {"seconds": 500}}}),
        ["results/eclairs/b/spectra.fits"],
    ),
    "the file under another name": (
        "measured",
        merged(MEASURED, {"events": {"files": ["link.fits"]}}),
        [SPECTRA],
    ),
    "another run": ("measured", {"run": "w13"}, ["results/w13/report.html"]),
    "measured after simulated": ("simulated", MEASURED, [SPECTRA]),
    "the whole simulated camera after a part": ("simulated", {}, ["results/report.html"]),
    "the other camera, simulated": ("measured", {"sstcam": {"pixels": "0-4"}}, ["--", "sstcam"]),
    "the prior of another run": (
        "measured",
        merged(MEASURED, {"run": "w13", "relation": {"file": "results/eclairs/a/truth.ecsv"}}),
        ["results/w13/eclairs/a/relation.fits"],
    ),
    "the prior of an exposure of before": (
        "measured",
        merged(
            MEASURED,
            {
                "relation": {"file": "results/eclairs/a/truth.ecsv"},
                "exposures": {"b": {"seconds": 500}},
            },
        ),
        ["results/eclairs/b/relation.fits"],
    ),
}


def plan(folder, settings, arguments):
    files = []
    if settings is not None:
        write_settings(folder, settings, "now.yaml")
        files = ["--configfile", "now.yaml"]
    options, targets = arguments, []
    if "--" not in arguments:
        options, targets = [], arguments
    return run(folder, "--dry-run", *targets, *files, *options)


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident_is_one_line(accident, runs):
    made, settings, arguments, words = ACCIDENTS[accident]
    folder = runs(made)
    before = sorted(path for path in (folder / "results").rglob("*"))
    went_on, said, everything = plan(folder, settings, arguments)
    assert not went_on and len(said) == 1, everything[-2000:]
    assert not [word for word in words if word not in said[0]], said[0]
    assert "run=NAME" in said[0] or "--configfile" in said[0]
    assert sorted(path for path in (folder / "results").rglob("*")) == before


@pytest.mark.parametrize(("made", "settings", "arguments"), GOES_ON.values(), ids=GOES_ON)
def test_what_replaces_nothing_measured_goes_on(made, settings, arguments, runs):
    folder = runs(made)
    if not (folder / "link.fits").exists():
        (folder / "link.fits").symlink_to("one.fits")
    went_on, said, everything = plan(folder, settings, arguments)
    assert went_on and not said, said or everything[-2000:]


def test_results_of_an_earlier_version_are_kept_by_their_headers(copied):
    folder = copied("measured")
    (folder / "results/run.json").unlink()
    for settings, words in (
        (None, "made from event files (one.fits)"),
        (merged(MEASURED, {"events": {"files": ["two.fits"]}}), "other event files (one.fits)"),
    ):
        kept = {"exposures": {"a": {"seconds": 50}}} if settings is None else settings
        went_on, said, _ = plan(folder, kept, [])
        assert not went_on and words in said[0]


def test_measured_spectra_are_kept_whatever_the_memory_says(copied):
    folder = copied("measured")
    path = folder / "results/run.json"
    path.write_text(path.read_text().replace("measured", "simulated"))
    went_on, said, _ = plan(folder, {"exposures": {"a": {"seconds": 50}}}, [])
    assert not went_on and "made from event files (one.fits)" in said[0]


def test_the_memory_is_of_what_was_made(runs):
    memory = json.loads((runs("measured") / "results/run.json").read_text())
    code = memory.pop("code")
    assert [entry["rule"] for entry in code.values()] == ["bin_spectra"]
    made = fits.getheader(runs("measured") / SPECTRA, "SPECTRA")["SOFTVERS"]
    assert made.partition("+")[2] in code
    ((entry,),) = (memory["energy"].pop("files"),)
    assert entry["file"] == "one.fits"
    assert memory == {"energy": {"instrument": "eclairs", "kind": "measured", "pixels": "0-63"}}
    memory = json.loads((runs("flashes") / "results/run.json").read_text())
    assert memory["sstcam"]["kind"] == "measured" and "energy" not in memory
    assert [entry["rule"] for entry in memory["code"].values()] == ["find_peaks"]


def test_starting_over_needs_no_more_than_the_line_says(copied):
    folder = copied("measured")
    shutil.rmtree(folder / "results/eclairs")
    went_on, said, everything = plan(folder, SIMULATED, [SPECTRA])
    assert went_on, everything[-2000:]


def test_a_dry_run_remembers_nothing(tmp_path):
    write_settings(tmp_path, SIMULATED)
    went_on, _, everything = run(tmp_path, SPECTRA, "--dry-run", "--configfile", "own.yaml")
    assert went_on, everything
    assert not (tmp_path / "results").exists()


def test_everything_of_a_run_is_in_its_folder(copied):
    folder = copied("measured")
    before = sorted(path for path in (folder / "results").rglob("*"))
    shutil.rmtree(folder / ".snakemake")
    target = "results/w13/eclairs/a/spectra.fits"
    went_on, _, said = run(folder, target, "--configfile", "made.yaml", "--config", "run=w13")
    assert went_on, said[-2000:]
    made = folder / "results/w13"
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert names == {
        "run.json",
        "eclairs/a/spectra.fits",
        "eclairs/a/truth.ecsv",
        "logs/bin_spectra/a.log",
        "benchmarks/bin_spectra/a.tsv",
    }
    shutil.copy(made / "eclairs/a/spectra.fits", folder / "named.fits")
    shutil.rmtree(made)
    assert sorted(path for path in (folder / "results").rglob("*")) == before
    # The name of a run is in no product.
    assert (folder / "named.fits").read_bytes() == (folder / SPECTRA).read_bytes()


def test_every_target_of_a_run_is_in_its_folder(tmp_path):
    arguments = ("--dry-run", "--config", "run=w13", "--", "all", "sstcam")
    went_on, _, said = run(tmp_path, *arguments)
    assert went_on, said[-2000:]
    assert "results/w13/report.html" in said and "results/w13/sstcam.html" in said
    assert "results/" not in said.replace("results/w13/", "")


def test_another_working_directory_takes_the_default_configuration_of_the_project(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    command = [sys.executable, "-m", "snakemake", "-s", SNAKEFILE, "--dry-run", "--directory"]
    made = subprocess.run(
        [*command, elsewhere], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert "results/report.html" in made.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/b", "cannot be the name of a run"),
        (".hidden", "cannot be the name of a run"),
        ("", "cannot be the name of a run"),
        ("eclairs", "is the name of another folder"),
        ("stix", "is the name of another folder"),
        ("sstcam", "is the name of another folder"),
        ("logs", "is the name of another folder"),
        ("history", "is the name of another folder"),
        ("report.html", "is the name of another file"),
        (1.5, "is not allowed"),
    ],
)
def test_a_name_that_no_run_can_have(name, words):
    with pytest.raises(faults.InputError, match=words):
        faults.resolve({"run": name})


def test_the_folder_of_an_instrument_is_no_run(runs, monkeypatch):
    monkeypatch.chdir(runs("measured"))
    shutil.copytree("results/eclairs", "results/mycam")
    try:
        with pytest.raises(faults.InputError, match="is the folder of an instrument"):
            faults.resolve({"run": "mycam"})
    finally:
        shutil.rmtree("results/mycam")


EMPTY = '{"energy": {}}'


def test_a_damaged_memory_is_one_line(copied):
    folder = copied("measured")
    for content, words in (
        ("{", "cannot be read"),
        ("[]", "is not what"),
        ('{"energy": {}}', "is"),
    ):
        (folder / "results/run.json").write_text(content)
        went_on, said, _ = plan(folder, MEASURED, [SPECTRA])
        assert not went_on and f"run.json: {words}" in said[0] and "remove it" in said[0]


# --- files by patterns ----------------------------------------------------------------------------


def test_patterns_of_event_files_and_good_times(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    named = ("data/b.fits", "data/a.fits", "data/a[1].fits", "home/c.fits")
    for name in (*named, "g2.fits", "g1.fits"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(files, gti=None):
        events = faults.resolve({"events": {"files": files, "gti": {"file": gti}}})["events"]
        return events["files"], events["gti"]["file"]

    assert found(["data/?.fits"])[0] == ["data/a.fits", "data/b.fits"]
    assert found(["data/b.fits", "data/?.fits"])[0] == ["data/b.fits", "data/a.fits"]
    assert found(["data/a[1].fits"])[0] == ["data/a[1].fits"]
    assert found(["~/*.fits"])[0] == [f"{tmp_path}/home/c.fits"]
    assert found(["data/a.fits"], "g?.fits")[1] == ["g1.fits", "g2.fits"]
    assert found(["data/a.fits"], ["g2.fits", "g1.fits"])[1] == ["g2.fits", "g1.fits"]
    assert found(["data/a.fits"], ["g1.fits"])[1] == "g1.fits"
    assert found(["data/a.fits"], "g1.fits")[1] == "g1.fits"
    for files, gti, words in (
        (["data/2025-*.fits"], None, 'events.files: "data/2025-\\*.fits" matches no file'),
        (["data/a.fits"], "x*.fits", 'events.gti.file: "x\\*.fits" matches no file'),
        (["data/a.fits", "./data/a.fits"], None, "is the same file as"),
        (["data/none.fits"], None, r"events.files\[0\]: 'data/none.fits' does not exist"),
    ):
        with pytest.raises(faults.InputError, match=words):
            found(files, gti)


def test_good_times_of_several_files_add_up(tmp_path):
    """As those of one file that holds their union."""
    events = write_events(tmp_path / "e.fits", pira_columns(4000, 1000.0))
    limits = {
        "a": ((0.0, 300.0), (900.0, 1000.0)),
        "b": ((250.0, 400.0),),
        "union": ((0.0, 400.0), (900.0, 1000.0)),
    }
    for name, intervals in limits.items():
        hdus = [fits.PrimaryHDU(), faults.good_times(limits=intervals)]
        fits.HDUList(hdus).writeto(tmp_path / f"{name}.fits")

    def binned(*names):
        paths = [str(tmp_path / f"{name}.fits") for name in names]
        gti = {"file": paths, "criteria": ["GTICAL-NEO"]}
        return faults.bin_spectra(tmp_path, events, seconds=None, events={"gti": gti})

    both, one = binned("a", "b"), binned("union")
    assert (both.header["EXPOSURE"], both.header["NINFILE"]) == (500.0, 3)
    both.is_as(one)
