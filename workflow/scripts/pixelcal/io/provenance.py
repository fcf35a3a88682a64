"""Where a product comes from: versions, checksums, and the hash of the code behind a script.

Uses the standard library alone: the Snakefile needs `library_hash` where there is no numpy.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from pixelcal import __version__

PACKAGE = "pixelcal"
_ROOT = Path(__file__).resolve().parents[2]
_CARRIED = ("NINFILE", "INFIL", "INSHA")


def software_version() -> str:
    """Version of pixelcal."""
    return __version__


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file (64 hexadecimal digits), read in pieces: memory does not grow with it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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

    A checksum fills its card, so those cards have no comment.
    """
    cards: list[tuple[str, str | int, str]] = [
        ("CREATOR", f"{PACKAGE} {creator}", "software and rule"),
        ("SOFTVERS", software_version(), f"version of {PACKAGE}"),
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
    paths = list(inputs)
    if paths:
        cards.append(("NINFILE", len(paths), "number of input files"))
    for number, path in enumerate(paths, 1):
        cards.append((f"INFIL{number:03d}", _ascii_name(path), "input file"))
        cards.append((f"INSHA{number:03d}", file_sha256(path), ""))
    return cards


def carried_cards(header) -> list[tuple[str, str | int, str]]:
    """The cards of the input files in the astropy header of an earlier product.

    A later product repeats them, so that it names the files that everything began with.
    """
    return [
        (card.keyword, card.value, card.comment)
        for card in header.cards
        if card.keyword.startswith(_CARRIED)
    ]


def _ascii_name(path: str | Path) -> str:
    """Name of a file in the characters that a FITS header may hold."""
    return Path(path).name.encode("ascii", "backslashreplace").decode()


# --- the code behind a script ---------------------------------------------------------------------


def library_hash(script: str | Path, root: str | Path = _ROOT) -> str:
    """Hash (16 hexadecimal digits) of a script and of the library modules that it reaches.

    Follows the imports of `pixelcal` from the script through the library, those inside functions
    as well, and hashes the syntax trees without docstrings: an edit of a comment, of a docstring or
    of the layout changes nothing.

    Parameters
    ----------
    script : path
        The script of a rule.
    root : path
        The folder that holds the package.
    """
    root = Path(root)
    digest = hashlib.sha256(_code(_text(Path(script)))[1].encode())
    for path in library_files(script, root):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(_code(_text(path))[1].encode())
    return digest.hexdigest()[:16]


def library_files(script: str | Path, root: str | Path = _ROOT) -> list[Path]:
    """Files of the library that a script imports, directly or through others; sorted."""
    reached: set[Path] = set()
    waiting = [Path(script)]
    while waiting:
        new = _imported(waiting.pop(), Path(root)) - reached
        reached |= new
        waiting.extend(new)
    return sorted(reached)


def _imported(path: Path, root: Path) -> set[Path]:
    """Files of the package that the file `path` names in its own import statements."""
    names: set[str] = set()
    for node in _code(_text(path))[0]:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        else:
            module = _absolute_module(node, path, root)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        # Importing a.b.c runs a/__init__ and a/b/__init__ too; c may be a name inside of b.
        for length in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:length])
            files.update(p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())
    return files


def _absolute_module(node: ast.ImportFrom, path: Path, root: Path) -> str:
    """The module that `from ... import` reads, with a relative one written out."""
    if not node.level:
        return node.module or ""
    package = path.resolve().relative_to(root.resolve()).parts[: -node.level]
    return ".".join((*package, *([node.module] if node.module else [])))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache  # by text: the scripts share most of the library, and each job reads the Snakefile anew
def _code(text: str) -> tuple[list[ast.Import | ast.ImportFrom], str]:
    """The import statements of a module, those inside functions as well, and its syntax tree.

    The tree is text, without comments, positions and docstrings.
    """
    tree = ast.parse(text)
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # Texts that stand alone are docstrings, of attributes too; they do nothing.
            node.body = [statement for statement in body if not _is_text(statement)]
    return imports, ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
