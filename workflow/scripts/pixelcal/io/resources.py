"""Files that pixelcal brings: line tables, pixel maps, attenuation of CdTe.

Uses the standard library alone: the Snakefile needs it where there is no numpy.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "resources"

RESOURCES = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parents[2] / "resources"
"""Their folder: in the installed package, or at the top of the clone."""


def shipped_or_given(path: str | Path) -> str:
    """`path` itself, or where there is no such file, the one of that name that pixelcal brings.

    So `resources/lines/all_blocks.csv` is found from any folder that pixelcal is used in.
    """
    shipped = RESOURCES.parent / path
    inside = shipped.is_relative_to(RESOURCES)
    return str(shipped) if inside and not os.path.exists(path) and shipped.is_file() else str(path)
