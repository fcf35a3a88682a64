"""The hash of the code behind a script: what an edit of the library makes stale.

Uses the standard library alone: the Snakefile needs it where there is no numpy."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from pixelcal.io.provenance import PACKAGE

_ROOT = Path(__file__).resolve().parents[2]


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
