"""Whether two runs made the same tables: for changes of the code that must change no number.

python benchmarks/same_tables.py results-before results-after

FITS products are compared by the checksums of their data (DATASUM) and by their columns; headers
may differ, because they name versions. JSON, ECSV and text products are compared by their bytes.
Figures, pages, logs and benchmarks are left out. The exit code is 1 where a table differs or is in
one run only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from astropy.io import fits

TABLES = (".fits", ".json", ".ecsv", ".csv", ".txt")
APART = ("logs", "benchmarks")


def content(path: Path) -> bytes | list:
    """What of a product must not change."""
    if path.suffix != ".fits":
        return path.read_bytes()
    with fits.open(path) as hdus:
        return [
            (hdu.name, hdu.header.get("DATASUM"), str(getattr(hdu, "columns", "")))
            for hdu in hdus[1:]
        ]


def tables(folder: Path) -> dict[str, Path]:
    """The tables of a run, by their path within it."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.suffix in TABLES}
    return {str(name): path for name, path in found.items() if name.parts[0] not in APART}


def main() -> int:
    """Compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args()
    before, after = tables(given.before), tables(given.after)
    alone = sorted(before.keys() ^ after.keys())
    changed = [
        name for name in sorted(before.keys() & after.keys())
        if content(before[name]) != content(after[name])
    ]  # fmt: skip
    for name in alone:
        print(f"{name}: only in {given.before if name in before else given.after}")
    for name in changed:
        print(f"{name}: differs")
    print(f"{len(before)} tables before, {len(after)} after, {len(changed)} differ")
    return 1 if alone or changed or not before else 0


if __name__ == "__main__":
    sys.exit(main())
