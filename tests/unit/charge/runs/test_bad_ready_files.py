"""Ready files with a mistake: one line, as docs/sstcam-runs.md has it, and nothing written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from astropy.io import fits
from helpers.paths import PROJECT
from helpers.ready_files import run_ready, write_charges, write_histograms
from helpers.sstcam_runs import write_run

PIXELS = range(5)
CHARGES = np.random.default_rng(1).integers(290, 400, (40, 5))
COUNTS = np.random.default_rng(2).integers(0, 90, (5, 30))
EDGES = np.arange(31.0)
BINS = {"start": 0.0, "width": 1.0}


class Case(NamedTuple):
    """A mistake: its row in the page, the form of the runs, and how the file is made.

    `make` is given a path without its ending and gives the file."""

    mistake: str
    form: str
    make: Callable[[Path], Path]


def charges(mistake, values=CHARGES, **options):
    return Case(mistake, "charges", lambda path: write_charges(f"{path}.h5", values, **options))


def counts(mistake, values=COUNTS, **options):
    return Case(
        mistake, "histograms", lambda path: write_histograms(f"{path}.h5", values, **options)
    )


def written(mistake, form, name, content):
    """A file with this text."""

    def make(path):
        file = path.with_suffix(name)
        file.write_text(content)
        return file

    return Case(mistake, form, make)


def array(mistake, values):
    def make(path):
        np.save(f"{path}.npy", values)
        return path.with_suffix(".npy")

    return Case(mistake, "histograms", make)


def with_value(value):
    changed = COUNTS.astype(float)
    changed[2, 3] = value
    return changed


def image(*tables, pixels=5):
    """A function that writes a FITS file with an image of the charges of some pixels."""

    def make(path):
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(CHARGES.T[:pixels], name="CHARGES"), *tables]
        fits.HDUList(hdus).writeto(f"{path}.fits")
        return path.with_suffix(".fits")

    return make


TABLE = fits.BinTableHDU.from_columns(
    [fits.Column("PIXEL", "J", array=np.arange(5))], name="PIXELS"
)


def empty(path):
    h5py.File(f"{path}.h5", "w").close()
    return path.with_suffix(".h5")


CASES = [
    Case("waveforms instead of charges", "charges", lambda path: write_run(f"{path}.h5")),
    Case("an HDF5 file without charges", "charges", empty),
    written("charges that are neither HDF5 nor FITS", "charges", ".h5", "1,2,3"),
    charges("charges of three axes", CHARGES[:, :, None], pixels=np.arange(5)),
    charges("charges of text", np.full((3, 5), b"a")),
    charges("axes the other way round", CHARGES.T, pixels=np.arange(5)),
    charges("axes that are none", attributes={"axes": "time, pixel"}),
    charges("charges without numbers of pixels", pixels=False),
    charges("a unit that is too long", unit="a" * 30),
    charges("a step that is none", attributes={"step": 0.0}),
    charges("a charge between the steps", CHARGES + 0.4, attributes={"step": 1.0}),
    charges("ends of the ADC that are none", attributes={"adc_min": 5, "adc_max": 5}),
    charges("every charge missing", np.full((40, 5), np.nan)),
    charges("no good event", event_flags=np.full(40, 2, np.uint8)),
    charges("a selected pixel that is not there", CHARGES[:, :4]),
    Case("a FITS file without a table of pixels", "charges", image()),
    Case("FITS charges of fewer pixels than its table", "charges", image(TABLE, pixels=4)),
    Case("charges instead of histograms", "histograms",
         lambda path: write_charges(f"{path}.h5", CHARGES)),
    counts("histograms of three axes", COUNTS[None], pixels=np.arange(5), attributes=BINS),
    counts("no bins"),
    counts("bins said twice", edges=EDGES, attributes=BINS),
    counts("as many edges as bins", edges=EDGES[:-1]),
    counts("bins of different widths", edges=EDGES**1.1),
    counts("a width that is none", attributes={"start": 0.0, "width": -1.0}),
    counts("a count that is negative", with_value(-3), attributes=BINS),
    counts("a count that is not whole", with_value(2.5), attributes=BINS),
    counts("a count that is no number", with_value(np.nan), attributes=BINS),
    array("an array of another shape", np.ones((3, 9))),
    written("a table with another column", "histograms", ".csv", "Energy,Rate\n1,2\n2,3\n"),
    written("a table without numbers", "histograms", ".csv", "charge,count\n1,2\n2,many\n"),
    written("a histogram of one bin", "histograms", ".csv", "pixel,charge,count\n0,1,2\n"),
    written("one pixel where several are selected", "histograms", ".csv",
            "charge,count\n1,2\n2,3\n"),
]  # fmt: skip


def read_page():
    """What the page says of each mistake."""
    text = (PROJECT / "docs" / "sstcam-runs.md").read_text(encoding="utf-8")
    section = text.split("\n## Bad ready files\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*) \| `(.*)` \|$", section, re.MULTILINE)
    return {mistake: line.replace("\\|", "|") for mistake, line in rows}


SAID = read_page()


def test_the_page_has_every_case_and_no_other():
    assert [case.mistake for case in CASES] == list(SAID)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.mistake)
def test_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lab").mkdir()
    Path("made").mkdir()
    path = case.make(Path("lab/dark"))
    result = run_ready(Path("made"), case.form, {"dark": path}, PIXELS)
    rule = {"charges": "take_charges", "histograms": "take_spe_spectra"}[case.form]
    assert result.error and not result.fault, result.said
    expected = f"{rule}: {SAID[case.mistake]}"
    pattern = ".*".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, result.error), f"\n{result.error}\nis not\n{expected}"
    assert not list(Path("made").rglob("*.fits"))
