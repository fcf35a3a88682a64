"""A product has the hash of the code behind it, and run.json the git revision of each hash."""

import json
import shutil
import subprocess

import pytest
from astropy.io import fits
from helpers.faults import write_settings

from pixelcal import __version__

SPECTRA = "results/eclairs/a/spectra.fits"
SETTINGS = {
    "pixels": "0-3",
    "exposures": {"a": {"seconds": 50}},
    "simulation": {"camera": "ideal", "good_seconds": 50},
}
BINNING = "workflow/scripts/pixelcal/energy/events/binning.py"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_changes_no_byte_and_a_dirty_tree_is_told(project_with_library, snakemake):
    """A comment: the bytes stay. Code: SOFTVERS has another hash, and run.json both of them."""
    folder = project_with_library

    def git(*arguments):
        identity = ("-c", "user.name=pixelcal", "-c", "user.email=pixelcal@example.org")
        command = ["git", "-C", folder, *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit():
        git("add", "--all", "workflow", "resources", "config", "envs", "profiles")
        git("commit", "--quiet", "--message", "a commit")
        return git("rev-parse", "HEAD")

    def made(*arguments):
        run = snakemake(folder, SPECTRA, "--configfile", "own.yaml", *arguments)
        assert run.returncode == 0, run.stderr[-3000:]
        memory = json.loads((folder / "results/run.json").read_text())["code"]
        version, code = fits.getheader(folder / SPECTRA, "SPECTRA")["SOFTVERS"].split("+")
        assert version == __version__
        return (folder / SPECTRA).read_bytes(), code, memory, run.stdout + run.stderr

    def append(text):
        with open(folder / BINNING, "a") as file:
            file.write(text)

    write_settings(folder, SETTINGS)
    (folder / ".gitignore").write_text("__pycache__/\n")
    git("init", "--quiet")
    first = commit()
    before, code, memory, said = made()
    entry = {"rule": "bin_spectra", "version": __version__, "commit": first, "dirty": False}
    assert memory == {code: entry} and "uncommitted" not in said

    append("\n# a comment\n")
    again, same, memory, said = made("--forcerun", "bin_spectra")
    assert again == before and same == code and memory == {code: entry}
    assert f"revision {first[:12]}, with uncommitted changes" in said

    append("\nADDED = 1\n")
    _, other, memory, _ = made()
    assert other != code
    assert memory == {code: entry, other: entry | {"dirty": True}}

    second = commit()
    _, last, memory, said = made("--forcerun", "bin_spectra")
    assert last == other and "uncommitted" not in said
    assert memory == {code: entry, other: entry | {"commit": second}}
