"""A camera that nobody has built: its files, and events that were drawn without the library.

16 x 16 pixels of CZT with an ADC of 4096 channels, between sources of Am-241 and Co-57. A photon
may lose a part of its energy that is exponential, or a fluorescence photon of the crystal; then
there is the noise of the electronics.
"""

from __future__ import annotations

import csv

import numpy as np
import yaml
from astropy.io import fits

from helpers.paths import RESOURCES

N_SIDE, N_CHANNELS = 16, 4096
N_PIXELS = N_SIDE**2
NOMINAL_GAIN, NOMINAL_OFFSET = 0.04, -2.0
FWHM_10, FWHM_60, TAIL_60, TAIL_SCALE = 0.7, 1.2, 0.15, 0.04
ESCAPES = ((9.659, 8.639, 0.02), (26.711, 23.174, 0.03), (31.814, 27.473, 0.02))
"""K edge and loss (keV) of Zn, Cd and Te, and the probability at the edge (NIST SRD 128)."""

INSTRUMENT = {
    "title": "Toy Camera of CZT",
    "instrume": ["TOYCAM"],
    "camera": {
        "pixels": N_PIXELS,
        "channels": N_CHANNELS,
        "grid": {"rows": N_SIDE, "columns": N_SIDE},
    },
    "pixel_map": "toy_pixels.csv",
    "relation": {
        "gain_keV": NOMINAL_GAIN,
        "offset_keV": NOMINAL_OFFSET,
        "gain_range_keV": [0.02, 0.08],
        "offset_range_keV": [-10.0, 5.0],
    },
    "detector": {"material": "CZT", "response": {"fwhm_10_keV": 0.9, "fwhm_60_keV": 1.5}},
    "requirement": {
        "energies_keV": [14.0, 60.0, 122.0],
        "range_keV": [5.0, 140.0],
        "limits": [{"up_to_keV": 150.0, "error_keV": 0.3}],
    },
    "lines": "toy_lines.csv",
    "layout": "hits",
    "layouts": {
        "hits": {
            "extension": "Hits",
            "columns": {"channel": "ADC", "row": "LINE", "column": "STRIP", "time": "T"},
            "required": ["channel", "row", "column"],
        }
    },
}


def write_toy_camera(folder):
    """Instrument file, pixel map and line table in `folder` (made here); returns the first."""
    folder.mkdir(parents=True)
    write_lines(folder / "toy_lines.csv")
    row, column = pixel_places()
    rows = ["DETNUM,X,Y,MODULE,SECTOR,ROW,COLUMN"]
    rows += [
        f"{n},{column[n]},{row[n]},{row[n] // 8 * 2 + column[n] // 8},0,{row[n]},{column[n]}"
        for n in range(N_PIXELS)
    ]
    (folder / "toy_pixels.csv").write_text("\n".join(rows) + "\n")
    (folder / "toycam.yaml").write_text(yaml.safe_dump(INSTRUMENT))
    return folder / "toycam.yaml"


def pixel_places():
    """Row and column (256,) of each DETNUM, which goes through the columns first."""
    column, row = np.divmod(np.arange(N_PIXELS), N_SIDE)
    return row, column


def write_lines(path):
    """Both sources in one table: the 14 keV gamma of cobalt is among neptunium's L lines."""
    rows = [*read_rows("am241"), *read_rows("co57")]
    for row in rows:
        if row["transition"] == "g14":
            other = next(one for one in rows if one["block"] == "neptunium-L")
            row |= {key: other[key] for key in ("block", "block_min_keV", "block_max_keV")}
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def read_rows(source):
    """Rows of a line table that pixelcal brings."""
    text = (RESOURCES / "lines" / f"{source}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def draw_truth(seed):
    """Gain and offset (256,) of each pixel."""
    rng = np.random.default_rng(seed)
    gain = NOMINAL_GAIN * (1 + 0.01 * rng.standard_normal(N_PIXELS))
    return gain, NOMINAL_OFFSET + 0.3 * rng.standard_normal(N_PIXELS)


def draw_energies(n, rng):
    """Energies (n,) that a pixel measures: lines of both sources on a continuum."""
    rows = [*read_rows("am241"), *read_rows("co57")]
    energy = np.array([float(row["energy_keV"]) for row in rows])
    rate = np.array([float(row["intensity"]) for row in rows])
    rate *= -np.expm1(-((energy / 100.0) ** -2.75))  # absorbed in the crystal
    true = energy[rng.choice(len(energy), n, p=rate / rate.sum())]
    escaped = np.zeros(n, bool)
    measured = true.copy()
    for edge, lost, probability in ESCAPES:
        escapes = ~escaped & (true > edge) & (rng.random(n) < probability * edge / true)
        measured[escapes] -= lost
        escaped |= escapes
    tail = rng.random(n) < TAIL_60 * measured / 60.0
    measured -= np.where(tail, rng.exponential(TAIL_SCALE * measured), 0.0)
    continuum = rng.random(n) < 0.15
    measured = np.where(continuum, 4.0 + rng.exponential(50.0, n), measured)
    slope = (FWHM_60**2 - FWHM_10**2) / 50.0
    fwhm = np.sqrt(FWHM_10**2 + slope * (measured - 10.0))
    return measured + fwhm / np.sqrt(8.0 * np.log(2.0)) * rng.standard_normal(n)


def write_hits(path, gain, offset, per_pixel, seconds, seed):
    """An event list of the camera, about `per_pixel` events of each pixel; counts (256, 4096)."""
    rng = np.random.default_rng(seed)
    pixel = np.repeat(np.arange(N_PIXELS), rng.poisson(per_pixel, N_PIXELS))
    energy = draw_energies(len(pixel), rng)
    channel = np.floor((energy - offset[pixel]) / gain[pixel]).astype(int)
    seen = (energy > 4.5) & (channel >= 0) & (channel < N_CHANNELS)
    order = rng.permutation(np.flatnonzero(seen))
    pixel, channel = pixel[order], channel[order]
    row, column = pixel_places()
    columns = [
        fits.Column("T", "D", array=np.sort(rng.random(len(pixel))) * seconds, unit="s"),
        fits.Column("LINE", "B", array=row[pixel]),
        fits.Column("STRIP", "B", array=column[pixel]),
        fits.Column("ADC", "I", array=channel, bzero=2**15),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="HITS")
    hdu.header["INSTRUME"] = "TOYCAM"
    hdu.header["TSTART"], hdu.header["TSTOP"] = 0.0, float(seconds)
    hdu.writeto(path)
    counts = np.zeros((N_PIXELS, N_CHANNELS), int)
    np.add.at(counts, (pixel, channel), 1)
    return counts
