"""What a product says of its origin, in lines: rule, version, git revision, settings, input files.

Uses the standard library alone.
"""

from __future__ import annotations

from pathlib import Path

from pixelcal.errors import InputError
from pixelcal.io.fits_headers import read_headers
from pixelcal.report.provenance import input_files
from pixelcal.workflow.library_hash import Revision
from pixelcal.workflow.lineage import CODE, MEMORY, memory_of

_TABLES = (
    ("lines", "LINETAB", "LINESHA"),
    ("response", "RESPONSE", "RESPSHA"),
    ("bad pixels", "BADPIX", "BADSHA"),
)


def origin_lines(path: str | Path) -> list[str]:
    """What the header of a product says of its origin, and the revision of its code; a line each.

    The revision is that of `run.json` in the nearest folder above the product that has one.

    Raises
    ------
    InputError
        Where the file is missing, is no FITS file, or was not written by pixelcal.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: is not a file; name a FITS product, such as relation.fits")
    header = next((one for one in read_headers(path) if "SOFTVERS" in one), None)
    if header is None:
        raise InputError(f"{path}: no header has SOFTVERS; name a FITS product of pixelcal")
    version, _, code = str(header["SOFTVERS"]).partition("+")
    rows = [
        ("file", str(path)),
        ("made by", f"{header.get('CREATOR', 'pixelcal')}, version {version}"),
        ("code", f"{code}, {_revision_in_words(path, code)}" if code else "hash not in the header"),
        ("settings", str(header.get("CONFHASH", "not in the header"))),
    ]
    rows += [(what, f"{header[a]}  {header[b]}") for what, a, b in _TABLES if a in header]
    rows += [("input", f"{name}  {sha}") for name, sha in input_files(header)]
    return [f"{what:<11} {text}" for what, text in rows]


def _revision_in_words(path: Path, code: str) -> str:
    """The revision of the code of a product, and which file says so."""
    for folder in path.resolve().parents:
        if (folder / MEMORY).is_file():
            entry = memory_of(folder).get(CODE, {}).get(code)
            if entry is None:
                break
            return Revision(entry["commit"], entry["dirty"]).in_words()
    return f"revision not known: no {MEMORY} above this file has it"
