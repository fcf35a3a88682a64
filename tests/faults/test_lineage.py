"""What products were made from: inputs that are replaced, and runs of another kind.

One row for each situation, after the faults E22 and E27. Plans alone: a dry run reads dates,
checksums and settings, no events.
"""

import os
import re
import shutil

import numpy as np
import pytest
from helpers import faults
from helpers.faults import merge, pira_columns, snakemake, write_events, write_settings
from helpers.paths import PIXEL_MAP
from helpers.spoilt_camera import EXPOSURE, RELATION, SECONDS

OLDER = -(10**6)
"""Seconds from now: such a date does not make anything stale by itself."""
JOB = re.compile(r"^(?:local)?rule (\w+):", re.MULTILINE)
SPECTRA = f"results/eclairs/{EXPOSURE}/spectra.fits"


def todo(*values, why, id):
    """A row that fails today, with an assertion and nothing else."""
    mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=why)
    return pytest.param(*values, marks=mark, id=id)


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


def date(path, seconds=OLDER):
    """Date a file so many seconds from now."""
    then = path.stat().st_mtime + seconds
    os.utime(path, (then, then))
    return path


def plan(folder, *arguments):
    """Rules that would run, or what stops Snakemake."""
    run = snakemake(folder, "--dry-run", *arguments)
    if run.returncode:
        assert "Traceback" not in run.stderr, run.stderr[-800:]
        return None, run.stderr
    return set(JOB.findall(run.stdout + run.stderr)), ""


@pytest.fixture
def finished(flight, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(flight.folder, tmp_path / "run", symlinks=True)


# --- E22: a file that another one has replaced ----------------------------------------------------


@pytest.fixture(scope="module")
def with_files(flight, tmp_path_factory):
    """A run that is finished by every file that a configuration may name."""
    folder = shutil.copytree(flight.folder, tmp_path_factory.mktemp("files") / "run")
    (folder / "resources").mkdir()
    shutil.copy(PIXEL_MAP, folder / "resources" / PIXEL_MAP.name)
    shutil.copy(folder / "results" / "eclairs" / EXPOSURE / "response.fits", folder)
    faults.write_prior(folder / "prior.fits", faults.prior_columns(128))
    (folder / "bad.csv").write_text("DETNUM\n5\n")
    (folder / "lines.csv").write_bytes((faults.LINES).read_bytes())
    table = faults.good_times(limits=((0.0, SECONDS),))
    faults.fits.HDUList([faults.fits.PrimaryHDU(), table]).writeto(folder / "gti.fits")
    own = {
        "bad_pixels": "bad.csv",
        "relation": {"file": "prior.fits"},
        "lines": "lines.csv",
        "events": {"gti": {"file": "gti.fits", "criteria": ["GTICAL-NEO"]}},
        "fit": {"response": "response.fits"},
    }
    write_settings(folder, faults.merged(flight.settings, own))
    run = snakemake(folder, "--touch", RELATION, "--configfile", "own.yaml")
    assert run.returncode == 0, run.stderr[-2000:]
    jobs, said = plan(folder, RELATION, "--configfile", "own.yaml")
    assert jobs == set(), (jobs, said)
    return folder


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def same_size(path):
    """Other content of the same size."""
    content = bytearray(path.read_bytes())
    content[-3000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        pytest.param("events.fits", append, "bin_spectra", id="event file"),
        pytest.param("events.fits", same_size, "bin_spectra", id="event file, the same size"),
        pytest.param("gti.fits", append, "bin_spectra", id="good times"),
        pytest.param("response.fits", append, "fit_lines", id="response"),
        pytest.param("resources/eclairs_pixels.csv", append, "bin_spectra", id="pixel map"),
        row("prior.fits", append, "bin_spectra", id="prior"),
        row("bad.csv", append, "merge_relation", id="bad pixels"),
        row("lines.csv", append, "fit_lines", id="lines"),
    ],
)
def test_a_file_that_an_older_one_has_replaced_is_noticed(name, change, rule, with_files):
    check_noticed(with_files, name, change, rule, OLDER)


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        row("events.fits", same_size, "bin_spectra", id="event file, the same size"),
        row("response.fits", append, "fit_lines", id="response"),
    ],
)
def test_a_file_that_a_newer_one_has_replaced_is_noticed(name, change, rule, with_files):
    check_noticed(with_files, name, change, rule, 10)


def check_noticed(folder, name, change, rule, seconds):
    """The rule is planned once a file is changed and dated; then all is as before."""
    path = folder / name
    before, then = path.read_bytes(), path.stat()
    try:
        change(path)
        date(path, seconds)
        jobs, said = plan(folder, RELATION, "--configfile", "own.yaml")
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert jobs is not None, said
    assert rule in jobs, f"planned: {', '.join(sorted(jobs)) or 'nothing'}"


# --- E27: results of another kind in the same place -----------------------------------------------


def simulated_energies(folder):
    """An event file with energies that is older than the results."""
    path = write_events(folder / "pira.fits", pira_columns(8000, SECONDS))
    date(path)
    settings = {
        "pixels": "0-127",
        "events": {"files": ["pira.fits"]},
        "exposures": {EXPOSURE: {"seconds": SECONDS}},
        "fit": {"chunk_pixels": 64},
    }
    return write_settings(folder, settings, "pira.yaml")


def told_or_made_anew(jobs, said, rule="bin_spectra"):
    """The step is planned, or one line says what is in the way and how to go on."""
    if jobs is None:
        lines = [line for line in said.splitlines() if line.startswith("configuration: ")]
        assert len(lines) == 1 and "results" in lines[0], said
    else:
        assert rule in jobs, f"only {', '.join(sorted(jobs))}"


@pytest.mark.parametrize(
    "target",
    [
        row(RELATION, id="relation"),
        row(SPECTRA, id="spectra"),
        row("results/report.html", id="report"),
    ],
)
def test_energies_after_channels(target, finished):
    own = simulated_energies(finished)
    told_or_made_anew(*plan(finished, target, "--configfile", own))


@pytest.mark.parametrize("target", [RELATION, "results/report.html"])
def test_no_configuration_after_channels(target, finished):
    """Simulated events would replace what was measured."""
    jobs, said = plan(finished, target)
    assert jobs is None, f"planned: {', '.join(sorted(jobs))}"
    told_or_made_anew(jobs, said)


def test_channels_after_energies(flight, finished):
    """The other way round, with a flight file that is older than the results."""
    own = simulated_energies(finished)
    (finished / "results" / "eclairs" / EXPOSURE / "truth.ecsv").write_text("")
    (finished / "results" / "run.json").unlink()  # as if these were made from the energies
    faults.fits.setval(finished / SPECTRA, "INFIL001", value="pira.fits", ext=1)
    run = snakemake(finished, "--touch", RELATION, "--configfile", own)
    assert run.returncode == 0, run.stderr[-2000:]
    date(finished / "events.fits")
    told_or_made_anew(*plan(finished, RELATION, "--configfile", "flight.yaml"))


CHANGES = [
    row({"pixels": "0-63"}, "bin_spectra", id="pixels"),
    row({"events": {"files": ["other.fits"]}}, "bin_spectra", id="another file"),
    row({"exposures": {EXPOSURE: {"seconds": 3000}}}, "bin_spectra", id="seconds"),
    row({"fit": {"method": "two-step"}}, "fit_lines", id="method"),
    row(
        {"events": {"columns": {"energy": "PI"}, "layout": "pira"}},
        "bin_spectra",
        id="layout, the same file",
    ),
    row({"relation": {"gain_keV": 0.146}}, "fit_lines", id="nominal gain"),
]


@pytest.mark.parametrize(("settings", "rule"), CHANGES)
def test_a_change_of_kind_with_older_files(settings, rule, flight, finished):
    shutil.copy(finished / "events.fits", finished / "other.fits")
    for name in ("events.fits", "other.fits"):
        date(finished / name)
    own = write_settings(finished, faults.merged(flight.settings, settings))
    told_or_made_anew(*plan(finished, RELATION, "--configfile", own), rule)


@pytest.mark.parametrize(
    ("header", "events"),
    [
        (
            {"LAYOUT": "ecl-evt-cal", "INFIL001": "flight.fits"},
            {"layout": "pira", "files": ["pira.fits"]},
        ),
        ({"LAYOUT": "pira", "INFIL001": "a.fits"}, {"layout": "pira", "files": ["b.fits"]}),
        ({"LAYOUT": "pira", "EXPOSURE": 500.0}, {"layout": "pira", "files": ["a.fits"]}),
    ],
    ids=["another layout", "another file", "another length"],
)
def test_a_step_compares_what_it_reads_with_what_it_was_told(header, events, tmp_path):
    """Spectra of other events than the settings name are not merged under these settings."""
    name = header.get("INFIL001", "a.fits")
    cards = {"NINFILE": 1, "INFIL001": name, "INSHA001": "0" * 64} | header
    settings = {
        "relation": {"gain_keV": faults.GAIN, "offset_keV": faults.OFFSET},
        "events": events,
        "pixels": list(np.arange(64)),
        "exposure": {"seconds": 1000.0},
    }
    settings["pixels"] = [int(pixel) for pixel in settings["pixels"]]
    merge(tmp_path, header=cards, settings=settings).refuses("spectra.fits")
