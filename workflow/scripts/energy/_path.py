"""Puts the library first on the path, whatever else is installed under its name.

Snakemake puts the folder of a script there, but not the one above it. From here on Ctrl-C prints a
line and no traceback, also while a script still imports.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pixelcal.workflow import interrupt  # noqa: E402 - found through the line above

interrupt.install()
