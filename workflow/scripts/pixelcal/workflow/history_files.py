"""The files of other runs that a history takes: relations, or fits of sets of SSTCAM runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.workflow.config_checks import check_file
from pixelcal.workflow.file_lists import expanded


def other_files(
    patterns: Sequence[str],
    of_this_run: Sequence[str],
    section: str = "history",
    name: str = "relation.fits",
) -> list[str]:
    """The files that the key `files` of a section names, each once, sorted within a pattern.

    Those that this run makes (`of_this_run`) are left out: the history has them anyway. `name` is
    what such files are called.

    Raises
    ------
    InputError
        Where a pattern matches no file, or a file cannot be read.
    """
    made = {Path(path).resolve() for path in of_this_run}
    found: dict[Path, str] = {}
    for number, pattern in enumerate(patterns):
        key = f"{section}.files[{number}]"
        try:
            paths = expanded([pattern], key)
        except InputError:
            raise InputError(
                f"{key}: {pattern!r} matches no file; allowed: existing {name} files"
            ) from None
        for path in paths:
            place = Path(path).resolve()
            if place not in made:
                check_file(key, path)
                found.setdefault(place, path)
    return list(found.values())
