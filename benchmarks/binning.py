"""How fast events become spectra, and in how much memory, beside astropy and numpy.

python benchmarks/binning.py [millions of events, 10 by default]

Writes event files in the pira layout (16 bytes an event) to a temporary folder, bins them in every
way in one run on one core, and prints the ratios. Peak memory is that of a whole process that bins
a file of the size given, and one of four times that size.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow" / "scripts"))

from astropy.io import fits

from pixelcal.energy.events.binning import bin_events
from pixelcal.energy.events.good_times import good_time_of
from pixelcal.energy.events.intervals import first_seconds
from pixelcal.energy.events.reader import open_events
from pixelcal.io.instruments import load_instrument

ECLAIRS = load_instrument("eclairs")
N_PIXELS, N_CHANNELS = ECLAIRS.n_pixels, ECLAIRS.n_channels

SECONDS = 10000.0
USED_SECONDS = 9000.0
GAIN, OFFSET = 0.145, 3.0
REPEATS = 5
PIECE = 1_000_000
ROW = np.dtype(
    [("TIME", ">f8"), ("DETNUM", ">i2"), ("energy", ">f4"), ("effMult", "u1"), ("procID", "u1")]
)


def write_events(path: Path, n_events: int) -> None:
    """Events spread evenly over pixels and time, with an exponential spectrum.

    Written in pieces: a process inherits the peak memory of the one that starts it, so this one
    has to stay small.
    """
    rng = np.random.default_rng(1)
    header = fits.BinTableHDU(np.empty(0, ROW), name="EVENTS").header
    header["NAXIS2"] = n_events
    header["TSTART"], header["TSTOP"] = 0.0, SECONDS
    fits.PrimaryHDU().writeto(path)
    with open(path, "ab") as target:
        target.write(header.tostring().encode("ascii"))
        for first in range(0, n_events, PIECE):
            n = min(PIECE, n_events - first)
            rows = np.zeros(n, ROW)
            rows["TIME"] = (first + np.sort(rng.random(n)) * n) * (SECONDS / n_events)
            rows["DETNUM"] = rng.integers(0, N_PIXELS, n)
            rows["energy"] = 4 + rng.exponential(30, n)
            rows["effMult"] = 1 + (rng.random(n) < 0.1)
            target.write(rows.tobytes())
        target.write(bytes(-target.tell() % 2880))


def by_pixelcal(path: Path) -> np.ndarray:
    """The chain's own way: header, good time, selection, spectra."""
    files = [open_events(path, "pira", {}, "single", instrument=ECLAIRS)]
    good_time = first_seconds(good_time_of(files, None, []), USED_SECONDS)
    relation = np.full(N_PIXELS, GAIN), np.full(N_PIXELS, OFFSET)
    spectra = bin_events(
        files, np.arange(N_PIXELS), *relation, good_time, "single", 1, instrument=ECLAIRS
    )
    return spectra.counts


def select_by_numpy(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixel and energy of the events to count, by astropy and whole-column numpy."""
    with fits.open(path) as hdus:
        events = hdus["EVENTS"].data
        good = (events["effMult"] == 1) & (events["TIME"] < USED_SECONDS)
        return events["DETNUM"][good].astype(int), events["energy"][good].astype(float)


def by_bincount(path: Path) -> np.ndarray:
    """The fastest way that numpy has."""
    pixel, energy = select_by_numpy(path)
    channel = np.floor((energy - OFFSET) / GAIN).astype(int)
    inside = (channel >= 0) & (channel < N_CHANNELS)
    place = pixel[inside] * N_CHANNELS + channel[inside]
    return np.bincount(place, minlength=N_PIXELS * N_CHANNELS).reshape(N_PIXELS, N_CHANNELS)


def by_histogram2d(path: Path) -> np.ndarray:
    """The way that one writes first."""
    pixel, energy = select_by_numpy(path)
    limits = [(0, N_PIXELS), (0, N_CHANNELS)]
    position = (energy - OFFSET) / GAIN
    inside = position < N_CHANNELS
    counts, _, _ = np.histogram2d(pixel[inside], position[inside], (N_PIXELS, N_CHANNELS), limits)
    return counts


METHODS = {
    "pixelcal": by_pixelcal,
    "astropy + numpy, bincount": by_bincount,
    "astropy + numpy, histogram2d": by_histogram2d,
}


def best_time(function, path: Path) -> tuple[float, np.ndarray]:
    """Shortest of several times (s), after one run that warms the file cache and compiles."""
    result = function(path)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(path)
        times.append(time.perf_counter() - start)
    return min(times), result


def peak_memory_mb(method: str, path: Path) -> float:
    """Largest resident size (MB) of a process that bins one file."""
    command = [sys.executable, __file__, "--measure", method, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("millions", nargs="?", type=float, default=10.0)
    parser.add_argument("--measure", nargs=2, metavar=("METHOD", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method, path = arguments.measure
        METHODS[method](Path(path))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
        return
    n_events = int(arguments.millions * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.fits"), Path(folder, "large.fits")
        write_events(small, n_events)
        write_events(large, 4 * n_events)
        memory = {
            method: [peak_memory_mb(method, path) for path in (small, large)] for method in METHODS
        }
        timed = {method: best_time(function, small) for method, function in METHODS.items()}
    seconds, counts = timed["pixelcal"]
    if not all(np.array_equal(counts, other) for _, other in timed.values()):
        raise SystemExit("the spectra differ")
    n_mega = n_events / 1e6
    print(f"Binning {n_mega:g} million events from FITS on one core\n")
    row = "{:<30}{:>18}{:>22}{:>20}{:>20}"
    sizes = [f"MB at {n:g} M events" for n in (n_mega, 4 * n_mega)]
    print(row.format("", "million events/s", "pixelcal is faster by", *sizes))
    for method, (own_seconds, _) in timed.items():
        speed, ratio = f"{n_mega / own_seconds:.1f}", f"{own_seconds / seconds:.1f}"
        print(row.format(method, speed, ratio, *(f"{mb:.0f}" for mb in memory[method])))


if __name__ == "__main__":
    main()
