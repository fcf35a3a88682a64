"""The git revision of the code, what run.json keeps of it, and the origin of a product."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from pixelcal.__main__ import main
from pixelcal.io.provenance import provenance_cards, software_version
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow.library_hash import UNKNOWN, Revision, chain_hash, library_hash, revision_of
from pixelcal.workflow.lineage import memory_of, remember

NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
OLD, NEW = "1" * 40, "2" * 40


def git(folder, *arguments):
    identity = ("-c", "user.name=pixelcal", "-c", "user.email=pixelcal@example.org")
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def project_in(folder):
    """The least that a project has, not under git."""
    for name in ("workflow/Snakefile", "resources/lines.csv", "docs/index.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def repository(tmp_path):
    """A project under git; returns its folder."""
    folder = project_in(tmp_path / "project")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


@NEEDS_GIT
@pytest.mark.parametrize(
    ("edited", "dirty"),
    [
        (None, False),
        ("docs/index.md", False),
        ("notes.txt", False),
        ("workflow/Snakefile", True),
        ("workflow/scripts/added.py", True),
        ("resources/lines.csv", True),
    ],
)
def test_an_edit_of_what_products_are_made_with_is_dirty(repository, edited, dirty):
    commit = git(repository, "rev-parse", "HEAD")
    if edited:
        (repository / edited).parent.mkdir(exist_ok=True)
        (repository / edited).write_text("edited")
    assert revision_of(repository) == (commit, dirty)


def test_a_tree_without_git_has_no_revision(tmp_path):
    assert revision_of(project_in(tmp_path / "project")) == UNKNOWN
    assert UNKNOWN.in_words() == "revision not known (no git repository)"


@NEEDS_GIT
def test_the_commit_of_a_repository_around_a_copy_is_not_taken(repository):
    copy = project_in(repository / "vendored")
    assert revision_of(copy) == UNKNOWN


@NEEDS_GIT
def test_a_machine_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert revision_of(repository) == UNKNOWN


@NEEDS_GIT
def test_a_hook_of_another_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    assert len(revision_of(repository).commit) == 40


def test_the_commit_of_a_module_statement(tmp_path):
    (tmp_path / ".commit").write_text(OLD)
    assert revision_of(tmp_path) == (OLD, False)


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        ([Revision(OLD, True), Revision(NEW, True)], Revision(OLD, True)),
        ([Revision(OLD, True), Revision(NEW, False)], Revision(NEW, False)),
        ([Revision(OLD, False), Revision(NEW, False)], Revision(OLD, False)),
        ([Revision(OLD, False), Revision(NEW, True)], Revision(OLD, False)),
        ([UNKNOWN, Revision(NEW, False)], Revision(NEW, False)),
        ([Revision(OLD, True), UNKNOWN], Revision(OLD, True)),
    ],
)
def test_a_hash_keeps_the_first_clean_revision(tmp_path, seen, kept):
    for number, revision in enumerate(seen):
        remember(tmp_path, {}, {"a" * 16: "fit", f"{number}" * 16: "merge"}, revision)
    code = memory_of(tmp_path)["code"]
    assert code["a" * 16] == {"rule": "fit", "version": software_version(), **kept._asdict()}
    assert set(code) == {"a" * 16, "0" * 16, "1" * 16}


def test_the_memory_of_cameras_stays(tmp_path):
    remember(tmp_path, {"sstcam": {"kind": "simulated"}})
    remember(tmp_path, {}, {"a" * 16: "fit"}, UNKNOWN)
    assert memory_of(tmp_path)["sstcam"] == {"kind": "simulated"}


def test_every_script_of_a_chain_counts(tmp_path):
    (tmp_path / "pixelcal").mkdir()
    scripts = [tmp_path / name for name in ("first.py", "second.py")]
    for script in scripts:
        script.write_text("import numpy\n")
    assert chain_hash(scripts[:1], tmp_path) == library_hash(scripts[0], tmp_path)
    before = chain_hash(scripts, tmp_path)
    assert len(before) == 16
    scripts[0].write_text("import numpy  # as np\n")
    assert chain_hash(scripts, tmp_path) == before
    scripts[0].write_text("import scipy\n")
    assert chain_hash(scripts, tmp_path) != before
    assert chain_hash(scripts[::-1], tmp_path) != chain_hash(scripts, tmp_path)


@pytest.fixture
def product(tmp_path):
    """A product in the folder of a run; returns its path."""
    table = tmp_path / "lines.csv"
    table.write_text("lines")
    path = tmp_path / "results/eclairs/a/relation.fits"
    path.parent.mkdir(parents=True)
    settings = {"seed": 1}
    cards = provenance_cards("merge", inputs=[table], settings=settings, code="a" * 16)
    write_fits(path, [table_hdu(np.zeros(1, [("DETNUM", "i2")]), "RELATION", cards=cards)], None)
    return path


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (Revision(OLD, False), f"revision {OLD[:12]}"),
        (Revision(OLD, True), f"revision {OLD[:12]}, with uncommitted changes"),
        (UNKNOWN, "revision not known (no git repository)"),
        (None, "revision not known: no run.json above this file has it"),
    ],
)
def test_a_product_tells_its_origin(product, capsys, revision, words):
    if revision is not None:
        remember(product.parents[2], {}, {"a" * 16: "merge"}, revision)
    assert main(["provenance", str(product)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["code"] == f"{'a' * 16}, {words}"
    assert said["input"].startswith("lines.csv  ")
    assert f"pixelcal merge, version {software_version()}" in said["made"]


def test_files_of_others_are_one_line(tmp_path, capsys):
    (tmp_path / "text.fits").write_text("text")
    write_fits(tmp_path / "foreign.fits", [table_hdu(np.zeros(1, [("A", "i2")]), "A")], None)
    for name, words in (
        ("none.fits", "is not a file"),
        ("text.fits", "no header has SOFTVERS"),
        ("foreign.fits", "no header has SOFTVERS"),
    ):
        assert main(["provenance", str(tmp_path / name)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"pixelcal: {tmp_path / name}: {words}")


def test_memory_of_another_form_is_refused(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"code": []}))
    with pytest.raises(Exception, match="is not what pixelcal wrote; remove it"):
        memory_of(tmp_path)
