"""The project's files where a `module` statement takes the Snakefile out of a git repository.

Snakemake fetches only what a Snakefile names, file by file, and for `gitfile` under names that Python
cannot import. The library and the tables come from the clone that Snakemake read.
"""

import io
import os
import subprocess
import tarfile
import tempfile

CHECKED_OUT = ("envs", "resources", "workflow")


def checked_out(source):
    """The folder with the project as it is at the tag, branch or commit of a `source`.

    Its place is the same for every version: a table that did not change makes nothing stale. A job
    takes what the main process put there, even where a branch has moved on since.
    """
    folder = Path(".snakemake", "pixelcal").resolve()
    stamp = folder / ".commit"
    if stamp.is_file() and not workflow.is_main_process:
        return folder
    commit = git(source, "rev-parse", "--verify", f"{source.ref}^{{commit}}").decode().strip()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == commit:
        return folder
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pixelcal.", dir=folder.parent) as place:
        new, old = Path(place, "new"), Path(place, "old")
        files = git(source, "archive", "--format=tar", commit, *CHECKED_OUT)
        with tarfile.open(fileobj=io.BytesIO(files)) as archive:
            archive.extractall(new, filter="data")
        (new / stamp.name).write_text(commit, encoding="ascii")
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    return folder


def git(source, *arguments):
    """What git says in the clone: the user's with `gitfile`, Snakemake's of a hosted project."""
    clone = getattr(source, "repo_path", None) or source.hosted_repo.repo.git_dir
    return subprocess.run(
        ["git", "-C", clone, *arguments], check=True, stdout=subprocess.PIPE
    ).stdout
