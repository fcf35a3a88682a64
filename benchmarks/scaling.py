"""How the cost of the joint fit grows: with the pixels, with the channels, with the lines.

python benchmarks/scaling.py [--pixels 1600]

Spectra of 100 ks; times on one core, compilation and the learning of the response apart, the best
of three. Channels: the same energies in channels half and twice as wide. Lines: the first blocks of
the table. The exponent is that of the cost between the first row and the last.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from options import KNOWN, MIN_COUNTS, OPTIONS

from pixelcal.energy.fit.learning import learn_camera
from pixelcal.energy.fit.pixels import fit_pixels
from pixelcal.energy.simulation import spectra as cameras

SECONDS = 100_000.0
LEARNERS = 300
REPEATS = 3
CHANNELS = (512, 1024, 2048)
SHARES = (0.1, 0.25, 0.5, 1.0)


def camera(n, channels=1024):
    """Spectra (n, channels) over the same energies, and their relation."""
    gain = np.full(n, cameras.NOMINAL_GAIN * 1024 / channels)
    offset = np.full(n, cameras.NOMINAL_OFFSET)
    edges = gain[0] * np.arange(channels + 1) + offset[0]
    cumulative = cameras.fine_cumulative(cameras.Detector(), 1.0)
    expected = np.diff(np.interp(edges, cameras.FINE_EDGES, cumulative)) * SECONDS
    counts = np.random.default_rng(1).poisson(expected, (n, channels)).astype(np.int32)
    return counts, gain, offset


def first_blocks(table, n_blocks):
    """The lines of the first blocks of a table."""
    own = np.flatnonzero(table.block < n_blocks)
    texts = ("element", "transition", "source")
    return dataclasses.replace(
        table,
        **{name: tuple(getattr(table, name)[i] for i in own) for name in texts},
        **{name: getattr(table, name)[own] for name in ("energy_keV", "intensity", "block")},
        block_names=table.block_names[:n_blocks],
        block_limits_keV=table.block_limits_keV[:n_blocks],
    )


def fit_seconds(counts, gain, offset, table):
    """Shortest time of the fit of all pixels, its response learnt from some of them."""
    few = slice(0, LEARNERS)
    response = learn_camera(counts[few], gain[few], offset[few], table, MIN_COUNTS, **KNOWN)
    detnum, times = np.arange(len(counts)), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        fit_pixels(counts, detnum, gain, offset, table, response, OPTIONS)
        times.append(time.perf_counter() - start)
    return min(times)


def report(title, sizes, seconds, pixels):
    """Print the rows of one dependence, and its exponent."""
    print(f"{title:<12}{'ms/pixel':>10}{'seconds':>10}")
    for size, own, n in zip(sizes, seconds, pixels, strict=True):
        print(f"{size:<12}{1e3 * own / n:>10.3f}{own:>10.2f}")
    exponent = np.log(seconds[-1] / seconds[0]) / np.log(sizes[-1] / sizes[0])
    print(f"{'exponent':<12}{exponent:>10.2f}\n", flush=True)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=1600)
    n = parser.parse_args().pixels
    table = cameras.line_table()
    fit_seconds(*camera(LEARNERS), table)

    sizes = [int(share * n) for share in SHARES]
    counts, gain, offset = camera(n)
    seconds = [fit_seconds(counts[:m], gain[:m], offset[:m], table) for m in sizes]
    report("pixels", sizes, seconds, sizes)

    seconds = [fit_seconds(*camera(n, channels), table) for channels in CHANNELS]
    report("channels", CHANNELS, seconds, [n] * len(CHANNELS))

    tables = [first_blocks(table, k) for k in range(2, table.n_blocks + 1)]
    seconds = [fit_seconds(counts, gain, offset, own) for own in tables]
    report("lines", [own.n_lines for own in tables], seconds, [n] * len(tables))


if __name__ == "__main__":
    main()
