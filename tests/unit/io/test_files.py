"""Files that appear whole, and only by the latest run of their job."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pixelcal.errors import InputError
from pixelcal.io import atomic as files
from pixelcal.io.atomic import atomic, remove_leftovers
from pixelcal.io.tables import write_text
from pixelcal.workflow import script


@pytest.fixture
def job(tmp_path):
    """What a script knows of Snakemake, as far as the frame uses it."""
    return SimpleNamespace(
        rule="bin_spectra",
        wildcards=["10ks"],
        log=[str(tmp_path / "job.log")],
        output=[str(tmp_path / "10ks" / "spectra.fits"), str(tmp_path / "truth.ecsv")],
    )


def test_nothing_appears_after_a_failure(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent and not path.exists()
        _ = 1 / 0
    assert os.listdir(path.parent) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old\n")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("new")
        _ = 1 / 0
    assert path.read_text() == "old\n"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as first:
        first.write_text("first")
        with atomic(path) as second:
            second.write_text("second")
        assert first != second and path.read_text() == "second"
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["a.txt"]


KILLED = """
import os, signal, sys
from pixelcal.io.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_a_temporary_file_that_the_next_run_removes(job, tmp_path):
    for path in job.output:
        library = {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", KILLED, path]
        assert subprocess.run(command, env=os.environ | library).returncode == -9
        assert not os.path.exists(path)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 2 and all(path.name.startswith(".") for path in left)
    with script.running(job):
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["job.log"]


def test_only_temporary_files_of_these_products_are_removed(tmp_path):
    kept = [
        "spectra.fits",
        ".spectra.fits",
        ".spectra-0123456789ab.txt",
        ".spectra-0123456789a.fits",
        ".spectra-0123456789ab.fits.gz",
        ".spectraX0123456789ab.fits",
        ".response-0123456789ab.fits",
    ]
    for name in [*kept, ".spectra-0123456789ab.fits"]:
        (tmp_path / name).write_text("")
    remove_leftovers([tmp_path / "spectra.fits", tmp_path / "absent" / "a.fits"])
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_run_that_was_left_behind_writes_nothing_any_more(job, capsys):
    """As after a kill of Snakemake: the same job again, while the one of before still works."""
    product = job.output[0]
    with pytest.raises(SystemExit) as stopped, script.running(job):
        write_text(product, "its turn\n")
        assert Path(product).read_text() == "its turn\n"
        with script.running(job):
            write_text(product, "later\n")
        write_text(product, "left behind\n")
    assert stopped.value.code == 1
    assert Path(product).read_text() == "later\n"
    assert capsys.readouterr().err == (
        f"bin_spectra 10ks: {product}: not written, because a later run of this job has begun; this"
        " one was left behind by a killed run\n"
    )
    assert os.listdir(os.path.dirname(product)) == ["spectra.fits"]
    log = Path(job.log[0]).read_text()
    assert "done" in log and "left behind" not in log  # the log is the later run's alone


def test_a_run_whose_temporary_file_the_later_run_removed(job, capsys):
    with pytest.raises(SystemExit), script.running(job), atomic(job.output[0]) as temporary:
        temporary.write_text("left behind\n")
        with script.running(job):
            assert not temporary.exists()
    assert capsys.readouterr().err == f"bin_spectra 10ks: {files.LEASE_IS_LOST}\n"
    assert not os.path.exists(job.output[0])


def test_a_log_that_somebody_removed_is_no_later_run(job):
    with script.running(job):
        os.unlink(job.log[0])
        write_text(job.output[0], "whole\n")
    assert Path(job.output[0]).read_text() == "whole\n"


def test_no_room_is_said_of_the_product(job, capsys):
    """Where the system, numpy or astropy name no file, or the temporary one."""
    troubles = (
        OSError("10 requested and 4 written"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ENOSPC, "No space left on device", ".spectra-0123456789ab.fits"),
    )
    for trouble in troubles:
        with pytest.raises(SystemExit), script.running(job), atomic(job.output[0]):
            raise trouble
        reason = trouble.strerror or f"no space left, {trouble}"
        line = f"cannot write {job.output[0]} ({reason}); free space and run again"
        assert capsys.readouterr().err == f"bin_spectra 10ks: {line}\n"


def test_without_a_job_files_are_just_written(tmp_path):
    assert not files.lease_is_lost()
    (tmp_path / "log").write_text("of another")
    with (
        open(tmp_path / "own", "w") as own,
        files.lease(tmp_path / "log", own.fileno()),
        pytest.raises(InputError, match="a later run of this job has begun"),
    ):
        write_text(tmp_path / "a.txt", "a")
    write_text(tmp_path / "a.txt", "b")
    assert (tmp_path / "a.txt").read_text() == "b"
