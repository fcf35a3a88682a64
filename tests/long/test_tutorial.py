"""Every command of docs/tutorial.md, in the order of the page, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import PROJECT
from helpers.project_copies import copy_project
from helpers.shell_blocks import as_script, by_block, shell_blocks

from pixelcal.api import read_relation, refit_pixels

BLOCKS = shell_blocks(PROJECT / "docs" / "tutorial.md")
(USED,) = (number for number, block in enumerate(BLOCKS) if "read_relation" in block)
(PIXEL,) = (number for number, block in enumerate(BLOCKS) if "0042.png" in block)
(OWN,) = (number for number, block in enumerate(BLOCKS) if "--dry-run --quiet" in block)
(WRONG,) = (number for number, block in enumerate(BLOCKS) if "pixel=" in block)
(EDITED,) = (number for number, block in enumerate(BLOCKS) if ">> mine.yaml" in block)
CLEANED = len(BLOCKS) - 1


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder after the last block but the one that cleans up, and what each block said."""
    folder = copy_project(tmp_path_factory.mktemp("tutorial") / "pixelcal")
    for name in ("Makefile", "requirements"):
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    _finished_environment(folder / ".venv")
    script = as_script(BLOCKS[:CLEANED])
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1500,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    return folder, by_block(run.stdout, CLEANED)


def _finished_environment(folder):
    """This environment as `make environment` leaves it: nothing is installed again."""
    folder.mkdir()
    (folder / "bin").symlink_to(Path(sys.executable).parent)
    for name in ("uv.stamp", "run.stamp"):
        (folder / name).touch()


def test_every_block_of_the_page_is_run():
    page = (PROJECT / "docs" / "tutorial.md").read_text("utf-8")
    assert len(BLOCKS) == page.count("```") // 2 >= 10
    assert not re.search(r"^    \S", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)


def test_the_products_that_the_page_names(tutorial):
    folder, said = tutorial
    page = (PROJECT / "docs" / "tutorial.md").read_text("utf-8")
    named = re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE)
    assert len(named) == 3
    for name in named:
        assert (folder / "results/try/eclairs/10ks" / name).stat().st_size > 0
        assert name in said[BLOCKS.index("ls results results/try/eclairs/10ks\n")]
    assert (folder / "results/try/report.html").stat().st_size > 100_000
    assert (folder / "results/mine/report.html").stat().st_size > 100_000


def test_the_python_block_says_what_the_file_has(tutorial):
    folder, said = tutorial
    relation = read_relation(folder / "results/try/eclairs/10ks/relation.fits")
    good, energy, sigma = re.search(
        r"(\d+) of 64 pixels are good\npixel 7, channel 300: ([\d.]+) ± ([\d.]+) keV", said[USED]
    ).groups()
    assert int(good) == (relation.status == 0).sum() >= 50
    row = relation.table[relation.pixel == 7][0]
    assert float(energy) == pytest.approx(row["GAIN"] * 300.5 + row["OFFSET"], abs=0.006)
    assert 0.02 < float(sigma) < 1.0


def test_one_pixel_makes_nothing_else_again(tutorial):
    folder, said = tutorial
    assert (folder / "results/try/eclairs/10ks/pixels/0042.png").stat().st_size > 0
    assert "plot_pixel" in said[PIXEL] and "fit_lines" not in said[PIXEL]


def test_own_events_have_a_run_of_their_own(tutorial):
    folder, said = tutorial
    assert "simulate_events" not in said[OWN] and "bin_spectra" in said[OWN]
    first = (folder / "results/try/eclairs/10ks/relation.fits").stat().st_mtime
    assert first < (folder / "results/mine/eclairs/2ks/relation.fits").stat().st_mtime


def test_the_mistake_is_one_line(tutorial):
    _, said = tutorial
    assert "stopped, as it should" in said[WRONG] and "Traceback" not in said[WRONG]
    assert re.search(r"configuration: .*\bpixel\b", said[WRONG])


def test_the_edit_makes_the_fits_again_and_no_more(tutorial):
    _, said = tutorial
    assert "fit_lines" in said[EDITED] and "merge_relation" in said[EDITED]
    assert "rule bin_spectra" not in said[EDITED] and "rule learn_response" not in said[EDITED]


def test_a_pixel_fitted_again_has_the_numbers_of_the_run(tutorial):
    folder, _ = tutorial
    relation = read_relation(folder / "results/try/eclairs/10ks/relation.fits")
    again = refit_pixels(folder / "results/try/eclairs/10ks", relation.pixel[[41, 7]])
    for name in ("GAIN", "OFFSET", "GAIN_ERR", "GAIN_OFFSET_COV", "PVALUE", "BLOCKS_OUT"):
        there = relation.table[name][[41, 7]]
        assert np.array_equal(again.table[name], there, equal_nan=True), name


def test_cleaning_up_leaves_the_first_run(tutorial):
    folder, _ = tutorial
    subprocess.run(["bash", "-ec", BLOCKS[CLEANED]], cwd=folder, check=True)
    assert not (folder / "mine.yaml").exists() and not (folder / "data").exists()
    assert (folder / "results/try/report.html").exists() and not (folder / "results/mine").exists()
