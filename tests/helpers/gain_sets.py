"""Fits of many sets of SSTCAM runs, as `spe.fits`, from gains that are known: no fit is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers.paths import PROJECT
from pixelcal.charge.runs.dates import mjd_of, utc_of_mjd
from pixelcal.charge.runs.pixel_map import read_pixel_map
from pixelcal.charge.spe.columns import SHARED, SPE_EXTENSION, fit_dtype, run_cards
from pixelcal.io.merge import placed_rows
from pixelcal.io.tables import table_hdu, write_fits

MAP = PROJECT / "resources" / "sstcam_pixels.csv"
FIRST = mjd_of("2026-01-10")
PE_ERROR, OPCT_ERROR, CORRELATION = 0.004, 0.006, -0.4
"""Relative error of the gain, error of the crosstalk, and their correlation, of a single set."""


def true_gains(n_pixels: int, seed: int = 1) -> np.ndarray:
    """Gains (n,) in adu of pixels that differ by 5 %."""
    return 30.0 * (1.0 + 0.05 * np.random.default_rng(seed).standard_normal(n_pixels))


def write_set(
    path, pixel, gain, days, seed, *, date=True, lab=None, status=None, window=16
) -> Path:
    """The fits of one set: gain (n,) and a crosstalk of 0.15, measured with errors.

    Parameters
    ----------
    path : file to write
    pixel : (n,) int
    gain : (n,) float, adu, the truth
    days : float
        Of the set after FIRST; its two runs are an hour apart.
    lab : dict, optional
        Further columns of table.csv.
    """
    random = np.random.default_rng([seed, round(1000 * days)])
    rows = np.zeros(len(pixel), fit_dtype(2))
    rows["PIXEL"] = pixel
    first, other = random.standard_normal((2, len(pixel)))
    second = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * other
    rows["PE"] = gain * (1 + PE_ERROR * first)
    rows["PE_ERR"] = PE_ERROR * rows["PE"]
    rows["OPCT"], rows["OPCT_ERR"] = 0.15 + OPCT_ERROR * second, OPCT_ERROR
    pair = SHARED.index("PE"), SHARED.index("OPCT")
    rows["COVARIANCE"][:, pair[0], pair[1]] = CORRELATION * rows["PE_ERR"] * OPCT_ERROR
    rows["DARK"], rows["DARK_ERR"] = 0.2, 0.05
    rows["EPED"], rows["EPED_ERR"] = 4800.0, 0.2
    rows["STATUS"] = 0 if status is None else status
    known = read_pixel_map(MAP)
    places = (np.asarray(values)[pixel] for values in (known.x, known.y))
    cards = [("UNITSAMP", "adu"), ("WINDOW", window), ("BASELINE", "none"), *run_cards(["a", "b"])]
    if date:
        begin = FIRST + days
        cards += [("DATE-OBS", utc_of_mjd(begin)), ("DATE-END", utc_of_mjd(begin + 1 / 24))]
    for number, (name, value) in enumerate((lab or {}).items(), 1):
        cards += [(f"LABNAM{number}", name), (f"LABVAL{number}", value)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_fits(path, [table_hdu(placed_rows(rows, *places), SPE_EXTENSION, cards=cards)])
    return path


def write_sets(folder, changes, step_days=30.0, seed=1, **options) -> list[Path]:
    """Sets results/DATE/sstcam/spe/spe.fits, one for each row of `changes` (t, n).

    `changes` are what the gains are times, beside those of `true_gains`.
    """
    changes = np.asarray(changes, float)
    pixel = np.arange(changes.shape[1])
    gains = true_gains(len(pixel))
    paths = []
    for t, factor in enumerate(changes):
        name = utc_of_mjd(FIRST + t * step_days)[:10]
        lab = {"temperature": 20.0 + t, "bias_V": 55.0}
        path = Path(folder, name, "sstcam", "spe", "spe.fits")
        paths.append(
            write_set(path, pixel, gains * factor, t * step_days, seed, **({"lab": lab} | options))
        )
    return paths
