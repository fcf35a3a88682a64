"""The history of a camera: time and memory against the number of epochs.

python benchmarks/history.py [PIXELS EPOCHS]

Without arguments a table for 6400 pixels, each size in a process of its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal.camera import read_pixel_map
from pixelcal.energy.history.assembly import assemble
from pixelcal.energy.history.epochs import Epochs
from pixelcal.io.instruments import load_instrument
from pixelcal.io.tables import write_fits

N_PIXELS = 6400
EPOCHS = (30, 60, 125, 250, 500)
CHUNK = 400
SETTINGS = {
    "false_alarms": 0.1,
    "alarms": {"camera_keV": 0.05, "module_keV": 0.1, "pixel_keV": 0.3},
    "publication": {"requirement_fraction": 0.5, "pixels": 1},
}
WEEK_S = 7 * 86400.0


def simulated(n: int, n_epochs: int, n_energies: int) -> Epochs:
    """Weekly relations of 3 ks: 0.1 keV at 80 keV, walks of 10 eV, and 20 eV of the camera."""
    random = np.random.default_rng(1)
    camera = np.cumsum(0.020 / 80 * random.standard_normal(n_epochs))
    gain, offset = np.empty((2, n, n_epochs), np.float32)
    covariance = np.empty((n, n_epochs, 3), np.float32)
    for first in range(0, n, CHUNK):  # not all at once: the memory of the history is measured
        rows = slice(first, first + CHUNK)
        shape = gain[rows].shape
        stretch = camera + np.cumsum(0.010 / 80 * random.standard_normal(shape), axis=1)
        slope, shift = 2.3e-3, 0.06  # relative error of the gain, and of the energy at 45 keV
        error = slope * random.standard_normal(shape)
        gain[rows] = 0.145 * (1 + stretch + error)
        offset[rows] = 3 + shift * random.standard_normal(shape) - 42 * error + 3 * stretch
        covariance[rows, :, 0] = (0.145 * slope) ** 2
        covariance[rows, :, 1] = -42 * 0.145 * slope**2
        covariance[rows, :, 2] = shift**2 + (42 * slope) ** 2
    start = WEEK_S * np.arange(n_epochs)
    names = tuple(f"week{number:03d}" for number in range(n_epochs))
    return Epochs(
        names, names, names, start, start + 0.9 * WEEK_S, np.arange(n), gain, offset, covariance,
        np.zeros((n, n_epochs), np.int16), np.full((n, n_epochs, n_energies), 0.02, np.float32), {},
    )  # fmt: skip


def measure(n: int, n_epochs: int) -> None:
    """Print the seconds of the analysis and of the writing, and the largest memory in MB."""
    instrument = load_instrument("eclairs")
    pixel_map = read_pixel_map(instrument.pixel_map)
    few = simulated(64, 8, len(instrument.requirement.energies_keV))
    assemble(few, instrument, pixel_map, SETTINGS, "benchmark")  # compiles
    epochs = simulated(n, n_epochs, len(instrument.requirement.energies_keV))
    begin = time.perf_counter()
    found = assemble(epochs, instrument, pixel_map, SETTINGS, "benchmark")
    middle = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_fits(Path(folder, "history.fits"), found.hdus)
        end = time.perf_counter()
        size = Path(folder, "history.fits").stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(middle - begin, end - middle, memory, size)


def main() -> None:
    """Print the table, with the exponent of the time from the two largest sizes."""
    if len(sys.argv) > 2:
        measure(int(sys.argv[1]), int(sys.argv[2]))
        return
    print(f"{N_PIXELS} pixels; seconds on one core, largest memory, size of history.fits\n")
    print("| epochs | analysis | writing | memory | file |")
    print("|---|---|---|---|---|")
    totals = []
    for n_epochs in EPOCHS:
        command = [sys.executable, __file__, str(N_PIXELS), str(n_epochs)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        analysis, writing, memory, size = map(float, said.split())
        totals.append(analysis + writing)
        print(
            f"| {n_epochs} | {analysis:.1f} s | {writing:.1f} s | {memory:.0f} MB | {size:.0f} MB |"
        )
    exponent = np.log(totals[-1] / totals[-3]) / np.log(EPOCHS[-1] / EPOCHS[-3])
    print(
        f"\nFrom {EPOCHS[-3]} to {EPOCHS[-1]} epochs the time grows with the power {exponent:.2f}."
    )


if __name__ == "__main__":
    main()
