"""Charges of SiPM pixels, drawn photon by photon, and scans made of them: no formula of a fit."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from pixelcal.charge.resolution.measure import ScanCharges
from pixelcal.charge.resolution.scan import ScanRun
from pixelcal.charge.spe.noise.late_charges import N_NOISE

TRUTH = {"pe": 30.0, "sigma_pe": 4.0, "sigma_ped": 9.0, "opct": 0.15, "pedestal": 200.0}


def draw_photoelectrons(random, light, n_flashes, jitter=0.0):
    """Photoelectrons (n_pixels, n_flashes) of the mean `light` (n_pixels,).

    All pixels of a flash share its brightness, of mean 1 and standard deviation `jitter`.
    """
    bright = 1.0
    if jitter:
        bright = random.gamma(jitter**-2, jitter**2, n_flashes)
    return random.poisson(np.asarray(light)[:, None] * bright * np.ones(n_flashes))


def draw_charges(random, photoelectrons, truth=TRUTH):
    """Whole charges: crosstalk as a branching process, width of each avalanche, noise, rounding."""
    columns = {name: np.reshape(value, (-1, 1)) for name, value in truth.items()}
    avalanches = photoelectrons.copy()
    youngest = photoelectrons
    while youngest.any():
        youngest = random.poisson(columns["opct"] * youngest)
        avalanches += youngest
    width = np.sqrt(columns["sigma_ped"] ** 2 + avalanches * columns["sigma_pe"] ** 2)
    mean = columns["pedestal"] + columns["pe"] * avalanches
    return np.rint(mean + width * random.standard_normal(avalanches.shape)).astype(np.int32)


def spread_truth(random, n_pixels, share=0.05):
    """The truth of pixels that differ."""
    truth = {
        name: value * (1 + share * random.standard_normal(n_pixels))
        for name, value in TRUTH.items()
    }
    return truth | {"pedestal": TRUTH["pedestal"] + 10 * random.standard_normal(n_pixels)}


def spe_table(truth, n_pixels, n_runs=3, errors=0.05):
    """A table of SPE fits that found the truth."""
    table = Table({"PIXEL": np.arange(n_pixels)})
    for name in ("pe", "opct"):
        table[name.upper()] = np.broadcast_to(truth[name], n_pixels) + 0.0
    table["LATE"], table["DARK"] = np.zeros(n_pixels), np.zeros(n_pixels)
    table["NOISE"] = np.zeros((n_pixels, N_NOISE))
    pedestal = np.broadcast_to(truth["pedestal"], n_pixels)
    table["EPED"] = np.repeat(pedestal[:, None], n_runs, axis=1)
    table["EPED_ERR"] = np.full((n_pixels, n_runs), errors)
    table["STATUS"] = np.zeros(n_pixels, np.int32)
    return table


def make_scan(charges, n_pixels, n_flashes, truth, seed, pde=0.5, nsb=0.125, response=None):
    """Runs in order of light, and a function that gives the charges of each.

    `charges` is the expected charge of each run (p.e.); their names are not in order of light.
    """
    runs, files = [], {}
    for number, charge in enumerate(charges):
        random = np.random.default_rng([seed, number])
        name = f"run{len(charges) - number:02d}"
        photoelectrons = draw_photoelectrons(random, np.full(n_pixels, charge), n_flashes)
        measured = draw_charges(random, photoelectrons, truth)
        if response is not None:
            measured = np.rint(response(measured)).astype(np.int32)
        none = np.zeros(n_pixels, bool)
        files[name] = ScanCharges(measured, 1.0, none, none, photoelectrons)
        runs.append(ScanRun(name, charge / pde * 1.1, charge / pde, nsb, nsb))
    return runs, files
