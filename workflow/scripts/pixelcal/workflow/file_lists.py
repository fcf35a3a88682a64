"""Files that the configuration names by patterns: wildcards and the home folder written out."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence

from pixelcal.errors import InputError
from pixelcal.workflow.schema_errors import mistakes_of, shown

_WILDCARDS = frozenset("*?[")


def with_files_found(config: Mapping) -> tuple[dict, list[str]]:
    """The configuration with the files that `events.files` and `events.gti.file` name.

    Returns
    -------
    config : dict
        `events.files` is a list; `events.gti.file` is None, a path, or a list of several.
    mistakes : list of str
        A line for each pattern that no file matches.
    """
    events = dict(config["events"])
    given = {"events.files": events["files"], "events.gti.file": gti_files(config)}
    found = {key: [] for key in given}

    def find(key: str) -> None:
        found[key] = expanded(given[key], key)

    mistakes = mistakes_of([lambda key=key: find(key) for key in given])
    gti = found["events.gti.file"]
    events["files"] = found["events.files"]
    # A single file stays a text, because the hash of the configuration in products counts it so.
    events["gti"] = dict(events["gti"]) | {"file": gti if len(gti) > 1 else next(iter(gti), None)}
    return dict(config) | {"events": events}, mistakes


def gti_files(config: Mapping) -> list[str]:
    """The files of good times of a configuration, which names none, one or several."""
    given = config["events"]["gti"]["file"]
    if given is None:
        return []
    return [given] if isinstance(given, str) else list(given)


def expanded(paths: Sequence[str], key: str) -> list[str]:
    """Paths (n,) with `~` and wildcards written out; what matches a pattern is sorted by name.

    A file that a pattern matches again is left out there. A name that is that of a file is taken as
    it is, whatever its characters.

    Raises
    ------
    InputError
        Where no file matches a pattern.
    """
    literal = [os.path.expanduser(path) for path in paths]
    is_pattern = [bool(_WILDCARDS & set(path)) and not os.path.exists(path) for path in literal]
    named = [path for path, pattern in zip(literal, is_pattern, strict=True) if not pattern]
    seen = {os.path.realpath(path) for path in named}
    files = []
    for given, path, pattern in zip(paths, literal, is_pattern, strict=True):
        if not pattern:
            files.append(path)
            continue
        matches = sorted(
            match for match in glob.glob(path, recursive=True) if os.path.isfile(match)
        )
        if not matches:
            raise InputError(
                f"{key}: {shown(given)} matches no file; check the folder and the pattern"
            )
        new = [match for match in matches if os.path.realpath(match) not in seen]
        seen.update(map(os.path.realpath, new))
        files += new
    return files
