"""Puts the library first on the path, whatever else is installed under its name.

Snakemake puts the folder of a script there, but not the one above it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
