"""Compiled loops: the one place that says how numba is used.

`njit` caches the machine code on disk, keeps IEEE arithmetic (no fastmath: results must not depend
on how a loop was vectorised) and, as numpy does, gives inf or NaN for a division by zero.

numba looks for edits only in the file of the cached function, not in those it calls or takes
constants from. So each module has a folder of the cache for each state of its code and of what it
imports. The folders are where numba puts its cache (NUMBA_CACHE_DIR, the `__pycache__` of the
module, or the user's cache where that is read-only), and nothing of numba's settings is changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from functools import cache
from pathlib import Path

import numba
from numba.core import caching

_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package."""

_KEPT = 3
"""States of a module whose machine code stays: of the branches that one goes back and forth."""

_IMPORT = re.compile(r"^from (pixelcal[\w.]*) import (\([^)]*\)|.*)|^import (pixelcal[\w.]*)", re.M)


def njit(function):
    """Decorator of a compiled function, `@njit`, with a cache that sees edits of what it calls."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if compiled is not function:  # as it is with NUMBA_DISABLE_JIT
        compiled._cache = _Cache(function)  # what cache=True does, with a cache of our own
    return compiled


class _InStateFolder:
    """Where numba caches, a folder for each state of the module; old ones are removed."""

    def get_cache_path(self) -> str:
        module = Path(self._py_file)
        return os.path.join(super().get_cache_path(), f"{module.stem}-{_state(module)}")

    def get_source_stamp(self) -> str:
        return _state(Path(self._py_file))

    def ensure_cache_path(self) -> None:
        new = not os.path.isdir(self.get_cache_path())
        super().ensure_cache_path()
        if new:
            _remove_old_states(Path(self.get_cache_path()))


class _CacheImplementation(caching.CompileResultCacheImpl):
    _locator_classes = [
        type(place.__name__, (_InStateFolder, place), {})
        for place in caching.CompileResultCacheImpl._locator_classes
    ]


class _Cache(caching.FunctionCache):
    _impl_class = _CacheImplementation


def _remove_old_states(newest: Path) -> None:
    """Remove all folders of a module but the `_KEPT` latest.

    A process that still uses one of them compiles what it misses; numba makes the folder again.
    """
    name = re.compile(rf"{re.escape(newest.name.rpartition('-')[0])}-[0-9a-f]{{16}}")
    made: list[tuple[float, Path]] = []
    for folder in newest.parent.iterdir():
        if name.fullmatch(folder.name) and folder != newest:
            try:
                made.append((folder.stat().st_mtime, folder))
            except FileNotFoundError:  # another process removes it
                continue
    for _, folder in sorted(made, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _state(module: Path) -> str:
    """Hash (16 hexadecimal digits) of a module and all of the package that it imports."""
    reached: set[Path] = set()
    waiting = {module}
    while waiting:
        path = waiting.pop()
        reached.add(path)
        waiting |= _imported(path) - reached
    digest = hashlib.sha256()
    for path in sorted(reached):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _imported(path: Path) -> set[Path]:
    """The modules of the package in the import statements at the top level of a file."""
    names = set()
    for package, imported, module in _IMPORT.findall(path.read_text(encoding="utf-8")):
        names.add(package or module)
        names.update(f"{package}.{name}" for name in re.findall(r"\w+", imported))
    files = (_ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return {file for file in files if file.is_file()}
