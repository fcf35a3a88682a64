"""Where things are in the project that is tested."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = PROJECT / "workflow" / "scripts"
RULES = PROJECT / "workflow" / "rules"
RESOURCES = PROJECT / "resources"
LINES = RESOURCES / "lines" / "all_blocks.csv"
PIXEL_MAP = RESOURCES / "eclairs_pixels.csv"
SNAKEFILE = PROJECT / "workflow" / "Snakefile"

SHARED = PROJECT.parent / "shared"
"""Files beside the project, which may be missing: tests that need them skip."""
