"""The frame that every script of a rule runs in: log, progress, errors.

with running(snakemake) as progress:
    ...
    progress(done, total)
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pixelcal.errors import InputError

PROGRESS_INTERVAL_S = 5.0
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def running(snakemake) -> Iterator[Callable[[float, float], None]]:
    """Run the body of a script: yields `progress(done, total)`.

    Messages of the loggers under `pixelcal` from INFO upwards go to the log file of the rule, and
    warnings, Python's own among them, to the log file and to stderr. An `InputError` ends the
    script with one line in both and exit code 1; any other exception with its traceback in both.
    """
    name = _job_name(snakemake)
    with _logging_to(snakemake.log[0] if snakemake.log else None, name) as logger:
        logger.info("%s: started", name)
        try:
            yield _Progress(name)
        except InputError as error:
            logger.error("%s: %s", name, error)
            raise SystemExit(1) from error
        except Exception as error:
            logger.critical("%s: stopped by a fault", name, exc_info=True)
            raise SystemExit(1) from error
        logger.info("%s: done", name)


def _job_name(snakemake) -> str:
    """The rule and the values of its wildcards, as "fit_lines 10ks 0003"."""
    return " ".join([snakemake.rule, *map(str, snakemake.wildcards)])


class _Progress:
    """Says on stderr how far a job is, at most once every `PROGRESS_INTERVAL_S` seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = time.monotonic() + PROGRESS_INTERVAL_S

    def __call__(self, done: float, total: float) -> None:
        now = time.monotonic()
        if total > 0 and now >= self._next:
            self._next = now + PROGRESS_INTERVAL_S
            print(f"{self._name}: {100 * done / total:.0f} %", file=sys.stderr, flush=True)


@contextmanager
def _logging_to(path: str | None, name: str) -> Iterator[logging.Logger]:
    """Send log messages and warnings to `path` and stderr; put everything back afterwards."""
    root, logger = logging.getLogger(), logging.getLogger("pixelcal")
    before = logger.level
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [terminal]
    if path is not None:
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
        file.setFormatter(logging.Formatter(_FORMAT))
        handlers.append(file)
    for handler in handlers:
        root.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield logger
    finally:
        logging.captureWarnings(False)
        logger.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
