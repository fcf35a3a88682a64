"""Relations with known truth and known errors, made without spectra and without a fit.

Also runs scripts of the workflow on them, outside of Snakemake.
"""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.instruments import N_PIXELS, SETTINGS
from helpers.paths import LINES, PIXEL_MAP, SCRIPTS
from pixelcal.energy.fit.columns import empty_fits
from pixelcal.energy.truth import Truth, truth_table
from pixelcal.io.tables import table_hdu, write_ecsv, write_fits
from pixelcal.status import EnergyStatus

GAIN, OFFSET = 0.145, 3.0


def make_fits(n_pixels=N_PIXELS, seed=7, pivot_keV=50.0, sigma_pivot_keV=0.05, sigma_slope=0.004):
    """Fits whose errors follow their covariance exactly, and the truth they scatter around.

    The error of the energy is `sigma_pivot_keV` at the pivot, uncorrelated with the error of the
    gain, which is `sigma_slope` of the gain.

    Returns
    -------
    rows : (n_pixels,) structured array of FIT_DTYPE
    truth : Truth
    """
    random = np.random.default_rng(seed)
    gain_true = GAIN * (1 + 0.003 * random.standard_normal(n_pixels))
    offset_true = OFFSET + 0.1 * random.standard_normal(n_pixels)
    rows = empty_fits(np.arange(n_pixels))
    # Own width for each pixel: a validation that used one width for all would show.
    width = random.uniform(0.5, 2.0, n_pixels)
    sigma_gain = sigma_slope * GAIN * width
    sigma_pivot = sigma_pivot_keV * width
    place = (pivot_keV - offset_true) / gain_true
    slip = sigma_gain * random.standard_normal(n_pixels)
    shift = sigma_pivot * random.standard_normal(n_pixels)
    rows["GAIN"] = gain_true + slip
    rows["OFFSET"] = offset_true + shift - place * slip
    rows["GAIN_ERR"] = sigma_gain
    rows["OFFSET_ERR"] = np.hypot(sigma_pivot, place * sigma_gain)
    rows["GAIN_OFFSET_COV"] = -place * sigma_gain**2
    rows["FWHM_60"] = 1.6 + 0.05 * random.standard_normal(n_pixels)
    rows["FWHM_60_ERR"] = 0.05
    rows["WIDTH_RATIO"] = rows["FWHM_60"] / 1.6
    rows["WIDTH_RATIO_ERR"] = 0.03
    rows["DRIFT"], rows["DRIFT_PVALUE"] = 0.01, 0.5
    rows["FIRST_FRACTION"], rows["TENSION"] = 0.5, 1.0
    rows["BEND"], rows["BEND_ERR"] = 0.0, 0.1
    rows["SECOND_SIGMA"], rows["SECOND_STRETCH"], rows["SECOND_PART"] = 1.5, 0.02, 0
    rows["SECOND_FRACTION"] = 0.01
    rows["SECOND_GAIN"], rows["SECOND_OFFSET"] = rows["GAIN"], rows["OFFSET"]
    rows["NOISE"] = 0.0
    rows["COUNTS"] = random.poisson(4500, n_pixels)
    rows["STAT"], rows["DOF"] = 300.0, 300
    rows["PVALUE"] = random.uniform(size=n_pixels)
    rows["PVALUE_CAMERA"] = rows["PVALUE"]
    rows["TAIL"], rows["TAIL_ERR"] = 1.0, 0.1
    rows["NITER"] = 6
    return rows, Truth(gain_true, offset_true)


def silence(rows, detnum, bit: EnergyStatus):
    """Take the valid fits of the pixels `detnum` away, for the reason `bit`."""
    lost = np.isin(rows["DETNUM"], detnum)
    for name in rows.dtype.names:
        if rows.dtype[name].kind == "f":
            rows[name][lost] = np.nan
    rows["STATUS"][lost] |= bit


class Named(dict):
    """Named files or parameters, read as attributes like Snakemake's own."""

    __getattr__ = dict.__getitem__


def run_script(name, folder, rule_input, output, params):
    """Run a script of the workflow outside of Snakemake; the log goes to `folder`."""
    (script,) = SCRIPTS.glob(f"*/{name}.py")
    if script.parent.name == "energy":
        params = {"instrument": SETTINGS} | params
    job = SimpleNamespace(
        rule=name,
        wildcards=[],
        log=[str(folder / f"{name}.log")],
        input=Named(rule_input),
        output=Named(output),
        params=Named(params),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(script.parent)
        runpy.run_path(str(script), init_globals={"snakemake": job})


def write_exposure(folder, exposure, seconds, rows, truth, date=None, with_truth=True):
    """Chunks, spectra and truth of one exposure, merged and validated by the workflow's scripts.

    Returns
    -------
    dict of paths: spectra, chunks, relation, mission, validation and, if wanted, truth
    """
    folder = folder / exposure
    detnum = np.asarray(rows["DETNUM"])
    counts = np.zeros(len(rows), [("DETNUM", "i2"), ("COUNTS", "i4", (8,))])
    counts["DETNUM"] = detnum
    cards = [
        ("EXPNAME", exposure),
        ("EXPOSURE", float(seconds)),
        ("MULTIPLI", "single"),
        ("NINFILE", 1),
        ("INFIL001", "events.fits"),
        ("INSHA001", "0" * 64),
    ]
    paths = {
        "spectra": folder / "spectra.fits",
        "chunks": [str(folder / "chunks" / f"{number:04d}.fits") for number in range(2)],
        "relation": folder / "relation.fits",
        "mission": folder / "AUX-ECL-PIX-CAL.fits",
        "validation": folder / "validation.json",
    }
    write_fits(paths["spectra"], [table_hdu(counts, "SPECTRA", cards=cards)])
    half = len(rows) // 2
    for path, part in zip(paths["chunks"], (rows[:half], rows[half:]), strict=True):
        write_fits(path, [table_hdu(part, "FIT")])
    if with_truth:
        paths["truth"] = folder / "truth.ecsv"
        write_ecsv(paths["truth"], truth_table(detnum, truth[:2]))
    given = {name: paths[name] for name in ("chunks", "spectra")}
    nominal = {"gain_keV": GAIN, "offset_keV": OFFSET}
    run_script(
        "merge_relation",
        folder,
        given | {"pixel_map": PIXEL_MAP, "lines": LINES},
        {name: paths[name] for name in ("relation", "mission")},
        {"relation": nominal, "settings": {"relation": nominal}, "date": date},
    )
    run_script(
        "validate_relation",
        folder,
        {name: paths[name] for name in ("relation", "truth") if name in paths},
        {"validation": paths["validation"]},
        {"relation": nominal, "exposure": exposure},
    )
    return paths
