"""Histories of a camera with known truth: relations at many epochs, made without spectra."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from helpers.paths import PIXEL_MAP
from helpers.synthetic import GAIN, OFFSET, run_script
from pixelcal.camera import read_pixel_map
from pixelcal.energy.events.clock import MISSION_EPOCH
from pixelcal.io.tables import table_hdu, write_fits

PIVOTS_KEV = np.array([15.0, 80.0])
WEEK_D = 7.0
RELATION_DTYPE = np.dtype(
    [("DETNUM", "i2")]
    + [(name, "f8") for name in ("GAIN", "OFFSET", "GAIN_ERR", "OFFSET_ERR", "GAIN_OFFSET_COV")]
    + [(f"SYS_{energy}", "f8") for energy in (4, 15, 50, 80, 150)]
    + [("STATUS", "i4")]
)
RELATION_UNITS = {"GAIN": "keV/chan", "OFFSET": "keV", "GAIN_OFFSET_COV": "keV**2/chan"}


class SimulatedHistory(NamedTuple):
    """Energies at the pivots: measured `y` (n, t, 2) with covariance `r` (n, t, 3), `truth`,
    and the motions that it is the sum of: `camera` (t, 2), `modules` (g, t, 2) and `pixels`
    (n, t, 2)."""

    y: np.ndarray
    r: np.ndarray
    used: np.ndarray
    days: np.ndarray
    module: np.ndarray
    truth: np.ndarray
    camera: np.ndarray
    modules: np.ndarray
    pixels: np.ndarray


STEP_80_KEV, CAMERA_80_KEV, SHIFT_PART = 0.010, 0.020, 0.3
"""Random walks: the energy at 80 keV moves by so much in an epoch."""


def step_covariance(sigma_80_keV):
    """Covariance (2, 2) of the energies at the pivots after one step."""
    stretch = PIVOTS_KEV / 80.0
    covariance = np.outer(stretch, stretch) + SHIFT_PART**2 * np.ones((2, 2))
    return sigma_80_keV**2 * covariance / (1 + SHIFT_PART**2)


def _walks(random, sigma_80_keV, n, n_epochs):
    steps = random.multivariate_normal(np.zeros(2), step_covariance(sigma_80_keV), (n, n_epochs))
    steps[:, 0] = 0.0
    return np.cumsum(steps, axis=1)


def simulate_history(
    n_pixels=6400,
    n_epochs=20,
    seed=1,
    *,
    missing=0.02,
    sigma_80_keV=0.1,
    pixel_jumps=(),
    module_jumps=(),
    camera_jumps=(),
):
    """A camera whose pixels, as a whole and each, walk; jumps are (number, epoch, keV at 80 keV).

    Errors are those of 3 ks: about 0.1 keV at 80 keV with the scatter of real pixels, least near
    45 keV, gain and offset anticorrelated.
    """
    random = np.random.default_rng(seed)
    module = np.asarray(read_pixel_map(PIXEL_MAP)["MODULE"])[:n_pixels]
    pixels = _walks(random, STEP_80_KEV, n_pixels, n_epochs)
    camera = _walks(random, CAMERA_80_KEV, 1, n_epochs)[0]
    modules = np.zeros((module.max() + 1, n_epochs, 2))
    for motion, jumps in ((pixels, pixel_jumps), (modules, module_jumps)):
        for number, epoch, size in jumps:
            motion[number, epoch:] += size * PIVOTS_KEV / 80.0
    for _, epoch, size in camera_jumps:
        camera[epoch:] += size * PIVOTS_KEV / 80.0
    truth = pixels + camera + modules[module]
    sigma = sigma_80_keV * np.exp(0.2 * random.standard_normal(n_pixels))
    place = PIVOTS_KEV - 45.0
    middle, slope = 0.6 * sigma, 0.8 * sigma / place[1]
    r = np.stack([middle**2 + slope**2 * a * b for a, b in _pairs(place)], axis=1)
    r = np.repeat(r[:, None], n_epochs, axis=1)
    noise = (middle[:, None] * random.standard_normal((n_pixels, n_epochs)))[..., None]
    noise = (
        noise + (slope[:, None] * random.standard_normal((n_pixels, n_epochs)))[..., None] * place
    )
    used = random.random((n_pixels, n_epochs)) >= missing
    y = np.where(used[..., None], truth + noise, np.nan)
    r[~used] = np.nan
    days = np.full(n_epochs, WEEK_D)
    return SimulatedHistory(y, r, used, days, module, truth, camera, modules, pixels)


def _pairs(values):
    return [(values[0], values[0]), (values[0], values[1]), (values[1], values[1])]


def energies_of(values, covariance, energy_keV):
    """Energies (...,) and variances at `energy_keV`, from those at the pivots."""
    low, high = PIVOTS_KEV
    weights = np.array([high - energy_keV, energy_keV - low]) / (high - low)
    w = np.array([weights[0] ** 2, 2 * weights[0] * weights[1], weights[1] ** 2])
    return values @ weights, covariance @ w


def matrices(r):
    """Covariances (..., 2, 2) from triples (..., 3)."""
    return np.stack([r[..., :2], r[..., 1:]], axis=-2)


def relation_tables(history):
    """Gain, offset (n, t) of the measured energies, with their covariance, and of the true ones.

    All pixels are nominal at the start: the pivots are where the nominal relation has them.
    """
    places = (PIVOTS_KEV - OFFSET) / GAIN
    apart = places[1] - places[0]
    to_gain = np.array([-1.0, 1.0]) / apart
    to_offset = np.array([places[1], -places[0]]) / apart
    measured = GAIN + history.y @ to_gain, OFFSET + history.y @ to_offset
    true = GAIN + history.truth @ to_gain, OFFSET + history.truth @ to_offset
    r = matrices(history.r)
    covariance = [
        np.einsum("i,ntij,j->nt", a, r, b)
        for a, b in ((to_gain, to_gain), (to_gain, to_offset), (to_offset, to_offset))
    ]
    return measured, covariance, true


def write_relations(folder, history, change=None, start_s=WEEK_D * 86400.0 * 400, **cards):
    """A relation.fits for each epoch, named as exposures are; paths in order.

    `change(number, rows, header)` may spoil the rows (DETNUM, GAIN, ...) and the cards of an epoch.
    """
    (gain, offset), (vg, cov, vo), _ = relation_tables(history)
    paths = []
    for number in range(len(history.days)):
        rows = np.zeros(len(gain), RELATION_DTYPE)
        rows["DETNUM"] = np.arange(len(gain))
        rows["GAIN"], rows["OFFSET"] = gain[:, number], offset[:, number]
        rows["GAIN_ERR"], rows["OFFSET_ERR"] = np.sqrt(vg[:, number]), np.sqrt(vo[:, number])
        rows["GAIN_OFFSET_COV"] = cov[:, number]
        rows["STATUS"] = np.where(history.used[:, number], 0, 2)
        for energy in (4, 15, 50, 80, 150):
            rows[f"SYS_{energy}"] = 0.02
        begin = start_s + number * WEEK_D * 86400.0
        header = {
            "TELESCOP": "SVOM",
            "INSTRUME": "ECL",
            "EXPNAME": f"week{number:02d}",
            "LINETAB": "complete.csv",
            "LINESHA": "0" * 64,
            "MJDREFI": MISSION_EPOCH[0],
            "MJDREFF": MISSION_EPOCH[1],
            "TIMESYS": "TT",
            "TSTART": begin,
            "TSTOP": begin + 6 * 86400.0,
        } | cards
        if change is not None:
            change(number, rows, header)
        path = folder / header["EXPNAME"] / "relation.fits"
        header = [(key, value) for key, value in header.items() if value is not None]
        write_fits(path, [table_hdu(rows, "RELATION", RELATION_UNITS, header)])
        paths.append(path)
    return paths


SETTINGS_OF_HISTORY = {
    "false_alarms": 0.1,
    "alarms": {"camera_keV": 0.05, "module_keV": 0.1, "pixel_keV": 0.3},
    "publication": {"requirement_fraction": 0.5, "pixels": 1},
    "housekeeping": {"file": None, "column": "TEMPERATURE", "time": "TIME"},
}


def write_history(folder, paths, settings=None, **given):
    """history.fits, alarms.txt and the folder of published files, by the workflow's scripts."""
    made = {"history": folder / "history.fits", "alarms": folder / "alarms.txt"}
    run_script(
        "history",
        folder,
        {"relations": [str(path) for path in paths], "pixel_map": PIXEL_MAP} | given,
        made,
        {"history": settings or SETTINGS_OF_HISTORY, "date": None},
    )
    made["published"] = folder / "published"
    run_script(
        "publish_history",
        folder,
        {"history": made["history"]} | given,
        {"published": made["published"]},
        {"relation": {"gain_keV": GAIN, "offset_keV": OFFSET}, "date": None},
    )
    return made


def write_page(folder, made):
    """history.html of a history, by the workflow's script."""
    page = folder / "history.html"
    run_script(
        "show_history",
        folder,
        {"history": made["history"], "alarms": made["alarms"], "pixel_map": PIXEL_MAP},
        {"page": page},
        {},
    )
    return page
