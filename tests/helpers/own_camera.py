"""A camera that nobody has: 16 x 16 CZT pixels, 4096 channels, Am-241 and Co-57, as files."""

from dataclasses import replace

import numpy as np
from astropy.io import fits

from helpers.paths import RESOURCES
from pixelcal.energy.lines import read_line_table
from pixelcal.energy.response.line_shape import escape_peaks, expected_shape, line_cdf
from pixelcal.io.instruments import load_instrument

N, SIDE, CHANNELS = 256, 16, 4096
GAIN, OFFSET = 0.04, -2.0
COUNTS = {"Np": 3000, "Am-241": 3000, "Fe": 1200, "Co-57": 4000}
"""Counts of each element in a pixel."""

INSTRUMENT = """
title: Testcam
instrume: [TESTCAM]
camera: {pixels: 256, channels: 4096}
pixel_map: map.csv
relation:
  {gain_keV: 0.04, offset_keV: -2.0, gain_range_keV: [0.02, 0.08], offset_range_keV: [-9, 9]}
detector: {material: CZT, response: {fwhm_10_keV: 0.9, fwhm_60_keV: 1.2}}
requirement:
  energies_keV: [14, 60, 122]
  range_keV: [5, 140]
  limits: [{up_to_keV: 140, error_keV: 0.2}]
lines: sources.csv
layout: list
layouts:
  list: {extension: LIST, columns: {channel: ADC, pixel: PIX, time: T}, required: [channel, pixel]}
"""
CONFIGURATION = """
instrument: own/testcam.yaml
events: {files: [own/list.fits], multiplicity: all}
exposures: {all: {}}
"""


def write_camera(folder, seed=1):
    """Write the camera to `folder`; returns the true gains (keV/channel) and offsets (keV)."""
    rng = np.random.default_rng(seed)
    gain = GAIN * (1 + 0.003 * rng.standard_normal(N))
    offset = OFFSET + 0.1 * rng.standard_normal(N)
    folder.mkdir()
    rows = [f"{n},{n % SIDE},{n // SIDE},{n // 64},0" for n in range(N)]
    (folder / "map.csv").write_text("\n".join(["DETNUM,X,Y,MODULE,SECTOR", *rows]) + "\n")
    (folder / "sources.csv").write_text(_two_sources())
    (folder / "testcam.yaml").write_text(INSTRUMENT)
    density = _expected(folder)
    pixel, channel = [], []
    for n in range(N):
        edges = gain[n] * np.arange(CHANNELS + 1) + offset[n]
        counts = rng.poisson(np.maximum(np.diff(np.interp(edges, *density)), 0.0))
        channel.append(np.repeat(np.arange(CHANNELS), counts))
        pixel.append(np.full(counts.sum(), n))
    pixel, channel = np.concatenate(pixel), np.concatenate(channel)
    order = rng.permutation(len(pixel))
    columns = [
        fits.Column("PIX", "I", array=pixel[order]),
        fits.Column("ADC", "I", array=channel[order]),
        fits.Column("T", "D", unit="s", array=np.sort(rng.random(len(pixel)) * 1000.0)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="LIST")
    hdu.header.update({"INSTRUME": "TESTCAM", "EXPOSURE": 1000.0, "TSTART": 0.0, "TSTOP": 1000.0})
    hdu.writeto(folder / "list.fits")
    return gain, offset


def _two_sources() -> str:
    """The tables of both sources as one; a gamma of Co-57 stands among the L lines of neptunium."""
    tables = [(RESOURCES / "lines" / f"{name}.csv").read_text() for name in ("am241", "co57")]
    lines = [line for text in tables for line in text.splitlines() if not line.startswith("#")]
    head, *rows = dict.fromkeys(line for line in lines if "gamma-14" not in line)
    return "\n".join([head, *rows]) + "\n"


def _expected(folder) -> tuple[np.ndarray, np.ndarray]:
    """Energies (keV) and the expected counts of a pixel below each, of another shape than told."""
    instrument = load_instrument(str(folder / "testcam.yaml"))
    table = read_line_table(folder / "sources.csv")
    shape = replace(expected_shape(instrument), fwhm_10=0.85, fwhm_60=1.1, tail_60=0.12)
    energy = np.arange(4.0, 160.0, 0.02)
    weight, element = table.intensity * shape.efficiency(table.energy_keV), np.array(table.element)
    strength = np.zeros(table.n_lines)
    for name, counts in COUNTS.items():
        lines = element == name
        strength[lines] = counts * weight[lines] / weight[lines].sum()
    profiles = [one(shape, table.energy_keV, energy) for one in (line_cdf, escape_peaks)]
    return energy, strength @ sum(profiles) + 40.0 * (energy - 4.0)
