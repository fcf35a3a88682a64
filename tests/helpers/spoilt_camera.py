"""A camera in flight some of whose pixels are spoilt, calibrated by Snakemake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from helpers import faults
from helpers.paths import LINES
from pixelcal.energy.relation import energy_error, energy_sigma, relation_columns

N_PIXELS, SECONDS = 128, 4000.0
EXPOSURE = "3ks"
"""Its name is one that the default configuration has too."""

PLANTED = {
    "4 % from half-way on": (5, 70),
    "4 % in the last fifth": (11, 76),
    "4 % in the middle third": (17, 82),
    "4 % growing all the time": (23, 88),
    "two gains, 8 % apart": (29, 94),
    "two gains, 4 % apart": (35, 100),
    "noise at 6.9 keV": (41, 106),
    "noise at 9.2 keV": (47, 112),
    "gain 12 % off": (53, 118),
    "gain 25 % off": (59, 124),
    "gain 40 % off": (65,),
}
"""What is wrong with a pixel -> its DETNUM. All others are as the simulated camera has them."""


OFF_BY = {"gain 12 % off": 1.12, "gain 25 % off": 0.75, "gain 40 % off": 1.4}
RELATION = f"results/eclairs/{EXPOSURE}/relation.fits"
MISSION = f"results/eclairs/{EXPOSURE}/AUX-ECL-PIX-CAL.fits"


@dataclass(frozen=True)
class Flight:
    """A finished run of flight events: folder, configuration, relation, mission's file.

    `gain` and `offset` (n,) are what the pixels were made with; a pixel that changes has those of
    its beginning. `healthy` are those that nothing is wrong with.
    """

    folder: Path
    settings: dict
    relation: np.ndarray
    mission: np.ndarray
    updated: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    healthy: np.ndarray

    def pulls(self, pixels, energies_keV=(4.0, 15.0, 50.0, 80.0, 150.0)):
        """Error over what is quoted, largest of the energies in size, for each of the pixels."""
        rows = self.relation[list(pixels)]
        gain, offset, *covariance = relation_columns(rows)
        truth = self.gain[list(pixels)], self.offset[list(pixels)]
        pulls = [
            energy_error(energy, gain, offset, *truth)
            / energy_sigma(energy, gain, offset, *covariance)
            for energy in energies_keV
        ]
        return np.abs(pulls).max(axis=0)


def pieces_of(kind, gain):
    """Fraction of the time, its start and stop, and the gain, for each state of a pixel."""
    if kind == "4 % from half-way on":
        return [(0.0, 0.5, 1.0, gain), (0.5, 1.0, 1.0, 1.04 * gain)]
    if kind == "4 % in the last fifth":
        return [(0.0, 0.8, 1.0, gain), (0.8, 1.0, 1.0, 1.04 * gain)]
    if kind == "4 % in the middle third":
        return [(0, 1 / 3, 1, gain), (1 / 3, 2 / 3, 1, 1.04 * gain), (2 / 3, 1, 1, gain)]
    if kind == "4 % growing all the time":
        steps = np.linspace(0.0, 1.0, 21)
        return [
            (a, b, 1.0, gain * (1 + 0.02 * (a + b)))
            for a, b in zip(steps[:-1], steps[1:], strict=True)
        ]
    if kind.startswith("two gains"):
        apart = {"8": 0.08, "4": 0.04}[kind.split()[2]]
        return [(0.0, 1.0, 0.5, gain * (1 - apart / 2)), (0.0, 1.0, 0.5, gain * (1 + apart / 2))]
    return [(0.0, 1.0, 1.0, gain)]


def draw_camera(rng, n, kind_of: Mapping[int, str]):
    """Times, pixels and channels of all events, and gains and offsets (n,)."""
    gain = faults.GAIN * (1 + 0.003 * rng.standard_normal(n))
    offset = faults.OFFSET + 0.1 * rng.standard_normal(n)
    for pixel, kind in kind_of.items():
        gain[pixel] *= OFF_BY.get(kind, 1.0)
    times, pixels, channels = [], [], []
    for pixel in range(n):
        kind = kind_of.get(pixel, "")
        for start, stop, fraction, own in pieces_of(kind, gain[pixel]):
            seconds = (stop - start) * fraction * SECONDS
            expected = faults.spectrum_of(own, offset[pixel], seconds)
            if kind.startswith("noise"):
                noise = faults.bump(float(kind.split()[2]), 120.0)
                expected = expected + noise(own, offset[pixel])
            counts = rng.poisson(expected)
            at, channel = faults.dealt_events(counts, start * SECONDS, stop * SECONDS, rng)
            times.append(at)
            channels.append(channel)
            pixels.append(np.full(len(at), pixel))
    return np.concatenate(times), np.concatenate(pixels), np.concatenate(channels), gain, offset


def write_camera(path, rng, n, kind_of: Mapping[int, str]):
    """Write the event file of a camera; gains and offsets (n,) of its pixels."""
    time, pixel, channel, gain, offset = draw_camera(rng, n, kind_of)
    order = np.argsort(time)
    row, column = np.divmod(pixel[order], 80)
    columns = {
        "TIME": ("D", time[order]),
        "JDET": ("B", column),
        "IDET": ("B", row),
        "PHA": ("I", channel[order]),
    }
    faults.write_flight(path, columns, header={"TSTART": 0.0, "TSTOP": SECONDS})
    return gain, offset


def calibrate(folder, seed, n, kind_of: Mapping[int, str]) -> Flight:
    """A camera from its event file to the mission's file."""
    events = folder / "events.fits"
    gain, offset = write_camera(events, np.random.default_rng(seed), n, kind_of)
    settings = {
        "pixels": f"0-{n - 1}",
        "events": {"files": ["events.fits"], "layout": "ecl-evt-cal", "multiplicity": "all"},
        "exposures": {EXPOSURE: {"seconds": SECONDS}},
        "fit": {"chunk_pixels": 64},
        "lines": str(LINES),  # those that the spectra are drawn with
    }
    own = faults.write_settings(folder, settings, "flight.yaml")
    run = faults.snakemake(folder, RELATION, "--configfile", own)
    assert run.returncode == 0, run.stderr[-3000:]
    with fits.open(folder / MISSION) as mission:
        return Flight(
            folder,
            settings,
            np.array(fits.getdata(folder / RELATION, "RELATION")),
            np.array(mission["AUX-ECL-PIX-CAL"].data)[:n],
            np.array(mission["PIXEL-STATUS"].data["UPDATED"])[:n],
            gain,
            offset,
            np.setdiff1d(np.arange(n), list(kind_of)),
        )
