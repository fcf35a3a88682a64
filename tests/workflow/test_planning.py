"""What a plan costs: no file of ours is read more often because there are more jobs."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import yaml

COUNTING = """
import collections, json, sys

reads = collections.Counter()

def count(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        reads[arguments[0]] += 1

sys.addaudithook(count)
from snakemake.cli import main
try:
    main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w") as file:
        json.dump(reads, file)
"""
TABLES = ("all_blocks.csv", "strongest.csv", "cdte.csv", "eclairs_pixels.csv")


@pytest.fixture
def project(project_with_library):
    """With a library in its own folder: that one is read by one name only."""
    return project_with_library


@pytest.fixture
def reads(project, tmp_path):
    """Function: how often a dry run opens each file of the tables and the library."""

    def counted(exposures, chunks):
        lines = ("resources/lines/all_blocks.csv", "resources/lines/strongest.csv")
        settings = {
            "fit": {"chunk_pixels": 6400 // chunks},
            "exposures": {
                f"e{k}": {"seconds": 100 * (k + 1), "lines": lines[k % 2]} for k in range(exposures)
            },
        }
        (project / "own.yaml").write_text(yaml.safe_dump(settings))
        written = tmp_path / "reads.json"
        # Every module is then read from its source, whatever bytecode lies about.
        bytecode = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        arguments = ["--dry-run", "--configfile", "own.yaml"]
        run = subprocess.run(
            [sys.executable, "-c", COUNTING, written, *arguments],
            cwd=project,
            env=os.environ | bytecode,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        jobs = [line.split() for line in run.stdout.splitlines()]
        assert ["fit_lines", str(exposures * chunks)] in jobs
        count = Counter()
        for path, times in json.loads(written.read_text()).items():
            if path.endswith(TABLES) or "workflow/scripts/pixelcal/" in path:
                count[path.removeprefix(f"{project}/")] += times
        return count

    return counted


def test_more_jobs_read_no_file_more_often(reads):
    few, many = reads(2, 2), reads(6, 32)
    assert few["resources/lines/all_blocks.csv"] > 0
    assert few["workflow/scripts/pixelcal/energy/fit/joint.py"] > 0
    assert many == few
