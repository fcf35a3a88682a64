"""The code behind a script: its hash, which an edit of the library changes, and its git revision.

Uses the standard library alone, and `git` where there is one: the Snakefile needs it where there is
no numpy.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pixelcal.io.provenance import PACKAGE

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("workflow", "resources", "envs")
"""What products are made with. An edit elsewhere in the project makes nothing dirty."""
_CHECKED_OUT = ".commit"
"""File with the commit that a `module` statement took the project from (checkout.smk)."""
_TIMEOUT_S = 30.0


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


def chain_hash(scripts: Sequence[str | Path], root: str | Path = _ROOT) -> str:
    """Hash (16 hexadecimal digits) of several scripts and of the library behind each of them.

    For a product: the scripts of the steps from the data to it, in their order. That of a single
    script is its `library_hash`.
    """
    hashes = [library_hash(script, root) for script in scripts]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


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


@cache  # by text: the scripts share most of the library, and each job reads the Snakefile again
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
            # Texts alone in a statement are docstrings, of attributes too; they do nothing.
            node.body = [statement for statement in body if not _is_text(statement)]
    return imports, ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


# --- revision -------------------------------------------------------------------------------------


class Revision(NamedTuple):
    """Where code comes from.

    Attributes
    ----------
    commit : str or None
        The commit that is checked out, 40 hexadecimal digits; None where it is not known.
    dirty : bool or None
        Whether workflow, resources or envs differ from this commit; None where it is not known.
    """

    commit: str | None
    dirty: bool | None

    def in_words(self) -> str:
        """As "revision 0123456789ab, with uncommitted changes"."""
        if self.commit is None:
            return "revision not known (no git repository)"
        changes = ", with uncommitted changes" if self.dirty else ""
        return f"revision {self.commit[:12]}{changes}"


UNKNOWN = Revision(None, None)


def revision_of(project: str | Path) -> Revision:
    """The revision of a project; UNKNOWN without git, or where git does not track its Snakefile.

    A copy of the project inside of another repository has no revision of its own: the commit of
    the other one would say nothing about it.

    Parameters
    ----------
    project : path
        The folder with `workflow/Snakefile`.
    """
    taken = Path(project, _CHECKED_OUT)
    if taken.is_file():
        return Revision(taken.read_text(encoding="ascii").strip(), False)
    if _git(project, "ls-files", "--error-unmatch", "--", "workflow/Snakefile") is None:
        return UNKNOWN
    commit = _git(project, "rev-parse", "--verify", "HEAD")
    changes = _git(project, "status", "--porcelain", "--", *_FOLDERS)
    if commit is None or changes is None:
        return UNKNOWN
    return Revision(commit.strip(), bool(changes.strip()))


def _git(project: str | Path, *arguments: str) -> str | None:
    """What git prints in a folder; None where it fails, or there is no git."""
    # A hook of git sets these, which would answer for another repository.
    others = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    environment = {key: value for key, value in os.environ.items() if key not in others}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        return subprocess.run(
            ["git", "-C", str(project), *arguments],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            timeout=_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
