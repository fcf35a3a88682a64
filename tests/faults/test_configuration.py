"""Configurations as people write them: what is said of a mistake, and what is accepted.

One row for each situation, after the faults E25 and E26.
"""

import shutil
import subprocess
import sys

import pytest
from helpers.faults import (
    bin_spectra,
    pira_columns,
    settings_of,
    snakemake,
    write_events,
    write_settings,
)
from helpers.interrupts import interrupt, interruptible
from helpers.paths import PROJECT, SCRIPTS, SNAKEFILE


def row(*values, id):
    """A row that is right today."""
    return pytest.param(*values, id=id)


# --- E25: what is said ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        row({"exposures": {"3ks": 3000}}, ["{seconds: 3000}"], id="a number"),
        row({"exposures": {"3ks": "3000"}}, ["{seconds: 3000}"], id="a text"),
        row({"exposures": {"3ks": 3000.5}}, ["{seconds: 3000.5}"], id="a fraction"),
        row({"exposures": 3000}, ["seconds: 3000"], id="no name"),
        row({"exposures": [3000, 5000]}, ["seconds: 3000"], id="a list"),
        row({"exposures": {"3ks": None}}, ["seconds"], id="nothing"),
    ],
)
def test_an_exposure_is_said_as_it_should_be_written(settings, words, tmp_path):
    events = write_events(tmp_path / "e.fits")
    bin_spectra(tmp_path, events, **settings).refuses("exposures", *words)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        row(
            {"fit": {"min_counts": -1, "pvalue_limit": 2}, "lines": 3},
            ["fit.min_counts", "fit.pvalue_limit", "lines"],
            id="values",
        ),
        row(
            {"pixel": "0-63", "fit": {"methode": "joint"}},
            ["pixel:", "fit.methode"],
            id="unknown keys",
        ),
        row(
            {"pixels": "0-9999", "bad_pixels": "none.csv", "lines": "none.csv"},
            ["pixels", "bad_pixels", "lines"],
            id="files and pixels",
        ),
        row(
            {"fit": {"min_counts": -1}, "bad_pixels": "none.csv"},
            ["fit.min_counts", "bad_pixels"],
            id="a value and a file",
        ),
    ],
)
def test_all_mistakes_are_said_at_once(settings, keys, tmp_path):
    bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), **settings).refuses(*keys)


COMMANDS = [
    pytest.param(
        ["--config", "exposures=3ks"],
        ["exposures", "seconds"],
        id="--config exposures=3ks",
    ),
    pytest.param(
        ["--config", "exposures={3ks: 3000}"],
        ["{seconds: 3000}"],
        id="--config exposures={3ks: 3000}",
    ),
    pytest.param(
        ["--configfile", "own.yaml", "sstcam"],
        ["sstcam", " -- "],
        id="a target behind --configfile",
    ),
    pytest.param(
        ["--configfile", "own.yaml", "results/eclairs/a/spectra.fits"],
        ["results/eclairs/a/spectra.fits", " -- "],
        id="a file behind --configfile",
    ),
    pytest.param(
        ["--config", "pixels=0-3", "sstcam"],
        ["sstcam", " -- "],
        id="a target behind --config",
    ),
    pytest.param(
        ["-C", "pixels=0-3", "--configfiles", "own.yaml", "spe", "sstcam"],
        ["--configfiles own.yaml -- spe"],
        id="two targets, and other names of the options",
    ),
    pytest.param(
        ["--configfile", "own.yaml", "results/eclairs/truth.ecsv"],
        ["results/eclairs/truth.ecsv", " -- "],
        id="a file that is there",
    ),
    pytest.param(["--configfile", "onw.yaml"], ["onw.yaml", "no such file"], id="a wrong name"),
]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--configfile", "own.yaml", "--", "spe"],
        ["--configfile", "own.yaml", "own.yaml", "--config", "date=2026-01-31", "--", "spe"],
        ["spe", "--configfile", "own.yaml"],
        ["--config", "pixels=0-3", "--quiet", "all", "--", "spe"],
    ],
)
def test_a_command_in_order_is_not_mentioned(arguments, tmp_path):
    write_settings(tmp_path, {"pixels": "0-63"})
    shutil.copytree(PROJECT / "profiles", tmp_path / "profiles")
    run = snakemake(tmp_path, "--dry-run", *arguments)
    assert run.returncode == 0, run.stderr[-600:]


@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_a_command_that_cannot_be_meant(arguments, words, tmp_path):
    write_settings(tmp_path, {"pixels": "0-63"})
    shutil.copytree(PROJECT / "profiles", tmp_path / "profiles")  # as in the folder of the project
    (tmp_path / "results" / "eclairs").mkdir(parents=True)
    (tmp_path / "results" / "eclairs" / "truth.ecsv").write_text("# of an earlier run")
    run = snakemake(tmp_path, "--dry-run", *arguments)
    assert run.returncode != 0
    assert "Traceback" not in run.stderr, run.stderr[-600:]
    absent = [word for word in words if word not in run.stderr]
    assert not absent, run.stderr


def test_exposures_on_the_command_line_replace_those_of_the_file(tmp_path):
    """As in a file; or else one line says that they are for --configfile."""
    run = snakemake(tmp_path, "--dry-run", "--config", "exposures={a: {seconds: 900}}")
    if run.returncode:
        assert "--configfile" in run.stderr, run.stderr
        return
    planned = run.stdout + run.stderr
    assert "results/eclairs/a/" in planned and "results/eclairs/3ks/" not in planned


def test_exposures_on_the_command_line_go_before_those_of_a_configfile(tmp_path):
    own = write_settings(tmp_path, {"exposures": {"b": {"seconds": 800}}})
    exposures = "exposures={a: {seconds: 900, lines: null, fit: {min_counts: 150}}}"
    run = snakemake(tmp_path, "--dry-run", "--configfile", own, "--config", exposures)
    assert run.returncode == 0, run.stderr
    planned = run.stdout + run.stderr
    assert "results/eclairs/a/" in planned and "results/eclairs/b/" not in planned


def test_an_interrupt_while_a_script_imports_prints_a_line():
    code = "import _path, os, signal; os.kill(os.getpid(), signal.SIGINT)"
    for camera in ("energy", "charge"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=SCRIPTS / camera,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=interruptible,
        )
        assert run.returncode != 0 and run.stderr.strip() == "stopped by the user (Ctrl-C)"


def test_an_end_by_the_user_is_no_fault(tmp_path):
    """Ctrl-C while a job runs: no traceback."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(
        (PROJECT / "config" / "config.yaml").read_text()
    )
    columns = pira_columns(3_000_000)
    own = write_settings(tmp_path, settings_of(write_events(tmp_path / "e.fits", columns)))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        "-s",
        SNAKEFILE,
    ]
    command += ["--configfile", own, "--", "results/eclairs/a/relation.fits"]
    log = tmp_path / "results" / "logs" / "bin_spectra" / "a.log"
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    code, _, said = interrupt(command, tmp_path, log.exists, 60, **streams)
    assert log.exists() and code != 0
    assert "Traceback" not in said, said[-1500:]


# --- E26: what the fit cannot find ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        row({"injection": {"gain_sigma": 0.3}}, "gain_sigma", id="gain"),
        row({"injection": {"gain_sigma": 0.06}}, "gain_sigma", id="gain, 6 %"),
        row({"injection": {"offset_sigma_keV": 3.0}}, "offset_sigma_keV", id="offset"),
        row(
            {"exposures": {"a": {"seconds": 1000, "injection": {"gain_sigma": 0.3}}}},
            "gain_sigma",
            id="of one exposure",
        ),
    ],
)
def test_errors_beyond_the_range_that_is_searched_are_told(settings, key, tmp_path):
    bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), **settings).notices(key)


@pytest.mark.parametrize("gain_sigma", [0.0, 0.003, 0.01])
def test_errors_within_the_range_are_not_mentioned(gain_sigma, tmp_path):
    injection = {"gain_sigma": gain_sigma, "offset_sigma_keV": 0.1}
    made = bin_spectra(tmp_path, write_events(tmp_path / "e.fits"), injection=injection)
    assert not made.failed and not made.said
