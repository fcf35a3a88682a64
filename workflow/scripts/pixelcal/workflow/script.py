"""The frame that every script of a rule runs in: log, progress, errors.

with running(snakemake) as progress:
    ...
    progress(done, total)
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from pixelcal.errors import InputError, one_line
from pixelcal.io import atomic
from pixelcal.workflow.interrupt import COLLECTED, EXIT_STOPPED, STOPPED

PROGRESS_INTERVAL_S = 5.0
PROGRESS_AMONG_STEPS_S = 30.0
"""Where Snakemake's process prints a line for each step."""
_FORMAT = "%(asctime)s %(levelname)s %(message)s"

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR)
"""What the system says of a place where nothing can be written: also the user's to mend."""

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""How numpy says that the disk is full."""


@contextmanager
def running(snakemake) -> Iterator[Callable[[float, float], None]]:
    """Run the body of a script: yields `progress(done, total)`.

    Messages of the loggers under `pixelcal` from INFO upwards go to the log file of the rule, and
    warnings, Python's own among them, to the log file and to stderr. An `InputError`, or a file
    system that is full or read-only, ends the script with one line in both and exit code 1, and so
    does Ctrl-C, with code 130; any other exception ends it with its traceback in both.

    What a killed run of the same job left behind is removed, and where it still runs it writes
    nothing any more (`pixelcal.io.atomic`).
    """
    name = _job_name(snakemake)
    with _logging_to(snakemake.log[0] if snakemake.log else None, name) as logger:
        logger.info("%s: started", name)
        atomic.remove_leftovers(snakemake.output)
        try:
            yield _Progress(name)
        except InputError as error:
            logger.error("%s: %s", name, one_line(error), extra=_told_when())
            raise SystemExit(1) from error
        except KeyboardInterrupt:
            logger.error("%s: %s", name, STOPPED, extra=_AT_THE_END)
            raise SystemExit(EXIT_STOPPED) from None
        except Exception as error:
            trouble = atomic.LEASE_IS_LOST if atomic.lease_is_lost() else _trouble_of_writing(error)
            if trouble is None:
                logger.critical("%s: stopped by an internal error", name, exc_info=True)
            else:
                logger.error("%s: %s", name, one_line(trouble), extra=_told_when())
            raise SystemExit(1) from error
        logger.info("%s: done", name)


def listed(files) -> list[str]:
    """The paths of an input that may be several: Snakemake gives a single one as text."""
    return [files] if isinstance(files, str) else list(files)


def _job_name(snakemake) -> str:
    """The rule and the values of its wildcards, as "fit_lines 10ks 0003"."""
    return " ".join([snakemake.rule, *map(str, snakemake.wildcards)])


class _Progress:
    """Says on stderr how far a job is, at most once in an interval of seconds.

    Where Snakemake's process prints a line for each step, only a user at a terminal is told.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        among_steps = bool(os.environ.get(COLLECTED))
        self._interval = PROGRESS_AMONG_STEPS_S if among_steps else PROGRESS_INTERVAL_S
        self._silent = among_steps and not sys.stderr.isatty()
        self._next = time.monotonic() + self._interval

    def __call__(self, done: float, total: float) -> None:
        now = time.monotonic()
        if total > 0 and now >= self._next and not self._silent:
            self._next = now + self._interval
            print(f"{self._name}: {100 * done / total:.0f} %", file=sys.stderr, flush=True)


def _trouble_of_writing(error: BaseException | None) -> str | None:
    """One line where an exception, or what caused it, is that nothing can be written."""
    product = getattr(error, "product", None)
    while error is not None:
        if isinstance(error, OSError):
            place = f" {name}" if (name := product or error.filename) else ""
            if error.errno in NO_SPACE or _SHORT_WRITE.fullmatch(str(error)):
                reason = error.strerror or f"no space left, {error}"
                return f"cannot write{place} ({reason}); free space and run again"
            if error.errno in NO_WRITING:
                return f"cannot write{place} ({error.strerror}); make the folder writable"
        error = error.__cause__ or error.__context__
    return None


_AT_THE_END = {"at_the_end": True}
"""Marks a line that Snakemake's process prints at its end, where it does (`run_lines`)."""


def _told_when() -> dict:
    """Mark of an error: at once where the lease is lost, at the end of the run elsewhere.

    The log of a lost lease is that of the later run: the line would be lost there.
    """
    return {} if atomic.lease_is_lost() else _AT_THE_END


class _LogFile(logging.FileHandler):
    """A log file that cannot be written is not worth a traceback: the message is on stderr too."""

    is_whole = True

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing where the disk is full."""
        self.is_whole = False

    def close(self) -> None:
        """Close; what was not written by then is lost."""
        with suppress(OSError):
            super().close()


def _told_later(record: logging.LogRecord, file: _LogFile | None) -> bool:
    """Whether a record is in the log file, from which it is told at the end of the run."""
    collected = getattr(record, "at_the_end", False) and os.environ.get(COLLECTED)
    return bool(collected) and file is not None and file.is_whole


def _log_file(path: str, name: str) -> _LogFile:
    """The handler of a log file, always a new one; where it cannot be opened, exit with one line.

    A run of the job that was left behind keeps its log file, which has no name any more.
    """
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        return _LogFile(path, mode="w", encoding="utf-8")
    except OSError as error:
        trouble = _trouble_of_writing(error) or error
        print(f"{name}: {one_line(trouble)}", file=sys.stderr)
        raise SystemExit(1) from error


@contextmanager
def _logging_to(path: str | None, name: str) -> Iterator[logging.Logger]:
    """Send log messages and warnings to `path` and stderr; put everything back afterwards."""
    root, logger = logging.getLogger(), logging.getLogger("pixelcal")
    before = logger.level
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [terminal]
    lease, file = ExitStack(), None
    if path is not None:
        file = _log_file(path, name)
        file.setFormatter(logging.Formatter(_FORMAT))
        handlers.insert(0, file)  # before the terminal, which says what the file could not take
        lease.enter_context(atomic.lease(path, file.stream.fileno()))
    terminal.addFilter(lambda record: not _told_later(record, file))
    for handler in handlers:
        root.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with lease:
            yield logger
    finally:
        logging.captureWarnings(False)
        logger.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
