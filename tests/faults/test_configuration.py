"""Configurations as people write them: what is said of a mistake, and what is accepted.

One row for each situation, after the faults E25 and E26.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.faults import (
    bin_spectra,
    pira_columns,
    settings_of,
    snakemake,
    write_events,
    write_settings,
)
from helpers.paths import PROJECT, SNAKEFILE


def todo(*values, why, id):
    """A row that fails today, with an assertion and nothing else."""
    mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=why)
    return pytest.param(*values, marks=mark, id=id)


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
    todo(
        ["--configfile", "own.yaml", "sstcam"],
        ["sstcam", " -- "],
        why="E25",
        id="a target behind --configfile",
    ),
    todo(
        ["--configfile", "own.yaml", "results/eclairs/a/spectra.fits"],
        ["results/eclairs/a/spectra.fits", " -- "],
        why="E25",
        id="a file behind --configfile",
    ),
    todo(
        ["--config", "pixels=0-3", "sstcam"],
        ["sstcam", " -- "],
        why="E25",
        id="a target behind --config",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_a_command_that_cannot_be_meant(arguments, words, tmp_path):
    write_settings(tmp_path, {"pixels": "0-63"})
    run = snakemake(tmp_path, "--dry-run", *arguments)
    assert run.returncode != 0
    assert "Traceback" not in run.stderr, run.stderr[-600:]
    absent = [word for word in words if word not in run.stderr]
    assert not absent, run.stderr


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="E25")
def test_exposures_on_the_command_line_replace_those_of_the_file(tmp_path):
    """As in a file; or else one line says that they are for --configfile."""
    run = snakemake(tmp_path, "--dry-run", "--config", "exposures={a: {seconds: 900}}")
    if run.returncode:
        assert "--configfile" in run.stderr, run.stderr
        return
    planned = run.stdout + run.stderr
    assert "results/eclairs/a/" in planned and "results/eclairs/3ks/" not in planned


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="E25")
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
    with subprocess.Popen(
        [*map(str, command)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        limit = time.monotonic() + 60
        while not log.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        assert log.exists()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
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
