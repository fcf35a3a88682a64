"""The same input and configuration give the same bytes, however the work is cut and run.

Here: the number of cores, the size of the chunks, the seed of Python's hashes. Alone or with other
exposures, and from another folder: test_module.py. With conda environments: test_conda.py.
"""

import os
import shutil

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers.paths import LINES, PIXEL_MAP
from helpers.synthetic import run_script

import config_reference
from pixelcal.io.chunks import chunk_names
from pixelcal.io.tables import table_hdu, write_fits
from pixelcal.workflow import config as configuration

CI = "config/ci.yaml"
KINDS = {".fits", ".json", ".csv", ".ecsv", ".html", ".png", ".pdf", ".txt"}
PRIOR = {"gain_keV": 0.145, "offset_keV": 3.0}
DEFAULTS = configuration.load_defaults(configuration.read_schema(config_reference.SCHEMA))


def test_cores_chunks_and_hashes_change_no_byte_of_any_product(
    ci_project, snakemake, checksums, tmp_path
):
    """From the fits to the report: the figures too, and a last chunk shorter than the others."""
    folder = shutil.copytree(ci_project, tmp_path / "copy", symlinks=True)
    before = checksums(folder)
    assert {os.path.splitext(name)[1] for name in before} == KINDS
    edit = {"exposures": {"3ks": {"fit": {"chunk_pixels": 23}, "seconds": 3000}}}
    edit["exposures"] |= {"5ks": {"seconds": 5000}, "10ks": {"seconds": 10000}}
    (folder / "edit.yaml").write_text(yaml.safe_dump(edit))
    run = snakemake(
        folder,
        *("--cores", 1, "--configfile", CI, "edit.yaml"),
        environment=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert "rule report:" in run.stderr and "rule plot_relation:" in run.stderr
    assert (folder / "results/eclairs/3ks/chunks/0002.fits").exists()
    assert {name: sha for name, sha in checksums(folder).items() if "chunks/" not in name} == {
        name: sha for name, sha in before.items() if "chunks/" not in name
    }


def merged_from_chunks(folder, spectra, n_pixels, chunk_pixels, method, response):
    """Bytes of the relation and of the mission's file, fitted in chunks of so many pixels."""
    given = {"lines": str(LINES), "spectra": str(spectra), **response}
    fit = {key: value for key, value in DEFAULTS["fit"].items() if key != "chunk_pixels"}
    fit["method"] = method
    settings = {"exposure": {"fit": fit}}  # as product_settings: without the size of a chunk
    params = {"relation": PRIOR, "exposure": "3ks", "date": None, "settings": settings}
    paths = []
    for chunk in chunk_names(n_pixels, chunk_pixels):
        paths.append(str(folder / f"{chunk}.fits"))
        own = params | {"fit": fit | {"chunk_pixels": chunk_pixels}, "chunk": chunk}
        run_script("fit_lines", folder, given, {"fits": paths[-1]}, own)
    made = {name: str(folder / f"{name}.fits") for name in ("relation", "mission")}
    given |= {"chunks": paths, "pixel_map": str(PIXEL_MAP)}
    run_script("merge_relation", folder, given, made, params)
    return [open(path, "rb").read() for path in made.values()]


@pytest.mark.parametrize(
    ("method", "n_pixels", "sizes"),
    [("joint", 900, (64, 800, 900)), ("two-step", 2, (1, 2))],
)
def test_chunks_of_64_800_and_all(ci_results, tmp_path, method, n_pixels, sizes):
    """Enough pixels that every size but the last really cuts; spectra like those of the CI run."""
    exposure = ci_results / "eclairs" / "3ks"
    with fits.open(exposure / "spectra.fits") as hdus:
        counts = hdus["SPECTRA"].data["COUNTS"]
        cards = [(c.keyword, c.value) for c in hdus["SPECTRA"].header.cards if _is_own(c.keyword)]
    rows = np.zeros(n_pixels, [("DETNUM", "i2"), ("COUNTS", "i4", (1024,))])
    rows["DETNUM"] = np.arange(n_pixels)
    rows["COUNTS"] = np.random.default_rng(11).poisson(counts[np.arange(n_pixels) % len(counts)])
    spectra = tmp_path / "spectra.fits"
    halves = rows.copy()
    halves["COUNTS"] //= 2
    hdus = [table_hdu(rows, "SPECTRA", cards=cards), table_hdu(halves, "FIRST_HALF")]
    write_fits(spectra, hdus)
    response = {"response": str(exposure / "response.fits")} if method == "joint" else {}
    cut = []
    for size in sizes:
        folder = tmp_path / str(size)
        folder.mkdir()
        assert len(chunk_names(n_pixels, size)) == -(-n_pixels // size)
        cut.append(merged_from_chunks(folder, spectra, n_pixels, size, method, response))
    assert all(made == cut[0] for made in cut)
    answered = np.isfinite(fits.getdata(tmp_path / str(sizes[-1]) / "relation.fits", 1)["GAIN"])
    assert answered.mean() > 0.9  # it was a fit that was the same


def _is_own(keyword):
    """Whether a card of the spectra is of what they say, not of how the table is laid out."""
    return keyword in ("EXPNAME", "EXPOSURE", "MULTIPLI", "LAYOUT") or keyword.startswith("IN")
