"""The relation files of other runs that a history takes."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pixelcal.errors import InputError

WILDCARDS = "*?["


def other_relations(patterns: Sequence[str], of_this_run: Sequence[str]) -> list[str]:
    """The files that `history.files` names, each once, sorted within a pattern.

    Those that this run makes (`of_this_run`) are left out: the history has them anyway.

    Raises
    ------
    InputError
        Where a pattern matches no file.
    """
    made = {Path(path).resolve() for path in of_this_run}
    found: dict[Path, str] = {}
    for number, pattern in enumerate(patterns):
        path = os.path.expanduser(pattern)
        matches = sorted(glob.glob(path, recursive=True)) if set(path) & set(WILDCARDS) else [path]
        files = [match for match in matches if Path(match).is_file()]
        if not files and not any(Path(match).resolve() in made for match in matches):
            raise InputError(
                f"history.files[{number}]: {pattern!r} matches no file; allowed: existing"
                " relation.fits files"
            )
        for file in files:
            if "{" in file or "}" in file or not file.isprintable():
                raise InputError(
                    f"history.files[{number}]: {file!r} has a brace or a control character in its"
                    " name; rename the file"
                )
            found.setdefault(Path(file).resolve(), file)
    return [file for path, file in found.items() if path not in made]
