"""Files that appear whole, and only by the latest run of their job.

A killed Snakemake leaves its scripts running, and they go on writing. Started again, it runs the
same jobs again, perhaps with other settings, beside the scripts of before. Three things keep them
apart:

- a temporary file has another name in every process;
- a script holds the lease on its job from when it begins a new file under the name of the job's log
  until another run of the job does the same: a script that has lost the lease renames nothing;
- a job that begins removes the temporary files that earlier runs of it left behind.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixelcal.errors import InputError

_leases: list[tuple[str, os.stat_result]] = []
"""The log of the job that runs in this process, with what the system says of the open file."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix; renamed to `path` on success.

    The content is on the disk before the rename. After an exception the temporary file is removed
    and what stood under `path` before is untouched; an OSError has `path` as its attribute
    `product`, as many do not say which file had no room.

    Raises
    ------
    InputError
        Where a later run of the job has begun: `path` is that run's now.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        if lease_is_lost():
            raise InputError(f"{path}: not written, because {LEASE_IS_LOST}")
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        error.product = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have the system put a file, or the names in a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(paths: Iterable[str | Path]) -> None:
    """Remove the temporary files that killed processes left of `paths`.

    A process that still writes one of them cannot rename it any more.
    """
    for path in map(Path, paths):
        temporary = re.compile(rf"\.{re.escape(path.stem)}-[0-9a-f]{{12}}{re.escape(path.suffix)}")
        with suppress(OSError):  # no folder: nothing was left in it
            for entry in list(os.scandir(path.parent)):
                if temporary.fullmatch(entry.name):
                    os.unlink(entry.path)


# --- leases ---------------------------------------------------------------------------------------

LEASE_IS_LOST = "a later run of this job has begun; this one was left behind by a killed run"


@contextmanager
def lease(log: str | Path, descriptor: int) -> Iterator[None]:
    """Within, the process holds the lease on the job whose log, a file just made, is open."""
    _leases.append((os.path.abspath(log), os.fstat(descriptor)))
    try:
        yield
    finally:
        _leases.pop()


def lease_is_lost() -> bool:
    """Whether another process has begun the log of the job that runs in this one.

    A log that was removed, as by `make clean`, is no other process.
    """
    if not _leases:
        return False
    log, begun = _leases[-1]
    try:
        return not os.path.samestat(os.stat(log), begun)
    except FileNotFoundError:
        return False
