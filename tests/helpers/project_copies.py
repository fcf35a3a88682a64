"""Copies of the project, in which a test runs the workflow or edits files."""

import shutil
from pathlib import Path

from helpers.paths import PROJECT

USED = ("config", "envs", "profiles", "resources", "workflow")
SCRIPTS = Path("workflow") / "scripts"
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*_cache")


def copy_project(folder, with_library=False):
    """What the workflow needs, copied into `folder` (made here); returns it.

    Its scripts and library are a link to those of the project unless `with_library`: numba keeps
    its machine code beside the library, and a copy would compile everything again.
    """
    folder.mkdir(parents=True)
    for name in USED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=_not_copied)
        else:
            shutil.copy(source, folder / name)
    (folder / SCRIPTS).symlink_to(PROJECT / SCRIPTS)
    return copy_library(folder) if with_library else folder


def _not_copied(folder, names):
    """What `copy_project` leaves out of a folder: caches, and the scripts, which are linked."""
    linked = {SCRIPTS.name} if Path(folder) == PROJECT / SCRIPTS.parent else set()
    return NOT_COPIED(folder, names) | linked


def copy_library(folder):
    """Replace the link of `copy_project` by files of the folder's own, which a test may edit."""
    (folder / SCRIPTS).unlink()
    shutil.copytree(PROJECT / SCRIPTS, folder / SCRIPTS, ignore=NOT_COPIED)
    return folder
