"""Where a product comes from: versions, checksums, and the hash of the code behind a script.

Uses the standard library alone: the Snakefile needs `library_hash` where there is no numpy.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixelcal import __version__

PACKAGE = "pixelcal"


LONGEST_WITH_COMMENT = 55
"""Characters of a value in a header card that leave room for a few words behind it."""


def software_version(code: str | None = None) -> str:
    """Version of pixelcal, as "1.0.0"; with the hash of the code that makes a product behind it.

    The hash, as "1.0.0+0123456789abcdef", is a local version of PEP 440. It replaces the git
    revision, which a product cannot contain: every commit would change its bytes, although the
    code behind it is the same. `run.json` has the revision of each hash.
    """
    return __version__ if code is None else f"{__version__}+{code}"


def software_versions(modules: Iterable) -> dict[str, str]:
    """Versions of Python and of the modules given, by name."""
    versions = {module.__name__: module.__version__ for module in modules}
    return {"Python": platform.python_version(), **versions}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file (64 hexadecimal digits), read in pieces: memory does not grow with it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_SAMPLES, _SAMPLE_BYTES = 64, 65536


def sampled_sha256(path: str | Path) -> str:
    """SHA-256 of the size of a file and of 64 pieces of 64 kB, spread evenly over it.

    For files that are too large to be read in each plan. One of up to 4 MB is read whole; of a
    larger one the header, with the checksums that FITS has there, is in the first piece.
    """
    size = os.path.getsize(path)
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for number in range(_SAMPLES):
            if size > _SAMPLES * _SAMPLE_BYTES:
                file.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def configuration_hash(settings: Mapping) -> str:
    """SHA-256 (64 hexadecimal digits) of resolved settings; the order of keys does not count."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# --- header cards ---------------------------------------------------------------------------------


def provenance_cards(
    creator: str,
    *,
    inputs: Iterable[str | Path] = (),
    line_table: str | Path | None = None,
    response: str | Path | None = None,
    bad_pixels: str | Path | None = None,
    settings: Mapping | None = None,
    code: str | None = None,
) -> list[tuple[str, str | int, str]]:
    """FITS header cards (keyword, value, comment) that say where a product comes from.

    Parameters
    ----------
    creator : str
        The rule that writes the product.
    inputs : paths
        Input files: INFILnnn holds the name (without its folder, which differs from machine to
        machine), INSHAnnn the SHA-256. They are numbered in the order given.
    line_table : path, optional
        LINETAB and LINESHA: its name and SHA-256.
    response : path, optional
        RESPONSE and RESPSHA, of the response of the camera.
    bad_pixels : path, optional
        BADPIX and BADSHA, of the table of bad pixels.
    settings : dict, optional
        Resolved settings: CONFHASH is their hash.
    code : str, optional
        Hash of the code behind the product, which SOFTVERS has after the version.

    A checksum fills its card, so those cards have no comment.
    """
    cards: list[tuple[str, str | int, str]] = [
        ("CREATOR", f"{PACKAGE} {creator}", "software and rule"),
        ("SOFTVERS", software_version(code), f"version of {PACKAGE}"),
    ]
    if settings is not None:
        cards.append(("CONFHASH", configuration_hash(settings), ""))
    for keyword, checksum, path, comment in (
        ("LINETAB", "LINESHA", line_table, "line table"),
        ("RESPONSE", "RESPSHA", response, "response of the camera"),
        ("BADPIX", "BADSHA", bad_pixels, "table of bad pixels"),
    ):
        if path is not None:
            cards.append((keyword, _ascii_name(path), comment))
            cards.append((checksum, file_sha256(path), ""))
    return [*cards, *_input_cards([(_ascii_name(path), file_sha256(path)) for path in inputs])]


def carried_cards(*headers: Mapping) -> list[tuple[str, str | int, str]]:
    """The cards of the input files in the headers of earlier products, each file once.

    A later product repeats them, so that it names the files that everything began with. The files
    of all headers are numbered in their order, from 1 on.
    """
    files = {
        (header[f"INFIL{number:03d}"], header[f"INSHA{number:03d}"]): None
        for header in headers
        for number in range(1, header.get("NINFILE", 0) + 1)
    }
    return _input_cards(list(files))


def _input_cards(files: Sequence[tuple[str, str]]) -> list[tuple[str, str | int, str]]:
    """NINFILE, INFILnnn and INSHAnnn of (name, SHA-256) of input files; nothing without any."""
    cards: list[tuple[str, str | int, str]] = []
    if files:
        cards.append(("NINFILE", len(files), "number of input files"))
    for number, (name, checksum) in enumerate(files, 1):
        comment = "input file" if len(name) < LONGEST_WITH_COMMENT else ""
        cards.append((f"INFIL{number:03d}", name, comment))
        cards.append((f"INSHA{number:03d}", checksum, ""))
    return cards


def _ascii_name(path: str | Path) -> str:
    """Name of a file in the characters that a FITS header may hold."""
    return Path(path).name.encode("ascii", "backslashreplace").decode()
