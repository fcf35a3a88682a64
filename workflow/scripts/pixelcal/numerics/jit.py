"""Compiled loops: the one place that says how numba is used.

`njit` caches the machine code on disk, keeps IEEE arithmetic (no fastmath: results must not depend
on how a loop was vectorised) and, as numpy does, gives inf or NaN for a division by zero.

numba looks for edits only in the file of the cached function, not in those it calls. The cache
therefore has a folder for each state of the library: after an edit anywhere in it everything is
compiled again.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import numba

_LIBRARY = Path(__file__).resolve().parents[1]


def _state_of_the_library() -> str:
    """Hash of all modules of the library."""
    digest = hashlib.sha256()
    for path in sorted(_LIBRARY.rglob("*.py")):
        digest.update(path.relative_to(_LIBRARY).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(_LIBRARY / "__pycache__" / f"numba-{_state_of_the_library()}")

njit = partial(numba.njit, cache=True, nogil=True, error_model="numpy")
"""Decorator of a compiled function; used bare, `@njit`."""
