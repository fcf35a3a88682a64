"""The frame of a script: log, warnings, errors, progress."""

import errno
import logging
import warnings
from types import SimpleNamespace

import pytest

from pixelcal.errors import InputError
from pixelcal.workflow import script


@pytest.fixture
def job(tmp_path):
    """What a script knows of Snakemake, as far as the frame uses it."""
    log = [tmp_path / "job.log"]
    return SimpleNamespace(rule="fit_lines", wildcards=["10ks", "0003"], log=log, output=[])


def test_messages_and_warnings_are_logged(job, capsys):
    with script.running(job):
        logging.getLogger("pixelcal.any").info("a message")
        warnings.warn("a doubt", stacklevel=1)
    log = job.log[0].read_text()
    assert "a message" in log
    assert "a doubt" in log
    assert log.rstrip().endswith("fit_lines 10ks 0003: done")
    said = capsys.readouterr().err
    assert "a doubt" in said
    assert "a message" not in said


def test_a_mistake_of_the_user_is_one_line(job, capsys):
    with pytest.raises(SystemExit) as stopped, script.running(job):
        raise InputError("events.fits: no such file")
    assert stopped.value.code == 1
    line = "fit_lines 10ks 0003: events.fits: no such file"
    assert capsys.readouterr().err == line + "\n"
    assert line in job.log[0].read_text()
    assert "Traceback" not in job.log[0].read_text()


def test_a_fault_keeps_its_traceback(job, capsys):
    with pytest.raises(SystemExit) as stopped, script.running(job):
        raise ZeroDivisionError("at the bottom")
    assert stopped.value.code == 1
    for text in (capsys.readouterr().err, job.log[0].read_text()):
        assert "Traceback" in text
        assert "ZeroDivisionError: at the bottom" in text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left", "a.fits"), "a.fits (No space left); free space"),
        (OSError(errno.EFBIG, "File too large"), "cannot write (File too large); free space"),
        (
            OSError("10 requested and 4 written"),
            "(no space left, 10 requested and 4 written)",
        ),
        (OSError(errno.EROFS, "Read-only", "a"), "cannot write a (Read-only); make the folder"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_where_nothing_can_be_written_is_one_line(job, capsys, error, line, wrapped):
    with pytest.raises(SystemExit) as stopped, script.running(job):
        try:
            raise error
        except OSError:
            if wrapped:  # as astropy does
                raise OSError("Not enough space on disk") from None
            raise
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1


def test_other_troubles_of_the_system_are_faults(job, capsys):
    with pytest.raises(SystemExit), script.running(job):
        raise FileNotFoundError(errno.ENOENT, "No such file", "a.fits")
    assert "Traceback" in capsys.readouterr().err


def test_a_log_that_cannot_be_opened(job, tmp_path, capsys):
    job.log = [tmp_path]
    with pytest.raises(SystemExit) as stopped, script.running(job):
        pass
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith(f"fit_lines 10ks 0003: cannot write {tmp_path} (")


def test_names_of_files_cannot_break_a_line(job, capsys):
    with pytest.raises(SystemExit), script.running(job):
        raise InputError("event file a\nb\x1b[2J\udcff.fits: é, σ")
    assert capsys.readouterr().err == (
        "fit_lines 10ks 0003: event file a b\\x1b[2J\\udcff.fits: é, σ\n"
    )


def test_logging_is_put_back(job):
    before = list(logging.getLogger().handlers), logging.getLogger("pixelcal").level
    with script.running(job):
        pass
    assert (list(logging.getLogger().handlers), logging.getLogger("pixelcal").level) == before


def test_progress_is_said_at_most_once_in_an_interval(job, capsys, monkeypatch):
    now = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr(script.time, "monotonic", lambda: next(now))
    with script.running(job) as progress:
        for done in (1, 2, 3, 4):
            progress(done, 8)
    assert capsys.readouterr().err.splitlines() == [
        "fit_lines 10ks 0003: 25 %",
        "fit_lines 10ks 0003: 50 %",
    ]
